"""The inventory: reports of what a bucket holds, put into another as its owner configured it.

A report is some files of rows, and a manifest that names them with its checksum, laid out as AWS
lays them out. It is no snapshot: objects that change while it is made are in it as they were when
it came to them.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.parse import quote_plus

from coffre.catalog.deposit import Deposit
from coffre.catalog.interface import Reader
from coffre.catalog.mutations import Refusal
from coffre.catalog.records import Bucket, ListedVersion, ObjectLock, Version
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy

log = logging.getLogger("coffre.inventory")

ROUND_S = 60.0
FAMILY = "inventory"
_DAY_MS = 24 * 3600 * 1000
_PAGE = 1000
_BUCKETS = 1000


class Plan(Protocol):
    """What a report is to be: as `coffre.wire.inventory.InventoryRules` says it."""

    @property
    def id(self) -> str: ...

    @property
    def enabled(self) -> bool: ...

    @property
    def target(self) -> str: ...

    @property
    def format(self) -> str: ...

    @property
    def folder(self) -> str: ...

    @property
    def prefix(self) -> str: ...

    @property
    def all_versions(self) -> bool: ...

    @property
    def fields(self) -> tuple[str, ...]: ...

    @property
    def weekly(self) -> bool: ...


class Memory(Protocol):
    """What was done, kept across restarts."""

    def progress(self, name: str) -> bytes | None: ...

    def set_progress(self, name: str, value: bytes) -> None: ...


class Inventory(Steward):
    """Makes the reports that are due. A file has at most `file_bytes` of rows; `to_parquet` makes a
    Parquet file of columns (name, is it a number) and CSV rows."""

    name = "inventory"

    def __init__(
        self,
        reader: Reader,
        deposit: Deposit,
        clock: Clock,
        entropy: Entropy,
        memory: Memory,
        plan: Callable[[bytes], Plan],
        to_parquet: Callable[[list[str], bytes], bytes],
        file_bytes: int,
    ) -> None:
        self._reader = reader
        self._deposit = deposit
        self._clock = clock
        self._entropy = entropy
        self._memory = memory
        self._plan = plan
        self._to_parquet = to_parquet
        self._file_bytes = file_bytes
        self._now = False

    def hasten(self) -> None:
        """Make every report now, due or not."""
        self._now = True

    async def round(self) -> Round:
        """Make the reports that are due."""
        everything, self._now = self._now, False
        made = 0
        for bucket in self._reader.inventoried(after=b"", limit=_BUCKETS):
            for identity, kept in self._reader.bucket_documents(
                bucket.id, FAMILY, after="", limit=_BUCKETS
            ):
                plan = self._plan(kept)
                mark = f"inventory:{bucket.id.hex()}:{identity}"
                now_ms = self._clock.now_ms()
                period = str(now_ms // _DAY_MS // (7 if plan.weekly else 1)).encode()
                due = everything or self._memory.progress(mark) != period
                target = self._reader.bucket(bucket.store_id, plan.target)
                usable = target is not None and target.owner_id == bucket.owner_id
                if not (plan.enabled and due and usable):
                    continue
                assert target is not None, "it is usable"
                try:
                    await self._report(bucket, target, plan, now_ms)
                except Refusal as refusal:
                    log.warning("no inventory %s of %s: %s", identity, bucket.name, refusal)
                    continue
                self._memory.set_progress(mark, period)
                made += 1
        result = f"made {made} reports" if made else ""
        return Round(made, 0, "reports", 0, result, ROUND_S)

    async def _report(self, bucket: Bucket, target: Bucket, plan: Plan, now_ms: int) -> None:
        columns = _columns(plan)
        folder = "/".join(part for part in (plan.folder.rstrip("/"), bucket.name, plan.id) if part)
        files = []
        for rows in self._files(bucket, plan, columns):
            parquet = plan.format == "Parquet"
            body = self._to_parquet(columns, rows) if parquet else gzip.compress(rows, mtime=0)
            end, kind = ("parquet", "octet-stream") if parquet else ("csv.gz", "gzip")
            key = f"{folder}/data/{_unique(self._entropy)}.{end}"
            await self._deposit.put(target, key.encode(), body, f"application/{kind}")
            digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
            files.append({"key": key, "size": len(body), "MD5checksum": digest})
        manifest = json.dumps(
            {
                "sourceBucket": bucket.name,
                "destinationBucket": f"arn:aws:s3:::{target.name}",
                "version": "2016-11-30",
                "creationTimestamp": str(now_ms),
                "fileFormat": plan.format,
                "fileSchema": ", ".join(columns),
                "files": files,
            }
        ).encode()
        at = time.strftime("%Y-%m-%dT%H-%MZ", time.gmtime(now_ms // 1000))
        checksum = hashlib.md5(manifest, usedforsecurity=False).hexdigest().encode()
        place = f"{folder}/{at}"
        await self._deposit.put(
            target, f"{place}/manifest.json".encode(), manifest, "application/json"
        )
        await self._deposit.put(
            target, f"{place}/manifest.checksum".encode(), checksum, "text/plain"
        )

    def _files(self, bucket: Bucket, plan: Plan, columns: list[str]) -> Iterator[bytes]:
        """Rows as CSV, so many at a time as a file has."""
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for one in self._versions(bucket, plan):
            stored = None
            if not one.marker and not _STORED.keys().isdisjoint(columns):
                stored = self._reader.version(bucket, one.key, one.version_id)
            writer.writerow(_cell(bucket, one, stored, name) for name in columns)
            # Names are ASCII by now: a character is a byte.
            if text.tell() >= self._file_bytes:
                yield text.getvalue().encode()
                text.seek(0)
                text.truncate()
        if text.tell():
            yield text.getvalue().encode()

    def _versions(self, bucket: Bucket, plan: Plan) -> Iterator[ListedVersion]:
        after_key, after_version = b"", None
        while True:
            page = self._reader.list_versions(
                bucket,
                prefix=plan.prefix.encode(),
                delimiter=b"",
                after_key=after_key,
                after_version=after_version,
                limit=_PAGE,
            )
            for one in page.versions:
                if plan.all_versions or (one.latest and not one.marker):
                    yield one
            if not page.truncated:
                return
            after_key, after_version = page.next_key, page.next_version


def _columns(plan: Plan) -> list[str]:
    versions = ("VersionId", "IsLatest", "IsDeleteMarker") if plan.all_versions else ()
    return ["Bucket", "Key", *versions, *plan.fields]


def _time(ms: int) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000))
    return f"{at}.{ms % 1000:03d}Z"


def _flag(value: bool) -> str:
    return "true" if value else "false"


_CELLS: dict[str, Callable[[Bucket, ListedVersion], str]] = {
    "Bucket": lambda bucket, _: bucket.name,
    "Key": lambda _, one: quote_plus(one.key, safe="/"),
    "VersionId": lambda _, one: one.version_id.hex(),
    "IsLatest": lambda _, one: _flag(one.latest),
    "IsDeleteMarker": lambda _, one: _flag(one.marker),
    "Size": lambda _, one: "" if one.marker else str(one.size),
    "LastModifiedDate": lambda _, one: _time(one.modified_ms),
    "ETag": lambda _, one: one.etag,
    "StorageClass": lambda _, one: "" if one.marker else one.storage_class,
    "IsMultipartUploaded": lambda _, one: "" if one.marker else _flag("-" in one.etag),
    "ReplicationStatus": lambda _, one: "",
    "IntelligentTieringAccessTier": lambda _, one: "",
    "ChecksumAlgorithm": lambda _, one: one.checksum.algorithm if one.checksum else "",
    "ObjectOwner": lambda _, one: one.owner_id,
}


def _encryption(version: Version) -> str:
    kept = version.encryption
    return "SSE-S3" if kept is None else "SSE-C" if kept.kms is None else "SSE-KMS"


def _has_bucket_key(version: Version) -> bool:
    kept = version.encryption
    return bool(kept and kept.kms and kept.kms.bucket_key)


def _lock(version: Version) -> ObjectLock:
    return version.lock or ObjectLock()


def _until(lock: ObjectLock) -> str:
    return "" if lock.retention is None else _time(lock.retention.until_ms)


# What listings do not tell. A version that is gone by now has no cell here, as a marker has none.
_STORED: dict[str, Callable[[Version], str]] = {
    "EncryptionStatus": _encryption,
    "ObjectLockRetainUntilDate": lambda one: _until(_lock(one)),
    "ObjectLockMode": lambda one: kept.mode if (kept := _lock(one).retention) else "",
    "ObjectLockLegalHoldStatus": lambda one: "ON" if _lock(one).held else "OFF",
    "BucketKeyStatus": lambda one: "ENABLED" if _has_bucket_key(one) else "DISABLED",
}


def _cell(bucket: Bucket, one: ListedVersion, stored: Version | None, column: str) -> str:
    if column in _STORED:
        return "" if stored is None else _STORED[column](stored)
    return _CELLS[column](bucket, one)


def _unique(entropy: Entropy) -> str:
    text = entropy.bytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
