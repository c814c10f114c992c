"""The kinds of places that the suite tries."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rlm.sandbox.base import Sandbox

__all__ = ["KINDS", "Kind"]

_MOST_PROGRAMS = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of place by its name: how it is made with given bounds.

    `guarded` says that nothing but the sandbox itself stands between a cell and this machine, so
    that the suite runs it in namespaces of its own. Without `prelude` it allows neither modules nor
    files to begin with, and its cells run bare of what `prelude.txt` has.
    """

    name: str
    make: Callable[[Mapping[str, float]], Sandbox]
    guarded: bool = True
    prelude: bool = True


def _process(bounds: Mapping[str, float]) -> Sandbox:
    from rlm.sandbox.process import ProcessSandbox

    return ProcessSandbox(**_options(ProcessSandbox, bounds))


def _programs(bounds: Mapping[str, float]) -> Sandbox:
    return _process({**bounds, "processes": max(bounds["processes"], _MOST_PROGRAMS)})


def _docker(bounds: Mapping[str, float]) -> Sandbox:
    from rlm.sandbox.docker import DockerSandbox

    memory = {"memory_mb": max(int(bounds["memory_mb"]), 128)}
    return DockerSandbox(**{**_options(DockerSandbox, bounds), **memory})


def _command(bounds: Mapping[str, float]) -> Sandbox:
    """Return the same walls behind a command that adds none."""
    from rlm.sandbox.command import CommandSandbox

    python = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined] # CPython's own
    return CommandSandbox(["env"], python=python, **_options(CommandSandbox, bounds))


def _bwrap(bounds: Mapping[str, float]) -> Sandbox:
    """Return the recipe for bubblewrap, as the documents have it."""
    from rlm.sandbox.command import CommandSandbox

    words = (
        "bwrap --unshare-all --die-with-parent --new-session --uid 65534 --gid 65534"
        " --ro-bind /usr /usr --symlink usr/lib /lib --symlink usr/lib64 /lib64"
        " --symlink usr/bin /bin --proc /proc --dev /dev --size 67108864 --tmpfs /tmp"
    )
    options = _options(CommandSandbox, bounds)
    return CommandSandbox(words.split(), python="/usr/bin/python3", confine=False, **options)


def _local(bounds: Mapping[str, float]) -> Sandbox:
    from rlm.sandbox.local import LocalSandbox

    return LocalSandbox()


def _options(sandbox: Any, bounds: Mapping[str, float]) -> dict[str, Any]:
    known = {each.name for each in dataclasses.fields(sandbox)} - {"memory_mb"}
    return {
        name: int(value) for name, value in bounds.items() if name in known and name != "seconds"
    }


KINDS = {
    one.name: one
    for one in (
        Kind("process", _process),
        Kind("programs", _programs),
        Kind("docker", _docker, guarded=False),
        Kind("command", _command),
        Kind("bwrap", _bwrap),
        Kind("local", _local, prelude=False),
    )
}
