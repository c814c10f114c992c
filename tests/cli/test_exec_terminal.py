"""`rlm exec` before a person: what the terminal is sent, what is typed, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from escapes.case import Case, tables
from escapes.screen import terminal_harms
from in_containers import soon

from cli.pseudo import on_a_terminal
from cli.shell import PROGRAM, environment, rlm
from rlm.testing import LoopbackServer

OUTPUTS = [one for one in tables() if one.topic == "output"]
PRELUDE = (Path(__file__).parents[1] / "escapes" / "prelude.txt").read_text("utf-8")
EVERY = """
import sys, unicodedata
odd = "".join(chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) in ("Cc", "Cf", "Zl"))
"""
"""Begins a cell that has every control and format character there is."""
OURS = re.compile(r"\x1b\[([0-9;]*m|\?25[hl]|[12]?[KA]|0?G)|\r(?=\x1b\[2K)")
"""What rich sends a terminal to draw the tree of calls, and to make a line dim."""
ATTACK = "\x1b]52;c;b3duZWQ=\x07\x1bP0;1|17/6b\x1b\\\x1b[2J\x9b31m\u202egnp.exe\x00 paid\rlost"


# What the terminal is sent ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(one, id=one.name, marks=[pytest.mark.soak] if number % 4 else [])
        for number, one in enumerate(OUTPUTS)
    ],
)
def test_a_terminal_obeys_nothing_of_a_hostile_output(tmp_path: Path, one: Case) -> None:
    """A quarter of them, and the others in the long run."""
    seen = on_a_terminal("exec", cwd=tmp_path, stdin=f"{PRELUDE}\n{one.code}")
    assert seen.code in (0, 1)
    assert seen.text and terminal_harms(seen.text) == []


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize(
    "code",
    [
        "print(odd)",
        "print(odd, file=sys.stderr)",
        "odd",
        "raise ValueError(odd)",
        "type(odd, (), {})()",
        "raise type(odd, (Exception,), {})('x')",
        "class Shown:\n    def __repr__(self): return odd\nShown()",
        "globals()[odd] = odd",
        "exec(compile('1/0', odd, 'exec'))",
        "import os; os.write(1, bytes(range(256)) * 3 + odd.encode())",
        "for each in odd: sys.stdout.write(each); sys.stdout.flush()",
    ],
)
def test_no_character_that_a_terminal_obeys_comes_through(
    tmp_path: Path, code: str, form: list[str]
) -> None:
    seen = on_a_terminal("exec", *form, cwd=tmp_path, stdin=EVERY + code)
    assert seen.code in (0, 1)
    assert terminal_harms(seen.text) == []


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_code_that_is_shown_again_is_not_obeyed_either(tmp_path: Path, form: list[str]) -> None:
    for code in (f"x = (  # {ATTACK}", f"x = '{ATTACK}", f"1/0  # {ATTACK}", f"{ATTACK} = 1"):
        seen = on_a_terminal("exec", *form, cwd=tmp_path, stdin=code.replace("\x00", ""))
        assert seen.code == 1 and seen.text
        assert terminal_harms(seen.text) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sandbox", ATTACK.replace("\x00", "")],
        ["--set", ATTACK.replace("\x00", "") + "=1"],
        ["--input", "x=" + ATTACK.replace("\x00", "")],
        [ATTACK.replace("\x00", "")],
        ["--sandbox", "command: printf '\\033[2J\\302\\233'"],
    ],
)
def test_words_of_the_command_line_are_not_obeyed(tmp_path: Path, arguments: list[str]) -> None:
    seen = on_a_terminal("exec", *arguments, cwd=tmp_path, stdin="1")
    assert seen.code in (2, 64) and seen.text
    assert terminal_harms(seen.text) == []


def test_json_of_a_terminal_is_what_a_pipe_has(tmp_path: Path) -> None:
    code = EVERY + "print(odd)\nodd + chr(0x1F600)"
    piped = json.loads(rlm("exec", "--json", cwd=tmp_path, stdin=code).stdout)
    shown = json.loads(on_a_terminal("exec", "--json", cwd=tmp_path, stdin=code).text)
    assert (shown["stdout"], shown["value"]) == (piped["stdout"], piped["value"])
    assert "\U000e0041" in shown["stdout"] and "\x9b" in shown["stdout"]


def test_only_the_stream_that_is_a_terminal_is_made_harmless(tmp_path: Path) -> None:
    (tmp_path / "cell.py").write_text(
        "import sys\nprint('\\x1b[2J')\nprint('\\x1b[2J', file=sys.stderr)", encoding="utf-8"
    )
    shell = shlex.join([*PROGRAM, "exec"]) + " < cell.py > out.txt"
    seen = on_a_terminal(program=["sh", "-c", shell], cwd=tmp_path)
    assert (tmp_path / "out.txt").read_bytes() == b"\x1b[2J\n"
    assert seen.text == "\u241b[2J\n"


# What is typed -----------------------------------------------------------------------------------


def test_it_says_what_it_waits_for_and_runs_what_was_typed(tmp_path: Path) -> None:
    seen = on_a_terminal("exec", cwd=tmp_path, typed="x = 6\nx * 7\n\x04")
    assert seen.code == 0
    assert "Ctrl-D" in seen.text.splitlines()[0] and seen.text.endswith("42\n")


def test_an_empty_cell_that_was_typed_is_misuse(tmp_path: Path) -> None:
    seen = on_a_terminal("exec", cwd=tmp_path, typed="\x04")
    assert seen.code == 64 and "no code" in seen.text


def test_a_line_that_the_terminal_has_cut_is_not_run(tmp_path: Path) -> None:
    typed = f"print('ran')\nx = 1  # {'x' * 5000}; x = 2\n\x04"
    seen = on_a_terminal("exec", cwd=tmp_path, typed=typed)
    assert seen.code == 64 and "cuts lines" in seen.text and "ran" not in seen.text


def test_nothing_is_said_of_waiting_where_stderr_is_no_terminal(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    os.write(ours, b"6 * 7\n\x04")
    done = subprocess.run(
        [*PROGRAM, "exec"], cwd=tmp_path, env=environment(tmp_path), stdin=theirs,
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    for each in (ours, theirs):
        os.close(each)
    assert (done.stdout, done.stderr) == (b"42\n", b"")


# How it ends -------------------------------------------------------------------------------------


def test_ctrl_c_while_typing_runs_nothing(tmp_path: Path) -> None:
    seen = on_a_terminal("exec", cwd=tmp_path, when="Ctrl-D", then=lambda pid: "print('ran')\n\x03")
    assert seen.code == 130
    assert "ran" not in seen.text and seen.text.endswith("rlm: interrupted\n")


STUBBORN = """
import sys
print("on", flush=True)
while True:
    try:
        while True: pass
    except BaseException: pass
"""
STARTS = "import subprocess\nprint('on', flush=True)\nsubprocess.run(['sleep', '600'])"


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("print('on', flush=True)\nwhile True: pass", []),
        ("import time; print('on', flush=True)\ntime.sleep(600)", []),
        (STUBBORN, []),
        (STARTS, ["--set", "processes=4"]),
        ("print('on', flush=True)\nwhile True: pass", ["--sandbox", "command: env"]),
        ("print('on', flush=True)\nwhile True: pass", ["--sandbox", "local"]),
    ],
)
@pytest.mark.parametrize("keys", ["\x03", "\x03\x03\x03"])
def test_ctrl_c_ends_the_cell_and_all_that_it_started(
    tmp_path: Path, code: str, options: list[str], keys: str
) -> None:
    started: dict[int, str] = {}

    def press(pid: int) -> str:
        started.update(descendants(pid))
        return keys

    seen = on_a_terminal("exec", *options, cwd=tmp_path, stdin=code, when="on\n", then=press)
    assert seen.code == 130
    assert seen.text.endswith("on\nrlm: interrupted\n")
    assert gone(started)


def test_a_terminal_that_is_closed_ends_the_cell_too(tmp_path: Path) -> None:
    started: dict[int, str] = {}

    def hang_up(pid: int) -> str:
        started.update(descendants(pid))
        os.killpg(pid, signal.SIGHUP)
        return ""

    code = "print('on', flush=True)\nwhile True: pass"
    on_a_terminal("exec", cwd=tmp_path, stdin=code, when="on\n", then=hang_up)
    assert started and gone(started)


def descendants(pid: int) -> dict[int, str]:
    """Return the processes that a process has started, with when each was."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text("ascii").split()):
            found |= {child: born(child)} | descendants(child)
    return found


def born(pid: int) -> str:
    """Return when a process was started; nothing for one that has ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] == "Z" else words[19]


def gone(processes: dict[int, str]) -> bool:
    return soon(lambda: not any(born(pid) == when for pid, when in processes.items() if when))


# Readers that are gone ---------------------------------------------------------------------------

MANY = "for n in range(300_000): print(n)"


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (MANY, "| head -1", "0\n"),
        (f"{MANY}\n1/0", "2>&1 | head -1", "0\n"),
        (MANY, "--json | head -1", "{\n"),
        ("1/0", "2>&1 | true", ""),
        ("x = (", "2>&1 | true", ""),
        ("print(1)", ">&-", ""),
        ("1/0", "2>&-", ""),
        ("print(1)", ">&- 2>&-", ""),
        ("print(1)", "--json >&-", ""),
        ("", "--nope 2>&1 | true", ""),
    ],
)
def test_a_reader_that_is_gone_is_no_matter(
    tmp_path: Path, code: str, words: str, said: str
) -> None:
    (tmp_path / "cell.py").write_text(code, encoding="utf-8")
    shell = f"{shlex.join([*PROGRAM, 'exec'])} < cell.py {words}"
    assert on_a_terminal(program=["sh", "-c", shell], cwd=tmp_path).text == said


def test_a_closed_stdin_has_no_code(tmp_path: Path) -> None:
    shell = shlex.join([*PROGRAM, "exec"]) + " <&-"
    seen = on_a_terminal(program=["sh", "-c", shell], cwd=tmp_path)
    assert seen.code == 64 and "no code" in seen.text


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    shell = f"echo 'print(1)' | {shlex.join([*PROGRAM, 'exec'])} > /dev/full"
    seen = on_a_terminal(program=["sh", "-c", shell], cwd=tmp_path)
    assert seen.code == 1
    assert seen.text.splitlines() == ["rlm: OSError: [Errno 28] No space left on device"]


def test_without_a_reader_of_errors_the_exit_code_tells(tmp_path: Path) -> None:
    for code, option, told in (("1/0", "", 1), ("x = (", "", 1), ("1", "--nope", 64)):
        shell = f"echo '{code}' | {shlex.join([*PROGRAM, 'exec'])} {option} 2> /dev/full"
        seen = on_a_terminal(program=["sh", "-c", shell], cwd=tmp_path)
        assert (seen.code, seen.text) == (told, "")


def test_an_interrupt_before_anything_is_loaded_ends_it_without_a_traceback(
    tmp_path: Path,
) -> None:
    program = (
        "import signal, sys\n"
        "class Early:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'typer': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Early())\n"
        "from rlm.cli import main\n"
        "main()\n"
    )
    seen = on_a_terminal("exec", program=[sys.executable, "-c", program], cwd=tmp_path)
    assert (seen.code, seen.text) == (130, "")


# A run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [[], ["-v"], ["--stream"], ["--json"], ["-q"]])
def test_a_terminal_obeys_nothing_of_what_a_run_tells(tmp_path: Path, form: list[str]) -> None:
    told = f"evil = {ATTACK!r}"
    cells = [
        f"{told}\nimport sys\nprint(evil, file=sys.stderr)\nprint(evil)\nlog(evil)\nevil",
        f"# {ATTACK}\n{told}\nraise ValueError(evil)",
        f"{told}\nllm_query(evil)",
        f"{told}\nsubmit(evil)",
    ]
    replies = [f"{ATTACK}\n```repl\n{cell}\n```" for cell in cells]
    with LoopbackServer([*replies[:3], ATTACK, replies[3]]) as server:
        seen = on_a_terminal(
            "run", "Which?", "-m", "openai/root", "--base-url", server.openai_url, *form,
            cwd=tmp_path, OPENAI_API_KEY="sk-test-0123456789", NO_COLOR="1",
        )  # fmt: skip
    assert seen.code == 0, seen.text
    assert "\u241b]52" in seen.text or "\\u001b]52" in seen.text
    assert terminal_harms(OURS.sub("", seen.text)) == []
