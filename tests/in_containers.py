"""What tests of the docker sandbox share: places, cells, and what the engine knows."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from rlm.sandbox._docker_engine import Engine
from rlm.sandbox._docker_owner import Owner
from rlm.sandbox.base import CellLimits, Execution, Functions, OpenOptions, Place
from rlm.sandbox.docker import DockerSandbox

__all__ = ["LIMITS", "cells", "containers", "engine_does", "place_of", "soon"]

LIMITS = CellLimits(seconds=20)


@asynccontextmanager
async def place_of(
    inputs: Mapping[str, Any] | None = None,
    limits: CellLimits = LIMITS,
    sandbox: DockerSandbox | None = None,
) -> AsyncIterator[Place]:
    async with (sandbox or DockerSandbox()).start(inputs or {}, limits) as place:
        yield place


def cells(
    *codes: str,
    inputs: Mapping[str, Any] | None = None,
    functions: Functions | None = None,
    limits: CellLimits = LIMITS,
    sandbox: DockerSandbox | None = None,
    facts: dict[str, Any] | None = None,
) -> list[Execution]:
    """Run the cells in one session and return what they did; `facts` takes those of the place."""

    async def main() -> list[Execution]:
        async with (
            place_of(inputs, limits, sandbox) as place,
            place.open(inputs or {}, functions or {}, OpenOptions()) as session,
        ):
            if facts is not None:
                facts.update(place.facts)
            return [await session.execute(code) for code in codes]

    return asyncio.run(main())


def containers(host: str = "") -> dict[str, dict[str, Any]]:
    """Return what the engine knows of this process's containers, or of those of a host label."""
    import docker

    mine = [f"{name}={value}" for name, value in Owner.mine().labels.items()]
    client = docker.APIClient(base_url=os.environ["DOCKER_HOST"], version="auto")
    try:
        found = client.containers(
            all=True, filters={"label": [f"rlm.host={host}"] if host else mine}
        )
        known = {}
        for each in found:
            try:
                known[each["Id"]] = client.inspect_container(each["Id"])
            except docker.errors.NotFound:
                continue  # it has gone meanwhile
        return known
    finally:
        client.close()


def engine_does(what: Callable[[Engine], Any]) -> Any:
    """Ask the engine for something, over a connection of its own."""
    engine = Engine(10)
    try:
        return what(engine)
    finally:
        engine.close()


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()
