"""A process of the host that keeps a secret and takes note of every signal."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
from pathlib import Path
from typing import Any

from .namespaces import die_with_parent, drop_capabilities

__all__ = ["Victim"]

_PATIENCE = 0.2
_LAST = f"{int(signal.SIGRTMAX)}\n"


class Victim:
    """A fork that only waits; `address` is where its secret is in its memory."""

    def __init__(self, secret: str) -> None:
        self._secret = f"VICTIM={secret}".encode()
        self._buffer = ctypes.create_string_buffer(self._secret)  # before the fork: same address
        self.address = ctypes.addressof(self._buffer)
        self.fd = 0
        self.pid = 0
        self._start()

    def _start(self) -> None:
        self._heard, said = os.pipe()
        secret = os.memfd_create("victim")
        os.write(secret, self._secret)
        self.fd = secret
        self.pid = os.fork()
        if self.pid == 0:
            _wait(said)
        os.close(said)
        os.close(secret)
        os.read(self._heard, 1)
        self._attributes = self._look()

    def suffered(self) -> list[str]:
        """Return what was done to it; one that has died is replaced."""
        found = []
        os.kill(self.pid, signal.SIGRTMAX)
        heard = self._read()
        if heard is None:
            os.kill(self.pid, signal.SIGCONT)
            found.append("a process of the host was stopped")
            heard = self._read() or ""
        if not heard.endswith(_LAST):
            os.waitpid(self.pid, 0)
            os.close(self._heard)
            self._start()
            return ["a process of the host was ended"]
        if heard != _LAST:
            found.append(f"a process of the host got a signal: {heard.split()[0]}")
        if self._look() != self._attributes:
            found.append("a process of the host was changed")
            self.close()
            self._start()
        return found

    def close(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._heard)

    def release(self) -> None:
        """In a fork: forget what it holds of this."""
        os.close(self._heard)
        ctypes.memset(self.address, 0, len(self._secret))

    def _read(self) -> str | None:
        """Return what it heard up to the signal after all others, or its end; None if stopped."""
        heard = ""
        while not heard.endswith(_LAST):
            if not select.select([self._heard], [], [], _PATIENCE)[0] and self._stopped():
                return None
            piece = os.read(self._heard, 4096).decode()
            if not piece:
                break
            heard += piece
        return heard

    def _stopped(self) -> bool:
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[0] in "Tt"

    def _look(self) -> Any:
        limits = [resource.prlimit(self.pid, kind) for kind in (resource.RLIMIT_NOFILE,)]
        adjusted = Path(f"/proc/{self.pid}/oom_score_adj").read_text(encoding="ascii")
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.address)
            content = memory.read(len(self._secret))
        nice = os.getpriority(os.PRIO_PROCESS, self.pid)
        return limits, adjusted, content, nice, os.sched_getaffinity(self.pid)


def _wait(said: int) -> None:
    """Be the victim; it never returns."""
    drop_capabilities()
    die_with_parent()
    everything = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT}
    signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    os.write(said, b"\n")
    while True:
        number = signal.sigwait(everything)
        os.write(said, f"{number}\n".encode())
