from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from engines import need_docker

from cli.shell import PROGRAM, environment, rlm
from rlm.cli.output import Printer, left_over


def test_exec_prints_what_the_cell_prints_and_its_last_value(tmp_path: Path) -> None:
    done = rlm("exec", cwd=tmp_path, stdin="print('hello')\n6 * 7")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n42\n", "")


def test_the_last_value_begins_a_line_of_its_own(tmp_path: Path) -> None:
    done = rlm("exec", cwd=tmp_path, stdin="print('no end', end='')\n7")
    assert done.stdout == "no end\n7\n"


# Inputs ----------------------------------------------------------------------------------------


def test_exec_has_files_as_variables(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("naïve\n" * 3, encoding="utf-8")
    done = rlm("exec", "--input", "text=a.txt", cwd=tmp_path, stdin="text.text.count('naïve')")
    assert (done.returncode, done.stdout) == (0, "3\n")


def test_an_input_may_be_binary_and_far_larger_than_memory(tmp_path: Path) -> None:
    with open(tmp_path / "big.bin", "wb") as file:
        file.truncate(1 << 30)
        file.seek((1 << 30) - 4)
        file.write(b"\xff\x00\xfe\x07")
    code = "print(big.read_bytes((1 << 30) - 4), big.size)"
    done = rlm("exec", "-i", "big=big.bin", "--set", "memory_mb=64", cwd=tmp_path, stdin=code)
    assert (done.stderr, done.stdout) == ("", "b'\\xff\\x00\\xfe\\x07' 1073741824\n")


@pytest.mark.parametrize("given", ["text", "text=", "=a.txt", "text=none.txt"])
def test_an_input_that_is_none_is_misuse(tmp_path: Path, given: str) -> None:
    done = rlm("exec", "--input", given, cwd=tmp_path, stdin="1")
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("rlm: ")


# Exit codes ------------------------------------------------------------------------------------


def test_exec_exits_1_with_the_error_and_its_line(tmp_path: Path) -> None:
    done = rlm("exec", cwd=tmp_path, stdin="print('before')\n1 / 0")
    assert (done.returncode, done.stdout) == (1, "before\n")
    assert "line 2" in done.stderr and "ZeroDivisionError" in done.stderr


def test_exec_exits_2_when_the_session_is_lost(tmp_path: Path) -> None:
    done = rlm("exec", cwd=tmp_path, stdin="print('so far', flush=True)\nimport os; os._exit(3)")
    assert done.returncode == 2
    assert "lost" in done.stderr
    assert done.stdout == "so far\n"


def test_exec_exits_2_when_no_session_can_be_had(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/none.sock"
    done = rlm("exec", "--sandbox", "docker", cwd=tmp_path, stdin="1", DOCKER_HOST=host)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no Docker engine answers" in done.stderr


def test_exec_bounds_the_time_of_the_cell(tmp_path: Path) -> None:
    done = rlm("exec", "--timeout", "0.3", cwd=tmp_path, stdin="while True: pass")
    assert done.returncode == 1
    assert "CellTimeout" in done.stderr


@pytest.mark.parametrize("argument", ["--nope", "--timeout=0", "cell.py"])
def test_misuse_of_exec_has_a_code_of_its_own(tmp_path: Path, argument: str) -> None:
    done = rlm("exec", argument, cwd=tmp_path, stdin="1")
    assert (done.returncode, done.stdout) == (64, "")


def test_exec_refuses_a_sandbox_that_is_not_there(tmp_path: Path) -> None:
    done = rlm("exec", "--sandbox", "nowhere", cwd=tmp_path, stdin="1")
    assert done.returncode == 64
    assert "'nowhere'" in done.stderr


@pytest.mark.parametrize("code", ["", " \n\t\n"])
def test_no_code_is_misuse(tmp_path: Path, code: str) -> None:
    done = rlm("exec", cwd=tmp_path, stdin=code)
    assert done.returncode == 64
    assert "rlm exec < cell.py" in done.stderr


# What is said of the code ------------------------------------------------------------------------


def test_rr32_a_syntax_error_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/none.sock"
    done = rlm("exec", "-e", "docker", cwd=tmp_path, stdin="x = 1\ny = (", DOCKER_HOST=host)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("SyntaxError: line 2: ") and "y = (" in done.stderr


def test_rr33_dangerous_calls_are_warned_of_and_run(tmp_path: Path) -> None:
    done = rlm("exec", cwd=tmp_path, stdin="import os\nos.system('true')\nprint('on')")
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert "warning: line 2: os.system()" in done.stderr


def test_rr34_warnings_and_syntax_are_in_the_json(tmp_path: Path) -> None:
    done = rlm("exec", "--json", cwd=tmp_path, stdin="import os\nos.remove('x')")
    found = json.loads(done.stdout)
    assert [each.partition("()")[0] for each in found["warnings"]] == ["line 2: os.remove"]
    found = json.loads(rlm("exec", "--json", cwd=tmp_path, stdin="x = (").stdout)
    assert (found["ok"], found["error"]["kind"], found["error"]["line"]) == (False, "syntax", 1)


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
    done = rlm("exec", "--json", cwd=tmp_path, stdin="print('out')\nx = 1\nx / 0")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert {
        "ok", "stdout", "stderr", "stdout_chars", "stderr_chars", "value", "error", "variables",
        "files", "images", "seconds", "warnings", "sandbox",
    } == set(found)  # fmt: skip
    assert (found["ok"], found["stdout"], found["stdout_chars"]) == (False, "out\n", 4)
    assert found["error"]["type"] == "ZeroDivisionError"
    assert (found["error"]["line"], found["error"]["kind"]) == (3, "error")
    assert [variable["name"] for variable in found["variables"]] == ["x"]
    assert found["sandbox"]["sandbox"] == "process"


_PICTURE = """
import struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
class Picture:
    def _repr_png_(self):
        head = chunk(b"IHDR", struct.pack(">2I5B", 2, 1, 8, 0, 0, 0, 0))
        body = chunk(b"IDAT", zlib.compress(bytes(3)))
        return bytes([137]) + b"PNG" + bytes([13, 10, 26, 10]) + head + body + chunk(b"IEND", b"")
Picture()
"""


def test_a_picture_is_named_and_is_in_the_json(tmp_path: Path) -> None:
    done = rlm("exec", cwd=tmp_path, stdin=_PICTURE)
    assert "a PNG of 2 by 1 pixels" in done.stderr
    (image,) = json.loads(rlm("exec", "--json", cwd=tmp_path, stdin=_PICTURE).stdout)["images"]
    assert (image["format"], image["width"], image["height"]) == ("PNG", 2, 1)
    assert image["base64"]


# Sandboxes and their options -----------------------------------------------------------------


def test_options_are_those_of_the_sandbox(tmp_path: Path) -> None:
    code = "import subprocess; subprocess.run(['echo', 'hello'], capture_output=True).stdout"
    done = rlm("exec", "--set", "processes=4", cwd=tmp_path, stdin=code)
    assert done.stdout == "b'hello\\n'\n"


def test_more_memory_than_a_run_gives_may_be_asked_for(tmp_path: Path) -> None:
    code = "len(bytearray(1200 << 20)) >> 20"
    done = rlm("exec", "--set", "memory_mb=2048", cwd=tmp_path, stdin=code)
    assert done.stdout == "1200\n"
    done = rlm("exec", "--set", "memory_mb=64", cwd=tmp_path, stdin=code)
    assert done.returncode == 1 and "MemoryError" in done.stderr


def test_a_wrong_option_is_answered_with_the_right_ones(tmp_path: Path) -> None:
    done = rlm("exec", "--set", "memmory=64", cwd=tmp_path, stdin="1")
    assert done.returncode == 64
    assert "memmory" in done.stderr and "memory_mb" in done.stderr


def test_a_cell_runs_in_local(tmp_path: Path) -> None:
    done = rlm("exec", "--sandbox", "local", cwd=tmp_path, stdin="print(sum(range(4)))")
    assert (done.returncode, done.stdout) == (0, "6\n")


@pytest.mark.docker
def test_a_cell_runs_in_a_container_with_its_options(tmp_path: Path) -> None:
    need_docker()
    (tmp_path / "a.txt").write_text("abc", encoding="utf-8")
    given = ["--sandbox", "docker", "--set", "memory_mb=512", "--input", "t=a.txt", "--json"]
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    done = rlm("exec", *given, cwd=tmp_path, stdin="t.text", DOCKER_HOST=host)
    found = json.loads(done.stdout)
    assert (found["value"], found["sandbox"]["sandbox"]) == ("'abc'", "docker")


@pytest.mark.docker
def test_rr56_a_container_that_is_kept_is_named_and_can_be_used_again(
    tmp_path: Path,
) -> None:
    need_docker()
    host = {"DOCKER_HOST": os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")}
    done = rlm("exec", "-e", "docker", "--set", "keep_alive=yes", cwd=tmp_path, stdin="1", **host)
    container = done.stderr.partition("container ")[2].split()[0]
    try:
        again = ["-e", "docker", "--set", f"reuse_container={container}", "--json"]
        found = json.loads(rlm("exec", *again, cwd=tmp_path, stdin="2", **host).stdout)
        assert found["value"] == "2" and found["sandbox"]["container"].startswith(container)
    finally:
        assert rlm("docker", "rm", container, cwd=tmp_path, **host).returncode == 0


# How output is written -----------------------------------------------------------------------


def test_output_is_there_while_the_cell_runs(tmp_path: Path) -> None:
    code = "print('first')\nwhile True: pass"
    process = started(tmp_path, code)
    assert process.stdout is not None
    assert process.stdout.readline() == b"first\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_session_in_good_order(tmp_path: Path, number: int) -> None:
    process = started(tmp_path, "import time\nprint('on', flush=True)\ntime.sleep(600)")
    assert process.stdout is not None
    assert process.stdout.readline() == b"on\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, b"rlm: interrupted\n")


def test_when_nobody_reads_it_stops(tmp_path: Path) -> None:
    process = started(tmp_path, "while True: print('x' * 1000)")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=30) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


def started(home: Path, code: str) -> subprocess.Popen[bytes]:
    cell = home / "cell.py"
    cell.write_text(code, encoding="utf-8")
    with open(cell, "rb") as file:
        return subprocess.Popen(
            [*PROGRAM, "exec"],
            cwd=home,
            env=environment(home),
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def test_a_pipe_gets_exactly_what_was_written(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "exec"],
        cwd=tmp_path,
        env=environment(tmp_path),
        input=b"print('a\\x1b[2J\\rb\\u202ec', end='\\r\\n')",
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "a\x1b[2J\rb\u202ec\r\n".encode()


def test_a_long_output_is_cut_in_its_middle_as_in_a_run(tmp_path: Path) -> None:
    code = "print('a' * 6_000_000)\nprint('b' * 2_000_000 + 'end')"
    done = rlm("exec", cwd=tmp_path, stdin=code)
    assert done.stdout.startswith("aaaa") and done.stdout.endswith("bbbend\n")
    (mark,) = [line for line in done.stdout.splitlines() if line.startswith("[... ")]
    left_out = int(mark.split()[1].replace(",", ""))
    shown = len(done.stdout) - len(f"\n{mark}\n")
    assert shown + left_out == 8_000_005


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(pieces: list[str], to: io.StringIO) -> str:
    printer = Printer({"stdout": to}, lambda: None)
    for piece in pieces:
        printer("stdout", piece)
    printer.close()
    return to.getvalue()


def test_line_ends_that_come_in_two_pieces_are_one() -> None:
    assert printed(["a\r", "\nb\r", "c", "\r"], _Terminal()) == "a\nb\nc\n"
    assert printed(["a\r", "\nb\r", "c", "\r"], io.StringIO()) == "a\r\nb\rc\r"


def test_a_slow_reader_holds_up_nobody_but_itself() -> None:
    gate = threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            gate.wait()
            return super().write(text)

    to = Slow()
    printer = Printer({"stdout": to}, lambda: None)
    for number in range(1000):
        printer("stdout", f"{number}\n")  # would hang here
    gate.set()
    printer.close()
    assert to.getvalue().count("\n") == 1000


def test_a_reader_that_is_gone_is_told_once() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    told: list[Any] = []
    printer = Printer({"stdout": Gone()}, lambda: told.append(1))
    for _ in range(3):
        printer("stdout", "x")
    printer.close()
    assert told == [1] and isinstance(printer.broken, BrokenPipeError)


@pytest.mark.parametrize(
    ("kept", "chars", "written", "rest"),
    [
        ("abc", 3, 0, "abc"),
        ("abc", 3, 2, "c"),
        ("abc", 3, 3, ""),
        ("ab\n[... 6 characters left out ...]\nij", 10, 9, "j"),
        ("ab\n[... 6 characters left out ...]\nij", 10, 8, "ij"),
        ("ab\n[... 6 characters left out ...]\nij", 10, 5, "\n[... 3 characters left out ...]\nij"),
    ],
)
def test_what_is_left_over(kept: str, chars: int, written: int, rest: str) -> None:
    assert left_over(kept, chars, written) == rest


def test_run_cell_says_what_confined_it() -> None:
    from rlm.cli.cell import run_cell
    from rlm.sandbox.base import CellLimits
    from rlm.sandbox.process import ProcessSandbox

    ran = asyncio.run(run_cell("1 + 1", ProcessSandbox(), {}, CellLimits()))
    assert (ran.execution.value, ran.facts["sandbox"], ran.exit_code) == ("2", "process", 0)
