"""What restricted code calls in place of reading attributes, and to format."""

from __future__ import annotations

import functools
import itertools
import string
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlm.guest.values import Record
from rlm.sandbox._local_classes import OPEN, REFUSED, Namespace, is_local, kind_of, own
from rlm.sandbox._local_sizes import WIDE

__all__ = ["LOOKED_AT", "MAGIC", "MUTABLE", "form", "read"]

_SPECIAL = (
    "init post_init repr str len iter next getitem setitem delitem contains call enter exit aenter"
    " aexit aiter anext await lt le eq ne gt ge hash bool bytes int float complex index round trunc"
    " floor ceil add radd iadd sub rsub isub mul rmul imul truediv rtruediv itruediv floordiv"
    " rfloordiv ifloordiv mod rmod imod divmod rdivmod pow rpow ipow matmul rmatmul neg pos abs and"
    " rand iand or ror ior xor rxor ixor invert lshift rlshift rshift rrshift reversed missing"
    " format length_hint getattr"
)
MAGIC = frozenset(f"__{name}__" for name in _SPECIAL.split())
"""The special methods that a class of a cell may define, and call on itself."""

_TOLD = ("__name__", "__qualname__", "__doc__", "__module__")
_OF_TUPLES = ("_asdict", "_replace", "_fields", "_make", "_field_defaults")
MUTABLE: tuple[type, ...] = (list, dict, set, bytearray, deque, Counter, OrderedDict, defaultdict)
LOOKED_AT = frozenset(
    {types.ModuleType, types.MappingProxyType, types.FunctionType, property, *MUTABLE}
)
"""Types of attributes that are looked at before a cell gets them."""


def read(thing: Any, name: str) -> Any:
    """Return an attribute, unless it leads out of the sandbox."""
    value = _closer(thing, name) if name in REFUSED or name[:1] == "_" else getattr(thing, name)
    return _handed(thing, name, value) if type(value) in LOOKED_AT else value


def _handed(thing: Any, name: str, value: Any) -> Any:
    """Return an attribute's value as it is, or so that the host's own does not change by it."""
    kind = type(value)
    if kind is types.ModuleType:
        raise AttributeError(f"{name!r} is a module, which the local sandbox does not hand out")
    if kind is types.MappingProxyType:
        return types.MappingProxyType(dict(value))  # comparing one shows what is behind it
    owner = _owner(thing, name, value)
    if owner is None or own(owner):
        return value
    if kind is types.FunctionType:
        return _method(owner, value)
    if kind is property:
        raise _refusal(thing, name)
    return value.copy()


def _owner(thing: Any, name: str, value: Any) -> type | None:
    """Return the class that this attribute is from; None when it is the object's own."""
    start = type(thing)
    if start is super:
        start = object.__getattribute__(thing, "__self_class__")
    elif issubclass(start, type):
        start = thing
    for base in start.__mro__:
        if base.__dict__.get(name) is value:
            return base
    return None


def _method(owner: type, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of a class that is not a cell's: it takes its own instances only."""

    @functools.wraps(function, updated=())
    def method(*args: Any, **kwargs: Any) -> Any:
        if not (args and issubclass(type(args[0]), owner)):
            raise TypeError(f"{function.__qualname__}() takes a {owner.__name__} first")
        return function(*args, **kwargs)

    return method


def _closer(thing: Any, name: str) -> Any:
    if _is_field(thing, name):
        return getattr(thing, name)
    if name in ("format", "format_map"):
        return _format(thing, name)
    is_class, local = issubclass(type(thing), type), is_local(thing)
    if name in REFUSED:
        allowed = type(thing) is Namespace or (
            local and not is_class and not isinstance(thing, BaseException)
        )
    elif name.startswith("__") and name.endswith("__"):
        return _special(thing, name, is_class, local)
    else:
        kind = thing if is_class else type(thing)
        allowed = (
            (local and not (is_class and _of_metaclass(thing, name)))
            or kind is Namespace
            or _super_of_local(thing)
            or (name in _OF_TUPLES and issubclass(kind, tuple))
        )
    if not allowed:
        raise _refusal(thing, name)
    return getattr(thing, name)


def _is_field(thing: Any, name: str) -> bool:
    """Whether this names data of a record or a named tuple, whatever else it would name."""
    kind = type(thing)
    if name[:1] == "_":
        return False
    if kind is Record:
        return dict.__contains__(thing, name)
    return issubclass(kind, tuple) and name in getattr(kind, "_fields", ())


def _special(thing: Any, name: str, is_class: bool, local: bool) -> Any:
    if name == "__class__":
        return kind_of(thing)
    if name == "__dict__" and (local or type(thing) is Namespace) and not is_class:
        return dict(vars(thing))
    if name in _TOLD:
        told = getattr(thing, name)
        if told is None or type(told) is str:
            return told
    if name in ("__cause__", "__context__", "__notes__") and isinstance(thing, BaseException):
        return getattr(thing, name)
    if name == "__members__" and is_class:
        return getattr(thing, name)
    plain = thing in OPEN or issubclass(thing, BaseException) if is_class else False
    if name in MAGIC and (local or plain or type(thing) in OPEN or _super_of_local(thing)):
        return getattr(thing, name)
    raise _refusal(thing, name)


def _of_metaclass(kind: type, name: str) -> bool:
    return not any(name in vars(base) for base in kind.__mro__)


def _super_of_local(thing: Any) -> bool:
    return type(thing) is super and is_local(object.__getattribute__(thing, "__self__"))


def _refusal(thing: Any, name: str) -> AttributeError:
    kind = type(thing).__name__
    return AttributeError(f"the local sandbox does not give {name!r} of a {kind}")


class Formatter(string.Formatter):
    """`str.format` that reads attributes through the guard."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def parse(self, format_string: str) -> Any:
        """Number the fields without a number, `{.name}` too, which a Formatter does not know."""
        for text, field, spec, conversion in super().parse(format_string):
            if field is not None and (not field or field[0] in ".["):
                field = f"{next(self._numbers)}{field}"
            yield text, field, spec, conversion

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what a field such as `0.name[key]` stands for."""
        first, rest = _split_field(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, name in rest:
            value = read(value, name) if is_attribute else value[name]
        return value, first

    def format_field(self, value: Any, format_spec: str) -> Any:
        """Format a value, to no more than a hundred million characters."""
        return form(value, format_spec)


def form(value: Any, spec: str = "") -> str:
    """Do as `format`, to no more than a hundred million characters."""
    if type(spec) is not str:
        raise TypeError("a format is a str")
    if WIDE.search(spec):
        raise MemoryError(f"the format {spec!r:.50} is wider than the local sandbox makes a text")
    return format(value, spec)


def _split_field(name: str) -> Any:
    import _string  # type: ignore[import-not-found] # the parser that string.Formatter itself uses

    return _string.formatter_field_name_split(name)


def _format(thing: Any, name: str) -> Any:
    def filled(template: Any, *args: Any, **kwargs: Any) -> str:
        text = str.__str__(template)
        if name == "format_map":
            return Formatter().vformat(text, (), args[0])
        return Formatter().vformat(text, args, kwargs)

    if type(thing) is super:
        thing = object.__getattribute__(thing, "__self__")
    kind = type(thing)
    if issubclass(kind, str):
        return lambda *args, **kwargs: filled(thing, *args, **kwargs)
    if issubclass(kind, type) and issubclass(thing, str):
        return filled
    if kind is Namespace or is_local(thing):
        return getattr(thing, name)
    raise _refusal(thing, name)
