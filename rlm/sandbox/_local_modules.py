"""The modules that restricted cells can import: copies that hold only what is harmless."""

from __future__ import annotations

import abc
import contextlib
import functools
import importlib
import random
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, SupportsIndex

from rlm.guest.cells import explain
from rlm.sandbox import _local_copies as _copies
from rlm.sandbox._local_allowed import NAMES, OPERATORS
from rlm.sandbox._local_async import Waiting
from rlm.sandbox._local_cells import NAME, Kit, Stream
from rlm.sandbox._local_classes import ENUMS, Namespace, check, own
from rlm.sandbox._local_guards import read
from rlm.sandbox._local_threads import Threads

__all__ = ["importer"]

_OWN = ("random", "sys", "asyncio", "threading", "pprint", "traceback", "inspect", "warnings")


class Module(types.ModuleType):
    """A module as cells see it. Its real `__name__` leads `from x import y` to no real module."""

    def __init__(self, name: str, content: Mapping[str, Any]) -> None:
        super().__init__(f"local sandbox's {name}")
        vars(self).update(content)

    def __repr__(self) -> str:
        return f"<module {self.__name__.rpartition(' ')[2]!r}>"


@functools.cache
def _shared(name: str) -> Mapping[str, Any]:
    """Return what is taken of a module that all sessions may share."""
    real = importlib.import_module(name)
    listed = NAMES[name].split()
    if listed == ["*"]:
        listed = list(getattr(real, "__all__", None) or (n for n in dir(real) if n[0] != "_"))
    found = {one: getattr(real, one) for one in listed if hasattr(real, one)}
    return {n: value for n, value in found.items() if not isinstance(value, types.ModuleType)}


def importer(kit: Kit) -> Callable[..., Any]:
    """Return the `__import__` of one session."""
    modules: dict[str, Module] = {}

    def load(name: str) -> Module:
        if name not in modules:
            modules[name] = Module(name, _content(name, kit))
            parent, _, last = name.rpartition(".")
            if parent:
                vars(load(parent))[last] = modules[name]
        return modules[name]

    def import_(
        name: str,
        globals: Any = None,
        locals: Any = None,
        names: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        if type(names) is list:  # from C, which then takes the module itself: no cell can say this
            return importlib.import_module(name)
        if level or name not in _KNOWN:
            raise ImportError(
                f"{name!r} is not available in the local sandbox; there are: "
                + ", ".join(sorted(_KNOWN)),
                name=name,
            )
        module = load(name)
        for one in names or ():
            if f"{name}.{one}" in _KNOWN:
                load(f"{name}.{one}")
            elif one != "*" and one not in vars(module):
                raise ImportError(f"{one!r} of {name!r} is not available in the local sandbox")
        return module if names else load(name.partition(".")[0])

    return import_


def _content(name: str, kit: Kit) -> Mapping[str, Any]:
    own = _own(name, kit)
    return {**_shared(name), **own} if name in NAMES else own


def _own(name: str, kit: Kit) -> dict[str, Any]:
    """Return what a module has that is this session's own, or made for cells."""
    waiting = Waiting(kit.ticker)
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "abc": lambda: {"abstractmethod": _abstract},
        "asyncio": waiting.functions,
        "concurrent.futures": lambda: _threads(kit).futures(),
        "contextlib": lambda: {"redirect_stdout": _redirecting(kit)},
        "copy": lambda: {"copy": _copies.shallow, "deepcopy": _copies.deepcopy},
        "dataclasses": lambda: {
            "dataclass": _dataclass,
            "asdict": _copies.asdict,
            "astuple": _copies.astuple,
        },
        "enum": lambda: ENUMS,
        "functools": lambda: {"wraps": _wraps, "total_ordering": _total_ordering},
        "inspect": lambda: {"signature": _signature, "getdoc": _getdoc, "cleandoc": _cleandoc},
        "operator": _operator,
        "pprint": lambda: _pprint(kit),
        "ast": lambda: {"literal_eval": importlib.import_module("ast").literal_eval},
        "random": lambda: seeded(kit.seed),
        "statistics": lambda: {"NormalDist": _normal(kit.seed)},
        "sys": lambda: _sys(kit),
        "threading": lambda: _threads(kit).threading(),
        "time": lambda: {"sleep": waiting.sleep},
        "traceback": lambda: _traceback(kit),
        "types": lambda: {"SimpleNamespace": Namespace},
        "typing": lambda: {"overload": _nothing, "final": _same},
        "__future__": _features,
        "warnings": lambda: {
            **dict.fromkeys(("filterwarnings", "simplefilter", "warn"), _nothing),
            "catch_warnings": contextlib.nullcontext,
        },
    }
    return makers[name]() if name in makers else {}


_KNOWN = frozenset({*NAMES, *_OWN, "operator", "ast", "copy", "concurrent", "urllib", "__future__"})


def seeded(seed: int) -> dict[str, Any]:
    """Return the content of a module `random` that is its own source, from `seed` on."""
    source = random.Random(seed)
    found = {name: getattr(source, name) for name in dir(source) if not name.startswith("_")}
    return {**found, "Random": random.Random}


def _dataclass(cls: Any = None, **how: Any) -> Any:
    """Make a dataclass of a class that a cell has made."""
    import dataclasses

    if cls is None:
        return lambda given: _dataclass(given, **how)
    kinds = _own_class(cls).__mro__
    fields = {name for kind in kinds for name in vars(kind).get("__annotations__", ())}
    adds = {"eq": "__eq__", "unsafe_hash": "__hash__"}
    check((cls,), fields, [adds[one] for one in adds if how.get(one, one == "eq")])
    return dataclasses.dataclass(**how)(cls)


def _total_ordering(cls: Any) -> Any:
    return functools.total_ordering(_own_class(cls))


def _own_class(cls: Any) -> Any:
    if not (issubclass(type(cls), type) and own(cls)):
        raise TypeError("only a class that was made in a cell can be changed")
    return cls


def _wraps(wrapped: Callable[..., Any]) -> Callable[..., Any]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        plain = isinstance(wrapped, types.FunctionType) and _of_cell(function)
        return functools.wraps(wrapped)(function) if plain else function

    return decorate


def _of_cell(function: Any) -> bool:
    """Whether a cell has made this function: only such may be written to."""
    return type(function) is types.FunctionType and function.__globals__.get("__name__") == NAME


def _abstract(function: Any) -> Any:
    if not (_of_cell(function) or type(function) in (classmethod, staticmethod, property)):
        raise TypeError("only a function that was made in a cell can be made abstract")
    return abc.abstractmethod(function)


def _signature(function: Callable[..., Any]) -> Any:
    from inspect import signature

    from rlm.guest.episode import Text

    return Text(str(signature(function)))  # a Signature has methods that evaluate strings


def _getdoc(thing: Any) -> Any:
    return read(thing, "__doc__")


def _cleandoc(text: str) -> str:
    from inspect import cleandoc

    return cleandoc(text)


def _operator() -> dict[str, Any]:
    import operator

    def attrgetter(*names: str) -> Callable[[Any], Any]:
        if not all(type(name) is str for name in names):  # a subclass could lie to the guard
            raise TypeError("attribute name must be a string")
        paths = [name.split(".") for name in names]

        def get(thing: Any) -> Any:
            found = tuple(functools.reduce(read, path, thing) for path in paths)
            return found[0] if len(found) == 1 else found

        return get

    return {
        **{name: getattr(operator, name) for name in OPERATORS.split()},
        "attrgetter": attrgetter,
    }


def _pprint(kit: Kit) -> dict[str, Any]:
    import pprint

    def show(value: Any, *more: Any, **how: Any) -> None:
        kit.print(pprint.pformat(value, *more, **how))

    return {"pprint": show, "pp": show, "pformat": pprint.pformat}


def _sys(kit: Kit) -> dict[str, Any]:
    def leave(code: Any = None) -> None:
        raise SystemExit(code)

    return {
        "exit": leave,
        "stdout": kit.out,
        "stderr": Stream(kit.stderr),
        "argv": [],
        **{
            name: getattr(sys, name)
            for name in (
                "maxsize", "version", "version_info", "float_info", "getsizeof", "byteorder",
                "maxunicode", "getrecursionlimit",
            )
        },
    }  # fmt: skip


def _threads(kit: Kit) -> Threads:
    made = Threads(lambda told: kit.stderr.write(told))
    kit.closing.append(made.close)
    return made


def _traceback(kit: Kit) -> dict[str, Any]:
    def format_exc(*how: Any, **named: Any) -> str:
        error = sys.exc_info()[1]
        return explain(error) if error is not None else "NoneType: None\n"

    def print_exc(*how: Any, **named: Any) -> None:
        kit.stderr.write(format_exc())

    return {"format_exc": format_exc, "print_exc": print_exc}


def _features() -> dict[str, Any]:
    import __future__

    return {name: getattr(__future__, name) for name in __future__.all_feature_names}


def _normal(seed: int) -> type:
    """Return `NormalDist` whose samples come from the session's own source."""
    from statistics import NormalDist as Real

    source = random.Random(seed)

    class NormalDist(Real):
        def samples(self, n: SupportsIndex, *, seed: Any = None) -> list[float]:
            return super().samples(n, seed=source.random() if seed is None else seed)

    return NormalDist


def _redirecting(kit: Kit) -> Callable[..., Any]:
    """Return a `redirect_stdout` for what this session prints."""

    @contextlib.contextmanager
    def redirect_stdout(target: Any) -> Iterator[Any]:
        before, kit.out = kit.out, target
        try:
            yield target
        finally:
            kit.out = before

    return redirect_stdout


def _same(thing: Any) -> Any:
    return thing


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None
