"""Namespaces of a place's own, and in them a root that holds only what cells may read; Linux."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Iterable

__all__ = ["Root", "become_first", "bounded", "separate"]

_FLAGS = {
    "mount": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000,
    "pid": 0x20000000, "network": 0x40000000,
}  # fmt: skip
_USER = 0x10000000
_NO_SETUID, _NO_DEVICES, _NO_PROGRAMS, _READ_ONLY = 2, 4, 8, 1
_BIND, _RECURSIVE, _PRIVATE, _UNBINDABLE, _DETACH = 4096, 16384, 1 << 18, 1 << 17, 2
_MOUNT_SETATTR, _AT_RECURSIVE, _HERE = 442, 0x8000, -100  # 442 on x86-64 and arm64
_PDEATHSIG = 1
_ROOT_OPTIONS = "size=4m,nr_inodes=64k,mode=755"
_EMPTY = "size=4k,nr_inodes=1,mode=755"
_PROCESSES = ("subset=pid,hidepid=invisible", "hidepid=2", None)  # the best that is understood

_NAME = b"sandbox"
"""What a place calls its machine."""

_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def separate(network: bool) -> frozenset[str]:
    """Move to namespaces of our own, all but the network's with `network`; return which.

    Where not all can be had at once, each is tried alone. The one of pids begins with the next
    process that is forked.
    """
    own = _separate(network) if _libc is not None else frozenset()
    if "uts" in own:
        _libc.sethostname(_NAME, len(_NAME))
    return own


def _separate(network: bool) -> frozenset[str]:
    kinds = {name: flag for name, flag in _FLAGS.items() if not (network and name == "network")}
    user, group = os.geteuid(), os.getegid()
    if user == 0 and _unshare(kinds.values()):
        return frozenset(kinds)
    if _unshare([_USER, *kinds.values()]):
        _map_to_itself(user, group)
        return frozenset({"user", *kinds})
    had = {"user"} if _unshare([_USER]) else set()
    if had:
        _map_to_itself(user, group)
    return frozenset(had | {name for name, flag in kinds.items() if _unshare([flag])})


def become_first() -> None:
    """Go on as the first process of a namespace of pids; what called waits, and ends like it."""
    pid = os.fork()
    if pid == 0:
        _libc.prctl(_PDEATHSIG, 9, 0, 0, 0)
        return
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(abs(code))


def bounded(most: int) -> bool:
    """Count this process apart, in a user namespace of its own, and bound it to `most` tasks.

    Return whether that could be done. Capabilities are to be dropped after it.
    """
    import resource

    if _libc is None or _libc.unshare(_USER):
        return False
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    return True


class Root:
    """A root in memory, at `place`, an empty folder: what is bound into it is all there is."""

    def __init__(self, place: str) -> None:
        self._place = place
        private = _mount("none", "/", None, _RECURSIVE | _PRIVATE)
        self.stands = private and self._memory("", _ROOT_OPTIONS, _NO_SETUID | _NO_DEVICES)
        if self.stands:
            _mount("none", place, None, _UNBINDABLE)

    def bind(self, paths: Iterable[str]) -> None:
        """Show these files and folders, each where it is outside; those that are none are left."""
        for path in sorted(set(map(os.path.abspath, paths)), key=len):
            target = self._place + path
            if os.path.exists(path) and not os.path.lexists(target):
                _prepare(target, os.path.isdir(path))
                self.stands &= _mount(path, target, None, _BIND | _RECURSIVE)

    def hide(self, folders: Iterable[str]) -> None:
        """Show nothing in these folders, where they are shown."""
        for folder in folders:
            if os.path.isdir(self._place + folder):
                self.stands &= self._memory(folder, _EMPTY, _NO_SETUID | _NO_DEVICES)

    def prepare(self, folders: Iterable[str]) -> None:
        """Make empty folders, to mount something on them when the root is sealed."""
        for folder in folders:
            os.makedirs(self._place + folder, exist_ok=True)

    def memory(self, path: str, megabytes: int) -> bool:
        """Mount memory of this size that may be written on a folder."""
        files = max(megabytes * 64, 1024)
        options = f"size={megabytes}m,nr_inodes={files},mode=1777"
        return self._memory(path, options, _NO_SETUID | _NO_DEVICES)

    def processes(self) -> bool:
        """Give it a /proc, which shows the processes of this namespace that one may look into."""
        os.makedirs(self._place + "/proc", exist_ok=True)
        flags = _NO_SETUID | _NO_DEVICES | _NO_PROGRAMS
        return any(_mount("proc", self._place + "/proc", "proc", flags, o) for o in _PROCESSES)

    def seal(self) -> bool:
        """Let nothing of what was bound so far be written, devices apart."""
        attributes = (ctypes.c_uint64 * 4)(_READ_ONLY | _NO_SETUID, 0, 0, 0)
        arguments = (_HERE, self._place.encode(), _AT_RECURSIVE, attributes, ctypes.c_size_t(32))
        return not _libc.syscall(_MOUNT_SETATTR, *arguments)

    def enter(self) -> bool:
        """Make it the root of this process and of all in its namespace; the old one is gone."""
        os.chdir(self._place)
        if _libc.pivot_root(b".", b".") or _libc.umount2(b".", _DETACH):
            return False
        os.chdir("/")
        return True

    def leave(self) -> None:
        """Take away what was built, when it does not come to stand."""
        _libc.umount2(self._place.encode(), _DETACH)

    def _memory(self, path: str, options: str, flags: int) -> bool:
        return _mount("tmpfs", self._place + path, "tmpfs", flags, options)


def _prepare(target: str, folder: bool) -> None:
    """Make what something can be mounted on."""
    if folder:
        os.makedirs(target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def _mount(
    source: str, target: str, kind: str | None, flags: int, options: str | None = None
) -> bool:
    texts = (None if text is None else os.fsencode(text) for text in (source, target, kind))
    words = None if options is None else options.encode()
    return not _libc.mount(*texts, ctypes.c_ulong(flags), words)


def _unshare(flags: Iterable[int]) -> bool:
    return not _libc.unshare(sum(flags))


def _map_to_itself(user: int, group: int) -> None:
    """Be the same user within; without a map one is nobody there, which is no less confined."""
    try:
        for name, content in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(content)
    except OSError:
        return
