"""Every probe climbs where nothing confines it, and none climbs where something does."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from engines import need_docker, need_namespaces, need_program

from rlm.sandbox.base import CellError, CellLimits, Execution, Sandbox
from rlm.sandbox.local import LocalSandbox
from rlm.sandbox.probes import PROBES, WALLS, Climb, Planted, Probe, probe
from rlm.sandbox.process import ProcessSandbox
from rlm.testing import InMemorySandbox

HERE = Path(__file__).parents[1]
UNTIMED = [each for each in PROBES if each.wall != "cpu"]
TIMED = [each for each in PROBES if each.wall == "cpu"]

BARE = """
import asyncio, dataclasses, json, sys
from rlm.sandbox.base import CellLimits
from rlm.sandbox.probes import PROBES, Planted, probe
from rlm.testing import InMemorySandbox

async def main():
    with Planted() as planted:
        async with InMemorySandbox().start({}, CellLimits()) as place:
            said = {"namespaces": "ipc, mount, pid, uts"}
            bounds = {"scratch_mb": 2, "memory_mb": 16, "threads": 8}
            place.facts = {**place.facts, **bounds, "walls": said}
            probes = [each for each in PROBES if each.wall != "cpu"]
            return [dataclasses.asdict(climb) async for climb in probe(place, planted, probes)]

print(json.dumps(asyncio.run(main())))
"""
"""Run with bounds and walls that are said and not kept."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells that nothing confines write where they stand."""
    monkeypatch.chdir(tmp_path)


def climbs(
    kind: Sandbox, probes: Sequence[Probe] = UNTIMED, limits: CellLimits | None = None
) -> list[Climb]:
    async def main() -> list[Climb]:
        with Planted() as planted:
            async with kind.start({}, limits or CellLimits(memory_mb=64)) as place:
                return [climb async for climb in probe(place, planted, probes)]

    return asyncio.run(main())


def over(found: Sequence[Climb]) -> list[Climb]:
    return [climb for climb in found if climb.held is False]


_THROWAWAY = ("unshare", "-Urmpfiu", "--mount-proc", "prlimit", "--nproc=4000")
_SCRIPT = 'mount -t tmpfs none /var/tmp && mount -t tmpfs none /dev/shm && "$0" -c "$1"; true'


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Climb]:
    """What the probes do to a bare `exec`, in throwaway namespaces."""
    need_program("unshare")
    done = subprocess.run(
        [*_THROWAWAY, "sh", "-c", _SCRIPT, sys.executable, BARE],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path_factory.mktemp("home")),
            "PYTHONPATH": str(HERE),
        },
        cwd=tmp_path_factory.mktemp("bare"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    need_namespaces(done)
    return {each["what"]: Climb(**each) for each in json.loads(done.stdout)}


NEVER = {
    "becomes root": "who has no powers cannot",
    "calls by the numbers of another architecture": "few kernels know x32",
}
"""Probes that climb nothing even there: they look for what only a mistake of ours would give."""


OWNED = ("writes into the interpreter's library", "opens a device")
"""What whoever owns it can do: root as a rule, and other users on some machines."""


@pytest.mark.parametrize("what", [each.what for each in UNTIMED if each.what not in NEVER])
def test_each_probe_climbs_where_nothing_confines_it(bare: dict[str, Climb], what: str) -> None:
    if os.geteuid() == 0 or what not in OWNED:
        assert bare[what].held is False, bare[what]


@pytest.mark.parametrize("what", NEVER)
def test_those_that_cannot_climb_are_tried(bare: dict[str, Climb], what: str) -> None:
    assert bare[what].held is not False and bare[what].said


def test_what_is_planted_is_not_in_what_is_said(bare: dict[str, Climb]) -> None:
    assert not any("planted-" in climb.said for climb in bare.values())


def test_a_computation_climbs_where_no_clock_stops_it() -> None:
    short = [Probe(each.wall, each.what, each.code.replace("+ 5", "+ 0.1")) for each in TIMED]
    assert [climb.held for climb in climbs(InMemorySandbox(), short)] == [False]


def test_no_probe_climbs_out_of_a_process() -> None:
    found = climbs(ProcessSandbox(scratch_mb=4))
    assert over(found) == []
    assert {climb.wall for climb in found if climb.held} == {each.wall for each in UNTIMED}


def test_a_cell_of_a_process_is_stopped() -> None:
    (climb,) = climbs(ProcessSandbox(), TIMED, CellLimits(seconds=0.2))
    assert climb.held and climb.said == "it was stopped"


def test_the_network_is_reached_where_it_is_given() -> None:
    found = climbs(ProcessSandbox(network=True), [p for p in PROBES if p.wall == "network"])
    assert {climb.what for climb in over(found)} >= {"connects by TCP", "asks a name server by UDP"}


def test_processes_start_where_they_are_allowed() -> None:
    found = climbs(ProcessSandbox(processes=4), [p for p in PROBES if p.wall == "processes"])
    assert "forks" in {climb.what for climb in over(found)}


def test_no_probe_climbs_out_of_local_cells() -> None:
    found = climbs(LocalSandbox())
    assert over(found) == []
    assert {climb.wall for climb in found if climb.held is None} <= {"memory", "disk", "processes"}


@pytest.mark.docker
def test_no_probe_climbs_out_of_a_container() -> None:
    need_docker()
    from rlm.sandbox.docker import DockerSandbox

    assert over(climbs(DockerSandbox())) == []


@pytest.mark.parametrize(
    ("walls", "held"),
    [({}, None), ({"namespaces": "ipc, pid"}, False), ({"namespaces": "network"}, False)],
)
def test_only_a_namespace_that_is_promised_has_to_be_there(
    walls: dict[str, str], held: bool | None
) -> None:
    async def main() -> Climb:
        with Planted() as planted:
            async with InMemorySandbox().start({}, CellLimits()) as place:
                told: Any = place
                told.facts = {**place.facts, "walls": walls}
                return await anext(probe(place, planted, [each]))

    (each,) = [one for one in PROBES if one.what == "stays in a namespace of yours"]
    climb = asyncio.run(main())
    assert climb.held is held, climb
    assert climb.said


def test_rb41_probes_need_nothing_but_the_port() -> None:
    said = [
        Execution(value="{'pid': 1, 'folder': '/tmp'}"),
        Execution(stdout="found it\nclimbed by a rope\n"),
        Execution(stdout="held it is high\n"),
        Execution(stdout="untried no rope\n"),
        Execution(stdout="what\n"),
        Execution(error=CellError("ModuleNotFoundError", "No module named 'ctypes'")),
        Execution(error=CellError("ImportError", "'os' is refused")),
        Execution(error=CellError("SessionLost", "killed", kind="lost")),
        Execution(error=CellError("SyntaxError", "refused", kind="syntax")),
        Execution(error=CellError("CellTimeout", "time", kind="timeout")),
        Execution(error=CellError("NameError", "name 'x' is not defined")),
    ]
    kind = InMemorySandbox(executions=said)
    probes = [Probe("files", str(number), "cell") for number in range(len(said) - 1)]
    found = climbs(kind, probes)
    held = [False, True, None, None, None, True, True, True, True, None]
    assert [climb.held for climb in found] == held
    assert found[0].said == "by a rope"


def test_a_secret_that_is_printed_is_a_climb_whatever_the_cell_says() -> None:
    async def main() -> Climb:
        with Planted() as planted:
            said = [Execution(value="{}"), Execution(stdout=f"{planted.secret}\nheld\n")]
            async with InMemorySandbox(executions=said).start({}, CellLimits()) as place:
                return await anext(probe(place, planted, [PROBES[0]]))

    climb = asyncio.run(main())
    assert climb.held is False and "planted-" not in climb.said


def test_the_referee_sees_every_mark_and_puts_things_right() -> None:
    import signal
    import socket

    with Planted() as planted:
        told = planted.told
        assert planted.marks() == []
        Path(told["file"]).write_text("changed", encoding="utf-8")
        Path(told["folder"], told["stray"]).write_text("", encoding="utf-8")
        socket.create_connection(("127.0.0.1", told["tcp"])).close()
        os.kill(told["victim"], signal.SIGWINCH)
        while (marks := planted.marks()) and not any("signalled" in mark for mark in marks):
            os.kill(told["victim"], 0)  # it has not ended yet
        assert planted.marks() == []
        assert Path(told["file"]).read_text(encoding="utf-8") == planted.secret
    assert not os.path.exists(told["folder"])
    assert not any(planted.secret in value for value in os.environ.values())


def test_nothing_planted_is_left_when_planting_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    with pytest.raises(OSError, match="no-python"), Planted():
        pass
    assert list(tmp_path.iterdir()) == []


def test_every_wall_of_the_design_has_a_probe() -> None:
    design = "files disk network processes signals memory cpu privileges system_calls descriptors"
    assert set(design.split()) <= set(WALLS)
    assert len({each.what for each in PROBES}) == len(PROBES)
