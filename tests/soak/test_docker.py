"""The long tests of the docker sandbox: hosts killed at random moments, a pool in use for long."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from in_containers import LIMITS, containers, soon

from rlm.sandbox.base import OpenOptions, Place
from rlm.sandbox.docker import DockerSandbox
from soak.sizes import times

pytestmark = [pytest.mark.soak, pytest.mark.docker]

_HOST = """
    import asyncio
    from rlm.sandbox._docker_owner import Owner
    from rlm.sandbox.base import CellLimits, OpenOptions
    from rlm.sandbox.docker import DockerSandbox
    print(Owner.mine().host, flush=True)
    async def one(sandbox, number):
        given = {"context": "x" * 50_000 * number}
        async with sandbox.start(given, CellLimits()) as place:
            async with place.open(given, {}, OpenOptions()) as session:
                await session.execute("open('f', 'w').write(context)")
    async def main():
        pooled = DockerSandbox(pool=2)
        while True:
            await asyncio.gather(*(one(pooled if n % 2 else DockerSandbox(), n) for n in range(3)))
    asyncio.run(main())
"""

_NEXT = """
    import asyncio
    from rlm.sandbox.base import CellLimits
    from rlm.sandbox.docker import DockerSandbox
    async def main():
        async with DockerSandbox().start({}, CellLimits()):
            pass
    asyncio.run(main())
"""


def _run(program: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "TMPDIR": str(folder)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_lesson_34_hosts_killed_at_random_moments_leave_nothing(tmp_path: Path) -> None:
    draw = random.Random(7)
    for _ in range(times(60)):
        with _run(_HOST, tmp_path) as host:
            assert host.stdout is not None
            name = host.stdout.readline().strip()
            time.sleep(draw.random() * 2)
            host.send_signal(signal.SIGKILL)
        with _run(_NEXT, tmp_path) as later:
            pass
        assert later.returncode == 0
        pid = str(host.pid)
        assert soon(
            lambda name=name, pid=pid: all(  # type: ignore[misc] # mypy infers no such lambda
                found["Config"]["Labels"]["rlm.pid"] != pid for found in containers(name).values()
            )
        )
        left = [name for name in os.listdir(tmp_path) if len(name) != 8]  # Python tries a folder
        assert left == []


def test_a_pool_serves_many_runs_some_cancelled_and_leaves_nothing() -> None:
    draw = random.Random(3)
    before = len(os.listdir("/proc/self/fd"))
    sessions = 0

    async def cells(place: Place, number: int) -> None:
        nonlocal sessions
        async with place.open({"n": number}, {}, OpenOptions()) as session:
            junk = "import os\nfor fd in range(3, 40):\n    try: os.write(fd, b'junk' * 99)\n"
            junk += "    except OSError: pass\n" if number % 5 == 0 else ""
            await session.execute(junk if number % 5 == 0 else "n * 2")
            sessions += 1

    async def one(sandbox: DockerSandbox, number: int) -> None:
        try:
            async with (
                asyncio.timeout(draw.random() if number % 3 == 0 else 60),
                sandbox.start({"x": "y" * draw.randrange(100_000)}, LIMITS) as place,
            ):
                await asyncio.gather(*(cells(place, number + n) for n in range(4)))
        except TimeoutError:
            assert number % 3 == 0

    async def main() -> None:
        async with DockerSandbox(pool=3) as sandbox:
            for start in range(0, times(300), 3):
                await asyncio.gather(*(one(sandbox, start + n) for n in range(3)))

    asyncio.run(main())
    assert sessions
    assert containers() == {}
    assert len(os.listdir("/proc/self/fd")) <= before + 2
