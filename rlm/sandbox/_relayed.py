"""A zygote behind one stream of bytes, wherever that comes from: the host's side of the relay."""

from __future__ import annotations

import asyncio
import os
import socket
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from rlm.guest.relay import CHUNK
from rlm.guest.wire import VERSION, Frame, Frames, WireError, pack
from rlm.sandbox._channel import FROM_RELAY, FROM_ZYGOTE, Channel, Cutter, Line, OnFrame, OnLost
from rlm.sandbox._inputs import Staged
from rlm.sandbox._threads import whole
from rlm.sandbox._zygote import Life, Zygote

__all__ = ["RelayedZygote", "Strand", "carried"]

Send = Callable[[dict[str, Any], Sequence[bytes]], None]
Sent = Callable[[], Awaitable[None]]


class RelayedZygote(Zygote):
    """A zygote that a relay serves; how its stream is had, and ended, is for its kinds.

    `_options` are read once the stream is there. `_cutter` takes the frames out of that; `_code` is
    how the zygote ended, where the relay could still say so.
    """

    def __init__(self, options: Mapping[str, Any], cutter: Cutter | None = None) -> None:
        super().__init__(options)
        self._cutter = cutter or Frames(FROM_RELAY)
        self._channel: Channel | None = None
        self._said = Frames(FROM_ZYGOTE)
        self._strands: dict[int, Strand] = {}
        self._sending = asyncio.Lock()
        self._staged: Staged | None = None
        self._code: int | None = None

    @abstractmethod
    async def _launch(self, staged: Staged) -> socket.socket:
        """Start the relay for these inputs and return the stream to it, which is the caller's."""

    @abstractmethod
    async def _remove(self) -> None:
        """End what was launched, with all that runs in it, and leave nothing behind."""

    @abstractmethod
    def _last_words(self, reason: str) -> str:
        """Return why the stream has ended, in a sentence; `reason` is what the stream knows."""

    def _stage(self, inputs: Mapping[str, Any]) -> Staged:
        """Encode the inputs; this takes its time, in a thread."""
        return Staged(inputs)

    def _paths(self) -> Sequence[str]:
        """Return where the relay finds the staged inputs, in order; empty: they are sent."""
        return ()

    async def _start(self, inputs: Mapping[str, Any]) -> None:
        self._staged = staged = await whole(self._stage, inputs)
        sock = await self._launch(staged)
        self._channel = Channel(sock, self._on_relay, self._on_lost, self._cutter)
        self.alive = True
        self.files = staged.files
        bind = {**self._options, "t": "bind", "version": VERSION}
        bind |= {"inputs": staged.table, "fds": len(staged.fds)}
        paths = self._paths()
        for path in paths:
            self._channel.send({"t": "file", "path": path})
        if not paths:
            await self._send_contents(staged.fds)
        self._send_to_zygote(pack(bind), passing=True)

    def _started(self) -> None:
        if self._staged is not None:
            self._staged.close()

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
            strand = self._strands[number] = Strand(
                number, self._send, self._sent, on_frame, on_lost, Frames(self.bounds)
            )
            message = {"t": "open", "id": number, "fds": 1 + len(fds)}
            self._send_to_zygote(pack(message), passing=True)
            life = self._born(strand)
            life.gone.add_done_callback(lambda gone: self._strands.pop(number, None))
        return life

    async def close(self) -> None:
        """End the zygote with all that was started for it."""
        if self._channel is not None:
            self._channel.close()
        self._bury()
        await self._remove()

    def _end_by_force(self) -> None:
        if self._channel is not None:
            self._channel.lose("it did not answer")

    # what is sent

    def _send(self, message: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        if self._channel is not None:
            self._channel.send(message, blobs)

    async def _sent(self) -> None:
        if self._channel is not None:
            await self._channel.drained()

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
        elif kind in ("full", "free"):
            strand = self._strands.get(message["id"])
            if strand is not None:
                strand.on_flow(kind == "full")
        elif kind == "ended":
            self._code = int(message["code"])
        elif kind == "failed":
            self._fail(f"the sandbox cannot start: {message['message']}")
        else:
            raise WireError(f"it said {kind!r}")

    def _on_lost(self, reason: str) -> None:
        why = self._last_words(reason)
        self._fail(why)
        self._bury(why)


class Strand(Line):
    """The line to one session, carried by `send` within the stream of all."""

    def __init__(
        self,
        number: int,
        send: Send,
        sent: Sent,
        on_frame: OnFrame,
        on_lost: OnLost,
        frames: Cutter,
    ) -> None:
        super().__init__(on_frame, on_lost, frames)
        self._number = number
        self._send = send
        self._sent = sent
        self._taken = asyncio.Event()
        self._taken.set()

    def send(self, message: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send a frame to the session."""
        if self._open:
            for carrier, piece in carried(self._number, pack(message, blobs)):
                self._send(carrier, (piece,))

    async def drained(self) -> None:
        """Wait until the session has taken what was sent, as far as the relay has said so."""
        await self._sent()
        await self._taken.wait()

    def on_flow(self, full: bool) -> None:
        """Something waits at the relay for the session to take it, or nothing does any more."""
        if full and self._open:
            self._taken.clear()
        else:
            self._taken.set()

    def close(self) -> None:
        """Let go of the session, which ends when it notices."""
        if self._open:
            self._open = False
            self._taken.set()
            self._send({"t": "end", "id": self._number}, ())


def carried(number: int, pieces: Sequence[bytes]) -> list[tuple[dict[str, Any], bytes]]:
    """Return the frames that carry these pieces to a stream, none so large that others wait."""
    found = []
    for piece in pieces:
        view = memoryview(piece)
        for place in range(0, len(view), CHUNK):
            found.append(({"t": "bytes", "id": number}, bytes(view[place : place + CHUNK])))
    return found
