"""LESSONS 48 and 49: what importing costs, and encodings by name."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rlm

HEAVY = {
    "aiohttp",
    "docker",
    "google",
    "hypothesis",
    "litellm",
    "openai",
    "RestrictedPython",
    "rich",
    "tiktoken",
    "typer",
    "requests",
    "httpx",
}
PACKAGE = Path(rlm.__file__).parent


def heavy_after(code: str) -> set[str]:
    """Return the heavy packages that a fresh interpreter has loaded after this code."""
    told = f"import sys\n{code}\nprint(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-I", "-c", told],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=PACKAGE.parent,
    )
    return HEAVY & set(done.stdout.splitlines()[-1].split())


def test_lesson_48_importing_the_package_loads_nothing_heavy() -> None:
    assert heavy_after("import rlm") == set()


def test_lesson_48_naming_everything_public_loads_nothing_heavy() -> None:
    assert heavy_after("import rlm\nfor name in rlm.__all__: getattr(rlm, name)") == set()


def test_lesson_48_a_run_loads_no_client_that_it_does_not_use() -> None:
    code = (
        "import rlm\n"
        "from rlm.testing import ScriptedLM\n"
        "lm = ScriptedLM(['```repl\\nsubmit(context.upper())\\n```'])\n"
        "assert rlm.completion('Go', context='x', model=lm).value == 'X'"
    )
    assert heavy_after(code) == set()


def test_lesson_48_an_openai_model_loads_aiohttp_and_no_other_client() -> None:
    code = (
        "import rlm\n"
        "from rlm.testing import LoopbackServer\n"
        "with LoopbackServer('```repl\\nsubmit(context.upper())\\n```') as server:\n"
        "    model = rlm.Model('openai/x', base_url=server.openai_url, api_key='k')\n"
        "    assert rlm.completion('Go', context='x', model=model).value == 'X'"
    )
    assert heavy_after(code) == {"aiohttp"}


def test_lesson_48_importing_starts_no_thread_and_reads_no_environment() -> None:
    code = (
        "import os, threading\n"
        "class Watched(type(os.environ)):\n"
        "    pass\n"
        "read = []\n"
        "plain = type(os.environ).__getitem__\n"
        "type(os.environ).__getitem__ = lambda self, k: (read.append(k), plain(self, k))[1]\n"
        "import pydantic, asyncio\n"
        "read.clear()\n"
        "import rlm\n"
        "for name in rlm.__all__: getattr(rlm, name)\n"
        "assert not [k for k in read if 'RLM' in k or 'KEY' in k], read\n"
        "assert threading.active_count() == 1"
    )
    assert heavy_after(code) == set()


def files() -> Iterator[Path]:
    yield from sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", list(files()), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_lesson_49_every_text_file_is_opened_with_an_encoding(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nameless = [
        f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and opens_text(node) and not names_encoding(node)
    ]
    assert nameless == []


def opens_text(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in ("read_text", "write_text"):
        return isinstance(function, ast.Attribute) and called_on(function) != "terminal"
    if name in ("Popen", "run", "check_output", "check_call") and called_on(function) in (
        "subprocess",
        "sp",
    ):
        return any(k.arg in ("text", "universal_newlines") for k in call.keywords)
    if name == "fdopen" or (name == "open" and called_on(function) in ("", "io", "codecs")):
        return not binary(call, place=1)
    if name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile"):
        return mode_of(call, place=0) != "" and not binary(call, place=0)
    if name == "open" and called_on(function) not in ("os", "self", "place"):
        return mode_of(call, place=0) != "" and not binary(call, place=0)
    return False


def called_on(function: ast.expr) -> str:
    if not isinstance(function, ast.Attribute):
        return ""
    return function.value.id if isinstance(function.value, ast.Name) else "?"


def mode_of(call: ast.Call, place: int) -> str:
    given = [k.value for k in call.keywords if k.arg == "mode"] or call.args[place : place + 1]
    return str(given[0].value) if given and isinstance(given[0], ast.Constant) else ""


def binary(call: ast.Call, place: int) -> bool:
    return "b" in mode_of(call, place)


def names_encoding(call: ast.Call) -> bool:
    return any(k.arg == "encoding" for k in call.keywords)


@pytest.mark.parametrize(
    ("code", "flagged"),
    [
        ("open(p)", True),
        ("open(p, 'rb')", False),
        ("open(p, 'w', encoding='utf-8')", False),
        ("Path(p).read_text()", True),
        ("path.write_text(t, encoding='utf-8')", False),
        ("path.open('r')", True),
        ("os.fdopen(fd, 'wb')", False),
        ("os.fdopen(fd)", True),
        ("subprocess.run(c, text=True)", True),
        ("tempfile.TemporaryFile()", False),
    ],
)
def test_lesson_49_the_check_finds_what_it_looks_for(code: str, flagged: bool) -> None:
    (statement,) = ast.parse(code).body
    assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    assert (opens_text(statement.value) and not names_encoding(statement.value)) is flagged
