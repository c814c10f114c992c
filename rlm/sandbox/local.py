"""Restricted code in the host's own process: no start-up cost, and no wall."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from rlm.errors import ConfigurationError
from rlm.sandbox._local_place import thread_place
from rlm.sandbox.base import CellLimits, Place
from rlm.sandbox.remedies import warn_of

__all__ = ["LocalSandbox"]

_MISSING = [
    "a bound of memory: what cells make is made in this process",
    "a bound of C code: a pattern that backtracks is not stopped, and holds up this process",
    "isolation from this process: restrictions inside a language are never a wall",
]
_ADVICE = "it is for trusted prompts: use 'process' or 'docker' for code that you do not trust"


@dataclass(frozen=True, slots=True)
class LocalSandbox:
    """Runs cells in a thread of this process, rewritten by RestrictedPython. It is never a wall.

    For trusted prompts and tests: it keeps honest code from accidents, such as files, the network,
    modules other than a few harmless ones. Restrictions inside a language have been escaped from
    again and again; code that somebody else may have a say in belongs into `process` or `docker`.

    It bounds neither memory nor C code. A cell's time is checked in its loops, its functions and
    what they run through (`sum(range(10**12))`); a pattern that backtracks, a long sort, a slow
    function of the standard library are not stopped, and some of them hold up this whole process.
    One operation that would make more than `memory_mb` (`"a" * 10**10`) is a MemoryError in the
    cell; many small ones are not. `max_steps` ends a cell after so many loop turns and calls, the
    same on every machine.
    """

    max_steps: int | None = None

    name: ClassVar[str] = "local"

    def __post_init__(self) -> None:
        if self.max_steps is not None and self.max_steps < 1:
            raise ConfigurationError(f"max_steps = {self.max_steps!r}: it must be at least 1")

    def start(
        self, inputs: Mapping[str, Any], limits: CellLimits
    ) -> AbstractAsyncContextManager[Place]:
        """Start the place of one run."""
        from rlm.sandbox._local_restricted import RestrictedCells

        warn_of(self.name, _MISSING, _ADVICE)
        facts = {"sandbox": "local", "walls": {}, "missing": list(_MISSING)}
        return thread_place(RestrictedCells, inputs, limits, facts, self.max_steps)
