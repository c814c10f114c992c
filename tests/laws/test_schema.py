"""The law of the schema: what version 1 wrote stays readable, and says who it is first."""

from __future__ import annotations

import importlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from engines import need_module
from lawful import ENVELOPE, lines

import rlm
from rlm import events
from rlm.testing import ScriptedLM
from rlm.trace import Trace

GOLDEN = Path(__file__).parent / "golden" / "v1.jsonl"


def test_every_type_of_event_is_in_the_golden_file_and_is_read() -> None:
    trace = Trace.read(GOLDEN)
    assert trace.skipped == []
    assert {e.type for e in trace} == set(events.EVENT_TYPES)
    assert all(type(e) is events.EVENT_TYPES[e.type] for e in trace)
    assert [e.seq for e in trace] == list(range(len(trace)))


def test_the_golden_lines_are_written_again_as_they_were() -> None:
    assert Trace.read(GOLDEN).to_jsonl() == GOLDEN.read_text(encoding="utf-8")


def test_each_line_begins_with_the_envelope_in_its_order() -> None:
    for line in lines(GOLDEN):
        assert list(line)[: len(ENVELOPE)] == ENVELOPE and line["v"] == 1


def test_each_line_satisfies_the_published_schema() -> None:
    """Names and required fields, as `rlm schema` tells them."""
    schema = events.json_schema()
    parts = schema["$defs"]
    by_type = {p["properties"]["type"]["const"]: p for p in parts.values() if _tells(p)}
    for line in lines(GOLDEN):
        part = by_type[line["type"]]
        assert line.keys() <= part["properties"].keys()
        needed = set(part["required"]) - {"v"}
        assert needed <= line.keys()


def test_a_json_schema_validator_agrees() -> None:
    need_module("jsonschema")
    jsonschema: Any = importlib.import_module("jsonschema")
    validator = jsonschema.Draft202012Validator(events.json_schema())
    for line in lines(GOLDEN):
        validator.validate(line)
    known = lines(GOLDEN)[0]
    validator.validate({**known, "type": "teleported"})
    assert not validator.is_valid({**known, "models": "one"})
    assert not validator.is_valid({"type": "teleported"})


def _tells(part: dict[str, Any]) -> bool:
    return "const" in part.get("properties", {}).get("type", {})


def test_the_result_of_the_golden_log_is_what_it_was() -> None:
    result: rlm.Result[Any] = rlm.Result(Trace.read(GOLDEN))
    assert result.output == {"answer": "forty-two", "pages": [4, 2]}
    assert (result.status, result.ended_by) == ("completed", "submitted")
    assert result.cost == Decimal("0.0123")
    assert result.usage.total_tokens == 320
    assert [(c.id, c.route, c.status) for c in result.calls()] == [
        ("0", "repl", "finished"),
        ("0.1", "completion", "failed"),
    ]
    assert result.error is None and result.warnings == ["something to note"]
    assert result.cache == {"hits": 0, "misses": 1, "size": 1}


def test_an_event_of_a_later_version_is_kept_and_shown(tmp_path: Path) -> None:
    later = {
        "v": 2,
        "run": "r",
        "call": "",
        "seq": 0,
        "at": "2030-01-01T00:00:00Z",
        "type": "teleported",
        "t": 0.5,
        "where": {"planet": "Mars"},
    }
    log = tmp_path / "later.jsonl"
    log.write_text(json.dumps(later) + "\n", encoding="utf-8")
    (event,) = Trace.read(log)
    assert isinstance(event, events.UnknownEvent)
    assert json.loads(Trace.read(log).to_jsonl())["where"] == {"planet": "Mars"}


def test_a_known_event_with_a_field_of_a_later_version_is_read(tmp_path: Path) -> None:
    first = lines(GOLDEN)[0] | {"colour": "green"}
    log = tmp_path / "later.jsonl"
    log.write_text(json.dumps(first) + "\n", encoding="utf-8")
    assert isinstance(next(iter(Trace.read(log))), events.RunStarted)


@pytest.mark.parametrize("content", ["", "\n\n", "no json\n", "[]\n", '{"type": 1}\n', "\xff\n"])
def test_what_is_no_log_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(rlm.ConfigurationError, match=r"notes\.txt"):
        Trace.read(path)


def test_a_run_of_today_writes_the_same_fields_as_the_golden_file(tmp_path: Path) -> None:
    """A field that version 1 wrote always is still written by today's runs."""
    code = "print(llm_query('q'))\nsubmit('x')"
    lm = ScriptedLM([f"```repl\n{code}\n```", "a"])
    result = rlm.completion("Go", model=lm, log_dir=tmp_path)
    golden = {line["type"]: set(line) for line in lines(GOLDEN)}
    optional = {"key", "held_cost", "max_output_tokens", "held_tokens", "submitted", "error"}
    for line in lines(result.log):
        if line["type"] in ("call_started", "message_added"):
            continue  # these differ by route and by role
        assert golden[line["type"]] - set(line) <= optional
