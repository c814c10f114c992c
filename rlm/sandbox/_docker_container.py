"""A zygote in a container, over the streams that the engine attaches."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlm.errors import SandboxError
from rlm.guest.wire import Frame
from rlm.sandbox._docker_berth import Berth
from rlm.sandbox._docker_inputs import Weighed
from rlm.sandbox._docker_kept import refusal
from rlm.sandbox._docker_streams import Attached
from rlm.sandbox._docker_walls import missing_inside, unseen_inside
from rlm.sandbox._inputs import Staged
from rlm.sandbox._relayed import RelayedZygote
from rlm.sandbox._threads import whole

__all__ = ["Container"]

_GREETING_SECONDS = 60.0
_PIECE = 64 * 1024


class Container(RelayedZygote):
    """The zygote of one place, in the berth that `board` finds for the inputs.

    `options` is the zygote's `bind` message without what only the host's side of it knows.
    """

    def __init__(self, board: Callable[[Weighed], Berth], options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._board = board
        self._berth: Berth | None = None
        self._attached = Attached()
        self._lacks: list[str] = []

    async def start(self, inputs: Mapping[str, Any]) -> None:
        """Start it and load the inputs; SandboxError when it cannot be had."""
        await super().start(inputs)
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # wait_for forgets one that comes with a result
            await self.close()
            raise asyncio.CancelledError
        assert self._berth is not None
        self._berth.settled = True
        missing = list(dict.fromkeys([*self._lacks, *self.facts["missing"]]))
        room = {} if self._berth.room_mb is None else {"memory_mb": self._options["memory_mb"]}
        self.facts |= {"container": self._berth.container, "missing": missing, **room}

    def _stage(self, inputs: Mapping[str, Any]) -> Staged:
        return Weighed(inputs)

    async def _launch(self, staged: Staged) -> socket.socket:
        sock = await whole(self._take_berth, staged)
        try:
            assert self._berth is not None
            frames = self._berth.said or await self._greeting(sock)
            self._look(frames[0])
        except BaseException:
            sock.close()
            raise
        return sock

    def _take_berth(self, staged: Weighed) -> socket.socket:
        self._berth = berth = self._board(staged)
        self._cutter = self._attached = berth.attached
        self._options["scratch"] = berth.scratch
        if berth.room_mb is not None:
            asked = self._options["memory_mb"]
            self._options["memory_mb"] = min(asked or berth.room_mb, berth.room_mb)
        return berth.sock

    async def _greeting(self, sock: socket.socket) -> list[Frame]:
        """Wait for what the guest says first: it is there, and this is what it sees."""
        sock.setblocking(False)
        try:
            async with asyncio.timeout(_GREETING_SECONDS):
                while True:
                    data = await asyncio.get_running_loop().sock_recv(sock, _PIECE)
                    frames = self._attached.feed(data)
                    if frames:
                        return frames
                    if not data:
                        raise SandboxError(self._last_words(""))
        except (OSError, ValueError) as error:
            raise SandboxError(self._last_words(str(error))) from error

    def _look(self, frame: Frame) -> None:
        """Judge what the guest sees; a kept container has to have every wall."""
        assert self._berth is not None
        seen, network = frame[0]["seen"], bool(self._options["network"])
        lacks = missing_inside(seen, network)
        if lacks and self._berth.room_mb is not None:
            raise refusal(self._berth.container, lacks)
        self._lacks = [*lacks, *unseen_inside(seen)]

    def _paths(self) -> Sequence[str]:
        return () if self._berth is None else self._berth.paths

    def _started(self) -> None:
        super()._started()
        if self._berth is not None:
            self._berth.loaded()

    async def _remove(self) -> None:
        berth, self._berth = self._berth, None
        if berth is not None:
            await whole(berth.end)

    def _last_words(self, reason: str) -> str:
        said = self._attached.complaints.decode("utf-8", "replace").strip().rpartition("\n")[2]
        if self._code is not None and self._code < 0:
            reason = "it was killed, most likely for using too much memory: give it more memory_mb"
        return f"the sandbox's container has ended; {said or reason or 'it said nothing'}"
