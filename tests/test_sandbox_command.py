"""The command sandbox behind plain commands: what it carries, hides, says, and leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from parts import Ask, cell
from runs import CHEAP, USED

import rlm
from rlm import resolve
from rlm.errors import ConfigurationError, SandboxError
from rlm.files import File
from rlm.sandbox import _command_loader
from rlm.sandbox._command_loader import MARK, ONE_BY_ONE, first_line
from rlm.sandbox.base import CellLimits, Execution, Functions, OpenOptions
from rlm.sandbox.command import CommandSandbox
from rlm.testing import ScriptedLM

LIMITS = CellLimits(seconds=20)
PYTHON = sys.executable
SHELL = ("sh", "-c", 'exec sh -c "$*"', "sh")
"""What ssh does with its words: it joins them and lets a shell read them."""

SECRET = "sk-only-the-host-may-know"


def behind(*words: str, **options: Any) -> CommandSandbox:
    return CommandSandbox(words or ("env",), **{"python": PYTHON, **options})


def cells(
    *codes: str,
    sandbox: CommandSandbox | None = None,
    inputs: dict[str, Any] | None = None,
    functions: Functions | None = None,
    limits: CellLimits = LIMITS,
) -> list[Execution]:
    async def main() -> list[Execution]:
        async with (
            (sandbox or behind()).start(inputs or {}, limits) as place,
            place.open(inputs or {}, functions or {}, OpenOptions()) as session,
        ):
            return [await session.execute(code) for code in codes]

    return asyncio.run(main())


def value(done: Execution) -> Any:
    assert done.ok, done.error
    return done.value


def running(word: str) -> list[int]:
    """Return the processes of this machine that have this word among theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue  # it has ended meanwhile
        if any(word.encode() in each for each in words):
            found.append(int(entry.name))
    return found


def kill(word: str) -> None:
    """Kill such processes; with the first, others of them may be gone."""
    for pid in running(word):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def environments(word: str) -> list[bytes]:
    """Return the environments of such processes, as root sees them."""
    return [Path(f"/proc/{pid}/environ").read_bytes() for pid in running(word)]


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[str]:
    """A folder for guests; afterwards no file, process or descriptor of theirs is left."""
    folder = tmp_path / "there"
    folder.mkdir(mode=0o777)
    gc.collect()  # files close with their last reference
    before = len(os.listdir("/proc/self/fd"))
    yield str(folder)
    assert soon(lambda: not running(str(folder)))
    assert os.listdir(folder) == []
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


# what it carries


@pytest.mark.parametrize(
    "words", [("env",), SHELL], ids=["runs its words", "hands them to a shell"]
)
def test_rb61_a_remote_sandbox_is_any_command_that_carries_stdin_and_stdout(
    there: str, words: tuple[str, ...]
) -> None:
    async def double(n: int) -> int:
        return 2 * n

    one, two = cells(
        "kept = double(len(text)); print('é')", "kept",
        sandbox=behind(*words, folder=there), inputs={"text": "four"}, functions={"double": double},
    )  # fmt: skip
    assert (one.stdout, value(two)) == ("é\n", "8")


def test_all_that_is_put_after_a_command_means_the_same_to_a_shell() -> None:
    assert shlex.split(ONE_BY_ONE) == [ONE_BY_ONE]
    for bad in ("python3 -u", "py$thon", "py'thon", "a;b", "", "~/python", "py\nthon", "Пи"):
        with pytest.raises(ConfigurationError, match="shell"):
            CommandSandbox(["ssh", "host"], python=bad)
    assert CommandSandbox(["ssh", "host"], python="/opt/py-3.12/bin/python3.12")


def test_the_first_line_is_one_line_that_does_not_hold_what_it_makes_the_guest_say() -> None:
    line = first_line("/tmp/ö \\ '\"")
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert line.isascii() and MARK not in line


def test_rb45_a_run_behind_a_command_with_sub_calls_budget_and_trace(
    there: str, predict: Ask
) -> None:
    text = "hay\n" * 200_000 + "The magic number is 4711.\n" + "hay\n" * 200_000
    code = (
        "line = grep_text('magic', context)[0]\n"
        "answers = parallel_queries(*[f'part {n}' for n in range(5)])\n"
        "submit(answer=str(llm_query('Which number?', context=str(line))), parts=len(answers))"
    )

    def sub(request: rlm.Request) -> rlm.Reply:
        return rlm.Reply("4711" if "4711" in request.prompt else "none", usage=USED)

    with (
        ScriptedLM([cell(code)], usage=USED, price=CHEAP) as lm,
        ScriptedLM([sub] * 6, name="scripted/sub", price=CHEAP) as small,
    ):
        result = predict(
            "context -> answer: int, parts: int", input={"context": text},
            model=lm, sub_model=small, sandbox=behind(*SHELL, folder=there),
        )  # fmt: skip
    assert (result.output.answer, result.output.parts) == (4711, 5)
    assert result.cost is not None and 0 < result.cost < 1
    assert (result.sandbox["name"], result.sandbox["command"]) == ("command", "sh")
    assert set(result.sandbox["walls"]) >= {"files", "network", "processes", "memory"}


def test_lesson_33_code_beyond_128_kib_binary_files_and_large_output_pass(
    there: str, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 4096
    (tmp_path / "blob.bin").write_bytes(content)
    inputs = {"blob": File(tmp_path / "blob.bin"), "text": "ä\ud800\0" * 400_000}
    big, read, echoed, printed = cells(
        f"text_of_mine = '{'x' * 300_000}'; len(text_of_mine)",
        "data = blob.read_bytes(); (len(data), data[:3], sum(data))",
        "text == text[:3] * 400_000",
        "print('y' * 3_000_000)",
        sandbox=behind(*SHELL, folder=there), inputs=inputs,
    )  # fmt: skip
    assert value(big) == "300000"
    assert value(read) == repr((len(content), content[:3], sum(content)))
    assert value(echoed) == "True"
    assert (printed.stdout_chars, len(printed.stdout)) == (3_000_001, 3_000_001)


@pytest.mark.parametrize("noise", ["Welcome!\\n", "\\0rlm guest\\n\\0\\377", "exec(", ">>> "])
def test_what_a_command_says_before_the_guest_does_is_passed_over(there: str, noise: str) -> None:
    script = f'printf "{noise}"; echo "You have mail." >&2; exec "$@"'
    [done] = cells("6 * 7", sandbox=behind("sh", "-c", script, "sh", folder=there))
    assert value(done) == "42"


def test_a_command_that_complains_without_end_holds_up_nothing(there: str) -> None:
    script = 'yes "$0" >&2 & exec "$@"'
    done = cells(*["1"] * 20, sandbox=behind("sh", "-c", script, there, folder=there))
    assert [value(each) for each in done] == ["1"] * 20


# what it hides


@pytest.mark.parametrize("words", [("env",), SHELL], ids=["exec", "shell"])
def test_lesson_29_no_key_of_the_host_is_found_by_any_process_there(
    there: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    sandbox = behind(*words, folder=there, env={"ASKED_FOR": "by the command"})
    code = """
        import glob, os
        found = [dict(os.environ)]
        for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
            try: found.append(open(path, "rb").read())
            except OSError: pass
        print(found)
    """

    async def main() -> tuple[Execution, list[bytes]]:
        async with sandbox.start({}, LIMITS) as place, place.open({}, {}, OpenOptions()) as session:
            return await session.execute(textwrap.dedent(code)), environments(there)

    done, seen = asyncio.run(main())
    assert done.ok and SECRET not in done.stdout and "by the command" not in done.stdout
    assert seen and not any(SECRET.encode() in each for each in seen)
    assert not any(b"by the command" in each for each in seen)


def test_the_command_has_what_finds_its_way_and_what_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("GEMINI_API_KEY", SECRET)
    sandbox = behind(env={"PATH": "/mine", "TOKEN": "for-this"})
    given = sandbox.environment()
    assert given["SSH_AUTH_SOCK"] == "/run/agent"
    assert (given["PATH"], given["TOKEN"]) == ("/mine", "for-this")
    assert "GEMINI_API_KEY" not in given
    assert "for-this" not in repr(sandbox)


def test_rb46_the_guest_confines_itself_there_and_says_what_holds(there: str) -> None:
    async def main() -> tuple[dict[str, Any], Execution]:
        sandbox = behind(folder=there)
        async with sandbox.start({}, LIMITS) as place, place.open({}, {}, OpenOptions()) as session:
            code = f"import os\nprint(os.getpid() != {os.getpid()})\nopen({__file__!r})"
            return dict(place.facts), await session.execute(code)

    facts, done = asyncio.run(main())
    assert done.stdout == "True\n"
    assert done.error is not None
    assert done.error.type in ("PermissionError", "FileNotFoundError")
    assert "landlock" in facts["walls"]["files"] and isinstance(facts["missing"], list)


def test_a_command_that_has_confined_is_not_asked_for_more_namespaces(there: str) -> None:
    async def main() -> dict[str, Any]:
        async with behind(folder=there, confine=False).start({}, LIMITS) as place:
            return dict(place.facts)

    facts = asyncio.run(main())
    assert "namespaces" not in facts["walls"]
    assert not any("namespace of process numbers" in each for each in facts["missing"])


def test_options_open_what_they_say_and_nothing_else(there: str, tmp_path: Path) -> None:
    (tmp_path / "allowed.txt").write_text("read me", encoding="utf-8")
    path = str(tmp_path / "allowed.txt")
    run_a_program = "import subprocess; subprocess.run(['echo', 'hi'], capture_output=True).stdout"
    import_numpy = "import sys; 'numpy' in sys.modules"
    codes = (
        f"open({path!r}).read()",
        run_a_program,
        import_numpy,
        "import socket; socket.socket()",
    )
    opened = cells(
        *codes,
        sandbox=behind(
            folder=there, processes=4, allow_read=[path], packages=["numpy"], network=True
        ),
    )
    assert [done.value for done in opened[:3]] == ["'read me'", "b'hi\\n'", "True"]
    assert opened[3].ok
    closed = cells(*codes, sandbox=behind(folder=there))
    assert [done.ok for done in closed] == [False, False, True, False]
    assert closed[2].value == "False"


def test_memory_is_bounded_by_the_smaller_of_the_sandbox_and_the_run(there: str) -> None:
    code = "len(bytearray(200 << 20))"
    for own, of_run, fits in ((None, 512, True), (128, 512, False), (512, 128, False)):
        [done] = cells(
            code, sandbox=behind(folder=there, memory_mb=own), limits=CellLimits(memory_mb=of_run)
        )
        assert done.ok is fits
        assert fits or (done.error is not None and done.error.type == "MemoryError")


def test_a_wall_that_is_missing_is_no_confinement_where_that_is_required(there: str) -> None:
    sandbox = behind(folder=there, confine=False, require_confinement=True)
    with pytest.raises(SandboxError, match="a bound on all files of a session together"):
        cells("1", sandbox=sandbox)


# how it ends


def test_lesson_27_what_does_not_stop_is_killed_and_nothing_is_left(there: str) -> None:
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    lost, after = cells(
        code, "text", sandbox=behind(*SHELL, folder=there), inputs={"text": "again"},
        limits=CellLimits(seconds=0.3),
    )  # fmt: skip
    assert lost.error is not None and lost.error.kind == "lost"
    assert value(after) == "'again'"


def test_lesson_26_forged_frames_end_only_their_session(there: str) -> None:
    code = """
        import os
        for fd in range(3, 64):
            try: os.write(fd, b"\\xff" * 4096)
            except OSError: pass
    """
    forged, after = cells(
        textwrap.dedent(code), "text", sandbox=behind(folder=there), inputs={"text": "whole"}
    )  # fmt: skip
    assert forged.error is not None and forged.error.kind == "lost"
    assert value(after) == "'whole'"


def test_a_connection_that_dies_is_told_and_the_session_comes_back(there: str) -> None:
    async def main() -> list[Execution]:
        sandbox = behind(*SHELL, folder=there)
        async with (
            sandbox.start({"text": "again"}, LIMITS) as place,
            place.open({"text": "again"}, {}, OpenOptions()) as session,
        ):
            running_cell = asyncio.create_task(session.execute("x = 1\nwhile True: pass"))
            await asyncio.sleep(0.3)
            kill(there)
            return [await running_cell, await session.execute("(text, 'x' in globals())")]

    lost, after = asyncio.run(main())
    assert lost.error is not None and lost.error.kind == "lost"
    assert "the command 'sh' carries the sandbox no more" in lost.error.message
    assert lost.error.message.count("\n") == 0
    assert value(after) == "('again', False)"


def test_a_command_that_cannot_be_started_again_says_why(there: str, tmp_path: Path) -> None:
    once = tmp_path / "once"
    once.touch()
    script = f'rm {once} || {{ echo "the host is down" >&2; exit 9; }}; exec "$@"'

    async def main() -> None:
        sandbox = behind("sh", "-c", script, "sh", folder=there)
        async with sandbox.start({}, LIMITS) as place, place.open({}, {}, OpenOptions()) as session:
            kill(there)
            assert not (await session.execute("1")).ok
            with pytest.raises(SandboxError, match="the host is down"):
                await session.execute("1")

    asyncio.run(main())
    assert len(os.listdir(there)) == 1  # it was killed; the next one there removes it
    cells("1", sandbox=behind(folder=there))


def test_a_connection_that_ends_while_inputs_are_sent_is_told(there: str) -> None:
    script = 'dd bs=4096 count=100 2>/dev/null | "$@"'
    with pytest.raises(SandboxError, match=r"the command 'sh' carries the sandbox no more: "):
        cells("1", sandbox=behind("sh", "-c", script, "sh", folder=there), inputs={"x": "y" * 9**7})


def test_a_zygote_that_is_killed_there_is_told(there: str) -> None:
    def kill_all_but_the_relay() -> None:
        others = [pid for pid in running(there) if parent(pid) != os.getpid()]
        for pid in others:  # `env` has become the relay
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def main() -> Execution:
        sandbox = behind(folder=there)
        async with sandbox.start({}, LIMITS) as place, place.open({}, {}, OpenOptions()) as session:
            executing = asyncio.create_task(session.execute("while True: pass"))
            await asyncio.sleep(0.3)
            kill_all_but_the_relay()
            return await executing

    lost = asyncio.run(main())
    assert lost.error is not None
    assert "its zygote was ended by signal 9, as for using too much memory" in lost.error.message


def parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(status.partition("PPid:")[2].split()[0])


def test_lesson_34_nothing_survives_a_killed_host(there: str) -> None:
    script = f"""
        import asyncio, sys
        from rlm.sandbox.base import CellLimits, OpenOptions
        from rlm.sandbox.command import CommandSandbox

        async def main():
            sandbox = CommandSandbox({SHELL!r}, python=sys.executable, folder={there!r})
            async with sandbox.start({{}}, CellLimits()) as place:
                async with place.open({{}}, {{}}, OpenOptions()) as session:
                    print("up", flush=True)
                    await session.execute("while True: pass")

        asyncio.run(main())
    """
    host = subprocess.Popen(
        [PYTHON, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    with host.stdout:
        assert host.stdout.readline() == "up\n"
        assert running(there)
        host.kill()
        host.wait()
    assert soon(lambda: running(there) == [] and os.listdir(there) == [])


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.4])
def test_lesson_34_cancelling_whenever_leaves_nothing(there: str, after: float) -> None:
    async def use() -> None:
        sandbox = behind(*SHELL, folder=there)
        async with (
            sandbox.start({"text": "x" * 100_000}, LIMITS) as place,
            place.open({}, {}, OpenOptions()) as session,
        ):
            await session.execute("while True: pass")

    async def main() -> None:
        task = asyncio.create_task(use())
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_lesson_35_the_loop_goes_on_while_a_command_is_slow(there: str) -> None:
    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        async with behind("sh", "-c", 'sleep 0.5; exec "$@"', "sh", folder=there).start({}, LIMITS):
            ticking.cancel()
        return ticks

    assert asyncio.run(main()) > 10


# what it says where it cannot


@pytest.mark.parametrize(
    ("words", "python", "said"),
    [
        (["no-such-program"], "python3", "'no-such-program' cannot be started: No such file"),
        (["env"], "no-python-here", "exit code 127.*no-python-here"),
        (["sh", "-c", "no-such-program", "sh"], "python3", "exit code 127.*not found"),
        (["sh", "-c", "echo 'who are you?' >&2; exit 5"], "python3", "code 5: who are you\\?"),
        (["sh", "-c", "echo 'This account is closed.'"], "python3", "This account is closed"),
        (["sh", "-c", "kill -9 $$"], "python3", "signal 9"),
        (["sh", "-c", "printf '\\033[2J\\007gone' >&2; exit 1"], "python3", "code 1: .2Jgone$"),
        (["sh", "-c", "yes >&2 & yes"], "python3", "says too much"),
        (["sh", "-c", "exec <&-; sleep 60"], "python3", "no Python within 1.5 seconds"),
        (["sh", "-c", "trap '' TERM; sleep 60; sleep 60"], "python3", "within 1.5 seconds"),
    ],
)
def test_a_command_that_runs_no_sandbox_is_told_with_its_last_words(
    there: str, words: list[str], python: str, said: str
) -> None:
    sandbox = CommandSandbox(words, python=python, folder=there, startup_seconds=1.5)
    with pytest.raises(SandboxError, match=said) as caught:
        cells("1", sandbox=sandbox)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_a_folder_that_is_not_there_is_told(there: str) -> None:
    with pytest.raises(SandboxError, match=r"cannot make its folder there.*No such file"):
        cells("1", sandbox=behind(folder=f"{there}/missing"))


def test_a_python_that_is_too_old_is_told() -> None:
    as_if = "import sys; sys.version_info = (3, 8, 1); " + _command_loader._LOADER
    old = subprocess.run(
        [PYTHON, "-c", as_if], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (old.returncode, old.stdout) == (1, "")
    assert "the Python there is 3.8: the guest needs 3.9 or newer" in old.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"command": []}, "name a program"),
        ({"command": [""]}, "name a program"),
        ({"command": "ssh host"}, "list of strings"),
        ({"command": ["ssh", 7]}, "7 is no string"),
        ({"packages": "numpy"}, "list of strings"),
        ({"folder": "tmp"}, "absolute path"),
        ({"allow_read": ["data"]}, "absolute path"),
        ({"env": {"TOKEN": 5}}, "'TOKEN' and its value must be strings"),
        ({"confine": "no"}, "True or False"),
        ({"startup_seconds": 0}, "above 0"),
        ({"startup_seconds": "soon"}, "above 0"),
        ({"memory_mb": 1}, "from 16 on"),
        ({"threads": True}, "from 4 on"),
        ({"processes": -1}, "from 0 on"),
    ],
)
def test_impossible_options_are_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        CommandSandbox(**{"command": ["env"], **options})


def test_a_command_is_chosen_by_its_words() -> None:
    made = resolve.sandbox("command: ssh -o 'ProxyCommand=nc %h %p' box")
    assert made == rlm.CommandSandbox(["ssh", "-o", "ProxyCommand=nc %h %p", "box"])
    for given, said in (("command:", "name a program"), ("command: 'a", "No closing quotation")):
        with pytest.raises(ConfigurationError, match=said):
            resolve.sandbox(given)
    with pytest.raises(ConfigurationError, match="command: WORDS"):
        resolve.sandbox("command")


def test_what_a_killed_guest_left_keeps_no_other_from_starting(there: str) -> None:
    seen = os.stat("/proc/self/ns/pid").st_ino
    left = Path(there, f"rlm-{seen}-4194303-x")  # no process has so high a number
    left.mkdir()
    code = "import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')"
    subprocess.run([sys.executable, "-c", code], cwd=left, check=True)
    [done] = cells("1 + 1", sandbox=CommandSandbox(["env"], python=sys.executable, folder=there))
    assert done.value == "2"
    assert not left.exists()
