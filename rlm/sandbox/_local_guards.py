"""What restricted code calls in place of reading and writing attributes, and its builtins."""

from __future__ import annotations

import builtins
import decimal
import operator
import string
import types
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlm.guest.values import Record

__all__ = ["MAGIC", "REFUSED", "Formatter", "guards", "is_local", "open_builtins", "read"]

MARK = "__local__"
"""The attribute by which a class that a cell has made is known; cells cannot name it."""

MAGIC = frozenset(
    f"__{name}__"
    for name in (
        "init post_init repr str len iter next getitem setitem delitem contains call enter exit"
        " aenter aexit aiter anext await lt le eq ne gt ge hash bool int float index add radd iadd"
        " sub rsub isub mul rmul imul truediv rtruediv floordiv mod pow neg pos abs and or xor"
        " invert lshift rshift round reversed missing format"
    ).split()
)
"""The special methods that a class of a cell may define, and call on itself."""

_MACHINERY = frozenset(
    "tb_frame tb_next f_back f_builtins f_code f_generator f_globals f_locals f_trace co_code"
    " gi_frame gi_code gi_yieldfrom cr_await cr_frame cr_code cr_origin ag_await ag_frame ag_code"
    " mro obj".split()
)
REFUSED = _MACHINERY | {"format", "format_map", "register"}
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
_BASE_MODULES = ("typing", "enum", "abc", "collections.abc")


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
        allowed = local or (name in _OF_TUPLES and issubclass(kind, tuple))
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
    own = local or (is_class and issubclass(thing, BaseException))
    if type(thing) is super:
        own = is_local(object.__getattribute__(thing, "__self__"))
    if own and (name in MAGIC or (name == "__new__" and type(thing) is super)):
        return getattr(thing, name)
    raise _refusal(thing, name)


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
    import _string  # the parser that string.Formatter itself uses

    return _string.formatter_field_name_split(name)  # type: ignore[attr-defined]


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
        known = base in _BASES or issubclass(base, BaseException) or is_local(base)
        if not known and base.__module__ not in _BASE_MODULES:
            raise TypeError(f"{base.__name__} cannot be a base class in the local sandbox")

    def fill(made: dict[str, Any]) -> None:
        for key, value in body.items():
            made[key] = value
        made[MARK] = True

    return types.new_class(name, bases, named, fill)


_PURE = (
    "abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod"
    " enumerate filter float format frozenset hash hex id int isinstance issubclass iter len list"
    " map max memoryview min next object oct ord pow property range repr reversed round set slice"
    " sorted staticmethod str sum super tuple zip aiter anext NotImplemented Ellipsis"
    " __build_class__"
).split()
_REFUSED_CALLS = ("open", "eval", "exec", "compile", "breakpoint")


def open_builtins(namespace: dict[str, Any], own: Callable[[], list[Any]]) -> dict[str, Any]:
    """Return the builtins of restricted code; `own` has its variables."""
    write = namespace["_write_"]

    def guarded_getattr(thing: Any, name: str, *default: Any) -> Any:
        try:
            return read(thing, _plain(name))
        except AttributeError:
            if not default:
                raise
            return default[0]

    def guarded_hasattr(thing: Any, name: str) -> bool:
        return guarded_getattr(thing, name, _ABSENT) is not _ABSENT

    def guarded_setattr(thing: Any, name: str, value: Any) -> None:
        setattr(write(thing), _writable(name), value)

    def guarded_delattr(thing: Any, name: str) -> None:
        delattr(write(thing), _writable(name))

    def variables(thing: Any = None) -> dict[str, Any]:
        return dict(own()) if thing is None else read(thing, "__dict__")

    def names(*thing: Any) -> list[str]:
        found = dir(thing[0]) if thing else [name for name, _ in own()]
        return sorted(name for name in found if not name.startswith("_"))

    errors = {
        name: value
        for name, value in vars(builtins).items()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and not issubclass(value, BaseExceptionGroup)
    }
    return {
        **{name: getattr(builtins, name) for name in _PURE},
        **errors,
        **{name: _missing(name) for name in _REFUSED_CALLS},
        "getattr": guarded_getattr,
        "hasattr": guarded_hasattr,
        "setattr": guarded_setattr,
        "delattr": guarded_delattr,
        "vars": variables,
        "globals": variables,
        "locals": variables,
        "dir": names,
        "type": one_type,
    }


_ABSENT = object()


def _plain(name: Any) -> str:
    if type(name) is not str:
        raise TypeError(f"an attribute's name is a str, not a {type(name).__name__}")
    return name


def _writable(name: Any) -> str:
    if _plain(name).startswith("__"):
        raise AttributeError(f"the local sandbox does not write {name!r}")
    return str(name)


def _missing(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{name}() is not available in the local sandbox")

    refuse.__name__ = refuse.__qualname__ = name
    return refuse
