"""Where a guest begins in a container: it says what it sees of its walls, and serves the host."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Iterator

from . import __main__ as guest
from .remains import remove
from .wire import pack

__all__ = ["main", "seen"]

_GET_SECCOMP, _GET_NO_NEW_PRIVS = 21, 39
_PREFIX = "rlm-"
_MEMORY = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_PIDS = ("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max")
_UNLIMITED = 1 << 60


def main(scratch: str) -> None:
    """Tell the host what is seen from here, then be a relay; `scratch` is this guest's folder."""
    sweep(os.path.dirname(scratch))
    for piece in pack({"t": "container", "seen": seen()}):
        view = memoryview(piece)
        while view:
            view = view[os.write(1, view) :]
    sys.argv[1:] = ["relay"]
    try:
        guest.main()
    finally:
        remove(scratch)


def seen() -> dict[str, Any]:
    """Return the walls of this container as they look from inside, as plain values.

    `memory` is in bytes; it and `pids` are `None` where no limit can be seen.
    """
    status = dict(line.rstrip("\n").split(":", 1) for line in _lines("/proc/self/status"))
    prctl = ctypes.CDLL(None).prctl
    return {
        "uid": os.geteuid(),
        "gid": os.getegid(),
        "capabilities": [status.get(name, "").strip() for name in ("CapEff", "CapBnd")],
        "no_new_privs": prctl(_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
        "seccomp": prctl(_GET_SECCOMP, 0, 0, 0, 0) > 0,
        "devices": [line.split(":")[0].strip() for line in _lines("/proc/net/dev") if ":" in line],
        "read_only": _is_read_only("/"),
        "memory": _limit(*_MEMORY),
        "pids": _limit(*_PIDS),
    }


def sweep(folder: str) -> None:
    """Remove the folders of guests that are no more: no process here was started for them."""
    alive = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                alive.update(os.fsdecode(file.read()).split("\0"))
        except OSError:
            continue  # it has ended meanwhile
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith(_PREFIX) and path not in alive:
            remove(path)


def _lines(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from file
    except OSError:
        return  # it is hidden here


def _is_read_only(path: str) -> bool:
    """Say whether nothing can be written there; not every kernel tells both ways."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return True
    options = [line.split()[3] for line in _lines("/proc/mounts") if line.split()[1] == path]
    return bool(options) and "ro" in options[-1].split(",")


def _limit(*paths: str) -> int | None:
    for path in paths:
        for line in _lines(path):
            value = line.strip()
            return int(value) if value.isdigit() and int(value) < _UNLIMITED else None
    return None
