"""The recipes of docs/sandboxes.md, run as they stand there."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import getpass
import itertools
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from engines import need, need_docker, need_program

import rlm
from rlm.files import File
from rlm.sandbox.base import CellLimits, Execution, Functions, OpenOptions
from rlm.sandbox.command import CommandSandbox

LIMITS = CellLimits(seconds=20)
PAGE = Path(__file__).resolve().parent.parent / "docs" / "sandboxes.md"
SECRET = "sk-only-the-host-may-know"
TOKEN = "what-only-the-command-may-know"
RECIPES = ["bwrap", "docker", "podman", "ssh", "unshare"]

_TO_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A sandbox of the documentation, and what may be left of it on the other side."""

    sandbox: CommandSandbox
    left: Callable[[], list[str]] = list

    def everything_left(self) -> list[str]:
        """Return the processes of guests, and what else the other side has of them."""
        return [*processes(self.sandbox.folder), *self.left()]


def documented() -> dict[str, CommandSandbox]:
    """Return the sandboxes that the documentation makes, by the variables that have them."""
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    [block] = [each for each in blocks if "CommandSandbox(" in each]
    namespace: dict[str, Any] = {}
    exec(compile(block, PAGE.name, "exec"), namespace)
    return {name: each for name, each in namespace.items() if isinstance(each, CommandSandbox)}


def own_folder() -> str:
    """Return a name of /tmp that no other process has among its words."""
    return "/tmp" + "".join("/." if secrets.randbits(1) else "//" for _ in range(48))


def processes(folder: str) -> list[str]:
    """Return those of this machine, containers included, that have this among their words."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if folder.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(entry.name)
    return found


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def run(*words: str, **more: Any) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


# what is on the other side


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A real sshd on the loopback, and the words with which ssh finds it under the name `box`."""
    sshd, folder = need_program("sshd"), tmp_path_factory.mktemp("ssh")
    need_program("ssh")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it insists
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for name in ("host", "mine"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    (folder / "banner").write_text("Authorized use only.\n", encoding="utf-8")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/mine.pub\nStrictModes no\nUsePAM no\nBanner {folder}/banner\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\n",
        encoding="utf-8",
    )
    (folder / "config").write_text(
        f"Host box\nHostName 127.0.0.1\nPort {port}\nUser {getpass.getuser()}\n"
        f"IdentityFile {folder}/mine\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\n"
        "StrictHostKeyChecking accept-new\n",
        encoding="utf-8",
    )
    with (folder / "log").open("wb") as log:
        words = [sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
        server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log)
    try:
        assert soon(lambda: _listens(port)), (folder / "log").read_text(encoding="utf-8")
        yield ["-F", str(folder / "config")]
    finally:
        server.terminate()
        server.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture(scope="module")
def pods() -> Iterator[tuple[list[str], dict[str, str]]]:
    """A podman with a store of its own that has the image: its words, and its environment."""
    need_docker()
    need_program("podman")
    folder = Path(tempfile.mkdtemp(prefix="pods-", dir="/tmp"))  # a runroot has 50 letters at most
    config = folder / "containers.conf"
    limits = 'default_ulimits=["nofile=1024:1024", "nproc=1024:1024"]'
    config.write_text(f"[containers]\n{limits}\n", encoding="utf-8")
    words = [
        f"--root={folder}/root", f"--runroot={folder}/runroot", f"--tmpdir={folder}/tmp",
        f"--runtime={need_program('runc')}", "--storage-driver=vfs", "--cgroup-manager=cgroupfs",
        "--events-backend=file",
    ]  # fmt: skip
    environment = {"CONTAINERS_CONF": str(config)}
    image = folder / "image.tar"
    _save_image("rlm/repl", image)
    run("podman", *words, "load", "-q", "-i", str(image), env={**os.environ, **environment})
    image.unlink()
    yield words, environment
    shutil.rmtree(folder)


def _save_image(name: str, path: Path) -> None:
    import docker

    client = docker.APIClient(base_url=os.environ["DOCKER_HOST"], version="auto")
    try:
        with path.open("wb") as file:
            file.writelines(client.get_image(name))
    finally:
        client.close()


@pytest.fixture
def recipe(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recipe]:
    """A recipe by its program; nothing of it is left afterwards, and a key was in no reach."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    made = globals()[f"_{request.param}"](request)
    env = {**made.sandbox.env, "FOR_THE_COMMAND": TOKEN}
    there = dataclasses.replace(made.sandbox, folder=own_folder(), env=env)
    found = dataclasses.replace(made, sandbox=there)
    yield found
    assert soon(lambda: found.everything_left() == []), found.everything_left()


def _bwrap(request: pytest.FixtureRequest) -> Recipe:
    need_program("bwrap")
    need_program("/usr/bin/python3")
    return Recipe(_as_nobody(documented()["jail"]))


def _unshare(request: pytest.FixtureRequest) -> Recipe:
    need_program("unshare")
    need_program("/usr/bin/python3")
    return Recipe(_as_nobody(documented()["namespaces"]))


def _as_nobody(made: CommandSandbox) -> CommandSandbox:
    """Put before a command what the documentation says that root should."""
    if os.geteuid():
        return made
    assert f"`{' '.join(_TO_NOBODY)}`" in PAGE.read_text("utf-8")
    return dataclasses.replace(
        made, command=[need_program(_TO_NOBODY[0]), *_TO_NOBODY[1:], *made.command]
    )


def _ssh(request: pytest.FixtureRequest) -> Recipe:
    made = documented()["remote"]
    found = request.getfixturevalue("box")
    words = [made.command[0], *found, *made.command[1:]]
    return Recipe(dataclasses.replace(made, command=words, python=sys.executable))


def _podman(request: pytest.FixtureRequest) -> Recipe:
    made = documented()["container"]
    store, environment = request.getfixturevalue("pods")
    words = [made.command[0], *store, *made.command[1:]]
    known = {**os.environ, **environment}

    def left() -> list[str]:
        return run("podman", *store, "ps", "-aq", env=known).split()

    return Recipe(dataclasses.replace(made, command=words, env=environment), left)


def _docker(request: pytest.FixtureRequest) -> Recipe:
    need_docker()
    need_program("docker")
    label = f"rlm-test-{os.getpid()}-{next(_numbers)}"
    made = documented()["container"]
    words = ["docker", "run", f"--label={label}", *made.command[2:]]

    def left() -> list[str]:
        return run("docker", "ps", "-aq", "--filter", f"label={label}").split()

    return Recipe(dataclasses.replace(made, command=words), left)


def cells(
    sandbox: CommandSandbox,
    *codes: str,
    inputs: dict[str, Any] | None = None,
    functions: Functions | None = None,
) -> tuple[dict[str, Any], list[Execution]]:
    async def main() -> tuple[dict[str, Any], list[Execution]]:
        given = inputs or {}
        async with (
            sandbox.start(given, LIMITS) as place,
            place.open(given, functions or {}, OpenOptions()) as session,
        ):
            return dict(place.facts), [await session.execute(code) for code in codes]

    return asyncio.run(main())


def each(names: Sequence[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recipe", names, indirect=True)


# what users rely on


@each(RECIPES)
def test_rb61_a_recipe_carries_inputs_calls_and_output(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"line\n" * 100_000 + b"needle\xff\n")
    inputs = {"text": "é" * 1_000_000, "file": File(path)}

    async def double(items: list[int]) -> list[int]:
        return [2 * item for item in items]

    facts, [one, two, three] = cells(
        recipe.sandbox,
        f"kept = double([len(text)]); mine = '{'x' * 200_000}'",
        "(kept, len(mine), file.find('needle'))",
        "print('z' * 1_000_000)",
        inputs=inputs, functions={"double": double},
    )  # fmt: skip
    assert one.ok and three.stdout_chars == 1_000_001
    assert two.value == "([2000000], 200000, 500000)"
    assert facts["command"] == Path(recipe.sandbox.command[0]).name


@each(RECIPES)
def test_lesson_29_no_recipe_lets_a_key_through(recipe: Recipe) -> None:
    code = """
        import glob, os
        found = [dict(os.environ)]
        for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
            try: found.append(open(path, "rb").read())
            except OSError: pass
        print(found)
    """
    _, [done] = cells(recipe.sandbox, textwrap.dedent(code))
    assert done.ok and SECRET not in done.stdout and TOKEN not in done.stdout


@each(RECIPES)
def test_rb46_a_recipe_reaches_neither_files_nor_network_of_this_machine(recipe: Recipe) -> None:
    _, [files, network, programs] = cells(
        recipe.sandbox,
        f"open({str(PAGE)!r}).read()",
        "import socket; socket.create_connection(('127.0.0.1', 9), 1)",
        "import subprocess; subprocess.run(['true'])",
    )
    assert files.error is not None and network.error is not None and programs.error is not None
    assert files.error.type in ("PermissionError", "FileNotFoundError")
    assert network.error.type in ("PermissionError", "OSError")


@each(RECIPES)
def test_a_recipe_has_no_wall_missing(recipe: Recipe) -> None:
    facts, _ = cells(recipe.sandbox)
    assert facts["missing"] == []
    assert "landlock" in facts["walls"]["files"]
    assert "for all sessions, in memory" in facts["walls"]["disk"]


@each(["bwrap", "docker", "unshare"])
def test_a_recipe_bounds_threads(recipe: Recipe) -> None:
    code = """
        import threading, time
        for started in range(500):
            threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
    """
    _, [done] = cells(recipe.sandbox, textwrap.dedent(code))
    assert done.error is not None
    assert done.error.type == "RuntimeError" and "start new thread" in done.error.message


@each(RECIPES)
def test_lesson_34_a_recipe_leaves_nothing_when_its_host_is_killed(recipe: Recipe) -> None:
    options = json.dumps({**dataclasses.asdict(recipe.sandbox), "env": dict(recipe.sandbox.env)})
    script = """
        import asyncio, json, sys
        from rlm.sandbox.base import CellLimits, OpenOptions
        from rlm.sandbox.command import CommandSandbox

        async def main():
            async with CommandSandbox(**json.loads(sys.argv[1])).start({}, CellLimits()) as place:
                async with place.open({}, {}, OpenOptions()) as session:
                    print("up", flush=True)
                    await session.execute("while True: pass")

        asyncio.run(main())
    """
    host = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), options], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    with host.stdout:
        assert host.stdout.readline() == "up\n"
        assert recipe.everything_left()
        host.kill()
        host.wait()


@each(RECIPES)
def test_rb45_a_whole_run_goes_through_a_recipe(recipe: Recipe) -> None:
    result = rlm.completion(
        "What is the magic number?", context="hay\n" * 50_000 + "The magic number is 7.\n",
        model="offline/needle", sandbox=recipe.sandbox,
    )  # fmt: skip
    assert (result.value, result.sandbox["name"]) == ("7", "command")


@each(["ssh"])
def test_a_terminal_in_between_is_told(recipe: Recipe) -> None:
    need(os.geteuid() == 0, "sshd that gives terminals", "run this test as root")
    words = [*recipe.sandbox.command[:-1], "-tt", "-o", "RequestTTY=force", "box"]
    with pytest.raises(rlm.SandboxError, match="puts a terminal in between"):
        cells(dataclasses.replace(recipe.sandbox, command=words))


@each(["ssh"])
def test_no_python_over_there_is_told_in_the_shells_words(recipe: Recipe) -> None:
    sandbox = dataclasses.replace(recipe.sandbox, python="python9")
    with pytest.raises(rlm.SandboxError, match=r"exit code 127.*python9.*not found"):
        cells(sandbox)


@each(["podman"])
def test_an_image_that_is_missing_is_told_in_the_commands_words(recipe: Recipe) -> None:
    words = [*recipe.sandbox.command[:-1], "localhost/rlm/not-there"]
    with pytest.raises(rlm.SandboxError, match=r"the command 'podman' runs no sandbox.*not-there"):
        cells(dataclasses.replace(recipe.sandbox, command=words))
