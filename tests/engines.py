"""Whether what tests need is there: programs, a Docker engine, what a kernel has, recordings.

Without it a test is skipped; with `RLM_NO_SKIP` set it fails, and says how to get it.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = [
    "need",
    "need_docker",
    "need_landlock",
    "need_module",
    "need_namespaces",
    "need_program",
    "recorded_answers",
]

_PACKAGES = {
    "bwrap": "bubblewrap",
    "findmnt": "mount",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "unshare": "util-linux",
    "/usr/bin/python3": "python3",
    "docker": "docker.io",
}
"""Debian's packages of programs that are called otherwise."""
_ENGINE = "start one and say in DOCKER_HOST where it is, as .ci/docker start does"
_RUNTIMES = {"runsc": "install gVisor (https://gvisor.dev), sudo runsc install, restart the engine"}


def need(there: object, what: str, how: str, *, strict: bool = False) -> None:
    """Skip the test unless `what` is there, or fail where nothing may be skipped; say what to do.

    `strict` is whether nothing may be skipped without RLM_NO_SKIP either.
    """
    if there:
        return
    missing = f"there is no {what}: {how}"
    if strict or os.environ.get("RLM_NO_SKIP"):
        pytest.fail(f"{missing} (nothing is skipped here)", pytrace=False)
    pytest.skip(missing)


def need_docker(runtime: str = "") -> None:
    """Need an engine that has the image, and this runtime."""
    missing, how = _lacks()
    need(not missing, missing, how)
    if runtime:
        what = f"runtime {runtime} in the engine"
        need(runtime in _runtimes(), what, _RUNTIMES.get(runtime, "name it in its daemon.json"))


def need_program(name: str) -> str:
    """Need a program; return where it is."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    need(found, name, f"apt-get install {_PACKAGES.get(name, name)}")
    return str(found)


def need_module(name: str, extra: str = "dev", *, strict: bool = False) -> None:
    """Need a Python package that can be imported, which this extra of ours brings."""
    there = importlib.util.find_spec(name) is not None
    need(there, f"module {name}", f"pip install -e '.[{extra}]'", strict=strict)


def need_landlock(abi: int = 1) -> None:
    """Need a kernel whose Landlock is of this ABI at least."""
    from rlm.guest import landlock

    what = f"Landlock of abi {abi} in this kernel"
    need(landlock.abi() >= abi, what, "boot Linux 6.12 or newer with lsm=landlock,…")


def need_namespaces(done: subprocess.CompletedProcess[str]) -> None:
    """Need what a program has printed in namespaces of its own; without them it prints nothing."""
    what = f"namespaces for an ordinary user ({done.stderr.strip()[-300:]})"
    need(done.stdout.strip(), what, "`rlm doctor` says how to get them")


def recorded_answers() -> Path:
    """Need the recorded answers of providers; return their folder."""
    folder = os.environ.get("RLM_RECORDED", "")
    how = "say in RLM_RECORDED which folder has them"
    need(folder and Path(folder).is_dir(), "folder of recorded answers", how)
    return Path(folder)


@functools.cache
def _lacks() -> tuple[str, str]:
    """Return what is missing of an engine, and how to get it; nothing where it is there."""
    from rlm.errors import RLMError
    from rlm.sandbox._docker_engine import Engine
    from rlm.sandbox.docker import IMAGE

    try:
        engine = Engine(connect_timeout=10)
    except RLMError as error:
        return f"Docker engine ({error})", _ENGINE
    try:
        return ("", "") if engine.has(IMAGE) else (f"image {IMAGE}", "rlm docker build")
    finally:
        engine.close()


@functools.cache
def _runtimes() -> frozenset[str]:
    import docker

    client = docker.from_env()
    try:
        return frozenset(client.info().get("Runtimes") or ())
    finally:
        client.close()
