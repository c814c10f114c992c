"""Models and dataclasses of the other side, by their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Record", "type_name"]


class Record(dict[str, Any]):
    """The fields of a model or dataclass from the host, by attribute and by item.

    A field named like a method of dict (`items`) is that field, as it is on the host.
    """

    __slots__ = ("_type",)

    def __init__(self, type_name: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        object.__setattr__(self, "_type", type_name)

    def __getattribute__(self, name: str) -> Any:
        if dict.__contains__(self, name):
            return dict.__getitem__(self, name)
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type_name(self)} has no {name!r}; it has: {', '.join(self)}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in dict.items(self))
        return f"{type_name(self)}({fields})"


def type_name(record: Record) -> str:
    """Return the name of the class that a record was on the other side."""
    name: str = object.__getattribute__(record, "_type")
    return name
