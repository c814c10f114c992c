"""A zygote behind a relay that says anything: its own frames carry those of the sessions."""

from __future__ import annotations

import socket
import struct
from typing import Any

from fuzz.grammar import junk, said_by_session, said_by_zygote, stream
from fuzz.source import Source, one_in, pick
from rlm.guest.wire import Frame, pack
from rlm.sandbox._channel import Channel
from rlm.sandbox._docker_streams import Attached
from rlm.sandbox._inputs import Staged
from rlm.sandbox._relayed import RelayedZygote
from rlm.sandbox._zygote import Life

__all__ = ["attack_by_relay"]

_RECORD = struct.Struct("!BxxxI")


class _Relayed(RelayedZygote):
    """A zygote whose stream ends in this test."""

    def __init__(self, attached: bool) -> None:
        super().__init__({"memory_mb": 64}, Attached() if attached else None)
        self.attached = attached
        self.lives: list[Life] = []
        self.heard: dict[int, list[Any]] = {}
        ours, self._theirs = socket.socketpair()
        self._channel = Channel(ours, self._on_relay, self._on_lost, self._cutter)
        self.alive = True

    async def _launch(self, staged: Staged) -> socket.socket:
        raise AssertionError("nothing is launched here")

    async def _remove(self) -> None:
        self._theirs.close()

    def _last_words(self, reason: str) -> str:
        return reason

    async def session(self) -> None:
        """Open one whose frames are kept by its number."""
        number = self._last + 1
        heard = self.heard[number] = []

        def on_frame(frame: Frame) -> None:
            heard.append(frame[0]["value"])

        self.lives.append(await self.open(on_frame, lambda reason: None, ()))

    def take(self, data: bytes) -> None:
        """Let bytes arrive."""
        assert self._channel is not None
        self._channel.take(data)

    def keeps_its_lives(self) -> bool:
        """Whether each session is among the living, or is known to be gone."""
        living = self._lives.values()
        return all(life.gone.done() or life in living for life in self.lives)


async def attack_by_relay(source: Source) -> int:
    """Let a relay with three sessions say something; return the number of frames.

    What is carried for the second session is heard by it alone, and what the others say does not
    end it while the relay itself keeps to the rules.
    """
    zygote = _Relayed(attached=one_in(source, 2))
    try:
        count = await _attack(zygote, source)
        assert zygote.keeps_its_lives(), "a session is neither alive nor gone"
    finally:
        await zygote.close()
    assert all(life.gone.done() for life in zygote.lives)
    return count


async def _attack(zygote: _Relayed, source: Source) -> int:
    for _ in range(3):
        await zygote.session()
    count = 1 + source.below(6)
    for _ in range(count):
        message, blob = _said(source)
        data = b"".join(stream(source, [message]) if blob is None else pack(message, [blob]))
        zygote.take(_record(source, data) if zygote.attached else data)
    honest = b"".join(pack({"t": "mine", "value": "for the second"}))
    carried = b"".join(pack({"t": "bytes", "id": 2}, [honest]))
    zygote.take(_RECORD.pack(1, len(carried)) + carried if zygote.attached else carried)
    assert "for the second" not in [*zygote.heard[1], *zygote.heard[3]]
    assert "another's" not in zygote.heard[2]
    return count


def _said(source: Source) -> tuple[Any, bytes | None]:
    """Make a relay's message, and its blob; without one it is spoiled at will."""
    kind = pick(
        source, ("bytes", "bytes", "bytes", "end", "full", "free", "ended", "failed", "other")
    )
    if kind == "bytes":
        number = pick(source, (1, 3, 0, 9))
        said = said_by_zygote if number == 0 else said_by_session
        messages = [{**said(source), "value": "another's"} for _ in range(1 + source.below(2))]
        return {"t": "bytes", "id": number}, b"".join(stream(source, messages))
    made = {"t": kind, "id": pick(source, (1, 3, 0, 9, [], None)), "code": junk(source, 3)}
    return made | {"message": junk(source, 2)}, None


def _record(source: Source, data: bytes) -> bytes:
    """Return bytes as an engine sends those of a container."""
    kind = 1 if not one_in(source, 12) else source.below(256)
    size = len(data) if not one_in(source, 12) else pick(source, (0, (1 << 32) - 1, len(data) // 2))
    return _RECORD.pack(kind, size) + data
