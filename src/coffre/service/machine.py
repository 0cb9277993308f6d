"""What the kernel says of the machine: its clock, file systems, devices and limits."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

from msgspec import Struct

# File systems of another machine, whose locks and syncs are not this kernel's own.
REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs"})
# File systems that end with the machine, or with the container.
FLEETING = frozenset({"tmpfs", "ramfs", "overlay"})
_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
_TIME_ERROR = 5


class FileSystem(Struct, frozen=True):
    """Where a folder lies: the device's number, the file system's type, is it read-only, and does
    its disk turn (None: not known)."""

    device: int
    kind: str
    read_only: bool
    rotating: bool | None

    @property
    def words(self) -> str:
        disk = {True: " on a turning disk", False: " on flash", None: ""}[self.rotating]
        return f"{self.kind}{disk}"


class KernelClock(Struct, frozen=True):
    """Is the clock kept right by something (NTP, PTP), its greatest error as the kernel has it, in
    seconds, and what it says."""

    kept: bool
    error_s: float
    now_ms: int


def file_system(path: str) -> FileSystem:
    """Raises OSError."""
    device = os.stat(path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return FileSystem(device, _kind(number), read_only, _rotating(number))


def _kind(number: str) -> str:
    """The type of the file system with this device number, from the kernel's list of mounts."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == number:
            return after.split()[0]
    return "unknown"


def _rotating(number: str) -> bool | None:
    device = Path(f"/sys/dev/block/{number}")
    for place in (device, device.resolve().parent):  # A partition has its disk's above it.
        try:
            return (place / "queue/rotational").read_text().strip() == "1"
        except OSError:
            continue
    return None


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), as far as it is read; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("max_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("fraction", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_clock() -> KernelClock | None:
    """What adjtimex(2) says, asked without changing anything; None where it may not be asked."""
    answer = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(answer))
    if state < 0:
        return None
    kept = state != _TIME_ERROR and not answer.status & _STA_UNSYNC
    in_a_ms = 1_000_000 if answer.status & _STA_NANO else 1_000
    now_ms = answer.seconds * 1000 + answer.fraction // in_a_ms
    return KernelClock(kept, answer.max_error / 1e6, now_ms)


def no_core_dumps() -> None:
    """A crash of this process and of those that it starts writes no memory, with keys in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
