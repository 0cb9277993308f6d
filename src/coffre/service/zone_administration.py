"""What an operator asks of a zone's machine: the doctor, the certificate of HTTPS, a backup of root
keys, a verification. All operations raise Invalid.

What takes long runs in a thread, or (`verify.run`) in a process of its own: this one commits.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from coffre.config import Settings
from coffre.service import tls
from coffre.service.doctor import Running, examine
from coffre.service.invalid import Invalid
from coffre.service.key_files import back_up_bytes
from coffre.service.layout import StartRefused
from coffre.service.named import check_whole
from coffre.service.node import Node, NoStewards
from coffre.service.verifying import verify_beside
from coffre.service.zone import World

Answer = dict[str, Any]
_FINDINGS: Final = 1000


class ZoneAdministration:
    """The machine under a node that serves."""

    def __init__(self, node: Node, settings: Settings, world: World) -> None:
        self._node = node
        self._settings = settings
        self._world = world
        self._verifying = False

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "tls.show": self.show_tls,
            "tls.renew": self.renew_tls,
            "tls.authority": self.authority,
            "key.backup": self.back_up,
            "verify.run": self.verify,
        }

    async def examine(self, status: Mapping[str, Any]) -> Answer:
        """What `coffre doctor` says of the node beside itself; `status` is what it tells."""
        running = Running(
            status,
            self._node.drive_list(),
            await self._node.operations["key.check"](),
            await self._stewards(),
            await self._node.operations["snapshot.list"](),
            await self._follower(),
        )
        checks = await asyncio.to_thread(examine, self._settings, self._world, running)
        told = msgspec.to_builtins(checks)
        return {"ok": not any(one["verdict"] == "bad" for one in told), "checks": told}

    async def _stewards(self) -> list[dict[str, Any]]:
        try:
            stewards: list[dict[str, Any]] = await self._node.ask_stewards("steward.list", {})
        except NoStewards:
            return []
        return stewards

    async def _follower(self) -> Any:
        try:
            return await self._node.operations["follower.status"]()
        except Invalid:
            return None

    async def show_tls(self) -> Answer:
        """The certificate that serves: names, issuer, end."""
        try:
            return await asyncio.to_thread(tls.facts, self._settings)
        except StartRefused as refused:
            raise Invalid("BadCertificate", str(refused)) from refused

    async def renew_tls(self, authority: bool = False) -> Answer:
        """Another server certificate now, which every process takes by itself; `authority`: by
        another authority, which clients must be given anew."""
        settings = self._settings
        if not tls.is_local(settings):
            raise Invalid(
                "OwnCertificate",
                f"{settings.tls_certificate} is your own: put another in its place, and the node"
                " takes it by itself",
            )
        try:
            await asyncio.to_thread(tls.certify, settings, renew=True, replace=authority)
        except StartRefused as refused:
            raise Invalid("BadCertificate", str(refused)) from refused
        return await self.show_tls()

    async def authority(self) -> Answer:
        """The local authority's certificate, as clients must be given it."""
        if not tls.is_local(self._settings):
            raise Invalid("OwnCertificate", "the certificate is your own: so is its authority")
        path = tls.authority_file(self._settings)
        try:
            return {"pem": await asyncio.to_thread(path.read_text)}
        except OSError as error:
            raise Invalid("Unavailable", f"{path} cannot be read: {error.strerror}") from error

    async def back_up(self, passphrase: str) -> Answer:
        """All root keys, encrypted with a passphrase: `content` is the file, in base64."""
        try:
            data, made = await asyncio.to_thread(
                back_up_bytes, self._settings, self._world, passphrase
            )
        except StartRefused as refused:
            raise Invalid("InvalidArgument", str(refused), "passphrase") from refused
        content = base64.b64encode(data).decode()
        return {"content": content, "keys": list(made.keys), "made_ms": made.made_ms}

    async def verify(self, deep: bool = False, rate_mib: int = 100) -> Answer:
        """Compare catalog, chunks and counters both ways, as `coffre verify` beside a node that
        serves; `deep`: read every byte, `rate_mib` MiB a second at most. One at a time."""
        check_whole("rate_mib", rate_mib, 1, 1 << 20, "MiB a second")
        if self._verifying:
            raise Invalid("VerifyRuns", "a verification runs already: wait for it")
        self._verifying = True
        try:
            verdict = await verify_beside(
                self._settings, self._node.drive_list(), deep=deep, rate_mib=rate_mib
            )
        finally:
            self._verifying = False
        told: Answer = msgspec.to_builtins(verdict)
        told["findings_left_out"] = max(0, len(verdict.findings) - _FINDINGS)
        told["findings"] = told["findings"][:_FINDINGS]
        return told
