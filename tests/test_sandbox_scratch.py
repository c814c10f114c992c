from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rlm.sandbox import _scratch

MAKE = "from rlm.sandbox._scratch import private_folder; print(private_folder())"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _scratch.sweep_once.cache_clear()
    return tmp_path


def of_a_process_that_has_ended(folder: Path) -> Path:
    environment = {**os.environ, "TMPDIR": str(folder)}
    made = subprocess.run(
        [sys.executable, "-c", MAKE], env=environment, capture_output=True, text=True, check=True
    )
    return Path(made.stdout.strip())


def deep(folder: Path, levels: int) -> None:
    """Make folders in folders, deeper than a path can be or a recursion goes."""
    code = f"import os\nfor _ in range({levels}): os.mkdir('d'); os.chdir('d')"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


def test_folders_of_dead_processes_are_removed_and_no_others(folder: Path) -> None:
    left = of_a_process_that_has_ended(folder)
    (left / "notes.txt").write_text("x", encoding="utf-8")
    deep(left, 3000)
    own = Path(_scratch.private_folder())
    foreign = [folder / "rlm-notes", folder / "rlm-1-999999999-other", folder / "else"]
    for each in foreign:
        each.mkdir()
    assert left.is_dir() and left.parent == folder
    _scratch.sweep_once()
    assert not left.exists()
    assert own.is_dir() and all(each.is_dir() for each in foreign)


def test_it_is_done_once_in_a_life(folder: Path) -> None:
    _scratch.sweep_once()
    left = of_a_process_that_has_ended(folder)
    _scratch.sweep_once()
    assert left.is_dir()
