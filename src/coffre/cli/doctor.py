"""`coffre doctor`: is everything as it should be, and what to do if not."""

from __future__ import annotations

from typing import Any

import click

from coffre.cli import client, show
from coffre.cli.complaint import Complaint, Unusable
from coffre.cli.invocation import Invocation, shared


@click.command()
@shared
def doctor(invocation: Invocation) -> None:
    """Look at configuration, folder, keys, drives, racks, clock and limits; change nothing."""
    checks = _checks(invocation)
    ok = not any(check["verdict"] == "bad" for check in checks)
    invocation.answer({"ok": ok, "checks": checks}, lambda: _shown(checks))
    if not ok:
        raise click.exceptions.Exit(1)


def _checks(invocation: Invocation) -> list[dict[str, Any]]:
    try:
        settings = invocation.settings()
    except Unusable as error:
        says = error.format_message()
        do = "mend it: every key is in docs/configuration.md"
        return [{"name": "configuration", "verdict": "bad", "says": says, "do": do}]

    import msgspec

    from coffre.service.doctor import Running, examine
    from coffre.service.zone import real_world

    checks = [{"name": "configuration", "verdict": "ok", "says": "every key is known", "do": ""}]
    running = None
    with client.running(settings) as door:
        if door is None:
            says = "no node serves this folder: drives are looked at as they lie"
            checks.append({"name": "service", "verdict": "ok", "says": says, "do": ""})
        else:
            try:
                running = Running(
                    door.call("status", {}),
                    door.call("drive.list", {}),
                    door.call("key.check", {}),
                    door.call("steward.list", {}),
                    door.call("snapshot.list", {}),
                    _follower(door),
                )
            except Complaint as complaint:
                says = complaint.format_message()
                do = "the node's log says why"
                checks.append({"name": "service", "verdict": "bad", "says": says, "do": do})
            else:
                checks.append({"name": "service", "verdict": "ok", "says": "it serves", "do": ""})
    found: list[dict[str, Any]] = msgspec.to_builtins(examine(settings, real_world(), running))
    return checks + found


def _follower(door: client.Door) -> Any:
    try:
        return door.call("follower.status", {})
    except Complaint:
        return None


def _shown(checks: list[dict[str, Any]]) -> str:
    table = show.table(checks, ("verdict", "name", "says"), "")
    todo = [f"  {check['name']}: {check['do']}" for check in checks if check["do"]]
    if not todo:
        return f"{table}\nAll is well."
    return "\n".join([table, "To do:", *todo])
