"""Types as text and back: read with `ast`, never evaluated."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import enum
import inspect
import typing
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from rlm.errors import ConfigurationError
from rlm.files import File

__all__ = ["TYPES", "admits_none", "is_union", "members", "parse_type", "read_type", "type_text"]

TYPES: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "bytes": bytes,
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "Any": Any,
    "None": None,
    "date": date,
    "datetime": datetime,
    "time": time,
    "timedelta": timedelta,
    "Decimal": Decimal,
    "UUID": UUID,
    "File": File,
}
"""The types that a text may name, under the names that we write."""
_SPELLINGS: Mapping[str, Any] = {
    **TYPES,
    "List": list,
    "Tuple": tuple,
    "Set": set,
    "FrozenSet": frozenset,
    "Dict": dict,
    "object": Any,
    "string": str,
    "text": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "file": File,
}
_SPECIAL = ("Literal", "Optional", "Union")
_MODULES = {"typing", "t", "datetime", "dt", "decimal", "uuid", "builtins", "rlm"}
_DEEPEST = 20
_MOST_ALTERNATIVES = 10
"""A value that fits none of them has an error for each, and there may be many values."""
_ARITY = {list: 1, set: 1, frozenset: 1, dict: 2}


def parse_type(text: str, depth: int = _DEEPEST) -> Any:
    """Return the type that a text names, as in `"dict[str, int | None]"`."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigurationError(f"{text!r} is not a type") from None
    return read_type(node, depth)


def read_type(node: ast.expr, depth: int = _DEEPEST) -> Any:
    """Return the type that a syntax tree names; of texts that anybody may have written."""
    if depth == 0:
        raise ConfigurationError(f"a type is nested deeper than {_DEEPEST} levels")
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return parse_type(text, depth - 1)
        case ast.Name(id=name):
            return _named(name)
        case ast.Attribute(value=ast.Name(id=module), attr=name) if module in _MODULES:
            return _named(name)
        case ast.BinOp(op=ast.BitOr()):
            return _union(_alternatives(node), depth)
        case ast.Subscript(value=value, slice=inner):
            return _subscripted(value, inner, depth)
    raise ConfigurationError(f"{_source(node)!r} is not a type")


def _source(node: ast.expr) -> str:
    try:
        return ast.unparse(node)[:200]
    except RecursionError:
        return "…"


def _alternatives(node: ast.expr) -> list[ast.expr]:
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def _named(name: str) -> Any:
    if name in _SPELLINGS:
        return _SPELLINGS[name]
    if name in _SPECIAL:
        raise ConfigurationError(f"{name} needs brackets, as in {name}[…]")
    near = difflib.get_close_matches(name, [*_SPELLINGS, *_SPECIAL], n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(TYPES)}"
    raise ConfigurationError(
        f"unknown type {name!r}; {hint} (types of your own go in a class or a pydantic model)"
    )


def _subscripted(value: ast.expr, inner: ast.expr, depth: int) -> Any:
    name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    whole = f"{_source(value)}[{_source(inner)}]"
    if name == "Literal":
        return _literal(parts, whole)
    if name == "Union":
        return _union(parts, depth)
    if name == "Optional" and len(parts) == 1:
        return _union([parts[0], ast.Constant(None)], depth)
    origin: Any = read_type(value, depth - 1)
    if origin is tuple:
        open_ended = len(parts) == 2 and _is_ellipsis(parts[1])
        if open_ended:
            return origin[read_type(parts[0], depth - 1), ...]
        return origin[tuple(read_type(part, depth - 1) for part in parts)]
    if origin not in _ARITY:
        raise ConfigurationError(f"{whole!r}: {type_text(origin)} takes no brackets")
    if len(parts) != _ARITY[origin]:
        wanted = "one type" if _ARITY[origin] == 1 else "two types"
        raise ConfigurationError(f"{whole!r}: {type_text(origin)}[…] takes {wanted}")
    return origin[tuple(read_type(part, depth - 1) for part in parts)]


def _union(parts: list[ast.expr], depth: int) -> Any:
    kinds = tuple(read_type(part, depth - 1) for part in parts)
    made: Any = Union[kinds]  # noqa: UP007 - made of values
    count = len(get_args(made))
    if get_origin(made) is Union and count > _MOST_ALTERNATIVES:
        raise ConfigurationError(
            f"a union has at most {_MOST_ALTERNATIVES} alternatives, not {count:,}"
        )
    return made


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _literal(parts: list[ast.expr], whole: str) -> Any:
    try:
        values = tuple(ast.literal_eval(part) for part in parts)
    except ValueError:
        raise ConfigurationError(f"{whole!r}: Literal takes plain values, as in 'a', 1") from None
    if not values or not all(isinstance(v, str | int | bytes | None) for v in values):
        raise ConfigurationError(f"{whole!r}: Literal takes texts, whole numbers, bools and None")
    return Literal[values]


def is_union(annotation: Any) -> bool:
    """Return whether a type is a union, in either spelling."""
    return get_origin(annotation) in (Union, UnionType)


def admits_none(annotation: Any) -> bool:
    """Return whether a type says that there may be no value; `Any` does not say so."""
    if annotation is None or annotation is NoneType:
        return True
    if get_origin(annotation) is Annotated:
        return admits_none(get_args(annotation)[0])
    return is_union(annotation) and any(admits_none(arg) for arg in get_args(annotation))


def members(kind: Any) -> Mapping[str, Any] | None:
    """Return the fields of a record type (model, dataclass, TypedDict, named tuple), or `None`."""
    is_class = inspect.isclass(kind)
    return _members(kind) if is_class else None


@lru_cache(maxsize=1024)
def _members(kind: Any) -> Mapping[str, Any] | None:
    if issubclass(kind, BaseModel):
        return {name: info.annotation for name, info in kind.model_fields.items()}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        return {f.name: hints.get(f.name, Any) for f in dataclasses.fields(kind) if f.init}
    if typing.is_typeddict(kind) or (issubclass(kind, tuple) and "_fields" in vars(kind)):
        hints = typing.get_type_hints(kind, include_extras=True)
        return {name: _bare(annotation) for name, annotation in hints.items()}
    return None


def _bare(annotation: Any) -> Any:
    qualified = get_origin(annotation) in (NotRequired, Required)
    return get_args(annotation)[0] if qualified else annotation


def type_text(annotation: Any) -> str:
    """Return a type as a person writes it; a record type shows its fields."""
    return _text(annotation, frozenset())


def _text(annotation: Any, inside: frozenset[Any]) -> str:
    if annotation is None or annotation is NoneType:
        return "None"
    if annotation is Any or annotation is ...:
        return "Any" if annotation is Any else "..."
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _text(args[0], inside)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if is_union(annotation):
        return " | ".join(_text(arg, inside) for arg in args)
    if origin is not None and args:
        return f"{_text(origin, inside)}[{', '.join(_text(arg, inside) for arg in args)}]"
    if inspect.isclass(annotation):
        return _class_text(annotation, inside)
    return str(annotation).replace("typing.", "")


def _class_text(kind: type, inside: frozenset[Any]) -> str:
    if issubclass(kind, enum.Enum) and len(kind):
        return f"Literal[{', '.join(repr(member.value) for member in kind)}]"
    fields = members(kind)
    if not fields or kind in inside:
        return kind.__name__
    inside |= {kind}
    return f"{kind.__name__}({', '.join(f'{n}: {_text(t, inside)}' for n, t in fields.items())})"
