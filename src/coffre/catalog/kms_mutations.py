"""Mutations of stores' key services: keys are made, rotated, disabled and enabled.

They are part of `coffre.catalog.mutations`, which says what a mutation is.
"""

from __future__ import annotations

from msgspec import Struct

from coffre.catalog.records import KmsVersion


class CreateKmsKey(Struct, frozen=True, tag=True):
    """A key of a store's key service. Refused: NoSuchStore, KmsKeyAlreadyExists (its alias)."""

    store_id: bytes
    id: str
    alias: str
    backend: str
    version: KmsVersion


class RotateKmsKey(Struct, frozen=True, tag=True):
    """One more version for a key that has `after` by now. Refused: NoSuchKmsKey, OperationAborted
    (it has more)."""

    store_id: bytes
    id: str
    version: KmsVersion
    after: int


class SetKmsKey(Struct, frozen=True, tag=True):
    """Refused: NoSuchKmsKey."""

    store_id: bytes
    id: str
    enabled: bool


KmsMutation = CreateKmsKey | RotateKmsKey | SetKmsKey
