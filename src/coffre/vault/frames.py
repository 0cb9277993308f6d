"""Frames: 64 KiB of a blob's plaintext sealed with AES-256-GCM under the blob's own key.

The nonce is the frame number (the key is never used for another blob). The associated data name
the blob, the frame number, whether it is the last frame, and the store key: a frame put in another
frame's place, or a blob cut short at a frame's edge, does not open. Where the frame lies is not
among them, so ciphertext moves between chunks unopened.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coffre.system.buffer import Buffer
from coffre.vault.records import FRAME_BYTES, TAG_BYTES

SEALED_FRAME_BYTES = FRAME_BYTES + TAG_BYTES


class BadFrame(Exception):
    """A frame's tag is wrong: these are not the bytes that were written."""


class FrameCipher:
    """Seals and opens the frames of one blob. `blob_key` is 32 bytes."""

    def __init__(self, blob_id: bytes, key_id: bytes, blob_key: bytes) -> None:
        self._blob_id = blob_id
        self._key_id = key_id
        self._cipher = AESGCM(blob_key)

    def _associated(self, number: int, last: bool) -> bytes:
        return self._blob_id + number.to_bytes(8, "big") + bytes((last,)) + self._key_id

    def seal(self, number: int, plaintext: Buffer, last: bool) -> bytes:
        """Ciphertext and tag: 16 bytes more than the plaintext."""
        nonce = number.to_bytes(12, "big")
        return self._cipher.encrypt(nonce, plaintext, self._associated(number, last))

    def seal_into(self, number: int, plaintext: Buffer, last: bool, out: memoryview) -> None:
        """`seal` into `out`, which is exactly 16 bytes longer than the plaintext."""
        nonce = number.to_bytes(12, "big")
        self._cipher.encrypt_into(nonce, plaintext, self._associated(number, last), out)

    def open_into(self, number: int, sealed: Buffer, last: bool, out: memoryview) -> None:
        """Put the plaintext into `out`, which is exactly 16 bytes shorter. Raises BadFrame."""
        nonce = number.to_bytes(12, "big")
        try:
            self._cipher.decrypt_into(nonce, sealed, self._associated(number, last), out)
        except InvalidTag as error:
            raise BadFrame(f"frame {number} of blob {self._blob_id.hex()}") from error
