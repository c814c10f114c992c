from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spending import measured

from rlm.guest.files import Opener
from rlm.guest.mapped import LEAST
from rlm.guest.values import decode, encode
from rlm.guest.wire import from_json
from rlm.sandbox._inputs import MemoryFile, Staged, VariableBlobs

LINUX = sys.platform == "linux"
MEGABYTE = 1 << 20
LARGE = 64 * MEGABYTE


def arrived(staged: Staged) -> dict[str, Any]:
    """Return the inputs as a guest finds them."""
    content = memoryview(os.pread(staged.fds[0], os.fstat(staged.fds[0]).st_size, 0))
    offset, size = staged.table
    trees = from_json(content[offset : offset + size])
    return {name: decode(tree, content) for name, tree in trees.items()}


texts = st.text(max_size=3) | st.text(min_size=600, max_size=700)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.binary(max_size=10),
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), plain, max_size=4))
def test_inputs_arrive_as_they_were(inputs: dict[str, Any]) -> None:
    staged = Staged(inputs)
    try:
        assert arrived(staged) == inputs
    finally:
        staged.close()


@settings(max_examples=20, deadline=None)
@given(plain, st.sampled_from([999, 1000, 1001, 2500]))
def test_long_lists_and_dicts_are_put_together_of_their_parts(item: Any, length: int) -> None:
    inputs = {"list": [item] * length, "dict": {str(number): item for number in range(length)}}
    staged = Staged(inputs)
    try:
        assert arrived(staged) == inputs
    finally:
        staged.close()


def test_what_is_written_in_pieces_is_there_in_order() -> None:
    file = MemoryFile()
    try:
        small = [file.put(bytes([number % 256]) * 1000) for number in range(1000)]
        large = file.put(b"L" * LEAST)
        text = file.put_text("ж" * LEAST)
        last = file.put_pieces([b"a", b"", b"b" * 300_000])
        file.seal()
        for number, (offset, size) in enumerate(small):
            assert os.pread(file.fd, size, offset) == bytes([number % 256]) * 1000
        assert os.pread(file.fd, large[1], large[0]) == b"L" * LEAST
        assert os.pread(file.fd, text[1], text[0]).decode("utf-16-le") == "ж" * LEAST
        assert os.pread(file.fd, last[1], last[0]) == b"a" + b"b" * 300_000
    finally:
        os.close(file.fd)


@pytest.mark.skipif(not LINUX, reason="only Linux has files that can be sealed")
def test_nobody_can_change_what_sessions_share() -> None:
    staged = Staged({"text": "x" * LEAST})
    try:
        with pytest.raises(OSError):
            os.write(staged.fds[0], b"y")
        with pytest.raises(OSError):
            os.ftruncate(staged.fds[0], 0)
    finally:
        staged.close()


@dataclasses.dataclass
class Pair:
    left: Any
    right: Any


@pytest.mark.parametrize("text", ["a", "é", "ж", "🎉", "\ud83d\ude00ж"])
def test_large_variables_travel_in_files_of_their_own(text: str) -> None:
    value = {"text": text * LEAST, "bytes": b"b" * LEAST, "in": Pair("s", ["é" * LEAST])}
    blobs = VariableBlobs()
    try:
        tree = json.loads(json.dumps(encode(value, blobs)))
        assert blobs.size == 0
        assert len(blobs.fds) == 3
        made = decode(tree, b"", None, Opener(blobs.fds, None, "session"))
        assert made["text"] == value["text"]
        assert made["bytes"] == value["bytes"]
        assert made["in"]["right"] == ["é" * LEAST]
    finally:
        blobs.close()


def test_more_large_variables_than_may_have_a_descriptor_travel_in_the_frame() -> None:
    value = ["x" * LEAST] * 40
    blobs = VariableBlobs()
    try:
        tree = encode(value, blobs)
        assert len(blobs.fds) == 32
        assert blobs.size == 8 * LEAST
        blob = b"".join(blobs.pieces)
        assert decode(tree, blob, None, Opener(blobs.fds, None, "session")) == value
    finally:
        blobs.close()


# what they cost


@pytest.mark.skipif(not LINUX, reason="reads /proc")
@pytest.mark.parametrize("is_input", [True, False], ids=["input", "variable"])
@pytest.mark.parametrize("kind", ["'x'", "'é'", "'ж'", "'🎉'", "b'x'"])
def test_a_text_or_bytes_has_one_copy_beside_it_which_is_shared(kind: str, is_input: bool) -> None:
    spent = measured(f"{kind} * {LARGE}", is_input)
    assert spent["length"] == LARGE
    assert spent["host"] < 12 * MEGABYTE  # the one copy is the memory file
    assert spent["own"] < 4 * MEGABYTE
    assert spent["peak"] < 12 * MEGABYTE


@pytest.mark.skipif(not LINUX, reason="reads /proc")
@pytest.mark.parametrize(
    "value",
    [
        "[f'{n}' * 500 for n in range(40_000)]",
        "[{'id': n, 'text': f'the {n}th line of a text', 'score': 0.5} for n in range(300_000)]",
        "{f'key {n}': [n, n, n] for n in range(300_000)}",
    ],
    ids=["documents", "records", "lists"],
)
def test_other_values_take_less_than_three_times_their_encoding_here(value: str) -> None:
    encoding = len(json.dumps(eval(value)))  # one of three that are written above
    spent = measured(value, True)
    assert spent["host"] < 2 * encoding  # and the memory file, which has it once


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_a_file_costs_nothing_until_it_is_read() -> None:
    made = f"rlm.File(data=bytes({LARGE}))"
    spent = measured(made, True)
    assert spent["length"] == LARGE  # which reads it, a window at a time
    assert spent["host"] < 4 * MEGABYTE
    assert spent["peak"] < 24 * MEGABYTE
