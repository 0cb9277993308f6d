"""The client: its groups of calls. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import UNSET, UnsetType

from coffre.client.calls.activity import ActivityCalls
from coffre.client.calls.alert import AlertCalls
from coffre.client.calls.audit import AuditCalls
from coffre.client.calls.bill import BillCalls
from coffre.client.calls.bucket import BucketCalls
from coffre.client.calls.clock import ClockCalls
from coffre.client.calls.doctor import DoctorCalls
from coffre.client.calls.drive import DriveCalls
from coffre.client.calls.follower import FollowerCalls
from coffre.client.calls.iam import IamCalls
from coffre.client.calls.key import KeyCalls
from coffre.client.calls.kms import KmsCalls
from coffre.client.calls.lifecycle import LifecycleCalls
from coffre.client.calls.me import MeCalls
from coffre.client.calls.metrics import MetricsCalls
from coffre.client.calls.node import NodeCalls
from coffre.client.calls.object import ObjectCalls
from coffre.client.calls.person import PersonCalls
from coffre.client.calls.policy import PolicyCalls
from coffre.client.calls.price import PriceCalls
from coffre.client.calls.repair import RepairCalls
from coffre.client.calls.seal import SealCalls
from coffre.client.calls.sla import SlaCalls
from coffre.client.calls.snapshot import SnapshotCalls
from coffre.client.calls.steward import StewardCalls
from coffre.client.calls.store import StoreCalls
from coffre.client.calls.tenant import TenantCalls
from coffre.client.calls.tls import TlsCalls
from coffre.client.calls.token import TokenCalls
from coffre.client.calls.upload import UploadCalls
from coffre.client.calls.usage import UsageCalls
from coffre.client.calls.user import UserCalls
from coffre.client.calls.verify import VerifyCalls
from coffre.client.transport import Transport, located
from coffre.client.types.activities import Activity
from coffre.client.types.machine import Presigned
from coffre.client.types.system import Status


class Client:
    """The management API of one node."""

    def __init__(
        self,
        origin: str,
        *,
        token: str = "",
        token_file: str | Path | None = None,
        ca_file: str | Path | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """As `Transport`."""
        self._transport = Transport(
            origin, token=token, token_file=token_file, ca_file=ca_file, timeout_s=timeout_s
        )
        self.activity = ActivityCalls(self._transport)
        self.alert = AlertCalls(self._transport)
        self.audit = AuditCalls(self._transport)
        self.bill = BillCalls(self._transport)
        self.bucket = BucketCalls(self._transport)
        self.clock = ClockCalls(self._transport)
        self.doctor = DoctorCalls(self._transport)
        self.drive = DriveCalls(self._transport)
        self.follower = FollowerCalls(self._transport)
        self.iam = IamCalls(self._transport)
        self.key = KeyCalls(self._transport)
        self.kms = KmsCalls(self._transport)
        self.lifecycle = LifecycleCalls(self._transport)
        self.me = MeCalls(self._transport)
        self.metrics = MetricsCalls(self._transport)
        self.node = NodeCalls(self._transport)
        self.object = ObjectCalls(self._transport)
        self.person = PersonCalls(self._transport)
        self.policy = PolicyCalls(self._transport)
        self.price = PriceCalls(self._transport)
        self.repair = RepairCalls(self._transport)
        self.seal = SealCalls(self._transport)
        self.sla = SlaCalls(self._transport)
        self.snapshot = SnapshotCalls(self._transport)
        self.steward = StewardCalls(self._transport)
        self.store = StoreCalls(self._transport)
        self.tenant = TenantCalls(self._transport)
        self.tls = TlsCalls(self._transport)
        self.token = TokenCalls(self._transport)
        self.upload = UploadCalls(self._transport)
        self.usage = UsageCalls(self._transport)
        self.user = UserCalls(self._transport)
        self.verify = VerifyCalls(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave; the next call connects again."""
        self._transport.close()

    def wait(self, activity: Activity, timeout_s: float = 3600.0) -> Activity:
        """Poll an activity until it ends. Raises ApiError where it failed, TimeoutError."""
        return msgspec.convert(self._transport.ended(activity.id, timeout_s), Activity)

    def status(
        self,
    ) -> Status:
        """How the node, its drives and its data are."""
        return self._transport.value("GET", located("status"), Status)

    def presign(
        self,
        *,
        access_key: str,
        method: str,
        endpoint: str,
        bucket: str,
        key: str,
        region: str,
        expires_s: int,
        virtual: bool | UnsetType = UNSET,
        version_id: str | UnsetType = UNSET,
    ) -> Presigned:
        """A URL in the name of a storage account. People's own links: an object's `links`."""
        return self._transport.value(
            "POST",
            located("presign"),
            Presigned,
            {
                "access_key": access_key,
                "method": method,
                "endpoint": endpoint,
                "bucket": bucket,
                "key": key,
                "region": region,
                "expires_s": expires_s,
                "virtual": virtual,
                "version_id": version_id,
            },
        )
