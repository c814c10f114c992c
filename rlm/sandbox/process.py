"""The default sandbox: guest processes, confined by what this machine's kernel offers."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from rlm.errors import ConfigurationError, SandboxError
from rlm.sandbox._allowed import check_path
from rlm.sandbox._place import place_of
from rlm.sandbox._zygote_process import ProcessZygote
from rlm.sandbox.base import CellLimits, Place
from rlm.sandbox.remedies import refusal

__all__ = ["ProcessSandbox"]

_LEAST = {"memory_mb": 16, "cpu_seconds": 1, "processes": 0, "threads": 4, "scratch_mb": 1}


@dataclass(frozen=True, slots=True)
class ProcessSandbox:
    """Runs cells in processes of their own: clean environment, no network, no files of yours.

    One process a run, the zygote, loads the inputs; each session is a fork of it that shares them.

    * `require_confinement` refuses to start where the kernel lacks a wall; without it
      `Place.facts["missing"]` names those.
    * `packages` are modules to import beforehand; cells can import what lies beside them, too.
    * `network=True` gives cells the network of this machine, its loopback included.
    * `memory_mb` are the mebibytes of a session beyond the inputs, `cpu_seconds` its processor
      time; the run's own limits hold beside them.
    * `processes` is how many processes and threads a session may have beside its own; without,
      `threads` is how many threads.
    * `allow_read` are absolute paths of files and folders that cells may read.
    * `scratch_mb` bounds the files that all sessions of a run may write, which are in memory.
    * `hash_seed` fixes the order of sets.
    """

    require_confinement: bool = False
    packages: tuple[str, ...] = ()
    network: bool = False
    memory_mb: int | None = None
    cpu_seconds: int | None = None
    processes: int = 0
    threads: int = 64
    allow_read: tuple[str, ...] = ()
    scratch_mb: int = 256
    hash_seed: int = 0

    name: ClassVar[str] = "process"

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            absent = value is None and name in ("memory_mb", "cpu_seconds")
            if not absent and (type(value) is not int or value < least):
                raise ConfigurationError(f"{name}={value!r}: give a whole number from {least} on")
        for name in ("packages", "allow_read"):
            given = getattr(self, name)
            if isinstance(given, str) or not all(
                isinstance(one, (str, os.PathLike)) for one in given
            ):
                raise ConfigurationError(f"{name}={given!r}: give a list of strings")
            object.__setattr__(self, name, tuple(map(os.fspath, given)))
        for path in self.allow_read:
            _check_readable(path)

    def start(
        self, inputs: Mapping[str, Any], limits: CellLimits
    ) -> AbstractAsyncContextManager[Place]:
        """Start the zygote of one run and load its inputs."""
        return self._start(dict(inputs), limits)

    @asynccontextmanager
    async def _start(self, inputs: dict[str, Any], limits: CellLimits) -> AsyncIterator[Place]:
        options = self.options(limits)
        facts = {"sandbox": self.name, **options}
        async with place_of(lambda: ProcessZygote(options), facts, inputs, limits) as place:
            missing = place.facts["missing"]
            if missing and self.require_confinement:
                raise SandboxError(refusal(missing))
            yield place

    def options(self, limits: CellLimits) -> dict[str, Any]:
        """Return what the zygote is told, as plain JSON values."""
        memory = [mb for mb in (self.memory_mb, limits.memory_mb) if mb is not None]
        return {
            "hash_seed": self.hash_seed,
            "packages": list(self.packages),
            "path": _folders_of(self.packages),
            "processes": self.processes,
            "threads": self.threads,
            "network": self.network,
            "separate": True,
            "fence": True,
            "allow_read": list(self.allow_read),
            "memory_mb": min(memory) if memory else None,
            "cpu_seconds": self.cpu_seconds,
            "scratch_mb": self.scratch_mb,
        }


def _folders_of(packages: tuple[str, ...]) -> list[str]:
    """Return the folders that import finds these packages in, and what they need."""
    if not packages:
        return []
    installed = sysconfig.get_paths()
    found = {installed["purelib"], installed["platlib"]}
    for name in packages:
        try:
            spec = find_spec(name.partition(".")[0])
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            raise ConfigurationError(f"packages: {name!r} is not installed for {sys.executable}")
        places = spec.submodule_search_locations or [spec.origin or ""]
        found |= {os.path.dirname(os.path.abspath(place)) for place in places}
    return sorted(found)


def _check_readable(path: str) -> None:
    """Refuse a path that cells cannot or must not be given."""
    check_path(path, os.path.realpath(path))
    if not os.path.exists(path):
        raise ConfigurationError(f"allow_read={path!r}: there is no such file or folder")
