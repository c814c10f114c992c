"""`rlm exec`: run one cell as a run would, without a model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rlm.sandbox.base import CellLimits, Execution

__all__ = ["EXAMPLES", "execute", "run_cell"]

EXAMPLES = """[bold]Examples[/bold]
  echo 'print(1 + 1)' | rlm exec
  echo 'len(context.text)' | rlm exec --input context=report.txt
  rlm exec --sandbox local < cell.py

[bold]Exit codes[/bold]
  0 the cell ran · 1 it raised · 2 its session was lost, or misuse
"""

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
        typer.Option("--sandbox", "--env", "-e", metavar="NAME", help="process, docker or local."),
    ] = "process",
    input: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=FILE", help="A file as a variable."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.01, help="Time of the cell.")
    ] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that came of it.")] = False,
) -> None:
    """Run the Python code on stdin as one cell of a run, without a model.

    What it prints goes to stdout, with the value of its last expression; its
    error goes to stderr. The functions that need a run, such as llm_query,
    are there and raise an error that says so.
    """
    import asyncio
    import dataclasses

    from rlm.cli import terminal
    from rlm.cli.inputs import read_pairs
    from rlm.errors import ConfigurationError
    from rlm.files import File
    from rlm.sandbox.base import CellLimits

    if sys.stdin.isatty():
        raise ConfigurationError("no code: give it on stdin, as in rlm exec < cell.py")
    pairs = read_pairs(input or (), "--input name=FILE")
    code = sys.stdin.buffer.read().decode("utf-8", "replace")
    inputs = {name: File(path) for name, path in pairs.items()}
    ran, _ = asyncio.run(run_cell(code, sandbox, inputs, CellLimits(seconds=timeout)))
    if as_json:
        terminal.write_json(dataclasses.asdict(ran))
    else:
        _print(ran)
    if ran.error is not None:
        raise typer.Exit(2 if ran.error.kind == "lost" else 1)


async def run_cell(
    code: str, sandbox: str, inputs: dict[str, Any], limits: CellLimits
) -> tuple[Execution, dict[str, Any]]:
    """Run a cell in a new session; return what it did, and what confined it."""
    from rlm import resolve
    from rlm.sandbox.base import OpenOptions

    kind = resolve.sandbox(sandbox)
    functions = {name: _refusal(name) for name in _FUNCTIONS}
    async with (
        kind.start(inputs, limits) as place,
        place.open(inputs, functions, OpenOptions(signatures={})) as session,
    ):
        return await session.execute(code), dict(place.facts)


def _refusal(name: str) -> Any:
    from rlm.errors import ToolError

    async def refuse(*args: Any, **kwargs: Any) -> None:
        raise ToolError(f"{name} needs a run: rlm exec runs a cell without a model")

    return refuse


def _print(ran: Execution) -> None:
    from rlm.sinks.wording import plain

    def write(stream: Any, text: str) -> None:
        stream.write(plain(text) if stream.isatty() else text)

    write(sys.stdout, ran.stdout)
    if ran.value is not None:
        write(sys.stdout, ran.value + "\n")
    sys.stdout.flush()
    write(sys.stderr, ran.stderr)
    if ran.error is not None:
        said = ran.error.traceback or f"{ran.error.type}: {ran.error.message}"
        write(sys.stderr, said.rstrip("\n") + "\n")
