"""What is told of a cell that fails, whatever its error is made of."""

from __future__ import annotations

from pathlib import Path

import pytest
from sessions import cells, every_guest

from rlm.sandbox.base import CellError, CellLimits, Execution


def failed(execution: Execution) -> CellError:
    assert execution.error is not None, execution
    assert execution.error.kind == "error"
    return execution.error


@every_guest
def test_lesson_02_lines_of_earlier_cells_are_shown_from_their_own_source(kind: str) -> None:
    first = "def a():\n    return b()\n\ndef b():\n    return 1 / 0"
    *_, last = cells(first, "def c():\n    return a()", "print('so far')\nc()", kind=kind)
    error = failed(last)
    assert (last.stdout, error.type, error.line, error.source) == (
        "so far\n", "ZeroDivisionError", 2, "c()",
    )  # fmt: skip
    shown = [line.strip() for line in error.traceback.splitlines()]
    for line in ('File "<cell 2>", line 2, in c', "return a()", 'File "<cell 1>", line 5, in b'):
        assert line in shown
    assert shown.index("return a()") < shown.index("return b()") < shown.index("return 1 / 0")
    assert str(Path(__file__).parent.parent) not in error.traceback  # no frame of the guest


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise RuntimeError", "its message raises RuntimeError"),
        ("raise SystemExit", "its message raises SystemExit"),
        ("raise KeyboardInterrupt", "its message raises KeyboardInterrupt"),
        ("return 3", "its message raises TypeError"),
    ],
)
def test_an_error_whose_message_breaks_is_told_all_the_same(body: str, message: str) -> None:
    code = (
        f"class E(Exception):\n    def __str__(self): {body}\n    __repr__ = __str__\nraise E('a')"
    )
    broken, after = cells(code, "E")
    assert (failed(broken).type, failed(broken).message) == ("E", message)
    assert after.value == "<class '__main__.E'>"


@every_guest
def test_a_message_or_a_repr_without_end_costs_the_time_of_its_cell_only(kind: str) -> None:
    endless = "class E(Exception):\n    def __str__(self):\n        while True: pass\n"
    shown = "class R:\n    def __repr__(self):\n        while True: pass\nr = R()\n"
    told = cells(
        f"kept = 1\n{endless}raise E",
        f"{shown}r",
        "kept",
        kind=kind,
        limits=CellLimits(seconds=0.4),
    )
    for one in told[:2]:
        assert one.error is not None
        assert one.error.kind == "timeout"
    assert told[0].error is not None
    assert told[0].error.line == 5
    assert told[2].value == "1"


def test_a_caught_error_without_end_does_not_hold_up_what_is_told_of_a_timeout() -> None:
    code = (
        "class E(Exception):\n    def __str__(self):\n        while True: pass\n"
        "try:\n    raise E\nexcept E:\n    while True: pass"
    )
    done, after = cells(code, "1", limits=CellLimits(seconds=0.4))
    assert done.error is not None
    assert (done.error.kind, done.error.line) == ("timeout", 7)
    assert after.value == "1"


def test_groups_causes_and_contexts_are_told() -> None:
    [group, cause] = cells(
        "def f(): raise ValueError('inner')\ntry: f()\nexcept ValueError as e: first = e\n"
        "raise ExceptionGroup('many', [first, KeyError('k')])",
        "try: {}['a']\nexcept KeyError as e: raise TypeError('outer') from e",
    )
    for text in ("many (2 sub-exceptions)", "ValueError: inner", "KeyError: 'k'", "in f"):
        assert text in failed(group).traceback
    assert "direct cause" in failed(cause).traceback


@pytest.mark.parametrize(
    ("code", "type_name"),
    [
        ("raise ValueError('x' * 10_000_000)", "ValueError"),
        ("raise ExceptionGroup('g', [ValueError(str(i)) for i in range(100_000)])",
         "ExceptionGroup"),
        ("e = ValueError(0)\nfor i in range(5000): e = ExceptionGroup('g', [e])\nraise e",
         "ExceptionGroup"),
        ("e = None\nfor i in range(100_000):\n    n = ValueError(i)\n    n.__cause__ = e\n"
         "    e = n\nraise e", "ValueError"),
        ("import sys; sys.setrecursionlimit(200_000)\n"
         "def f(n): return f(n + 1) if n < 100_000 else 1 / 0\nf(0)", "ZeroDivisionError"),
        ("def f(n): return f(n + 1)\nf(0)", "RecursionError"),
        ("raise ValueError('\\n' * 100_000)", "ValueError"),
    ],
)  # fmt: skip
def test_what_is_told_of_an_error_is_bounded(code: str, type_name: str) -> None:
    done, after = cells(code, "1 + 1")
    error = failed(done)
    assert error.type == type_name
    assert len(error.message) < 4_200
    assert len(error.traceback) < 21_000
    assert after.value == "2"


def test_a_deep_recursion_shows_where_it_began_and_where_it_ended() -> None:
    code = "def f(n): return f(n + 1)\ndef start(): return f(0)\nstart()"
    [done] = cells(code)
    error = failed(done)
    assert "in start" in error.traceback
    assert "frames are left out" in error.traceback
    assert error.traceback.rstrip().endswith("maximum recursion depth exceeded")


@pytest.mark.parametrize(
    ("raised", "type_name"),
    [
        ("raise KeyboardInterrupt('me')", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class B(BaseException): pass\nraise B", "B"),
        ("def g():\n    try: yield 1\n    finally: raise OSError('closing')\nfor x in g(): break",
         None),
        ("import asyncio\nawait asyncio.sleep(0)\nraise asyncio.CancelledError", "CancelledError"),
    ],
)  # fmt: skip
def test_every_kind_of_error_ends_its_cell_only(raised: str, type_name: str | None) -> None:
    done, after = cells(f"kept = 1\n{raised}", "kept")
    if type_name is not None:
        assert failed(done).type == type_name
    assert after.value == "1"


def test_lesson_29_what_is_given_to_exit_is_told() -> None:
    number, words, after = cells("import sys\nsys.exit(3)", "exit('no such column')", "1")
    assert "exit(3) ended this cell" in failed(number).message
    assert "no such column" in failed(words).message
    assert after.value == "1"


def test_rr32_a_syntax_error_has_its_caret() -> None:
    [done] = cells("x = (1,\n  2")
    assert done.error is not None
    assert (done.error.kind, done.error.line) == ("syntax", 1)
    assert "^" in done.error.traceback


@pytest.mark.parametrize(
    "code", ["(" * 1000 + ")" * 1000, "-" * 200_000 + "1", "+".join("1" * 99_999)]
)
def test_code_that_is_too_deep_to_compile_is_told(code: str) -> None:
    done, after = cells(code, "1")
    assert done.error is not None
    assert done.error.kind == "syntax"
    assert len(done.error.traceback) < 21_000
    assert after.value == "1"


def test_lines_are_those_that_python_counts() -> None:
    [done] = cells("x = '''a\x0cb\u2028c'''\r\ny = 1\r1 / 0")
    assert (failed(done).line, failed(done).source) == (3, "1 / 0")


@pytest.mark.parametrize(
    "code",
    [
        "import linecache; linecache.clearcache()\n1 / 0",
        "import linecache; linecache.getlines = None\n1 / 0",
        "import traceback; traceback.TracebackException = None\n1 / 0",
        "import sys; sys.modules.clear()\n1 / 0",
        "import sys; sys.setrecursionlimit(30)\n1 / 0",
    ],
)
def test_an_error_is_told_where_the_cell_took_the_tools_for_it(code: str) -> None:
    done, after = cells(code, "1")
    assert (failed(done).type, failed(done).source) == ("ZeroDivisionError", "1 / 0")
    assert after.value == "1"


@pytest.mark.parametrize(
    "code",
    [
        "class R:\n    def __repr__(self): raise KeyboardInterrupt\nr = R()\nr",
        "class R:\n    def __repr__(self): return 3\nr = R()\nr",
        "class R:\n    def __repr__(self): return 'x' * 10**12\nr = R()\nr",
        "class S(str):\n    def __len__(self): raise SystemExit\n"
        "class R:\n    def __repr__(self): return S('a')\nr = R()\nr",
        "class L(list):\n    def __len__(self): raise SystemExit\nl = L()\nl",
        "class L(list):\n    def __len__(self): return 10**30\nl = L()",
        "class M(type):\n    __name__ = property(lambda self: 1 / 0)\n"
        "class A(metaclass=M): pass\na = A()\na",
        "class M(type):\n    def __eq__(self, other): raise SystemExit\n    __hash__ = None\n"
        "class A(metaclass=M): pass\na = A()\na",
        "class A:\n    @property\n    def __class__(self): raise SystemExit\na = A()\na",
        "class N(str):\n    def startswith(self, *a): raise SystemExit\nglobals()[N('abc')] = 1",
        "globals()[3] = 4",
        "class A:\n    shape = property(lambda self: exit())\n    dtype = 1\na = A()\na",
        "x = []\nfor i in range(10**6): x = [x]\nx",
        "class A:\n    def __repr__(self): return repr(self)\nA()",
    ],
)
def test_no_value_of_a_cell_ends_the_session_by_being_shown(code: str) -> None:
    done, after = cells(f"kept = 1\n{code}", "kept")
    assert done.error is None
    assert after.value == "1"


def test_a_repr_that_prints_and_one_of_many_characters_are_shown_within_bounds() -> None:
    prints, large = cells(
        "class R:\n    def __repr__(self): print('hi'); return 'R!'\nR()",
        "class R:\n    def __repr__(self): return 'x' * 50_000_000\nR()",
    )
    assert (prints.stdout, prints.value) == ("hi\n", "R!")
    assert large.value is not None
    assert len(large.value) < 21_000


def test_the_last_value_is_there_as_an_underscore_and_is_no_variable() -> None:
    first, second, third, after = cells("40 + 2;", "_ + 1", "_", "_ = 5\n[_ for _ in 'ab']; _")
    assert (first.value, second.value, third.value, after.value) == ("42", "43", "43", "5")
    assert first.variables == ()


def test_memory_that_ran_out_is_not_held_by_the_last_value() -> None:
    big = "'x' * 300_000_000"
    _, over, after = cells(big, f"a = {big}", f"len({big})")
    assert failed(over).type == "MemoryError"
    assert after.value == "300000000"
