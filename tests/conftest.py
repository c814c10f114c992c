"""What many tests share: runs that keep a log and are held to the laws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lawful import checked

import rlm

Ask = Callable[..., rlm.Result[Any]]


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
