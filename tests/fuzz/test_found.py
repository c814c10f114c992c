"""What fuzzing has found, each as small as it became."""

from __future__ import annotations

import asyncio
import struct
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest

import rlm
from fuzz.host import Host, Tripwire
from fuzz.watchdog import watched
from rlm.guest.values import Blobs, NotPortable, decode, encode
from rlm.guest.wire import WireError, pack
from rlm.sandbox.base import CellLimits, Execution, OpenOptions
from rlm.sandbox.process import ProcessSandbox
from rlm.testing import ScriptedLM

PRIME = (1 << 61) - 1  # its multiples have one hash


def test_a_start_that_is_said_again_in_a_cell_is_not_its_result() -> None:
    async def main() -> None:
        async with Host() as host:
            done = await host.attack("running", pack({"t": "ready", "version": 1}))
            assert done is not None
            assert done.error is not None
            assert done.error.kind == "lost"

    asyncio.run(main())


def test_an_end_that_is_said_before_the_start_is_no_start() -> None:
    done: dict[str, Any] = {"t": "done", "n": 0, "stdout": "", "stderr": "", "value": None}
    done |= {"stdout_chars": 0, "stderr_chars": 0, "error": None, "variables": [], "files": []}

    async def main() -> None:
        async with Host() as host:
            await host.attack("binding", pack(done))

    asyncio.run(main())


@pytest.mark.parametrize("tag", ["set", "frozenset", "dict"])
def test_keys_that_are_made_to_have_one_hash_are_refused(tag: str) -> None:
    keys: list[Any] = [number * PRIME for number in range(50_000)]
    with watched(), pytest.raises(WireError, match="same hash"):
        decode({"$": tag, "v": [[key, 0] for key in keys] if tag == "dict" else keys})


def test_honest_keys_that_happen_to_share_hashes_arrive() -> None:
    powers = {1 << place for place in range(5000)}  # they have 61 hashes in all
    tagged = [{"$": "int", "v": hex(power)} for power in powers]
    assert decode({"$": "set", "v": tagged}) == powers


@pytest.mark.parametrize("tag", ["str", "bytes"])
def test_a_few_bytes_cannot_be_named_again_and_again(tag: str) -> None:
    blob = bytes(1 << 20)
    with watched(), pytest.raises(WireError, match="overlap"):
        decode([{"$": tag, "at": [0, len(blob)]}] * 1_000_000, blob)


@pytest.mark.parametrize("tag", ["series", "frame"])
def test_a_table_is_not_made_of_objects_that_it_would_ask_for_attributes(tag: str) -> None:
    ref = {"$": "ref", "v": "place:text"}
    table = {"$": tag, "v": [["a", [ref]]] if tag == "frame" else [ref], "index": [0], "name": "s"}
    with pytest.raises(WireError, match="named in a table"):
        decode(table, b"", {"place:text": Tripwire()})
    text = "a large text that both sides have"
    assert list(decode({**table, "$": "series", "v": [ref]}, b"", {"place:text": text})) == [text]


def test_what_a_guest_said_wrong_is_told_in_few_words() -> None:
    call = {"t": "call", "id": 1, "name": "echo", "args": [{"$": "x" * 10_000_000}], "kwargs": {}}

    async def main() -> None:
        async with Host() as host:
            done = await host.attack("running", pack(call))
            assert done is not None
            assert done.error is not None
            assert "protocol" in done.error.message
            assert len(done.error.message) < 1000

    asyncio.run(main())


@pytest.mark.parametrize("number", ["1e99999999", "1e-99999999", "-9e4301"])
def test_a_decimal_too_long_for_an_integer_stays_where_it_is(number: str) -> None:
    with pytest.raises(WireError, match="4,300 digits"):
        decode({"$": "decimal", "v": number})
    with pytest.raises(NotPortable, match="4,300 digits"):
        encode(Decimal(number), Blobs())
    for modest in ("1e4000", "NaN", "-Infinity", "0e5", "0.1"):
        assert str(decode({"$": "decimal", "v": modest})) == str(Decimal(modest))


def test_a_run_outlives_a_number_that_takes_minutes_to_convert() -> None:
    cell = "from decimal import Decimal\nsubmit(answer=Decimal('1e99999999'))"
    lm = ScriptedLM([f"```repl\n{cell}\n```", "```final\n5\n```"])
    with watched():
        result = rlm.predict("context -> answer: int", input={"context": "c"}, model=lm)
    assert result.value == 5
    [turn, *_] = result.turns()
    assert turn.execution is not None
    assert turn.execution.error is not None
    assert "4,300 digits" in turn.execution.error.message


WIRE = """
import json, os, stat, struct, time
def is_wire(fd):
    try: return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError: return False
wire = [fd for fd in range(3, 256) if is_wire(fd)][0]
def send(blob=b'', **message):
    body = json.dumps(message).encode()
    data = memoryview(struct.pack('!IQ', len(body), len(blob)) + body + blob)
    while data: data = data[os.write(wire, data):]
"""
"""What a cell needs to send frames of its own: its wire is the one socket that it has."""


def test_who_reads_no_answers_gets_no_more_of_them() -> None:
    sent = 0

    async def function() -> str:
        nonlocal sent
        sent += 1
        return "x" * 1_000_000

    async def main() -> None:
        async with (
            ProcessSandbox().start({}, CellLimits(seconds=20, memory_mb=256)) as place,
            place.open({}, {"function": function}, OpenOptions()) as session,
        ):
            call = "send(t='call', id=number, name='function', args=[], kwargs={})"
            await session.execute(f"{WIRE}\nfor number in range(200): {call}\ntime.sleep(0.5)")
            assert 0 < sent < 20
            assert (await session.execute("1 + 1")).value == "2"

    with watched(60):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("args", "blob"),
    [([], bytes(20 << 20)), (["x" * (7 << 20)], b""), ([[[]] * 100_000], b"")],
    ids=["beside", "text", "values"],
)
def test_calls_that_wait_cannot_hold_more_than_the_memory_of_their_session(
    args: list[Any], blob: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fuzz.host.LIMITS", CellLimits(seconds=None, memory_mb=64))

    async def main() -> None:
        async with Host() as host:
            call = {"t": "call", "name": "slow", "args": args, "kwargs": {}}
            for count in (1, 10):
                calls = [pack({**call, "id": number}, [blob]) for number in range(count)]
                done = await host.attack("running", [piece for one in calls for piece in one])
                assert done is not None
                told = "" if done.error is None else done.error.message
                assert ("hold too much" in told) is (count == 10)

    asyncio.run(main())


def test_a_frame_of_millions_of_empty_lists_is_refused() -> None:
    body = b'{"t":"call","id":1,"name":"echo","kwargs":{},"args":[' + b"[]," * 1_000_000 + b"0]}"

    async def main() -> None:
        async with Host() as host:
            done = await host.attack("running", [struct.pack("!IQ", len(body), 0), body])
            assert done is not None
            assert done.error is not None
            assert "values, and may have" in done.error.message

    with watched():
        asyncio.run(main())


def test_an_answer_too_large_to_send_is_an_error_in_the_cell() -> None:
    async def function() -> list[str]:
        return ["x" * 60_000] * 1200  # texts that travel in the JSON, more than a frame has

    async def main() -> Execution:
        async with (
            ProcessSandbox().start({}, CellLimits(seconds=20)) as place,
            place.open({}, {"function": function}, OpenOptions()) as session,
        ):
            return await session.execute("len(function())")

    with watched(60):
        done = asyncio.run(main())
    assert done.value == "1200" or (done.error is not None and "too large" in done.error.message)


@pytest.mark.parametrize("form", [hex, int], ids=["tagged", "plain"])
def test_many_long_numbers_are_refused_before_they_are_written_as_text(form: Any) -> None:
    number = 10**4200
    value: Any = {"$": "int", "v": hex(number)} if form is hex else number
    call = {"t": "call", "id": 1, "name": "echo", "args": [[value] * 1000], "kwargs": {}}

    async def main() -> None:
        async with Host() as host:
            done = await host.attack("running", pack(call))
            assert done is not None
            assert done.error is not None
            assert "long numbers" in done.error.message

    asyncio.run(main())


def test_the_images_of_a_cell_cannot_name_the_same_bytes_again_and_again() -> None:
    done: dict[str, Any] = {"t": "done", "n": 1, "stdout": "", "stderr": "", "value": None}
    done |= {"stdout_chars": 0, "stderr_chars": 0, "error": None, "variables": [], "files": []}
    done["images"] = [{"$": "bytes", "at": [0, 1000]}] * 8

    async def main() -> None:
        async with Host() as host:
            end = await host.attack("running", pack(done, [bytes(1000)]))
            assert end is not None
            assert end.error is not None
            assert "overlap" in end.error.message

    asyncio.run(main())


def test_answers_that_nobody_reads_wait_one_at_a_time() -> None:
    """Of a hundred answers to calls made at once, one is put on the wire, and waits there."""
    started = 0

    async def large() -> str:
        nonlocal started
        started += 1
        await asyncio.sleep(0.3)  # all of them are asked for before the first comes back
        return text

    text = "x" * (8 << 20)
    cell = """
import json, os, struct, time
for number in range(1000, 1100):
    body = json.dumps({'t': 'call', 'id': number, 'name': 'large', 'args': [], 'kwargs': {}})
    for fd in range(3, 30):
        try: os.write(fd, struct.pack('!IQ', len(body), 0) + body.encode()); break
        except OSError: pass
time.sleep(1.5)
"""

    async def main() -> None:
        async with (
            ProcessSandbox().start({}, CellLimits(seconds=5)) as place,
            place.open({}, {"large": large}, OpenOptions()) as session,
        ):
            await session.execute(cell)

    tracemalloc.start()
    with watched(60):
        asyncio.run(main())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert started == 100
    assert most < 4 * len(text)
