"""The options of the docker sandbox and the walls that come of them, outside and inside."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from in_containers import cells, containers, engine_does, place_of

from rlm.errors import ConfigurationError, SandboxError
from rlm.sandbox import _docker_engine
from rlm.sandbox._docker_address import Address
from rlm.sandbox._docker_engine import Engine
from rlm.sandbox._docker_walls import missing_inside, unseen_inside
from rlm.sandbox.base import CellLimits
from rlm.sandbox.docker import IMAGE, DockerSandbox

needs_engine = pytest.mark.docker

WHOLE: dict[str, Any] = {
    "uid": 65534, "gid": 65534, "capabilities": ["0" * 16, "0" * 16], "no_new_privs": True,
    "seccomp": True, "devices": ["lo"], "read_only": True, "memory": 1 << 28, "pids": 256,
}  # fmt: skip


def host_config(sandbox: DockerSandbox) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        async with place_of(sandbox=sandbox):
            [found] = (await asyncio.to_thread(containers)).values()
            return {**found["HostConfig"], "Image": found["Config"]["Image"]}

    return asyncio.run(main())


@needs_engine
def test_rr51_rr52_rr53_rr54_what_is_asked_for_by_default() -> None:
    found = host_config(DockerSandbox())
    assert found["Image"] == IMAGE
    assert found["Memory"] >> 20 == 256 + 3 * 64  # what is written and printed is in memory
    assert (found["NanoCpus"], found["PidsLimit"]) == (10**9, 256)
    assert found["NetworkMode"] == "none"


@needs_engine
def test_rr51_rr52_rr53_rr55_rr58_options_reach_the_engine() -> None:
    sandbox = DockerSandbox(
        image="rlm/python", memory_mb=96, cpus=0.5, pids=32, network=True, scratch_mb=7,
        connect_timeout=3,
    )  # fmt: skip
    found = host_config(sandbox)
    assert found["Image"] == "rlm/python"
    assert found["Memory"] >> 20 == 96 + 3 * 7
    assert (found["NanoCpus"], found["PidsLimit"]) == (5 * 10**8, 32)
    assert found["NetworkMode"] == "default"
    assert "size=7m" in found["Tmpfs"]["/tmp"] and "nr_inodes=1024" in found["Tmpfs"]["/tmp"]


@needs_engine
def test_rr61_rr62_no_folder_of_the_host_is_in_there_and_functions_are_the_hosts() -> None:
    async def where() -> str:
        return "on the host"

    look, asked = cells(
        "import os; sorted(os.stat(p).st_dev == os.stat('/').st_dev for p in ('/usr', '/etc'))",
        "where()", functions={"where": where},
    )  # fmt: skip
    assert (look.value, asked.value) == ("[True, True]", "'on the host'")


@needs_engine
def test_rb45_rb60_cells_run_in_a_container_and_leave_it_as_it_was() -> None:
    for _ in range(2):
        [done] = cells("import os\nopen('f', 'x').close()\nos.listdir()")
        assert done.value == "['f']"
    assert containers() == {}


@needs_engine
def test_lesson_31_what_the_guest_sees_is_whole_and_told() -> None:
    facts: dict[str, Any] = {}
    cells("1", sandbox=DockerSandbox(require_confinement=True), facts=facts)
    assert facts["missing"] == []
    assert "landlock" in facts["walls"]["files"]
    assert "read-only root" in facts["walls"]["files"]
    assert facts["walls"]["network"].startswith("none")
    assert facts["container"] not in containers()


@needs_engine
def test_lesson_31_what_is_missing_is_told_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlm.sandbox import _docker_berth

    def open_walls(*given: Any) -> dict[str, Any]:
        return {"read_only": False, "network_mode": "none", "tmpfs": {"/tmp": "mode=1777"}}

    monkeypatch.setattr(_docker_berth, "asked_for", open_walls)
    facts: dict[str, Any] = {}
    cells("1", facts=facts)
    expected = {
        "dropped capabilities", "no_new_privs", "a read-only root",
        "a limit of memory that can be seen", "a limit of processes that can be seen",
    }  # fmt: skip
    assert expected <= set(facts["missing"])
    with pytest.raises(SandboxError, match=r"a read-only root.*require_confinement=False"):
        cells("1", sandbox=DockerSandbox(require_confinement=True))
    assert containers() == {}


@needs_engine
def test_sessions_of_one_container_do_not_reach_each_others_files() -> None:
    from rlm.sandbox.base import OpenOptions

    async def main() -> None:
        async with (
            place_of() as place,
            place.open({}, {}, OpenOptions()) as one,
            place.open({}, {}, OpenOptions()) as other,
        ):
            wrote = await one.execute("import os\nopen('f', 'w').write('mine'); os.getcwd()")
            assert wrote.value is not None
            folder = eval(wrote.value)
            for code in (f"open({folder + '/f'!r}).read()", f"open({folder + '/g'!r}, 'w')",
                         f"import os; os.listdir({folder!r})"):  # fmt: skip
                refused = await other.execute(code)
                assert refused.error is not None and refused.error.type == "PermissionError"

    asyncio.run(main())


@needs_engine
def test_what_of_the_image_cells_may_read_is_named() -> None:
    [closed] = cells("open('/etc/passwd').read(4)")
    assert closed.error is not None and closed.error.type == "PermissionError"
    [open_] = cells("open('/etc/passwd').read(4)", sandbox=DockerSandbox(allow_read=("/etc",)))
    assert open_.value == "'root'"


@needs_engine
def test_lesson_34_eight_places_in_parallel() -> None:
    async def one(number: int) -> str:
        async with place_of({"n": number}) as place:
            return str(place.facts["container"])

    async def main() -> list[str]:
        return await asyncio.gather(*(one(number) for number in range(8)))

    assert len(set(asyncio.run(main()))) == 8
    assert containers() == {}


def test_a_whole_container_lacks_nothing_and_each_wall_has_a_name() -> None:
    assert missing_inside(WHOLE, network=False) == unseen_inside(WHOLE) == []
    bad: dict[str, Any] = {
        "uid": 0, "capabilities": ["0" * 15 + "1", "0" * 16], "no_new_privs": False,
        "devices": ["lo", "eth0"], "read_only": False,
    }  # fmt: skip
    words = [missing_inside({**WHOLE, name: value}, network=False) for name, value in bad.items()]
    assert all(len(each) == 1 for each in words)
    assert "eth0" in words[3][0]
    assert missing_inside({**WHOLE, "devices": ["lo", "eth0"]}, network=True) == []
    hidden: dict[str, Any] = {"seccomp": False, "memory": None, "pids": None}
    assert len(unseen_inside({**WHOLE, **hidden})) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"network": "none"}, "network='none': give True or False"),
        ({"keep_alive": 1}, "keep_alive=1"),
        ({"pids": 8.5}, "pids=8.5: give a whole number"),
        ({"memory_mb": True}, "memory_mb=True"),
        ({"cpus": float("nan")}, "cpus=nan"),
        ({"pool": -1}, "pool=-1"),
        ({"reuse_container": ""}, "reuse_container=''"),
        ({"runtime": 7}, "runtime=7"),
        ({"allow_read": "/etc"}, "allow_read='/etc': give a list"),
        ({"allow_read": ["etc"]}, "allow_read='etc': give an absolute path"),
    ],
)
def test_options_that_mean_nothing_are_refused_by_name(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        DockerSandbox(**options)


def test_what_the_engine_cannot_do_is_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="rlm"):
        _docker_engine._warn(
            [
                "IPv4 forwarding is disabled. Networking will not work.",
                "Your kernel does not support memory limit capabilities. Limitation discarded.",
            ]
        )
    [record] = caplog.records
    assert "memory limit" in record.getMessage()


@needs_engine
def test_rr58_an_unknown_runtime_and_a_missing_python_are_told() -> None:
    with pytest.raises(SandboxError, match="no-such-runtime"):
        cells("1", sandbox=DockerSandbox(runtime="no-such-runtime"))
    walls = {"network_mode": "none"}
    made = engine_does(lambda e: e.create(IMAGE, ["no-such-python"], {}, {}, {}, **walls))
    try:
        with pytest.raises(SandboxError, match="no-such-python"):
            engine_does(lambda engine: engine.start(made))
    finally:
        engine_does(lambda engine: engine.remove(made))


def test_a_socket_that_one_may_not_use_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    def refuse(self: Any, timeout: float) -> None:
        raise PermissionError(13, "Permission denied")  # root, who runs tests, is refused nothing

    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    monkeypatch.setattr(Address, "knock", refuse)
    with pytest.raises(SandboxError, match=r"Permission denied.*group"):
        Engine(1)


@needs_engine
def test_limits_of_cells_are_within_the_containers() -> None:
    facts: dict[str, Any] = {}
    limits = CellLimits(seconds=20, memory_mb=100)
    cells("1", sandbox=DockerSandbox(memory_mb=512), limits=limits, facts=facts)
    assert facts["memory_mb"] == 100
