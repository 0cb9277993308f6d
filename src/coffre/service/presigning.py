"""Presigned URLs by the node itself: it signs with a user's secret, which it shows to nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, get_args

from coffre.s3.keyring import Keyring
from coffre.service.invalid import Invalid
from coffre.service.named import check_choice
from coffre.service.node import Node
from coffre.wire.presign import METHODS, Asked, Credentials, Method, presigned_url

_METHODS: Final = dict(zip(METHODS, get_args(Method), strict=True))


def presign_operations(node: Node) -> Mapping[str, Callable[..., Awaitable[Any]]]:
    """The operations, by name. All raise Invalid."""

    async def presign(
        access_key: str,
        method: str,
        endpoint: str,
        bucket: str,
        key: str,
        region: str,
        expires_s: int,
        virtual: bool = False,
        version_id: str = "",
    ) -> dict[str, Any]:
        """A URL that does what the key's user may, until it expires."""
        check_choice("method", method, METHODS)
        now_ms = node.clock.now_ms()
        identity = node.reader.identity(access_key)
        if identity is None or not identity.key.active or identity.user.locked:
            raise Invalid("NoSuchKey", f"no key {access_key!r} signs now", "access_key")
        secrets = Keyring(node.root_keys).secrets(identity.key.secrets, now_ms)
        if not secrets:
            raise Invalid("NoSuchKey", f"the key {access_key!r} has ended", "access_key")
        raw = key.encode("utf-8", "surrogateescape")
        asked = Asked(
            _METHODS[method], endpoint, bucket, raw, region, expires_s, virtual, version_id
        )
        try:
            url = presigned_url(asked, Credentials(access_key, secrets[0]), now_ms)
        except ValueError as error:
            raise Invalid("InvalidArgument", str(error)) from error
        return {"url": url, "expires_ms": now_ms // 1000 * 1000 + expires_s * 1000}

    return {"presign": presign}
