"""Everything that a cell of the sandbox `local` can get at by reading attributes and items."""

from __future__ import annotations

import ast
import types
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rlm.files import File
from rlm.guest.output import Capture
from rlm.sandbox import _local_modules as modules
from rlm.sandbox._local_cells import Kit
from rlm.sandbox._local_guards import read
from rlm.sandbox._local_policy import restrict
from rlm.sandbox._local_restricted import RestrictedCells
from rlm.sandbox._local_ticks import Ticker
from rlm.sandbox._local_values import Given
from rlm.sandbox.base import OpenOptions

__all__ = ["reachable"]

_MOST = 50_000
_DEEPEST = 7
_SAMPLES = """
import asyncio, calendar, collections, contextlib, csv, concurrent.futures, dataclasses, datetime
import decimal, difflib, enum, fractions, functools, html.parser, io, itertools, json, queue, re
import statistics, string, textwrap, threading, types, typing
@dataclasses.dataclass
class D:
    x: int = dataclasses.field(default=1, metadata={})
class E(enum.Enum):
    A = 1
def generator(): yield
async def coroutine(): pass
try: 1 / 0
except Exception as e: error = e
pattern = re.compile('(?P<name>x)')
pool = concurrent.futures.ThreadPoolExecutor(1)
samples = [
    pattern, pattern.match('x'), contextlib.ExitStack(), io.StringIO(), csv.writer(io.StringIO()),
    csv.DictReader(io.StringIO()), csv.Sniffer(), json.JSONEncoder(), D(), dataclasses.fields(D),
    dataclasses.field(), decimal.getcontext(), decimal.Decimal(1), threading.Thread(), pool,
    pool.submit(len, 'a'), asyncio.Lock(), asyncio.Queue(), queue.Queue(), textwrap.TextWrapper(),
    difflib.SequenceMatcher(None, 'a', 'b'), difflib.Differ(), E.A, E, error, error.__context__,
    collections.namedtuple('N', 'a b')(1, 2), types.SimpleNamespace(a=1), typing.List[int],
    list[int], int | None, functools.lru_cache(len), functools.partial(len, 'a'), generator(),
    functools.cached_property(len), string.Template('$a'), statistics.NormalDist(),
    html.parser.HTMLParser(), contextlib.contextmanager(generator)(), threading.Condition(),
    threading.Event(), threading.Barrier(1), threading.Semaphore(), super(D, D()), super(E, E.A),
    calendar.month_name, doc.lines(), doc.search('a'), grep_text('a', 'a'), memoryview(b'a'),
    json.JSONDecodeError('a', 'b', 0), ExceptionGroup('a', [error]), typing.TypeVar('T'),
    property(len), classmethod(len), staticmethod(len), collections.ChainMap({}), iter([]), zip(),
    collections.UserDict(), llm_query('a'), typing.NewType('X', int), datetime.datetime(2024, 1, 1),
    typing.NamedTuple('A', [('a', int)]), typing.TypedDict('A', {'a': int}), itertools.count(),
    fractions.Fraction(1, 2), rows, globals(), E.__members__, dataclasses.field().metadata,
]
"""


def reachable() -> dict[int, tuple[str, Any]]:
    """Return it by its id, each with a way to it, of a session of its own."""
    ticker = Ticker()
    out, err = (Capture(name, ticker, lambda *said: None) for name in ("stdout", "stderr"))
    cells = RestrictedCells(Kit(ticker, out, err, 0, 1024))
    given = {"doc": Given("doc", File(text="a\nb")), "rows": Given("rows", [{"a": {1}}])}
    cells.provide(
        lambda *call: {"text": "ok", "value": {"a": [1]}},
        {"llm_query": None, "look": None},
        OpenOptions(),
        {name: value.copy(1024, []) for name, value in given.items()},
    )
    with ThreadPoolExecutor(1) as thread:  # no cell runs in the thread that made its ticker
        thread.submit(_prepare, cells).result()
        found = _walk(_roots(cells))
    _keep.append((cells, given))
    return found


_keep: list[Any] = []
"""What was looked at lives on, so that no id is given twice."""


def _prepare(cells: RestrictedCells) -> None:
    tree = restrict(ast.parse(_SAMPLES), "<cell 1>")
    exec(compile(tree, "<cell 1>", "exec"), cells.namespace)


def _roots(cells: RestrictedCells) -> dict[str, Any]:
    builtins = cells.namespace["__builtins__"]
    return {
        **{n: v for n, v in builtins.items() if not n.startswith("__")},
        **{n: v for n, v in cells.namespace.items() if not (n[0] == "_" and n[-1] == "_")},
        **{f"import {n}": builtins["__import__"](n) for n in sorted(modules._KNOWN)},
    }


def _walk(roots: dict[str, Any]) -> dict[int, tuple[str, Any]]:
    found: dict[int, tuple[str, Any]] = {}
    waiting: deque[tuple[str, Any]] = deque(roots.items())
    while waiting and len(found) < _MOST:
        path, value = waiting.popleft()
        if id(value) in found or type(value) in (str, int, float, bool, bytes, types.NoneType):
            continue
        found[id(value)] = (path, value)
        if path.count(".") + path.count("[") < _DEEPEST:
            waiting += _from(path, value)
    return found


def _from(path: str, value: Any) -> list[tuple[str, Any]]:
    ways: list[tuple[str, Any]] = []
    for name in dir(value):
        try:
            ways.append((f"{path}.{name}", read(value, name)))
        except Exception:  # refused, or fails: it leads nowhere
            continue
    if isinstance(value, dict):
        ways += [(f"{path}[{key!r}]", item) for key, item in list(value.items())[:50]]
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        ways += [(f"{path}[{number}]", item) for number, item in enumerate(list(value)[:100])]
    return ways
