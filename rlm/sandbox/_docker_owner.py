"""Whose a container is: the process that started it, told apart from all others by labels."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["KEPT", "PLACE", "THE_RUN", "Owner"]

_HOST, _PID, _BEGAN = "rlm.host", "rlm.pid", "rlm.began"
PLACE, THE_RUN = "rlm.place", "rlm.run"
KEPT = "rlm.kept"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: its machine, its number, and when it began, as numbers are used again.

    The machine is named by its hostname and by the space of process numbers, so that processes
    in two containers that share an engine do not take each other for dead. `keeps` is whether
    the container is to outlive it.
    """

    host: str
    pid: int
    began: str
    keeps: bool = False

    @staticmethod
    def mine(keeps: bool = False) -> Owner:
        """Return this process."""
        pid = os.getpid()
        return Owner(_this_host(), pid, _began(pid), keeps)

    @staticmethod
    def of(labels: Mapping[str, str]) -> Owner | None:
        """Return the owner that labels name, if they name one."""
        host, pid, began = (labels.get(name, "") for name in (_HOST, _PID, _BEGAN))
        return Owner(host, int(pid), began, KEPT in labels) if host and pid.isdecimal() else None

    @property
    def labels(self) -> dict[str, str]:
        """The labels of a container of this process."""
        kept = {KEPT: "yes"} if self.keeps else {}
        return {_HOST: self.host, _PID: str(self.pid), _BEGAN: self.began, **kept}

    @property
    def filter(self) -> str:
        """What selects the containers of this machine's processes."""
        return f"{_HOST}={self.host}"

    @property
    def alive(self) -> bool:
        """Whether this process of this machine still runs."""
        return _began(self.pid) == self.began != ""


@functools.cache
def _this_host() -> str:
    try:
        return f"{socket.gethostname()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _began(pid: int) -> str:
    """Return what tells a living process from all that had its number; nothing when it is dead."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, *rest = file.read().rpartition(")")[2].split()
        return "" if state in "ZX" else rest[18]
    except FileNotFoundError:
        if os.path.exists("/proc/self/stat"):
            return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "unknown"
    return "unknown"
