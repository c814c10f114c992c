"""Which system calls a guest may make, by seccomp; Linux on x86-64 and arm64."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Any, Iterable, Sequence

from .syscalls import FREE, NEVER, NEWEST, NUMBERS

__all__ = ["install", "of_place", "of_session"]

_UNCOUNTED = ("memfd_create", "memfd_secret", "shmget", "shmat", "semget", "msgget", "mq_open")
_OWNERS = ("chown", "lchown", "fchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr",
           "removexattr", "lremovexattr", "fremovexattr", "setxattrat", "removexattrat",
           "file_setattr")  # fmt: skip
_MODES_AND_TIMES = ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat",
                    "utimensat")  # fmt: skip
_SIGNALS = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
_OTHER_SIGNALS = ("tkill", "pidfd_open", "pidfd_send_signal")
_TO_DISK = ("flock", "sync", "syncfs", "fsync", "fdatasync", "msync", "sync_file_range",
            "fadvise64", "readahead")  # fmt: skip
"""What makes the machine work, and nothing of a session safer: its files are in memory."""
_STARTS = ("fork", "vfork", "clone", "execve", "execveat")

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOTTY, _ENOSYS, _EAFNOSUPPORT = 1, 25, 38, 97
_THREAD, _NAMESPACES = 0x00010000, 0x7E020080
_INTERNET, _UNIX = (2, 10), 1
_STREAM, _SEQUENCE = 1, 5
_SHARED, _ANONYMOUS, _GROWS_DOWN = 0x01, 0x20, 0x100
_DESCRIPTOR_CALLS = (0, 1, 2, 3, 5, 9, 11, 36, 1030, 1032, 1033, 1034)
"""What `fcntl` may do: duplicate, look, seal. Not: signals to an owner, leases, sizes of pipes."""
_FLAGS = 4
_LOCKS = (6, 7, 37, 38)
_SHARED_FLAGS = 0x2000 | 0x4000 | 0x10000 | 0x40000
"""O_ASYNC, O_DIRECT (of both machines), O_NOATIME: others have the same open file."""
_SOCKETS = 1
_DEAR_OPTIONS = (7, 8, 32, 33, 26, 44, 50, 51, 52)
"""SO_SNDBUF, SO_RCVBUF, both by force; programs that filter: memory that no limit counts."""
_OF_OTHERS = 1 << 31
"""The first clock of a process by its number."""
_LOOKS = (0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""What `ioctl` may do: TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
_OWN = 0x7A5A5A5A
"""Stands for the number of the process that installs a filter: no process has so high a one."""
_PROCESS_CALLS = (2, 3, 15, 16, 21, 23, 29, 30, 38, 39, 41, 42, 51, 55, 56, 0x53564D41)
"""What `prctl` may do: look at a process, name it and its memory, slow its timers, gain less."""

_LOAD, _EQUAL, _ABOVE, _AT_LEAST, _ANY_BIT, _AND, _JUMP, _RETURN = (
    0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x05, 0x06,
)  # fmt: skip
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_SECCOMP = 22

_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def of_place(network: bool) -> bytes:
    """Return the filter of a zygote and all that it starts; `network` leaves internet sockets."""
    program = _op(_ABOVE, 0, 1, NEWEST) + _fail(_ENOSYS) + _refuse(NEVER)
    program += _when("clone", 0, _ANY_BIT, [_NAMESPACES])
    program += _refuse(["clone3"], _ENOSYS)  # its flags cannot be seen here; libc does without
    program += _unless("prlimit64", 0, [0], _EPERM)  # limits of others are theirs
    return program + (_unless("socket", 0, _INTERNET) if network else _refuse(["socket"]))


def of_session(parent: int, processes: bool, fenced: bool) -> bytes:
    """Return the filter of sessions whose zygote is `parent`, for `install` in each of them.

    A call that is not known here is one that the kernel does not have. Without `processes` it
    starts nothing but threads. With `fenced` it also changes no file's mode, times or owner, which
    Landlock leaves open.
    """
    started = _STARTS if processes else ()
    changed = () if fenced else (*_OWNERS, *_MODES_AND_TIMES)
    own = [name for name in FREE if name != "clock_gettime"]
    program = _free([*own, "socket", "prlimit64", *started, *changed])
    program += _refuse(["unshare", *_UNCOUNTED, *_OTHER_SIGNALS])
    program += _unless("prctl", 0, _PROCESS_CALLS, _EPERM)
    program += _only_modest_sockets() + _when("clock_gettime", 0, _AT_LEAST, [_OF_OTHERS])
    program += _only_harmless_fcntl() + _unless("ioctl", 1, _LOOKS, _ENOTTY)
    program += _refuse(_TO_DISK, 0) + _only_counted_memory() + _only_streams()
    if processes:
        for name in _SIGNALS:
            program += _when(name, 0, _EQUAL, [parent], _op(_AT_LEAST, 0, 1, 1 << 31))
    else:
        for name in _SIGNALS:
            program += _unless(name, 0, [_OWN], _EPERM)
        program += _refuse(["fork", "vfork", "execve", "execveat"]) + _only_threads()
    if fenced:
        program += _refuse(_OWNERS) + _refuse(_MODES_AND_TIMES, 0)
    return program + _fail(_ENOSYS)


def install(body: bytes) -> bool:
    """Hold this process in by a filter; calls of another architecture or of x32 are refused."""
    machine = _machine()
    if machine is None:
        return False
    body = body.replace(struct.pack("I", _OWN), struct.pack("I", os.getpid()))
    head = _op(_LOAD, 0, 0, _MACHINE_AT) + _op(_EQUAL, 1, 0, machine[1]) + _fail(_EPERM)
    head += _op(_LOAD, 0, 0, _NUMBER_AT) + _op(_AT_LEAST, 0, 1, 0x40000000) + _fail(_EPERM)
    whole = head + body + _op(_RETURN, 0, 0, _ALLOW)
    program = _Program(len(whole) // 8, whole)
    return not _libc.prctl(_SECCOMP, 2, ctypes.byref(program), 0, 0)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _machine() -> tuple[int, int] | None:
    return _MACHINES.get(os.uname().machine) if _libc is not None else None


def _number(name: str) -> int | None:
    machine = _machine()
    return None if machine is None else NUMBERS[name][machine[0]]


def _op(code: int, yes: int, no: int, value: int) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _fail(error: int) -> bytes:
    return _op(_RETURN, 0, 0, _ERRNO | error)


def _refuse(names: Iterable[str], error: int = _EPERM) -> bytes:
    """Return what refuses these calls; with 0 they do nothing, and do not say so."""
    numbers = (_number(name) for name in names)
    return b"".join(
        _op(_EQUAL, 0, 1, number) + _fail(error) for number in numbers if number is not None
    )


def _on(name: str, argument: int, tests: bytes) -> bytes:
    """Return what runs `tests` on an argument's lower half when `name` is called; then allows."""
    number = _number(name)
    if number is None:
        return b""
    body = _op(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument) + tests + _op(_RETURN, 0, 0, _ALLOW)
    return _op(_EQUAL, 0, len(body) // 8, number) + body


def _when(name: str, argument: int, test: int, values: Sequence[int], more: bytes = b"") -> bytes:
    """Return what refuses a call when the test holds for one of `values`, or `more` does."""
    tests = b"".join(_op(test, 0, 1, value) + _fail(_EPERM) for value in values)
    return _on(name, argument, tests + (more + _fail(_EPERM) if more else b""))


def _unless(name: str, argument: int, values: Sequence[int], error: int = _EAFNOSUPPORT) -> bytes:
    """Return what refuses a call unless the argument is one of `values`."""
    left = len(values)
    tests = b"".join(_op(_EQUAL, left - place, 0, value) for place, value in enumerate(values))
    return _on(name, argument, tests + _fail(error))


def _only_harmless_fcntl() -> bytes:
    """Return what lets `fcntl` touch only what is a session's own; locks do nothing.

    An open file is shared by all sessions of a place, and may be one of the host's.
    """
    allowed = _op(_RETURN, 0, 0, _ALLOW)
    tests = b"".join(_op(_EQUAL, 0, 1, call) + allowed for call in _DESCRIPTOR_CALLS)
    tests += b"".join(_op(_EQUAL, 0, 1, call) + _fail(0) for call in _LOCKS)
    tests += _op(_EQUAL, 1, 0, _FLAGS) + _fail(_EPERM)
    tests += _op(_LOAD, 0, 0, _ARGUMENTS_AT + 16) + _op(_ANY_BIT, 0, 1, _SHARED_FLAGS)
    return _on("fcntl", 1, tests + _fail(_EPERM))


def _only_modest_sockets() -> bytes:
    """Return what refuses to sockets what takes memory of the kernel, and no protocol's options."""
    tests = _op(_EQUAL, 1, 0, _SOCKETS) + _op(_RETURN, 0, 0, _ALLOW)
    tests += _op(_LOAD, 0, 0, _ARGUMENTS_AT + 16)
    tests += b"".join(_op(_EQUAL, 0, 1, option) + _fail(_EPERM) for option in _DEAR_OPTIONS)
    return _on("setsockopt", 1, tests)


def _only_threads() -> bytes:
    """Return what lets `clone` make threads only."""
    tests = _op(_ANY_BIT, 1, 0, _THREAD) + _fail(_EPERM)
    return _on("clone", 0, tests)


def _only_counted_memory() -> bytes:
    """Return what refuses memory that no limit counts: shared and of no file, or like a stack."""
    tests = _op(_ANY_BIT, 0, 1, _GROWS_DOWN) + _fail(_EPERM)
    tests += _op(_AND, 0, 0, _SHARED | _ANONYMOUS) + _op(_EQUAL, 0, 1, _SHARED | _ANONYMOUS)
    return _on("mmap", 3, tests + _fail(_EPERM))


def _only_streams() -> bytes:
    """Return what makes pairs of sockets streams: datagrams can be sent to others."""
    tests = _op(_EQUAL, 1, 0, _UNIX) + _fail(_EAFNOSUPPORT)
    tests += _op(_LOAD, 0, 0, _ARGUMENTS_AT + 8) + _op(_AND, 0, 0, 0xF)
    tests += _op(_EQUAL, 2, 0, _STREAM) + _op(_EQUAL, 1, 0, _SEQUENCE) + _fail(_EPERM)
    return _on("socketpair", 0, tests)


def _free(names: Iterable[str]) -> bytes:
    """Return what allows these calls, found by halves: a kernel tries each number that there is."""
    numbers = sorted(number for number in map(_number, names) if number is not None)
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return _halved(ranges) if ranges else b""


def _halved(ranges: Sequence[tuple[int, int]]) -> bytes:
    """Return what allows numbers in these ranges; others come out at its end."""
    if len(ranges) == 1:
        [(first, last)] = ranges
        return _op(_AT_LEAST, 0, 2, first) + _op(_ABOVE, 1, 0, last) + _op(_RETURN, 0, 0, _ALLOW)
    middle = len(ranges) // 2
    lower, upper = _halved(ranges[:middle]), _halved(ranges[middle:])
    over = _op(_AT_LEAST, len(lower) // 8 + 1, 0, ranges[middle][0])
    return over + lower + _op(_JUMP, 0, 0, len(upper) // 8) + upper
