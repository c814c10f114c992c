"""A guest that waits in a container: how it gets there, how it is spoken to, how it is left."""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rlm.errors import SandboxError
from rlm.guest.wire import Frame
from rlm.sandbox._archive import archive
from rlm.sandbox._docker_engine import Engine, MountRefused
from rlm.sandbox._docker_inputs import Folder, Weighed
from rlm.sandbox._docker_owner import PLACE, THE_RUN, Owner
from rlm.sandbox._docker_secrets import contents
from rlm.sandbox._docker_streams import Attached
from rlm.sandbox._docker_walls import asked_for
from rlm.sandbox._scratch import sweep_once
from rlm.sandbox.base import RUN

if TYPE_CHECKING:
    from rlm.sandbox.docker import DockerSandbox

__all__ = ["Berth", "create", "fresh", "guest_command", "launch", "remove", "sweep", "welcome"]

_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}

_LOADER = """
import os, sys
if sys.version_info < (3, 9):
    sys.exit("its Python is %d.%d: the guest needs 3.9 or newer" % sys.version_info[:2])
def take(size):
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece: sys.exit("nobody is there")
        data += piece
    return data
scratch = sys.argv.pop(1)
os.mkdir(scratch, 0o700)
path = os.path.join(scratch, "guest.zip")
with open(path, "xb") as file: file.write(take(int.from_bytes(take(8), "big")))
sys.path[:] = [path, *filter(None, sys.path)]
from guest.container import main
del sys.path[0]
os.unlink(path)
main(scratch)
"""
"""What starts a guest: it takes it from stdin, whatever the image has."""

_log = logging.getLogger("rlm")


@dataclass
class Berth:
    """A guest in a container, and the stream to it, which is for whoever took it to close.

    `scratch` is its folder in there; `folder`, where there is one, is that of its inputs here;
    `said` is what it has said already, cut by `attached`. `leave` is what becomes of the container
    at the `end`. `settled` is whether it came to serve a place; `room_mb` is the memory that cells
    may have of a container that was not made for these inputs.
    """

    container: str
    scratch: str
    sock: socket.socket
    leave: Callable[[], None]
    folder: Folder | None = None
    attached: Attached = field(default_factory=Attached)
    said: list[Frame] = field(default_factory=list)
    settled: bool = False
    room_mb: int | None = None

    @property
    def paths(self) -> Sequence[str]:
        """Where the guest finds the inputs; empty when they have to be sent."""
        return () if self.folder is None else self.folder.paths

    def loaded(self) -> None:
        """Remove the folder of the inputs: the guest has opened them, or never will."""
        folder, self.folder = self.folder, None
        if folder is not None:
            folder.remove()

    def end(self) -> None:
        """Leave it, with nothing of it left here."""
        self.loaded()
        self.leave()


def fresh(sandbox: DockerSandbox, staged: Weighed) -> Berth:
    """Make a container for these inputs, which is removed when it is left."""
    engine = Engine(sandbox.connect_timeout)
    try:
        sweep(engine)
        berth = launch(engine, sandbox, staged)
    except BaseException:
        engine.close()
        raise

    def leave() -> None:
        try:
            remove(engine, berth.container)
        finally:
            engine.close()

    berth.leave = leave
    return berth


def sweep(engine: Engine) -> None:
    """Remove what processes of this machine have left that are no more."""
    engine.sweep()
    sweep_once()


def launch(engine: Engine, sandbox: DockerSandbox, staged: Weighed | None = None) -> Berth:
    """Create and start a container whose first process is a guest, and send the guest.

    Inputs are mounted where the engine sees this machine's files. Without any, the folder for them
    is. Nothing is left when it fails.
    """
    folder = _folder(engine, sandbox, staged)
    command, scratch = guest_command()
    container = ""
    try:
        try:
            container = create(engine, sandbox, command, staged, folder)
        except MountRefused:
            if folder is None or sandbox.secrets:
                raise
            folder.remove()
            folder = None
            container = create(engine, sandbox, command, staged)
        sock = engine.attach(container)
        try:
            engine.start(container)
            welcome(sock)
        except BaseException:
            sock.close()
            raise
    except BaseException:
        if folder is not None:
            folder.remove()
        if container:
            engine.remove(container)
        raise
    return Berth(container, scratch, sock, lambda: None, folder)


def _folder(engine: Engine, sandbox: DockerSandbox, staged: Weighed | None) -> Folder | None:
    if not engine.local:
        if sandbox.secrets:
            raise SandboxError(
                "secrets are mounted, and this engine does not see the files of this machine: use"
                " an engine here, or a tool that answers with what the secret is for"
            )
        return None
    folder = Folder()
    try:
        for name, content in contents(sandbox.secrets).items():
            folder.add_secret(name, content)
        if staged is not None:
            folder.add(staged.fds, mounting=True)
    except BaseException:
        folder.remove()
        raise
    return folder


def create(
    engine: Engine,
    sandbox: DockerSandbox,
    command: Sequence[str],
    staged: Weighed | None = None,
    folder: Folder | None = None,
    keeps: bool = False,
) -> str:
    """Create a container that has its memory beside what the inputs take; return its id."""
    inputs = 0
    if staged is not None:
        inputs = staged.decoded if folder is not None else staged.sent
    return engine.create(
        sandbox.image,
        command,
        _ENVIRONMENT,
        {**Owner.mine(keeps).labels, PLACE: uuid.uuid4().hex, THE_RUN: RUN.get()},
        {} if folder is None else folder.mounts,
        **asked_for(sandbox, inputs, engine.is_docker),
    )


def guest_command() -> tuple[list[str], str]:
    """Return what starts a guest in a container, and the folder that it makes there."""
    scratch = f"/tmp/rlm-{uuid.uuid4().hex}"
    return ["python3", "-s", "-c", _LOADER, scratch], scratch


def welcome(sock: socket.socket) -> None:
    """Send the guest to the loader that waits for it."""
    guest = archive()
    sock.sendall(len(guest).to_bytes(8, "big") + guest)


def remove(engine: Engine, container: str) -> None:
    """Remove a container; what cannot be removed now is left to a later sweep, and said."""
    try:
        engine.remove(container)
    except SandboxError as error:
        _log.warning("container %s may be left for the next run to remove: %s", container, error)
