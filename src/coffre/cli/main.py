"""The `coffre` command: its tree, and the one place where an error becomes a line and a code."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

import click
from click.shell_completion import get_completion_class

from coffre import __version__
from coffre.cli import (
    administer,
    audit,
    buckets,
    clock,
    doctor,
    drives,
    keys,
    kms,
    lifecycle,
    node,
    people,
    policy,
    presign,
    rebuild,
    sla,
    stewards,
    stores,
    tls,
    top,
    usage,
    users,
    verify,
)
from coffre.cli.complaint import INTERNAL, INTERRUPTED, Complaint
from coffre.cli.invocation import Invocation, shared

_log = logging.getLogger("coffre.cli")


class _Sections(click.Group):
    """A group whose help shows commands by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(one.name or "", one.get_short_help_str(limit=200)) for one in commands]
                )


@click.group(
    name="coffre",
    cls=_Sections,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="coffre %(version)s")
@shared
def root(invocation: Invocation) -> None:
    """Self-hosted S3 object storage.

    `coffre serve` is enough to begin: it makes ./data and prints keys and lines to try it with.
    Each COMMAND tells more of itself with --help; guides for operators, tenants and programs are in
    docs.
    """


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete this command; how to load it is in docs/cli.md."""
    kind = get_completion_class(shell)
    if kind is None:
        raise Complaint(f"no completion for {shell}")
    click.echo(kind(root, {}, "coffre", "_COFFRE_COMPLETE").source())


_SECTIONS: Final = {
    "To begin with": (node.init, node.serve, administer.status, doctor.doctor),
    "Whose data, and who may what": (
        stores.tenant,
        stores.store,
        users.user,
        people.person,
        people.token,
        buckets.bucket,
        policy.policy,
        presign.presign,
        lifecycle.lifecycle,
        kms.kms,
    ),
    "Drives and what is on them": (
        drives.drive,
        drives.node,
        stewards.steward,
        stewards.repair,
        administer.seal,
        verify.verify,
    ),
    "What happened": (audit.audit,),
    "What was used and what it costs": (usage.usage, usage.price, usage.bill),
    "How it does": (top.top, sla.sla, sla.probe),
    "The catalog": (rebuild.snapshot, rebuild.follower, rebuild.rebuild),
    "Keys, certificates, time": (keys.key, tls.tls, clock.clock),
    "The shell": (completion,),
}

for _commands in _SECTIONS.values():
    for _command in _commands:
        root.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; never raises and never shows a traceback."""
    # But for a crash in foreign code, which ends the process: where each thread was.
    faulthandler.enable(sys.__stderr__ or 2)
    # SQLite makes files as the umask says, and the catalog's copies hold names in clear.
    os.umask(0o077)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        result = root.main(arguments, prog_name="coffre", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        return _said(_words(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        _log.debug("the command failed", exc_info=True)
        return _said(
            f"unexpected {': '.join(filter(None, (type(error).__name__, str(error))))};"
            " run it again with COFFRE_LOG_LEVEL=debug and report what it says",
            INTERNAL,
        )
    return result if isinstance(result, int) else 0


def _words(error: click.ClickException) -> str:
    """A wrong call also names the help that would have told."""
    words = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        end = " " if words.endswith("?") else ": "
        words = f"{words.rstrip('.')}{end}see `{error.ctx.command_path} --help`"
    return words


def _said(words: str, code: int) -> int:
    click.echo(f"coffre: {' '.join(words.split())}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
