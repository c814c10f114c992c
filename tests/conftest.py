"""What many tests share: runs that keep a log and are held to the laws."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from engines import need_docker
from hypothesis import settings
from lawful import checked
from parts import Ask

import rlm

# Speed is no matter of these tests; and where many wait for them, they look the same each time.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture
def predict(tmp_path: Path) -> Ask:
    """`rlm.predict` with a log, whose result is held to the laws."""
    return lambda *args, **options: checked(
        rlm.predict(*args, **{"log_dir": tmp_path / "logs", **options})
    )


@pytest.fixture
def complete(tmp_path: Path) -> Ask:
    """`rlm.completion` with a log, whose result is held to the laws."""
    return lambda *args, **options: checked(
        rlm.completion(*args, **{"log_dir": tmp_path / "logs", **options})
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for the engine before a test that is marked as needing it."""
    if item.get_closest_marker("docker") is not None:
        need_docker()
