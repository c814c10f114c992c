from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rlm.errors import ConfigurationError, SandboxError
from rlm.files import File
from rlm.guest.values import Record
from rlm.sandbox.base import CellLimits, Execution, Functions, OpenOptions, Place
from rlm.sandbox.process import ProcessSandbox

LIMITS = CellLimits(seconds=20, memory_mb=512)
LINUX = sys.platform == "linux"


@asynccontextmanager
async def place_of(
    inputs: dict[str, Any] | None = None,
    limits: CellLimits = LIMITS,
    sandbox: ProcessSandbox | None = None,
) -> AsyncIterator[Place]:
    async with (sandbox or ProcessSandbox()).start(inputs or {}, limits) as place:
        yield place


def cells(
    *codes: str,
    inputs: dict[str, Any] | None = None,
    functions: Functions | None = None,
    limits: CellLimits = LIMITS,
    sandbox: ProcessSandbox | None = None,
) -> list[Execution]:
    async def main() -> list[Execution]:
        async with (
            place_of(inputs, limits, sandbox) as place,
            place.open(inputs or {}, functions or {}, OpenOptions()) as session,
        ):
            return [await session.execute(code) for code in codes]

    return asyncio.run(main())


def kin(ancestor: int) -> set[int]:
    """Return the living processes below this one, by the kernel's own list."""
    found: set[int] = set()
    for task in Path(f"/proc/{ancestor}/task").iterdir():
        try:
            children = (task / "children").read_text(encoding="ascii").split()
        except FileNotFoundError:
            continue  # a thread that has just ended
        for child in children:
            found |= {int(child)} | kin(int(child))
    return found


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gc.collect()  # files close with their last reference
    before = kin(os.getpid()), open_fds()
    yield
    gc.collect()
    assert (kin(os.getpid()), open_fds()) == before
    assert os.listdir(tmp_path) == []


# lessons about ends


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import os; print('before'); os._exit(3)", "exit code 3"),
        ("print('before'); import ctypes; ctypes.string_at(0)", "segmentation fault"),
        ("print('before'); import os, signal; os.kill(os.getpid(), 9)", "killed"),
    ],
)
def test_lesson_29_a_lost_session_is_told_and_replaced(
    nothing_left: None, code: str, cause: str
) -> None:
    given = {"context": "text"}
    _, lost, after = cells("x = 1", code, "(context, 'x' in globals())", inputs=given)
    assert lost.error is not None
    assert lost.error.kind == "lost"
    assert cause in lost.error.message
    assert "variables are gone" in lost.error.message
    assert lost.stdout == "before\n"
    assert after.value == "('text', False)"


def test_lesson_29_a_stack_overflow_costs_at_most_the_session(nothing_left: None) -> None:
    code = (
        "import sys; sys.setrecursionlimit(10**9)\n"
        "class A:\n    def __repr__(self): return repr(self)\nrepr(A())"
    )
    over, after = cells(code, "1 + 1")
    assert over.error is not None
    assert over.error.kind in ("lost", "error")
    assert after.value == "2"


def test_too_much_memory_is_an_error_in_the_cell(nothing_left: None) -> None:
    limits = CellLimits(memory_mb=64)
    over, after = cells("x = 5\nb = bytearray(10**9)", "x", limits=limits)
    assert over.error is not None
    assert over.error.type == "MemoryError"
    assert after.value == "5"


def test_lesson_27_what_does_not_stop_is_killed(nothing_left: None) -> None:
    limits = CellLimits(seconds=0.2)
    code = "import time\nwhile True:\n    try: time.sleep(9)\n    except: pass"
    _, lost, after = cells("x = 1", code, "'x' in globals()", limits=limits)
    assert lost.error is not None
    assert lost.error.kind == "lost"
    assert "by force" in lost.error.message
    assert after.value == "False"


def test_lesson_27_cancelling_a_cell_leaves_no_process(nothing_left: None) -> None:
    async def main() -> None:
        async with place_of() as place, place.open({}, {}, OpenOptions()) as session:
            only_zygote = kin(os.getpid())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(session.execute("while True: pass"), 0.1)
            assert len(kin(os.getpid())) == len(only_zygote) - 1
            assert (await session.execute("1")).value == "1"

    asyncio.run(main())


def test_lesson_27_grandchildren_and_daemons_die_with_their_session(nothing_left: None) -> None:
    code = """
        import os, subprocess, time
        subprocess.Popen(["sleep", "1000"])
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(1000)
            os._exit(0)
        time.sleep(0.1)
    """

    async def main() -> None:
        async with place_of(sandbox=ProcessSandbox(processes=8)) as place:
            alone = kin(os.getpid())
            async with place.open({}, {}, OpenOptions()) as session:
                assert (await session.execute(textwrap.dedent(code))).ok
                assert len(kin(os.getpid())) >= len(alone) + 4
            assert kin(os.getpid()) == alone

    asyncio.run(main())


def test_lesson_27_nothing_survives_a_killed_host(tmp_path: Path) -> None:
    program = """
        import asyncio, os
        from rlm.sandbox.base import CellLimits, OpenOptions
        from rlm.sandbox.process import ProcessSandbox
        async def main():
            async with ProcessSandbox().start({}, CellLimits()) as place:
                async with place.open({}, {}, OpenOptions()) as session:
                    await session.execute("1")
                    print("ready", flush=True)
                    await session.execute("while True: pass")
        asyncio.run(main())
    """
    host = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    guests = kin(host.pid)
    assert len(guests) >= 2
    host.kill()
    host.wait()
    host.stdout.close()
    deadline = time.monotonic() + 10
    left = [f"/proc/{pid}" for pid in guests]
    while time.monotonic() < deadline and any(map(os.path.exists, left)):
        time.sleep(0.02)
    assert not any(map(os.path.exists, left))


@pytest.mark.parametrize("which", [min, max])
def test_a_killed_zygote_is_replaced(nothing_left: None, which: Any) -> None:
    """Where it has a namespace of process numbers, one that waits for it is its parent."""

    async def main() -> None:
        async with place_of({"x": 1}) as place, place.open({"x": 1}, {}, OpenOptions()) as session:
            elders = [pid for pid in kin(os.getpid()) if kin(pid)]
            os.kill(which(elders, key=lambda pid: len(kin(pid))), signal.SIGKILL)
            lost = await session.execute("x")
            again = lost if lost.error is None else await session.execute("x")
            assert again.value == "1"

    asyncio.run(main())


def test_a_hundred_sessions_leave_nothing(nothing_left: None) -> None:
    async def one(place: Place, number: int) -> None:
        async with place.open({"n": number}, {}, OpenOptions()) as session:
            assert (await session.execute("n * 2")).value == str(number * 2)

    async def main() -> None:
        async with place_of() as place:
            for _ in range(5):
                await asyncio.gather(*(one(place, number) for number in range(20)))

    asyncio.run(main())


def test_masks_and_ignored_signals_of_the_host_are_not_inherited() -> None:
    program = """
        import asyncio, os, signal
        from rlm.sandbox.base import CellLimits, OpenOptions
        from rlm.sandbox.process import ProcessSandbox
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGCHLD, signal.SIGALRM])
        os.umask(0)
        async def main():
            async with ProcessSandbox().start({}, CellLimits(seconds=0.2)) as place:
                async with place.open({}, {}, OpenOptions()) as session:
                    done = await session.execute("x = 1\\nwhile True: pass")
                    print(done.error.kind, (await session.execute("x")).value)
                    code = "import os, signal; oct(os.umask(0)), signal.getsignal(signal.SIGUSR1)"
                    print((await session.execute(code)).value)
                    code = "open('/proc/self/oom_score_adj').read().strip()"
                    print((await session.execute(code)).value)
        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    said = "timeout 1\n('0o22', <Handlers.SIG_DFL: 0>)\n'900'\n"
    assert (done.stdout, done.stderr) == (said, "")


# lesson 26: the guest lies


@pytest.mark.parametrize(
    "junk",
    [
        "b'\\xff' * 100",
        "b'\\x00' * 100",
        "__import__('struct').pack('!IQ', 2, 0) + b'[]'",
        "__import__('struct').pack('!IQ', 10, 2**60)",
        "frame({'t': 'call', 'id': 'x', 'name': 'y', 'args': [], 'kwargs': {}})",
        "frame({'t': 'call', 'id': 1, 'name': 'y', 'args': {'$': 'ref', 'v': 'z'}, 'kwargs': {}})",
        "frame({'t': 'call', 'id': 1, 'name': 'y', 'args': [{'$': 'str', 'at': [0, 9]}]})",
        "frame({'t': 'call'})",
        "frame({'t': 'gone', 'id': 1, 'code': 0})",
        "frame({'t': 'output', 'stream': 'wire', 'text': 1})",
        "frame({'t': 'done', 'n': 77})",
        "frame({'t': 'done', 'n': 1, 'stdout': 5})",
        "frame({'t': 'done', 'n': [[[[]]]], 'stdout': {'$': 'dict', 'v': 3}})",
        "__import__('struct').pack('!IQ', 200000, 0) + b'[' * 200000",
    ],
)
def test_lesson_26_forged_frames_end_only_the_session(nothing_left: None, junk: str) -> None:
    code = f"""
import os, json, struct, time
def frame(message):
    body = json.dumps(message).encode()
    return struct.pack('!IQ', len(body), 0) + body
for fd in range(3, 200):
    try: os.write(fd, {junk})
    except OSError: pass
time.sleep(3)
"""
    lost, after = cells(code, "1 + 1")
    assert lost.error is not None
    assert lost.error.kind == "lost"
    assert "protocol" in lost.error.message
    assert after.value == "2"


def test_lesson_26_prints_and_descriptors_do_not_touch_the_wire(nothing_left: None) -> None:
    code = "import os, sys\nfor fd in (0, 1, 2):\n    os.write(fd, b'\\x00\\x01junk\\n')\n'fine'"
    [done] = cells(code)
    assert done.error is None or done.error.type == "OSError"
    again, after = cells("import os; os.write(1, b'raw'); os.write(2, b'err')", "1")
    assert (again.stdout, again.stderr, after.value) == ("raw", "err", "1")


# walls


@pytest.mark.skipif(not LINUX, reason="confinement is Linux's")
@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.socket(socket.AF_UNIX)",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.kill(os.getppid(), 9)",
        "import os; os.kill(-1, 9)",
        "open(f'/proc/{__import__(\"os\").getppid()}/environ', 'rb').read()",
        "import resource; resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))",
        "import os; os.setuid(12345); os.mknod('/tmp/x')",
    ],
)
def test_confined_code_is_refused(code: str) -> None:
    refused, after = cells(code, "1 + 1")
    assert refused.error is not None
    assert refused.error.kind == "error"
    assert after.value == "2"


def test_facts_say_what_confines_and_what_is_missing() -> None:
    async def main() -> None:
        async with place_of(sandbox=ProcessSandbox(hash_seed=5)) as place:
            assert place.facts["hash_seed"] == 5
            assert isinstance(place.facts["missing"], list)

    asyncio.run(main())


def test_require_confinement_starts_or_names_what_is_missing() -> None:
    async def main() -> list[str]:
        async with place_of() as place:
            return list(place.facts["missing"])

    missing = asyncio.run(main())
    sandbox = ProcessSandbox(require_confinement=True)
    if missing:
        with pytest.raises(SandboxError, match="missing"):
            cells("1", sandbox=sandbox)
    else:
        assert cells("1", sandbox=sandbox)[0].ok


def test_packages_are_importable_when_asked_for() -> None:
    [without] = cells("import pydantic")
    [with_it] = cells("import pydantic", sandbox=ProcessSandbox(packages=("pydantic",)))
    assert (without.ok, with_it.ok) == (False, True)
    with pytest.raises(ConfigurationError, match="'no_such_package' is not installed"):
        cells("1", sandbox=ProcessSandbox(packages=("no_such_package",)))


def test_rb44_a_process_of_its_own_has_no_environment_and_few_descriptors() -> None:
    code = "import os\n(sorted(os.environ), [f for f in os.listdir('/proc/self/fd')])"
    read, write = os.pipe()
    os.set_inheritable(read, True)
    [done] = cells(code)
    os.close(read)
    os.close(write)
    assert done.value is not None
    names, fds = eval(done.value)
    assert names == ["LC_ALL", "PYTHONHASHSEED", "PYTHONUTF8", "TMPDIR"]
    assert len(fds) <= 8


# inputs


def test_a_large_input_is_shared_by_children_and_handed_on_by_name() -> None:
    big = "é" + "x" * 100_000_000
    received: list[Any] = []

    async def llm_query(prompt: str, **named: Any) -> Any:
        received.append(named["context"])
        return {"text": "ok"}

    async def main() -> None:
        async with place_of({"context": big}, CellLimits(memory_mb=64)) as place:
            functions: Functions = {"llm_query": llm_query}
            async with place.open({"context": big}, functions, OpenOptions()) as session:
                done = await session.execute("llm_query('a', context=context); len(context)")
                assert done.value == "100000001"
            async with place.open({"report": big}, {}, OpenOptions()) as child:
                assert (await child.execute("report[0], len(report)")).value == "('é', 100000001)"

    asyncio.run(main())
    assert received[0] is big


def test_inputs_of_every_kind_arrive() -> None:
    given = {
        "rows": [(1, {2: b"\xff"})],
        "surrogate": "\ud800 \ud83d\ude00",
        "wide": "\udcff" * 70_000,
        "record": Record("Page", {"number": 3}),
        "blob": os.urandom(100_000),
    }
    done = cells(
        "rows == [(1, {2: b'\\xff'})]",
        "surrogate == '\\ud800 \\ud83d\\ude00'",
        "wide == '\\udcff' * 70_000",
        "(record.number, record['number'], record)",
        "len(blob)",
        inputs=given,
    )
    assert [one.value for one in done] == [
        "True",
        "True",
        "True",
        "(3, 3, Page(number=3))",
        "100000",
    ]


def test_an_input_of_many_small_texts_may_be_larger_than_a_frame() -> None:
    rows = [{"line": "x" * 60_000} for _ in range(1_500)]
    [done] = cells("(len(rows), sum(len(row['line']) for row in rows))", inputs={"rows": rows})
    assert done.value == "(1500, 90000000)"


def test_an_input_that_cannot_travel_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="input 'lock'"):
        cells("1", inputs={"lock": object()})


def test_lesson_33_binary_files_and_invalid_utf8(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"\xff\xfeabc\x00\n" * 3)
    file = File(path)
    done = cells(
        "(f.size, f.text.count('abc'), f.bytes[:2], f[2:5])",
        "[m.start for m in f.search('abc')]",
        inputs={"f": file},
    )
    assert [one.value for one in done] == ["(21, 3, b'\\xff\\xfe', 'abc')", "[2, 9, 16]"]


def test_rb62_a_file_far_larger_than_memory_can_be_searched(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    line = "é line of text\n".encode()
    with path.open("wb") as stream:
        for _ in range(40):
            stream.write(line * (10_000_000 // len(line)))
        stream.write(b"needle 42\n")
    file = File(path)
    done = cells(
        "[m] = f.search(r'needle (\\d+)'); (m.text, f[m.start:m.end], f.find('needle') == m.start)",
        "f.text",
        inputs={"f": file},
        limits=CellLimits(memory_mb=64),
    )
    assert done[0].value == "('needle 42', 'needle 42', True)"
    assert done[1].error is not None
    assert ".search" in done[1].error.message


def test_a_file_is_handed_on_by_name() -> None:
    file = File(text="some text", name="a.txt")
    received: list[Any] = []

    async def look(given: Any) -> None:
        received.append(given)

    cells("look(f)", inputs={"f": file}, functions={"look": look})
    assert received == [file]


def test_more_files_than_one_message_can_pass() -> None:
    files = {f"f{number}": File(text=str(number)) for number in range(150)}
    [done] = cells("[int(globals()[f'f{n}'].text) for n in range(150)] == list(range(150))",
                   inputs=files)  # fmt: skip
    assert done.value == "True"


def test_a_file_may_be_a_variable_of_one_session() -> None:
    file = File(text="some text", name="a.txt")

    async def main() -> Execution:
        async with place_of() as place, place.open({"f": file}, {}, OpenOptions()) as session:
            return await session.execute("f.text")

    assert asyncio.run(main()).value == "'some text'"


# output and calls


def test_a_cell_that_prints_without_end_stays_bounded() -> None:
    code = "line = 'x' * 1_000_000\nfor _ in range(300): print(line)"
    [done] = cells(code, limits=CellLimits(output_bytes=100_000))
    assert len(done.stdout) < 101_000
    assert done.stdout_chars == 300 * 1_000_001


def test_output_of_programs_is_kept() -> None:
    code = "import subprocess; subprocess.run(['echo', 'from a program'])"
    [done] = cells(code, sandbox=ProcessSandbox(processes=4))
    assert done.stdout == "from a program\n"


def test_a_call_with_a_large_value_goes_both_ways() -> None:
    async def echo(value: Any) -> Any:
        return value

    code = "big = 'ü' * 20_000_000\necho(big) == big, echo(b'x' * 9_000_000) == b'x' * 9_000_000"
    assert cells(code, functions={"echo": echo})[0].value == "(True, True)"


def test_a_host_function_that_breaks_is_a_tool_error() -> None:
    async def broken() -> None:
        raise KeyError("inside")

    async def strange() -> Any:
        return object()

    first, second = cells("broken()", "strange()", functions={"broken": broken, "strange": strange})
    assert first.error is not None
    assert second.error is not None
    assert (first.error.type, second.error.type) == ("ToolError", "ToolError")
    assert "inside" in first.error.message


def test_leaving_cancels_what_the_host_was_answering(nothing_left: None) -> None:
    cancelled: list[bool] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def main() -> None:
        async with place_of() as place, place.open({}, {"slow": slow}, OpenOptions()) as session:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(session.execute("slow()"), 0.2)

    asyncio.run(main())
    assert cancelled == [True]


def test_many_threads_fit_into_little_memory() -> None:
    code = (
        "import threading, time\nts = [threading.Thread(target=time.sleep, args=(0.05,))"
        " for _ in range(60)]\n[t.start() for t in ts]; [t.join() for t in ts]; 'done'"
    )
    assert cells(code, limits=CellLimits(memory_mb=256))[0].value == "'done'"


def test_a_thread_left_behind_still_gets_its_answers() -> None:
    async def slow(n: int) -> int:
        await asyncio.sleep(0.05)
        return n

    code = (
        "import threading\nfound = []\n"
        "t = threading.Thread(target=lambda: [found.append(slow(n)) for n in range(5)])\nt.start()"
    )
    *_, last = cells(code, "1 + 1", "t.join(); found", functions={"slow": slow})
    assert last.value == "[0, 1, 2, 3, 4]"


def test_an_interrupt_that_comes_late_does_not_hit_the_next_cell() -> None:
    limits = CellLimits(seconds=0.05)

    async def main() -> None:
        async with place_of({}, limits) as place, place.open({}, {}, OpenOptions()) as session:
            for _ in range(20):
                done = await session.execute("import time; time.sleep(0.0495)")
                assert done.error is None or done.error.kind == "timeout"
                assert (await session.execute("1")).value == "1"

    asyncio.run(main())


def test_lesson_35_the_loop_goes_on_while_a_large_input_loads() -> None:
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.005)

    async def main() -> None:
        task = asyncio.create_task(beat())
        async with place_of({"context": "x" * 100_000_000}):
            task.cancel()

    asyncio.run(main())
    assert len(beats) > 2


def test_a_start_that_is_cancelled_while_inputs_are_staged_leaves_nothing(
    nothing_left: None,
) -> None:
    async def main(wait: float) -> None:
        async def start() -> None:
            async with ProcessSandbox().start({"text": "é" * 20_000_000}, LIMITS):
                raise AssertionError("it was cancelled before")

        task = asyncio.ensure_future(start())
        await asyncio.sleep(wait)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    for wait in (0, 0.001, 0.003, 0.006, 0.01, 0.015):
        asyncio.run(main(wait))


def test_a_session_has_as_many_descriptors_however_many_its_host_has() -> None:
    code = """
import os, resource
opened = []
try:
    while True: opened.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
len(opened)
"""
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(700)]
    try:
        [done] = cells(code)
    finally:
        for fd in many:
            os.close(fd)
    assert 200 < int(done.value or "") < 320
