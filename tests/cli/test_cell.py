from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.shell import rlm


def test_exec_prints_what_the_cell_prints_and_its_last_value(tmp_path: Path) -> None:
    done = rlm("exec", cwd=tmp_path, stdin="print('hello')\n6 * 7")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n42\n", "")


def test_exec_has_files_as_variables(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("naïve\n" * 3, encoding="utf-8")
    done = rlm("exec", "--input", "text=a.txt", cwd=tmp_path, stdin="text.text.count('naïve')")
    assert (done.returncode, done.stdout) == (0, "3\n")


def test_exec_exits_1_with_the_error_and_its_line(tmp_path: Path) -> None:
    done = rlm("exec", cwd=tmp_path, stdin="print('before')\n1 / 0")
    assert (done.returncode, done.stdout) == (1, "before\n")
    assert "line 2" in done.stderr and "ZeroDivisionError" in done.stderr


def test_exec_exits_2_when_the_session_is_lost(tmp_path: Path) -> None:
    done = rlm("exec", cwd=tmp_path, stdin="import os; os._exit(3)")
    assert done.returncode == 2
    assert "lost" in done.stderr


def test_exec_bounds_the_time_of_the_cell(tmp_path: Path) -> None:
    done = rlm("exec", "--timeout", "0.3", cwd=tmp_path, stdin="while True: pass")
    assert done.returncode == 1
    assert "CellTimeout" in done.stderr


@pytest.mark.parametrize(
    "code",
    [
        'llm_query("x")',
        'parallel_queries("x")',
        'predict("a -> b", a=1)',
        'parallel_predict("a -> b", [{"a": 1}])',
        "submit(answer=1)",
        "budget()",
    ],
)
def test_what_needs_a_run_says_so(tmp_path: Path, code: str) -> None:
    done = rlm("exec", cwd=tmp_path, stdin=code)
    assert done.returncode == 1
    assert f"{code.partition('(')[0]} needs a run" in done.stderr


def test_exec_json_is_the_whole_execution(tmp_path: Path) -> None:
    done = rlm("exec", "--json", cwd=tmp_path, stdin="x = 1\nx / 0")
    found = json.loads(done.stdout)
    assert found["error"]["type"] == "ZeroDivisionError"
    assert found["error"]["line"] == 2
    assert [variable["name"] for variable in found["variables"]] == ["x"]


def test_exec_refuses_a_sandbox_that_is_not_there(tmp_path: Path) -> None:
    done = rlm("exec", "--sandbox", "nowhere", cwd=tmp_path, stdin="1")
    assert done.returncode == 2
    assert "'nowhere'" in done.stderr
