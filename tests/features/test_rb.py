"""RLM.rb's API, models, signatures and limits, in the form that a Python user expects."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic.fields import FieldInfo
from runs import CHEAP, USED, cell, final, probe, run, scripted, sub

import rlm
from rlm import events
from rlm.limits import Limits
from rlm.settings import Options, defaults, reset
from rlm.testing import ScriptedLM

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_defaults() -> Iterator[None]:
    reset()
    yield
    reset()


# API ------------------------------------------------------------------------------------------


def test_rb01_typed_sandboxed_and_auditable() -> None:
    result = run(
        cell("import os\nsubmit(words=text.split(), pid=os.getpid())"),
        signature="text -> words: list[str], pid: int",
        input={"text": "two words"},
    )
    assert result.output.words == ["two", "words"]
    import os

    assert result.output.pid != os.getpid()
    (submitted,) = result.trace.of(events.OutputSubmitted)
    assert submitted.output["words"] == ["two", "words"]


def test_rb02_what_it_depends_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = " ".join(project["dependencies"])
    assert "pydantic" in needed
    assert "litellm" in needed
    assert "dspy" not in needed  # by duck typing: see RB-13


def test_rb03_configure_and_forget() -> None:
    with scripted(final("a")) as lm:
        rlm.configure(model=lm, limits={"max_iterations": 3})
        assert defaults()["model"] is lm
        result = rlm.predict("text -> answer: str", input={"text": "t"})
    started = result.trace.first(events.RunStarted)
    assert started is not None
    assert started.limits["max_iterations"] == 3
    reset()
    with pytest.raises(rlm.ConfigurationError, match="no model"):
        rlm.predict("text -> answer: str", input={"text": "t"})


def test_rb04_what_can_be_configured(tmp_path: Path) -> None:
    seen: list[Any] = []
    with scripted(cell("submit(answer=llm_query('x'))")) as lm, sub("sub") as small:
        rlm.configure(
            model=lm,  # root_lm
            sub_model=small,  # sub_lm
            sandbox="process",
            limits=Limits(max_iterations=4),  # default_limits
            on_event=seen.append,  # logger, telemetry
            log_dir=tmp_path,  # trace_store
            dialect="tags",  # response_protocol
        )
        result = rlm.predict("text -> answer: str", input={"text": "t"})
    assert result.value == "sub"
    assert len(seen) == len(result.trace)
    assert Path(result.log).parent == tmp_path


def test_rb05_predict_and_its_overrides() -> None:
    @rlm.tool
    def price_of(item: str) -> int:
        """Look up a price."""
        return len(item)

    def is_small(output: Any) -> str | None:
        return None if output.answer < 10 else "too large"

    with sub("4") as small:
        result = run(
            cell("submit(answer=price_of('milk') + int(llm_query('x')))"),
            signature="text -> answer: int",
            input={"text": "t"},
            sub_model=small,
            tools=[price_of],
            sandbox=rlm.ProcessSandbox(),
            limits={"max_iterations": 2},
            validators=[is_small],
            instructions="Find the price.",
        )
    assert result.value == 8
    assert {"model", "sub_model", "tools", "log_dir", "on_event", "dialect"} <= set(
        Options.__annotations__
    )


def test_rb06_one_runtime_behind_every_door() -> None:
    import asyncio

    def given() -> ScriptedLM:
        return scripted(cell("submit(answer=text * 2)"))

    ask: Any = {"signature": "text -> answer: str", "input": {"text": "a"}}
    results = [
        rlm.predict(**ask, model=given()),
        asyncio.run(rlm.apredict(**ask, model=given())),
        rlm.RLM(model=given()).predict(**ask),
        rlm.stream(**ask, model=given()).result(),
    ]
    kinds = [[event.type for event in result.trace] for result in results]
    assert [result.value for result in results] == ["aa"] * 4
    assert kinds == [kinds[0]] * 4


# Models ---------------------------------------------------------------------------------------


def test_rb07_no_history_leaks_between_root_and_sub_calls() -> None:
    with sub("one", "two") as small:
        run(
            cell("secret = 'of the root'\nllm_query('first')\nllm_query('second')"),
            final("done"),
            sub_model=small,
        )
    for request, prompt in zip(small.requests, ["first", "second"], strict=True):
        assert [message.content for message in request.messages] == [prompt]


def test_rb08_a_scripted_model_without_a_provider() -> None:
    lm = scripted(final("a"))
    assert rlm.completion("x", model=lm).value == "a"
    assert lm.prompts
    assert lm.costs == [CHEAP.cost(USED)]
    assert rlm.completion("x", model=lm).status == "provider_error"  # no reply is left


def test_rb09_usage_of_every_request_is_on_its_event() -> None:
    usage = rlm.Usage(input_tokens=50, cached_tokens=20, output_tokens=9, reasoning_tokens=4)
    result = run(rlm.Reply(final("a"), usage=usage))
    (replied,) = result.trace.of(events.ModelReplied)
    assert replied.model == "scripted/root"
    assert replied.usage == usage
    assert replied.cost == CHEAP.cost(usage)
    assert not replied.estimated


def test_rb10_an_unknown_price_is_unknown_and_cannot_be_limited() -> None:
    lm = scripted(final("a"), price=None)
    assert rlm.completion("x", model=lm).cost is None
    fresh = scripted(final("a"), price=None)
    with pytest.raises(rlm.ConfigurationError, match="'scripted/root'"):
        rlm.completion("x", model=fresh, limits={"max_cost_usd": 1})
    assert not fresh.requests
    priced = rlm.completion(
        "x", model=fresh, limits={"max_cost_usd": 1}, prices={"scripted/root": (1, 2)}
    )
    assert priced.cost == CHEAP.cost(USED)


def test_rb11_the_result_keeps_no_totals_of_its_own() -> None:
    result = run(cell("llm_query('x')"), final("a"), sub_model=sub("y"))
    replied = result.trace.of(events.ModelReplied)
    assert result.usage.total_tokens == sum(event.usage.total_tokens for event in replied)
    again = rlm.Result[Any](result.trace, signature=result.signature)
    assert (again.usage, again.cost) == (result.usage, result.cost)


# Signatures -----------------------------------------------------------------------------------


class Protocol:
    """A signature by RLM.rb's protocol."""

    name = "Double"
    description = "Double the number."
    input_fields = (SimpleNamespace(name="number", type=int, description=""),)
    output_fields = (SimpleNamespace(name="answer", type=int, description=""),)

    def validate_input(self, given: dict[str, Any]) -> list[str]:
        return [] if given["number"] > 0 else ["number must be positive"]

    def validate_output(self, output: dict[str, Any]) -> list[str]:
        return [] if output["answer"] % 2 == 0 else ["answer must be even"]

    def coerce_output(self, output: Any) -> Any:
        return {"answer": output["result"]} if "result" in output else output


def test_rb12_a_signature_by_its_protocol() -> None:
    with scripted(cell("submit(answer=3)"), final('{"result": 4}')) as lm:
        result = rlm.predict(Protocol(), input={"number": 2}, model=lm)
    assert result.value == 4
    assert "answer must be even" in lm.prompts[1]
    with pytest.raises(rlm.ConfigurationError, match="must be positive"):
        rlm.predict(Protocol(), input={"number": -1}, model=scripted())


def test_rb13_a_dspy_signature_by_duck_typing() -> None:
    def field(kind: Any, text: str) -> FieldInfo:
        return FieldInfo(annotation=kind, json_schema_extra={"desc": text})

    dspy: Any = type(
        "Judge",
        (),
        {
            "instructions": "Judge the review.",
            "input_fields": {"review": field(str, "what was written")},
            "output_fields": {"stars": field(int, "from 1 to 5")},
        },
    )
    with scripted(final('{"Stars": "4"}')) as lm:
        result = rlm.predict(dspy, input={"review": "good"}, model=lm)
    assert result.output.stars == 4
    assert "Judge the review." in lm.prompts[0]
    assert "from 1 to 5" in lm.requests[0].messages[0].content


def test_rb14_field_types() -> None:
    result = run(
        cell("submit(size=len(doc.text) + number, title=name, kind='b')"),
        signature="doc: File, number: int, name: str -> size: int, title: str, "
        "kind: Literal['a', 'b']",
        input={"doc": rlm.File(text="four"), "number": 1, "name": "n"},
    )
    assert dict(result.output) == {"size": 5, "title": "n", "kind": "b"}


# Limits ---------------------------------------------------------------------------------------

MIB = 1024 * 1024


def test_rb15_to_rb26_have_one_preset() -> None:
    strict = Limits.strict()
    assert strict.max_iterations == 8
    assert Limits.strict(max_iterations=9).max_iterations == 9


def test_rb15_max_iterations() -> None:
    assert Limits.strict().max_iterations == 8
    replies = [cell(f"n = {n}") for n in range(3)]
    result = run(*replies, limits=Limits.strict(max_iterations=3))
    assert (result.iterations, result.ended_by) == (3, "max_iterations")


def test_rb16_max_llm_calls() -> None:
    assert Limits.strict().max_llm_calls == 25
    result = run(cell("x = 1"), final("a"), limits={"max_llm_calls": 2})
    assert (result.llm_calls, result.forced, result.ended_by) == (2, True, "max_llm_calls")


def test_rb17_max_sub_calls() -> None:
    assert Limits.strict().max_sub_calls == 20
    code = "found = [bool(reply) for reply in parallel_queries('a', 'b', 'c')]"
    assert sorted(probe(code, sub_model=sub("1", "2"), limits={"max_sub_calls": 2})) == [
        False, True, True
    ]  # fmt: skip


@rlm.tool
def ping() -> str:
    """Answer."""
    return "pong"


def test_rb18_max_tool_calls() -> None:
    assert Limits.strict().max_tool_calls == 20
    code = """
found = [ping()]
try:
    ping()
except BudgetExceeded as error:
    found.append(error.limit)
"""
    assert probe(code, tools=[ping], limits={"max_tool_calls": 1}) == ["pong", "max_tool_calls"]


def test_rb19_max_seconds() -> None:
    assert Limits.strict().max_seconds == 120
    result = run(
        cell("import time\ntime.sleep(30)"),
        limits={"max_seconds": 0.2, "on_exceeded": "fail"},
    )
    assert (result.status, result.ended_by) == ("budget_exceeded", "max_seconds")


def test_rb20_max_cost() -> None:
    assert Limits.strict().max_cost_usd == Decimal(1)

    def dear(request: rlm.Request) -> rlm.Reply:
        most = rlm.Usage(input_tokens=1_000, output_tokens=request.max_output_tokens)
        return rlm.Reply(cell("n = 1"), usage=most)

    lm = scripted(*[dear] * 4, rlm.Reply(final("a"), usage=USED))
    result = rlm.completion("x", model=lm, limits={"max_cost_usd": "0.08"})
    assert (result.value, result.ended_by) == ("a", "max_cost_usd")
    assert result.cost is not None
    assert result.cost <= Decimal("0.08")


def test_rb21_max_input_bytes() -> None:
    assert Limits.strict().max_input_bytes == 25 * MIB
    with pytest.raises(rlm.ConfigurationError, match="11 bytes; max_input_bytes is 10"):
        run(input={"text": "eleven char"}, limits={"max_input_bytes": 10})


def test_rb22_max_output_bytes() -> None:
    assert Limits.strict().max_result_bytes == MIB
    with scripted(cell("submit(answer='x' * 1000)"), cell("submit(answer='short')")) as lm:
        result = rlm.completion("x", model=lm, limits={"max_result_bytes": 100})
    assert result.value == "short"
    assert "the limit is 100" in lm.prompts[1]


def test_rb23_max_stdout_bytes() -> None:
    assert Limits.strict().max_stdout_bytes == 256 * 1024
    result = run(cell("print('x' * 100_000)"), final("a"), limits={"max_stdout_bytes": 2_000})
    execution = result.turns()[0].execution
    assert execution is not None
    assert len(execution.stdout) < 4_000
    assert execution.stdout_chars == 100_001


def test_rb24_max_files() -> None:
    assert Limits.strict().max_files == 50
    files = {"a": rlm.File(text="a"), "b": rlm.File(text="b")}
    with pytest.raises(rlm.ConfigurationError, match="2 files are given; max_files is 1"):
        run(signature="a: File, b: File -> answer", input=files, limits={"max_files": 1})


def test_rb25_max_file_bytes() -> None:
    assert Limits.strict().max_file_bytes == 25 * MIB
    with pytest.raises(rlm.ConfigurationError, match="the file 'a' has 5 bytes"):
        run(
            signature="a: File -> answer",
            input={"a": rlm.File(text="12345")},
            limits={"max_file_bytes": 4},
        )


def test_rb24_rb25_files_in_lists_and_dicts_count_too() -> None:
    docs = {"docs": [rlm.File(text="a"), {"b": rlm.File(text="12345")}]}
    with pytest.raises(rlm.ConfigurationError, match="2 files are given; max_files is 1"):
        run(signature="docs -> answer", input=docs, limits={"max_files": 1})
    with pytest.raises(rlm.ConfigurationError, match=r"the file \"docs\[1\]\['b'\]\" has 5 bytes"):
        run(signature="docs -> answer", input=docs, limits={"max_file_bytes": 4})


def test_rb26_max_depth() -> None:
    assert Limits.strict().max_depth == 1
    code = """
try:
    llm_query("dig", recursive=True)
except BudgetExceeded as error:
    found = error.limit
"""
    assert probe(code, limits={"max_depth": 1}) == "max_depth"


def test_rb27_what_happens_at_a_limit_can_be_chosen() -> None:
    assert Limits.strict().on_exceeded == "needs_review"
    assert Limits().on_exceeded == "finalize"
    for choice in ("finalize", "needs_review", "return_partial", "fail"):
        assert Limits(on_exceeded=choice).on_exceeded == choice
    with pytest.raises(rlm.ConfigurationError, match="'explode'"):
        Limits(on_exceeded="explode")


def test_rb28_limits_refuse_what_they_do_not_know_and_merge() -> None:
    with pytest.raises(rlm.ConfigurationError, match=r"unknown limit 'max_turns'.*max_iterations"):
        Limits(max_turns=3)
    with pytest.raises(rlm.ConfigurationError, match="max_sub_calls' = -1"):
        Limits(max_sub_calls=-1)
    merged = Limits(max_iterations=5).merge(max_sub_calls=2)
    assert (merged.max_iterations, merged.max_sub_calls) == (5, 2)
    assert Limits(**merged.model_dump()) == merged


@pytest.mark.parametrize(
    ("choice", "status"),
    [
        ("fail", "budget_exceeded"),
        ("needs_review", "needs_review"),
        ("return_partial", "budget_exceeded"),
    ],
)
def test_rb29_statuses_at_a_limit_without_an_output(choice: str, status: str) -> None:
    result = run(cell("x = 1"), limits={"max_iterations": 1, "on_exceeded": choice})
    assert (result.status, result.ended_by) == (status, "max_iterations")
    with pytest.raises(rlm.BudgetExceeded, match="max_iterations"):
        _ = result.output


def test_rb29_what_was_submitted_is_kept_for_a_person() -> None:
    result = run(
        cell("submit(answer='refused by the validator')"),
        limits={"max_iterations": 1, "on_exceeded": "needs_review"},
        validators=[lambda output: "not good enough"],
    )
    assert result.status == "needs_review"
    assert result.output.answer == "refused by the validator"
    assert result.validation_errors == ["not good enough"]


@pytest.mark.parametrize("choice", ["return_partial", "fail"])
def test_rb29_an_output_that_is_not_valid_is_no_partial_output(choice: str) -> None:
    result = run(
        cell("submit(answer='refused by the validator')"),
        limits={"max_iterations": 1, "on_exceeded": choice},
        validators=[lambda output: "not good enough"],
    )
    assert result.status == "budget_exceeded"
    with pytest.raises(rlm.BudgetExceeded):
        _ = result.output
