"""The default sandbox: guest processes, confined by what this machine's kernel offers."""

from __future__ import annotations

import sysconfig
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from rlm.errors import SandboxError
from rlm.sandbox._place import place_of
from rlm.sandbox._zygote_process import ProcessZygote
from rlm.sandbox.base import CellLimits, Place

__all__ = ["ProcessSandbox"]

_FILE_MB = 1024


@dataclass(frozen=True, slots=True)
class ProcessSandbox:
    """Runs cells in processes of their own: clean environment, no network, no files of yours.

    One process a run, the zygote, loads the inputs; each session is a fork of it that shares them.
    `require_confinement` refuses to start where the kernel lacks a wall (`Place.facts["missing"]`
    names them). `packages` are modules to import beforehand, from where this process has them;
    `processes` allows cells to start programs. `hash_seed` fixes the order of sets.
    """

    require_confinement: bool = False
    packages: tuple[str, ...] = ()
    processes: int = 0
    hash_seed: int = 0

    name: ClassVar[str] = "process"

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
                raise SandboxError(
                    f"this machine cannot confine code fully; missing: {'; '.join(missing)}."
                    " Use another sandbox, or require_confinement=False"
                )
            yield place

    def options(self, limits: CellLimits) -> dict[str, Any]:
        """Return what the zygote is told, as plain JSON values."""
        paths = sysconfig.get_paths()
        return {
            "hash_seed": self.hash_seed,
            "packages": list(self.packages),
            "path": sorted({paths["purelib"], paths["platlib"]}) if self.packages else [],
            "processes": self.processes,
            "files": "confine",
            "memory_mb": limits.memory_mb,
            "file_mb": _FILE_MB,
        }
