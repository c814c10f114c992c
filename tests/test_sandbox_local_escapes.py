"""Nothing gets out of the sandbox `local` by its own list of ways, which work in bare Python."""

from __future__ import annotations

import asyncio
import calendar
import csv
import dataclasses
import decimal
import enum
import gc
import math
import os
import random
import signal
import sys
import threading
import types
import typing
from collections import deque
from typing import Any

import pytest
from naive import run_naively
from reachable import reachable
from snippets.bindings import BINDINGS
from snippets.escapes import ESCAPES
from snippets.host import HOST
from snippets.modules import MODULES
from snippets.objects import OBJECTS
from test_sandbox_local import cells

from rlm.files import File
from rlm.guest.output import Capture
from rlm.sandbox._local_cells import ThreadCells
from rlm.sandbox._local_ticks import Ticker


@dataclasses.dataclass
class Point:
    """A record among the inputs."""

    x: int
    y: list[int]


ATTEMPTS = {
    f"{group}: {name}": code
    for group, codes in (
        ("known", ESCAPES), ("objects", OBJECTS), ("host", HOST), ("modules", MODULES),
        ("bindings", BINDINGS),
    )
    for name, code in codes.items()
}  # fmt: skip
REFUSALS = (
    "AttributeError", "ImportError", "NameError", "RuntimeError", "SyntaxError", "TypeError",
    "ValueError", "AssertionError",
)  # fmt: skip


async def _reply(*args: Any, **kwargs: Any) -> Any:
    return {"text": "ok", "value": {"a": 1}}


async def _no_turns() -> Any:
    return []


@pytest.fixture(scope="module")
def naive() -> dict[str, str | None]:
    """What each attempt fails with where nothing confines it."""
    return dict(zip(ATTEMPTS, run_naively(list(ATTEMPTS.values())), strict=True))


@pytest.mark.parametrize("name", ATTEMPTS)
def test_rr29_lesson_36_escapes_that_work_in_bare_python_fail_here(
    name: str, naive: dict[str, str | None]
) -> None:
    assert naive[name] is None, "it shows nothing"
    [done] = cells(
        ATTEMPTS[name],
        inputs={"doc": File(text="a\n" * 9)},
        functions={"llm_query": _reply, "history": _no_turns},
    )
    assert done.error is not None, done
    assert done.error.type in REFUSALS
    assert "out" not in [one.name for one in done.variables] or done.error.type == "AssertionError"


def test_lesson_36_no_chain_of_attributes_leads_to_what_the_host_shares() -> None:
    first, second = reachable(), reachable()
    assert len(first) > 4000, "it has not looked far"
    for number, (path, value) in first.items():
        assert not isinstance(value, (types.FrameType, types.CodeType, types.TracebackType)), path
        assert type(value) is not types.ModuleType, path
        assert not isinstance(value, (asyncio.AbstractEventLoop, Ticker, Capture)), path
        assert not (isinstance(value, type) and issubclass(value, type)), path
        assert not (value is enum.Enum or isinstance(value, ThreadCells)), path
        if isinstance(value, (dict, list, set, bytearray, deque)):
            assert number not in second, f"{path} belongs to all sessions"


def test_lesson_36_nothing_of_the_process_is_otherwise_after_a_cell() -> None:
    def state() -> tuple[Any, ...]:
        return (
            random.getstate(), sys.getrecursionlimit(), os.getcwd(), dict(os.environ), sys.stdout,
            repr(decimal.getcontext()), repr(decimal.DefaultContext), signal.getsignal(2),
            threading.excepthook, csv.field_size_limit(), calendar.firstweekday(), dict(vars(math)),
            dataclasses.field().metadata, len(typing.get_overloads(state)),
        )  # fmt: skip

    before = state()
    given = {"rows": [{"a": [1]}], "point": Point(1, [2])}
    cells(
        "import random, decimal, statistics, typing, warnings, calendar, csv, sys, threading\n"
        "random.seed(1); random.random(); statistics.NormalDist().samples(3)\n"
        "decimal.getcontext().prec = 3; warnings.simplefilter('error')\n"
        "rows[0]['a'].append(2); rows.append(3); point.y.append(4); point.x = 9\n"
        "@typing.overload\ndef f(): ...\nprint(rows, point)",
        inputs=given,
    )
    assert state() == before
    assert given == {"rows": [{"a": [1]}], "point": Point(1, [2])}


@pytest.mark.filterwarnings("error")
def test_rb43_what_a_cell_leaves_undone_is_not_told_to_the_process(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = (
        "import threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "async def f(): pass\nf()\nkept = f()\n"
        "def g():\n    try:\n        yield\n    finally:\n        print('end')\nx = g()\nnext(x)\n"
        "c = threading.Condition()\nwith c: c.notifyAll()\n"
        "p = ThreadPoolExecutor(1)\np.submit(len, 'a').add_done_callback(lambda f: 1 / 0)\n"
        "t = threading.Thread(target=lambda: 1 / 0)\nt.start(); t.join()\n'\\d' is 'x'"
    )
    [done] = cells(code)
    gc.collect()
    assert done.error is None, done.error
    assert "ZeroDivisionError" in done.stderr
    assert capfd.readouterr() == ("", "")


def test_lesson_36_what_only_looks_like_text_stays_in_the_cell() -> None:
    code = (
        "class S(str):\n    def __getitem__(self, i): return object()\n"
        "    def __len__(self): return 0\n    def encode(self, *a): return 1\n"
        "class E(Exception):\n    def __str__(self): return S('why')\n"
        "class R:\n    def __repr__(self): return S('shown')\nr = R()\nprint(S('said'))\nraise E"
    )
    failed, shown = cells(code, "r")
    assert failed.stdout == "said\n"
    assert failed.error is not None
    told_of = (failed.error.message, failed.error.traceback, shown.value or "")
    assert [type(text) for text in (*told_of, failed.stdout)] == [str] * 4
    assert all(type(one.preview) is str for one in (*failed.variables, *shown.variables))
