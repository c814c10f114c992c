"""The trace: facts in order, in memory and on disk."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawful import lines

from rlm import events
from rlm.store.files import FileLog
from rlm.trace import BLOB_OVER, Trace


def kept(folder: Path, **options: Any) -> Trace:
    return Trace("run", writer=FileLog(folder, "run"), **options)


@given(st.lists(st.tuples(st.text(), st.sampled_from(["", "0", "0.1"])), max_size=6))
def test_any_text_is_read_back_as_it_was_recorded(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    trace = kept(folder)
    trace.emit(events.Logged, message="first")
    for message, call in said:
        event = trace.emit(events.Logged, call, message=message)
        assert event.message == message or any("\ud800" <= c <= "\udfff" for c in message)
    trace.close()
    again = Trace.read(folder / "run.jsonl")
    assert again.events == trace.events and again.skipped == []
    assert [e.seq for e in again] == list(range(len(said) + 1))


def test_lone_surrogates_are_spelled_out() -> None:
    value = {"\ud800": ["\udfff"]}
    event = Trace("r").emit(events.ToolReturned, "0", bridge=1, tool="t", value=value)
    assert event.value == {"\\ud800": ["\\udfff"]}


def test_values_over_64_kib_are_written_once_and_read_back(tmp_path: Path) -> None:
    trace = kept(tmp_path)
    large, small = "é" * (BLOB_OVER + 1), "s" * BLOB_OVER
    for _ in range(3):
        trace.emit(
            events.OutputSubmitted, "0", turn=1, source="submit", output={"a": [large, small]}
        )
    trace.close()
    (blob,) = (tmp_path / "blobs").iterdir()
    assert blob.read_text(encoding="utf-8") == large
    written = lines(tmp_path / "run.jsonl")
    assert all(line["output"]["a"][0] == {"$ref": f"sha256:{blob.name}"} for line in written)
    assert all(line["output"]["a"][1] == small for line in written)
    assert Trace.read(tmp_path / "run.jsonl").events == trace.events


def test_a_ref_of_somebodys_own_is_a_plain_value(tmp_path: Path) -> None:
    trace = kept(tmp_path)
    output = {
        "schema": {"$ref": "#/$defs/Page"},
        "other": {"$ref": 3},
        "big": "x" * (BLOB_OVER + 1),
    }
    trace.emit(events.OutputSubmitted, "0", turn=1, source="submit", output=output)
    trace.close()
    (event,) = Trace.read(tmp_path / "run.jsonl").of(events.OutputSubmitted)
    assert event.output == output


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_blob_that_is_not_what_it_was_is_said(tmp_path: Path, damage: str) -> None:
    trace = kept(tmp_path)
    trace.emit(events.Logged, message="sound")
    trace.emit(events.Logged, message="x" * (BLOB_OVER + 1))
    trace.close()
    (blob,) = (tmp_path / "blobs").iterdir()
    blob.unlink() if damage == "gone" else blob.write_text("other", encoding="utf-8")
    again = Trace.read(tmp_path / "run.jsonl")
    assert [e.seq for e in again] == [0] and len(again.skipped) == 1
    assert again.skipped[0].startswith("line 2: ")


def test_a_log_that_cannot_be_written_is_said_once_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trace = kept(tmp_path)
    trace.close()  # as good as a full disk: every write fails
    with caplog.at_level(logging.ERROR, "rlm"):
        trace.emit(events.Logged, message="one")
        trace.emit(events.Logged, message="two")
    assert "cannot be written" in trace.damaged and len(caplog.records) == 1
    assert [e.message for e in trace.of(events.Logged)] == ["one", "two"]


def test_sinks_see_facts_and_deltas_and_only_facts_are_kept(tmp_path: Path) -> None:
    seen: list[Any] = []
    trace = kept(tmp_path, sinks=[seen.append])
    fact = trace.emit(events.Logged, message="a fact")
    trace.show(events.Delta("0", "text", "a piece"))
    trace.close()
    assert seen == [fact, events.Delta("0", "text", "a piece")]
    assert [line["type"] for line in lines(tmp_path / "run.jsonl")] == ["logged"]


def test_events_are_found_by_type_and_call() -> None:
    trace = Trace("r")
    for call in ("0", "0.1", "0"):
        trace.emit(events.Logged, call, message=call)
    trace.emit(events.SessionLost, "0", cell=1, reason="x")
    assert [e.seq for e in trace.of(events.Logged, call="0")] == [0, 2]
    first, last = trace.first(events.Logged, call="0.1"), trace.last(events.Logged)
    assert first is not None and first.seq == 1 and last is not None and last.seq == 2
    assert trace.first(events.FileRead) is None and len(trace) == 4


def test_the_jsonl_of_a_trace_is_its_log(tmp_path: Path) -> None:
    trace = kept(tmp_path)
    trace.emit(events.Logged, message="größer")
    trace.close()
    assert trace.to_jsonl() == (tmp_path / "run.jsonl").read_text(encoding="utf-8")
    assert json.loads(trace.to_jsonl())["message"] == "größer"
