"""What travels over the attached streams of a container: the engine's records, and our streams."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from rlm.guest.relay import CHUNK
from rlm.guest.wire import Frame, Frames, WireError, pack
from rlm.sandbox._channel import Line, OnFrame, OnLost

__all__ = ["Attached", "Strand", "carried"]

_RECORD = struct.Struct("!BxxxI")
_STDOUT, _STDERR = 1, 2
_MOST_COMPLAINTS = 4096

Send = Callable[[dict[str, Any], Sequence[bytes]], None]


class Attached:
    """Cuts what the engine sends of a container into the frames of its stdout.

    `complaints` is the end of what it wrote to stderr.
    """

    def __init__(self) -> None:
        self._frames = Frames()
        self._buffer = bytearray()
        self.complaints = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes and return the frames that they complete, or raise WireError."""
        self._buffer += data
        found: list[Frame] = []
        start = 0
        while len(self._buffer) - start >= _RECORD.size:
            stream, size = _RECORD.unpack_from(self._buffer, start)
            end = start + _RECORD.size + size
            if len(self._buffer) < end:
                break
            content = bytes(self._buffer[start + _RECORD.size : end])
            start = end
            if stream == _STDOUT:
                found += self._frames.feed(content)
            elif stream == _STDERR:
                self.complaints = (self.complaints + content)[-_MOST_COMPLAINTS:]
            else:
                raise WireError(f"the engine sends a stream {stream}")
        del self._buffer[:start]
        return found


class Strand(Line):
    """The line to one session, carried by `send` within the stream of its container."""

    def __init__(self, number: int, send: Send, on_frame: OnFrame, on_lost: OnLost) -> None:
        super().__init__(on_frame, on_lost)
        self._number = number
        self._send = send

    def send(self, message: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send a frame to the session."""
        if self._open:
            for carrier, piece in carried(self._number, pack(message, blobs)):
                self._send(carrier, (piece,))

    def close(self) -> None:
        """Let go of the session, which ends when it notices."""
        if self._open:
            self._open = False
            self._send({"t": "end", "id": self._number}, ())


def carried(number: int, pieces: Sequence[bytes]) -> list[tuple[dict[str, Any], bytes]]:
    """Return the frames that carry these pieces to a stream, none so large that others wait."""
    found = []
    for piece in pieces:
        view = memoryview(piece)
        for place in range(0, len(view), CHUNK):
            found.append(({"t": "bytes", "id": number}, bytes(view[place : place + CHUNK])))
    return found
