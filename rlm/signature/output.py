"""What a call returns: an immutable mapping whose values are attributes too."""

from __future__ import annotations

import base64
import dataclasses
import difflib
import enum
from collections.abc import Iterator, Mapping, Set
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

__all__ = ["Output", "plain"]


_LONGEST_INT = 14_000
"""Bits of an int that Python still writes in decimal (4,300 digits)."""


class Output(Mapping[str, Any]):
    """The outputs of a signature, by name: `out.answer`, `out["answer"]`, `dict(out)`, `**out`.

    Immutable, and equal to any mapping with the same items. A field that is called as a method of
    mappings is (`items`, `keys`, `get`) is reached as an item.
    """

    __slots__ = ("_values",)
    _values: dict[str, Any]

    def __init__(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        object.__setattr__(self, "_values", {**(values or {}), **more})

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # also while a copy or an unpickled one has no values yet
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._values, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(self._values)}"
            raise AttributeError(f"the output has no field {name!r}; {hint}") from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an output is immutable; {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"an output is immutable; {name!r} cannot be deleted")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._values]

    def __repr__(self) -> str:
        return f"Output({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"

    def __reduce__(self) -> tuple[type[Output], tuple[dict[str, Any]]]:
        return type(self), (self._values,)

    def to_json(self) -> dict[str, Any]:
        """Return the values as plain JSON values; see `plain`."""
        return {name: plain(value) for name, value in self._values.items()}


def plain(value: Any) -> Any:
    """Return a value as plain JSON values.

    Models, dataclasses and mappings become objects; sequences and sets lists, sets in a stable
    order; dates ISO 8601; Decimals text; bytes `{"$bytes": base64}`; an infinite or undefined
    float its name; an int of thousands of digits hexadecimal.
    """
    match value:
        case enum.Enum():
            return plain(value.value)
        case None | bool() | str():
            return value
        case int() | float():
            return _number(value)
        case Decimal():
            return str(value)
        case date() | datetime() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return {"$bytes": base64.b64encode(value).decode("ascii")}
        case BaseModel():
            return {name: plain(getattr(value, name)) for name in type(value).model_fields}
        case Mapping():
            return {_key(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case Set():
            return sorted((plain(item) for item in value), key=repr)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return to_jsonable_python(value, fallback=repr)


def _number(value: float) -> float | str:
    if isinstance(value, int):
        return value if value.bit_length() <= _LONGEST_INT else hex(value)
    return value if abs(value) < float("inf") else str(value)


def _key(key: Any) -> str:
    if isinstance(key, str) and not isinstance(key, enum.Enum):
        return key
    made = plain(key)
    return made if isinstance(made, str) else repr(made)
