"""The builtins of restricted code: guarded, and without what reaches out."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from typing import Any

from rlm.sandbox._local_calls import Globals
from rlm.sandbox._local_classes import Kind
from rlm.sandbox._local_guards import form, read

__all__ = ["open_builtins"]

_PURE = (
    "abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod"
    " enumerate filter float frozenset hash hex id int isinstance issubclass iter len list"
    " map max memoryview min next object oct ord property range repr reversed round set slice"
    " sorted staticmethod str sum super tuple zip aiter anext NotImplemented Ellipsis"
    " __build_class__"
)
_REFUSED_CALLS = ("open", "eval", "exec", "compile", "breakpoint")


def open_builtins(namespace: dict[str, Any], own: Callable[[], list[Any]]) -> dict[str, Any]:
    """Return the builtins of restricted code; `own` has its variables."""
    errors = {
        name: value
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    return {
        **{name: getattr(builtins, name) for name in _PURE.split()},
        **errors,
        **{name: _missing(name) for name in _REFUSED_CALLS},
        **_of_attributes(namespace["_write_"]),
        **_of_variables(namespace, own),
        "type": Kind,
        "format": form,
    }


def _of_attributes(write: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the functions that read and write attributes by name."""

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

    return {
        "getattr": guarded_getattr,
        "hasattr": guarded_hasattr,
        "setattr": guarded_setattr,
        "delattr": guarded_delattr,
    }


def _of_variables(namespace: dict[str, Any], own: Callable[[], list[Any]]) -> dict[str, Any]:
    """Return the functions that tell what there is."""

    def everything() -> Globals:
        return Globals(namespace, own())

    def around() -> dict[str, Any]:
        """Return the variables of the function of a cell that asks."""
        frame = sys._getframe(2)
        if frame.f_globals is not namespace or frame.f_locals is namespace:
            return everything()
        inside = frame.f_locals.items()
        return {name: value for name, value in inside if name[:1] not in "_." or name == "_"}

    def variables(*thing: Any) -> dict[str, Any]:
        return read(thing[0], "__dict__") if thing else around()

    def local() -> dict[str, Any]:
        return around()

    def names(*thing: Any) -> list[str]:
        found = dir(thing[0]) if thing else [name for name, _ in own()]
        return sorted(name for name in found if not name.startswith("_"))

    return {"globals": everything, "locals": local, "vars": variables, "dir": names}


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
