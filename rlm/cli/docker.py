"""`rlm docker build`: the image of the docker sandbox, from any image that has a Python."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["EXAMPLES", "app"]

EXAMPLES = """[bold]Examples[/bold]
  rlm docker build
  rlm docker build --base my/analysis:1 --tag my/repl
  rlm run "How many?" -c data.csv --sandbox docker
"""

app = typer.Typer(
    help="Build what the docker sandbox needs.",
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def docker() -> None:
    """Build what the docker sandbox needs."""


@app.command(epilog=EXAMPLES)
def build(
    base: Annotated[
        str, typer.Option(metavar="IMAGE", help="An image with Python 3.9 or newer as python3.")
    ] = "python:3.12-slim",
    tag: Annotated[
        str, typer.Option(metavar="NAME", help="What the image is called.")
    ] = "rlm/repl",
) -> None:
    """Build the image that the docker sandbox runs, with the engine of DOCKER_HOST.

    It is the base with its modules compiled, so that containers start fast.
    What runs in it comes from this rlm at each start: nothing has to be
    rebuilt after an upgrade. No network is used, unless the engine has to
    fetch the base; runs never fetch anything.
    """
    from importlib import resources

    from rlm.sandbox._docker_engine import Engine

    dockerfile = (resources.files("rlm.sandbox") / "Dockerfile.repl").read_bytes()
    engine = Engine(connect_timeout=10)
    try:
        image = engine.build(dockerfile, base, tag)
    finally:
        engine.close()
    typer.echo(f"{tag} is built from {base} ({image[:19]})")
