"""Where programs reach a store."""

from __future__ import annotations

from msgspec import Struct

from coffre.console.parts import Parts


class Endpoint(Struct, frozen=True):
    """An origin of a store in a zone. `virtual`: the store is in its name, and buckets may be, too;
    else a key alone says whose store is meant."""

    zone: str
    region: str
    url: str
    secure: bool
    virtual: bool


def origins(parts: Parts, store: str) -> list[Endpoint]:
    """The addresses of a store, the first one for whoever begins. Where stores' own names do not
    resolve, the base is meant, which answers for every store."""
    facts, found = parts.facts, []
    host = f"{store}.{facts['base']}" if facts["names"] else facts["base"]
    for scheme, usual in (("http", 80), ("https", 443)):
        if port := facts[scheme]:
            origin = f"{scheme}://{host}{'' if port == usual else f':{port}'}"
            secure, virtual = scheme == "https", bool(facts["names"])
            found.append(Endpoint(parts.zone, parts.region, origin, secure, virtual))
    return found
