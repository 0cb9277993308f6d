"""For tests of the audit's trail: a zone in memory whose records are packed and merged as told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from coffre.catalog.audit_mutations import RecordAudit
from coffre.catalog.audit_records import AuditRecord, encode_record
from coffre.catalog.trail_mutations import FoundAudit
from coffre.catalog.trail_records import SegmentFile
from coffre.ledger.segments import memory_file, merge_files
from coffre.ledger.trail import AuditTrail
from coffre.service.auditing import pack
from coffre.stewards.auditor import Auditor
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.testing.server import MemoryEngine
from coffre.vault.interface import Vault


async def merge_here(contents: Sequence[bytes]) -> SegmentFile:
    """As `service.audit_merging.merge`, in this process."""
    return merge_files([memory_file(one) for one in contents])


class MemoryTrail:
    """Records, the auditor that packs them, and who reads them."""

    def __init__(self, keep_days: int = 0) -> None:
        self.clock = ManualClock()
        self.engine = MemoryEngine(clock=self.clock, entropy=SeededEntropy(1))
        self.catalog = self.engine.catalog
        vault: Vault = self.engine.services.vault
        open_key = partial(self.engine.services.keyring.data_key, self.catalog)
        self.trail = AuditTrail(self.catalog, vault, open_key, threads=1)
        self.auditor = Auditor(
            self.catalog,
            self.catalog,
            vault,
            open_key,
            self.clock,
            self.engine.entropy,
            1,
            found=self._founding,
            pack=pack,
            merge=merge_here,
            content=self.trail.content,
            keep_days=keep_days,
        )

    async def write(self, records: Iterable[AuditRecord]) -> None:
        """One batch."""
        encoded = tuple(encode_record(one) for one in records)
        if encoded:
            await self.catalog.commit(RecordAudit(encoded))

    async def pack(self) -> None:
        """Pack all that waits."""
        self.auditor.hasten()
        await self.auditor.round()

    def _founding(self) -> FoundAudit:
        root_key = self.engine.root_keys
        wrapped = root_key.wrap(self.engine.entropy.bytes(32))
        return FoundAudit(b"audit key".ljust(16), root_key.id, wrapped, "us-east-1")
