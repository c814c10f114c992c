"""The modules that restricted cells can import: copies that hold only what is harmless."""

from __future__ import annotations

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
from rlm.sandbox._local_async import Waiting
from rlm.sandbox._local_cells import Kit, Stream
from rlm.sandbox._local_classes import ENUMS, Namespace, check, own
from rlm.sandbox._local_guards import read
from rlm.sandbox._local_threads import Threads

__all__ = ["importer"]

_NAMES: Mapping[str, str] = {
    "abc": "ABC abstractmethod",
    "base64": "b64encode b64decode b32encode b32decode b16encode b16decode b85encode b85decode"
    " urlsafe_b64encode urlsafe_b64decode standard_b64encode standard_b64decode",
    "binascii": "hexlify unhexlify crc32 Error",
    "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
    "calendar": "monthrange isleap leapdays weekday timegm month_name month_abbr day_name day_abbr",
    "cmath": "*",
    "collections": "ChainMap Counter OrderedDict UserDict UserList defaultdict deque namedtuple",
    "collections.abc": "*",
    "colorsys": "rgb_to_yiq yiq_to_rgb rgb_to_hls hls_to_rgb rgb_to_hsv hsv_to_rgb",
    "concurrent.futures": "as_completed wait FIRST_COMPLETED FIRST_EXCEPTION ALL_COMPLETED"
    " TimeoutError CancelledError",
    "contextlib": "contextmanager asynccontextmanager suppress closing nullcontext ExitStack",
    "csv": "reader writer DictReader DictWriter Sniffer Error QUOTE_ALL QUOTE_MINIMAL"
    " QUOTE_NONNUMERIC QUOTE_NONE",
    "dataclasses": "field fields replace is_dataclass MISSING KW_ONLY FrozenInstanceError",
    "datetime": "date datetime time timedelta timezone tzinfo UTC MINYEAR MAXYEAR",
    "decimal": "Decimal Context getcontext localcontext setcontext Clamped DecimalException"
    " DivisionByZero FloatOperation Inexact InvalidOperation Overflow Rounded Subnormal Underflow"
    " ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP"
    " ROUND_05UP MAX_PREC MAX_EMAX MIN_EMIN",
    "difflib": "SequenceMatcher Differ get_close_matches ndiff unified_diff context_diff",
    "enum": "auto unique",
    "fractions": "Fraction",
    "functools": "reduce partial lru_cache cache cmp_to_key cached_property",
    "hashlib": "md5 sha1 sha224 sha256 sha384 sha512 sha3_256 sha3_512 blake2b blake2s",
    "heapq": "heappush heappop heapify heappushpop heapreplace nlargest nsmallest merge",
    "html": "escape unescape",
    "html.parser": "HTMLParser",
    "io": "StringIO BytesIO",
    "itertools": "*",
    "json": "loads dumps load dump JSONDecodeError JSONEncoder",
    "math": "*",
    "numbers": "Number Complex Real Rational Integral",
    "queue": "Queue LifoQueue PriorityQueue SimpleQueue Empty Full",
    "re": "compile search match fullmatch split findall finditer sub subn escape error Pattern"
    " Match A ASCII I IGNORECASE L M MULTILINE S DOTALL U UNICODE X VERBOSE RegexFlag NOFLAG",
    "statistics": "*",
    "string": "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits"
    " punctuation printable whitespace capwords Template",
    "struct": "pack unpack unpack_from iter_unpack calcsize error",
    "textwrap": "*",
    "time": "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time strftime"
    " strptime gmtime localtime mktime ctime asctime struct_time",
    "types": "MappingProxyType NoneType",
    "typing": "Any Callable ClassVar Dict Final FrozenSet Generator Generic Iterable Iterator List"
    " Literal Mapping NamedTuple Optional Protocol Sequence Set Tuple Type TypedDict TypeVar Union"
    " cast Awaitable Coroutine DefaultDict Deque Counter Annotated TypeAlias NewType Self Never"
    " NoReturn Hashable Sized Collection Container Reversible MutableMapping MutableSequence"
    " MutableSet AbstractSet ItemsView KeysView ValuesView AsyncIterator AsyncIterable OrderedDict"
    " AsyncGenerator ParamSpec Concatenate AnyStr Text Required NotRequired Pattern Match"
    " SupportsInt SupportsFloat TYPE_CHECKING assert_never",
    "unicodedata": "*",
    "urllib.parse": "quote quote_plus unquote unquote_plus urlencode urljoin urlparse urlsplit"
    " urlunparse urlunsplit parse_qs parse_qsl",
    "uuid": "UUID uuid3 uuid4 uuid5 NAMESPACE_DNS NAMESPACE_URL",
    "zlib": "compress decompress crc32 adler32 error",
}
"""What is taken of each module; `*` is its `__all__`, or all that is public and no module."""

_OPERATORS = (
    "add sub mul truediv floordiv mod pow neg pos abs eq ne lt le gt ge and_ or_ xor not_ truth"
    " is_ is_not contains concat countOf indexOf getitem itemgetter invert lshift rshift matmul"
)
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
    listed = _NAMES[name].split()
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
    return {**_shared(name), **own} if name in _NAMES else own


def _own(name: str, kit: Kit) -> dict[str, Any]:
    """Return what a module has that is this session's own, or made for cells."""
    waiting = Waiting(kit.ticker)
    makers: dict[str, Callable[[], dict[str, Any]]] = {
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


_KNOWN = frozenset(
    {*_NAMES, *_OWN, "operator", "ast", "copy", "concurrent", "urllib", "__future__"}
)


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
    return check(dataclasses.dataclass(**how)(_own_class(cls)))


def _total_ordering(cls: Any) -> Any:
    return functools.total_ordering(_own_class(cls))


def _own_class(cls: Any) -> Any:
    if not (issubclass(type(cls), type) and own(cls)):
        raise TypeError("only a class that was made in a cell can be changed")
    return cls


def _wraps(wrapped: Callable[..., Any]) -> Callable[..., Any]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        both = isinstance(wrapped, types.FunctionType), isinstance(function, types.FunctionType)
        return functools.wraps(wrapped)(function) if all(both) else function

    return decorate


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
        **{name: getattr(operator, name) for name in _OPERATORS.split()},
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
