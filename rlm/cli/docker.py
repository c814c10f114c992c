"""`rlm docker`: the image of the docker sandbox, and the containers that were kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rlm.sandbox._docker_engine import Engine

__all__ = ["EXAMPLES", "app"]

EXAMPLES = """[bold]Examples[/bold]
  rlm docker build
  rlm docker build --base my/analysis:1 --tag my/repl
  rlm run "How many?" -c data.csv --sandbox docker
"""

_KEPT_EXAMPLES = """[bold]Examples[/bold]
  rlm run "How many?" -c data.csv --sandbox docker --keep-alive
  rlm docker ls
  rlm run "Which?" -c data.csv --sandbox docker --reuse-container 3f2a91c0d4e7
  rlm docker rm --all
"""

_CONNECT_SECONDS = 10

app = typer.Typer(
    help="Build what the docker sandbox needs; list and remove containers that were kept.",
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def docker() -> None:
    """Build what the docker sandbox needs; list and remove containers that were kept."""


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

    dockerfile = (resources.files("rlm.sandbox") / "Dockerfile.repl").read_bytes()
    with _engine() as engine:
        image = engine.build(dockerfile, base, tag)
    typer.echo(f"{tag} is built from {base} ({image[:19]})")


@app.command("ls", epilog=_KEPT_EXAMPLES)
def list_kept() -> None:
    """List the containers that runs have kept: id, image, state, and who made them."""
    from rlm.sandbox._docker_owner import KEPT, Owner

    with _engine() as engine:
        kept = engine.labelled(KEPT)
    for labels in kept:
        owner = Owner.of(labels)
        made = "" if owner is None else f"by process {owner.pid} of {owner.host.partition('/')[0]}"
        typer.echo(f"{labels['id'][:12]}  {labels['image']}  {labels['status']}  {made}".rstrip())


@app.command("rm", epilog=_KEPT_EXAMPLES)
def remove(
    containers: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", show_default=False, help="Ids or names of kept containers."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Remove all that were kept.")] = False,
) -> None:
    """Remove containers that runs have kept, with whatever still runs in them.

    No other container is removed, whatever its name.
    """
    from rlm.errors import ConfigurationError
    from rlm.sandbox._docker_owner import KEPT

    if bool(containers) == every:
        raise ConfigurationError("name the containers to remove, or say --all")
    with _engine() as engine:
        kept = {labels["id"] for labels in engine.labelled(KEPT)}
        named = sorted(kept) if every else [engine.inspect(name)["Id"] for name in containers or ()]
        for container in named:
            if container not in kept:
                raise ConfigurationError(
                    f"{container[:12]} is no container that a run has kept; 'rlm docker ls' lists"
                    " those"
                )
        for container in named:
            engine.remove(container)
            typer.echo(container[:12])


@contextmanager
def _engine() -> Iterator[Engine]:
    from rlm.sandbox._docker_engine import Engine

    engine = Engine(_CONNECT_SECONDS)
    try:
        yield engine
    finally:
        engine.close()
