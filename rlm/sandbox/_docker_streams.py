"""What an engine sends of a container's streams: its records, and our frames in them."""

from __future__ import annotations

import struct

from rlm.guest.wire import Frame, Frames, WireError
from rlm.sandbox._channel import FROM_RELAY

__all__ = ["Attached"]

_RECORD = struct.Struct("!BxxxI")
_STDOUT, _STDERR = 1, 2
_MOST_COMPLAINTS = 4096


class Attached:
    """Cuts what the engine sends of a container into the frames of its stdout.

    `complaints` is the end of what it wrote to stderr.
    """

    def __init__(self) -> None:
        self._frames = Frames(FROM_RELAY)
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
