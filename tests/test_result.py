"""The result: a fold of the trace, and nothing that is not in it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from parts import cell

import rlm
from rlm import events
from rlm.errors import BudgetExceeded, ContextWindowExceeded, RunError, ValidationFailed
from rlm.events import ErrorFact
from rlm.result import Result, error_from
from rlm.testing import ScriptedLM
from rlm.trace import Trace

GOLDEN = Path(__file__).parent / "laws" / "golden" / "v1.jsonl"


def golden(until: str = "") -> Result[Any]:
    """Return the result of the golden log, cut before the first event of a type."""
    whole = Trace.read(GOLDEN)
    trace = Trace(whole.run)
    for event in whole:
        if event.type == until:
            break
        fields = event.model_dump(
            exclude_unset=True, exclude={"v", "run", "call", "seq", "at", "t"}
        )
        fields.pop("type")
        trace.emit(type(event), event.call, **fields)
    return Result(trace)


def test_a_result_tells_the_whole_run() -> None:
    result = golden()
    assert (result.ok, result.failed, result.needs_review, result.forced) == (
        True,
        False,
        False,
        False,
    )
    assert result.output.answer == "forty-two" and result.output["pages"] == [4, 2]
    assert result.value is result.output  # of several fields, the whole output
    assert (result.iterations, result.sub_calls, result.llm_calls) == (2, 1, 2)
    assert result.cost_by_model == {"openai/x": Decimal("0.0123")}
    assert result.sandbox["name"] == "process"


def test_the_turns_of_a_result_say_what_was_asked_and_what_came_of_it() -> None:
    refused, ran = golden().turns()
    assert (refused.kind, refused.problem) == ("refused", "There was no action.")
    assert ran.kind == "exec" and "submit" in ran.code and ran.warnings == ("it uses eval",)
    assert ran.execution is not None and ran.execution.stdout == "out"


@pytest.mark.parametrize("until", ["call_started", "model_asked", "call_finished", "run_finished"])
def test_a_result_that_was_cut_off_says_so_and_has_no_output(until: str) -> None:
    result = golden(until)
    assert (result.status, result.ended_by, result.ok) == ("aborted", "cut_off", False)
    if until == "run_finished":
        assert result.output.answer == "forty-two"  # the root had ended before
    else:
        with pytest.raises(RunError):
            _ = result.output
    assert result.to_dict()["status"] == "aborted"


def test_an_unknown_cost_makes_the_sum_unknown_and_not_less() -> None:
    trace = golden("run_finished").trace
    trace.emit(
        events.ModelReplied, "0", ask=9, model="other", text="", usage=rlm.Usage(), cost=None
    )
    result: Result[Any] = Result(trace)
    assert result.cost is None
    assert result.cost_by_model == {"openai/x": Decimal("0.0123"), "other": None}


@pytest.mark.parametrize(
    "error",
    [
        BudgetExceeded("max_cost_usd", Decimal("0.9"), Decimal(1)),
        ValidationFailed(["a is missing", "b is wrong"]),
        ContextWindowExceeded("too long", model="m", tokens=9, window=5),
        RunError("plain"),
    ],
)
def test_an_error_is_the_same_class_with_the_same_fields_when_read(error: RunError) -> None:
    fact = ErrorFact(type=type(error).__name__, message=str(error), details=error.details())
    again = error_from(ErrorFact.model_validate_json(fact.model_dump_json()))
    assert type(again) is type(error) and str(again) == str(error)
    assert again.details() == error.details()


@pytest.mark.parametrize("name", ["NoSuchError", "boundary", "annotations", "ConfigurationError"])
def test_an_error_of_another_name_is_a_run_error(name: str) -> None:
    assert type(error_from(ErrorFact(type=name, message="m"))) is RunError


def test_a_result_shows_itself_without_executing_anything() -> None:
    evil = "<script>alert(1)</script>"
    with ScriptedLM([cell(f"submit({evil!r})")]) as lm:
        result = rlm.completion("Go", model=lm)
    shown = result._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown
    assert "completed" in repr(result)


def test_results_are_equal_by_their_facts() -> None:
    assert golden() != golden("run_finished")
    assert Result(Trace.read(GOLDEN)) == Result(Trace.read(GOLDEN))
    with pytest.raises(TypeError):
        hash(golden())
