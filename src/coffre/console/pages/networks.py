"""What store and bucket forms share: network rules, and quotas in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from coffre.access.networks import RULE_NETWORKS, BadNetwork, read_networks
from coffre.console.i18n import N_, Language
from coffre.console.pages.form import Form

QUOTAS: Final = ("hard_bytes", "warn_bytes", "hard_objects", "warn_objects")
_STEPS: Final = ("", "k", "M", "G", "T", "P", "E")


class Meter(NamedTuple):
    """How full something is."""

    label: str
    held: int
    limit: int
    warn: int | None
    words: str


def addresses_of(form: Form, name: str = "addresses") -> list[str]:
    """Addresses and ranges that a form names; one that is neither is a problem of the field."""
    found = form.lines(name)
    if not found:
        form.refuse(name, N_("Name at least one address or range."))
    if len(found) > RULE_NETWORKS:
        form.refuse(name, N_("At most %(most)s addresses and ranges."), most=RULE_NETWORKS)
    wrong = [one for one in found if not _is_network(one)]
    if wrong:
        form.refuse(
            name,
            N_("No address and no range of IPv4 or IPv6: %(which)s."),
            which=", ".join(wrong[:5]),
        )
    return found


def _is_network(text: str) -> bool:
    try:
        read_networks([text])
    except BadNetwork:
        return False
    return True


def quota_meters(shown: Mapping[str, Any], language: Language) -> list[Meter]:
    """How full a store or a bucket is, where it has limits."""
    quota, found = shown["quota"], []
    for what, words in (("bytes", N_("Bytes")), ("objects", N_("Objects"))):
        limit = quota.get(f"hard_{what}")
        if not limit:
            continue
        say = language.size if what == "bytes" else language.number
        told = language("%(held)s of %(limit)s", held=say(shown[what]), limit=say(limit))
        warn = quota.get(f"warn_{what}")
        found.append(Meter(language(words), shown[what], limit, warn, told))
    return found


def read_quota(form: Form) -> dict[str, int]:
    """Limits as they were typed; 0 is none."""
    return {
        name: form.size(name) if name.endswith("bytes") else form.whole(name) for name in QUOTAS
    }


def typed_quota(quota: Mapping[str, int | None], language: Language) -> dict[str, str]:
    """Limits as somebody would type them: exactly, with a unit where it is whole."""
    return {
        name: _typed_size(quota.get(name) or 0, language)
        if name.endswith("bytes")
        else str(quota.get(name) or 0)
        for name in QUOTAS
    }


def _typed_size(size: int, language: Language) -> str:
    unit = "o" if language.code == "fr" else "B"
    for step, middle in ((1024, "i"), (1000, "")):
        power, left = 0, size
        while left and left % step == 0 and power < len(_STEPS) - 1:
            power, left = power + 1, left // step
        if power >= 2:
            letter = _STEPS[power]
            return f"{left} {letter}{middle}{unit}"
    return str(size)
