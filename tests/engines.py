"""Whether what tests need is there: programs, a Docker engine, the image that sandboxes run."""

from __future__ import annotations

import functools
import os
import shutil

import pytest

__all__ = ["need_docker", "need_program"]


def need_docker() -> None:
    """Skip the test without an engine and its image; fail where nothing may be skipped."""
    _skip_for(_missing())


def need_program(name: str) -> str:
    """Return where a program is; skip the test without it, or fail where nothing may be skipped."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    _skip_for("" if found else f"there is no {name}")
    return str(found)


def _skip_for(missing: str) -> None:
    if missing:
        if os.environ.get("RLM_NO_SKIP"):
            pytest.fail(f"{missing}, and RLM_NO_SKIP is set")
        pytest.skip(missing)


@functools.cache
def _missing() -> str:
    from rlm.errors import RLMError
    from rlm.sandbox._docker_engine import Engine
    from rlm.sandbox.docker import IMAGE

    try:
        engine = Engine(connect_timeout=10)
    except RLMError as error:
        return str(error)
    try:
        return "" if engine.has(IMAGE) else f"the engine has no image {IMAGE}: rlm docker build"
    finally:
        engine.close()
