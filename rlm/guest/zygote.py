"""The process of a place: it loads the inputs once and forks a session whenever it is told to."""

from __future__ import annotations

import array
import fcntl
import gc
import importlib
import mmap
import os
import select
import signal
import socket
import sys
from typing import Any, Mapping, Optional, Sequence

from . import remains, session
from .files import Opener
from .mapped import Shared
from .spool import Spool
from .values import decode
from .walls import Walls
from .wire import MOST_FDS, VERSION, Frame, Frames, WireError, from_json, pack

__all__ = ["Zygote", "main"]

_SOON = (
    "random", "statistics", "textwrap", "string", "csv", "concurrent.futures.thread",
    "dataclasses", "copy", "itertools", "functools", "heapq", "bisect", "unicodedata", "io", "time",
)  # fmt: skip
"""What cells import often: loaded while nobody waits, then shared by all later sessions."""


_IGNORED = {getattr(signal, name, None) for name in ("SIGPIPE", "SIGXFSZ")}
"""What every Python ignores, to raise an error instead."""

_FIRST_TO_GO = b"900"
"""Of 1000: when memory runs out, the system ends guests, and not who started them."""


def main(control_fd: int) -> None:
    """Serve the host on the other end of this Unix socket until it closes."""
    # Its number is that of the host, which may have thousands; sessions may open 256 above it.
    control = socket.socket(fileno=fcntl.fcntl(control_fd, fcntl.F_DUPFD_CLOEXEC, 3))
    os.close(control_fd)
    gc.disable()  # until a session runs: nothing here has cycles, and what is frozen stays shared
    os.environ.pop("GLIBC_TUNABLES", None)
    _away_from_standard_streams()
    _inherit_nothing()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    zygote = Zygote(control)
    try:
        zygote.serve()
    except Exception as error:
        zygote.say({"t": "failed", "message": f"{type(error).__name__}: {error}"})
    finally:
        zygote.end()
    os._exit(0)  # an interpreter takes 3 ms to tidy up what the system takes back anyway


def _inherit_nothing() -> None:
    """Leave what a process has of the one that started it; be the first to go when memory ends."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) == signal.SIG_IGN and number not in _IGNORED:
            signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    try:
        with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
            file.write(_FIRST_TO_GO)
    except OSError:
        return  # it has no /proc, or is to go before others already


def _away_from_standard_streams() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)


class Zygote:
    """What it knows: its inputs, and its living sessions by process and by number."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._frames = Frames()
        self._fds: list[int] = []
        self._pids: dict[int, int] = {}
        self._sessions: dict[int, int] = {}
        self._spools: dict[int, Spool] = {}
        self._inputs: dict[str, Any] = {}
        self._files = Opener([], None, "place")
        self._options: Mapping[str, Any] = {}
        self._walls: Optional[Walls] = None
        self._soon = list(_SOON)
        self._bell, bell = socket.socketpair()
        self._bell.setblocking(False)
        bell.setblocking(False)
        self._ringer = bell
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)

    def say(self, message: dict[str, Any]) -> None:
        """Tell the host something, if it is still there."""
        try:
            for piece in pack(message):
                self._control.sendall(piece)
        except OSError:
            return  # the host is gone; `serve` sees the same and ends

    def serve(self) -> None:
        """Do what the host says, and tell it which sessions have ended."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        while True:
            ready = poll.poll(0 if self._soon and self._options else None)
            if not ready:
                self._preload()
            for fd, _ in ready:
                if fd == self._bell.fileno():
                    self._reap()
                elif not self._receive():
                    return

    def end(self) -> None:
        """Kill every session and remove its folder."""
        for pid in list(self._sessions):
            os.killpg(pid, signal.SIGKILL)
        while self._sessions:
            self._reap(wait=True)
        if self._walls is not None:
            remains.remove(self._walls.scratch)

    def _preload(self) -> None:
        try:
            importlib.import_module(self._soon.pop(0))
        except ImportError:
            return  # this Python was built without it
        if not self._soon:
            gc.freeze()

    def _receive(self) -> bool:
        fds = array.array("i")
        data, ancillary, _, _ = self._control.recvmsg(1 << 16, socket.CMSG_SPACE(MOST_FDS * 4))
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        for fd in fds:
            os.set_inheritable(fd, False)
        self._fds += fds
        if not data:
            return False
        for frame in self._frames.feed(data):
            self._obey(frame)
        return True

    def _obey(self, frame: Frame) -> None:
        message = frame[0]
        kind = message["t"]
        if kind == "open":
            self._open(message["id"], self._take(message["fds"]))
        elif kind == "interrupt":
            self._signal(message["id"], signal.SIGINT)
            self.say({"t": "interrupted", "id": message["id"]})
        elif kind == "close":
            self._signal(message["id"], signal.SIGKILL)
        elif kind == "bind":
            self._bind(message)
        else:
            raise WireError(f"the host says {kind!r}")

    def _take(self, count: int) -> list[int]:
        taken, self._fds = self._fds[:count], self._fds[count:]
        if len(taken) != count:
            raise WireError("descriptors are missing")
        return taken

    def _bind(self, message: Mapping[str, Any]) -> None:
        if message["version"] != VERSION:
            raise WireError(f"the host speaks version {message['version']}, this is {VERSION}")
        self._options = message
        sys.path[:] = [*_own_path(), *message["path"]]
        fds = self._take(message["fds"])
        self._walls = Walls(message)
        for name in message["packages"]:
            importlib.import_module(name)
        blob = _map(fds[0])

        self._files = Opener(fds[1:], message["memory_mb"], "place")
        start, size = message["inputs"]
        shared = Shared(fds[0])
        with memoryview(blob) as whole:
            table = from_json(whole[start : start + size])
        for name, value in table.items():
            self._inputs[name] = decode(value, blob, None, self._files, shared=shared)
        if isinstance(blob, mmap.mmap):
            blob.close()
        os.close(fds[0])
        self._walls.count_descriptors()
        gc.freeze()
        walls = {"walls": self._walls.words, "missing": self._walls.missing}
        self.say({"t": "ready", "version": VERSION, "python": sys.version, **walls})

    def _open(self, number: int, fds: list[int]) -> None:
        folder = self._folder(number)
        parent, spool = os.getpid(), None
        try:
            os.mkdir(folder, 0o700)
            spool = Spool(folder)
            pid = os.fork()
        except OSError as error:  # of space or of processes
            if spool is not None:
                spool.close()
            self._refuse(number, fds, f"there is no room for it: {error.strerror}")
            return
        if pid == 0:
            self._become(fds, folder, parent, spool)
        for fd in fds:
            os.close(fd)
        self._spools[number] = spool
        self._sessions[pid] = number
        self._pids[number] = pid

    def _refuse(self, number: int, fds: list[int], why: str) -> None:
        for fd in fds:
            os.close(fd)
        remains.remove(self._folder(number))
        self.say({"t": "gone", "id": number, "code": 1, "why": why})

    def _folder(self, number: int) -> str:
        assert self._walls is not None
        return os.path.join(self._walls.scratch, str(number))

    def _become(self, fds: list[int], folder: str, parent: int, spool: Spool) -> None:
        """Turn this fork into a session, which never returns."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            for inherited in (self._control, self._bell, self._ringer):
                inherited.close()
            for other in self._spools.values():
                other.close()
            for later in self._fds:  # of a session that is not made yet
                os.close(later)
            os.chdir(folder)
            assert self._walls is not None
            self._walls.enter(folder, parent)
            gc.enable()
            own = Opener(fds[1:], self._options["memory_mb"], "session")
            session.serve(fds[0], fds[0], self._inputs, self._files, own, spool)
        finally:
            os._exit(0)

    def _signal(self, number: int, what: int) -> None:
        pid = self._pids.get(number)
        if pid is not None:
            os.kill(pid, what)  # it is not reaped yet, so the number is still its own

    def _reap(self, wait: bool = False) -> None:
        if not wait:
            self._bell.recv(4096)
        while True:
            try:
                options = os.WEXITED | os.WNOWAIT | (0 if wait else os.WNOHANG)
                found = os.waitid(os.P_ALL, 0, options)
            except ChildProcessError:
                return
            if found is None:
                return
            self._bury(found.si_pid)
            if wait:
                return

    def _bury(self, pid: int) -> None:
        """Reap a child; with a session go its group, its strays and its folder."""
        number = self._sessions.get(pid)
        if number is not None:
            remains.kill_group(pid)
        _, status = os.waitpid(pid, 0)
        if number is None:
            return
        del self._sessions[pid], self._pids[number]
        if self._options["processes"] and self._walls is not None and self._walls.sees_children:
            remains.kill_strays(self._sessions)
        remains.remove(self._folder(number))
        if self._walls is not None and self._walls.shared and not self._sessions:
            remains.empty(self._walls.shared)
        code = os.waitstatus_to_exitcode(status)
        spool = self._spools.pop(number)
        self.say({"t": "gone", "id": number, "code": code, "rest": spool.rest()})
        spool.close()


def _own_path() -> Sequence[str]:
    return [path for path in sys.path if path]


def _map(fd: int) -> Any:
    return mmap.mmap(fd, 0, prot=mmap.PROT_READ) if os.fstat(fd).st_size else b""
