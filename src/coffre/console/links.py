"""Share links: one request for one object, signed in the name of the person who shares it.

The session behind a link is bounded to that object and that action by a policy of its own: whoever
takes the link apart can do nothing else with its parts.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
import segno
from msgspec import Struct
from segno.encoder import DataOverflowError

from coffre.catalog.records import Store
from coffre.console.names import key_bytes
from coffre.iam.sessions import Session, Sessions
from coffre.wire.presign import Asked, Credentials, presigned_url

Purpose = Literal["GET", "PUT"]
# AWS's most, of Signature Version 4: a week.
TIMES_S: Final = (3600, 86_400, 3 * 86_400, 7 * 86_400)
_ACTIONS: Final[dict[Purpose, list[str]]] = {
    "GET": ["s3:GetObject", "s3:GetObjectVersion"],
    "PUT": ["s3:PutObject"],
}
# What a policy would take for more than itself.
_LITERAL: Final = str.maketrans({"*": "${*}", "?": "${?}", "$": "${$}"})


class Shared(Struct, frozen=True, kw_only=True):
    """What is shared: the object in its store, as the store's own `endpoint` (an origin) has it."""

    store: Store
    bucket: str
    key: str
    version: str = ""
    purpose: Purpose
    expires_s: int
    endpoint: str
    region: str


def share_link(sessions: Sessions, person: str, shared: Shared, now_ms: int) -> str:
    """The URL. Raises ValueError for a time, an endpoint or a region that no signature may have."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": _ACTIONS[shared.purpose],
                "Resource": f"arn:aws:s3:::{shared.bucket}/{shared.key.translate(_LITERAL)}",
            }
        ],
    }
    session = Session(
        store_id=shared.store.id,
        key="",
        role_id="",
        name=person,
        issued_ms=now_ms,
        expires_ms=now_ms + shared.expires_s * 1000,
        policies=(msgspec.json.encode(policy),),
        person=True,
    )
    made = sessions.start(session)
    asked = Asked(
        shared.purpose,
        shared.endpoint,
        shared.bucket,
        key_bytes(shared.key),
        shared.region,
        shared.expires_s,
        version_id=shared.version,
    )
    return presigned_url(asked, Credentials(made.access_key, made.secret, made.token), now_ms)


def drawing(address: str) -> str:
    """The address as a QR code: an SVG in a `data:` URL; "" where it is too long for any."""
    try:
        code = segno.make_qr(address, error="l")
    except DataOverflowError:
        return ""
    return code.svg_data_uri(border=2, encode_minimal=True, omitsize=True)
