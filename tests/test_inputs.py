from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

import rlm
from rlm.events import CallStarted, InputStored
from rlm.guest.values import decode
from rlm.guest.wire import from_json
from rlm.testing import ScriptedLM


@pytest.mark.parametrize(
    "given", ["short", "a\n" * 900, "long " * 500, "é" * 70_000, "\ud800" * 3_000, b"\xff\x00", b""]
)
def test_each_text_and_all_bytes_can_be_read_back_from_the_log(
    given: str | bytes, tmp_path: Path
) -> None:
    lm = ScriptedLM(["```final\n1\n```"])
    result = rlm.predict("data -> n: int", input={"data": given}, model=lm, log_dir=tmp_path)
    trace = rlm.Trace.read(result.log)
    stored, started = trace.first(InputStored), trace.first(CallStarted)
    if stored is None:
        assert started is not None and started.inputs[0].value == given
    else:
        kept = (tmp_path / "blobs" / stored.sha256.removeprefix("sha256:")).read_bytes()
        assert kept == (
            given if isinstance(given, bytes) else given.encode("utf-8", "surrogatepass")
        )


def test_without_store_inputs_their_hash_is_told_and_no_copy_made(tmp_path: Path) -> None:
    lm = ScriptedLM(["```final\n1\n```"])
    result = rlm.predict(
        "data -> n: int",
        input={"data": "x" * 5_000},
        model=lm,
        log_dir=tmp_path,
        store_inputs=False,
    )
    stored = result.trace.first(InputStored)
    assert stored is not None and (stored.size, len(stored.sha256)) == (5_000, 71)
    assert not (tmp_path / "blobs").exists()


class Case(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    title: str
    main: rlm.File


def kept(folder: Path, stored: InputStored) -> bytes:
    return (folder / "blobs" / stored.sha256.removeprefix("sha256:")).read_bytes()


def start(given: Any, folder: Path, **more: Any) -> list[InputStored]:
    lm = ScriptedLM(["```repl\nx = 1\n```", "```final\n1\n```"])
    result = rlm.predict("data -> n: int", input={"data": given}, model=lm, log_dir=folder, **more)
    assert not result.warnings
    events = rlm.Trace.read(result.log).events
    return [event for event in events if isinstance(event, InputStored)]


@pytest.mark.parametrize(
    "given",
    [
        [{"id": number, "text": "é" * 30} for number in range(2_500)],
        {f"key {number}": [number, None, 1.5] for number in range(1_001)},
        {"$": "not a tag", "rest": "x" * 3_000},
        {1: "x" * 3_000, (2, "b"): {date(2026, 1, 31)}},
        ["x" * 70_000, b"\xff" * 70_000, Decimal("1.10"), "\ud800" * 3_000],
        ("a tuple", "x" * 3_000),
    ],
)
def test_a_large_container_can_be_read_back_from_the_log(given: Any, tmp_path: Path) -> None:
    [stored] = start(given, tmp_path)
    tree, _, beside = kept(tmp_path, stored).partition(b"\n")
    assert (stored.name, stored.path) == ("data", "")
    assert decode(from_json(tree), beside) == given


def test_files_in_containers_are_kept_one_by_one_and_named_in_the_container(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("on disk", encoding="utf-8")
    case = Case(title="t", main=rlm.File(text="in memory", name="b.txt"))
    one, two, whole = start([rlm.File(path), {"case": case}], tmp_path)
    assert (one.name, one.path, one.size) == ("data[0]", str(path), 7)
    assert (two.name, two.path) == ("data[1]['case'].main", "")
    assert kept(tmp_path, two) == b"in memory"
    tree, _, beside = kept(tmp_path, whole).partition(b"\n")
    first, second = decode(from_json(tree), beside, open_file=dict)
    assert (whole.name, first["fd"], first["name"]) == ("data", one.sha256, "a.txt")
    assert second["case"]["main"]["fd"] == two.sha256


def test_secrets_are_taken_out_of_containers_wherever_they_are(tmp_path: Path) -> None:
    secret = 'pass"word\\ one'
    given = [{"key": secret, "page": "x" * 70_000 + secret}] * 3
    [stored] = start(given, tmp_path, secrets={"NAME": secret})
    tree, _, beside = kept(tmp_path, stored).partition(b"\n")
    [row, *_] = decode(from_json(tree), beside)
    assert row["key"] == "[redacted:NAME]" and row["page"].endswith("x[redacted:NAME]")


def test_limits_of_files_and_bytes_look_into_records() -> None:
    case = Case(title="t", main=rlm.File(text="x" * 1_000))
    for limits in ({"max_files": 1}, {"max_file_bytes": 999}, {"max_input_bytes": 1_999}):
        with pytest.raises(rlm.ConfigurationError):
            rlm.predict(
                "data -> n: int", input={"data": [case, case]}, model=ScriptedLM([]), limits=limits
            )
