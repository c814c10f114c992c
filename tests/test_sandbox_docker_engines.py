"""The docker sandbox with other engines and runtimes, where they are there: Podman, gVisor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import need, need_docker, need_program
from in_containers import LIMITS, cells, containers, place_of, soon

from rlm.files import File
from rlm.sandbox.base import CellLimits, OpenOptions
from rlm.sandbox.docker import IMAGE, DockerSandbox

pytestmark = pytest.mark.docker

_ULIMITS = '[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=1024:1024"]\n'


@pytest.fixture(scope="module")
def podman() -> Iterator[str]:
    """The address of a Podman service of our own, with the image."""
    need(os.geteuid() == 0, "root to start Podman's service", "run this test as root")
    for program in ("podman", "runc", "docker", "findmnt"):
        need_program(program)
    folder = Path(tempfile.mkdtemp(prefix="podman-"))  # a socket's path has to be short
    (folder / "containers.conf").write_text(_ULIMITS, encoding="utf-8")
    address = f"unix://{folder}/podman.sock"
    options = ["--runtime", shutil.which("runc") or "", "--root", f"{folder}/root"]
    options += ["--runroot", f"{folder}/runroot", "--tmpdir", f"{folder}/tmp"]
    options += ["--cgroup-manager", "cgroupfs", "--events-backend", "file"]
    environment = {**os.environ, "CONTAINERS_CONF": f"{folder}/containers.conf"}
    with (folder / "log").open("wb") as log, subprocess.Popen(
        ["podman", *options, "system", "service", "-t", "0", address],
        env=environment, stdout=log, stderr=log,
    ) as service:  # fmt: skip
        try:
            assert soon((folder / "podman.sock").exists), (folder / "log").read_text("utf-8")
            saved = subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE)
            subprocess.run(["docker", "load"], stdin=saved.stdout, check=True, capture_output=True,
                           env={**os.environ, "DOCKER_HOST": address})  # fmt: skip
            assert saved.stdout is not None
            saved.stdout.close()
            saved.wait()
            yield address
        finally:
            service.terminate()
            service.wait()
            _end_all_of(folder)
            mounted = subprocess.run(["findmnt", "-rno", "TARGET"], capture_output=True, text=True)
            for target in reversed(mounted.stdout.split()):
                if target.startswith(f"{folder}/"):
                    subprocess.run(["umount", target], check=True)
            shutil.rmtree(folder)


def _end_all_of(folder: Path) -> None:
    """End what Podman leaves for some minutes: the monitors of processes that have ended."""
    for found in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if f"{folder}/".encode() in found.read_bytes():
                os.kill(int(found.parent.name), signal.SIGKILL)


@pytest.fixture(params=["podman", "runsc"])
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The sandbox's options for an engine or a runtime."""
    if request.param == "podman":
        monkeypatch.setenv("DOCKER_HOST", request.getfixturevalue("podman"))
        return {}
    need_docker("runsc")
    return {"runtime": "runsc"}


def test_cells_inputs_functions_and_walls(options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("a\nnote\n", encoding="utf-8")

    async def twice(n: int) -> int:
        return 2 * n

    facts: dict[str, Any] = {}
    given = {"context": "é" * 3_000_000, "f": File(path), "rows": [{"a": 1}]}
    done = cells(
        "import os; (len(context), f.text, rows, twice(21), os.getuid())",
        "1 / 0", "open('/made', 'w')", "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import os; os.fork()", "open('own', 'w').write('x')",
        inputs=given, functions={"twice": twice}, sandbox=DockerSandbox(**options), facts=facts,
    )  # fmt: skip
    assert done[0].value == "(3000000, 'a\\nnote\\n', [{'a': 1}], 42, 65534)"
    assert [one.ok for one in done] == [True, False, False, False, False, True]
    assert done[5].value == "1"
    assert facts["walls"]["network"].startswith("none")
    if "runtime" not in options:
        assert facts["missing"] == []
    assert containers() == {}


def test_what_takes_too_long_is_interrupted_and_what_does_not_stop_is_killed(
    options: dict[str, Any],
) -> None:
    deaf = "import time\nwhile True:\n    try: time.sleep(9)\n    except: pass"
    stopped, kept, lost, after = cells(
        "x = 1\nwhile True: pass", "x", deaf, "1 + 1",
        limits=CellLimits(seconds=0.5), sandbox=DockerSandbox(**options),
    )  # fmt: skip
    assert stopped.error is not None and stopped.error.kind == "timeout"
    assert kept.value == "1"
    assert lost.error is not None and lost.error.kind == "lost"
    assert after.value == "2"


def test_rr56_rr57_kept_and_used_again(options: dict[str, Any]) -> None:
    facts: dict[str, Any] = {}
    cells("1", sandbox=DockerSandbox(keep_alive=True, **options), facts=facts)
    container = facts["container"]
    try:
        again = DockerSandbox(reuse_container=container)

        async def one(number: int) -> str | None:
            given = {"context": "x" * number}
            async with (
                place_of(given, LIMITS, again) as place,
                place.open(given, {}, OpenOptions()) as session,
            ):
                assert place.facts["container"] == container
                return (await session.execute("len(context)")).value

        async def main() -> list[str | None]:
            return await asyncio.gather(*(one(number) for number in (1, 2, 2_000_000)))

        assert asyncio.run(main()) == ["1", "2", "2000000"]
    finally:
        subprocess.run(["docker", "rm", "-f", container], check=True, capture_output=True)


def test_a_pool_with_inputs_that_fit_and_that_do_not(options: dict[str, Any]) -> None:
    with DockerSandbox(pool=1, memory_mb=64, **options) as sandbox:
        for size in (1000, 60_000_000):
            [done] = cells("len(context)", inputs={"context": "x" * size}, sandbox=sandbox)
            assert done.value == str(size)
    deadline = time.monotonic() + 20
    while containers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert containers() == {}
