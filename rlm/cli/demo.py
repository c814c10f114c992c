"""`rlm demo`: the main job without a key and without a network."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Annotated

import typer

__all__ = ["EXAMPLES", "demo"]

EXAMPLES = """[bold]Examples[/bold]
  rlm demo
  rlm demo --size-mb 500 --seed 7
"""


def demo(
    log_dir: Annotated[
        str, typer.Option(metavar="DIR", help="Where the logs are written.")
    ] = "logs",
    size_mb: Annotated[
        int, typer.Option(metavar="MB", min=1, help="The size of the haystack.")
    ] = 50,
    seed: Annotated[int, typer.Option(metavar="N", help="What shuffles the haystack.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no live tree.")] = False,
) -> None:
    """Find a needle in 50 MB of real text, then count over all of it: no key, no network.

    The model of the demo, offline/needle, is a small deterministic program
    and no language model. The exit code is 0 only when both answers are right.
    """
    from rlm.cli.asking import Display
    from rlm.cli.exits import FAILURE, OK
    from rlm.demo import run_demo
    from rlm.events import Delta, Event

    shows = Display(quiet=quiet)

    with ExitStack() as stack:
        sinks = shows.sinks(stack)

        def sink(what: Event | Delta) -> None:
            for each in sinks:
                each(what)

        right = run_demo(log_dir=log_dir, size_mb=size_mb, seed=seed, echo=_echo, sink=sink)
    raise typer.Exit(OK if right else FAILURE)


def _echo(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
