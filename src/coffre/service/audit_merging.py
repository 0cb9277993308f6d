"""The process that merges segments of the audit: it may need much memory, which goes with it.

Arguments: the descriptors of the segments' files. Out: a packed `trail_records.SegmentFile`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from coffre.catalog.trail_records import SegmentFile
from coffre.ledger.segments import memory_file, merge_files
from coffre.service.lineage import die_with_parent

# Clients come first.
_NICE: Final = 10
_decode: Final = msgspec.msgpack.Decoder(SegmentFile).decode


class MergeFailed(OSError):
    """The process ended without an answer: it found no memory, or was killed."""


async def merge(contents: Sequence[bytes]) -> SegmentFile:
    """One segment of several, by their files' bytes. Raises MergeFailed."""
    files = [memory_file(one) for one in contents]
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            str(os.getpid()),
            *map(str, files),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=files,
        )
        try:
            answer, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    finally:
        for file in files:
            os.close(file)
    if process.returncode:
        reason = said.decode(errors="replace").strip().splitlines()
        raise MergeFailed(f"segments are not merged: {reason[-1] if reason else 'killed'}")
    return _decode(answer)


def main() -> None:
    """Merge, answer, end."""
    die_with_parent(int(sys.argv[1]))
    os.nice(_NICE)
    made = merge_files([int(one) for one in sys.argv[2:]])
    sys.stdout.buffer.write(msgspec.msgpack.encode(made))
    sys.stdout.buffer.flush()
    # DuckDB has nothing to put away.
    os._exit(0)


if __name__ == "__main__":
    main()
