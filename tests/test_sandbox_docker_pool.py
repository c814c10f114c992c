"""Containers that wait: ready at once, used once, replaced, and never left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_containers import LIMITS, cells, containers, engine_does, place_of, soon
from parts import Ask, cell

from rlm.errors import ConfigurationError, SandboxError
from rlm.files import File
from rlm.sandbox.base import OpenOptions
from rlm.sandbox.docker import DockerSandbox
from rlm.testing import ScriptedLM

needs_engine = pytest.mark.docker


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    gc.collect()
    assert not os.environ.get("DOCKER_HOST") or soon(lambda: containers() == {})
    assert soon(lambda: os.listdir(folder) == [])
    assert soon(lambda: "rlm-docker" not in [thread.name for thread in threading.enumerate()])


@needs_engine
def test_a_place_comes_from_the_pool_and_its_container_is_never_used_again() -> None:
    with DockerSandbox(pool=2) as sandbox:
        waiting = set(containers())
        assert len(waiting) == 2
        used: list[str] = []
        for number in range(4):
            facts: dict[str, Any] = {}
            [done] = cells("context", inputs={"context": f"text {number}"}, sandbox=sandbox,
                           facts=facts)  # fmt: skip
            assert done.value == repr(f"text {number}")
            assert facts["missing"] == []
            used.append(facts["container"])
            sandbox.warm()
        assert len(set(used)) == 4
        assert used[0] in waiting
        assert soon(lambda: not set(used) & set(containers()))
        assert len(containers()) == 2


@needs_engine
def test_inputs_appear_in_the_folder_that_was_mounted_before_them(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("a\nnote\n", encoding="utf-8")
    given = {"f": File(path), "context": "é" * 2_000_000, "rows": [1, {"a": b"x"}]}
    with DockerSandbox(pool=1) as sandbox:
        [waiting] = containers().values()
        assert [(m["Destination"], m["RW"]) for m in waiting["Mounts"]] == [("/rlm", False)]
        facts: dict[str, Any] = {}
        code = "(f.text, len(context), rows)"
        [done] = cells(code, inputs=given, sandbox=sandbox, facts=facts)
        assert done.value == "('a\\nnote\\n', 2000000, [1, {'a': b'x'}])"
        assert facts["container"] == waiting["Id"]


@needs_engine
def test_inputs_larger_than_its_memory_find_room_in_a_waiting_container() -> None:
    with DockerSandbox(pool=1, memory_mb=64) as sandbox:
        [waiting] = containers()
        facts: dict[str, Any] = {}
        [done] = cells("(len(context), context[-1])", inputs={"context": "ü" * 120_000_000},
                       sandbox=sandbox, facts=facts)  # fmt: skip
        assert (done.value, facts["container"]) == ("(120000000, 'ü')", waiting)


@needs_engine
def test_large_files_are_mounted_in_place_in_a_container_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(1 << 32)
    path.chmod(0o644)
    with DockerSandbox(pool=1, memory_mb=64) as sandbox:
        [waiting] = containers()
        facts: dict[str, Any] = {}
        [done] = cells("f.size", inputs={"f": File(path)}, sandbox=sandbox, facts=facts)
        assert done.value == str(1 << 32)
        assert facts["container"] != waiting


@needs_engine
def test_more_runs_than_wait_and_from_several_loops_and_threads_at_once() -> None:
    seen: list[str] = []
    lock = threading.Lock()

    def run(number: int, sandbox: DockerSandbox) -> None:
        facts: dict[str, Any] = {}
        [done] = cells("n * 2", inputs={"n": number}, sandbox=sandbox, facts=facts)
        with lock:
            seen.append(facts["container"])
            assert done.value == str(2 * number)

    with DockerSandbox(pool=2) as sandbox:
        threads = [threading.Thread(target=run, args=(n, sandbox)) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(seen)) == 5


@needs_engine
def test_a_whole_run_with_a_pool_by_the_sync_facade(predict: Ask) -> None:
    with DockerSandbox(pool=1) as sandbox:
        for text in ("one", "two"):
            with ScriptedLM([cell("submit(context.upper())")]) as lm:
                result = predict("context -> answer", input={"context": text}, model=lm,
                                 sandbox=sandbox)  # fmt: skip
            assert result.value == text.upper()


@needs_engine
def test_lesson_34_a_waiting_container_that_has_died_is_not_given_out() -> None:
    with DockerSandbox(pool=1) as sandbox:
        [waiting] = containers()
        engine_does(lambda engine: engine.remove(waiting))
        facts: dict[str, Any] = {}
        [done] = cells("1 + 1", sandbox=sandbox, facts=facts)
        assert done.value == "2"
        assert facts["container"] != waiting
        sandbox.warm()
        assert soon(lambda: len(containers()) == 1)


@needs_engine
@pytest.mark.parametrize("after", [0.0, 0.002, 0.01, 0.03])
def test_lesson_34_cancelling_a_checkout_leaves_nothing(after: float) -> None:
    async def main() -> None:
        async with DockerSandbox(pool=2) as sandbox:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(after):
                    async with place_of({"x": "y" * 100_000}, sandbox=sandbox):
                        await asyncio.sleep(60)
            async with (
                place_of({"x": 1}, sandbox=sandbox) as place,
                place.open({"x": 1}, {}, OpenOptions()) as session,
            ):
                assert (await session.execute("x")).value == "1"

    asyncio.run(main())


@needs_engine
def test_lesson_34_a_run_outlives_the_close_of_its_pool() -> None:
    async def main() -> None:
        sandbox = DockerSandbox(pool=1)
        await asyncio.to_thread(sandbox.warm)
        async with (
            place_of({"x": 1}, sandbox=sandbox) as place,
            place.open({"x": 1}, {}, OpenOptions()) as session,
        ):
            await asyncio.to_thread(sandbox.close)
            assert (await session.execute("x")).value == "1"
        assert await asyncio.to_thread(containers) == {}
        async with place_of(sandbox=sandbox):  # a closed pool is no reason not to run
            pass

    asyncio.run(main())


@needs_engine
def test_lesson_34_a_sandbox_that_nobody_holds_any_more_leaves_nothing() -> None:
    sandbox = DockerSandbox(pool=2)
    sandbox.warm()
    assert len(containers()) == 2
    del sandbox
    gc.collect()
    assert soon(lambda: containers() == {})


_PROGRAM = """
    import asyncio, os, sys
    from rlm.sandbox._docker_owner import Owner
    from rlm.sandbox.docker import DockerSandbox
    from rlm.sandbox.base import CellLimits
    sandbox = DockerSandbox(pool=2)
    async def main():
        async with sandbox.start({"context": "x" * 200_000}, CellLimits()) as place:
            sandbox.warm()
            print(Owner.mine().labels, flush=True)
            sys.stdin.readline()
    asyncio.run(main())
"""


def _host(tmp_path: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    host = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(_PROGRAM)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "private")},
    )  # fmt: skip
    assert host.stdout is not None
    return host, eval(host.stdout.readline())


def _of(labels: dict[str, str]) -> list[str]:
    found = containers(labels["rlm.host"]).items()
    return [id for id, each in found if each["Config"]["Labels"]["rlm.pid"] == labels["rlm.pid"]]


@needs_engine
def test_lesson_34_a_process_that_ends_leaves_no_container_of_its_pool(tmp_path: Path) -> None:
    host, labels = _host(tmp_path)
    assert len(_of(labels)) == 3
    _, complaints = host.communicate("\n", timeout=30)
    assert (host.returncode, complaints) == (0, "")
    assert _of(labels) == []


@needs_engine
def test_lesson_34_what_a_killed_process_pooled_is_swept_by_the_next_run(tmp_path: Path) -> None:
    host, labels = _host(tmp_path)
    host.send_signal(signal.SIGKILL)
    host.communicate()
    # the folders of its inputs go, too, with the next run of another process
    next_one = "import asyncio\nfrom rlm.sandbox.docker import DockerSandbox\n" + textwrap.dedent(
        """
        from rlm.sandbox.base import CellLimits
        async def main():
            async with DockerSandbox().start({}, CellLimits()): pass
        asyncio.run(main())
        """
    )
    subprocess.run([sys.executable, "-c", next_one], check=True,
                   env={**os.environ, "TMPDIR": str(tmp_path / "private")})  # fmt: skip
    assert soon(lambda: _of(labels) == [])
    assert os.listdir(tmp_path / "private") == []


def test_without_an_engine_it_says_so_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(SandboxError, match="no Docker engine answers"), DockerSandbox(pool=2):
        pass
    sandbox = DockerSandbox(pool=2)
    for _ in range(2):
        with pytest.raises(SandboxError, match="no Docker engine answers"):
            cells("1", sandbox=sandbox)
    sandbox.close()
    monkeypatch.delenv("DOCKER_HOST")


@needs_engine
def test_what_keeps_it_from_filling_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = os.environ["DOCKER_HOST"]
    sandbox = DockerSandbox(pool=1)
    with monkeypatch.context() as patched:
        patched.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        with pytest.raises(SandboxError, match="no Docker engine answers"):
            sandbox.warm()
    assert os.environ["DOCKER_HOST"] == real
    sandbox.warm()
    assert len(containers()) == 1
    sandbox.close()
    with pytest.raises(SandboxError, match="not there"):
        DockerSandbox(pool=1, image="nobody/has:this").warm()


@needs_engine
def test_an_input_that_cannot_travel_costs_no_container() -> None:
    with DockerSandbox(pool=1) as sandbox:
        waiting = set(containers())
        with pytest.raises(ConfigurationError, match="input 'lock'"):
            cells("1", inputs={"lock": object()}, sandbox=sandbox)
        assert set(containers()) == waiting


def test_a_pool_costs_nothing_before_it_is_used() -> None:
    before = threading.active_count()
    sandbox = DockerSandbox(pool=3)
    assert threading.active_count() == before
    assert "pool=3" in repr(sandbox) and "_pool" not in repr(sandbox)
    sandbox.close()


@needs_engine
def test_the_loop_goes_on_while_a_place_is_taken_and_left() -> None:
    gaps: list[float] = []

    async def beat() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    async def main() -> None:
        async with DockerSandbox(pool=1) as sandbox:
            task = asyncio.create_task(beat())
            async with place_of({"x": "y" * 5_000_000}, LIMITS, sandbox):
                pass
            task.cancel()

    asyncio.run(main())
    assert gaps
