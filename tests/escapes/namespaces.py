"""Throwaway namespaces: for bare cells, and for the suite itself, lest a wall falls."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = [
    "die_with_parent",
    "drop_capabilities",
    "enter_bare",
    "guarded",
    "lower_limits",
    "mount_proc",
    "own_mounts",
]

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_BIND, _REC, _PRIVATE = 4096, 16384, 1 << 18
_NOBODY = 65534
_MOUNT_SETATTR = 442
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    texts = [text.encode() or None for text in (source, target, kind)]
    _checked(_libc.mount(*texts, ctypes.c_ulong(flags), options.encode() or None), target)


def mount_proc() -> None:
    """Give the processes of a new PID namespace their own /proc."""
    _mount("proc", "/proc", "proc", 2 | 4 | 8)


def _unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def _map(inner: int) -> None:
    user, group = os.geteuid(), os.getegid()
    _unshare(_NEWUSER)
    for name, content in (
        ("setgroups", "deny"), ("uid_map", f"{inner} {user} 1"), ("gid_map", f"{inner} {group} 1"),
    ):  # fmt: skip
        Path(f"/proc/self/{name}").write_text(content, encoding="ascii")


def guarded(main: Callable[[], int]) -> int:
    """Run `main` in PID, mount, UTS and IPC namespaces of its own, and return what it returns.

    Should a sandbox let a signal to -1 through, it ends this run and not the machine.
    """
    sys.stdout.flush()
    outer = os.fork()
    if outer:
        return os.waitstatus_to_exitcode(os.waitpid(outer, 0)[1])
    die_with_parent()
    if os.geteuid():
        _map(os.geteuid())
    _unshare(_NEWPID | _NEWNS | _NEWUTS | _NEWIPC)
    inner = os.fork()
    if inner:
        code = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1])
        os._exit(code if code >= 0 else 128 - code)
    die_with_parent()
    _mount("none", "/", "", _REC | _PRIVATE)
    mount_proc()
    with contextlib.suppress(OSError):  # numbers that no process inside of a sandbox has by chance
        Path("/proc/sys/kernel/ns_last_pid").write_text("20000", encoding="ascii")
    worker = os.fork()
    if worker == 0:
        code = main()
        sys.stdout.flush()
        os._exit(code)
    while True:  # the first process of a namespace inherits the orphans
        pid, status = os.wait()
        if pid == worker:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def own_mounts() -> None:
    """See no mounts that others make from now on, where that is possible."""
    with contextlib.suppress(OSError):
        _unshare(_NEWNS)
        _mount("none", "/", "", _REC | _PRIVATE)


def enter_bare(root: bool, python: str) -> None:
    """Become an ordinary user in namespaces of its own, for good; children have new PIDs.

    All of the machine's files are read-only there, /tmp and /dev/shm are its own, and the Python
    whose folder this is can be read. With `root` the user is root inside, and nobody outside.
    """
    if os.geteuid() == 0:
        _unshare(_NEWNS)
        _mount("none", "/", "", _REC | _PRIVATE)
        _reach(python)
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        _libc.prctl(4, 1, 0, 0, 0)  # dumpable again, else its own /proc is not its own
    _map(0 if root else 1000)
    _unshare(_NEWNS | _NEWUTS | _NEWIPC | _NEWNET | _NEWPID)
    for folder in ("/tmp", "/dev/shm"):
        _mount("none", folder, "tmpfs", 0, "mode=1777,size=512m")
    attributes = struct.pack("QQQQ", 1, 0, 0, 0)
    _checked(
        _libc.syscall(_MOUNT_SETATTR, -100, b"/", 0x8000, attributes, len(attributes)), "read-only"
    )
    for folder in ("/tmp", "/dev/shm"):
        _mount("none", folder, "", 4096 | 32)  # remounted, writable
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 0x49))


def _reach(python: str) -> None:
    """Let others than root reach an interpreter below a private folder, such as /root."""
    private = [one for one in reversed(Path(python).parents) if not one.stat().st_mode & 0o001]
    if not private:
        return
    kept = os.open(python, os.O_RDONLY)
    _mount("none", str(private[0]), "tmpfs", 0, "mode=755")
    os.makedirs(python)
    _mount(f"/proc/self/fd/{kept}", python, "", _BIND | _REC)
    os.close(kept)


def die_with_parent() -> None:
    """End with whoever has forked this process; to be said after privileges have changed."""
    _libc.prctl(1, 9, 0, 0, 0)


def drop_capabilities() -> None:
    """Keep no capability, also not by programs; look like any process of this user."""
    for capability in range(64):
        if _libc.prctl(24, capability, 0, 0, 0):
            break
    _libc.prctl(47, 4, 0, 0, 0)
    _libc.capset(struct.pack("II", 0x20080522, 0), struct.pack("6I", 0, 0, 0, 0, 0, 0))
    _libc.prctl(4, 1, 0, 0, 0)


def lower_limits() -> None:
    """Bound what a bare cell can take of the machine."""
    import resource

    for kind, value in (
        (resource.RLIMIT_AS, 3 << 30), (resource.RLIMIT_FSIZE, 256 << 20),
        (resource.RLIMIT_NPROC, 600), (resource.RLIMIT_NOFILE, 8192), (resource.RLIMIT_CPU, 30),
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_MEMLOCK, 64 << 20),
    ):  # fmt: skip
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
