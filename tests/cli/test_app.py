from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from cli.shell import environment, rlm
from rlm import __version__
from rlm.cli.app import app, run_app

COMMANDS = ["run", "demo", "show", "models", "schema", "console", "doctor", "exec"]
HEAVY = ["litellm", "google.genai", "docker", "aiohttp", "tiktoken", "RestrictedPython"]
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


@cache
def helped(command: str, columns: int = 80) -> str:
    """Return a command's help in so many columns, whatever this terminal is."""
    done = rlm(command, "--help", cwd=Path.cwd(), COLUMNS=str(columns))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["--version"]) == 0
    assert capsys.readouterr().out == f"rlm {__version__}\n"


def test_without_a_command_the_help_is_shown_and_it_is_misuse(tmp_path: Path) -> None:
    done = rlm(cwd=tmp_path)
    assert done.returncode == 2
    for command in COMMANDS:
        assert f" {command} " in done.stdout


def test_an_unknown_command_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["fly"]) == 2
    assert "'fly'" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_the_command(command: str) -> None:
    said = helped(command)
    assert f"Usage: rlm {command}" in said
    assert "completion" not in said  # of the shell


@pytest.mark.parametrize("command", ["run", "show", "models", "console", "exec", "demo", "doctor"])
def test_help_has_examples_and_fits_80_columns(command: str) -> None:
    lines = helped(command).splitlines()
    assert [line for line in lines if line.strip().startswith(("rlm ", "cat ", "echo "))]
    assert all(len(line.rstrip()) <= 80 for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_documentation_names_every_option_and_no_other(command: str) -> None:
    chapters = re.split(r"^## ", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (chapter,) = [text for text in chapters if f"`rlm {command}" in text.partition("\n")[0]]
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", chapter))
    rows = re.findall(r"^│ (--.*?)  ", helped(command, 200), flags=re.MULTILINE)
    real = {name for row in rows for name in row.split(",")} - {"--help"}
    if command in ("models", "schema"):  # one chapter for the two
        real |= {"--json"}
    if command == "exec":
        real -= {"--env"}  # the old name is told once, under run
    assert documented == real


def test_help_and_version_load_nothing_heavy(tmp_path: Path) -> None:
    for arguments in (["--version"], ["run", "--help"]):
        code = (
            "import sys, json; sys.argv = ['rlm', *json.loads(sys.argv[1])]\n"
            "from rlm.cli import main\n"
            "try: main()\n"
            f"finally: print(json.dumps([m for m in {[*HEAVY, 'rlm.run']} if m in sys.modules]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(arguments)],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert json.loads(done.stdout.splitlines()[-1]) == []


def test_a_defect_is_told_in_two_lines_and_exits_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("oh \x1b[2J")

    monkeypatch.setattr("rlm.events.json_schema", broken)
    assert run_app(["schema"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "rlm: a defect of rlm: ZeroDivisionError: oh ␛[2J",
        "RLM_DEBUG=1 shows the traceback",
    ]


def test_text_that_the_terminal_cannot_encode_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The magic number is 4711é漢.\n", encoding="utf-8")
    done = rlm(
        "run", "What is the magic number?", "-c", "a.txt", "-m", "offline/needle", "--no-log",
        cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "4711\\xe9\\u6f22\n")


def test_the_commands_are_those_of_the_documentation() -> None:
    registered = {
        info.name or (info.callback.__name__ if info.callback else "")
        for info in app.registered_commands
    }
    assert registered == set(COMMANDS)
