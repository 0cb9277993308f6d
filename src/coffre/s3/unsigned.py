"""Which store a request is about that nobody signed.

A host may name it (`<store>.<base>`), or the header `x-emc-namespace`. Else a bucket's name has to
do: it is
looked for in the default store first, so that no other store can take the name's place there, then
in all: what only one store has is meant. A signature says more than this, so this is not for those.
"""

from __future__ import annotations

from typing import Final

from coffre.catalog.records import Store
from coffre.s3.services import Services
from coffre.wire.request import RequestHead
from coffre.wire.target import Target

NAMESPACE: Final = b"x-emc-namespace"


def store_of(services: Services, head: RequestHead, target: Target) -> Store | None:
    """The store that an unsigned request is about; None where nothing says.

    A bucket that no store or more than one has is the default store's to miss.
    """
    reader = services.reader
    named = target.store or head.header(NAMESPACE)
    if named is not None:
        return reader.store_named(named)
    if target.bucket is None:
        return None
    default = reader.store_named(services.settings.default_store)
    if default is not None and reader.bucket(default.id, target.bucket) is not None:
        return default
    found = reader.only_bucket_named(target.bucket)
    return default if found is None else reader.store(found.store_id)
