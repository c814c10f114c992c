"""Containers that outlive a run: made to be kept, found again, and used by many runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlm.errors import ConfigurationError, SandboxError
from rlm.sandbox._docker_berth import Berth, create, guest_command, remove, sweep, welcome
from rlm.sandbox._docker_engine import Engine, NoSuchContainer
from rlm.sandbox._docker_inputs import Weighed
from rlm.sandbox._docker_owner import KEPT
from rlm.sandbox._docker_walls import missing_outside

if TYPE_CHECKING:
    from rlm.sandbox.docker import DockerSandbox

__all__ = ["Kept", "refusal"]

_KEEPER = """
import os, signal
ends = {signal.SIGTERM, signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, {*ends, signal.SIGCHLD})
while signal.sigwait({*ends, signal.SIGCHLD}) not in ends:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
"""
"""The first process of a kept container: it buries orphans and waits. Guests come beside it."""

_OWN_MB = 32
_LEAST_MB = 16

_log = logging.getLogger("rlm")


class Kept:
    """The kept container of one place: that which `reuse_container` names, or one made for it.

    Each guest in it is a process that the engine starts there, within the container's walls; when
    its stream closes, it ends with all of its sessions, and the container stays.
    """

    def __init__(self, sandbox: DockerSandbox) -> None:
        self._sandbox = sandbox
        self._container = sandbox.reuse_container

    def board(self, staged: Weighed) -> Berth:
        """Start a guest in it; the container is made, if it is not there and may be."""
        engine = Engine(self._sandbox.connect_timeout)
        try:
            sweep(engine)
            room = None
            if self._container is not None:
                room = self._find(engine, staged)
            made = self._container is None
            if self._container is None:
                self._container = self._make(engine, staged)
            return self._start_guest(engine, self._container, made, room)
        except BaseException:
            engine.close()
            raise

    def _find(self, engine: Engine, staged: Weighed) -> int | None:
        """Check the container and return the memory that cells may have, if it is still there."""
        assert self._container is not None
        try:
            found = engine.inspect(self._container)
        except NoSuchContainer as error:
            if self._sandbox.reuse_container is None:  # what was made here has ended meanwhile
                self._container = None
                return None
            raise ConfigurationError(
                f"reuse_container={self._container!r}: {error.__cause__ and error};"
                " `rlm docker ls` lists those that are kept"
            ) from error
        _check(self._container, found, self._sandbox)
        self._container = str(found["Id"])
        return _room(self._container, found, staged)

    def _make(self, engine: Engine, staged: Weighed) -> str:
        command = ["python3", "-s", "-c", _KEEPER]
        container = create(engine, self._sandbox, command, staged, keeps=True)
        try:
            engine.start(container)
        except BaseException:
            engine.remove(container)
            raise
        return container

    def _start_guest(self, engine: Engine, container: str, made: bool, room: int | None) -> Berth:
        command, scratch = guest_command()
        try:
            sock = engine.execute(container, command)
            try:
                welcome(sock)
            except BaseException:
                sock.close()
                raise
        except BaseException:
            if made:
                self._container = None
                engine.remove(container)
            raise

        def leave() -> None:
            try:
                if made and not berth.settled:
                    self._container = None
                    remove(engine, container)
                elif made:
                    _log.info("container %s is kept: rlm docker rm %.12s", container, container)
            finally:
                engine.close()

        berth = Berth(container, scratch, sock, leave, room_mb=room)
        return berth


def refusal(container: str, missing: list[str]) -> ConfigurationError:
    """Return the error that says why a container is not used again."""
    return ConfigurationError(
        f"reuse_container={container!r}: it lacks {'; '.join(missing)}. Use one that"
        " keep_alive=True has made"
    )


def _check(name: str, found: Mapping[str, Any], sandbox: DockerSandbox) -> None:
    """Refuse a container that is not one of ours, that does not run, or that lacks a wall."""
    if KEPT not in (found["Config"].get("Labels") or {}):
        raise ConfigurationError(
            f"reuse_container={name!r}: it was not made by rlm to be kept; keep_alive=True makes"
            " one, and `rlm docker ls` lists them"
        )
    state = found["State"]
    if not state.get("Running") or state.get("Paused"):
        raise ConfigurationError(
            f"reuse_container={name!r}: it is {state.get('Status')}, and has to be running"
        )
    missing = missing_outside(found, sandbox.network)
    if missing:
        raise refusal(name, missing)


def _room(name: str, found: Mapping[str, Any], staged: Weighed) -> int:
    """Return the mebibytes that its memory leaves for cells beside these inputs."""
    memory = int(found["HostConfig"]["Memory"]) >> 20
    room = memory - (staged.sent >> 20) - _OWN_MB
    if room < _LEAST_MB:
        raise SandboxError(
            f"reuse_container={name!r}: its {memory} MB do not hold these inputs, which take"
            f" {staged.sent >> 20} MB there; keep one that was made with more memory_mb"
        )
    return room
