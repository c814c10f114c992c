"""What cells may do with files, by Landlock: read the interpreter, write their own folder."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from typing import Any, Iterable, Mapping, Sequence

from . import readable

__all__ = ["Fence", "abi"]

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on x86-64 and arm64
_VERSION = 1

_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FOLDER = 1 << 4
_CHANGE = _REMOVE_FOLDER | (1 << 5) | (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10) | (1 << 12)
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE
_SIGNALS_AND_ABSTRACT_SOCKETS = 3
_KNOWN = {1: 13, 2: 14, 3: 15, 4: 15}  # rights to files by version; all 16 from 5 on

_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def abi() -> int:
    """Return the version of Landlock that this kernel speaks; 0 when there is none."""
    if _libc is None:
        return 0
    return max(int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)), 0)


class Fence:
    """What the sessions of a place may do with files; made by the zygote, which it holds in too.

    `shared` are folders that all of them may write into, `tables` what they may read beside the
    interpreter. `words` says what it is, `missing` what it is not; without Landlock it holds
    nobody.
    """

    def __init__(
        self, scratch: str, shared: Sequence[str], programs: bool, tables: Iterable[str]
    ) -> None:
        self._abi = abi()
        self._programs = programs
        self._fds: list[int] = []
        self._rules: list[bytes] = []
        self.missing: list[str] = []
        self.words = "not confined"
        if self._abi:
            self._open(shared, tables)
        if not self._abi or not self._restrict(scratch, _zygotes(scratch)):
            self.leave()
            self._abi = 0
            self.missing.append(
                "no Landlock: cells can read and write the files that this user can"
            )
            return
        runs = " and programs" if programs else ""
        self.words = (
            f"landlock abi {self._abi}: reads the interpreter{runs}, writes its scratch folder"
        )
        if self._abi < 3:
            self.missing.append("Landlock of abi 3: cells can empty files that this user can write")

    @property
    def holds(self) -> bool:
        """Whether there is a fence at all."""
        return self._abi > 0

    @property
    def scoped(self) -> bool:
        """Whether signals stay within a session, too."""
        return self._abi >= 6

    def enter(self, folder: str) -> None:
        """Hold this process in: it may write into `folder` only. It raises if it cannot be."""
        if self._abi and not self._restrict(folder, {"/proc/self": _READ | _LIST}):
            raise OSError(ctypes.get_errno(), "Landlock refuses")
        self.leave()

    def leave(self) -> None:
        """Close what the rules were made of."""
        while self._fds:
            os.close(self._fds.pop())

    def _open(self, shared: Sequence[str], tables: Iterable[str]) -> None:
        execute = _EXECUTE if self._programs else 0
        programs = readable.PROGRAMS if self._programs else ()
        for path in (*readable.libraries(), *programs):
            self._keep(path, _READ | _LIST | execute)
        for path in tables:
            self._keep(path, _READ | _LIST)
        for path in readable.DEVICES:
            self._keep(path, _READ | _WRITE)
        for path in shared:
            self._keep(path, self._all())

    def _all(self) -> int:
        """Return what may be done in a folder of one's own."""
        known = (1 << _KNOWN.get(self._abi, 16)) - 1
        return _READ | _LIST | _WRITE | _CHANGE | ((_REFER | _TRUNCATE) & known)

    def _keep(self, path: str, rights: int) -> None:
        fd = _find(path)
        if fd is not None:
            self._fds.append(fd)
            self._rules.append(_rule(fd, rights))

    def _restrict(self, folder: str, besides: Mapping[str, int]) -> bool:
        """Hold this process in for good; say whether that could be done."""
        known = (1 << _KNOWN.get(self._abi, 16)) - 1
        scope = _SIGNALS_AND_ABSTRACT_SOCKETS if self._abi >= 6 else 0
        attributes = struct.pack("=3Q", known, 0, scope)
        ruleset = _libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
        if ruleset < 0:
            return False
        own = [(folder, self._all() | (_EXECUTE if self._programs else 0)), *besides.items()]
        found = [(_find(path), rights) for path, rights in own]
        try:
            rules = [*self._rules, *(_rule(fd, rights) for fd, rights in found if fd is not None)]
            added = [_libc.syscall(_ADD, ruleset, 1, rule, 0) for rule in rules]
            return not any(added) and not _libc.syscall(_RESTRICT, ruleset, 0)
        finally:
            for fd in (ruleset, *(fd for fd, _ in found if fd is not None)):
                os.close(fd)


def _zygotes(scratch: str) -> Mapping[str, int]:
    """Return what the zygote may do besides: look for strays, and remove the place's folder."""
    return {"/proc": _READ | _LIST, os.path.dirname(scratch): _REMOVE_FOLDER}


def _find(path: str) -> int | None:
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None  # this machine has no such thing


def _rule(fd: int, rights: int) -> bytes:
    """Return a rule in the kernel's form; of a file that is no folder only some rights are."""
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        rights &= _OF_FILES
    return struct.pack("=Qi", rights, fd)
