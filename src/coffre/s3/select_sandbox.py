"""Locks a process in before it reads what a stranger wrote: no file, no socket, no other process.

Limits of resources (setrlimit), Landlock (no path opens any more; Linux 5.13) and a seccomp filter
(no socket, no other program; x86-64 and aarch64). What the kernel does not offer is left out: the
query engine itself is told to touch no file either.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
from struct import pack
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_SIGKILL: Final = 9

_FILES: Final = 64

# BPF: load a word of the call's data, compare, answer.
_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_HAS_BIT: Final = 0x45
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
_UNKNOWN: Final = 0x00050000 | errno.ENOSYS
_ARCH_AT: Final = 4
_NUMBER_AT: Final = 0
_FIRST_ARGUMENT_AT: Final = 16
_CLONE_THREAD: Final = 0x10000
_CLONE3: Final = 435
# Another numbering of the same calls (x32) begins here; aarch64 has none so high.
_X32: Final = 0x40000000

# machine -> (audit architecture, clone, calls that are refused): socket, socketpair, connect, bind,
# sendto, sendmsg, execve, execveat, fork, vfork, ptrace, process_vm_readv and _writev, kill,
# unshare, mount, io_uring_setup, bpf, unlink(at), rename(at, at2), open_by_handle_at
_CALLS: Final = {
    "x86_64": (
        0xC000003E,
        56,
        (
            *(41, 53, 42, 49, 44, 46, 59, 322, 57, 58, 101, 310, 311, 62, 272, 165, 425, 321),
            *(87, 263, 82, 264, 316, 304),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        220,
        (
            *(198, 199, 203, 200, 206, 211, 221, 281, 117, 270, 271, 129, 97, 40, 425, 280),
            *(35, 38, 276, 265),
        ),
    ),
}

_LANDLOCK_CREATE_RULESET: Final = 444
_LANDLOCK_RESTRICT_SELF: Final = 446
# What a version of Landlock can forbid: rights on files; TCP bind and connect since version 4.
_FILE_RIGHTS: Final = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 5: 0xFFFF}
_TCP_RIGHTS: Final = 0x3


def die_with_parent() -> None:
    """Whoever started this process takes it along."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def limit(*, memory_bytes: int, cpu_s: int, file_bytes: int) -> None:
    """Address space, processor time, bytes of a file; no core, few files open."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):
        resource.setrlimit(what, (most, most))


def lock_in() -> tuple[str, ...]:
    """Give up files, sockets and other processes for good; which of the two locks hold."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    held = (("landlock", _landlock(libc)), ("seccomp", _seccomp(libc)))
    return tuple(name for name, holds in held if holds)


def _landlock(libc: ctypes.CDLL) -> bool:
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    rights = max((known, bits) for known, bits in _FILE_RIGHTS.items() if known <= version)[1]
    asked = pack("QQ", rights, _TCP_RIGHTS) if version >= 4 else pack("Q", rights)
    rules = libc.syscall(_LANDLOCK_CREATE_RULESET, asked, len(asked), 0)
    if rules < 0:
        return False
    try:
        return int(libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0)) == 0
    finally:
        os.close(rules)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]


def _seccomp(libc: ctypes.CDLL) -> bool:
    known = _CALLS.get(platform.machine())
    if known is None:
        return False
    arch, clone, calls = known
    steps = [
        pack("HBBI", _LOAD, 0, 0, _ARCH_AT),
        pack("HBBI", _EQUAL, 1, 0, arch),
        pack("HBBI", _RETURN, 0, 0, _REFUSE),
        pack("HBBI", _LOAD, 0, 0, _NUMBER_AT),
        pack("HBBI", _AT_LEAST, 0, 1, _X32),
        pack("HBBI", _RETURN, 0, 0, _REFUSE),
        # What clone3 wants is out of sight: without it libraries take clone, for threads alone.
        pack("HBBI", _EQUAL, 0, 1, _CLONE3),
        pack("HBBI", _RETURN, 0, 0, _UNKNOWN),
        pack("HBBI", _EQUAL, 0, 4, clone),
        pack("HBBI", _LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        pack("HBBI", _HAS_BIT, 0, 1, _CLONE_THREAD),
        pack("HBBI", _RETURN, 0, 0, _ALLOW),
        pack("HBBI", _RETURN, 0, 0, _REFUSE),
        # Each equal call jumps to the last step, which refuses.
        *(pack("HBBI", _EQUAL, len(calls) - at, 0, call) for at, call in enumerate(calls)),
        pack("HBBI", _RETURN, 0, 0, _ALLOW),
        pack("HBBI", _RETURN, 0, 0, _REFUSE),
    ]
    program = _Program(len(steps), b"".join(steps))
    asked = ctypes.byref(program)
    return int(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, asked, 0, 0)) == 0
