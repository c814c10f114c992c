"""`rlm exec`: run one cell as a run would, without a model."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm.cli import exits
from rlm.cli.sandboxes import Settings

if TYPE_CHECKING:
    from rlm.cli.output import Printer
    from rlm.guard import CodeCheck, SyntaxProblem
    from rlm.sandbox.base import CellLimits, Execution, OnOutput, Sandbox

__all__ = ["EXAMPLES", "LOST", "USAGE", "Ran", "execute", "run_cell"]

EXAMPLES = """[bold]Examples[/bold]
  echo 'print(1 + 1)' | rlm exec
  echo 'len(context.text)' | rlm exec --input context=report.txt
  rlm exec --set processes=4 < cell.py
  rlm exec --sandbox docker --set memory_mb=512 --json < cell.py

[bold]Exit codes[/bold]
  0 the cell ran · 1 it failed · 2 its session was lost, or there was none
  64 misuse: nothing was run · 130 interrupted
"""

LOST = 2
"""The session was lost with its variables, or none could be had."""
USAGE = 64
"""Nothing was run, for what was asked is impossible; elsewhere that is 2, which is taken here."""

_CUT = 4095
"""Bytes of a line that a terminal of Linux passes on; it drops the rest without a word."""
_FUNCTIONS = (
    "llm_query",
    "parallel_queries",
    "predict",
    "parallel_predict",
    "submit",
    "budget",
    "history",
    "log",
)


def execute(
    sandbox: Annotated[
        str,
        typer.Option(
            "--sandbox", "--env", "-e", metavar="NAME", help="process, docker, local or another."
        ),
    ] = "process",
    options: Settings = None,
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="NAME=FILE",
            help="A file as a variable. It is an rlm.File: of any size and kind, read as far as "
            "the cell reads it. May be repeated.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.01, help="Time of the cell.")
    ] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that came of it.")] = False,
) -> None:
    """Run the Python code on stdin as one cell of a run, without a model.

    What it prints goes to stdout while it runs, then the value of its last
    expression; its error goes to stderr. The functions that need a run,
    such as llm_query, are there and raise an error that says so.

    On a terminal, control characters are shown and not obeyed; in a pipe
    the output is exactly what the cell wrote.
    """
    from rlm.errors import ConfigurationError, SandboxError

    try:
        code = _execute(sandbox, options or (), input or (), timeout, as_json)
    except (ConfigurationError, SandboxError) as error:
        if exits.debugging():
            raise
        exits.complain(str(error))
        code = USAGE if isinstance(error, ConfigurationError) else LOST
    except (KeyboardInterrupt, asyncio.CancelledError):
        exits.complain("interrupted")
        code = exits.INTERRUPTED
    raise typer.Exit(code)


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """One cell that ran: what it did, what confined it, and what `ast` found worth saying."""

    execution: Execution
    facts: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values, as `rlm exec --json` prints it."""
        return {
            "ok": self.execution.ok,
            **dataclasses.asdict(self.execution),
            "warnings": list(self.warnings),
            "sandbox": dict(self.facts),
        }

    @property
    def exit_code(self) -> int:
        """The code that `rlm exec` ends with."""
        error = self.execution.error
        if error is None:
            return exits.OK
        return LOST if error.kind == "lost" else exits.FAILURE


def _execute(
    sandbox: str, options: Sequence[str], files: Sequence[str], timeout: float, as_json: bool
) -> int:
    from rlm import guard
    from rlm.cli.inputs import read_pairs
    from rlm.cli.sandboxes import chosen, memory_of
    from rlm.files import File
    from rlm.sandbox.base import CellLimits

    kind = chosen(sandbox, options)
    limits = CellLimits(seconds=timeout)
    if (memory := memory_of(kind)) is not None:
        limits = dataclasses.replace(limits, memory_mb=memory)
    pairs = read_pairs(files, "--input name=FILE")
    inputs = {name: File(path) for name, path in pairs.items()}
    code = _read_code()
    check = guard.check(code)
    if as_json:
        return asyncio.run(_as_json(code, check, kind, inputs, limits))
    if check.syntax is not None:
        exits.write_plain(f"SyntaxError: {check.syntax}")
        return exits.FAILURE
    for warning in check.warnings:
        exits.complain(f"warning: {warning}")
    return asyncio.run(_shown(code, kind, inputs, limits))


def _read_code() -> str:
    if sys.stdin.isatty() and sys.stderr.isatty():
        exits.write_plain("Type or paste a cell; Ctrl-D on a line of its own runs it.")
    code = sys.stdin.buffer.read()
    if not code.strip():
        raise _misuse("no code: give it on stdin, as in rlm exec < cell.py")
    if sys.stdin.isatty() and max(map(len, code.split(b"\n"))) >= _CUT:
        raise _misuse(f"a terminal cuts lines after {_CUT:,} bytes: rlm exec < cell.py does not")
    return code.decode("utf-8", "replace")


def _misuse(said: str) -> Exception:
    from rlm.errors import ConfigurationError

    return ConfigurationError(said)


async def _as_json(
    code: str, check: CodeCheck, kind: Sandbox, inputs: dict[str, Any], limits: CellLimits
) -> int:
    from rlm.cli import terminal

    if check.syntax is not None:
        ran = Ran(_unparsed(check.syntax), {"sandbox": kind.name})
    else:
        _end_on_sigterm()
        ran = await run_cell(code, kind, inputs, limits)
    terminal.write_json(dataclasses.replace(ran, warnings=check.warnings).to_dict())
    return ran.exit_code


def _unparsed(problem: SyntaxProblem) -> Execution:
    from rlm.sandbox.base import CellError, Execution

    error = CellError(
        "SyntaxError", problem.message, problem.line, problem.source, str(problem), "syntax"
    )
    return Execution(error=error)


async def _shown(code: str, kind: Sandbox, inputs: dict[str, Any], limits: CellLimits) -> int:
    """Run a cell whose output is written as it comes."""
    from rlm.cli.asking import tell_kept
    from rlm.cli.output import Printer

    loop, task = asyncio.get_running_loop(), _end_on_sigterm()
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    printer = Printer(streams, lambda: loop.call_soon_threadsafe(task.cancel))
    try:
        ran = await run_cell(code, kind, inputs, limits, printer)
        _finish(printer, ran.execution)
    except asyncio.CancelledError:
        if printer.broken is None:
            raise
    finally:
        printer.close()  # the session is gone: nothing else is held up
    if printer.broken is not None:
        raise printer.broken
    tell_kept(ran.facts)
    return ran.exit_code


def _finish(printer: Printer, ran: Execution) -> None:
    """Write what has not come yet: the rest of the output, the value, the error."""
    from rlm.cli.output import left_over

    for stream, kept, chars in (
        ("stdout", ran.stdout, ran.stdout_chars),
        ("stderr", ran.stderr, ran.stderr_chars),
    ):
        printer(stream, left_over(kept, chars, printer.written[stream]))
    if ran.value is not None:
        printer.line("stdout", ran.value)
    for image in ran.images:
        sides = f"{image.width} by {image.height} pixels"
        printer.line("stderr", f"rlm: it showed a {image.format} of {sides}: see --json")
    if ran.error is not None:
        said = ran.error.traceback or f"{ran.error.type}: {ran.error.message}"
        printer.line("stderr", said.rstrip("\n"))


def _end_on_sigterm() -> asyncio.Task[Any]:
    """Let SIGTERM end this task in good order, as Ctrl-C does by itself."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return task


async def run_cell(
    code: str,
    kind: Sandbox,
    inputs: dict[str, Any],
    limits: CellLimits,
    on_output: OnOutput | None = None,
) -> Ran:
    """Run a cell in a new session of a new place."""
    from rlm.sandbox.base import OpenOptions
    from rlm.sandbox.remedies import warn_of

    functions = {name: _refusal(name) for name in _FUNCTIONS}
    async with (
        kind.start(inputs, limits) as place,
        place.open(inputs, functions, OpenOptions(), on_output) as session,
    ):
        warn_of(kind.name, place.facts.get("missing") or ())
        return Ran(await session.execute(code), dict(place.facts))


def _refusal(name: str) -> Any:
    from rlm.errors import ToolError

    async def refuse(*args: Any, **kwargs: Any) -> None:
        raise ToolError(f"{name} needs a run: rlm exec runs a cell without a model")

    return refuse
