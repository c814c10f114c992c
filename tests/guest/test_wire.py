from __future__ import annotations

import ast
import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rlm.guest
from rlm.guest import wire
from rlm.guest.wire import VALUE_BYTES, Bounds, Frames, WireError, pack


@given(
    st.lists(st.tuples(st.text(), st.lists(st.binary(max_size=50), max_size=3)), max_size=5),
    st.integers(1, 40),
    st.sampled_from([0, 20, 1000]),
)
def test_frames_survive_any_cutting_of_the_stream(
    sent: list[tuple[str, list[bytes]]], step: int, apart: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "_APART", apart)
        _cut_and_put_together(sent, step)


def _cut_and_put_together(sent: list[tuple[str, list[bytes]]], step: int) -> None:
    stream = b"".join(b"".join(pack({"t": "x", "text": text}, blobs)) for text, blobs in sent)
    frames = Frames()
    got = [
        frame
        for place in range(0, len(stream), step)
        for frame in frames.feed(stream[place : place + step])
    ]
    assert got == [({"t": "x", "text": text}, b"".join(blobs)) for text, blobs in sent]


def test_lone_surrogates_survive() -> None:
    text = "\ud83d\ude00 \udcff 😀"
    [(message, _)] = Frames().feed(b"".join(pack({"t": "x", "text": text})))
    assert message["text"] == text


@given(st.binary(max_size=200))
def test_junk_is_refused_or_waited_for_and_never_crashes(junk: bytes) -> None:
    try:
        Frames(Bounds(1000, 1000)).feed(junk)
    except WireError:
        return


JSON = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('",\\[{}]\n\x00a')),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from('",\\[{:a')), inner),
)


def _count(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value
    return 1 + (sum(map(_count, inner)) if isinstance(value, (dict, list)) else 0)


@given(JSON, st.booleans())
def test_the_values_of_a_frame_are_counted_not_the_marks_in_its_texts(
    value: Any, indent: bool
) -> None:
    body = json.dumps({"t": "x", "v": value}, indent=2 if indent else None).encode()
    stream, count = struct.pack("!IQ", len(body), 0) + body, _count(value) + 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "_FEW", 0)
        [(message, _)] = Frames(Bounds(values=2 * count)).feed(stream)
        assert message == {"t": "x", "v": value}
        values = (message.size - len(body)) / VALUE_BYTES
        assert count <= values <= 2 * count
        with pytest.raises(WireError, match="values, and may have"):
            Frames(Bounds(values=count - 1)).feed(stream)


def test_a_frame_of_many_marks_in_texts_is_no_frame_of_many_values() -> None:
    message = {"t": "x", "v": ['a,b,[\\"{c",' * 1000] * 1000}
    assert Frames(Bounds(values=3000)).feed(b"".join(pack(message))) == [(message, b"")]


@pytest.mark.parametrize(
    "piece", [b"[],", b"{},", b'"",', b'"\\\\",', b'"\\"",', b'{"a":[0]},', b"0,"]
)
def test_many_values_are_refused_before_they_are_made(piece: bytes) -> None:
    body = b'{"t":"x","v":[' + piece * 2_000_000 + b"0]}"
    stream = struct.pack("!IQ", len(body), 0) + body
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(WireError, match="values, and may have"),
    ):
        patch.setattr(wire, "from_json", None)
        Frames(Bounds(values=1_000_000)).feed(stream)


def test_a_depth_bomb_is_refused() -> None:
    body = b"[" * 500_000
    with pytest.raises(WireError, match="not JSON"):
        Frames().feed(struct.pack("!IQ", len(body), 0) + body)


def test_a_frame_that_claims_too_much_is_refused_at_once() -> None:
    with pytest.raises(WireError, match="claims"):
        Frames(Bounds(blob=10)).feed(struct.pack("!IQ", 2, 11))


def test_what_is_missing_is_known_once_the_head_is_there() -> None:
    frames = Frames()
    stream = b"".join(pack({"t": "x"}, [b"12345"]))
    assert frames.wanted == 0
    frames.feed(stream[:12])
    assert frames.wanted == len(stream) - 12


def test_a_large_frame_is_there_once_and_not_kept() -> None:
    frames, blob = Frames(), b"b" * 20_000_000
    stream = b"".join(pack({"t": "x"}, [blob]))
    tracemalloc.start()
    try:
        for place in range(0, len(stream), 65_536):
            got = frames.feed(stream[place : place + 65_536])
        assert frames.wanted == 0
        assert got == [({"t": "x"}, blob)]
        assert tracemalloc.get_traced_memory()[1] < 1.3 * len(blob)
        del got
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_guest_is_python_3_9_and_imports_only_itself_and_the_standard_library() -> None:
    folder = Path(rlm.guest.__file__).parent
    for path in folder.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not any(name.name.startswith("rlm") for name in node.names), path
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, path
                assert not (node.module or "").startswith("rlm"), path
