"""The host's end of a wire: frames over a socket that the event loop watches, without streams.

A transport and a stream reader would cost more than the rest of a round trip.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rlm.guest.relay import CHUNK
from rlm.guest.wire import MAX_JSON, MOST_FDS, VALUE_BYTES, Bounds, Frame, WireError, pack

__all__ = [
    "FROM_RELAY",
    "FROM_ZYGOTE",
    "Channel",
    "Cutter",
    "Line",
    "OnFrame",
    "OnLost",
    "bounds_of",
]

_CHUNK = 256 * 1024
_MOST_BYTES = 1024 * 1024 * 1024
_MOST_JSON = 32 * 1024 * 1024
_MOST_VALUES = 500_000
"""More than that stops the event loop for seconds, when they are an output of typed fields."""
_JSON_COPIES = 8
"""How many times its own size JSON may take while it is read."""

FROM_ZYGOTE = Bounds(MAX_JSON, CHUNK, 100_000)
"""What a frame of a zygote has at most: the last words of a session."""

FROM_RELAY = Bounds(1024 * 1024, CHUNK, 1000)
"""What a frame of a relay has at most: a piece of another stream."""

OnFrame = Callable[[Frame], None]
OnLost = Callable[[str], None]


class Cutter(Protocol):
    """Cuts a stream of bytes into frames; raises WireError where it is none."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes and return the frames that they complete."""
        ...


def bounds_of(memory_mb: int | None) -> Bounds:
    """Return what a frame of a guest has at most: reading it takes no more than that guest has."""
    most = _MOST_BYTES if memory_mb is None else min(_MOST_BYTES, memory_mb << 20)
    json = min(_MOST_JSON, most // _JSON_COPIES)
    return Bounds(json, most, min(_MOST_VALUES, most // VALUE_BYTES))


class Line(ABC):
    """Frames to and from one other side, over whatever carries its bytes.

    `on_frame` takes what arrives. `on_lost` is called once, when the other side is gone or has
    broken the protocol, with the reason; not after `close`.
    """

    def __init__(self, on_frame: OnFrame, on_lost: OnLost, frames: Cutter) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._frames = frames
        self._open = True

    @abstractmethod
    def send(self, message: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send a frame; what does not fit now goes when it can."""

    @abstractmethod
    async def drained(self) -> None:
        """Wait until what was sent has been taken, or cannot be sent any more."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the other side; nothing arrives any more."""

    def take(self, data: bytes) -> None:
        """Take bytes that have arrived and pass on the frames that they complete."""
        try:
            frames = self._frames.feed(data)
        except WireError as error:
            self.lose(f"it broke the protocol: {error}")
            return
        for frame in frames:
            if not self._open:
                return
            try:
                self._on_frame(frame)
            except Exception as error:  # whatever a guest brings about ends its own line only
                self.lose(f"it broke the protocol: {type(error).__name__}: {error}")

    def lose(self, reason: str) -> None:
        """The other side is gone, or is not to be listened to any more."""
        if self._open:
            self.close()
            self._on_lost(reason)


class Channel(Line):
    """Frames over a connected socket that it owns."""

    def __init__(
        self,
        sock: socket.socket,
        on_frame: OnFrame,
        on_lost: OnLost,
        frames: Cutter,
    ) -> None:
        super().__init__(on_frame, on_lost, frames)
        sock.setblocking(False)
        self._sock = sock
        self._queue: deque[tuple[memoryview, Sequence[int]]] = deque()
        self._emptied: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._read)

    def send(
        self, message: dict[str, Any], blobs: Sequence[bytes] = (), fds: Sequence[int] = ()
    ) -> None:
        """Send a frame, and with it descriptors; what does not fit now goes when it can.

        The caller keeps `fds` open until the other side has answered.
        """
        if not self._open:
            return  # `on_lost` has said so
        for piece in pack(message, blobs):
            if piece:
                self._queue.append((memoryview(piece), fds))
                fds = ()
        self._write()

    async def drained(self) -> None:
        """Wait until everything has been sent, or cannot be sent any more."""
        if self._queue:
            if self._emptied is None:
                self._emptied = self._loop.create_future()
            await asyncio.shield(self._emptied)

    def close(self) -> None:
        """Close the socket; nothing arrives any more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()
            self._queue.clear()
            self._all_sent()

    def _all_sent(self) -> None:
        emptied, self._emptied = self._emptied, None
        if emptied is not None:
            emptied.set_result(None)

    def _write(self) -> None:
        try:
            while self._queue:
                piece, fds = self._queue[0]
                sent = self._send_fds(piece, fds) if fds else self._sock.send(piece)
                if sent == len(piece):
                    self._queue.popleft()
                else:
                    self._queue[0] = (piece[sent:], fds[MOST_FDS:])
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._sock, self._write)
            return
        except OSError:
            # the reader still has to take what the other side said before it went
            self._queue.clear()
        self._loop.remove_writer(self._sock)
        if self._emptied is not None:
            self._all_sent()

    def _send_fds(self, piece: memoryview, fds: Sequence[int]) -> int:
        part = piece if len(fds) <= MOST_FDS else piece[:1]
        return socket.send_fds(self._sock, [part], list(fds[:MOST_FDS]))

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.lose(f"the connection broke: {error}")
            return
        if data:
            self.take(data)
        else:
            self.lose("")
