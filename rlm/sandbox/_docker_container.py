"""A zygote in a container, over the streams that the engine attaches."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rlm.guest.relay import CHUNK
from rlm.guest.wire import VERSION, Frame, Frames, WireError, pack
from rlm.sandbox._archive import archive
from rlm.sandbox._channel import Channel, OnFrame, OnLost
from rlm.sandbox._docker_engine import Engine, MountRefused
from rlm.sandbox._docker_inputs import Folder, Weighed
from rlm.sandbox._docker_owner import Owner
from rlm.sandbox._docker_streams import Attached, Strand, carried
from rlm.sandbox._zygote import Life, Zygote

if TYPE_CHECKING:
    from rlm.sandbox.docker import DockerSandbox

__all__ = ["Container"]

T = TypeVar("T")

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


class Container(Zygote):
    """The container of one place: created, started and removed with it.

    `options` is the zygote's `bind` message without what only this class knows.
    """

    def __init__(self, sandbox: DockerSandbox, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._sandbox = sandbox
        self._options = options
        self._engine: Engine | None = None
        self._id: str | None = None
        self._channel: Channel | None = None
        self._attached = Attached()
        self._said = Frames()
        self._strands: dict[int, Strand] = {}
        self._sending = asyncio.Lock()
        self._staged: Weighed | None = None
        self._folder: Folder | None = None
        self._code: int | None = None

    async def _start(self, inputs: Mapping[str, Any]) -> None:
        self._staged = staged = await _whole(Weighed, inputs)
        self.files = staged.files
        bind = {**self._options, "t": "bind", "version": VERSION, "scratch": _SCRATCH}
        bind |= {"inputs": staged.table, "fds": len(staged.fds)}
        sock = await _whole(self._launch, staged)
        self._channel = Channel(sock, self._on_relay, self._on_lost, self._attached)
        self.alive = True
        if self._folder is not None:
            for path in self._folder.paths:
                self._channel.send({"t": "file", "path": path})
        else:
            await self._send_contents(staged.fds)
        self._send_to_zygote(pack(bind), passing=True)

    def _launch(self, staged: Weighed) -> socket.socket:
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

    def _create(self, engine: Engine, staged: Weighed, mounts: Mapping[str, str]) -> str:
        """Create a container that has its memory beside what the inputs take."""
        inputs = staged.decoded
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
        if self._staged is not None:
            self._staged.close()
        self._let_go_of_folder()

    def _let_go_of_folder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.remove()

    async def open(self, on_frame: OnFrame, on_lost: OnLost, fds: Sequence[int]) -> Life:
        """Fork a session, to which these descriptors go; they stay the caller's."""
        async with self._sending:  # descriptors are collected there for one session at a time
            number = self._last + 1
            self._send({"t": "stream", "id": number})
            try:
                await self._send_contents(fds)
            except BaseException:
                self._send({"t": "forget"})
                self._send({"t": "end", "id": number})
                raise
            strand = self._strands[number] = Strand(number, self._send, on_frame, on_lost)
            message = {"t": "open", "id": number, "fds": 1 + len(fds)}
            self._send_to_zygote(pack(message), passing=True)
            life = self._born(strand)
            life.gone.add_done_callback(lambda gone: self._strands.pop(number, None))
        return life

    async def close(self) -> None:
        """Remove the container, with all that runs in it."""
        if self._channel is not None:
            self._channel.close()
        self._bury()
        await _whole(self._remove)

    def _remove(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            if self._id is not None:
                engine.remove(self._id)
        finally:
            engine.close()

    def _end_by_force(self) -> None:
        if self._channel is not None:
            self._channel.lose("it did not answer")

    # what is sent

    def _send(self, message: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        if self._channel is not None:
            self._channel.send(message, blobs)

    def _tell(self, message: dict[str, Any]) -> None:
        self._send_to_zygote(pack(message))

    def _send_to_zygote(self, pieces: Sequence[bytes], passing: bool = False) -> None:
        """Send a frame to the zygote; `passing` is whether collected descriptors go with it."""
        for carrier, piece in carried(0, pieces):
            self._send({**carrier, "fds": True} if passing else carrier, (piece,))
            passing = False

    async def _send_contents(self, fds: Sequence[int]) -> None:
        """Send the content of files, piece by piece as the other side takes it."""
        for fd in fds:
            size, place, first = os.fstat(fd).st_size, 0, True
            while first or place < size:
                piece = await asyncio.to_thread(os.pread, fd, CHUNK, place)
                place = place + len(piece) if piece else size  # it has become shorter
                self._send({"t": "content", "first": first, "last": place >= size}, (piece,))
                first = False
                if self._channel is not None:
                    await self._channel.drained()

    # what is said

    def _on_relay(self, frame: Frame) -> None:
        message, blob = frame
        kind = message["t"]
        if kind == "bytes" and message["id"] == 0:
            for said in self._said.feed(blob):
                self._on_frame(said)
        elif kind == "bytes":
            strand = self._strands.get(message["id"])
            if strand is not None:
                strand.take(blob)
        elif kind == "end":
            strand = self._strands.pop(message["id"], None)
            if strand is not None:
                strand.lose("")
        elif kind == "ended":
            self._code = int(message["code"])
        elif kind == "failed":
            self._fail(f"the sandbox cannot start: {message['message']}")
        else:
            raise WireError(f"it said {kind!r}")

    def _on_lost(self, reason: str) -> None:
        said = self._attached.complaints.decode("utf-8", "replace").strip().rpartition("\n")[2]
        if self._code is not None and self._code < 0:
            reason = "it was killed, most likely for using too much memory: give it more memory_mb"
        why = f"the sandbox's container has ended; {said or reason or 'it said nothing'}"
        self._fail(why)
        self._bury(why)


async def _whole(function: Callable[..., T], *args: Any) -> T:
    """Run a function in a thread to its end, also when this is cancelled meanwhile."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):  # it is raised below
                await asyncio.wait([running])
        if not running.cancelled() and running.exception() is None:
            _discard(running.result())
        raise


def _discard(result: Any) -> None:
    if isinstance(result, socket.socket):
        result.close()
