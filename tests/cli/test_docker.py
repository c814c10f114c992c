from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

import pytest

from cli.shell import rlm
from cli.test_app import DOCS
from rlm.cli.app import run_app
from rlm.sandbox._docker_engine import Engine
from rlm.sandbox._docker_owner import Owner
from rlm.sandbox.base import CellLimits, OpenOptions
from rlm.sandbox.docker import IMAGE, DockerSandbox

HERE = Path(__file__).parents[2]


def test_help_explains_it_and_the_documentation_names_every_option() -> None:
    done = rlm("docker", "build", "--help", cwd=HERE, COLUMNS="80")
    assert done.returncode == 0
    assert all(len(line.rstrip()) <= 80 for line in done.stdout.splitlines())
    real = set(re.findall(r"^│ (--[a-z]+)", done.stdout, flags=re.MULTILINE)) - {"--help"}
    chapter = DOCS.read_text(encoding="utf-8").split("## `rlm docker build`")[1]
    assert set(re.findall(r"`(--[a-z]+)", chapter.split("## ")[0])) == real == {"--base", "--tag"}


def test_what_is_said_of_kept_containers_names_every_option() -> None:
    done = rlm("docker", "rm", "--help", cwd=HERE, COLUMNS="80")
    real = set(re.findall(r"^│ (--[a-z]+)", done.stdout, flags=re.MULTILINE)) - {"--help"}
    chapter = DOCS.read_text(encoding="utf-8").split("## `rlm docker ls`")[1]
    assert real == {"--all"} and "`--all`" in chapter


def test_without_a_command_it_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["docker"]) == 2


def test_without_an_engine_it_fails_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert run_app(["docker", "build"]) == 1
    said = capsys.readouterr().err
    assert "no Docker engine answers" in said
    assert len(said.splitlines()) == 1


def test_rr100_the_dockerfile_is_where_one_looks_for_it() -> None:
    shown = HERE / "docker" / "Dockerfile.repl"
    assert shown.read_bytes() == (HERE / "rlm" / "sandbox" / "Dockerfile.repl").read_bytes()


@pytest.mark.docker
def test_rr100_an_image_is_built_from_any_that_has_a_python(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_app(["docker", "build", "--base", IMAGE, "--tag", "rlm/repl-of-tests"]) == 0
    assert f"rlm/repl-of-tests is built from {IMAGE}" in capsys.readouterr().out

    async def main() -> str | None:
        sandbox = DockerSandbox(image="rlm/repl-of-tests")
        async with (
            sandbox.start({"n": 6}, CellLimits()) as place,
            place.open({"n": 6}, {}, OpenOptions()) as session,
        ):
            return (await session.execute("n * 7")).value

    assert asyncio.run(main()) == "42"


@pytest.mark.docker
def test_a_base_that_is_no_image_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["docker", "build", "--base", "No Image", "--tag", "rlm/none"]) == 1
    assert "rlm/none" in capsys.readouterr().err


@pytest.fixture
def only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody else's kept containers be seen: `--all` removes all that are."""
    listed = Engine.labelled

    def mine(self: Engine, *filters: str) -> list[dict[str, str]]:
        return listed(self, *filters, Owner.mine().filter, f"rlm.pid={os.getpid()}")

    monkeypatch.setattr(Engine, "labelled", mine)


@pytest.mark.docker
def test_rr72_rr73_a_container_is_kept_listed_used_again_and_removed(
    only_ours: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hay.txt"
    file.write_text("hay " * 500 + "The magic number is 4711. " + "hay " * 500, encoding="utf-8")
    asked = ["run", "What is the magic number?", "-c", str(file), "-m", "offline/needle"]
    asked += ["--no-log", "--sandbox", "docker"]
    assert run_app([*asked, "--keep-alive"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == "4711"
    [container] = re.findall(r"container (\w{12}) is kept", said.err)
    assert run_app(["docker", "ls"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{container}  {IMAGE}  Up") and f"process {os.getpid()}" in line
    for option in ("--reuse-container", "--reuse-container-id"):
        assert run_app([*asked, option, container, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["sandbox"]["container"].startswith(container)
    assert run_app(["docker", "rm", container]) == 0
    assert capsys.readouterr().out.strip() == container
    assert run_app([*asked, "--reuse-container", container]) != 0
    assert "rlm docker ls" in capsys.readouterr().err
    assert run_app([*asked, "--keep-alive", "--quiet"]) == 0
    assert run_app(["docker", "rm", "--all"]) == 0
    capsys.readouterr()
    assert run_app(["docker", "ls"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.docker
def test_no_other_container_is_removed(only_ours: None, capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine(10)
    other = engine.create(IMAGE, ["python3"], {}, {}, {}, network_mode="none")
    try:
        assert run_app(["docker", "rm", other]) != 0
        assert "no container that a run has kept" in capsys.readouterr().err
        assert engine.inspect(other)["Id"] == other
        assert run_app(["docker", "rm", "nobody-here"]) != 0
        assert "nobody-here" in capsys.readouterr().err
    finally:
        engine.remove(other)
        engine.close()


def test_what_is_to_be_removed_has_to_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["docker", "rm"]) == 2
    assert run_app(["docker", "rm", "abc", "--all"]) == 2
    assert "--all" in capsys.readouterr().err


@pytest.mark.docker
@pytest.mark.parametrize("option", ["--network", "--allow-network"])
def test_rr74_a_network_is_there_when_it_is_asked_for(
    option: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "hay.txt"
    file.write_text("The magic number is 7.", encoding="utf-8")
    asked = ["run", "What is the magic number?", "-c", str(file), "-m", "offline/needle"]
    assert run_app([*asked, "--no-log", "--sandbox", "docker", option, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sandbox"]["network"] is True


def test_rr72_other_sandboxes_have_no_container_to_keep(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "hay.txt"
    file.write_text("hay", encoding="utf-8")
    assert run_app(["run", "?", "-c", str(file), "-m", "offline/needle", "--keep-alive"]) == 2
    assert "keep_alive" in capsys.readouterr().err
