"""What restricted code calls in place of reading and writing attributes, and its builtins."""

from __future__ import annotations

import decimal
import functools
import operator
import string
import types
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlm.guest.values import Record

__all__ = ["MAGIC", "REFUSED", "guards", "is_local", "one_type", "read"]

MARK = "__local__"
"""The attribute by which a class that a cell has made is known; cells cannot name it."""

_SPECIAL = (
    "init post_init repr str len iter next getitem setitem delitem contains call enter exit aenter"
    " aexit aiter anext await lt le eq ne gt ge hash bool int float index add radd iadd sub rsub"
    " isub mul rmul imul truediv rtruediv floordiv mod pow neg pos abs and or xor invert lshift"
    " rshift round reversed missing format"
)
MAGIC = frozenset(f"__{name}__" for name in _SPECIAL.split())
"""The special methods that a class of a cell may define, and call on itself."""

_MACHINERY = (
    "tb_frame tb_next f_back f_builtins f_code f_generator f_globals f_locals f_trace co_code"
    " gi_frame gi_code gi_yieldfrom cr_await cr_frame cr_code cr_origin ag_await ag_frame ag_code"
    " mro obj"
)
REFUSED = {*_MACHINERY.split(), "format", "format_map", "register"}
"""Names that need a closer look: frames and code, what leads out, what formats, what registers."""

_TOLD = ("__name__", "__qualname__", "__doc__", "__module__")
_OF_TUPLES = ("_asdict", "_replace", "_fields", "_make")
_WRITABLE = (
    list, dict, bytearray, deque, Counter, OrderedDict, defaultdict, ChainMap, Record,
    types.SimpleNamespace,
)  # fmt: skip
_BASES: tuple[type, ...] = (
    object, dict, list, set, frozenset, tuple, str, int, float, deque, Counter, OrderedDict,
    defaultdict,
)  # fmt: skip


@functools.cache
def _bases() -> frozenset[Any]:
    """Return what a cell may derive from; the classes themselves, since a name can be forged."""
    import abc
    import collections.abc
    import enum
    import json
    import typing

    abstract = (getattr(collections.abc, name) for name in collections.abc.__all__)
    entries = (
        types.resolve_bases((base,))[0]
        for base in (typing.NamedTuple, typing.TypedDict, typing.Generic, typing.Protocol)
    )
    enums = (enum.Enum, enum.IntEnum, enum.StrEnum, enum.Flag, enum.IntFlag)
    return frozenset({*_BASES, abc.ABC, json.JSONEncoder, *enums, *abstract, *entries})


def is_local(thing: Any) -> bool:
    """Whether this is a class that a cell has made, or an instance of one."""
    kind = thing if isinstance(thing, type) else type(thing)
    return getattr(kind, MARK, False) is True


def read(thing: Any, name: str) -> Any:
    """Return an attribute, unless it leads out of the sandbox."""
    if name in REFUSED or name[:1] == "_":
        return _closer(thing, name)
    value = getattr(thing, name)
    if type(value) is types.ModuleType:
        raise AttributeError(f"{name!r} is a module, which the local sandbox does not hand out")
    return value


def _closer(thing: Any, name: str) -> Any:
    if name in ("format", "format_map"):
        return _format(thing, name)
    is_class, local = isinstance(thing, type), is_local(thing)
    if name in REFUSED:
        plain = local and not is_class and not isinstance(thing, BaseException)
        allowed = plain or (name == "register" and not is_class)
    elif name.startswith("__"):
        return _special(thing, name, is_class, local)
    else:
        kind = thing if is_class else type(thing)
        allowed = (
            local or _super_of_local(thing) or (name in _OF_TUPLES and issubclass(kind, tuple))
        )
    if not allowed:
        raise _refusal(thing, name)
    return getattr(thing, name)


def _special(thing: Any, name: str, is_class: bool, local: bool) -> Any:
    if name == "__class__":
        return one_type(thing)
    if name == "__dict__" and local and not is_class:
        return dict(vars(thing))
    if name in _TOLD:
        told = getattr(thing, name)
        if told is None or type(told) is str:
            return told
    if name in ("__cause__", "__context__") and isinstance(thing, BaseException):
        return getattr(thing, name)
    if name == "__members__" and is_class:
        return types.MappingProxyType(dict(getattr(thing, name)))
    plain = thing in _BASES or issubclass(thing, BaseException) if is_class else False
    own = local or plain or type(thing) in _BASES or _super_of_local(thing)
    if own and name in MAGIC:
        return getattr(thing, name)
    raise _refusal(thing, name)


def _super_of_local(thing: Any) -> bool:
    return type(thing) is super and is_local(object.__getattribute__(thing, "__self__"))


def _refusal(thing: Any, name: str) -> AttributeError:
    kind = type(thing).__name__
    return AttributeError(f"the local sandbox does not give {name!r} of a {kind}")


def one_type(thing: Any) -> Any:
    """Return the type of a value; that of a class would open what is closed."""
    kind = type(thing)
    if issubclass(kind, type):
        raise TypeError("type() takes one value here, which is no class")
    return kind


class Formatter(string.Formatter):
    """`str.format` that reads attributes through the guard."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what a field such as `0.name[key]` stands for."""
        first, rest = _split_field(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, name in rest:
            value = read(value, name) if is_attribute else value[name]
        return value, first


def _split_field(name: str) -> Any:
    import _string  # type: ignore[import-not-found] # the parser that string.Formatter itself uses

    return _string.formatter_field_name_split(name)


def _format(thing: Any, name: str) -> Any:
    def form(template: Any, *args: Any, **kwargs: Any) -> str:
        text = str.__str__(template)
        if name == "format_map":
            return Formatter().vformat(text, (), args[0])
        return Formatter().vformat(text, args, kwargs)

    if isinstance(thing, str):
        return lambda *args, **kwargs: form(thing, *args, **kwargs)
    if isinstance(thing, type) and issubclass(thing, str):
        return form
    if isinstance(thing, (string.Formatter, type)):
        raise _refusal(thing, name)
    return getattr(thing, name)


def guards(namespace: dict[str, Any]) -> dict[str, Any]:
    """Return what rewritten code calls; `namespace` is the one that its functions belong to."""

    def write(thing: Any) -> Any:
        kind = type(thing)
        own = kind is types.FunctionType and thing.__globals__ is namespace
        own = own or (kind is decimal.Context and thing is decimal.getcontext())
        if kind in _WRITABLE or own or is_local(thing):
            return thing
        raise TypeError(f"a {kind.__name__} cannot be written to in the local sandbox")

    def augmented_item(thing: Any, index: Any) -> Callable[[str, Any], None]:
        before = thing[index]

        def apply(how: str, value: Any) -> None:
            write(thing)[index] = _IN_PLACE[how](before, value)

        return apply

    def augmented_attribute(thing: Any, name: str) -> Callable[[str, Any], None]:
        before = read(thing, name)

        def apply(how: str, value: Any) -> None:
            setattr(write(thing), name, _IN_PLACE[how](before, value))

        return apply

    return {
        "_getattr_": read,
        "_write_": write,
        "_augitem_": augmented_item,
        "_augattr_": augmented_attribute,
        "_slice_": slice,
        "__metaclass__": make_class,
    }


_IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.iadd,
    "Sub": operator.isub,
    "Mult": operator.imul,
    "Div": operator.itruediv,
    "Mod": operator.imod,
    "Pow": operator.ipow,
    "LShift": operator.ilshift,
    "RShift": operator.irshift,
    "BitOr": operator.ior,
    "BitXor": operator.ixor,
    "BitAnd": operator.iand,
    "FloorDiv": operator.ifloordiv,
    "MatMult": operator.imatmul,
}


def make_class(name: str, bases: tuple[type, ...], body: dict[str, Any], **named: Any) -> type:
    """Make a class of a cell: marked as such, and derived from what may be derived from."""
    for base in bases:
        if not (base in _bases() or issubclass(base, BaseException) or is_local(base)):
            raise TypeError(f"{base.__name__} cannot be a base class in the local sandbox")

    def fill(made: dict[str, Any]) -> None:
        for key, value in body.items():
            made[key] = value
        made[MARK] = True

    return types.new_class(name, bases, named, fill)
