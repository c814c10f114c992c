"""Values described in few characters: by content while small, by shape when large.

What is shown of a value runs code of the cell that made it. Nothing raises here but what ends a
cell; tables, arrays and tensors are known by what they offer, and nothing is imported for them.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Tuple

from .errors import CellTimeout, Submitted

__all__ = ["class_has", "describe", "kind_name", "length", "listing", "preview", "shape", "shorten"]

_ITEMS = 100
_COLUMNS = 40
_MEASURED = 10_000_000
"""Elements of an array up to which its smallest and largest are looked for."""

_name_of: Any = type.__dict__["__name__"].__get__
_mro_of: Any = type.__dict__["__mro__"].__get__
_dict_of: Any = type.__dict__["__dict__"].__get__
_plain: Any = str.__str__


def preview(value: Any, limit: int = 10_000) -> str:
    """Return the repr of `value` in about `limit` characters, whatever it holds."""
    try:
        text = _Preview(limit).of(value, 0)
    except (CellTimeout, Submitted):
        raise
    except BaseException as error:  # an exit() in a repr would end the session
        return f"<{kind_name(value)}: its repr raises {kind_name(error)}>"
    return text if len(text) <= limit + 200 else shorten(text, limit)


def kind_name(value: Any) -> str:
    """Return the name of a value's class, without running any code of it."""
    return str(_name_of(type(value)))


def class_has(value: Any, name: str) -> bool:
    """Return whether a value's class or one above it defines `name`, without running its code."""
    return any(name in _dict_of(kind) for kind in _mro_of(type(value)))


def length(value: Any) -> int | None:
    """Return `len(value)` for what has one cheaply, else None."""
    try:
        return len(value) if isinstance(value, _SIZED) else (shape(value) or (None,))[0]
    except (CellTimeout, Submitted):
        raise
    except BaseException:
        return None


def describe(name: str, value: Any) -> list[Any]:
    """Return name, type, length and a short preview of a variable."""
    size = length(value)
    size = size if type(size) is int and 0 <= size < 1 << 63 else None
    return [name, kind_name(value), size, preview(value, 120)]


def listing(variables: Iterable[tuple[str, Any]]) -> str:
    """Return a table of variables, a line each."""
    lines = []
    for name, kind, size, short in (describe(name, value) for name, value in variables):
        lines.append(f"{name}: {kind}{'' if size is None else f' ({size:,})'} = {short}")
    return "\n".join(lines) or "no variables"


def shape(value: Any) -> Tuple[int, ...] | None:
    """Return the shape of an array or a table, of whichever library; None for all else."""
    if not (class_has(value, "shape") and (class_has(value, "dtype") or _is_table(value))):
        return None
    found = tuple(value.shape)
    return found if found and all(type(size) is int for size in found) else None


def shorten(text: str, limit: int) -> str:
    """Return a text of at most about `limit` characters: its head and its tail."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[-(limit // 3) :]
    return f"{head} [... {len(text) - len(head) - len(tail):,} characters left out ...] {tail}"


_SIZED = (str, bytes, bytearray, list, tuple, set, frozenset, dict)


def _is_table(value: Any) -> bool:
    return class_has(value, "dtypes") and class_has(value, "columns")


def _shaped(value: Any, sizes: Tuple[int, ...], limit: int) -> str:
    """Return an array or a table by its shape and types, and where there is room its ends."""
    head = f"{kind_name(value)} of shape {sizes}"
    if class_has(value, "columns"):
        head += f": {_columns(value)}"
    else:
        head += f", {value.dtype}"
        if limit > 1_000:
            head += _range(value, sizes)
    room = limit - len(head)
    return f"{head}\n{shorten(_plain(repr(value)), room)}" if room > 200 else shorten(head, limit)


def _columns(value: Any) -> str:
    names, kinds = list(value.columns), list(value.dtypes)
    shown = range(min(len(names), len(kinds), _COLUMNS))
    pairs = [f"{names[number]} {kinds[number]}" for number in shown]
    more = len(names) - len(pairs)
    return ", ".join(pairs) + (f", and {more:,} more" if more else "")


def _range(value: Any, sizes: Tuple[int, ...]) -> str:
    count = 1
    for size in sizes:
        count *= size
    if getattr(value.dtype, "kind", "") not in tuple("biuf") or not 0 < count <= _MEASURED:
        return ""
    return f", from {value.min()} to {value.max()}"


class _Preview:
    """Walks a value until its room is used up."""

    def __init__(self, room: int) -> None:
        self._limit = self._room = room

    def of(self, value: Any, depth: int) -> str:
        kind = type(value)
        if kind is str or kind is bytes or kind is bytearray:
            text = self._sequence(value)
        elif kind in _BRACKETS and len(value):
            return self._container(value, depth)
        elif kind is int and value.bit_length() > 8_000:
            text = f"<int of {value.bit_length():,} bits>"
        else:
            text = self._other(value)
        self._room -= len(text)
        return text

    def _sequence(self, value: Any) -> str:
        room = max(self._room, 40)
        if len(value) <= room:
            return repr(value)
        head, tail = value[: room * 2 // 3], value[-(room // 3) :]
        return f"{head!r} [... of {len(value):,} ...] {tail!r}"

    def _container(self, value: Any, depth: int) -> str:
        opening, closing = _BRACKETS[type(value)]
        if depth > 6:
            return f"{opening}...{closing}"
        parts: List[str] = []
        pairs = value.items() if isinstance(value, dict) else ((None, item) for item in value)
        for number, (key, item) in enumerate(pairs):
            if self._room <= 0 or number >= max(_ITEMS, self._limit // 20):
                parts.append(f"... {len(value) - number:,} more of {len(value):,}")
                break
            shown = self.of(item, depth + 1)
            parts.append(
                f"{self.of(key, depth + 1)}: {shown}" if isinstance(value, dict) else shown
            )
            self._room -= 2
        comma = "," if isinstance(value, tuple) and len(parts) == 1 else ""
        return f"{opening}{', '.join(parts)}{comma}{closing}"

    def _other(self, value: Any) -> str:
        sizes = shape(value)
        if sizes is not None:
            return _shaped(value, sizes, self._limit)
        return shorten(_plain(repr(value)), max(self._room, 40))


_BRACKETS: Dict[type, Tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    dict: ("{", "}"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}
