"""Calls of the management API: key. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from coffre.client.transport import Transport, located
from coffre.client.types.activities import Activity
from coffre.client.types.machine import KeyBackup, RootKeys


class KeyCalls:
    """Operations `key.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def check(
        self,
    ) -> RootKeys:
        """Does root.key open everything?"""
        return self._transport.value("GET", located("root-keys"), RootKeys)

    def rotate(
        self,
    ) -> Activity:
        """Another root key becomes the current one."""
        return self._transport.value("POST", located("root-keys", "rotate"), Activity)

    def prune(
        self,
    ) -> Activity:
        """Older root keys that nothing names go out of root.key."""
        return self._transport.value("POST", located("root-keys", "prune"), Activity)

    def backup(self, *, passphrase: str) -> KeyBackup:
        """All root keys, encrypted with a passphrase."""
        return self._transport.value(
            "POST", located("root-keys", "backup"), KeyBackup, {"passphrase": passphrase}
        )
