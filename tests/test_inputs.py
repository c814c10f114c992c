from __future__ import annotations

from pathlib import Path

import pytest

import rlm
from rlm.events import CallStarted, InputStored
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
