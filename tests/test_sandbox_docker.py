"""The docker sandbox against a real engine: its walls, its inputs, its ends, whole runs in it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from in_containers import cells, containers, place_of, soon
from parts import Ask, cell
from runs import CHEAP, USED

import rlm
from rlm import events
from rlm.errors import ConfigurationError, SandboxError
from rlm.files import File
from rlm.sandbox._docker_engine import Engine, MountRefused
from rlm.sandbox._docker_owner import Owner
from rlm.sandbox.base import CellLimits, OpenOptions, Place
from rlm.sandbox.docker import IMAGE, DockerSandbox
from rlm.testing import ScriptedLM

needs_engine = pytest.mark.docker


@pytest.fixture
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    gc.collect()  # files close with their last reference
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert containers() == {}
    assert os.listdir(folder) == []
    assert len(os.listdir("/proc/self/fd")) == before


# walls


@needs_engine
def test_lesson_31_the_container_is_walled_in_as_the_engine_sees_it(nothing_left: None) -> None:
    async def main() -> dict[str, Any]:
        async with place_of():
            [found] = (await asyncio.to_thread(containers)).values()
            return found

    found = asyncio.run(main())
    config, host = found["Config"], found["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert not host["PortBindings"] and not found["NetworkSettings"]["Ports"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    most = 256 + 3 * 64  # files and what is printed are in memory, too
    assert most << 20 <= host["Memory"] < most + 1 << 20 and host["MemorySwap"] == host["Memory"]
    assert (host["PidsLimit"], host["NanoCpus"]) == (256, 1_000_000_000)
    assert host["AutoRemove"] is True and host["LogConfig"]["Type"] == "none"
    assert config["User"] == "65534:65534" and not config.get("ExposedPorts")
    assert [mount["RW"] for mount in found["Mounts"]] == [False]
    assert {"rlm.host", "rlm.pid", "rlm.began", "rlm.place"} <= set(config["Labels"])


@needs_engine
def test_lesson_31_no_key_and_no_proxy_of_the_host_is_inside(
    nothing_left: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxies = {"proxies": {"default": {"httpProxy": "http://user:sk-very-secret@proxy:1"}}}
    (tmp_path / "config.json").write_text(json.dumps(proxies), encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("GEMINI_API_KEY", "sk-very-secret")

    async def main() -> str:
        async with place_of() as place, place.open({}, {}, OpenOptions()) as session:
            seen = await asyncio.to_thread(containers)
            return json.dumps(seen) + str(await session.execute("import os; dict(os.environ)"))

    told = asyncio.run(main())
    assert "PYTHONHASHSEED" in told and "sk-very-secret" not in told


@needs_engine
@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.socket(socket.AF_UNIX)",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['python3', '-V'])",
        "open('/made', 'w')",
        "open('/rlm/0', 'r+')",
        "open('/usr/local/lib/made', 'w')",
        "import os; os.setuid(0)",
        "import os; os.kill(1, 9)",
        "import os; os.listdir('/proc/1/fd')",
        "open('/proc/1/mem', 'rb')",
    ],
)
def test_lesson_31_code_in_the_container_is_refused(code: str) -> None:
    refused, after = cells(code, "1 + 1", inputs={"context": "x" * 100_000})
    assert refused.error is not None
    assert refused.error.kind == "error"
    assert after.value == "2"


@needs_engine
def test_lesson_31_seen_from_inside(nothing_left: None) -> None:
    code = """
        import os
        status = dict(line.split(':\\t') for line in open('/proc/self/status').read().splitlines())
        devices = [l.split(':')[0].strip() for l in open('/proc/net/dev').read().splitlines()[2:]]
        root = [l.split()[3] for l in open('/proc/mounts') if l.split()[1] == '/'][0]
        tmp = [l.split()[3] for l in open('/proc/mounts') if l.split()[1] == '/tmp'][0]
        [os.getuid(), os.getgid(), status['CapEff'], status['CapBnd'], status['NoNewPrivs'],
         status['Seccomp'], devices, root.split(',')[0], 'noexec' in tmp, sorted(os.environ)]
    """
    [done] = cells(textwrap.dedent(code))
    assert done.value is not None, done.error
    *walls, names = eval(done.value)
    nothing = "0" * 16
    assert walls == [65534, 65534, nothing, nothing, "1", "2", ["lo"], "ro", True]
    assert set(names) <= {
        "HOME", "HOSTNAME", "LC_ALL", "PATH", "PYTHONHASHSEED", "PYTHONUTF8", "TMPDIR",
    }  # fmt: skip


@needs_engine
def test_facts_say_what_confines() -> None:
    async def main() -> Any:
        async with place_of(sandbox=DockerSandbox(memory_mb=128, cpus=0.5, pids=32)) as place:
            return place.facts

    facts = asyncio.run(main())
    assert (facts["sandbox"], facts["image"], facts["network"]) == ("docker", IMAGE, False)
    assert (facts["cpus"], facts["pids"], facts["memory_mb"]) == (0.5, 32, 96)
    assert facts["missing"] == []


# memory and processes


@needs_engine
def test_a_list_that_grows_too_large_is_an_error_in_the_cell(nothing_left: None) -> None:
    over, after = cells("x = 5\nrows = []\nwhile True: rows.append(bytearray(1 << 20))", "x")
    assert over.error is not None
    assert (over.error.type, after.value) == ("MemoryError", "5")


@needs_engine
def test_when_memory_runs_out_for_all_a_session_is_lost_and_not_the_run(nothing_left: None) -> None:
    async def main() -> None:
        async with (
            place_of(sandbox=DockerSandbox(scratch_mb=4)) as place,
            place.open({}, {}, OpenOptions()) as one,
            place.open({}, {}, OpenOptions()) as other,
        ):
            held = "held = b'x' * (200 << 20)"  # within what each may have, but not both
            first, second = await one.execute(held), await other.execute(held)
            checked = [await session.execute("len(held)") for session in (one, other)]
            assert not all(done.ok for done in (first, second, *checked))  # one had to go
            for session in (one, other):
                assert (await session.execute("held = None; 1 + 1")).value == "2"

    asyncio.run(main())


@needs_engine
def test_when_processes_run_out_a_session_is_refused_in_words(nothing_left: None) -> None:
    code = (
        "import threading, time\ntry:\n    while True:\n"
        "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "except RuntimeError:\n    pass\n'full'"
    )

    async def main() -> None:
        async with place_of(sandbox=DockerSandbox(pids=16)) as place:
            async with place.open({}, {}, OpenOptions()) as greedy:
                assert (await greedy.execute(code)).value == "'full'"
                with pytest.raises(SandboxError, match="no room"):
                    async with place.open({}, {}, OpenOptions()):
                        pass
                assert (await greedy.execute("print('on')")).stdout == "on\n"
            async with place.open({}, {}, OpenOptions()) as later:
                assert (await later.execute("1 + 1")).value == "2"

    asyncio.run(main())


# inputs


@needs_engine
def test_a_large_text_is_shared_and_handed_on_by_name(nothing_left: None) -> None:
    big = "é" + "x" * 50_000_000
    received: list[Any] = []

    async def look(value: Any) -> None:
        received.append(value)

    [done] = cells("look(context); (context[0], len(context))", inputs={"context": big},
                   functions={"look": look}, sandbox=DockerSandbox(memory_mb=64))  # fmt: skip
    assert done.value == "('é', 50000001)"
    assert received[0] is big


@needs_engine
def test_files_are_read_in_place_and_may_be_larger_than_memory(
    nothing_left: None, tmp_path: Path
) -> None:
    path = tmp_path / "big.txt"
    with path.open("wb") as stream:
        for _ in range(20):
            stream.write("é line of text\n".encode() * 600_000)
        stream.write(b"needle 42\n")
    path.chmod(0o644)
    code = "[m] = f.search(r'needle (\\d+)'); (m.text, f[m.start:m.end])"
    found, whole = cells(
        code, "f.text", inputs={"f": File(path)}, sandbox=DockerSandbox(memory_mb=64)
    )
    assert found.value == "('needle 42', 'needle 42')"
    assert whole.error is not None and ".search" in whole.error.message


@needs_engine
def test_a_file_that_only_its_owner_may_read_is_an_input_too(
    nothing_left: None, tmp_path: Path
) -> None:
    path = tmp_path / "secret.bin"
    path.write_bytes(b"\xff\xfeabc\x00\n" * 3)
    path.chmod(0o600)
    [done] = cells("(f.size, f.bytes[:2], f.text.count('abc'))", inputs={"f": File(path)})
    assert done.value == "(21, b'\\xff\\xfe', 3)"


@needs_engine
def test_without_a_shared_folder_inputs_go_over_the_wire(
    nothing_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, refused = Engine.create, []

    def create(self: Engine, image: str, command: Any, env: Any, labels: Any, mounts: Any,
               **config: Any) -> str:  # fmt: skip
        if mounts:
            refused.append(mounts)
            raise MountRefused("elsewhere")
        return plain(self, image, command, env, labels, mounts, **config)

    monkeypatch.setattr(Engine, "create", create)
    given = {
        "context": "ü" * 3_000_000,
        "f": File(text="a\nfile\n" * 400_000),
        "empty": File(text=""),
    }
    code = "(len(context), f.size, f[0:6], len(f.search('file', limit=5)), empty.size)"
    [done] = cells(code, inputs=given, sandbox=DockerSandbox(memory_mb=64))
    assert done.value == "(3000000, 2800000, 'a\\nfile', 5, 0)"
    assert len(refused) == 1


@contextmanager
def forwarded(path: str) -> Iterator[int]:
    """Forward a TCP port to a Unix socket, as `ssh -L` does; yield the port."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with contextlib.suppress(OSError), ThreadPoolExecutor(32) as pool, ExitStack() as open_:
            while True:
                near = open_.enter_context(listening.accept()[0])
                far = open_.enter_context(socket.socket(socket.AF_UNIX))
                far.connect(path)
                pool.submit(pump, near, far)
                pool.submit(pump, far, near)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve)
        server.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        server.join()


@needs_engine
def test_an_engine_over_tcp_is_sent_the_inputs(
    nothing_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"context": "ü" * 3_000_000, "f": File(text="a\nfile\n" * 400_000)}
    code = "import os\n(len(context), f[0:6], os.path.exists('/rlm'))"
    socket_path = os.environ["DOCKER_HOST"].removeprefix("unix://")
    with forwarded(socket_path) as port, monkeypatch.context() as patched:
        patched.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        [done] = cells(code, inputs=given)
    assert done.value == "(3000000, 'a\\nfile', False)"


@needs_engine
def test_a_bind_that_the_engine_cannot_see_is_refused_as_such(nothing_left: None) -> None:
    engine = Engine(10)
    try:
        with pytest.raises(MountRefused):
            engine.create(IMAGE, ["python3"], {}, {}, {"/there/is/none": "/rlm"})
    finally:
        engine.close()


@needs_engine
def test_files_may_be_variables_of_one_session(nothing_left: None) -> None:
    files = {f"f{number}": File(text=str(number)) for number in range(3)}

    async def one(place: Place, number: int) -> str | None:
        own = {"f": files[f"f{number}"]}
        async with place.open(own, {}, OpenOptions()) as session:
            return (await session.execute("f.text")).value

    async def main() -> list[str | None]:
        async with place_of() as place:
            return await asyncio.gather(*(one(place, number) for number in range(3)))

    assert asyncio.run(main()) == ["'0'", "'1'", "'2'"]


@needs_engine
def test_many_small_values_fit_beside_the_memory_of_cells(nothing_left: None) -> None:
    rows = [{"n": n, "tags": ["a", "b"], "share": n / 7} for n in range(200_000)]
    [done] = cells("(len(rows), rows[7])", inputs={"rows": rows},
                   sandbox=DockerSandbox(memory_mb=64))  # fmt: skip
    assert done.value == "(200000, {'n': 7, 'tags': ['a', 'b'], 'share': 1.0})"


@needs_engine
def test_an_input_that_cannot_travel_is_refused_by_name(nothing_left: None) -> None:
    with pytest.raises(ConfigurationError, match="input 'lock'"):
        cells("1", inputs={"lock": object()})


# the stream


@needs_engine
def test_large_values_go_both_ways_beside_other_sessions(nothing_left: None) -> None:
    async def echo(value: Any) -> Any:
        return value

    async def large(place: Place) -> str | None:
        async with place.open({}, {"echo": echo}, OpenOptions()) as session:
            code = (
                "big, raw = 'ü' * 5_000_000, b'x' * 9_000_000\n[echo(big) == big, echo(raw) == raw]"
            )
            return (await session.execute(code)).value

    async def small(place: Place) -> str | None:
        async with place.open({}, {"echo": echo}, OpenOptions()) as session:
            code = "[echo(n) for n in range(200)] == list(range(200))"
            return (await session.execute(code)).value

    async def main() -> list[str | None]:
        async with place_of(sandbox=DockerSandbox(memory_mb=512)) as place:
            return list(await asyncio.gather(large(place), small(place), small(place)))

    assert asyncio.run(main()) == ["[True, True]", "True", "True"]


@needs_engine
def test_lesson_26_forged_frames_end_only_their_session(nothing_left: None) -> None:
    forged = """
        import os, json, struct, time
        body = json.dumps({'t': 'done', 'n': 77}).encode()
        for fd in range(3, 200):
            try: os.write(fd, struct.pack('!IQ', len(body), 0) + body)
            except OSError: pass
        time.sleep(9)
    """

    async def main() -> None:
        async with place_of() as place, place.open({}, {}, OpenOptions()) as other:
            await other.execute("kept = 1")
            async with place.open({}, {}, OpenOptions()) as liar:
                lost = await liar.execute(textwrap.dedent(forged))
                assert lost.error is not None and lost.error.kind == "lost"
                assert (await liar.execute("1 + 1")).value == "2"
            assert (await other.execute("kept")).value == "1"

    asyncio.run(main())


@needs_engine
def test_lesson_35_the_loop_goes_on_while_a_container_starts(nothing_left: None) -> None:
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.002)

    async def main() -> None:
        task = asyncio.create_task(beat())
        async with place_of({"context": "x" * 20_000_000}):
            task.cancel()

    asyncio.run(main())
    assert len(beats) > 10


# ends


@needs_engine
def test_lesson_27_what_does_not_stop_is_killed(nothing_left: None) -> None:
    code = "import time\nwhile True:\n    try: time.sleep(9)\n    except: pass"
    _, lost, after = cells("x = 1", code, "'x' in globals()", limits=CellLimits(seconds=0.2))
    assert lost.error is not None
    assert lost.error.kind == "lost" and "by force" in lost.error.message
    assert after.value == "False"


@needs_engine
def test_a_container_that_somebody_kills_is_replaced(nothing_left: None) -> None:
    async def main() -> None:
        async with place_of({"x": 1}) as place, place.open({"x": 1}, {}, OpenOptions()) as session:
            [container] = await asyncio.to_thread(containers)
            running = asyncio.create_task(session.execute("import time; time.sleep(60)"))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(subprocess.run, ["docker", "kill", container],
                                    capture_output=True, check=True)  # fmt: skip
            lost = await running
            assert lost.error is not None and lost.error.kind == "lost"
            assert (await session.execute("x")).value == "1"
            [another] = await asyncio.to_thread(containers)
            assert another != container

    asyncio.run(main())


@needs_engine
@pytest.mark.parametrize("after", [0.0, 0.03, 0.1, 0.2, 0.4])
def test_lesson_34_cancelling_whenever_leaves_no_container(
    nothing_left: None, after: float
) -> None:
    async def main() -> None:
        async with place_of({"x": 1}) as place, place.open({}, {}, OpenOptions()) as session:
            await session.execute("while True: pass")

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(main(), after)

    asyncio.run(cancelled())


@needs_engine
def test_rr63_there_is_no_workspace_to_patch_or_to_grep() -> None:
    for name in ("patch_file", "grep", "undo_last_patch"):
        [done] = cells(name)
        assert done.error is not None
        assert done.error.type == "NameError"


@needs_engine
def test_a_container_is_labelled_with_its_run(nothing_left: None) -> None:
    seen: list[str] = []

    def look() -> str:
        """Look."""
        found = containers(Owner.mine().host).values()
        seen.extend(one["Config"]["Labels"].get("rlm.run", "") for one in found)
        return "seen"

    with ScriptedLM([cell("submit(answer=look())")]) as lm:
        result = rlm.predict("-> answer", model=lm, sandbox="docker", tools=[look])
    assert result.value == "seen"
    assert result.run_id in seen


@needs_engine
def test_lesson_34_a_run_that_fails_leaves_no_container(nothing_left: None) -> None:
    with ScriptedLM([cell("x = 1")]) as lm:
        result = rlm.predict(
            "q -> answer", input={"q": "?"}, model=lm, sandbox="docker",
            limits={"max_iterations": 1, "on_exceeded": "fail"},
        )  # fmt: skip
    assert not result.ok


@needs_engine
def test_lesson_34_nothing_survives_a_killed_host(nothing_left: None, tmp_path: Path) -> None:
    program = """
        import asyncio, tempfile
        from rlm.sandbox.base import CellLimits, OpenOptions
        from rlm.sandbox._docker_owner import Owner
        from rlm.sandbox.docker import DockerSandbox
        async def main():
            async with DockerSandbox().start({"context": "x" * 200_000}, CellLimits()) as place:
                async with place.open({}, {}, OpenOptions()) as session:
                    await session.execute("1")
                    print(Owner.mine().labels, flush=True)
                    await session.execute("while True: pass")
        asyncio.run(main())
    """
    host = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path / "private")},
    )  # fmt: skip
    assert host.stdout is not None
    labels = eval(host.stdout.readline())
    assert [c for c in containers(labels["rlm.host"]).values()
            if c["Config"]["Labels"]["rlm.pid"] == str(host.pid)]  # fmt: skip
    host.send_signal(signal.SIGKILL)
    host.wait()
    host.stdout.close()
    assert soon(
        lambda: not [c for c in containers(labels["rlm.host"]).values()
                     if c["Config"]["Labels"]["rlm.pid"] == str(host.pid)]
    )  # fmt: skip


@needs_engine
def test_lesson_34_what_dead_processes_left_is_swept_and_nothing_else(nothing_left: None) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    mine = Owner.mine()
    dead = Owner(mine.host, gone.pid, "1")
    reused = Owner(mine.host, mine.pid, "1")  # my number, in another's hands long ago
    elsewhere = Owner("another-host/pid:[1]", gone.pid, "1")
    engine = Engine(10)

    def left(owner: Owner) -> str:
        return engine.create(IMAGE, ["python3"], {}, owner.labels, {}, network_mode="none")

    try:
        swept = {left(dead), left(reused)}
        kept = {left(elsewhere), left(mine)}
        cells("1")
        import docker

        client = docker.APIClient(base_url=os.environ["DOCKER_HOST"], version="auto")
        there = {each["Id"] for each in client.containers(all=True)}
        client.close()
        assert not swept & there
        assert kept <= there
    finally:
        for container in kept:
            engine.remove(container)
        engine.close()


def test_lesson_34_a_process_is_known_by_its_number_and_its_beginning() -> None:
    mine = Owner.mine()
    assert Owner.of(mine.labels) == mine
    assert mine.alive
    assert not Owner(mine.host, mine.pid, "1").alive
    with subprocess.Popen(["sleep", "60"]) as child:
        other = Owner.mine()
        child.kill()
    assert other.alive
    assert Owner.of({}) is None
    assert Owner.of({"rlm.host": "x", "rlm.pid": "-3"}) is None


# whole runs


@needs_engine
def test_rr30_a_run_in_docker_with_sub_calls_budget_and_trace(
    nothing_left: None, predict: Ask
) -> None:
    text = "hay\n" * 200_000 + "The magic number is 4711.\n" + "hay\n" * 200_000
    code = (
        "line = grep_text('magic', context)[0]\n"
        "answers = parallel_queries(*[f'part {n}' for n in range(5)])\n"
        "print(budget()['sub_calls'], str(line)[:60])\n"
        "answer = str(llm_query('Which number?', context=str(line)))\n"
        "submit(answer=answer, parts=list(map(str, answers)))"
    )

    def sub(request: rlm.Request) -> rlm.Reply:
        said = request.prompt
        return rlm.Reply("4711" if "4711" in said else said.split()[-1], usage=USED)

    with (
        ScriptedLM([cell(code)], usage=USED, price=CHEAP) as lm,
        ScriptedLM([sub] * 6, name="scripted/sub", price=CHEAP) as small,
    ):
        result = predict(
            "context -> answer: int, parts: list[str]",
            input={"context": text}, model=lm, sub_model=small, sandbox="docker",
        )  # fmt: skip
    assert result.output.answer == 4711
    assert len(result.output.parts) == 5
    assert result.cost is not None and 0 < result.cost < 1
    assert result.sandbox["sandbox"] == "docker"
    [ran] = result.trace.of(events.CodeExecuted)
    assert ran.stdout.startswith("5 ")


@needs_engine
def test_rr30_a_child_call_has_its_own_session_in_the_same_container(
    nothing_left: None, predict: Ask
) -> None:
    code = "submit(answer=str(llm_query('Where?', context='far away', recursive=True)))"
    with ScriptedLM([cell(code), cell("submit(f'{context}!')")]) as lm:
        seen: list[int] = []

        def count(event: Any) -> None:
            if isinstance(event, events.SessionOpened):
                seen.append(len(containers()))

        result = predict(
            "q -> answer", input={"q": "?"}, model=lm, sandbox="docker", on_event=count
        )
    assert result.value == "far away!"
    assert seen == [1, 1]


# errors


def test_no_engine_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(SandboxError, match=r"no Docker engine answers at unix:.*none\.sock.*start"):
        cells("1")


def test_an_engine_that_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock"))
        deaf.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/deaf.sock")
        with pytest.raises(SandboxError, match="no Docker engine answers"):
            cells("1", sandbox=DockerSandbox(connect_timeout=0.2))


def test_an_engine_that_is_too_old_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(tmp_path / "old.sock"))
        old.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/old.sock")
        body = b'{"ApiVersion": "1.30", "Version": "17.06"}'
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"

        def serve() -> None:
            for _ in range(2):  # the first only knocks
                line, _ = old.accept()
                with line:
                    if line.recv(4096):
                        line.sendall(head.encode() + body)

        server = threading.Thread(target=serve)
        server.start()
        with pytest.raises(SandboxError, match=r"too old: it speaks API 1\.30"):
            cells("1")
        server.join()


def test_an_address_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://somewhere")
    with pytest.raises(ConfigurationError, match="ssh -L"):
        cells("1")


def test_certificates_that_are_missing_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"DOCKER_CERT_PATH names the folder"):
        cells("1")


@needs_engine
def test_an_image_that_is_missing_is_told_with_what_to_do(nothing_left: None) -> None:
    with pytest.raises(SandboxError, match=r"'nobody/has:this' is not there.*docker pull nobody"):
        cells("1", sandbox=DockerSandbox(image="nobody/has:this"))
    with pytest.raises(SandboxError, match="rlm docker build"):
        cells("1", sandbox=DockerSandbox(image="rlm/repl:none"))


@needs_engine
def test_an_unknown_runtime_is_told_in_the_engines_words(nothing_left: None) -> None:
    with pytest.raises(SandboxError, match="runtime"):
        cells("1", sandbox=DockerSandbox(runtime="no-such-runtime"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"memory_mb": 3}, "memory_mb=3"),
        ({"cpus": 0}, "cpus=0"),
        ({"pids": "many"}, "pids='many'"),
        ({"image": " "}, "image=' '"),
    ],
)
def test_impossible_options_are_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        DockerSandbox(**options)


@needs_engine
def test_with_a_network_sockets_can_be_made(nothing_left: None) -> None:
    [done] = cells("import socket; socket.socket().close(); 'made'",
                   sandbox=DockerSandbox(network=True))  # fmt: skip
    assert done.value == "'made'"


def test_docker_is_a_name_of_a_sandbox() -> None:
    from rlm import resolve

    assert resolve.sandbox("docker") == rlm.DockerSandbox()
