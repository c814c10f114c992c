from __future__ import annotations

import ast
import asyncio.taskgroups
import dataclasses
import enum
import inspect
import sys
import threading
import typing
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.guard import check


@pytest.mark.parametrize(
    ("code", "line", "message"),
    [
        ("x = 1\nprint('a'\ny = 2", 2, "'(' was never closed"),
        ("def f(:\n  pass", 1, "invalid syntax"),
        ("if x:\npass", 2, "expected an indented block"),
        ("if 1:\n\tx\n        y\n", 3, "inconsistent use of tabs"),
        ("x = 'abc", 1, "unterminated string"),
        ("x = 1\nreturn x", 2, "'return' outside function"),
        ("for x in y: pass\nbreak", 2, "'break' outside loop"),
        ("yield 1", 1, "'yield' outside function"),
        ("x = 1\ny = 'a\0b'", 2, "holds '\\x00', which is no text"),
        ("x = 1\n\ny = '\ud800'", 3, "holds '\\ud800', which is no text"),
        ("(" * 300 + ")" * 300, 1, "too many nested parentheses"),
        ("-" * 100_000 + "1", 1, "nested too deeply"),
        ("a" + ".b" * 100_000, 1, "nested too deeply"),
        ("[" * 5000, 1, "too many nested parentheses"),
    ],
)
def test_rr32_syntax_errors_are_told_without_running(code: str, line: int, message: str) -> None:
    found = check(code)
    assert found.syntax is not None
    assert not found.ok
    assert (found.tree, found.warnings, found.syntax.line) == (None, (), line)
    assert message in found.syntax.message


def test_rr32_a_syntax_error_shows_its_line_and_place() -> None:
    found = check("a = 1\nif a:\n\tb = = 2\n").syntax
    assert found is not None
    assert found.source == " b = = 2"
    assert found.source[len(found.pointer) - 1] == "="
    assert str(found) == f"line 3: {found.message}\n  {found.source}\n  {found.pointer}"


def test_rr32_a_very_long_line_is_shown_around_its_error() -> None:
    found = check("x = [" + "1, " * 10_000 + "= 3]").syntax
    assert found is not None
    assert len(found.source) <= 160
    assert found.source[len(found.pointer) - 1] == "="


@pytest.mark.parametrize(
    "code", ["", "x", "await f()", "async with a as b:\n    await b", "\n\n# no"]
)
def test_rr32_good_code_has_a_tree_and_may_await_at_its_top(code: str) -> None:
    found = check(code)
    assert isinstance(found.tree, ast.Module)
    assert found.ok
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import os\nos.system('ls')", "os.system"),
        ("os.system('ls')", "os.system"),
        ("os.popen('ls').read()", "os.popen"),
        ("os.execvp('ls', [])", "os.execvp"),
        ("os.spawnl(0, 'ls')", "os.spawnl"),
        ("os.fork()", "os.fork"),
        ("os.kill(1, 9)", "os.kill"),
        ("os.remove('a')", "os.remove"),
        ("os.rmdir('a')", "os.rmdir"),
        ("os._exit(1)", "os._exit"),
        ("import shutil\nshutil.rmtree('/')", "shutil.rmtree"),
        ("import subprocess as sp\nsp.run(['ls'], stdout=sp.PIPE)", "subprocess.run"),
        ("from subprocess import check_output\ncheck_output('ls')", "subprocess.check_output"),
        ("from os import system as s\ns('ls')", "os.system"),
        ("import pty\npty.spawn('sh')", "pty.spawn"),
        ("eval('1')", "eval"),
        ("exec('1')", "exec"),
        ("compile('1', '', 'exec')", "compile"),
        ("m = __import__('json')", "__import__"),
        ("import importlib\nimportlib.import_module('os')", "importlib.import_module"),
        ("import ctypes\nctypes.CDLL('libc.so.6')", "ctypes.CDLL"),
        ("import socket\ns = socket.socket()", "socket.socket"),
        ("exit()", "exit"),
        ("quit()", "quit"),
        ("import sys\nsys.exit(1)", "sys.exit"),
        ("raise SystemExit(1)", "SystemExit"),
        ("open('a', 'w').write('x')", "open"),
        ("open('a', mode='ab')", "open"),
        ("import gzip\ngzip.open('a', 'wb')", "gzip.open"),
        ("from pathlib import Path\nPath('a').unlink()", ".unlink"),
        ("p.rmdir()", "p.rmdir"),
        ("p.write_text('x')", "p.write_text"),
        ("Path('a').open('w')", ".open"),
        ("import signal\nsignal.signal(2, f)", "signal.signal"),
        ("import multiprocessing as mp\nmp.Process(target=f).start()", "multiprocessing.Process"),
        ("import pickle\npickle.loads(b)", "pickle.loads"),
        ("getattr(os, 'system')('ls')", "os.system"),
        ("s = getattr(os, 'system')\ns('ls')", "os.system"),
        ("run = os.system\nrun('ls')", "os.system"),
        ("import builtins\nbuiltins.eval('1')", "eval"),
        ("__builtins__['eval']('1')", "eval"),
        ("os.__dict__['system']('ls')", "os.system"),
        ("vars(os)['system']('ls')", "os.system"),
        ("globals()['eval']('1')", "eval"),
        ("__import__('os').system('ls')", "os.system"),
        ("m = __import__('os')\nm.system('ls')", "os.system"),
        ("list(map(os.system, ['ls']))", "os.system"),
        ("Thread(target=os.abort).start()", "os.abort"),
        ("def f():\n    class A:\n        x = [eval(y) for y in z]", "eval"),
        ("f = lambda: (yield_ := os.remove('a'))", "os.remove"),
        ("match x:\n    case [a] if eval(a): pass", "eval"),
        ("@eval\ndef f(): pass\nx = f'{eval(1)}'", "eval"),
    ],
)
def test_rr33_dangerous_calls_are_named_with_their_line(code: str, name: str) -> None:
    found = check(code)
    assert found.ok
    line = max(i for i, text in enumerate(code.split("\n"), 1) if text.strip(" )"))
    assert any(warning.startswith(f"line {line}: {name}() ") for warning in found.warnings)


@pytest.mark.parametrize(
    "code",
    [
        "import re\nre.compile('a')",
        "from re import compile\ncompile('a')",
        "df.eval('a + b')\nmodel.eval()",
        "x = 'os.system(1)'  # os.system('ls')",
        "[1].remove(1)\nitems.remove(x)",
        "df.rename(columns={})\n'a'.replace('b', 'c')",
        "open('a')\nopen('a', 'rb')\nopen('a', encoding='utf-8')\nopen(path, mode)",
        "import os\nos.path.exists('a')\nos.environ.get('x')\nos.listdir()",
        "def exit(): pass\nexit()",
        "eval = 3\nprint(eval)",
        "def f(exec): return exec(1)",
        "compile = re.compile\ncompile('a')",
        "socket = 5\nsignal = [1]\nsignal.append(2)",
        "import json, pickle\njson.loads('1')\npickle.dumps(1)",
        "for quit in range(3): f(quit)",
        "import subprocess\ntry: f()\nexcept subprocess.CalledProcessError: pass",
        "import multiprocessing\nmultiprocessing.cpu_count()",
        "archive.open('member.txt')\nImage.open('x.png')",
        "global a, b\nx = {**c, 'd': 1}\ndef f(*, a, b=1):\n    nonlocal_ = 2",
        "match x:\n    case A(b=1, c=d): 1\n    case {'k': v, **rest}: 2\n    case [*_]: 3",
        "submit(answer=42)\nanswers = parallel_queries(*prompts)\nprint(context[:100])",
    ],
)
def test_rr33_harmless_code_raises_no_alarm(code: str) -> None:
    assert check(code).warnings == ()


def test_rr34_warnings_block_nothing_are_in_order_and_bounded() -> None:
    found = check("\n".join(["eval('1')"] * 50))
    assert found.ok
    assert found.warnings[:2] == (
        "line 1: eval() runs text as code",
        "line 2: eval() runs text as code",
    )
    assert len(found.warnings) == 21
    assert found.warnings[-1] == "and 30 more such calls"
    assert len(check("eval(eval(eval('1')))").warnings) == 1


def test_a_bad_escape_in_a_string_is_no_error_and_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = list(warnings.filters)
    threads = [threading.Thread(target=check, args=("x = '\\d'",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert check("x = '\\d'").ok
    assert check("for x in y:\n    if x is 1: break").ok
    assert list(warnings.filters) == before
    assert capfd.readouterr().err == ""


def test_a_long_chain_that_can_still_be_parsed_is_no_error() -> None:
    depth = sys.getrecursionlimit() // 2
    assert check("a" + ".b" * depth + "()").ok
    assert check("a" + "()" * depth).ok


def test_every_construct_of_the_standard_library_is_walked() -> None:
    for module in (ast, threading, warnings, typing, enum, dataclasses, asyncio.taskgroups):
        assert check(inspect.getsource(module)).ok


@given(st.text(max_size=60) | st.text("()[]{}:,.=\n\t '\"\\#abif10\0@*", max_size=60))
def test_any_text_is_checked_without_raising(code: str) -> None:
    found = check(code)
    assert found.ok == (found.tree is not None)
    if found.syntax is not None:
        assert 1 <= found.syntax.line <= code.count("\n") + 1
        assert str(found.syntax)
