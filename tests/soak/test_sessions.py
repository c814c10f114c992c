"""Ten thousand sessions opened and killed at random, and what they leave: nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from engines import need_program

from rlm.sandbox.base import Sandbox
from rlm.sandbox.command import CommandSandbox
from rlm.sandbox.docker import DockerSandbox
from rlm.sandbox.process import ProcessSandbox
from soak.leftovers import held, kin, marked, resident
from soak.lives import Victims, live_together
from soak.sizes import times

PER_SEED = 40


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def lived(sandbox: Sandbox, seeds: range, debug: bool, victims: Victims) -> Counter[str]:
    """Let 40 sessions live for each seed, in two places at a time; return how cells ended."""
    told: list[dict[str, Any]] = []
    ends: Counter[str] = Counter()

    async def main(seed: int) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        loop.slow_callback_duration = 60  # speed is no matter here
        places = (live_together(sandbox, 2 * seed + of, PER_SEED // 2, victims) for of in range(2))
        for found in await asyncio.gather(*places):
            ends.update(found)
        gc.collect()  # what nobody looks at any more says so now

    for seed in seeds:
        try:
            asyncio.run(main(seed), debug=debug)
            assert not told, f"the event loop was told of {told[0]}"
        except BaseException as error:
            error.add_note(f"the sessions were those of seed {seed}")
            raise
    return ends


def many(
    sandbox: Sandbox,
    count: int,
    folder: Path,
    victims: Victims,
    left: Callable[[], set[Any]],
    debug: bool = False,
) -> None:
    """Let so many sessions live, and look for what they have left: `left` finds what is apart."""
    victims(), left()  # what is made once is made
    lived(sandbox, range(1), debug, victims)
    before, begun, ends, memory = held(folder), time.perf_counter(), Counter[str](), []
    seeds, thousand = 1 + max(count // PER_SEED, 1), 1000 // PER_SEED
    for start in range(1, seeds, thousand):
        memory.append(resident())
        some = range(start, min(start + thousand, seeds))
        ends += lived(sandbox, some, debug, victims)
        assert held(folder) == before, f"after {some}"
        assert left() == set(), f"after {some}"
    sessions = (seeds - 1) * PER_SEED
    rate = sessions / (time.perf_counter() - begun)
    print(f"{sandbox.name}: {sessions:,} sessions, {rate:,.0f} a second, cells: {dict(ends)}")
    print("resident memory after each thousand, in MB:", [size >> 20 for size in memory])
    if len(memory) > 3:  # the first thousands still fill what is kept for reuse
        assert (memory[-1] - memory[2]) / (len(memory) - 3) < 1 << 20


def processes(count: int, folder: Path, debug: bool = False) -> None:
    """Let so many sessions of processes live; any of those may be killed from outside."""
    mark = os.getpid() % 2**32
    sandbox = ProcessSandbox(hash_seed=mark, processes=2)
    many(sandbox, count, folder, lambda: kin(os.getpid()), lambda: marked(mark), debug)


@pytest.mark.soak
def test_ten_thousand_sessions_leave_nothing_behind(folder: Path) -> None:
    processes(times(10_000), folder)


@pytest.mark.soak
def test_sessions_leave_nothing_unsaid_to_an_event_loop_that_watches(folder: Path) -> None:
    processes(times(400), folder, debug=True)


@pytest.mark.soak
def test_sessions_behind_a_command_leave_nothing_behind(folder: Path) -> None:
    command = [need_program("bwrap"), "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    command += ["--tmpfs", "/tmp", "--unshare-pid", "--die-with-parent"]
    sandbox = CommandSandbox(command)
    many(sandbox, times(400), folder, lambda: kin(os.getpid()), set)


@pytest.mark.soak
@pytest.mark.docker
def test_sessions_in_containers_leave_nothing_behind(folder: Path) -> None:
    many(DockerSandbox(), times(300), folder, _in_containers, _containers)


def _in_containers() -> set[int]:
    """Return the processes in our containers, by their numbers here."""
    from docker import errors

    found = set()
    with _engine() as engine:
        for container in _ours(engine):
            with suppress(errors.APIError):  # it has just ended
                found |= {int(row[1]) for row in engine.top(container)["Processes"] or ()}
    return found


def _containers() -> set[str]:
    with _engine() as engine:
        return _ours(engine)


def _ours(engine: Any) -> set[str]:
    listed = engine.containers(all=True, filters={"label": f"rlm.pid={os.getpid()}"})
    return {container["Id"] for container in listed}


def _engine() -> Any:
    """Return a client of the engine, which keeps connections until it is closed."""
    import docker

    return closing(docker.APIClient(os.environ.get("DOCKER_HOST"), version="auto"))
