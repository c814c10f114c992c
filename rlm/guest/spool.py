"""What a cell prints, in files without a name that outlive its process.

Descriptors 1 and 2 lead to these files, and so do `sys.stdout` and `sys.stderr`: what Python, C
code and child processes write stays in order, and whoever forked the session reads what is left
in them when it has died.
"""

from __future__ import annotations

import codecs
import io
import mmap
import os
import struct
import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, Callable, Dict, List, Optional, Sequence

from .interrupts import Shield
from .output import Kept

__all__ = ["Pump", "Spool", "Stream"]

_NAMES = ("stdout", "stderr")
_EVERY = 0.05
"""Seconds between two looks at what is to be sent on while a cell runs."""
_LARGE = 64 * 1024
_PIECE = 256 * 1024
_FULL = 1024 * 1024
"""Bytes that a file may have before what has been read of it is thrown away."""
_FULLEST = 64 * 1024 * 1024
"""Bytes at which it is thrown away although a writer is faster than this reader."""
_CHASES = 16
_REST = 64 * 1024
_IDLE = 20
_NUMBER = struct.Struct("Q")
_Decoder = codecs.getincrementaldecoder("utf-8")


class Spool:
    """The files of one session's output, and how far the host has been told of each.

    Made before the session is forked; both sides may use it, and what the session has written into
    it is not to be trusted.
    """

    def __init__(self, folder: str = ".") -> None:
        self.fds = [_nameless(folder) for _ in _NAMES]
        self._told = mmap.mmap(-1, mmap.PAGESIZE)

    def told(self, number: int) -> int:
        """Return up to where the host has been told of a file."""
        at: int = _NUMBER.unpack_from(self._told, number * _NUMBER.size)[0]
        return at

    def tell(self, number: int, at: int) -> None:
        """Note that the host has been told of a file up to here."""
        _NUMBER.pack_into(self._told, number * _NUMBER.size, at)

    def rest(self) -> Dict[str, str]:
        """Return what the host has not been told, by stream; of much the beginning."""
        found = {}
        for number, name in enumerate(_NAMES):
            fd, at = self.fds[number], self.told(number)
            if at < os.fstat(fd).st_size:
                found[name] = os.pread(fd, _REST, at).decode("utf-8", "replace")
        return found

    def close(self) -> None:
        """Let go of the files."""
        for fd in self.fds:
            os.close(fd)
        self._told.close()


class Stream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of a session, one cell after the other.

    `number` is 0 or 1; `emit` takes pieces of text for the host while a cell runs.
    """

    errors = "backslashreplace"
    encoding = "utf-8"
    line_buffering = True
    mode = "w"

    def __init__(
        self, number: int, spool: Spool, shield: Shield, emit: Callable[[str, str], None]
    ) -> None:
        self.name = _NAMES[number]
        self.sent = 0
        self._number = number
        self._spool = spool
        self._shield = shield
        self._emit = emit
        self._fd = number + 1
        self._file = spool.fds[number]
        self._buffer: Optional[io.FileIO] = None
        self._lock = threading.RLock()
        self._running = False
        self._limit = 0
        self._kept = Kept(1)
        self._decoder: Any = None
        self._at = 0
        self._written = 0
        self._looked = 0.0

    @property
    def buffer(self) -> io.FileIO:
        """The same for bytes."""
        if self._buffer is None or self._buffer.closed:
            self._buffer = io.FileIO(self._fd, "w", closefd=False)
        return self._buffer

    def writable(self) -> bool:
        """Text can be written to it."""
        return True

    def fileno(self) -> int:
        """Return its descriptor."""
        return self._fd

    def reconfigure(self, **how: Any) -> None:
        """It stays what it is: UTF-8, and written through."""

    def close(self) -> None:
        """It stays open: the next cell has the same."""

    def write(self, text: str) -> int:
        """Write text through to the file."""
        if not isinstance(text, str):
            raise TypeError(f"write() takes text, not {type(text).__name__}")
        if len(text) > _LARGE:
            self._keep(text)
            return len(text)
        data = text.encode("utf-8", "backslashreplace")
        with self._shield, self._lock:  # else the file might be emptied while it is written to
            try:
                written = os.write(self._fd, data)
            except OSError:  # the cell has closed the descriptor, or made files too small
                written = 0
            if written < len(data):
                self._keep(data[written:].decode("utf-8", "replace"))
            self._written += written
        if self._written > _PIECE or (text[-1:] == "\n" and monotonic() - self._looked > _EVERY):
            self.flush()
        return len(text)

    def begin(self, limit: int) -> None:
        """A cell begins: lead the descriptor here, whatever the last one made of it.

        What threads have printed since then is a part of it; at most `limit` bytes are kept.
        """
        with self._shield, self._lock:
            with suppress(OSError):  # a cell may have left itself no descriptors
                os.dup2(self._file, self._fd)
            self._spool.tell(self._number, self._at)
            self._decoder = _Decoder("replace")
            self._kept = Kept(limit)
            self._limit = limit
            self.sent = 0
            self._running = True

    def flush(self) -> None:
        """Send what is new, up to the limit of the cell."""
        with self._shield, self._lock:
            if self._running:
                self._written = 0
                self._looked = monotonic()
                self._drain(self._send)

    def end(self) -> Kept:
        """Return what the cell has written."""
        with self._shield, self._lock:
            self._running = False
            self._drain(None)
            self._kept.add(self._decoder.decode(b"", True))
            return self._kept

    def abandon(self) -> None:
        """This is a process that a cell has forked: it writes, and the session reads."""
        self._running = False
        self._lock = threading.RLock()

    def _keep(self, text: str) -> None:
        """Keep a large text without a copy of it in the file."""
        with self._shield, self._lock:
            if not self._running:
                return
            self._drain(self._send)
            self._kept.add(text)
            self._send(text)

    def _send(self, text: str) -> None:
        room = self._limit - self.sent
        if room > 0 and text:
            self.sent += min(len(text), room)
            self._emit(self.name, text[:room])

    def _drain(self, send: Optional[Callable[[str], None]]) -> None:
        for _ in range(_CHASES):
            size = os.fstat(self._file).st_size
            if self._at >= size:
                break
            self._read(size, send)
        if send is not None and self._at > _FULL and (self._at >= size or self._at > _FULLEST):
            os.ftruncate(
                self._file, 0
            )  # what C code or a program writes at this very moment is lost
            self._at = 0
            self._spool.tell(self._number, 0)

    def _read(self, size: int, send: Optional[Callable[[str], None]]) -> None:
        while self._at < size:
            data = os.pread(self._file, min(size - self._at, _PIECE), self._at)
            text = self._decoder.decode(data)
            self._kept.add(text)
            if send is not None:
                send(text)
                self._spool.tell(self._number, self._at + len(data))
            self._at = self._at + len(data) if data else size


class Pump:
    """A thread that looks after the streams while a cell runs; it sleeps when none has for long.

    It begins with the first cell, for what a cell's programs write is read by nobody else.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams: List[Stream] = list(streams)
        self._mutex = threading.Lock()
        self._wanted = threading.Lock()
        self._wanted.acquire()
        self._started = self._asleep = self._running = False

    def begin(self) -> None:
        """A cell begins."""
        with self._mutex:
            self._running = True
            if self._asleep:
                self._asleep = False
                self._wanted.release()
            if self._started:
                return
            self._started = True
        try:
            threading.Thread(target=self._run, name="output", daemon=True).start()
        except RuntimeError:  # no thread is left: what is printed next sends it on
            return

    def end(self) -> None:
        """The cell has ended."""
        self._running = False

    def _run(self) -> None:
        idle = 0
        while True:
            sleep(_EVERY)
            idle = 0 if self._running else idle + 1
            if not idle:
                for stream in self._streams:
                    stream.flush()
            elif idle > _IDLE:
                idle = 0
                self._sleep()

    def _sleep(self) -> None:
        with self._mutex:
            if self._running:
                return
            self._asleep = True
        self._wanted.acquire()


def _nameless(folder: str) -> int:
    """Return an open file that has no name, and that appends what is written to it."""
    make: Any = getattr(os, "memfd_create", None)
    if make is None:
        path = os.path.join(folder, ".output")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        os.unlink(path)
        return fd
    import fcntl

    fd = make("output", os.MFD_CLOEXEC)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return int(fd)
