"""The classes of restricted code: how they are made, what they derive from, how they are known."""

from __future__ import annotations

import abc
import enum
import functools
import types
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any

__all__ = [
    "ENUMS",
    "EXACT",
    "OPEN",
    "REFUSED",
    "Kind",
    "Namespace",
    "check",
    "is_local",
    "kind_of",
    "make",
    "own",
]

_MARK = "__local__"
_TOKEN = object()
"""What marks a class that a cell has made; no cell can name the one or get at the other."""

_MACHINERY = (
    "tb_frame tb_next f_back f_builtins f_code f_generator f_globals f_locals f_trace co_code"
    " gi_frame gi_code gi_yieldfrom cr_await cr_frame cr_code cr_origin ag_await ag_frame ag_code"
    " mro obj fget fset fdel"
)
REFUSED = {*_MACHINERY.split(), "format", "format_map", "register"}
"""Names that need a closer look: frames and code, what leads out, what formats, what registers."""


class EnumType(enum.EnumType):
    """Enum's metaclass, whose call would otherwise make classes that no guard has seen."""

    def __call__(cls, value: Any, *more: Any, **how: Any) -> Any:  # a metaclass
        if cls._member_map_ or not (more or "names" in how):
            return super().__call__(value, *more, **how)
        kind = how.get("type")
        if not (kind is None or kind in OPEN or is_local(kind)):
            raise TypeError(f"{kind!r} cannot be mixed into an Enum in the local sandbox")
        names, *rest = (*more, *(how.pop("names", None),) * (not more))
        return super().__call__(value, _members(names), *rest, **how)


def _members(names: str | Iterable[Any]) -> list[Any]:
    """Return the names of members, with their values where given; none of them a special name."""
    if isinstance(names, str):
        names = str.__str__(names).replace(",", " ").split()
    found = list(names.items()) if isinstance(names, Mapping) else list(names)
    plain = [
        str.__str__(one) if isinstance(one, str) else (str.__str__(one[0]), *tuple(one)[1:])
        for one in found
    ]
    for one in plain:
        name = one if isinstance(one, str) else one[0]
        if name.startswith("_"):
            raise ValueError(f"{name!r} cannot be a member of an Enum in the local sandbox")
    return plain


class _Enum(enum.Enum, metaclass=EnumType):
    pass


class _IntEnum(enum.IntEnum, metaclass=EnumType):
    pass


class _StrEnum(enum.StrEnum, metaclass=EnumType):
    pass


class _Flag(enum.Flag, metaclass=EnumType):
    pass


class _IntFlag(enum.IntFlag, metaclass=EnumType):
    pass


ENUMS: dict[str, Any] = {}
"""What cells find in the module `enum`, by name."""
for _made in (_Enum, _IntEnum, _StrEnum, _Flag, _IntFlag):
    _made.__name__ = _made.__qualname__ = _made.__name__[1:]
    _made.__module__ = "enum"
    ENUMS[_made.__name__] = _made


class Namespace(types.SimpleNamespace):
    """`types.SimpleNamespace` without special names, which Python asks of an object for itself."""

    def __init__(self, **fields: Any) -> None:
        for name in fields:
            if name.startswith("__"):
                raise TypeError(f"the local sandbox does not write {name!r}")
        super().__init__(**fields)

    def __repr__(self) -> str:
        return f"namespace({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


Namespace.__name__ = Namespace.__qualname__ = "SimpleNamespace"
Namespace.__module__ = "types"


def kind_of(value: Any) -> Any:
    """Return the type of a value; that of a class would open what is closed."""
    if issubclass(type(value), type):
        raise TypeError("type() takes a value here that is no class")
    return type(value)


class _KindType(type):
    """What makes `Kind` look like `type`, and be none."""

    def __call__(cls, *values: Any) -> Any:
        if len(values) != 1:
            raise TypeError("type() takes one value here")
        return kind_of(values[0])

    def __instancecheck__(cls, thing: Any) -> bool:  # a metaclass
        return isinstance(thing, type)

    def __getitem__(cls, item: Any) -> Any:  # a metaclass
        import typing

        return typing.Type[item]  # noqa: UP006 # `type[item](…)` would be a call of `type`

    def __repr__(cls) -> str:  # a metaclass
        return "<class 'type'>"


class Kind(metaclass=_KindType):
    """`type` of cells: it tells what a value is, and neither makes classes nor looks into them."""


Kind.__name__ = Kind.__qualname__ = "type"
Kind.__module__ = "builtins"

OPEN: tuple[type, ...] = (
    object, dict, list, set, frozenset, tuple, str, bytes, int, float, complex, deque, Counter,
    OrderedDict, defaultdict,
)  # fmt: skip
"""Plain classes: a cell derives from them, and calls their special methods by name."""


@functools.cache
def _bases() -> frozenset[type]:
    """Return what a cell may derive from; the classes themselves, since a name can be forged."""
    import collections.abc
    import json
    import typing
    from html.parser import HTMLParser

    abstract = (getattr(collections.abc, name) for name in collections.abc.__all__)
    entries = (
        types.resolve_bases((base,))[0]
        for base in (typing.NamedTuple, typing.TypedDict, typing.Generic, typing.Protocol)
    )
    more = (abc.ABC, json.JSONEncoder, UserDict, UserList, HTMLParser)
    return frozenset({*OPEN, *more, *ENUMS.values(), *abstract, *entries})


def own(kind: type) -> bool:
    """Whether a cell has made this very class."""
    return vars(kind).get(_MARK) is _TOKEN


def is_local(thing: Any) -> bool:
    """Whether this is a class that a cell has made, or an instance of one."""
    kind = type(thing)
    return own(thing) if issubclass(kind, type) else own(kind)


def make(name: str, bases: tuple[Any, ...], body: dict[str, Any], **named: Any) -> type:
    """Make a class of a cell: marked as such, and derived from what may be derived from."""
    for base in bases:
        if not issubclass(type(base), type) or not (
            base in _bases()
            or own(base)
            or (issubclass(base, BaseException) and not issubclass(base, BaseExceptionGroup))
        ):
            raise TypeError(f"{base!r} cannot be a base class in the local sandbox")

    def fill(made: dict[str, Any]) -> None:
        for key, value in body.items():
            made[key] = value
        made["__module__"] = "__main__"
        made[_MARK] = _TOKEN

    read = {field for base in bases for field in getattr(base, "__match_args__", ())}
    check(bases, read, body)
    return types.new_class(name, bases, named, fill)


EXACT = frozenset({type, abc.ABCMeta, EnumType})
"""Metaclasses whose classes take none but their own for an instance, unlike a Protocol's."""


def check(bases: Iterable[type], fields: Iterable[str], body: Collection[str]) -> None:
    """Refuse a class before it is made, that would deceive this process or show what is refused.

    `fields` are what `case C(x)` would read from all that C takes for its instances, `body` has the
    names of its special methods: Python's own caches ask a str whether it is another.
    """
    kinds = tuple(bases)
    asks = any(type(base) not in EXACT for base in kinds)
    if asks or any(issubclass(base, (str, BaseException)) for base in kinds):
        for name in fields:
            if name in REFUSED or name.startswith("_"):
                raise TypeError(f"this class cannot have a field {name!r} in the local sandbox")
    if any(issubclass(base, (str, bytes, int, float)) for base in kinds):
        for name in ("__eq__", "__hash__"):
            if name in body or any(own(_definer(base, name)) for base in kinds):
                raise TypeError(f"this class cannot have a {name} of its own in the local sandbox")


def _definer(kind: type, name: str) -> type:
    return next(base for base in kind.__mro__ if name in vars(base))
