"""What a process gives up for good, by ctypes: capabilities, its user, and being looked into."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from typing import Any

__all__ = [
    "become_nobody",
    "conceal",
    "die_with",
    "drop_capabilities",
    "give_up_privileges",
    "has_capabilities",
    "is_root",
    "limits",
    "one_arena",
]

NOBODY = 65534
_PDEATHSIG, _DUMPABLE, _CAPBSET_DROP, _SUBREAPER, _NO_NEW_PRIVS, _AMBIENT = 1, 4, 24, 36, 38, 47
_CLEAR_AMBIENT = 4
_CAPABILITIES_VERSION = 0x20080522
_ARENA_MAX = -8
_STACK = 8 << 20
_LEAST_ROOM, _MOST_ROOM = 96 << 20, 512 << 20
"""Address space beside what data may take, by that: libraries that are mapped, what is reserved.

What is mapped without being writable counts only here, and can be made writable later.
"""

_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def become_nobody() -> bool:
    """Turn root into a user who owns nothing; say whether this process is an ordinary user now."""
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        except OSError:
            return False
    return True


def is_root() -> bool:
    """Whether this process is root, and not only in a user namespace of some ordinary user."""
    if os.geteuid():
        return False
    try:
        with open("/proc/self/uid_map", "rb") as file:
            return any(line.split()[:2] == [b"0", b"0"] for line in file)
    except OSError:
        return True


def give_up_privileges() -> bool:
    """Take no new privileges from any program, and inherit what descendants leave behind."""
    _libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    return not _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_capabilities() -> None:
    """Drop every capability, of every set."""
    for capability in range(64):
        if _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0):
            break
    _libc.prctl(_AMBIENT, _CLEAR_AMBIENT, 0, 0, 0)
    _libc.capset(_header(), bytes(24))


def has_capabilities() -> bool:
    """Whether this process still has one."""
    held = ctypes.create_string_buffer(24)
    return bool(_libc.capget(_header(), held)) or any(held.raw)


def conceal() -> None:
    """Let no other process, but root's, look into this one: its memory, its descriptors."""
    if _libc is not None:
        _libc.prctl(_DUMPABLE, 0, 0, 0, 0)


def die_with(parent: int) -> None:
    """End with the process that forked this one, at once if it has ended already."""
    _libc.prctl(_PDEATHSIG, 9, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def one_arena() -> None:
    """Let all threads take memory from one arena: others are reserved in large, and that counts."""
    if _libc is not None and getattr(_libc, "mallopt", None) is not None:
        _libc.mallopt(_ARENA_MAX, 1)


def limits(memory_mb: int | None, file_mb: int, cpu_seconds: int | None, files: int) -> None:
    """Set resource limits: `memory_mb` beyond what is mapped now, files of `file_mb`, no core.

    `files` is what numbers of open files stay below.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, file_mb << 20)
    _lower(resource.RLIMIT_NOFILE, files)
    _lower(resource.RLIMIT_MEMLOCK, 0)
    _lower(resource.RLIMIT_STACK, _STACK)  # it counts as no data
    if cpu_seconds is not None:
        _lower(resource.RLIMIT_CPU, cpu_seconds, 1)
    if memory_mb is not None:
        (space, data), memory = _mapped(), memory_mb << 20
        _lower(resource.RLIMIT_DATA, data + memory)
        if space:
            room = max(_LEAST_ROOM, min(memory, _MOST_ROOM))
            _lower(resource.RLIMIT_AS, space + memory + room)


def _lower(kind: int, value: int, grace: int = 0) -> None:
    hard = resource.getrlimit(kind)[1]
    most = value + grace if hard == resource.RLIM_INFINITY else min(value + grace, hard)
    resource.setrlimit(kind, (min(value, most), most))


def _mapped() -> tuple[int, int]:
    """Return the bytes that are mapped, and those of private data, as RLIMIT_DATA counts them."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            sizes = file.read().split()
        page = resource.getpagesize()
        return int(sizes[0]) * page, int(sizes[5]) * page
    except OSError:
        return 0, 256 << 20


def _header() -> bytes:
    return struct.pack("II", _CAPABILITIES_VERSION, 0)
