"""What a guest can send: frames as they should be, and everything that may be wrong with them."""

from __future__ import annotations

import struct
from base64 import b64encode
from typing import Any

from fuzz.source import Source, one_in, pick
from rlm.guest.wire import to_json

__all__ = ["FILES", "FUNCTIONS", "NAMES", "junk", "said_by_session", "said_by_zygote", "stream"]

FUNCTIONS = ("echo", "slow", "broken", "refused", "large")
NAMES = ("place:text", "place:#0", "session:text", "session:#0")
FILES = ("place:#0", "session:#0")

_HEAD = struct.Struct("!IQ")
_PRIME = (1 << 61) - 1  # multiples of it have the same hash

_ATOMS: tuple[Any, ...] = (
    0, 1, "", "a", None, True, False, -1, 2, 1.5, -0.0, 1 << 31, 1 << 63, -(1 << 70), 10**400,
    float("nan"), float("inf"), float("-inf"), 1e308, "$", "\ud800", "\udfff\ud800", "\x00",
    "\x1b]0;title\x07", "\x1b[2J", "x" * 300, "é" * 200, "\U0001f600", "0x", "-0xff", "1e999999",
    "sNaN", "9" * 5000, "2020-01-01T00:00:00", "__class__", "__globals__", "get", *NAMES,
    *FUNCTIONS,
)  # fmt: skip

_TAGS = (
    "str", "bytes", "int", "dict", "tuple", "set", "frozenset", "record", "ref", "datetime", "date",
    "time", "timedelta", "decimal", "uuid", "complex", "ndarray", "frame", "series", "file", "$",
)  # fmt: skip

_DTYPES = ("<f8", "|b1", "<U3", "|S1", "<M8[s]", "<m8[ns]", "|O8", "<f8,<f8", "<M8[x]", "<c16")

_NAMES = (
    "a", "echo", "slow", "broken", "refused", "large", "__class__", "__getitem__", "__init__",
    "get", "keys", "llm_query", "submit", "os", "", "\ud800",
)  # fmt: skip

_KEYS = (
    "v", "$", "at", "t", "id", "n", "name", "args", "kwargs", "stdout", "stderr", "value", "error",
    "variables", "files", "type", "dtype", "shape", "index", "line", "kind", "message", "source",
    "traceback", "stream", "text", "code", "version", "stdout_chars", "__class__", "",
)  # fmt: skip

_SNIPPETS = (
    b"", b"[", b"]", b"{", b"}", b'"', b",", b":", b"NaN", b"Infinity", b"-", b"1e999", b"\xff",
    b"\xed\xa0\x80", b"\x00", b"\\ud800", b"\\", b"null", b"1" * 5000, b"[" * 1200, b'{"a":' * 600,
    b'{"$":"tuple","v":[' * 150, b'"$":"ref",', b"-0", b" " * 40, b"\xef\xbb\xbf",
)  # fmt: skip


def junk(source: Source, depth: int = 0) -> Any:
    """Make a JSON value, forged tags and all."""
    kind = source.below(8 if depth < 4 else 5)
    if kind < 5:
        return pick(source, _ATOMS)
    if kind == 5:
        return [junk(source, depth + 1) for _ in range(source.below(4))]
    if kind == 6:
        return {pick(source, _KEYS): junk(source, depth + 1) for _ in range(source.below(4))}
    return tagged(source, depth + 1)


def tagged(source: Source, depth: int = 0) -> Any:
    """Make the tagged form of a value, or what resembles one."""
    tag = pick(source, _TAGS)
    made: dict[str, Any] = {"$": tag, "v": _form(source, tag, depth)}
    if tag in ("str", "bytes", "ndarray") or one_in(source, 10):
        made["at"] = _region(source)
    if tag == "record":
        made["type"] = "Case" if not one_in(source, 4) else junk(source, depth + 1)
    if tag in ("ndarray", "frame", "series"):
        made["dtype"] = pick(source, _DTYPES)
        made["shape"] = [source.below(5) for _ in range(source.below(3))]
        made["index"] = _items(source, depth)
        made["name"] = pick(source, _ATOMS)
    if tag == "file":
        made |= {"name": "f", "type": "text/plain", "size": 1, "fd": source.below(3)}
    return _spoiled(source, made) if one_in(source, 3) else made


def _form(source: Source, tag: str, depth: int) -> Any:
    if one_in(source, 6):
        return junk(source, depth + 1)
    if tag in ("tuple", "set", "frozenset", "series"):
        return _items(source, depth)
    if tag == "dict":
        return [[key, junk(source, depth + 1)] for key in _items(source, depth)]
    if tag == "record":
        return {pick(source, _KEYS): junk(source, depth + 1) for _ in range(source.below(4))}
    if tag == "frame":
        return [[pick(source, _ATOMS), _items(source, depth)] for _ in range(source.below(3))]
    forms = {
        "bytes": ("YQ==", "a", "é", ""),
        "int": ("0x1", "-0xff", "f" * 9000, "1_0", ""),
        "ref": NAMES,
        "datetime": ("2020-01-01T00:00:00", "9999-12-31T23:59:59.999999+23:59"),
        "date": ("2020-01-01", "0001-01-01", "2020-13-01"),
        "time": ("00:00:00", "24:00"),
        "timedelta": ([1, 2, 3], [10**10, 0, 0], [float("nan"), 0, 0], []),
        "decimal": ("1.5", "NaN", "sNaN", "1e999999999", "x", [0, [1, 2], 3]),
        "uuid": ("0" * 32, "-", ""),
        "complex": ([1, 2], [1], ["1", 2], [float("nan"), 1e999]),
    }
    return pick(source, forms.get(tag, _ATOMS))


def _items(source: Source, depth: int) -> list[Any]:
    if one_in(source, 40):
        return [number * _PRIME for number in range(source.below(3000))]
    return [junk(source, depth + 1) for _ in range(source.below(4))]


def _region(source: Source) -> Any:
    size = source.below(24)
    regions: tuple[Any, ...] = (
        [0, size], [size, 1], [size, size], [-1, 2], [0, -1], [1 << 62, 1 << 62], [0, 1 << 64],
        [0.0, 1.0], [True, True], [0], "ab", None, [0, size, 127], [0, size, 255],
        [0, size, 65535], [0, size, 1114111], [0, size, "x"], [0, size, 127, 127],
    )  # fmt: skip
    return pick(source, regions)


def _spoiled(source: Source, made: dict[str, Any]) -> Any:
    """Take something away, put something else in its place, or add something."""
    how = source.below(4)
    if how == 0 or not made:
        return {**made, pick(source, _KEYS): junk(source, 2)}
    key = pick(source, list(made))
    if how == 1:
        return {name: value for name, value in made.items() if name != key}
    return {**made, key: junk(source, 1)}


def said_by_session(source: Source) -> dict[str, Any]:
    """Make a message that a session may send, or what resembles one."""
    kind = pick(source, ("done", "call", "output", "call", "done", "ready", "other"))
    if kind == "done":
        made = _done(source)
    elif kind == "call":
        made = _call(source)
    elif kind == "output":
        made = {"t": "output", "stream": pick(source, ("stdout", "stderr", "x", "__class__"))}
        made["text"] = pick(source, ("a", "é" * 60, "", "\ud800", "\x1b[2J", "x" * 3000))
    elif kind == "ready":
        made = {"t": "ready", "version": pick(source, (1, 2, None)), "pid": 1}
    else:
        kinds = ("answer", "execute", "bind", "gone", "interrupted", "failed", "close", "", "t")
        made = {"t": pick(source, kinds), "id": source.below(3), "code": 0, "n": source.below(3)}
    return _spoiled(source, made) if one_in(source, 3) else made


def _done(source: Source) -> dict[str, Any]:
    made: dict[str, Any] = {"t": "done", "n": pick(source, (1, 1, 1, 0, 2))}
    made |= {"stdout": "", "stderr": "", "stdout_chars": source.below(9), "stderr_chars": 0}
    made |= {"value": None, "error": None, "variables": [], "files": []}
    if one_in(source, 2):
        made["stdout"] = tagged(source) if one_in(source, 3) else "x" * source.below(600)
        made["value"] = pick(source, ("1", None, "\ud800", "x" * 900, "\x1b[2J"))
    if one_in(source, 2):
        made["variables"] = [
            ["x", "int", pick(source, (None, 3, -1, 10**300, True, 1.5)), "1"],
            pick(source, (["a", "b", None, "c"], ["\ud800", "", 0, "x" * 5000], [], "abcd", 5)),
        ]
        made["files"] = [pick(source, (*FILES, "x" * 900, "\ud800", 7)) for _ in range(3)]
    if one_in(source, 2):
        made["error"] = {
            "type": "ValueError", "message": pick(source, ("m", "x" * 20_000, "\ud800")),
            "line": pick(source, (1, None, -5, 10**30, True, 1.5)), "source": "s",
            "traceback": "t", "kind": pick(source, ("error", "syntax", "timeout", "lost", "x")),
        }  # fmt: skip
        if one_in(source, 3):
            made["error"] = _spoiled(source, made["error"])
    if one_in(source, 3):
        made["images"] = _shown(source)
    return made


_IMAGES = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01" + bytes(9),
    b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x01\x00\x01" + bytes(9), b"\xff\xd8\xff\xff\x00\x00" * 9,
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"",
)  # fmt: skip


def _shown(source: Source) -> Any:
    """Make the images of a cell, or what resembles them."""
    content = pick(source, _IMAGES)[: source.below(60)]
    image = {"$": "bytes", "v": b64encode(content).decode("ascii")}
    return pick(source, ([image], [image] * 20, [tagged(source), image], image, "abc", None))


def _call(source: Source) -> dict[str, Any]:
    made: dict[str, Any] = {"t": "call", "id": source.below(5), "name": pick(source, FUNCTIONS)}
    if one_in(source, 4):
        made["name"] = pick(source, _NAMES)
    made["args"] = [junk(source, 1) for _ in range(source.below(3))]
    made["kwargs"] = {pick(source, _NAMES): junk(source, 1) for _ in range(source.below(2))}
    if one_in(source, 4):
        made[pick(source, ("args", "kwargs"))] = tagged(source)
    return made


def said_by_zygote(source: Source) -> dict[str, Any]:
    """Make a message that a zygote may send, or what resembles one."""
    number = source.below(4)
    kind = pick(source, ("gone", "interrupted", "ready", "failed", "other"))
    made: dict[str, Any] = {"t": kind, "id": number}
    if kind == "gone":
        codes: tuple[Any, ...] = (
            0,
            -9,
            -11,
            1,
            "1",
            "x",
            None,
            float("nan"),
            float("inf"),
            10**300,
            [],
        )
        made |= {"code": pick(source, codes), "why": pick(source, _ATOMS)}
        made["rest"] = {"stdout": junk(source, 3), "stderr": pick(source, _ATOMS)}
    elif kind == "ready":
        made |= {"missing": [], "files": "as they are", "python": "3", "walls": {}, "version": 1}
    elif kind == "failed":
        made["message"] = pick(source, _ATOMS)
    return _spoiled(source, made) if one_in(source, 3) else made


def stream(source: Source, messages: list[Any]) -> list[bytes]:
    """Return the bytes of these messages as frames, with blobs, in the pieces that arrive."""
    data = b"".join(_frame(source, message) for message in messages)
    pieces = []
    for _ in range(source.below(3)):
        place = source.below(len(data) + 1)
        pieces.append(data[:place])
        data = data[place:]
    return [*pieces, data]


def _frame(source: Source, message: Any) -> bytes:
    body, blob = to_json(message), b""
    if one_in(source, 3):
        blob = source.some(48)
    if one_in(source, 8):
        place = source.below(len(body) + 1)
        body = body[:place] + pick(source, _SNIPPETS) + body[place + source.below(3) :]
    sizes = (len(body), len(blob))
    if one_in(source, 16):
        sizes = pick(
            source,
            (
                (len(body) - 1, len(blob)),
                (len(body) + 1, len(blob)),
                (len(body), len(blob) + 1),
                ((1 << 32) - 1, 0),
                (len(body), 1 << 63),
                (0, 0),
                (0, (1 << 64) - 1),
            ),
        )
    return _HEAD.pack(max(sizes[0], 0), sizes[1]) + body + blob
