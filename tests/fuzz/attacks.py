"""Attacks of many frames on one place after another, and how many frames they were."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Awaitable, Callable

from fuzz.grammar import NAMES, junk, said_by_session, said_by_zygote, stream
from fuzz.host import STATES, Host, Tripwire
from fuzz.relayed import attack_by_relay
from fuzz.source import Seeded, Source, one_in, pick
from fuzz.watchdog import watched
from rlm.guest.values import decode
from rlm.guest.wire import WireError, from_json, to_json

__all__ = ["ATTACKS", "by_bytes", "by_relay", "by_session", "by_value", "by_zygote", "seeded"]

Attack = Callable[[Host, Source], Awaitable[int]]

_PER_PLACE = 200


async def by_session(host: Host, source: Source) -> int:
    """Attack a session in one of its states; return the number of frames."""
    state = pick(source, STATES)
    messages = [said_by_session(source) for _ in range(1 + source.below(8))]
    await host.attack(state, stream(source, messages))
    return len(messages)


async def by_relay(host: Host, source: Source) -> int:
    """Let a relay say something; return the number of frames."""
    return await attack_by_relay(source)


async def by_value(host: Host, source: Source) -> int:
    """Decode what a frame may hold, as the host does; return that it was one frame."""
    objects = {name: Tripwire() for name in NAMES}
    value, blob = from_json(to_json(junk(source))), source.some(64)
    with contextlib.suppress(WireError):
        decode(value, blob, objects, record=lambda name, fields: fields)
    return 1


async def by_bytes(host: Host, source: Source) -> int:
    """Let bytes arrive that are hardly frames; return the number of pieces."""
    pieces = [source.some(40) for _ in range(1 + source.below(4))]
    if one_in(source, 2):
        head = struct.pack("!IQ", source.below(64), source.below(64))
        pieces.insert(0, head + b'{"t":"' + source.some(60))
    await host.attack(pick(source, STATES), pieces)
    return len(pieces)


async def by_zygote(host: Host, source: Source) -> int:
    """Let the zygote itself say something; return the number of frames."""
    messages = [said_by_zygote(source) for _ in range(1 + source.below(4))]
    await host.hear_zygote(stream(source, messages))
    return len(messages)


ATTACKS: tuple[Attack, ...] = (by_session, by_value, by_bytes, by_zygote, by_relay)


def seeded(attack: Attack, least: int, first: int = 0) -> int:
    """Attack with seed after seed until there were so many frames; return how many there were."""

    number = first

    async def one_place() -> int:
        nonlocal number
        sent = 0
        async with Host() as host:
            for _ in range(_PER_PLACE):
                with watched():
                    sent += await attack(host, Seeded(number))
                number += 1
        return sent

    frames, begun = 0, time.process_time()
    try:
        while frames < least:
            frames += asyncio.run(one_place())
    except BaseException as error:
        error.add_note(f"the attack was {attack.__name__} of seed {number}")
        raise
    rate = frames / (time.process_time() - begun)
    print(
        f"{attack.__name__}: {frames:,} frames, seeds {first} to {number}, {rate:,.0f} a CPU second"
    )
    return frames
