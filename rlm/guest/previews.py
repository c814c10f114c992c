"""Values described in few characters: by content while small, by shape when large."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Tuple

__all__ = ["describe", "length", "listing", "preview"]

_ITEMS = 100


def preview(value: Any, limit: int = 10_000) -> str:
    """Return the repr of `value` in about `limit` characters; never raises, whatever it holds."""
    try:
        text = _Preview(limit).of(value, 0)
    except (Exception, SystemExit) as error:  # an exit() in a repr would end the session
        return f"<{type(value).__name__}: its repr raises {type(error).__name__}>"
    return text if len(text) <= limit + 200 else _shorten(text, limit)


def length(value: Any) -> int | None:
    """Return `len(value)` for what has one cheaply, else None."""
    try:
        return len(value) if isinstance(value, _SIZED) else _shape(value)[0]
    except Exception:
        return None


def describe(name: str, value: Any) -> list[Any]:
    """Return name, type, length and a short preview of a variable."""
    return [name, type(value).__name__, length(value), preview(value, 120)]


def listing(variables: Iterable[tuple[str, Any]]) -> str:
    """Return a table of variables, a line each."""
    lines = []
    for name, kind, size, short in (describe(name, value) for name, value in variables):
        lines.append(f"{name}: {kind}{'' if size is None else f' ({size:,})'} = {short}")
    return "\n".join(lines) or "no variables"


_SIZED = (str, bytes, bytearray, list, tuple, set, frozenset, dict)


def _shape(value: Any) -> Any:
    kind = type(value)
    if kind.__module__.partition(".")[0] in ("numpy", "pandas") and hasattr(kind, "shape"):
        return value.shape or (None,)
    return (None,)


def _shorten(text: str, limit: int) -> str:
    head, tail = text[: limit * 2 // 3], text[-(limit // 3) :]
    return f"{head} [... {len(text) - len(head) - len(tail):,} characters left out ...] {tail}"


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
        parts: list[str] = []
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
        shape = _shape(value)
        text = repr(value)
        if shape[0] is not None:
            return f"{type(value).__name__} of shape {shape}\n{_within(text, self._limit)}"
        return _within(text, max(self._room, 40))


def _within(text: str, room: int) -> str:
    return text if len(text) <= room else _shorten(text, room)


_BRACKETS: Dict[type, Tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    dict: ("{", "}"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}
