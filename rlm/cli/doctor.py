"""`rlm doctor`: what this machine has for a run, tried and not guessed."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm.cli.sandboxes import Settings

if TYPE_CHECKING:
    from rlm.cli.doctor_findings import Finding
    from rlm.cli.doctor_sandboxes import Checkup, Say
    from rlm.sandbox.base import Sandbox

__all__ = ["EXAMPLES", "Report", "doctor", "examine"]

EXAMPLES = """[bold]Examples[/bold]
  rlm doctor
  rlm doctor --quick                     [dim]# one cell each, no climbing[/dim]
  rlm doctor --sandbox docker --set runtime=runsc
  rlm doctor --json | jq '.sandboxes[].missing'

[bold]What the words mean[/bold]
  held      probes tried to climb this wall, and none did
  climbed   one did, though the sandbox says that the wall holds
  open      the sandbox itself says that this wall is not there
  untried   there is nothing here to try it with
  note      worth knowing; → says how to get what is missing
  bad       runs will fail

[bold]Exit codes[/bold]
  0 all is well · 1 something is bad, or a wall was climbed · 2 misuse
"""

_DEFAULT = ("process", "docker", "local")


@dataclasses.dataclass(frozen=True)
class Report:
    """All that a doctor found; `ok` when nothing of it is bad."""

    machine: tuple[Finding, ...]
    kernel: tuple[Finding, ...]
    sandboxes: tuple[Checkup, ...]

    @property
    def ok(self) -> bool:
        """Whether runs will work here, and no wall was climbed."""
        return not self.bad

    @property
    def bad(self) -> tuple[str, ...]:
        """The names of what is bad."""
        found = [each.name for each in (*self.machine, *self.kernel) if each.state == "bad"]
        return (*found, *(each.name for each in self.sandboxes if each.state == "bad"))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values, as `rlm doctor --json` prints it."""
        return {"ok": self.ok, **dataclasses.asdict(self)}


def doctor(
    sandbox: Annotated[
        list[str] | None,
        typer.Option(
            "--sandbox",
            "-e",
            metavar="NAME",
            help="Look at this sandbox only, which then has to work. May be repeated; without "
            "it process has to work, and docker and local are looked at.",
        ),
    ] = None,
    options: Settings = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Run a cell in each sandbox, and climb nothing.")
    ] = False,
    log_dir: Annotated[
        str, typer.Option(metavar="DIR", help="The folder of logs to try.")
    ] = "logs",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what this machine has for a run, and what confines its code.

    Each sandbox is started and runs a real cell. Then small programs, the
    probes, try to climb each of its walls from inside: they look for a file,
    a variable and a process that were planted for them, for a network, for
    memory beyond the bound, for system calls that lead out. What a sandbox
    lacks here is named, with what to do to get it.

    Keys are named, never shown. Nothing outside this machine is asked, and
    nothing is left behind.
    """
    from rlm.cli import exits, terminal

    kinds = _chosen(sandbox or (), options or ())
    with _progress(as_json) as say, terminal.without_warnings():
        wanted = None if sandbox else ("process",)
        report = examine(kinds, log_dir, wanted=wanted, quick=quick, say=say)
    if as_json:
        terminal.write_json(report.to_dict())
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(exits.FAILURE)


def examine(
    kinds: Mapping[str, Sandbox],
    log_dir: str,
    *,
    wanted: Collection[str] | None = None,
    quick: bool = False,
    say: Say = lambda what: None,
) -> Report:
    """Look at this machine and these sandboxes; those that are `wanted`, or all, have to work."""
    from rlm.cli.doctor_findings import examined
    from rlm.cli.doctor_kernel import examine_kernel
    from rlm.cli.doctor_machine import examine_machine
    from rlm.cli.doctor_sandboxes import check_up

    machine = examine_machine(log_dir)
    kernel = examined({"features": examine_kernel}, broken="note")
    checked = [
        asyncio.run(check_up(name, kind, quick, wanted is None or name in wanted, say))
        for name, kind in kinds.items()
    ]
    return Report(tuple(machine), tuple(kernel), tuple(checked))


def _chosen(names: Sequence[str], options: Sequence[str]) -> dict[str, Sandbox]:
    from rlm.cli.sandboxes import chosen
    from rlm.errors import ConfigurationError

    if options and len(names) != 1:
        raise ConfigurationError("--set is of one sandbox: name it with --sandbox NAME")
    return {name: chosen(name, options) for name in names or _DEFAULT}


@contextlib.contextmanager
def _progress(as_json: bool) -> Iterator[Say]:
    """Say on a terminal what is being done, in a line that goes away."""
    from rlm.cli import terminal

    console = terminal.error_console()
    if as_json or not console.is_terminal or console.is_dumb_terminal:
        yield lambda what: None
        return
    with console.status("looking at this machine") as status:
        yield status.update


def _show(report: Report) -> None:
    from rlm.cli import terminal
    from rlm.cli.doctor_view import View

    view = View(terminal.output_console())
    view.heading("this machine")
    view.findings(report.machine)
    view.heading("its kernel")
    view.findings(report.kernel)
    for found in report.sandboxes:
        view.checkup(found)
    view.verdict(report.bad)
    sys.stdout.flush()
