"""Containers that outlive a run: kept, used again, by many, from elsewhere; refused when unfit."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.shell import rlm
from in_containers import LIMITS, cells, containers, engine_does, place_of, soon
from parts import Ask, cell

from rlm.errors import ConfigurationError, SandboxError
from rlm.sandbox._docker_owner import KEPT, Owner
from rlm.sandbox._docker_walls import asked_for, missing_outside
from rlm.sandbox.base import OpenOptions
from rlm.sandbox.docker import IMAGE, DockerSandbox
from rlm.testing import ScriptedLM

pytestmark = pytest.mark.docker


@pytest.fixture
def kept() -> Iterator[str]:
    """The id of a container that a run has kept."""
    facts: dict[str, Any] = {}
    cells("1", sandbox=DockerSandbox(keep_alive=True), facts=facts)
    yield facts["container"]
    engine_does(lambda engine: engine.remove(facts["container"]))


def inside(container: str, code: str) -> str:
    """Run a program in a container by the engine's own command."""
    done = subprocess.run(
        ["docker", "exec", container, "python3", "-c", code],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def guests(container: str) -> list[str]:
    """Return what runs in a kept container beside its keeper."""
    look = (
        "import os; print(*[p for p in os.listdir('/proc') if p.isdigit() and p != '1'"
        " and int(p) != os.getpid()])"
    )
    return inside(container, look).split()


def test_rr56_keep_alive_leaves_the_container_and_says_its_id(kept: str) -> None:
    found = engine_does(lambda engine: engine.inspect(kept))
    assert found["State"]["Running"] is True
    assert found["Config"]["Labels"]["rlm.pid"] == str(os.getpid())
    assert missing_outside(found, network=False) == []
    assert soon(lambda: inside(kept, "import os; print(os.listdir('/tmp'))") == "[]")


def test_rr57_lesson_32_a_kept_container_serves_again_and_again(kept: str) -> None:
    for name in (kept, kept[:12], engine_does(lambda e: e.inspect(kept))["Name"].lstrip("/")):
        facts: dict[str, Any] = {}
        sandbox = DockerSandbox(reuse_container=name)
        [done] = cells("context[-1]", inputs={"context": "x" * 99_999 + name[0]}, sandbox=sandbox,
                       facts=facts)  # fmt: skip
        assert done.value == repr(name[0])
        assert facts["container"] == kept
        assert facts["missing"] == []


def test_rr57_several_runs_at_once_share_it_and_see_nothing_of_each_other(kept: str) -> None:
    look = """
        import os
        open('mine', 'w').write(secret)
        seen = []
        for top, folders, files in os.walk('/tmp'):
            seen += files
        for path in ('/tmp', '..', '../..'):
            try: seen += os.listdir(path)
            except OSError: pass
        for pid in range(1, 300):
            if pid != os.getpid():
                try: os.kill(pid, 9); seen.append(pid)
                except OSError: pass
                try: seen.append(open(f'/proc/{pid}/environ').read())
                except OSError: pass
        meet()
        (seen, open('mine').read() == secret)
    """

    async def main() -> list[Any]:
        together = asyncio.Barrier(3)

        async def meet() -> None:
            await together.wait()

        async def one(number: int) -> Any:
            given = {"secret": f"secret {number}"}
            sandbox = DockerSandbox(reuse_container=kept)
            async with (
                place_of(given, sandbox=sandbox) as place,
                place.open(given, {"meet": meet}, OpenOptions()) as session,
            ):
                return await session.execute(textwrap.dedent(look))

        return await asyncio.gather(*(one(number) for number in range(3)))

    for done in asyncio.run(main()):
        assert done.value == "([], True)", done


def test_rr57_another_process_uses_it_too(kept: str, tmp_path: Path) -> None:
    done = rlm("exec", "--sandbox", "docker", "--set", f"reuse_container={kept}", "--json",
               stdin="6 * 7", cwd=tmp_path, DOCKER_HOST=os.environ["DOCKER_HOST"])  # fmt: skip
    told = json.loads(done.stdout)
    assert told["value"] == "42"
    assert told["sandbox"]["container"] == kept


def test_rr57_a_whole_run_in_a_kept_container(kept: str, predict: Ask) -> None:
    code = "submit(answer=str(llm_query('Where?', context=context[:3], recursive=True)))"
    with ScriptedLM([cell(code), cell("submit(context.upper())")]) as lm:
        result = predict("context -> answer", input={"context": "far away"}, model=lm,
                         sandbox=DockerSandbox(reuse_container=kept))  # fmt: skip
    assert result.value == "FAR"
    assert result.sandbox["container"] == kept


def test_lesson_34_what_is_kept_is_not_swept_when_its_maker_is_dead() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    dead = Owner(Owner.mine().host, gone.pid, "1", keeps=True)
    walls = asked_for(DockerSandbox(), 0)
    made = engine_does(
        lambda engine: engine.create(IMAGE, ["python3"], {}, dead.labels, {}, **walls)
    )
    try:
        cells("1")
        labels = engine_does(lambda engine: engine.labelled(KEPT))
        assert made in [each["id"] for each in labels]
    finally:
        engine_does(lambda engine: engine.remove(made))


def test_lesson_34_a_killed_host_leaves_no_guest_in_a_kept_container(kept: str) -> None:
    assert soon(lambda: guests(kept) == [])
    program = f"""
        import asyncio
        from rlm.sandbox.base import CellLimits, OpenOptions
        from rlm.sandbox.docker import DockerSandbox
        async def main():
            async with DockerSandbox(reuse_container={kept!r}).start({{}}, CellLimits()) as place:
                async with place.open({{}}, {{}}, OpenOptions()) as session:
                    await session.execute("open('left', 'w').write('x' * 10_000)")
                    print("there", flush=True)
                    await session.execute("while True: pass")
        asyncio.run(main())
    """
    host = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    assert host.stdout.readline() == "there\n"
    assert len(guests(kept)) == 3  # relay, zygote, session
    host.send_signal(signal.SIGKILL)
    host.wait()
    host.stdout.close()
    assert soon(lambda: guests(kept) == [])


def test_a_guest_that_is_killed_in_a_kept_container_is_replaced_there(kept: str) -> None:
    async def main() -> None:
        sandbox = DockerSandbox(reuse_container=kept)
        async with (
            place_of({"x": 1}, sandbox=sandbox) as place,
            place.open({"x": 1}, {}, OpenOptions()) as session,
        ):
            running = asyncio.create_task(session.execute("import time; time.sleep(60)"))
            await asyncio.sleep(0.1)
            kill = (
                "import os\nfor p in os.listdir('/proc'):\n"
                "    if p.isdigit() and int(p) not in (1, os.getpid()):\n"
                "        try: os.kill(int(p), 9)\n"
                "        except ProcessLookupError: pass  # it went with the one before"
            )
            await asyncio.to_thread(inside, kept, kill)
            lost = await running
            assert lost.error is not None and lost.error.kind == "lost"
            assert (await session.execute("x")).value == "1"
            assert place.facts["container"] == kept
        # the folder of the guest that was killed went with the start of the next
        look = "import os; print(len(os.listdir('/tmp')))"
        assert await asyncio.to_thread(soon, lambda: inside(kept, look) == "0")

    asyncio.run(main())


@pytest.mark.parametrize("after", [0.0, 0.1, 0.3])
def test_lesson_34_cancelling_the_start_keeps_nothing(after: float) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(after):
                async with place_of({"x": "y" * 1000}, sandbox=DockerSandbox(keep_alive=True)):
                    raise TimeoutError  # it was faster: then it is kept

    before = _kept()
    asyncio.run(main())
    for container in _kept() - before:  # nothing but what came to serve
        assert inside(container, "print('alive')") == "alive"
        subprocess.run(["docker", "rm", "-f", container], check=True, capture_output=True)


def _kept() -> set[str]:
    """Return those of this process: other tests keep some at the same time."""
    mine = [KEPT, f"rlm.pid={os.getpid()}"]
    return {labels["id"] for labels in engine_does(lambda engine: engine.labelled(*mine))}


def test_lesson_34_a_start_that_fails_keeps_nothing() -> None:
    before = _kept()
    with pytest.raises(ConfigurationError, match="input 'lock'"):
        cells("1", inputs={"lock": object()}, sandbox=DockerSandbox(keep_alive=True))
    with pytest.raises(SandboxError, match="not there"):
        cells("1", sandbox=DockerSandbox(keep_alive=True, image="nobody/has:this"))
    assert _kept() == before


def test_rr57_inputs_that_its_memory_does_not_hold_are_refused(kept: str) -> None:
    with pytest.raises(SandboxError, match="do not hold these inputs"):
        cells("1", inputs={"context": "x" * 300_000_000},
              sandbox=DockerSandbox(reuse_container=kept))  # fmt: skip
    [done] = cells("len(context)", inputs={"context": "x" * 30_000_000},
                   sandbox=DockerSandbox(reuse_container=kept))  # fmt: skip
    assert done.value == "30000000"


def test_rr57_a_container_that_is_not_there_or_not_ours_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'nobody'.*rlm docker ls"):
        cells("1", sandbox=DockerSandbox(reuse_container="nobody"))
    facts: dict[str, Any] = {}

    async def main() -> None:
        async with place_of() as place:  # ours, but a run's own
            facts.update(place.facts)
            with pytest.raises(ConfigurationError, match="not made by rlm to be kept"):
                async with place_of(sandbox=DockerSandbox(reuse_container=facts["container"])):
                    pass

    asyncio.run(main())
    with pytest.raises(ConfigurationError, match="reuse_container"):
        cells("1", sandbox=DockerSandbox(reuse_container=facts["container"]))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"read_only": False}, "a read-only root"),
        ({"cap_drop": None, "cap_add": ["SYS_ADMIN"]}, "dropped capabilities"),
        ({"privileged": True}, "dropped capabilities"),
        ({"security_opt": None}, "no_new_privs"),
        ({"mem_limit": 0, "memswap_limit": 0}, "a limit of memory"),
        ({"pids_limit": None}, "a limit of processes"),
        ({"network_mode": "host"}, "network"),
        ({"pid_mode": "host"}, "PidMode"),
        ({"ipc_mode": "host"}, "IpcMode"),
        ({"binds": ["/usr/share:/data:ro"]}, "mounts: it has /data"),
    ],
)
def test_rr57_a_container_that_lacks_a_wall_is_refused_by_its_name(
    changed: dict[str, Any], said: str
) -> None:
    labels = Owner.mine(keeps=True).labels
    walls = {**asked_for(DockerSandbox(), 0), **changed}
    command = ["python3", "-c", "import time; time.sleep(60)"]
    made = engine_does(lambda engine: engine.create(IMAGE, command, {}, labels, {}, **walls))
    try:
        engine_does(lambda engine: engine.start(made))
        with pytest.raises(ConfigurationError, match=f"lacks .*{said}"):
            cells("1", sandbox=DockerSandbox(reuse_container=made))
    finally:
        engine_does(lambda engine: engine.remove(made))


def test_a_network_that_is_wanted_and_not_there_is_told(kept: str) -> None:
    with pytest.raises(ConfigurationError, match="network=True asks for"):
        cells("1", sandbox=DockerSandbox(reuse_container=kept, network=True))


def test_a_container_that_is_paused_is_refused(kept: str) -> None:
    subprocess.run(["docker", "pause", kept], check=True, capture_output=True)
    try:
        with pytest.raises(ConfigurationError, match="paused"):
            cells("1", sandbox=DockerSandbox(reuse_container=kept))
    finally:
        subprocess.run(["docker", "unpause", kept], check=True, capture_output=True)


def test_one_that_was_kept_and_has_ended_is_made_anew_within_a_run() -> None:
    ids: list[str] = []

    async def main() -> None:
        sandbox = DockerSandbox(keep_alive=True)
        async with place_of({"x": 1}, sandbox=sandbox) as place:
            ids.append(place.facts["container"])
            async with place.open({"x": 1}, {}, OpenOptions()) as session:
                await asyncio.to_thread(engine_does, lambda engine: engine.remove(ids[0]))
                await session.execute("1")
                assert (await session.execute("x")).value == "1"
                ids.append(place.facts["container"])

    asyncio.run(main())
    assert ids[0] != ids[1]
    assert ids[1] in containers() or ids[1] in _kept()
    engine_does(lambda engine: engine.remove(ids[1]))


@pytest.mark.parametrize("options", [{"pool": 2}, {"secrets": {"TOKEN": "/etc/hostname"}}])
@pytest.mark.parametrize("lasting", [{"keep_alive": True}, {"reuse_container": "abc"}])
def test_what_serves_one_run_does_not_go_with_what_lasts(
    options: dict[str, Any], lasting: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match="do not go together"):
        DockerSandbox(**options, **lasting)


def test_limits_of_a_run_hold_in_a_kept_container(kept: str) -> None:
    facts: dict[str, Any] = {}
    cells("1", sandbox=DockerSandbox(reuse_container=kept), facts=facts)
    assert 0 < facts["memory_mb"] <= 1024 == LIMITS.memory_mb


def test_what_a_killed_guest_left_keeps_no_other_from_a_kept_container(kept: str) -> None:
    deep = "import os\nfor name in ['/tmp/rlm-left'] + ['d'] * 1500: os.mkdir(name); os.chdir(name)"
    inside(kept, deep)
    [done] = cells("1 + 1", sandbox=DockerSandbox(reuse_container=kept))
    assert done.value == "2"
    assert soon(lambda: "rlm-left" not in inside(kept, "import os; print(os.listdir('/tmp'))"))
