"""The access generation: a number in shared memory that rises whenever a right may have changed.

The committer raises it after COMMIT of any group that changed tenants, people, stores, users, keys,
buckets or their documents, and before it answers; a worker compares it at each request and forgets
what it had read of them when it differs. So a revoked key or a deleted bucket is noticed by the
very next request, and a request pays one memory read for that instead of three statements.

File `generation` in the data folder: 8 bytes, native order, mapped by all processes. It means
nothing beyond a run: a committer raises it when it starts.
"""

from __future__ import annotations

import mmap
import os
import struct

from coffre.catalog import mutations as m
from coffre.catalog.annotation_mutations import (
    DeleteAnnotation,
    OwnBytes,
    PutAnnotation,
    SetEncryption,
)
from coffre.catalog.audit_mutations import RecordAudit
from coffre.catalog.ecs_mutations import RemoveSearch, SetRetention
from coffre.catalog.event_mutations import ForgetEvents
from coffre.catalog.lifecycle_mutations import ExpireDue, JudgeVersions
from coffre.catalog.trail_mutations import PackAudit, RemoveAudit
from coffre.catalog.usage_mutations import CountRequests

GENERATION_BYTES = 8
_NUMBER = struct.Struct("@Q")
# What workers cache nothing of. All other mutations raise the generation.
_QUIET = (
    m.PutVersion,
    m.CopyVersion,
    m.DeleteVersion,
    m.SetTags,
    SetRetention,
    m.SetAcl,
    PutAnnotation,
    DeleteAnnotation,
    OwnBytes,
    SetEncryption,
    m.CreateUpload,
    m.PutPart,
    m.CompleteUpload,
    m.AbortUpload,
    m.ReserveChunk,
    m.OpenLanding,
    m.CloseChunk,
    m.ReplaceMember,
    m.SealChunk,
    m.CountDead,
    m.MoveBlob,
    m.MeasureChunk,
    m.CondemnChunk,
    m.ForgetChunk,
    m.ReapOrphans,
    RemoveSearch,
    JudgeVersions,
    ExpireDue,
    m.ForgetCompletions,
    ForgetEvents,
    RecordAudit,
    PackAudit,
    RemoveAudit,
    CountRequests,
)


def changes_rights(mutation: m.Mutation) -> bool:
    """May it change something that workers cache?"""
    return not isinstance(mutation, _QUIET)


class Generation:
    """The mapped number. One process raises it, the others read it."""

    def __init__(self, path: str) -> None:
        """Map the file, made (mode 0600) if it is missing. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # All of it: a page that finds no space when it is touched ends the process.
            os.posix_fallocate(descriptor, 0, GENERATION_BYTES)
            self._map = mmap.mmap(descriptor, GENERATION_BYTES)
        finally:
            os.close(descriptor)

    def __call__(self) -> int:
        """The number now."""
        number: int = _NUMBER.unpack_from(self._map)[0]
        return number

    def rise(self) -> None:
        """Tell everybody to look again. An aligned 8-byte store: no reader sees half of it."""
        _NUMBER.pack_into(self._map, 0, self() + 1)
