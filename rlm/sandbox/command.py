"""The command sandbox: the same guest behind any command that carries stdin and stdout."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, ClassVar

from rlm.errors import ConfigurationError, SandboxError
from rlm.sandbox._allowed import check_path
from rlm.sandbox._place import place_of
from rlm.sandbox.base import CellLimits, Place
from rlm.sandbox.remedies import refusal

__all__ = ["CommandSandbox"]

_PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "DOCKER_CONTEXT",
    "DOCKER_CONFIG", "CONTAINER_HOST", "KUBECONFIG",
)  # fmt: skip
"""What commands need of this process's environment to find their way; none of it is a key."""

_FOR_NO_SHELL = re.compile(r"[\w./:=@%+,-]+", re.ASCII)
_LEAST = {"memory_mb": 16, "cpu_seconds": 1, "processes": 0, "threads": 4, "scratch_mb": 1}


@dataclass(frozen=True, slots=True)
class CommandSandbox:
    """Runs cells behind a command that starts a Python elsewhere and carries its stdin and stdout.

    `command` is a list of words, such as `["bwrap", …]`, `["ssh", "host"]` or
    `["podman", "run", "-i", "--rm", "IMAGE"]`; `python` and its options are put after them. The
    Python there is 3.9 or newer and needs nothing installed: the guest comes over stdin, and so do
    the inputs. `folder` is where the guest makes a folder of its own, removed at the end.

    The guest confines itself there as one of `ProcessSandbox` does, as far as it can, and with the
    same options: `packages`, `network`, `memory_mb`, `cpu_seconds`, `processes`, `threads`,
    `allow_read`, `scratch_mb`. `confine=False` says that the command has confined it, say in
    a container: then the guest asks for no namespaces and no root of its own, and misses none.
    `require_confinement` refuses to run where a wall is missing all the same.

    The command has `startup_seconds` to bring up its Python. Of this process's environment it gets
    what finds a home, an agent or an engine, and `env` besides; cells see nothing of either.
    """

    command: Sequence[str]
    python: str = "python3"
    confine: bool = True
    require_confinement: bool = False
    packages: Sequence[str] = ()
    network: bool = False
    memory_mb: int | None = None
    cpu_seconds: int | None = None
    processes: int = 0
    threads: int = 64
    allow_read: Sequence[str] = ()
    scratch_mb: int = 256
    folder: str = "/tmp"
    startup_seconds: float = 60.0
    env: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    name: ClassVar[str] = "command"

    def __post_init__(self) -> None:
        for name in ("command", "packages", "allow_read"):
            object.__setattr__(self, name, _words(name, getattr(self, name)))
        self._check_words()
        self._check_bounds()

    def _check_words(self) -> None:
        if not self.command or not self.command[0]:
            raise ConfigurationError("command=[]: name a program, as in ['ssh', 'host']")
        if not isinstance(self.python, str) or not _FOR_NO_SHELL.fullmatch(self.python):
            raise ConfigurationError(
                f"python={self.python!r}: give a name or path that means the same to a shell, as"
                " the command may hand it to one; further words belong into command"
            )
        if not isinstance(self.folder, str) or not self.folder.startswith("/"):
            raise ConfigurationError(f"folder={self.folder!r}: give an absolute path")
        for path in self.allow_read:
            check_path(path)
        for name, word in self.env.items():
            if not isinstance(name, str) or not isinstance(word, str):
                raise ConfigurationError(f"env: {name!r} and its value must be strings")

    def _check_bounds(self) -> None:
        for name in ("confine", "require_confinement", "network"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name}={getattr(self, name)!r}: give True or False")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            absent = value is None and name in ("memory_mb", "cpu_seconds")
            if not absent and (type(value) is not int or value < least):
                raise ConfigurationError(f"{name}={value!r}: give a whole number from {least} on")
        seconds = self.startup_seconds
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not seconds > 0:
            raise ConfigurationError(f"startup_seconds={seconds!r}: give a number above 0")

    def start(
        self, inputs: Mapping[str, Any], limits: CellLimits
    ) -> AbstractAsyncContextManager[Place]:
        """Start the command of one run and send it the inputs."""
        return self._start(dict(inputs), limits)

    @asynccontextmanager
    async def _start(self, inputs: dict[str, Any], limits: CellLimits) -> AsyncIterator[Place]:
        from rlm.sandbox._command_zygote import CommandZygote

        options = self._options(limits)
        facts = {"sandbox": self.name, "command": PurePath(self.command[0]).name, **options}
        async with place_of(lambda: CommandZygote(self, options), facts, inputs, limits) as place:
            missing = place.facts["missing"]
            if missing and self.require_confinement:
                raise SandboxError(refusal(missing))
            yield place

    def environment(self) -> dict[str, str]:
        """Return what the command has as its environment."""
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return kept | dict(self.env)

    def _options(self, limits: CellLimits) -> dict[str, Any]:
        memory = [mb for mb in (self.memory_mb, limits.memory_mb) if mb is not None]
        return {
            "packages": list(self.packages),
            "path": [],
            "processes": self.processes,
            "threads": self.threads,
            "network": self.network,
            "separate": self.confine,
            "fence": True,
            "allow_read": list(self.allow_read),
            "memory_mb": min(memory, default=None),
            "cpu_seconds": self.cpu_seconds,
            "scratch_mb": self.scratch_mb,
        }


def _words(name: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigurationError(f"{name}={given!r}: give a list of strings")
    for word in given:
        if not isinstance(word, str):
            raise ConfigurationError(f"{name}: {word!r} is no string")
    return tuple(given)
