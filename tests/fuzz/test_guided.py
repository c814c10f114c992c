"""The host's side of the wire, attacked by inputs that a coverage-guided fuzzer makes: atheris."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from engines import need_module
from soak.sizes import times

HERE = Path(__file__).parent


def fuzzed(frames: int, folder: Path, seed: int) -> int:
    """Fuzz in a process of its own until there were so many frames; return how many there were."""
    need_module("atheris", "fuzz", strict=not os.environ.get("RLM_NO_ATHERIS"))
    shutil.copytree(HERE / "corpus", folder / "corpus")
    command = [sys.executable, "-m", "fuzz.guided", "--frames", str(frames), "--seed", str(seed)]
    paths = os.pathsep.join([str(HERE.parent), str(HERE.parent.parent)])
    done = subprocess.run(
        [*command, "corpus"],
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("atheris: ")]
    assert done.returncode == 0 and found, f"seed {seed}:\n{done.stdout}\n{done.stderr[-8000:]}"
    print(found[-1])
    return int(found[-1].split()[1])


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
def test_hundreds_of_thousands_of_guided_frames(tmp_path: Path, seed: int) -> None:
    assert fuzzed(times(150_000), tmp_path, seed) >= times(150_000)
