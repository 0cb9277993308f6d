"""One-time codes (TOTP, RFC 6238: six digits, 30 seconds, SHA-1).

A code is taken once: whoever looks over a shoulder cannot use it again. Clocks may differ by one
step.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from typing import Final

import pyotp

from coffre.catalog.people_records import Person
from coffre.console.kept import Kept
from coffre.console.parts import Parts
from coffre.system.entropy import Entropy

STEP_S: Final = 30
_SECRET_BYTES: Final = 20
_AROUND: Final = (0, -1, 1)


def new_secret(entropy: Entropy) -> bytes:
    """What makes codes."""
    return entropy.bytes(_SECRET_BYTES)


def setup_address(secret: bytes, name: str, issuer: str) -> str:
    """What authenticator programs read (`otpauth://`)."""
    return pyotp.TOTP(b32encode(secret).decode()).provisioning_uri(name=name, issuer_name=issuer)


def matching_step(secret: bytes, code: str, now_s: int) -> int | None:
    """The step whose code it is, near now."""
    maker = pyotp.TOTP(b32encode(secret).decode())
    typed = "".join(code.split()).encode(errors="replace")
    found = None
    for around in _AROUND:
        step = now_s // STEP_S + around
        if hmac.compare_digest(maker.generate_otp(step).encode(), typed):
            found = step
    return found


class Codes:
    """The second half of signing in."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def are_asked(self, person: Person) -> bool:
        return person.secrets.codes is not None

    def take(self, person: Person, code: str) -> bool:
        """Whether the code is right, and was not used before."""
        sealed = person.secrets.codes
        secret = None
        if sealed is not None:
            secret = self._parts.sealer.unwrap(sealed.wrapped, sealed.root_key_id)
        return secret is not None and self.take_of(secret, person, code)

    def take_of(self, secret: bytes, person: Person, code: str) -> bool:
        """As `take`, with a secret that is not the person's yet."""
        now_ms = self._parts.clock.now_ms()
        step = matching_step(secret, code, now_ms // 1000)
        if step is None:
            return False
        key = hashlib.sha256(person.id + secret + step.to_bytes(8, "big")).digest()
        ends_ms = now_ms + 5 * STEP_S * 1000
        return self._parts.memory.add("used-code", Kept(key, person.id, ends_ms, b""))
