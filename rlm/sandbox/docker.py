"""The docker sandbox: the same guest in a container that has nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from rlm.errors import ConfigurationError
from rlm.sandbox._place import place_of
from rlm.sandbox.base import CellLimits, Place

__all__ = ["IMAGE", "DockerSandbox"]

IMAGE = "rlm/repl"
"""The image that `rlm docker build` makes."""

_OWN_MB = 32
"""What the guest itself takes of a container's memory."""
_TMP_MB = 64


@dataclass(frozen=True, slots=True)
class DockerSandbox:
    """Runs cells in a container, one a run: no network, no keys, no capabilities, bounded.

    `image` is any that has a Python 3.9 or newer as `python3`; cells may import what it has. The
    root is read-only, /tmp is small, and the user is nobody. All sessions of a run share
    `memory_mb` mebibytes beside the inputs, `cpus` processors, and `pids` processes and threads.
    `network=True` gives the engine's default network. `runtime` is one that the engine knows, such
    as `runsc` for gVisor. The engine is the one of DOCKER_HOST, and has `connect_timeout` seconds
    to answer.
    """

    image: str = IMAGE
    memory_mb: int = 256
    cpus: float = 1.0
    network: bool = False
    pids: int = 256
    runtime: str | None = None
    connect_timeout: float = 10.0

    name: ClassVar[str] = "docker"

    def __post_init__(self) -> None:
        if not isinstance(self.image, str) or not self.image.strip():
            raise ConfigurationError(f"image={self.image!r}: name an image, such as {IMAGE!r}")
        for name, least in (("memory_mb", 64), ("pids", 8), ("cpus", 0.01), ("connect_timeout", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value < least:
                raise ConfigurationError(f"{name}={value!r}: give a number of at least {least}")

    def start(
        self, inputs: Mapping[str, Any], limits: CellLimits
    ) -> AbstractAsyncContextManager[Place]:
        """Start the container of one run and load its inputs."""
        from rlm.sandbox._docker_container import Container

        room = int(self.memory_mb) - _OWN_MB
        options = {
            "packages": [],
            "path": [],
            "processes": 0,
            "memory_mb": room if limits.memory_mb is None else min(limits.memory_mb, room),
            "scratch_mb": _TMP_MB,
            "cpu_seconds": None,
            "threads": self.pids,
            "allow_read": [],
            "separate": False,
            "fence": True,
            "network": self.network,
        }
        return place_of(lambda: Container(self, options), self._facts(options), inputs, limits)

    def walls(self, inputs: int) -> dict[str, Any]:
        """Return what confines the container, in the engine's words, with `inputs` bytes more."""
        memory = (int(self.memory_mb) << 20) + inputs
        return {
            "network_mode": "default" if self.network else "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "mem_limit": memory,
            "memswap_limit": memory,
            "nano_cpus": int(self.cpus * 1_000_000_000),
            "pids_limit": int(self.pids),
            "tmpfs": {"/tmp": f"rw,noexec,nosuid,nodev,size={_TMP_MB}m,mode=1777"},
            "ipc_mode": "private",
            "runtime": self.runtime,
        }

    def _facts(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "sandbox": self.name,
            "image": self.image,
            "runtime": self.runtime,
            "hash_seed": 0,
            "cpus": self.cpus,
            "pids": self.pids,
            **options,
            "network": self.network,
        }
