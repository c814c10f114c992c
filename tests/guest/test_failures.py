from __future__ import annotations

import io
import linecache

from hypothesis import given
from hypothesis import strategies as st

from rlm.guest import failures
from rlm.guest.errors import CellTimeout


def caught(code: str, name: str = "<cell 1>") -> BaseException:
    try:
        exec(compile(code, name, "exec"), {})
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


@given(st.text(st.sampled_from("ab\n\r\x0c\x0b\x1c\x85\u2028")))
def test_lines_are_those_of_a_file_that_python_reads(code: str) -> None:
    read = io.StringIO(code, newline=None).read().split("\n")
    assert failures.lines_of(code) == [line + "\n" for line in read]


@given(st.text(max_size=200), st.integers(0, 5), st.integers(0, 300))
def test_what_is_told_of_an_error_is_bounded_and_keeps_the_ends(
    text: str, times: int, depth: int
) -> None:
    code = f"def f(n): return f(n - 1) if n else 1 / 0\ntry: f({depth})\nexcept Exception as e:\n"
    code += f"    raise ValueError({text!r} * {10**times}) from e"
    told = failures.told(caught(code), "<cell 1>", failures.lines_of(code), None)
    assert (told["type"], told["line"], told["kind"]) == ("ValueError", 4, "error")
    assert len(told["message"]) < 4_200
    assert len(told["traceback"]) < 21_000
    assert "ZeroDivisionError" in told["traceback"]
    assert ("left out)" in told["traceback"].split("\n")[0]) == (depth > 48)


def test_what_is_told_barely_runs_no_code_of_the_cell() -> None:
    code = "class E(Exception):\n    def __str__(self): raise AssertionError\nraise E('told')"
    error, lines = caught(code), failures.lines_of(code)
    timeout = CellTimeout("the cell used up its time")
    told = failures.barely(error, "<cell 1>", lines, timeout)
    assert (told["type"], told["line"], told["kind"]) == ("E", 3, "timeout")
    assert "could not be had (CellTimeout)" in told["message"]
    told = failures.barely(timeout, "<cell 1>", lines, timeout, 2)
    assert (told["message"], told["line"]) == ("the cell used up its time", 2)


def test_sources_are_put_back_where_tracebacks_look_and_only_the_last_are_kept() -> None:
    sources = failures.Sources()
    for number in range(300):
        sources.add(f"<cell {number} of a test>", f"x = {number}")
    assert linecache.getline("<cell 0 of a test>", 1) == ""
    linecache.clearcache()
    sources.restore()
    assert linecache.getline("<cell 299 of a test>", 1) == "x = 299\n"
