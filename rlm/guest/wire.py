"""Frames: a JSON object and bytes beside it, length-prefixed, in a stream of bytes."""

from __future__ import annotations

import json
import re
import struct
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

__all__ = [
    "MAX_BLOB", "MAX_JSON", "MOST_FDS", "VALUE_BYTES", "VERSION", "Bounds", "Frame", "Frames",
    "Message", "WireError", "from_json", "pack", "to_json",
]  # fmt: skip

VERSION = 1
"""What both sides must agree on before anything else is said."""

MAX_JSON = 64 * 1024 * 1024
MAX_BLOB = 4 * 1024 * 1024 * 1024

MOST_FDS = 64
"""Descriptors that travel with one piece of a frame; more go with the next."""

VALUE_BYTES = 128
"""What a value of JSON takes to read, however short it was: an empty list, and its copy."""
_FEW = 500
"""Values that are not worth counting exactly."""

_APART = 1024 * 1024
"""Bytes beside the JSON above which they are collected in a buffer of their own."""

_NO_MARKS = bytes(set(range(256)) - set(b'"[{,'))
_TEXT = re.compile(rb'"[^"]*"?')

_HEAD = struct.Struct("!IQ")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_decode = json.JSONDecoder().decode


class WireError(ValueError):
    """What came over the wire is not what the protocol allows."""


class Bounds(NamedTuple):
    """The most that one frame may have: bytes of JSON, bytes beside it, values in its JSON."""

    json: int = MAX_JSON
    blob: int = MAX_BLOB
    values: int = MAX_JSON


_LARGEST = Bounds()


class Message(Dict[str, Any]):
    """The JSON object of a frame; `size` is what it takes to hold it, in bytes, about."""

    size = 0


Frame = Tuple[Message, bytes]


def to_json(value: Any) -> bytes:
    """Return JSON as bytes. Lone surrogates in strings survive: both sides use `surrogatepass`."""
    return _encode(value).encode("utf-8", "surrogatepass")


def from_json(data: Any) -> Any:
    """Return what bytes of JSON stand for; ValueError or RecursionError when they are none."""
    return _decode(str(data, "utf-8", "surrogatepass"))


def pack(
    message: dict[str, Any], blobs: Sequence[bytes] = (), most: Bounds = _LARGEST
) -> list[bytes]:
    """Return the pieces of one frame, in the order to send them; WireError for one too large."""
    body = to_json(message)
    beside = sum(map(len, blobs))
    for count, bound, what in (
        (len(body), most.json, "bytes of JSON"),
        (beside, most.blob, "bytes beside its JSON"),
        (_values(body, most.values), most.values, "values"),
    ):
        if count > bound:
            raise WireError(
                f"too large to send: {count:,} {what}, and {bound:,} are the most; hand over less,"
                " or what is large as one text, bytes or an array"
            )
    return [_HEAD.pack(len(body), beside) + body, *blobs]


class Frames:
    """Cuts a stream of bytes into frames, without any I/O.

    What lies beside the JSON of a large frame is collected apart and handed over as a `bytearray`,
    so that it is there only once.
    """

    def __init__(self, most: Bounds = _LARGEST) -> None:
        self._most = most
        self._buffer = bytearray()
        self._message = Message()
        self._blob: Any = bytearray()
        self._missing = 0

    @property
    def wanted(self) -> int:
        """How many bytes are missing to the end of the frame that has begun; 0 when unknown."""
        if self._missing or len(self._buffer) < _HEAD.size:
            return self._missing
        json_size, blob_size = _HEAD.unpack_from(self._buffer)
        missing: int = _HEAD.size + json_size + blob_size - len(self._buffer)
        return max(missing, 0)

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes and return the frames that they complete, or raise WireError."""
        frames: List[Frame] = []
        if self._missing:
            data = self._collect(data)
            if self._missing:
                return frames
            frames.append((self._message, self._blob))
            self._message, self._blob = Message(), bytearray()
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            json_size, blob_size = _HEAD.unpack_from(self._buffer)
            if json_size > self._most.json or blob_size > self._most.blob:
                raise WireError(f"a frame claims {json_size:,} + {blob_size:,} bytes")
            middle = _HEAD.size + json_size
            end = middle + blob_size
            if len(self._buffer) < end:
                if blob_size > _APART and len(self._buffer) >= middle:
                    self._set_apart(middle, end)
                break
            frames.append((self._read(middle), self._cut(middle, end)))
            del self._buffer[:end]
        return frames

    def _set_apart(self, middle: int, end: int) -> None:
        """Go on with a buffer for what lies beside the JSON, of which all is here."""
        self._message = self._read(middle)
        self._missing = end - len(self._buffer)
        self._blob = self._buffer[middle:]
        self._buffer = bytearray()

    def _collect(self, data: bytes) -> bytes:
        """Take what is missing of it, and return the rest."""
        part = data[: self._missing]
        self._blob += part
        self._missing -= len(part)
        return data[len(part) :]

    def _cut(self, start: int, end: int) -> bytes:
        with memoryview(self._buffer) as view:
            return bytes(view[start:end])

    def _read(self, end: int) -> Message:
        body = self._buffer[_HEAD.size : end]
        values = _values(body, self._most.values)
        if values > self._most.values:
            raise WireError(f"a frame has {values:,} values, and may have {self._most.values:,}")
        message = _message(body)
        message.size = len(body) + VALUE_BYTES * values
        return message


def _values(body: bytes | bytearray, most: int) -> int:
    """Return how many values JSON has, twice too many at most, as far as that is up to `most`.

    Of JSON that has few, marks in its texts are counted, too.
    """
    rough = _marks(body)
    if rough <= _FEW:
        return rough
    marks = body.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NO_MARKS)
    texts = marks.count(b'"') // 4  # half of them may be keys
    return texts if texts > most else _marks(_TEXT.sub(b"", marks))


def _marks(body: bytes | bytearray) -> int:
    return 1 + body.count(b",") + body.count(b"[") + body.count(b"{")


def _message(body: bytearray) -> Message:
    try:
        message = from_json(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a frame is not JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("t"), str):
        raise WireError("a frame is not an object with a type")
    return Message(message)
