"""Signatures written as classes: ours, pydantic's, DSPy's, or anything with the protocol."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NotRequired

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rlm.errors import ConfigurationError
from rlm.signature.field import REQUIRED, Field, Mark, Parts
from rlm.signature.types import members, parse_type

__all__ = ["marks", "parse_source"]

_PROTOCOL = ("validate_input", "validate_output")


def parse_source(source: Any) -> Parts | None:
    """Return what a class, a pair of classes or a foreign signature says; `None` for anything else.

    Understood are a class with `InputField()` and `OutputField()`, a record type (pydantic model,
    dataclass, TypedDict, named tuple) of outputs, a pair of them, a DSPy signature (by its
    `input_fields`, `output_fields` and `instructions`), and objects that have `name`,
    `description`, `input_fields`, `output_fields`, `validate_input` and `validate_output`.
    """
    if getattr(source, "input_fields", None) is not None:
        if all(callable(getattr(source, name, None)) for name in _PROTOCOL):
            return _from_protocol(source)
        if getattr(source, "output_fields", None) is not None:
            return _from_dspy(source)
    if isinstance(source, tuple | list) and len(source) == 2:
        return _from_pair(*source)
    if isinstance(source, type):
        found = marks(source)
        return _from_marks(source, found) if found else _from_pair(None, source)
    return None


def marks(kind: type) -> dict[str, Mark]:
    """Return what InputField and OutputField left in a class and its bases, by name."""
    found: dict[str, Mark] = {}
    for base in reversed(kind.__mro__):
        found |= {name: value for name, value in vars(base).items() if isinstance(value, Mark)}
    return found


def _from_marks(kind: type, found: Mapping[str, Mark]) -> Parts:
    hints = _hints(kind)
    fields = {
        name: Field(name, hints.get(name, Any), mark.description, mark.default)
        for name, mark in found.items()
    }
    for name in inspect.get_annotations(kind):
        if name not in found:
            raise ConfigurationError(
                f"{kind.__name__}.{name} is neither input nor output: "
                "give it = InputField() or = OutputField()"
            )
    return Parts(
        tuple(fields[name] for name, mark in found.items() if mark.side == "input"),
        tuple(fields[name] for name, mark in found.items() if mark.side == "output"),
        kind.__name__,
        _documentation(kind),
    )


def _hints(kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"{kind.__name__}: the type {error.name!r} is not known where the class is defined"
        ) from None


def _documentation(kind: Any) -> str:
    own = vars(kind).get("__doc__") if isinstance(kind, type) else None
    # dataclasses and named tuples without a docstring are given one: their own signature
    made = isinstance(own, str) and own.startswith(f"{kind.__name__}(")
    return "" if not isinstance(own, str) or made else inspect.cleandoc(own)


def _from_pair(given: Any, made: Any) -> Parts | None:
    if (given is not None and members(given) is None) or members(made) is None:
        return None
    name = made.__name__ if given is None else f"{given.__name__} -> {made.__name__}"
    own = issubclass(made, BaseModel)
    return Parts(
        _record_fields(given) if given is not None else (),
        _record_fields(made),
        name,
        _documentation(made) or (_documentation(given) if given is not None else ""),
        made if own else None,
    )


def _record_fields(kind: Any) -> tuple[Field, ...]:
    if issubclass(kind, BaseModel):
        return tuple(_pydantic_field(name, info) for name, info in kind.model_fields.items())
    optional = _optional_keys(kind)
    defaults = getattr(kind, "_field_defaults", {})
    found = []
    for name, annotation in (members(kind) or {}).items():
        default = defaults.get(name, REQUIRED)
        if dataclasses.is_dataclass(kind):
            default = _dataclass_default(kind.__dataclass_fields__[name])
        found.append(Field(name, annotation, "", None if name in optional else default))
    return tuple(found)


def _optional_keys(kind: Any) -> set[str]:
    if not typing.is_typeddict(kind):
        return set()
    hints = typing.get_type_hints(kind, include_extras=True)
    # __optional_keys__ does not see through annotations that are strings
    marked = {name for name, hint in hints.items() if typing.get_origin(hint) is NotRequired}
    return marked | set(kind.__optional_keys__)


def _dataclass_default(field: Any) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return REQUIRED if field.default_factory is dataclasses.MISSING else field.default_factory()


def _pydantic_field(name: str, info: FieldInfo, description: str | None = None) -> Field:
    annotation = info.annotation
    if info.metadata:
        annotation = Annotated[annotation, *info.metadata]  # type: ignore[assignment] # is a type
    default = REQUIRED if info.is_required() else info.get_default(call_default_factory=True)
    return Field(name, annotation, description or info.description or "", default)


def _from_dspy(source: Any) -> Parts:
    return Parts(
        tuple(_dspy_field(name, info) for name, info in source.input_fields.items()),
        tuple(_dspy_field(name, info) for name, info in source.output_fields.items()),
        str(getattr(source, "__name__", type(source).__name__)),
        str(getattr(source, "instructions", "") or ""),
    )


def _dspy_field(name: str, info: Any) -> Field:
    extra = getattr(info, "json_schema_extra", None)
    described = extra.get("desc") if isinstance(extra, Mapping) else None
    if described == f"${{{name}}}":  # what DSPy writes when nothing was said
        described = None
    return _pydantic_field(name, info, str(described) if described else None)


def _from_protocol(source: Any) -> Parts:
    return Parts(
        _protocol_fields(source.input_fields),
        _protocol_fields(source.output_fields),
        str(getattr(source, "name", None) or getattr(source, "__name__", "")),
        str(getattr(source, "description", None) or ""),
        protocol=source,
    )


def _protocol_fields(fields: Any) -> tuple[Field, ...]:
    if isinstance(fields, Mapping):
        return tuple(_protocol_field(name, spec) for name, spec in fields.items())
    if not isinstance(fields, Iterable):
        raise ConfigurationError(f"{fields!r} are no fields: a mapping or a list is needed")
    return tuple(_protocol_field(_part(spec, "name", spec), spec) for spec in fields)


def _protocol_field(name: Any, spec: Any) -> Field:
    """Read one field: a type, the name of one, or an object or mapping with `type`."""
    kind = spec if isinstance(spec, type | str) and spec != name else _part(spec, "type", Any)
    description = _part(spec, "description", "") if not isinstance(spec, type | str) else ""
    annotation = parse_type(kind.lstrip(":")) if isinstance(kind, str) else kind
    required = bool(_part(spec, "required", True)) if not isinstance(spec, type | str) else True
    return Field(str(name), annotation, str(description or ""), REQUIRED if required else None)


def _part(spec: Any, name: str, default: Any) -> Any:
    if isinstance(spec, Mapping):
        return spec.get(name, default)
    return default if isinstance(spec, str) else getattr(spec, name, default)
