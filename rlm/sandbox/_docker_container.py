"""A zygote in a container, over the streams that the engine attaches."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlm.sandbox._archive import archive
from rlm.sandbox._docker_engine import Engine, MountRefused
from rlm.sandbox._docker_inputs import Folder, Weighed
from rlm.sandbox._docker_owner import Owner
from rlm.sandbox._docker_streams import Attached
from rlm.sandbox._inputs import Staged
from rlm.sandbox._relayed import RelayedZygote, whole

if TYPE_CHECKING:
    from rlm.sandbox.docker import DockerSandbox

__all__ = ["Container"]

_SCRATCH = "/tmp"
_LOADER = """
import os, sys
def take(size):
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece: sys.exit("nobody is there")
        data += piece
    return data
path = "/tmp/guest.zip"
with open(path, "xb") as file: file.write(take(int.from_bytes(take(8), "big")))
sys.path[:] = [path, *filter(None, sys.path)]
from guest.__main__ import main
del sys.path[0]
os.unlink(path)
main()
"""
"""What the container runs: it takes the guest from stdin, whatever its image has."""


class Container(RelayedZygote):
    """The container of one place: created, started and removed with it.

    `options` is the zygote's `bind` message without what only the host's side of it knows.
    """

    def __init__(self, sandbox: DockerSandbox, options: Mapping[str, Any]) -> None:
        self._attached = Attached()
        super().__init__({**options, "scratch": _SCRATCH}, self._attached)
        self._sandbox = sandbox
        self._engine: Engine | None = None
        self._id: str | None = None
        self._folder: Folder | None = None
        self._decoded = 0

    def _stage(self, inputs: Mapping[str, Any]) -> Staged:
        staged = Weighed(inputs)
        self._decoded = staged.decoded
        return staged

    async def _launch(self, staged: Staged) -> socket.socket:
        return await whole(self._run, staged)

    def _paths(self) -> Sequence[str]:
        return () if self._folder is None else self._folder.paths

    def _run(self, staged: Staged) -> socket.socket:
        """Create and start the container, and send the guest; return its streams."""
        self._engine = engine = Engine(self._sandbox.connect_timeout)
        engine.sweep()
        if engine.local:
            self._folder = Folder(staged.fds)
            try:
                self._id = self._create(engine, staged, self._folder.mounts)
            except MountRefused:
                self._let_go_of_folder()
        if self._id is None:
            self._id = self._create(engine, staged, {})
        sock = engine.attach(self._id)
        try:
            engine.start(self._id)
            guest = archive()
            sock.sendall(len(guest).to_bytes(8, "big") + guest)
        except BaseException:
            sock.close()
            raise
        return sock

    def _create(self, engine: Engine, staged: Staged, mounts: Mapping[str, str]) -> str:
        """Create a container that has its memory beside what the inputs take."""
        inputs = self._decoded
        if not mounts:  # then files are in memory, too
            inputs += sum(os.fstat(fd).st_size for fd in staged.fds)
        return engine.create(
            self._sandbox.image,
            ["python3", "-s", "-c", _LOADER, "relay"],
            {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"},
            {**Owner.mine().labels, "rlm.place": uuid.uuid4().hex},
            mounts,
            **self._sandbox.walls(inputs),
        )

    def _started(self) -> None:
        super()._started()
        self._let_go_of_folder()

    def _let_go_of_folder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.remove()

    async def _remove(self) -> None:
        await whole(self._end)

    def _end(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            if self._id is not None:
                engine.remove(self._id)
        finally:
            engine.close()

    def _last_words(self, reason: str) -> str:
        said = self._attached.complaints.decode("utf-8", "replace").strip().rpartition("\n")[2]
        if self._code is not None and self._code < 0:
            reason = "it was killed, most likely for using too much memory: give it more memory_mb"
        return f"the sandbox's container has ended; {said or reason or 'it said nothing'}"
