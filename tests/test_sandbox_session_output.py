"""What a cell prints, by whatever way, until the moment it dies."""

from __future__ import annotations

import asyncio
import resource

import pytest
from sessions import cells, every_guest, lost

from rlm.sandbox.base import CellLimits, Execution, OpenOptions
from rlm.sandbox.process import ProcessSandbox

PROGRAMS = ProcessSandbox(processes=8)


@every_guest
@pytest.mark.parametrize(
    "end",
    [
        "import os; os._exit(3)",
        "import ctypes; ctypes.string_at(0)",
        "import os; os.abort()",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    ],
)
def test_what_was_printed_before_the_end_is_told(kind: str, end: str) -> None:
    code = (
        "import os, sys\nprint('first')\nprint('second', end='')\nos.write(1, b' third')\n"
        f"print('beside', file=sys.stderr)\nprint(' 4 é')\n{end}"
    )
    gone, after = cells("print('of an earlier cell')", code, "1", kind=kind)[1:]
    lost(gone)
    assert gone.stdout == "first\nsecond third 4 é\n"
    assert (gone.stdout_chars, gone.stderr) == (len(gone.stdout), "beside\n")
    assert (after.value, after.stdout) == ("1", "")


def test_of_much_that_was_printed_before_the_end_the_head_is_told() -> None:
    code = "import os\nfor i in range(300_000): print(i)\nos.write(1, b'last')\nos._exit(3)"
    gone, after = cells(code, "1", limits=CellLimits(output_bytes=10_000))
    lost(gone)
    assert gone.stdout.startswith("0\n1\n2\n")
    assert len(gone.stdout) < 10_200
    assert after.value == "1"


def test_what_a_cell_killed_for_its_time_had_printed_is_told() -> None:
    code = "import time\nprint('begun')\nwhile True:\n    try: time.sleep(9)\n    except: pass"
    [gone] = cells(code, limits=CellLimits(seconds=0.2))
    assert "by force" in lost(gone)
    assert gone.stdout == "begun\n"


@every_guest
def test_python_and_what_is_below_it_write_in_order(kind: str) -> None:
    code = "import os\nprint('a')\nos.write(1, b'b\\n')\nprint('c', end='')\nos.write(1, b'd')"
    assert cells(code + "; None", kind=kind)[0].stdout == "a\nb\ncd"


def test_programs_write_in_order_with_their_cell() -> None:
    code = "import subprocess\nprint('a'); subprocess.run(['echo', 'b']); print('c')"
    assert cells(code, kind=PROGRAMS)[0].stdout == "a\nb\nc\n"


def test_threads_loggings_and_warnings_are_kept() -> None:
    code = (
        "import logging, threading, warnings\n"
        "ts = [threading.Thread(target=lambda: [print('x' * 50) for _ in range(200)])"
        " for _ in range(8)]\n[t.start() for t in ts]; [t.join() for t in ts]\n"
        "logging.warning('logged'); warnings.warn('warned')"
    )
    [done] = cells(code)
    assert done.stdout.count("x") == 8 * 200 * 50
    assert "WARNING:root:logged" in done.stderr
    assert "UserWarning: warned" in done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.stdout.close()",
        "import sys; sys.stdout = None; sys.stderr = None",
        "import sys; del sys.stdout",
        "import os; os.close(1); os.close(2)",
        "import os; f = os.open('x', os.O_CREAT | os.O_RDWR); os.dup2(f, 1); os.dup2(f, 2)",
        "import os; f = os.fdopen(1, 'w'); f.close()",
        "import sys; sys.stdout.detach()",
        "import sys; sys.stdout.reconfigure(encoding='ascii')",
        "import io, sys; sys.stdout = io.StringIO(); print('away')",
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))",
    ],
)
def test_output_that_a_cell_closed_or_led_away_is_back_in_the_next(code: str) -> None:
    _, after = cells(code, "import sys\nprint('out é'); print('err', file=sys.stderr)")
    assert (after.stdout, after.stderr) == ("out é\n", "err\n")
    assert after.error is None


def test_stdout_is_as_a_file_of_text_is() -> None:
    code = (
        "import sys\nsys.stdout.buffer.write(b'bytes \\xff\\n')\n"
        "sys.stdout.writelines(['a', 'b'])\n"
        "print(sys.stdout.encoding, sys.stdout.isatty(), sys.stdout.fileno(), sys.stdout.errors)\n"
        "print('\\ud800', flush=True)"
    )
    [done] = cells(code)
    assert done.stdout == "bytes \ufffd\nabutf-8 False 1 backslashreplace\n\\ud800\n"


def test_a_character_in_two_pieces_is_one() -> None:
    code = "import os\nfor byte in '€'.encode(): os.write(1, bytes([byte]))\nos.write(1, b'\\xe2')"
    assert cells(code + "; None")[0].stdout == "€\ufffd"


def test_a_thread_that_goes_on_printing_is_told_with_the_cell_in_which_it_does() -> None:
    code = (
        "import threading, time\ngo = threading.Event()\n"
        "def late():\n    go.wait(); print('late')\n"
        "t = threading.Thread(target=late)\nt.start(); print('one')"
    )
    first, second, third = cells(code, "go.set(); t.join(); print('two')", "print('three')")
    assert (first.stdout, second.stdout, third.stdout) == ("one\n", "late\ntwo\n", "three\n")


def test_what_a_thread_prints_between_two_cells_is_not_lost() -> None:
    code = "import threading, time\nthreading.Timer(0.05, lambda: print('between')).start()"

    async def main() -> Execution:
        async with (
            ProcessSandbox().start({}, CellLimits()) as place,
            place.open({}, {}, OpenOptions()) as session,
        ):
            await session.execute(code)
            await asyncio.sleep(0.3)
            return await session.execute("print('now')")

    assert asyncio.run(main()).stdout == "between\nnow\n"


@every_guest
def test_rb59_output_is_bounded_by_stream(kind: str) -> None:
    code = (
        "import sys\nprint('first')\nfor _ in range(200): print('x' * 100_000)\nprint('last')\n"
        "for i in range(100_000): print('beside', file=sys.stderr)"
    )
    [done] = cells(code, kind=kind, limits=CellLimits(output_bytes=20_000))
    for text, length in ((done.stdout, 20_000_211), (done.stderr, 700_000)):
        assert 19_000 < len(text.encode()) < 20_200
        assert "characters left out" in text
        assert length in (done.stdout_chars, done.stderr_chars)
    assert done.stdout.startswith("first\n")
    assert done.stdout.endswith("last\n")


def test_a_gigabyte_costs_the_host_little() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [done] = cells("line = 'x' * 999_999\nfor _ in range(1_000): print(line)")
    assert done.stdout_chars == 10**9
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_a_flood_below_python_is_bounded_and_costs_the_host_little() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = "import os\npiece = b'x' * 999_999 + b'\\n'\nfor _ in range(400): n = os.write(1, piece)"
    done, after = cells(code, "1", limits=CellLimits(output_bytes=100_000))
    assert len(done.stdout) < 101_000
    assert done.stdout_chars > 10**8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024
    assert (after.value, after.stdout) == ("1", "")


def test_output_of_a_quiet_cell_streams_before_it_ends() -> None:
    heard: list[str] = []

    async def main() -> None:
        async with (
            ProcessSandbox().start({}, CellLimits()) as place,
            place.open({}, {"wait": wait}, OpenOptions(), lambda s, t: heard.append(t)) as session,
        ):
            code = "import os, time\nprint('a', end='')\ntime.sleep(0.3)\nos.write(1, b'b')\n"
            await session.execute(code + "time.sleep(0.3)\nwait()")

    async def wait() -> None:
        assert "".join(heard) == "ab"

    asyncio.run(main())
    assert "".join(heard) == "ab"
    assert len(heard) == 2


# forks of a cell


def test_lesson_26_a_fork_that_returns_into_the_guest_says_nothing_for_its_session() -> None:
    code = (
        "import os\npid = os.fork()\nprint('child' if pid == 0 else 'parent', flush=True)\n"
        "if pid: told = os.waitpid(pid, 0)[1]\nelse: 1 / 0"
    )
    done, after = cells(code, "told", kind=PROGRAMS)
    assert sorted(done.stdout.split()) == ["child", "parent"]
    assert "ZeroDivisionError" in done.stderr
    assert done.error is None
    assert after.value == "256"


def test_lesson_26_a_fork_has_no_wire() -> None:
    code = (
        "import os\npid = os.fork()\nif pid == 0:\n"
        "    try: log('x')\n    except OSError: print('no')\n"
        "    os._exit(0)\nos.waitpid(pid, 0)[1]"
    )
    heard: list[str] = []

    async def log(text: str) -> None:
        heard.append(text)

    [done] = cells(code, kind=PROGRAMS, functions={"log": log})
    assert (done.stdout, done.value, heard) == ("no\n", "0", [])


def test_a_pool_of_processes_works_in_a_cell() -> None:
    code = (
        "import multiprocessing as m\nwith m.get_context('fork').Pool(2) as pool:\n"
        "    found = pool.map(abs, [-1, -2])\nfound"
    )
    assert cells(code, kind=PROGRAMS)[0].value == "[1, 2]"
