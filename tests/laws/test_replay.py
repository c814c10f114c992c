"""The law of replay: a result is a fold of its log, for every kind of output and ending."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parts import Ask, cell
from pydantic import BaseModel

import rlm
from rlm.testing import ScriptedLM
from rlm.trace import Trace


class Line(BaseModel):
    """One line of an invoice."""

    text: str
    amount: float


class Invoice(BaseModel):
    """A nested output."""

    number: str
    lines: list[Line]


OUTPUTS: dict[str, tuple[str, str]] = {
    "text": ("-> answer: str", "submit('ein Wört')"),
    "numbers": ("-> n: int, x: float, ok: bool", "submit(n=2**70, x=0.1, ok=True)"),
    "huge": ("-> x: float", "submit(x=1e300)"),
    "containers": (
        "-> rows: list[dict[str, int]], pair: tuple[int, str]",
        "submit(rows=[{'a': 1}], pair=(1, 'b'))",
    ),
    "optional": ("-> name: str | None", "submit(name=None)"),
    "literal": ("-> label: Literal['yes', 'no']", "submit(label='yes')"),
    "anything": ("-> found: dict", "submit(found={'$ref': '#/x', 'deep': [[None, {'a': 1.5}]]})"),
    "large": ("-> text: str", "submit(text='é' * 200_000)"),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_an_output_of_any_type_is_the_same_when_read_again(predict: Ask, kind: str) -> None:
    signature, code = OUTPUTS[kind]
    with ScriptedLM([cell(code)]) as lm:
        result = predict(signature, model=lm)
    assert result.ok
    again: rlm.Result[Any] = rlm.Result(Trace.read(result.log))
    assert dict(again.output) == dict(result.output)


def test_a_nested_model_is_the_same_when_read_again(predict: Ask) -> None:
    code = "submit(number='7', lines=[{'text': 'tea', 'amount': 2.5}])"

    class Asked(BaseModel):
        """What is asked."""

        page: str

    with ScriptedLM([cell(code)]) as lm:
        result = predict((Asked, Invoice), input={"page": "one tea"}, model=lm)
    assert result.ok and Trace.read(result.log).skipped == []


def test_large_values_of_a_run_are_kept_once_beside_its_log(predict: Ask) -> None:
    big = "ä" * 300_000
    with ScriptedLM([cell("print(len(context))\nsubmit(context)")]) as lm:
        result = predict("context -> answer: str", input={"context": big}, model=lm)
    assert result.value == big
    blobs = list((Path(result.log).parent / "blobs").iterdir())
    assert len(blobs) == 1 and blobs[0].read_text(encoding="utf-8") == big
    assert Path(result.log).stat().st_size < 30_000


def test_a_run_without_a_log_has_the_same_facts_in_memory() -> None:
    with ScriptedLM([cell("submit('x')")]) as lm:
        result = rlm.completion("Go", model=lm)
    assert (result.ok, result.log) == (True, "")
    assert [e.seq for e in result.trace] == list(range(len(result.trace)))
