"""Copies for restricted code: without the hooks of objects, which are shown what is inside."""

from __future__ import annotations

import copy
import dataclasses
import enum
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

from rlm.guest.episode import Batch
from rlm.guest.values import Record
from rlm.sandbox._local_classes import Namespace, is_local

__all__ = ["asdict", "astuple", "deepcopy", "shallow"]

_Seen = dict[int, tuple[Any, Any]]


def shallow(value: Any) -> Any:
    """Do as `copy.copy`."""
    return copy.copy(value)


def deepcopy(value: Any) -> Any:
    """Do as `copy.deepcopy`, whose `memo` would show hooks what is inside of other things."""
    return _deep(value, {})


def _deep(value: Any, seen: _Seen) -> Any:
    if id(value) in seen:
        return seen[id(value)][1]
    kind = type(value)
    if kind in _LISTS or kind in _SETS:
        return _filled(value, seen)
    if kind in _DICTS or kind is Namespace:
        made = copy.copy(value)
        seen[id(value)] = value, made
        content = vars(made) if kind is Namespace else made
        plain = OrderedDict if kind is OrderedDict else dict  # a Record's own would be its fields
        pairs = [(_deep(k, seen), _deep(v, seen)) for k, v in plain.items(content)]
        plain.clear(content)
        for key, item in pairs:
            plain.__setitem__(content, key, item)
        return made
    if kind is tuple or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        made = tuple.__new__(kind, (_deep(item, seen) for item in tuple.__iter__(value)))
        seen[id(value)] = value, made
        return made
    if is_local(value) and not isinstance(value, (type, enum.Enum)):
        return _instance(value, seen)
    return copy.copy(value)  # functions, classes and the like are themselves


def _filled(value: Any, seen: _Seen) -> Any:
    kind = type(value)
    if kind is frozenset:
        return frozenset(_deep(item, seen) for item in value)
    made = copy.copy(value)
    seen[id(value)] = value, made
    items = [_deep(item, seen) for item in value]
    made.clear()
    (made.update if kind is set else made.extend)(items)
    return made


def _instance(value: Any, seen: _Seen) -> Any:
    """Copy an instance of a class that a cell has made, with its attributes and its content."""
    made = copy.copy(value)
    seen[id(value)] = value, made
    fields = getattr(made, "__dict__", None)
    if fields is not None:
        fields.update({name: _deep(item, seen) for name, item in list(fields.items())})
    for name in _slots(type(value)):
        if hasattr(made, name):
            object.__setattr__(made, name, _deep(getattr(made, name), seen))
    if isinstance(made, dict):
        for key, item in list(dict.items(made)):
            dict.__setitem__(made, key, _deep(item, seen))
    elif isinstance(made, list):
        list.__setitem__(made, slice(None), [_deep(item, seen) for item in list.__iter__(made)])
    return made


def _slots(kind: type) -> list[str]:
    named = (vars(base).get("__slots__", ()) for base in kind.__mro__)
    return [name for some in named for name in ((some,) if isinstance(some, str) else some)]


_LISTS = (list, deque, Batch)
_SETS = (set, frozenset)
_DICTS = (dict, OrderedDict, Counter, defaultdict, Record)


def asdict(obj: Any, *, dict_factory: Callable[[Any], Any] = dict) -> Any:
    """Do as `dataclasses.asdict`."""
    return _converted(_checked(obj, "asdict"), lambda pairs: dict_factory(pairs))


def astuple(obj: Any, *, tuple_factory: Callable[[Any], Any] = tuple) -> Any:
    """Do as `dataclasses.astuple`."""
    return _converted(_checked(obj, "astuple"), lambda pairs: tuple_factory([v for _, v in pairs]))


def _checked(obj: Any, name: str) -> Any:
    if isinstance(obj, type) or not dataclasses.is_dataclass(type(obj)):
        raise TypeError(f"{name}() should be called on dataclass instances")
    return obj


def _converted(value: Any, make: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        return make([(name, _converted(getattr(value, name), make)) for name in names])
    if kind in (list, tuple):
        return kind(_converted(item, make) for item in value)
    if kind is dict:
        return {_converted(k, make): _converted(v, make) for k, v in value.items()}
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return kind(*[_converted(item, make) for item in value])
    return deepcopy(value)
