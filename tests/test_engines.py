"""What is missing for a test is skipped, and where nothing may be skipped it fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from engines import need_docker, need_landlock, need_module, need_program, recorded_answers

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("look", "how"),
    [
        (lambda: need_program("runsk"), "apt-get install runsk"),
        (lambda: need_module("atheriz", "fuzz"), r"pip install -e '.\[fuzz\]'"),
        (lambda: need_landlock(99), "boot Linux"),
        (recorded_answers, "RLM_RECORDED"),
    ],
)
def test_what_is_missing_is_skipped_or_fails_and_says_how_to_get_it(
    look: Callable[[], object], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RLM_RECORDED", raising=False)
    monkeypatch.delenv("RLM_NO_SKIP", raising=False)
    with pytest.raises(pytest.skip.Exception, match=how):
        look()
    monkeypatch.setenv("RLM_NO_SKIP", "1")
    with pytest.raises(pytest.fail.Exception, match=how):
        look()


@pytest.mark.docker
def test_a_runtime_that_the_engine_lacks_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    need_docker()
    monkeypatch.setenv("RLM_NO_SKIP", "1")
    with pytest.raises(pytest.fail.Exception, match="no runtime kata in the engine"):
        need_docker("kata")


@pytest.mark.parametrize(
    ("tests", "missing"),
    [
        ("test_sandbox_docker_engines.py", ".ci/docker start"),
        ("test_sandbox_command_recipes.py", "apt-get install"),
        ("test_recorded.py", "RLM_RECORDED"),
    ],
)
def test_without_what_they_need_whole_files_fail_where_nothing_may_be_skipped(
    tests: str, missing: str, tmp_path: Path
) -> None:
    said = ran(tests, tmp_path, RLM_NO_SKIP="1")
    assert said.returncode == 1 and "SKIPPED" not in said.stdout
    assert missing in said.stdout
    assert "SKIPPED" in ran(tests, tmp_path).stdout


def ran(tests: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run tests where there is no engine, no recording, and no program but Python."""
    quick = ["-rs", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *quick, str(HERE / tests), f"--basetemp={home}/tests"],
        cwd=HERE.parent,
        env={"PATH": str(home), "DOCKER_HOST": f"unix://{home}/none.sock", **variables},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
