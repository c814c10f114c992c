"""An input described for a model that will not see it: type, size, shape, excerpts."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection, Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from rlm.events import InputFact
from rlm.files import File
from rlm.prompt.quote import clean, one_line

__all__ = ["EXCERPT_CHARS", "VALUE_CHARS", "describe"]

EXCERPT_CHARS = 400
"""Characters of each excerpt, head and tail."""
VALUE_CHARS = 2_000
"""The longest value, as JSON, that is shown whole."""
_SAMPLE = 20
"""Items that are looked at to say what a container holds."""
_NAME_CHARS = 60
_PLAIN = (Decimal, date, time, UUID, Enum)


def describe(name: str, value: Any) -> InputFact:
    """Return the description of an input; its cost does not grow with the input's size."""
    parts = _parts(value)
    if _small(value):
        parts["value"] = value
    return InputFact(name=name, type=_type(value), **parts)


def _parts(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, File):
        return _file(value)
    if isinstance(value, (bytes, bytearray)):
        head = repr(bytes(value[:100]))[:EXCERPT_CHARS]
        return {"length": len(value), "unit": "bytes", "head": head}
    if isinstance(value, _PLAIN) or value is None or isinstance(value, (bool, int, float)):
        return {"head": _preview(value)}
    frame = _frame(value)
    if frame is not None:
        return frame
    return _container(value)


def _text(value: str) -> dict[str, Any]:
    head = value[:EXCERPT_CHARS]
    tail = value[max(len(value) - EXCERPT_CHARS, EXCERPT_CHARS) :]
    return {
        "length": len(value),
        "unit": "characters",
        "tokens": -(-len(value) // 4),
        "shape": _look(head, len(value)),
        "head": clean(head)[:EXCERPT_CHARS],
        "tail": clean(tail)[-EXCERPT_CHARS:],
    }


def _file(value: File) -> dict[str, Any]:
    size = value.size
    head = value.head(EXCERPT_CHARS)
    tail = value.tail(EXCERPT_CHARS) if size > len(head.encode("utf-8", "replace")) else ""
    return {
        "length": size,
        "unit": "bytes",
        "tokens": -(-size // 4),
        "shape": _look(head, size),
        "head": clean(head)[:EXCERPT_CHARS],
        "tail": clean(tail)[-EXCERPT_CHARS:],
        "content_type": value.content_type,
        "path": "" if value.path is None else str(value.path),
    }


def _look(head: str, length: int) -> str:
    """Say what the beginning of a text looks like."""
    start = head.lstrip()
    lines = head.splitlines()
    if start.startswith(("{", "[{", '["', "[[")) and '"' in start:
        return (
            "looks like JSON lines" if len(lines) > 1 and lines[1][:1] == "{" else "looks like JSON"
        )
    if start.startswith("<") and ">" in start:
        return "looks like markup"
    for separator, kind in ((",", "comma"), ("\t", "tab"), (";", "semicolon")):
        counts = {line.count(separator) for line in lines[:-1][:4]}
        if len(lines) > 2 and len(counts) == 1 and counts.pop() > 0:
            return f"looks like {kind}-separated columns"
    if len(lines) > 1:
        return "in lines"
    return "no line break in the head" if length > EXCERPT_CHARS else ""


def _container(value: Any) -> dict[str, Any]:
    fields = _fields(value)
    if fields is not None:
        return {"shape": f"fields {_keys(fields)}", "head": _preview(value)}
    if isinstance(value, Mapping):
        return {
            "length": len(value),
            "unit": "keys",
            "shape": f"keys {_keys(value)}" if value else "",
            "head": _preview(value),
        }
    if isinstance(value, Collection):
        shape = _items(value)
        return {"length": len(value), "unit": "items", "shape": shape, "head": _preview(value)}
    return {}


def _items(value: Collection[Any]) -> str:
    """Say of what the items are, from the first few of them."""
    sample = list(islice(value, _SAMPLE))
    kinds = sorted({_type(item) for item in sample})
    if not kinds:
        return ""
    first = sample[0]
    inner = first if isinstance(first, Mapping) else _fields(first)
    if len(kinds) == 1 and inner:
        return f"of {kinds[0]} with keys {_keys(inner)}"
    if len(kinds) == 1:
        return f"of {_sized(first)}"
    return f"of {' and '.join(kinds[:6])}"


def _keys(value: Mapping[Any, Any]) -> str:
    shown = [
        f"{one_line(_preview(key, quote=False), _NAME_CHARS)} ({_sized(item)})"
        for key, item in islice(value.items(), _SAMPLE)
    ]
    more = len(value) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _sized(value: Any) -> str:
    kind = _type(value)
    if isinstance(value, str):
        return f"{kind} of {len(value):,} characters" if len(value) > _NAME_CHARS else kind
    if isinstance(value, (bytes, bytearray)):
        return f"{kind} of {len(value):,} bytes"
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return f"{kind} of {len(value):,}"
    return kind


def _type(value: Any) -> str:
    return type(value).__name__[:_NAME_CHARS]


def _fields(value: Any) -> dict[str, Any] | None:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _frame(value: Any) -> dict[str, Any] | None:
    """Describe a data frame or an array, known by what it has and not by who made it."""
    size = getattr(value, "shape", None)
    if not isinstance(size, tuple) or not all(isinstance(n, int) for n in size):
        return None
    columns = getattr(value, "columns", None)
    if columns is None:
        kind = one_line(str(getattr(value, "dtype", "")), _NAME_CHARS)
        sides = " x ".join(f"{n:,}" for n in size)
        return {"length": math.prod(size), "unit": "values", "shape": f"{sides} {kind}".strip()}
    types = getattr(value, "dtypes", ())
    pairs = zip(islice(columns, _SAMPLE), islice(types, _SAMPLE), strict=False)
    named = ", ".join(
        f"{one_line(str(name), _NAME_CHARS)} ({one_line(str(kind), _NAME_CHARS)})"
        for name, kind in pairs
    )
    shape = f"{size[0]:,} rows x {size[-1]:,} columns: {named}"
    return {"length": size[0], "unit": "rows", "shape": shape}


def _preview(value: Any, *, quote: bool = True) -> str:
    """Return the beginning of a value as Python would write it, at most EXCERPT_CHARS long."""
    text = clean("".join(_pieces(value, 3)) if quote or not isinstance(value, str) else value[:200])
    return text if len(text) <= EXCERPT_CHARS else text[: EXCERPT_CHARS - 1] + "…"


def _pieces(value: Any, depth: int) -> Iterable[str]:
    fields = _fields(value)
    if isinstance(value, str):
        yield repr(value[:100]) + ("…" if len(value) > 100 else "")
    elif isinstance(value, (bytes, bytearray)):
        yield repr(bytes(value[:60])) + ("…" if len(value) > 60 else "")
    elif isinstance(value, int) and abs(value) >= 10**100:
        yield f"int of {value.bit_length():,} bits"
    elif value is None or isinstance(value, (bool, int, float)):
        yield repr(value)
    elif isinstance(value, _PLAIN):
        yield str(value)[:100]
    elif depth == 0:
        yield f"<{_sized(value)}>"
    elif isinstance(value, Mapping) or fields is not None:
        yield from _pairs(value if fields is None else fields, depth)
    elif isinstance(value, (list, tuple)):
        yield from _row(value, depth)
    elif isinstance(value, (set, frozenset)):
        # A set has no order of its own: the same input would be described in another way each time.
        yield from _row(sorted(value, key=repr) if _few_plain(value) else (), depth)
    else:
        yield f"<{_type(value)}>"


def _few_plain(value: Collection[Any]) -> bool:
    return len(value) <= 100 and all(
        isinstance(item, (int, float)) or (isinstance(item, str) and len(item) <= 1000)
        for item in value
    )


def _row(value: Collection[Any], depth: int) -> Iterable[str]:
    yield "["
    for index, item in enumerate(islice(value, 5)):
        yield ", " if index else ""
        yield from _pieces(item, depth - 1)
    yield ", …]" if len(value) > 5 else "]"


def _pairs(value: Mapping[Any, Any], depth: int) -> Iterable[str]:
    yield "{"
    for index, (key, item) in enumerate(islice(value.items(), 8)):
        yield ", " if index else ""
        yield from _pieces(key, 0)
        yield ": "
        yield from _pieces(item, depth - 1)
    yield ", …}" if len(value) > 8 else "}"


def _small(value: Any) -> bool:
    """Whether the value is plain JSON of at most VALUE_CHARS; it stops reading at that size."""
    if _json_left(value, VALUE_CHARS) < 0:
        return False
    return len(json.dumps(value, ensure_ascii=False)) <= VALUE_CHARS


def _json_left(value: Any, left: int) -> int:
    """Return a lower bound's remainder of `left` after the value; negative when it cannot fit."""
    if value is None or isinstance(value, bool):
        return left - 4
    if type(value) is int:
        return left - 1 if abs(value) < 10**100 else -1
    if type(value) is float:
        return left - 1 if math.isfinite(value) else -1
    if type(value) is str:
        return -1 if len(value) > left or _has_surrogate(value) else left - len(value) - 2
    if type(value) not in (list, dict) or len(value) * 2 > left:
        return -1
    parts: Iterable[Any] = value
    if type(value) is dict:
        if not all(type(key) is str for key in value):
            return -1
        parts = (part for pair in value.items() for part in pair)
    left -= 2
    for part in parts:
        left = _json_left(part, left)
        if left < 0:
            break
    return left


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
