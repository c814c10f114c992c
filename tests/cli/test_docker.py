from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from cli.shell import rlm
from cli.test_app import DOCS
from rlm.cli.app import run_app
from rlm.sandbox.base import CellLimits, OpenOptions
from rlm.sandbox.docker import IMAGE, DockerSandbox

HERE = Path(__file__).parents[2]


def test_help_explains_it_and_the_documentation_names_every_option() -> None:
    done = rlm("docker", "build", "--help", cwd=HERE, COLUMNS="80")
    assert done.returncode == 0
    assert all(len(line.rstrip()) <= 80 for line in done.stdout.splitlines())
    real = set(re.findall(r"^│ (--[a-z]+)", done.stdout, flags=re.MULTILINE)) - {"--help"}
    chapter = DOCS.read_text(encoding="utf-8").split("## `rlm docker build`")[1]
    assert set(re.findall(r"`(--[a-z]+)", chapter)) == real == {"--base", "--tag"}


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
