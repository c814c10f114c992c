"""Values as tagged JSON, with what is large as bytes beside it; nothing is ever unpickled.

JSON's own values are themselves; every other is an object whose key `"$"` names its type.
"""

from __future__ import annotations

import base64
import datetime as dt
import enum
import os
from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, Callable, Dict, Iterator, Tuple

from . import arrays
from .files import File, Opener, reference
from .mapped import copied
from .records import Record, type_name
from .weighing import MOST_DIGITS, Scales
from .wire import WireError

__all__ = ["LARGE", "Blobs", "NotPortable", "Record", "decode", "divided", "encode"]

LARGE = 64 * 1024
"""Strings (in characters) and bytes above this travel beside the JSON."""

_ITEMS = 1000
"""Items of a list or dict that are encoded at a time, where it need not be done at once."""

_DEEPEST = 200


class NotPortable(TypeError):
    """A value has no form in which it can leave or enter a sandbox."""


class Blobs:
    """Collects the bytes that travel beside the JSON of one frame, and texts above `least`."""

    least = LARGE

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0

    def put(self, content: bytes) -> list[int]:
        """Keep content and return where it is: offset and length."""
        at = [self.size, len(content)]
        self.pieces.append(content)
        self.size += len(content)
        return at

    def put_text(self, text: str) -> list[int]:
        """Keep text and return where it is; a third number says in which form, if not UTF-8."""
        return self.put(text.encode("utf-8", "surrogatepass"))

    def put_file(self, file: Any) -> int:
        """Keep an open file for the other side and return its place; only some ways carry it."""
        raise NotPortable(f"the file {file.name!r} can only be an input or a variable of a session")


def encode(value: Any, blobs: Blobs, names: Mapping[int, str] | None = None) -> Any:
    """Return `value` as tagged JSON.

    `names` maps the id of an object that the other side already has to its name there. Raises
    NotPortable, naming the value and where in it, when there is no form for it.
    """
    return _Encoder(blobs, names or {}).encode(value, 0)


def divided(value: Any) -> Tuple[Iterator[Any], bytes]:
    """Return parts of a list or of a plain dict, and the ends of its JSON; no ends for others."""
    if type(value) is list and value:
        return (value[at : at + _ITEMS] for at in range(0, len(value), _ITEMS)), b"[]"
    if type(value) is dict and value and _is_plain(value):
        pairs = iter(value.items())
        return iter(lambda: dict(islice(pairs, _ITEMS)), {}), b"{}"
    return iter(()), b""


def _is_plain(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping is an object of JSON as it is."""
    return "$" not in value and all(type(key) is str for key in value)


def decode(
    value: Any,
    blob: Any = b"",
    names: Mapping[str, Any] | None = None,
    open_file: Callable[[Mapping[str, Any]], Any] | None = None,
    record: Callable[[str, dict[str, Any]], Any] = Record,
    shared: Callable[..., Any] | None = None,
    foreign: bool = False,
) -> Any:
    """Return the value that tagged JSON stands for; WireError when it stands for none.

    `names` has the objects that the other side may refer to; `open_file` takes a file's entry;
    `record` makes a record of a type's name and its fields; `shared` is a `mapped.Shared` of the
    file that `blob` shows, where it may be used. `foreign` is for values of a guest: long numbers
    are weighed, too, which whoever writes them as text pays for.
    """
    try:
        decoder = _Decoder(memoryview(blob), names or {}, open_file, record, shared)
        decoder.foreign = foreign
        return decoder.decode(value, 0)
    except WireError:
        raise
    except NotPortable as error:
        raise WireError(str(error)) from None
    except Exception as error:  # of junk, libraries raise what they like
        raise WireError(f"a value is malformed: {type(error).__name__}: {error!s:.200}") from None


class _Encoder:
    def __init__(self, blobs: Blobs, names: Mapping[int, str]) -> None:
        self._blobs = blobs
        self._names = names

    def encode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._text(value)
        if value is None or kind is bool or kind is float:
            return value
        if kind is int:
            return value if -(1 << 63) <= value < 1 << 63 else {"$": "int", "v": hex(value)}
        if depth > _DEEPEST:
            raise NotPortable(f"the value is nested deeper than {_DEEPEST} levels, or holds itself")
        if kind is list:
            return self._items(value, depth)
        if kind is dict:
            return self._mapping(value, depth)
        if id(value) in self._names:
            return {"$": "ref", "v": self._names[id(value)]}
        if kind in _EXACT:
            return _EXACT[kind](self, value, depth)
        for base, method in _BY_TYPE:
            if isinstance(value, base):
                return method(self, value, depth)
        return self._object(value, depth)

    def _text(self, value: str) -> Any:
        if len(value) <= self._blobs.least:
            return value
        if id(value) in self._names:
            return {"$": "ref", "v": self._names[id(value)]}
        return {"$": "str", "at": self._blobs.put_text(value)}

    def _items(self, value: Any, depth: int) -> list[Any]:
        return [self.encode(item, depth + 1) for item in value]

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        if isinstance(value, Record):
            fields = {name: self.encode(item, depth + 1) for name, item in dict.items(value)}
            return {"$": "record", "type": type_name(value), "v": fields}
        if _is_plain(value):
            return {key: self.encode(item, depth + 1) for key, item in value.items()}
        pairs = [[self.encode(k, depth + 1), self.encode(v, depth + 1)] for k, v in value.items()]
        return {"$": "dict", "v": pairs}

    def _bytes(self, value: Any, depth: int) -> dict[str, Any]:
        content = bytes(value)
        if len(content) > LARGE:
            return {"$": "bytes", "at": self._blobs.put(content)}
        return {"$": "bytes", "v": base64.b64encode(content).decode("ascii")}

    def _object(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if (kind.__module__, kind.__name__) == ("uuid", "UUID"):
            return {"$": "uuid", "v": str(value)}
        if callable(getattr(kind, "open_fd", None)):
            return {
                "$": "file",
                "name": str(value.name),
                "type": str(value.content_type),
                "size": int(value.size),
                "fd": self._blobs.put_file(value),
            }
        if hasattr(kind, "__dataclass_fields__"):  # importing dataclasses costs 7 ms
            fields = {name: getattr(value, name) for name in kind.__dataclass_fields__}
        elif callable(getattr(kind, "model_dump", None)):
            fields = {name: getattr(value, name) for name in kind.model_fields}
        else:
            tagged = arrays.encode(
                value, self._blobs.put, lambda item: self.encode(item, depth + 1)
            )
            if tagged is not None:
                return tagged
            raise NotPortable(
                f"a {kind.__module__}.{kind.__qualname__} cannot leave or enter a sandbox: turn it"
                f" into text, numbers, lists or dicts first (the value: {_short(value)})"
            )
        return {
            "$": "record",
            "type": kind.__name__,
            "v": {name: self.encode(item, depth + 1) for name, item in fields.items()},
        }


def _short(value: Any) -> str:
    try:
        return repr(value)[:80]
    except (Exception, SystemExit) as error:
        return f"its repr raises {type(error).__name__}"


def _file(encoder: _Encoder, value: File, depth: int) -> dict[str, Any]:
    """Return the name of a file of the host: it has that one already."""
    if not reference(value):
        raise NotPortable(f"{value!r} is no file of the host")
    return {"$": "ref", "v": reference(value)}


def _modest(value: Decimal) -> Decimal:
    """Return a decimal, if an integer can be made of it: one of 10**8 digits takes a minute."""
    if value.is_finite() and abs(value.adjusted()) > MOST_DIGITS:
        raise NotPortable(f"a Decimal of more than {MOST_DIGITS:,} digits cannot be passed on")
    return value


def _tagged(tag: str, form: Callable[[Any], Any]) -> Callable[[_Encoder, Any, int], Any]:
    return lambda encoder, value, depth: {"$": tag, "v": form(value)}


def _listed(tag: str) -> Callable[[_Encoder, Any, int], Any]:
    return lambda encoder, value, depth: {"$": tag, "v": encoder._items(value, depth)}


_VIEWS: Tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()), range)

_BY_TYPE: Tuple[Tuple[Any, Callable[[_Encoder, Any, int], Any]], ...] = (
    (enum.Enum, lambda encoder, value, depth: encoder.encode(value.value, depth + 1)),
    (str, lambda encoder, value, depth: encoder._text(str.__str__(value))),
    ((bytes, bytearray, memoryview), _Encoder._bytes),
    (bool, lambda encoder, value, depth: bool(value)),
    (int, lambda encoder, value, depth: encoder.encode(int(value), depth)),
    (float, lambda encoder, value, depth: float(value)),
    (Mapping, _Encoder._mapping),
    (tuple, _listed("tuple")),
    (list, lambda encoder, value, depth: encoder._items(value, depth)),
    (frozenset, _listed("frozenset")),
    (set, _listed("set")),
    (_VIEWS, lambda encoder, value, depth: encoder._items(value, depth)),
    (dt.datetime, _tagged("datetime", dt.datetime.isoformat)),
    (dt.date, _tagged("date", dt.date.isoformat)),
    (dt.time, _tagged("time", dt.time.isoformat)),
    (dt.timedelta, _tagged("timedelta", lambda v: [v.days, v.seconds, v.microseconds])),
    (Decimal, _tagged("decimal", lambda v: str(_modest(v)))),
    (complex, _tagged("complex", lambda v: [v.real, v.imag])),
    (os.PathLike, lambda encoder, value, depth: encoder._text(str(value))),
    (File, _file),
)
_EXACT = {base: method for base, method in _BY_TYPE if isinstance(base, type)}
"""The same by a value's own type, without asking each in turn; subclasses are left to those."""


class _Decoder:
    def __init__(
        self, blob: memoryview, names: Mapping[str, Any], open_file: Any, record: Any, shared: Any
    ) -> None:
        self._record = record
        self._shared = shared
        self._blob = blob
        self._unread = len(blob)
        self._scales = Scales()
        self._in_table = False
        self.foreign = False
        self._names = names
        self._open_file = open_file

    def decode(self, value: Any, depth: int) -> Any:
        if depth > _DEEPEST + 8:
            raise WireError("a value is nested too deep")
        if isinstance(value, list):
            return [self.decode(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return self._weighed(value) if type(value) is int else value
        if "$" not in value:
            return {key: self.decode(item, depth + 1) for key, item in value.items()}
        tag = value["$"]
        if tag in _SIMPLE:
            return self._weighed(_SIMPLE[tag](value["v"]))
        if tag in _CONTAINERS:
            items = [self.decode(item, depth + 1) for item in value["v"]]
            if tag != "tuple":
                self._scales.keys(items)
            return _CONTAINERS[tag](items)
        return self._special(tag, value, depth)

    def _weighed(self, value: Any) -> Any:
        if self.foreign and type(value) is int:
            self._scales.number(value)
        return value

    def _special(self, tag: Any, value: dict[str, Any], depth: int) -> Any:
        if tag == "str":
            return self._text(value)
        if tag == "bytes":
            return self._bytes(value) if "at" in value else base64.b64decode(value["v"])
        if tag == "dict":
            decoded = [self.decode(pair, depth + 1) for pair in value["v"]]
            pairs = [(_hashable(key), item) for key, item in decoded]
            self._scales.keys([key for key, _ in pairs])
            return dict(pairs)
        if tag == "record":
            fields = {str(k): self.decode(v, depth + 1) for k, v in value["v"].items()}
            return self._record(str(value["type"]), fields)
        if tag == "ref":
            return self._named(value["v"])
        if tag == "file" and self._open_file is not None:
            return self._open_file(value)
        if tag in arrays.TAGS:
            return self._table(value, depth)
        raise WireError(f"a value has an unknown type: {tag!r:.80}")

    def _table(self, value: dict[str, Any], depth: int) -> Any:
        outside, self._in_table = self._in_table, True
        found = arrays.decode(
            value, self._at, lambda item: self.decode(item, depth + 1), self._scales
        )
        self._in_table = outside
        return found

    def _named(self, name: str) -> Any:
        found = self._names[name]
        if self._in_table and not isinstance(found, (str, bytes)):
            raise WireError("an object is named in a table")  # pandas asks it for attributes
        return found

    def _text(self, value: dict[str, Any]) -> str:
        form = value["at"][2:]
        if not form:
            return str(self._at(value), "utf-8", "surrogatepass")
        made = self._laid_out(value["at"])
        return copied(self._at(value), *form) if made is None else str(made)

    def _bytes(self, value: dict[str, Any]) -> bytes:
        made = self._laid_out(value["at"])
        return bytes(self._at(value) if made is None else made)

    def _laid_out(self, at: list[int]) -> Any:
        """Return a text or bytes that lies in a file which came along, as long as it is large."""
        if len(at) == 4 and isinstance(self._open_file, Opener):
            return self._open_file.content(*at)
        return None if self._shared is None else self._shared(*at)

    def _at(self, value: dict[str, Any]) -> memoryview:
        offset, length = value["at"][:2]
        if len(value["at"]) == 4:
            return memoryview(self._laid_out(value["at"]))
        if not (0 <= offset <= offset + length <= len(self._blob)):
            raise WireError("a value lies outside of its frame")
        self._unread -= length
        if self._unread < 0:
            raise WireError("values of a frame overlap")  # few bytes could stand for very many
        return self._blob[offset : offset + length]


def _hashable(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def _int(text: str) -> int:
    return int(text, 16)


def _uuid(text: str) -> Any:
    from uuid import UUID  # 3 ms, and few values hold one

    return UUID(text)


_SIMPLE: Dict[Any, Callable[[Any], Any]] = {
    "int": _int,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "timedelta": lambda v: dt.timedelta(days=v[0], seconds=v[1], microseconds=v[2]),
    "decimal": lambda v: _modest(Decimal(v)),
    "uuid": _uuid,
    "complex": lambda v: complex(v[0], v[1]),
}
_CONTAINERS: Dict[Any, Callable[[Any], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
