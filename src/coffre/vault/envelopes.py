"""Envelopes: data keys sealed by a key that has versions, bound to a context.

An envelope is the number of the key's version (4 bytes, big-endian), a nonce of 12 random bytes,
and AES-256-GCM over the data key with the context as associated data.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coffre.vault.keys import WrongKey

NONCE_BYTES: Final = 12
_VERSION_BYTES: Final = 4


def seal(version: int, material: bytes, nonce: bytes, data_key: bytes, context: bytes) -> bytes:
    """An envelope under version `version` of a key, whose 32 bytes are `material`."""
    sealed = AESGCM(material).encrypt(nonce, data_key, context)
    return version.to_bytes(_VERSION_BYTES, "big") + nonce + sealed


def version_of(envelope: bytes) -> int:
    """The number of the key's version that an envelope was sealed with."""
    return int.from_bytes(envelope[:_VERSION_BYTES], "big")


def unseal(material: bytes, envelope: bytes, context: bytes) -> bytes:
    """The data key. Raises WrongKey for another key, context or altered envelope."""
    rest = envelope[_VERSION_BYTES:]
    try:
        return AESGCM(material).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as error:
        raise WrongKey("the envelope does not open with this key and context") from error
