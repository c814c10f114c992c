"""The docker sandbox: the same guest in a container that has nothing else."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, ClassVar

from rlm.errors import ConfigurationError, SandboxError
from rlm.sandbox._allowed import check_path
from rlm.sandbox._docker_inputs import SECRETS_AT
from rlm.sandbox._docker_pool import Pool
from rlm.sandbox._docker_secrets import Source, checked
from rlm.sandbox._place import place_of
from rlm.sandbox.base import CellLimits, Place
from rlm.sandbox.remedies import refusal

__all__ = ["IMAGE", "DockerSandbox"]

IMAGE = "rlm/repl"
"""The image that `rlm docker build` makes."""

_OWN_MB = 32
"""What the guest itself takes of a container's memory."""

_LEAST = {
    "memory_mb": 64, "pids": 8, "scratch_mb": 1, "pool": 0, "cpus": 0.01, "connect_timeout": 0.001,
}  # fmt: skip
_FRACTIONS = ("cpus", "connect_timeout")
_FLAGS = ("network", "keep_alive", "require_confinement")


@dataclass(frozen=True)
class DockerSandbox:
    """Runs cells in a container, one a run: no network, no keys, no capabilities, bounded.

    * `image` is any that has a Python 3.9 or newer as `python3`; cells may import what it has.
    * All sessions of a run share `memory_mb` mebibytes beside the inputs, `cpus` processors, `pids`
      processes and threads, and `scratch_mb` of files. Those, and what is printed, are in memory
      too: the container has three times `scratch_mb` more of it.
    * `network=True` gives the engine's default network.
    * `allow_read` are absolute paths of files and folders of the image that cells may read, beside
      the interpreter.
    * `runtime` is one that the engine knows, such as `runsc` for gVisor.
    * The engine is the one of DOCKER_HOST, and has `connect_timeout` seconds to answer.
    * `keep_alive=True` leaves the container when the run has ended; `Place.facts["container"]` is
      its id, and `reuse_container` an id or name of such a one, for any number of runs, also at the
      same time and of other processes. Image and bounds are then the container's own.
    * `pool` containers are started before they are needed, as long as this object is there and not
      closed; used as a context manager it waits for them first.
    * `secrets` are files that cells may read, `/run/secrets/NAME`: each is the absolute path of a
      file here, or a function that returns the text. No secret is there that is not named so.
    * `require_confinement` refuses to run where a wall is missing, which
      `Place.facts["missing"]` names.
    """

    image: str = IMAGE
    memory_mb: int = 256
    cpus: float = 1.0
    network: bool = False
    pids: int = 256
    scratch_mb: int = 64
    allow_read: tuple[str, ...] = ()
    runtime: str | None = None
    connect_timeout: float = 10.0
    keep_alive: bool = False
    reuse_container: str | None = None
    pool: int = 0
    secrets: Mapping[str, Source] = field(default_factory=dict, repr=False, hash=False)
    require_confinement: bool = False

    name: ClassVar[str] = "docker"
    _pool: ClassVar[Pool | None] = None  # one of its own, where `pool` asks for it

    def __post_init__(self) -> None:
        for name in ("image", "runtime", "reuse_container"):
            value = getattr(self, name)
            absent = value is None and name != "image"
            if not absent and (not isinstance(value, str) or not value.strip()):
                raise ConfigurationError(f"{name}={value!r}: give a name, as in image={IMAGE!r}")
        for name in _FLAGS:
            if type(getattr(self, name)) is not bool:
                raise ConfigurationError(f"{name}={getattr(self, name)!r}: give True or False")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            kinds = (int, float) if name in _FRACTIONS else (int,)
            if type(value) not in kinds or not value >= least:
                kind = "number" if name in _FRACTIONS else "whole number"
                raise ConfigurationError(f"{name}={value!r}: give a {kind} of at least {least}")
        object.__setattr__(self, "allow_read", _paths(self.allow_read))
        object.__setattr__(self, "secrets", checked(self.secrets))
        self._check_together()
        if self.pool:
            pool = Pool(replace(self, pool=0), self.pool)
            object.__setattr__(self, "_pool", pool)
            weakref.finalize(self, pool.release)

    def _check_together(self) -> None:
        lasting = [name for name in ("keep_alive", "reuse_container") if getattr(self, name)]
        for name in ("pool", "secrets"):
            if lasting and getattr(self, name):
                raise ConfigurationError(
                    f"{name} and {lasting[0]} do not go together: {name} is for containers that"
                    " serve one run"
                )

    def start(
        self, inputs: Mapping[str, Any], limits: CellLimits
    ) -> AbstractAsyncContextManager[Place]:
        """Start the container of one run and load its inputs."""
        return self._start(dict(inputs), limits)

    @asynccontextmanager
    async def _start(self, inputs: dict[str, Any], limits: CellLimits) -> AsyncIterator[Place]:
        from rlm.sandbox._docker_berth import fresh
        from rlm.sandbox._docker_container import Container
        from rlm.sandbox._docker_kept import Kept

        options = self._options(limits)
        if self.keep_alive or self.reuse_container:
            board = Kept(self).board
        elif self._pool is not None:
            board = self._pool.board
        else:
            board = lambda staged: fresh(self, staged)  # noqa: E731 - one of three ways
        async with place_of(
            lambda: Container(board, options), self._facts(options), inputs, limits
        ) as place:
            if self.require_confinement and place.facts["missing"]:
                raise SandboxError(refusal(place.facts["missing"]))
            yield place

    # the pool

    def warm(self) -> None:
        """Wait until the pool is full; SandboxError when it cannot be."""
        if self._pool is not None:
            self._pool.warm()

    def close(self) -> None:
        """Remove the containers that wait in the pool; those of runs go with their runs."""
        if self._pool is not None:
            self._pool.close()

    def __enter__(self) -> DockerSandbox:
        try:
            self.warm()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> DockerSandbox:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    # what is told

    def _options(self, limits: CellLimits) -> dict[str, Any]:
        """Return what the zygote is told, as plain JSON values."""
        room = self.memory_mb - _OWN_MB
        return {
            "packages": [],
            "path": [],
            "processes": 0,
            "memory_mb": room if limits.memory_mb is None else min(limits.memory_mb, room),
            "scratch_mb": self.scratch_mb,
            "cpu_seconds": None,
            "threads": self.pids,
            "allow_read": [*self.allow_read, *(f"{SECRETS_AT}/{name}" for name in self.secrets)],
            "separate": False,
            "fence": True,
            "network": self.network,
        }

    def _facts(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "sandbox": self.name,
            "image": self.image,
            "runtime": self.runtime,
            "hash_seed": 0,
            "cpus": self.cpus,
            "pids": self.pids,
            "keep_alive": self.keep_alive,
            "secrets": sorted(self.secrets),
            **options,
        }


def _paths(given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not all(isinstance(one, (str, os.PathLike)) for one in given):
        raise ConfigurationError(f"allow_read={given!r}: give a list of paths")
    paths = tuple(map(os.fspath, given))
    for path in paths:
        check_path(path)
    return paths
