"""The port to sandboxes: a configuration, a place for one run, a session for one call."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

__all__ = [
    "RUN",
    "CellError",
    "CellLimits",
    "Execution",
    "Functions",
    "Image",
    "OnOutput",
    "OpenOptions",
    "Place",
    "Sandbox",
    "Session",
    "Variable",
]

Functions = Mapping[str, Callable[..., Awaitable[Any]]]
"""The Bridge: the only host functions that a guest may call, by name. Arguments arrive decoded;
what a function returns is encoded; an RLMError that it raises is raised in the cell by name."""

RUN: ContextVar[str] = ContextVar("run", default="")
"""The id of the run that a place is started for; nothing where it is started by itself."""

OnOutput = Callable[[Literal["stdout", "stderr"], str], None]
"""Takes pieces of output while a cell runs; live only."""


@dataclass(frozen=True, slots=True)
class CellLimits:
    """What one session may use: seconds of its own time a cell, mebibytes beyond its inputs,
    and bytes of output that are kept of a cell."""

    seconds: float | None = 60
    memory_mb: int | None = 1024
    output_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What a new session starts with.

    `seed` seeds `random`; `signatures` has, for each tool in the Bridge, its Python signature and
    its documentation, so that it looks like a plain function in a cell; `outputs` are the names of
    the fields that `submit` takes, in order.
    """

    seed: int = 0
    signatures: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """A name of the namespace, described: type, length where it has one, and a short preview."""

    name: str
    type: str
    length: int | None = None
    preview: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that a cell showed: its format by its own header, sides in pixels, and its bytes
    in base64, at most 2 MiB of them."""

    format: Literal["PNG", "JPEG"]
    width: int
    height: int
    base64: str

    @property
    def content(self) -> bytes:
        """Its bytes, as a file would have them."""
        return b64decode(self.base64)


@dataclass(frozen=True, slots=True)
class CellError:
    """How a cell failed: the class and message of its exception, where, and the traceback.

    `line` counts from 1 within the cell and `source` is that line's text; both are absent when
    the error has no place in it. `kind` is `"lost"` when the session is gone with its variables,
    `"timeout"` when the cell was interrupted and its variables live.
    """

    type: str
    message: str
    line: int | None = None
    source: str = ""
    traceback: str = ""
    kind: Literal["error", "syntax", "timeout", "lost"] = "error"


@dataclass(frozen=True, slots=True)
class Execution:
    """What a cell did.

    `stdout` and `stderr` are bounded; `stdout_chars` and `stderr_chars` are their true lengths.
    `value` is the repr of the last expression. `variables` are those that are new or changed.
    `files` are the input files that were read for the first time in this session, by their names
    in cells: `report`, or `docs[1]` and `case.main` where they are in a list or a record.
    `images` are the pictures that it showed, at most 8 and 4 MiB of them.
    `seconds` is the cell's own time, without what the host took to answer.
    """

    stdout: str = ""
    stderr: str = ""
    stdout_chars: int = 0
    stderr_chars: int = 0
    value: str | None = None
    error: CellError | None = None
    variables: tuple[Variable, ...] = ()
    files: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the cell ran to its end."""
        return self.error is None


class Session(Protocol):
    """One live namespace, for one call. It survives errors and interrupts of its cells."""

    async def execute(self, code: str) -> Execution:
        """Run a cell. Raises SandboxError only when no sandbox is left; a session that was lost
        is replaced by a fresh one with the inputs, and the Execution says so."""
        ...


class Place(Protocol):
    """What one run has of a sandbox: inputs loaded once, and any number of sessions."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What confines the code here, and what is missing, as plain JSON values."""
        ...

    def open(
        self,
        variables: Mapping[str, Any],
        functions: Functions,
        options: OpenOptions,
        on_output: OnOutput | None = None,
    ) -> AbstractAsyncContextManager[Session]:
        """Open a session whose namespace has these variables. A value that *is* one of the
        place's inputs is shared, not sent again."""
        ...


@runtime_checkable
class Sandbox(Protocol):
    """A kind of place for generated code: a frozen configuration that runs may share."""

    @property
    def name(self) -> str:
        """The word that `resolve` knows it by."""
        ...

    def start(
        self, inputs: Mapping[str, Any], limits: CellLimits
    ) -> AbstractAsyncContextManager[Place]:
        """Start the place of one run and load its inputs."""
        ...
