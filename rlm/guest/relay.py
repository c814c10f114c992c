"""A zygote behind one stream of bytes: its own stream and those of its sessions are carried in it.

From the host come `bytes` for a stream (0 is the zygote's), `stream` to make the one of a session,
`end` to close it, and `file` or `content` for descriptors; to the host go `bytes`, `end`, `full`
and `free` when a session does not take what it is sent and when it has, and `ended` or `failed` at
last. Descriptors are collected until bytes take them along to the zygote,
or `forget` lets go of them.
"""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from typing import Any, Deque, Mapping

from . import confine, zygote
from .mapped import sealed
from .wire import MOST_FDS, Frames, WireError, pack

__all__ = ["CHUNK", "Relay", "main"]

CHUNK = 256 * 1024
"""The most bytes of a stream in one frame."""

_ENOUGH = 4 * 1024 * 1024
"""Bytes for the host that may wait here; sessions are not read while there are more."""


def main(read_fd: int, write_fd: int) -> None:
    """Start a zygote and serve the host on these descriptors until one of the two has gone."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            for own in (ours.detach(), read_fd, write_fd):
                os.close(own)
            zygote.main(theirs.detach())
        finally:
            os._exit(0)
    theirs.close()
    confine.conceal()
    relay = Relay(read_fd, write_fd, ours)
    last: dict[str, Any] = {"t": "ended"}
    try:
        relay.serve()
    except (WireError, OSError, LookupError) as error:
        last = {"t": "failed", "message": f"{type(error).__name__}: {error}"}
    ours.close()
    _, status = os.waitpid(pid, 0)
    relay.finish({**last, "code": os.waitstatus_to_exitcode(status)})


class Relay:
    """The streams by number, and what waits to be taken: by each of them, and by the host."""

    def __init__(self, read_fd: int, write_fd: int, control: socket.socket) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._control = control
        self._frames = Frames()
        self._streams: dict[int, socket.socket] = {}
        self._numbers: dict[int, int] = {}
        self._waiting: dict[int, Deque[memoryview]] = {}
        self._full: set[int] = set()
        self._out: Deque[memoryview] = deque()
        self._out_size = 0
        self._fds: list[int] = []
        self._poll = select.poll()
        self._watched: dict[int, int] = {}
        os.set_blocking(write_fd, False)

    def serve(self) -> None:
        """Carry bytes both ways until the host or the zygote has gone."""
        self._watch(self._read_fd, select.POLLIN)
        while True:
            reading = select.POLLIN if self._out_size < _ENOUGH else 0
            self._watch(self._control.fileno(), reading)
            self._watch(self._write_fd, select.POLLOUT if self._out else 0)
            for number, stream in self._streams.items():
                writing = select.POLLOUT if self._waiting[number] else 0
                self._watch(stream.fileno(), reading | writing)
            ready = dict(self._poll.poll())
            if ready.get(self._write_fd, 0) & ~select.POLLOUT:
                return
            if self._write_fd in ready:
                self._write()
            if self._read_fd in ready and not self._from_host():
                return
            self._from_sessions(ready)
            if self._control.fileno() in ready and not self._from_zygote():
                return

    def finish(self, message: dict[str, Any]) -> None:
        """Tell the host a last thing, if it is still there."""
        os.set_blocking(self._write_fd, True)
        try:
            self._say(message)
        except OSError:
            return

    # the host

    def _from_host(self) -> bool:
        data = os.read(self._read_fd, CHUNK)
        for message, blob in self._frames.feed(data):
            self._obey(message, blob)
        return bool(data)

    def _obey(self, message: Mapping[str, Any], blob: bytes) -> None:
        kind = message["t"]
        if kind == "bytes" and message["id"] == 0:
            self._to_zygote(blob, self._collected() if message.get("fds") else [])
        elif kind == "bytes":
            self._to_session(message["id"], blob)
        elif kind == "stream":
            self._begin(message["id"])
        elif kind == "end":
            self._drop(message["id"])
        elif kind == "file":
            self._fds.append(os.open(message["path"], os.O_RDONLY | os.O_CLOEXEC))
        elif kind == "content":
            self._keep(message, blob)
        elif kind == "forget":
            for fd in self._collected():
                os.close(fd)
        else:
            raise WireError(f"the host says {kind!r}")

    def _keep(self, message: Mapping[str, Any], blob: bytes) -> None:
        """Take a piece of a file that comes over the wire; it is sealed at its end."""
        if message["first"]:
            make: Any = os.memfd_create
            self._fds.append(make("content", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        view = memoryview(blob)
        while view:
            view = view[os.write(self._fds[-1], view) :]
        if message["last"]:
            self._fds[-1] = sealed(self._fds[-1])

    def _say(self, message: dict[str, Any], blob: bytes = b"") -> None:
        for piece in pack(message, (blob,) if blob else ()):
            self._out.append(memoryview(piece))
            self._out_size += len(piece)
        self._write()

    def _write(self) -> None:
        while self._out:
            try:
                written = os.write(self._write_fd, self._out[0])
            except BlockingIOError:
                return
            self._out_size -= written
            rest = self._out.popleft()[written:]
            if rest:
                self._out.appendleft(rest)

    # the zygote

    def _collected(self) -> list[int]:
        fds, self._fds = self._fds, []
        return fds

    def _to_zygote(self, data: bytes, fds: list[int]) -> None:
        view = memoryview(data)
        for place in range(0, len(fds), MOST_FDS):
            batch = fds[place : place + MOST_FDS]
            view = view[socket.send_fds(self._control, [view[:1]], batch) :]
            for fd in batch:
                os.close(fd)
        self._control.sendall(view)

    def _from_zygote(self) -> bool:
        data = self._control.recv(CHUNK)
        if data:
            # what a session said before its end comes first
            self._from_sessions({stream.fileno(): select.POLLIN for stream in self._all()})
            self._say({"t": "bytes", "id": 0}, data)
        return bool(data)

    # the sessions

    def _begin(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._streams[number] = ours
        self._numbers[ours.fileno()] = number
        self._waiting[number] = deque()
        self._fds.append(theirs.detach())

    def _all(self) -> list[socket.socket]:
        return list(self._streams.values())

    def _from_sessions(self, ready: Mapping[int, int]) -> None:
        for fd, events in ready.items():
            number = self._numbers.get(fd)
            if number is None:
                continue
            if events & select.POLLOUT:
                self._push(number)
                self._say_flow(number)
            if number in self._streams and events & ~select.POLLOUT:
                self._from_session(number)

    def _from_session(self, number: int) -> None:
        try:
            data = self._streams[number].recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._say({"t": "bytes", "id": number}, data)
        else:
            self._drop(number)
            self._say({"t": "end", "id": number})

    def _to_session(self, number: int, data: bytes) -> None:
        if number in self._streams:  # else it has ended, and the host will read so
            self._waiting[number].append(memoryview(data))
            self._push(number)
            self._say_flow(number)

    def _say_flow(self, number: int) -> None:
        """Tell the host when a session begins to leave what it is sent, and when it has it all."""
        full = bool(self._waiting[number])
        if full != (number in self._full):
            self._full ^= {number}
            self._say({"t": "full" if full else "free", "id": number})

    def _push(self, number: int) -> None:
        waiting = self._waiting[number]
        while waiting:
            try:
                sent = self._streams[number].send(waiting[0])
            except BlockingIOError:
                return
            except OSError:
                waiting.clear()  # what it said before it went is still to be read
                return
            rest = waiting.popleft()[sent:]
            if rest:
                waiting.appendleft(rest)

    def _drop(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._watch(stream.fileno(), None)
            del self._numbers[stream.fileno()], self._waiting[number]
            self._full.discard(number)
            stream.close()

    def _watch(self, fd: int, events: int | None) -> None:
        if self._watched.get(fd) == events:
            return
        if events is None:
            self._poll.unregister(fd)
            del self._watched[fd]
        else:
            self._poll.register(fd, events)
            self._watched[fd] = events
