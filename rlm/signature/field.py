"""One named, typed value of a signature, and the markers that declare one in a class."""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel

from rlm.errors import ConfigurationError
from rlm.signature.types import admits_none, type_text

__all__ = ["REQUIRED", "Field", "InputField", "Mark", "OutputField", "Parts"]


class _Required:
    """The default of a field that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"

    def __reduce__(self) -> str:
        return "REQUIRED"


REQUIRED: Final[Any] = _Required()
"""Stands where a field has no default."""


@dataclass(frozen=True)
class Field:
    """A named, typed value of a signature.

    `annotation` is a Python type. A field whose type admits `None`, as in `int | None`, may be
    left out and is `None` then. Raises ConfigurationError for a name that cannot be a variable.
    """

    name: str
    annotation: Any = Any
    description: str = ""
    default: Any = REQUIRED

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ConfigurationError(f"{self.name!r} cannot name a field: it is no Python name")
        if keyword.iskeyword(self.name):
            raise ConfigurationError(f"{self.name!r} cannot name a field: it is a Python keyword")
        if self.name.startswith("_"):
            raise ConfigurationError(f"{self.name!r} cannot name a field: it starts with '_'")
        object.__setattr__(self, "description", " ".join(self.description.split()))
        if self.default is REQUIRED and admits_none(self.annotation):
            object.__setattr__(self, "default", None)

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED

    @cached_property
    def type_text(self) -> str:
        """The type as a person writes it, as in `"list[int]"`."""
        return type_text(self.annotation)


class Mark(NamedTuple):
    """What InputField and OutputField leave in a class."""

    side: Literal["input", "output"]
    description: str
    default: Any


def InputField(description: str = "", *, default: Any = REQUIRED) -> Any:
    """Declare an input of a signature written as a class."""
    return Mark("input", description, default)


def OutputField(description: str = "", *, default: Any = REQUIRED) -> Any:
    """Declare an output of a signature written as a class."""
    return Mark("output", description, default)


class Parts(NamedTuple):
    """What one way of writing a signature was understood to say."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    name: str = ""
    instructions: str = ""
    model: type[BaseModel] | None = None
    """The pydantic model of the outputs, whose own validators are to be run."""
    protocol: Any = None
    """The foreign object that coerces and validates by itself."""
