"""How sessions end, and what does not end them: each costs at worst its own, told in a sentence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sessions import LIMITS, cells, every_guest, lost

from rlm.sandbox.base import CellLimits, OpenOptions
from rlm.sandbox.process import ProcessSandbox

SOON = CellLimits(seconds=0.4, memory_mb=512)


@every_guest
@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import os; os._exit(3)", "exit code 3"),
        ("import ctypes; ctypes.string_at(0)", "segmentation fault"),
        ("import os; os.abort()", "aborted"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed"),
        ("import signal, time; signal.alarm(1); time.sleep(9)", "an alarm that a cell had set"),
        ("import faulthandler; faulthandler._sigsegv()", "segmentation fault"),
        ("import sys; sys.setrecursionlimit(10**9)\nclass A:\n"
         "    def __repr__(self): return repr(self)\nrepr(A())", "segmentation fault"),
        ("import os; os.closerange(3, 5000)", "broke the program that runs cells"),
        ("import os; os.write = None", "broke the program that runs cells"),
        ("import gc\nfor o in gc.get_objects():\n"
         "    if type(o).__name__ == 'Bridge': o._write_fd = 'x'; break",
         "broke the program that runs cells"),
    ],
)  # fmt: skip
def test_lesson_29_an_end_is_told_in_one_sentence(kind: str, code: str, cause: str) -> None:
    gone, after = cells(code, "(context, 'x' in globals())", kind=kind, inputs={"context": "text"})[
        -2:
    ]
    assert cause in lost(gone)
    assert after.value == "('text', False)"


@every_guest
def test_lesson_27_what_holds_on_to_its_time_is_ended_by_force(kind: str) -> None:
    codes = (
        "import time\nwhile True:\n    try: time.sleep(9)\n    except BaseException: pass",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        "import gc\nfor o in gc.get_objects():\n"
        "    if type(o).__name__ == 'Bridge': o._writing.acquire(); break",
        "sum(range(10**11))",
    )
    told = cells(*codes, "1 + 1", kind=kind, limits=SOON)
    for one in told[:-1]:
        assert "it did not stop when its time of 0.4 s was up, so it was ended by force" in lost(
            one
        )
    assert told[-1].value == "2"


@pytest.mark.parametrize(
    "code",
    [
        "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
        "import threading; threading.Event().wait()",
        "import queue; queue.Queue().get()",
        "import time; time.sleep(100)",
        "import threading\nt = threading.Thread(target=__import__('time').sleep, args=(100,))\n"
        "t.start(); t.join()",
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
        "import re; re.match('(a+)+$', 'a' * 40 + 'b')",
        "3 ** (10 ** 9)",
        "import concurrent.futures as c\nwith c.ThreadPoolExecutor(2) as pool:\n"
        "    list(pool.map(lambda n: [0 for _ in iter(int, 1)], range(2)))",
    ],
)
def test_lesson_27_a_deadlock_and_the_like_cost_no_variables(code: str) -> None:
    stopped, after = cells(f"kept = 1\n{code}", "kept", limits=SOON)
    assert stopped.error is not None
    if stopped.error.kind == "lost":  # a pool waits for its threads, whatever comes
        assert "ThreadPool" in code
        return
    assert (stopped.error.kind, after.value) == ("timeout", "1")


def test_signals_that_a_cell_takes_over_are_ours_again_in_the_next() -> None:
    code = "import signal\nsignal.signal(signal.SIGINT, lambda *a: None)"
    _, stopped, after = cells(code, "while True: pass", "1", limits=SOON)
    assert stopped.error is not None
    assert (stopped.error.kind, after.value) == ("timeout", "1")


@every_guest
@pytest.mark.parametrize(
    "code",
    [
        "print = 3; open = None; len = 'x'",
        "import builtins\nbuiltins.compile = builtins.len = builtins.type = lambda *a, **k: 1 / 0",
        "import builtins\nfor name in list(vars(builtins)): delattr(builtins, name)",
        "import sys; sys.modules.clear()",
        "import sys\nfor name in list(sys.modules): sys.modules[name] = None",
        "import sys; sys.path = []; sys.meta_path.clear(); sys.path_hooks.clear()",
        "import os; os.mkdir('a'); os.chdir('a'); os.rmdir(os.getcwd())",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))",
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
        "import resource; resource.setrlimit(resource.RLIMIT_STACK, (4096, 4096))",
        "import sys; sys.setrecursionlimit(25)",
        "import sys\ndef t(*a): raise ValueError('traced')\nsys.settrace(t)",
        "import sys\ndef t(*a): raise ValueError('traced')\nsys.setprofile(t)",
        "import threading\ndef t(*a): raise ValueError('traced')\nthreading.settrace(t)",
        "import gc; gc.disable(); gc.set_threshold(0)",
        "import atexit; atexit.register(lambda: 1 / 0)",
        "import faulthandler; faulthandler.enable()",
        "import time; time.sleep = time.monotonic = None",
        "import json; json.JSONEncoder.encode = json.JSONDecoder.decode = None",
        "import threading; threading.excepthook = None",
        "import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()",
        "import os; os.environ.clear()",
        "import __main__; __main__.x = 3; __main__.__name__ = None",
        "import warnings; warnings.simplefilter('error')",
        "import locale, decimal; decimal.getcontext().prec = 1",
        "import asyncio; asyncio.set_event_loop_policy(None); asyncio.set_event_loop(None)",
    ],
)
def test_what_a_cell_does_to_its_python_ends_no_session(kind: str, code: str) -> None:
    called = "builtins = __builtins__\nkept"
    _, *after = cells(f"kept = 1\n{code}", "kept", "1 / 0", called, kind=kind)
    assert [one.value for one in after] == ["1", None, "1"]
    assert after[1].error is not None
    assert after[1].error.type == "ZeroDivisionError"


def test_builtins_that_a_cell_replaced_are_not_those_of_the_library() -> None:
    code = "import builtins\nbuiltins.len = lambda x: 77\nimport textwrap, json"
    *_, last = cells(code, "(len('a'), textwrap.wrap('a b c', 3), json.dumps([1]))")
    assert last.value is not None
    assert last.value.startswith("(77, ")


def test_nothing_waits_for_input() -> None:
    asked, *read = cells(
        "input('x')",
        "import sys; sys.stdin.read()",
        "sys.stdin.readline()",
        "import os; os.read(0, 9)",
    )
    assert asked.error is not None
    assert "nobody to ask" in asked.error.message
    assert [one.value for one in read] == ["''", "''", "b''"]


def test_too_much_memory_is_an_error_and_its_session_lives() -> None:
    code = "kept, held = 1, []\nwhile True: held.append(bytearray(10**7))"
    over, after = cells(code, "held.clear(); kept")
    assert over.error is not None
    assert (over.error.type, after.value) == ("MemoryError", "1")


def test_lesson_27_a_daemonised_grandchild_ends_with_its_session() -> None:
    code = (
        "import os, time\nr, w = os.pipe()\nif os.fork() == 0:\n    os.setsid()\n"
        "    if os.fork() == 0:\n        os.write(w, b'x')\n        time.sleep(1000)\n"
        "    os._exit(0)\nos.read(r, 1)"
    )
    done, gone, after = cells(code, "import os; os._exit(1)", "1", kind=ProcessSandbox(processes=8))
    assert done.value == "b'x'"
    lost(gone)
    assert after.value == "1"


# submit


SUBMITS = [
    "try:\n    try: submit(1)\n    except: print('in')\nexcept: print('out')\n",
    "for _ in range(5):\n    try: submit(1)\n    except BaseException: print('in')\n",
    "try:\n    submit(1)\nfinally:\n    print('finally')\n",
    "import contextlib\nwith contextlib.suppress(BaseException):\n    submit(1)\n",
    "def g():\n    try:\n        submit(1)\n        yield\n    finally: print('shut')\nlist(g())\n",
    "import concurrent.futures as c\nwith c.ThreadPoolExecutor(2) as pool:\n"
    "    try: pool.submit(lambda: submit(1)).result()\n    except BaseException: print('in')\n",
    "import asyncio\nasync def f():\n    try: submit(1)\n    except BaseException: print('in')\n"
    "    await asyncio.sleep(0)\n    print('on')\nawait f()\n",
    "class A:\n    def __del__(self): submit(1)\na = A()\ndel a\n",
    "sorted([2, 1], key=lambda x: submit(1))\n",
    "import sys\ntry:\n    submit(1)\nexcept:\n    sys.settrace(None)\n    print('in')\n",
    "def f(n):\n    try: return f(n + 1) if n < 900 else submit(1)\n"
    "    except: print('in')\nf(0)\n",
    "import threading, time\nt = threading.Thread(target=lambda: submit(1))\nt.start()\n"
    "while True:\n    try: time.sleep(9)\n    except: print('in')\n",
    "answer = {'content': 1, 'ready': True}\nNone\n#",
]


@every_guest
@pytest.mark.parametrize("code", SUBMITS)
def test_nothing_of_a_cell_runs_on_after_its_submit(kind: str, code: str) -> None:
    taken: list[Any] = []

    async def submit(**outputs: Any) -> None:
        taken.append(outputs)

    done, after, awaits, failing, again = cells(
        f"kept = 1\n{code}print('on')",
        "kept",
        "import asyncio\nawait asyncio.sleep(0, 5)",
        "1 / 0",
        "submit(2)\nprint('on')",
        kind=kind,
        functions={"submit": submit},
        outputs=("answer",),
    )
    assert taken == [{"answer": 1}, {"answer": 2}]
    assert (done.stdout, done.error, done.value) == ("", None, None)
    assert "kept" in [one.name for one in done.variables]
    assert (after.value, awaits.value, again.stdout, again.error) == ("1", "5", "", None)
    assert failing.error is not None
    assert failing.error.type == "ZeroDivisionError"


def test_a_variable_that_cannot_be_shown_does_not_hold_up_a_submit() -> None:
    async def submit(**outputs: Any) -> None:
        return None

    code = "class R:\n    def __repr__(self):\n        while True: pass\nr = R()\nsubmit(1)"
    done, after = cells(code, "1", functions={"submit": submit}, outputs=("a",), limits=SOON)
    assert (done.error, after.value) == (None, "1")
    assert "r" in [one.name for one in done.variables]


# the clock


def test_lesson_28_the_clock_stands_still_for_calls_of_threads() -> None:
    async def slow(n: int) -> int:
        await asyncio.sleep(0.4)
        return n

    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool: found = list(pool.map(slow, range(24)))\nsum(found)"
    )
    [done] = cells(code, functions={"slow": slow}, limits=CellLimits(seconds=0.8))
    assert done.value == "276"
    assert done.seconds < 0.8


def test_lesson_28_a_call_of_a_thread_does_not_stop_the_clock_for_good() -> None:
    async def slow() -> None:
        await asyncio.sleep(0.3)

    code = "import threading\nthreading.Thread(target=slow).start()\nwhile True: pass"
    [done] = cells(code, functions={"slow": slow}, limits=SOON)
    assert done.error is not None
    assert done.error.kind == "timeout"


def test_interrupts_do_not_reach_into_calls_or_prints() -> None:
    async def quick() -> int:
        return 1

    code = (
        "n = 0\ntry:\n    while True:\n        n += quick(); print('x', end='')\n"
        "except BaseException as error:\n    kept = error\n    raise"
    )

    async def main() -> None:
        limits = CellLimits(seconds=0.02)
        async with (
            ProcessSandbox().start({}, limits) as place,
            place.open({}, {"quick": quick}, OpenOptions()) as session,
        ):
            for _ in range(25):
                done = await session.execute(code)
                assert done.error is not None
                assert done.error.kind == "timeout"
                after = await session.execute("(n, quick(), 'kept' in globals())")
                assert after.value is not None
                n, one, kept = eval(after.value)
                assert n - done.stdout_chars in (0, 1)
                assert (one, kept) == (1, True)

    asyncio.run(main())


def test_sessions_side_by_side_do_not_feel_each_others_end() -> None:
    async def main() -> None:
        async with ProcessSandbox().start({"x": 5}, LIMITS) as place:

            async def one(number: int) -> str | None:
                async with place.open({"x": 5}, {}, OpenOptions()) as session:
                    await session.execute(f"n = {number}\nprint('own', n)")
                    if number % 2:
                        gone = await session.execute("print('last', n)\nimport os; os._exit(n)")
                        assert gone.stdout == f"last {number}\n"
                        assert f"exit code {number}" in lost(gone)
                        return (await session.execute("x")).value
                    return (await session.execute("n")).value

            found = await asyncio.gather(*(one(number) for number in range(12)))
        assert found == [str(5 if number % 2 else number) for number in range(12)]

    asyncio.run(main())


@every_guest
def test_arguments_larger_than_a_session_may_send_are_an_error_in_the_cell(kind: str) -> None:
    taken: list[Any] = []

    async def take(value: Any) -> int:
        taken.append(value)
        return len(value)

    cell = "kept = 5\ntake([0] * 600_000)"
    told, went_on, fitted = cells(
        cell,
        "kept",
        "take(list(range(100_000)))",
        kind=kind,
        functions={"take": take},
        limits=CellLimits(seconds=20, memory_mb=64),
    )
    assert told.error is not None and told.error.kind == "error"
    assert "too large to send: 600,0" in told.error.message
    assert (went_on.value, fitted.value, len(taken)) == ("5", "100000", 1)
