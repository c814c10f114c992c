"""The host's end of a wire: frames over a socket that the event loop watches, without streams.

A transport and a stream reader would cost more than the rest of a round trip.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from rlm.guest.wire import Frame, Frames, WireError, pack

__all__ = ["Channel"]

_CHUNK = 256 * 1024
MAX_BLOB_FROM_GUEST = 1024 * 1024 * 1024


class Channel:
    """Frames over a connected socket that it owns.

    `on_frame` takes what arrives. `on_lost` is called once, when the other side is gone or has
    broken the protocol, with the reason; not after `close`.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_frame: Callable[[Frame], None],
        on_lost: Callable[[str], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._frames = Frames(max_blob=MAX_BLOB_FROM_GUEST)
        self._queue: deque[tuple[memoryview, Sequence[int]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._open = True
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

    def close(self) -> None:
        """Close the socket; nothing arrives any more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()
            self._queue.clear()

    def _lose(self, reason: str) -> None:
        if self._open:
            self.close()
            self._on_lost(reason)

    def _write(self) -> None:
        try:
            while self._queue:
                piece, fds = self._queue[0]
                sent = (
                    socket.send_fds(self._sock, [piece], list(fds))
                    if fds
                    else self._sock.send(piece)
                )
                if sent == len(piece):
                    self._queue.popleft()
                else:
                    self._queue[0] = (piece[sent:], ())
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._sock, self._write)
            return
        except OSError:
            # the reader still has to take what the other side said before it went
            self._queue.clear()
        self._loop.remove_writer(self._sock)

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(f"the connection broke: {error}")
            return
        if not data:
            self._lose("")
            return
        try:
            frames = self._frames.feed(data)
        except WireError as error:
            self._lose(f"it broke the protocol: {error}")
            return
        for frame in frames:
            if not self._open:
                return
            try:
                self._on_frame(frame)
            except (WireError, ValueError, TypeError, LookupError, OverflowError) as error:
                self._lose(f"it broke the protocol: {type(error).__name__}: {error}")
