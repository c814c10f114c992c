from __future__ import annotations

import asyncio
import io
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from runs import USED, cell, final, probe, run, scripted, sub, told

import rlm
from rlm import errors, events
from rlm.settings import reset
from rlm.testing import LoopbackServer, ScriptedLM


@pytest.fixture(autouse=True)
def no_defaults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("RLM_MODEL", raising=False)
    monkeypatch.delenv("RLM_SUB_MODEL", raising=False)
    reset()
    yield
    reset()


# Inputs of every kind -------------------------------------------------------------------------


class Person(BaseModel):
    name: str
    age: int


@dataclass
class Point:
    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        ("text", "value.upper()", "TEXT"),
        ("naïve 🦉 \ud800", "len(value)", 9),
        (b"\x00\xff", "[value[0], value[1], type(value).__name__]", [0, 255, "bytes"]),
        (41, "value + 1", 42),
        (2**80, "value == 2**80", True),
        (1.5, "value * 2", 3.0),
        (True, "value is True", True),
        (None, "value is None", True),
        (Decimal("1.10"), "str(value)", "1.10"),
        ([1, [2, "three"]], "value[1][1]", "three"),
        ({"a": {"b": [1]}}, "value['a']['b'][0]", 1),
        ({1: "one"}, "value[1]", "one"),
        ((1, 2), "list(value)", [1, 2]),
        ({3, 4}, "sorted(value)", [3, 4]),
        (Person(name="Ada", age=36), "[value.name, value.age]", ["Ada", 36]),
        ([Person(name="Ada", age=36)], "value[0].name", "Ada"),
        (Point(1, 2), "value.x + value.y", 3),
    ],
    ids=lambda value: repr(value)[:12].encode("ascii", "replace").decode(),
)
def test_an_input_of_every_kind_is_a_variable(value: Any, code: str, expected: Any) -> None:
    result = run(
        cell(f"submit({code})"), signature="value: Any -> found: Any", input={"value": value}
    )
    assert result.value == expected


def files(folder: Path) -> dict[str, rlm.File]:
    path = folder / "notes.txt"
    path.write_text("line 1\nline 2\n", encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    return {
        "path": rlm.File(path),
        "text": rlm.File(text=text),
        "bytes": rlm.File(data=text.encode()),
        "object": rlm.File(file=io.StringIO(text)),
    }


@pytest.mark.parametrize("source", ["path", "text", "bytes", "object"])
def test_a_file_is_mounted_from_every_source(source: str, tmp_path: Path) -> None:
    code = """
submit([doc.text, list(doc.lines()), doc.search("line .")[1].text, doc[5:6], len(doc.bytes)])
"""
    result = run(
        cell(code),
        signature="doc: File -> found: list[Any]",
        input={"doc": files(tmp_path)[source]},
    )
    assert result.value == ["line 1\nline 2\n", ["line 1", "line 2"], "line 2", "1", 14]


def test_invalid_utf8_never_ends_a_run() -> None:
    with scripted(cell("print(doc.text)\nsubmit(doc.text)")) as lm:
        result = rlm.predict(
            "doc: File -> answer", input={"doc": rlm.File(data=b"a\xff\xc3b")}, model=lm
        )
    assert result.value == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "input 'text' (Any) is missing"),
        ({"text": "t", "txet": 1}, "there is no input 'txet'; did you mean 'text'?"),
        ({"text": "t", "zzz": 1}, "the inputs are: text"),
    ],
)
def test_inputs_that_do_not_fit_are_named(given: dict[str, Any], message: str) -> None:
    lm = scripted()
    with pytest.raises(rlm.ConfigurationError) as caught:
        rlm.predict("text -> answer", input=given, model=lm)
    assert message in str(caught.value)
    assert not lm.requests


def test_an_input_for_a_signature_without_inputs_is_told_how_to_declare_it() -> None:
    with pytest.raises(rlm.ConfigurationError, match=r"'page'; .* give a pair \(Inputs, Outputs\)"):
        rlm.predict("-> answer", input={"page": "t"}, model=scripted())


def test_an_input_of_another_type_is_named_with_its_value() -> None:
    with pytest.raises(rlm.ConfigurationError, match=r"number: 'many' is not int"):
        rlm.predict("number: int -> answer", input={"number": "many"}, model=scripted())


# Signatures of every source -------------------------------------------------------------------


class Question(BaseModel):
    text: str


class Finding(BaseModel):
    """Find the name."""

    name: str
    pages: list[int] = []


class Marked(rlm.Signature):
    """Find the name."""

    text: str = rlm.InputField()
    name: str = rlm.OutputField("as it is written")


class Duck:
    name, description = "Find", "Find the name."
    input_fields = {"text": str}
    output_fields = {"name": str}

    def validate_input(self, given: Any) -> list[str]:
        return []

    def validate_output(self, output: Any) -> list[str]:
        return []


@pytest.mark.parametrize(
    "source",
    [
        "text -> name: str",
        "text: str -> name: str, pages: list[int] = []\n\nFind the name.",
        rlm.Signature.parse("text -> name"),
        (Question, Finding),
        Marked,
        Duck(),
    ],
    ids=["text", "described", "parsed", "models", "class", "protocol"],
)
def test_every_source_of_a_signature_runs(source: Any) -> None:
    result = run(cell("submit(name=text[:3])"), signature=source, input={"text": "Adam"})
    assert result.output.name == "Ada"
    assert result.output["name"] == "Ada"


def test_a_validator_of_a_pydantic_model_speaks_to_the_model() -> None:
    from pydantic import field_validator

    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def _even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("an odd number")
            return value

    with scripted(cell("submit(number=3)"), cell("submit(number=4)")) as lm:
        result = rlm.predict(Even, model=lm)
    assert result.value == 4
    assert "number: an odd number" in lm.prompts[1]


def test_text_that_is_no_signature_is_named() -> None:
    with pytest.raises(rlm.ConfigurationError, match="strr"):
        rlm.predict("text -> answer: strr", input={"text": "t"}, model=scripted())


# Outputs --------------------------------------------------------------------------------------


def test_an_output_has_attributes_and_is_a_mapping() -> None:
    result = run(cell("submit(name='Ada', pages='[1, 2]')"), signature="-> name, pages: list[int]")
    output = result.output
    assert (output.name, output.pages) == ("Ada", [1, 2])
    assert dict(output) == {**output} == {"name": "Ada", "pages": [1, 2]}
    assert result.value == output
    with pytest.raises(AttributeError, match="did you mean 'pages'"):
        _ = output.page
    with pytest.raises(AttributeError, match="immutable"):
        output.name = "Bob"


def test_a_refusal_names_field_and_reason_and_the_same_repl_goes_on() -> None:
    with scripted(
        cell("draft = ['Ada', 'many']\nsubmit(name=draft[0], age=draft[1])"),
        cell("submit(name=draft[0], age=36)"),
    ) as lm:
        result = rlm.predict("-> name: str, age: int", model=lm)
    assert dict(result.output) == {"name": "Ada", "age": 36}
    assert "age: 'many' is not int" in lm.prompts[1]
    assert result.validation_errors == []
    assert len(result.trace.of(events.OutputRefused)) == 1


def test_a_validator_of_the_caller_speaks_to_the_model_too() -> None:
    def cites(output: Any) -> list[str]:
        return [] if "[1]" in output.answer else ["cite a source", "as in [1]"]

    with scripted(cell("submit('no')"), cell("submit('yes [1]')")) as lm:
        result = rlm.completion("x", model=lm, validators=[cites])
    assert result.value == "yes [1]"
    assert "cite a source" in lm.prompts[1]
    assert "as in [1]" in lm.prompts[1]


def test_a_refusal_can_be_caught_in_the_cell() -> None:
    code = """
try:
    submit("many")
except SubmitRefused as refused:
    submit(len(refused.problems))
"""
    assert run(cell(code), signature="-> answer: int").value == 1


def test_a_result_in_a_notebook_is_html_and_escapes() -> None:
    shown = run(final("<script>alert(1)</script> & more"))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in shown
    assert "completed" in shown


# Sync, async, streams -------------------------------------------------------------------------


def test_predict_works_under_a_running_loop() -> None:
    async def main() -> Any:
        return run(final("a")).value

    assert asyncio.run(main()) == "a"


def test_many_runs_at_once_keep_to_themselves() -> None:
    async def one(number: int) -> Any:
        with scripted(
            cell(f"print('mine', {number})\nn = {number}"), cell("submit(answer=n)")
        ) as lm:
            result = await rlm.apredict("-> answer: int", model=lm)
        assert f"mine {number}\n" in lm.prompts[1]
        return result.value

    async def main() -> list[Any]:
        return await asyncio.gather(*map(one, range(12)))

    assert asyncio.run(main()) == list(range(12))


def test_the_text_streams_while_it_is_written() -> None:
    with scripted(rlm.Reply(final("streamed"), reasoning="thinking", usage=USED)) as lm:
        handle = rlm.stream("What is it?", input={"context": "c"}, model=lm)
        seen = list(handle)
    assert handle.result().value == "streamed"
    deltas = [item for item in seen if isinstance(item, events.Delta)]
    assert "".join(d.text for d in deltas if d.kind == "text") == final("streamed")
    assert "".join(d.text for d in deltas if d.kind == "reasoning") == "thinking"
    facts = [item for item in seen if isinstance(item, events.Event)]
    assert facts == handle.result().trace.events


def test_text_streams_from_a_server_and_output_from_a_cell() -> None:
    async def main() -> tuple[list[Any], rlm.Result[Any]]:
        replies = [cell("print('from the cell')"), final("a")]
        with LoopbackServer(replies) as server:
            model = rlm.Model("openai/x", base_url=server.openai_url, api_key="key-of-a-test")
            handle = rlm.astream("text -> answer", input={"text": "t"}, model=model)
            seen = [item async for item in handle]
        assert [request.stream for request in server.requests] == [True, True]
        return seen, await handle.result()

    seen, result = asyncio.run(main())
    assert result.value == "a"
    pieces = [(item.kind, item.text) for item in seen if isinstance(item, events.Delta)]
    assert len([kind for kind, _ in pieces if kind == "text"]) > 2
    assert "from the cell\n" in "".join(text for kind, text in pieces if kind == "stdout")


def test_without_a_listener_nothing_streams() -> None:
    with LoopbackServer([final("a")]) as server:
        model = rlm.Model("openai/x", base_url=server.openai_url, api_key="key-of-a-test")
        rlm.completion("x", model=model)
    assert [request.stream for request in server.requests] == [False]


def stuck(started: threading.Event) -> Callable[[rlm.Request], Any]:
    async def reply(request: rlm.Request) -> str:
        started.set()
        await asyncio.sleep(3600)
        return ""

    return reply


@pytest.mark.parametrize("where", ["model", "cell", "sub-call"])
def test_a_run_that_is_cancelled_ends_in_good_order(where: str, tmp_path: Path) -> None:
    started = threading.Event()
    replies: dict[str, Any] = {
        "model": [stuck(started)],
        "cell": [cell("print('here')\nimport time\ntime.sleep(3600)")],
        "sub-call": [cell("parallel_queries('a', 'b')")],
    }
    handle = rlm.stream(
        "-> answer",
        model=scripted(*replies[where]),
        sub_model=sub(*[stuck(started)] * 2),
        log_dir=tmp_path,
    )
    for item in handle:
        if started.is_set() or (isinstance(item, events.Delta) and item.kind == "stdout"):
            break
        if where != "cell" and isinstance(item, events.ModelAsked) and item.purpose == "query":
            started.wait(10)
            break
        if where == "model" and isinstance(item, events.ModelAsked):
            started.wait(10)
            break
    handle.cancel()
    result = handle.result(timeout=20)
    handle.cancel()  # once more does nothing
    assert (result.status, result.ended_by) == ("aborted", "cancelled")
    assert isinstance(result.error, rlm.Aborted)
    again = rlm.Result[Any](rlm.Trace.read(result.log))
    assert again == result
    asked = {e.ask for e in result.trace.of(events.ModelAsked)}
    replied = {e.ask for e in result.trace.of(events.ModelReplied)}
    assert asked == replied | {e.ask for e in result.trace.of(events.ModelLost)}
    assert all(call.status != "running" for call in result.calls())


def test_a_stream_that_cannot_start_raises_where_it_is_made() -> None:
    with pytest.raises(rlm.ConfigurationError, match="no model"):
        rlm.stream("-> answer")


def test_leaving_the_iteration_does_not_stop_the_run() -> None:
    handle = rlm.stream("-> answer", model=scripted(cell("x = 1"), final("a")))
    for _ in handle:
        break
    assert handle.result(timeout=20).value == "a"
    assert list(handle)  # the rest can still be read


_INTERRUPTED = """
import sys, rlm
from rlm.testing import ScriptedLM
lm = ScriptedLM(["```repl\\nprint('ready')\\nimport time\\ntime.sleep(3600)\\n```"])
def show(item):
    if getattr(item, "kind", "") == "stdout":
        print("running", flush=True)
try:
    rlm.predict("-> answer", model=lm, log_dir=sys.argv[1], on_event=show)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_ends_the_run_and_its_log(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "running\n"
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=20)[0] == "interrupted\n"
    (log,) = tmp_path.glob("*.jsonl")
    result = rlm.Result[Any](rlm.Trace.read(log))
    assert (result.status, result.ended_by) == ("aborted", "cancelled")


# Statuses -------------------------------------------------------------------------------------


def greedy(request: rlm.Request) -> rlm.Reply:
    """Use all that may be used, in a cell that takes a while and makes sub-calls."""
    used = rlm.Usage(input_tokens=1_500, output_tokens=request.max_output_tokens)
    code = "import time\nparallel_queries('a', 'b', 'c')\ntime.sleep(0.02)"
    return rlm.Reply(cell(code), usage=used)


def last_of(request: rlm.Request) -> rlm.Reply:
    if "last request" in request.prompt:
        return rlm.Reply(final("the best"), usage=USED)
    return greedy(request)


LIMITS: dict[str, dict[str, Any]] = {
    "max_iterations": {"max_iterations": 2},
    "max_llm_calls": {"max_llm_calls": 6},
    "max_tokens": {"max_tokens": 60_000},
    "max_cost_usd": {"max_cost_usd": "0.1"},
    "max_seconds": {"max_seconds": 0.4},
}
ENDINGS = {
    "finalize": ("completed", True),
    "needs_review": ("needs_review", False),
    "return_partial": ("budget_exceeded", False),
    "fail": ("budget_exceeded", False),
}


@pytest.mark.parametrize("choice", list(ENDINGS))
@pytest.mark.parametrize("limit", list(LIMITS))
def test_every_limit_with_every_choice(limit: str, choice: str) -> None:
    small = sub(*[rlm.Reply(letter, usage=USED) for letter in "abc"])
    result = rlm.completion(
        "x",
        model=scripted(*[last_of] * 40),
        sub_model=small,
        limits={**LIMITS[limit], "on_exceeded": choice},
    )
    assert (result.status, result.forced) == ENDINGS[choice]
    assert result.ended_by == limit
    if choice == "finalize":
        assert result.value == "the best"
    else:
        assert isinstance(result.error, rlm.BudgetExceeded)
        assert result.error.limit == limit
    reached = [e.limit for e in result.trace.of(events.LimitReached) if e.call == "0"]
    assert reached == [limit]


@pytest.mark.parametrize("choice", list(ENDINGS))
def test_max_sub_calls_refuses_in_the_cell_and_ends_nothing(choice: str) -> None:
    code = "replies = parallel_queries('a', 'b', 'c')\nsubmit(str([bool(r) for r in replies]))"
    result = run(
        cell(code),
        sub_model=sub("1"),
        limits={"max_sub_calls": 1, "on_exceeded": choice},
    )
    assert (result.status, result.ended_by) == ("completed", "submitted")
    assert result.value.count("True") == 1


def test_too_many_errors_in_a_row_are_no_progress() -> None:
    replies = [cell("1/0"), "only prose", cell("x = = 1")]
    result = run(*replies, limits={"max_errors": 3, "on_exceeded": "fail"})
    assert (result.status, result.ended_by) == ("no_progress", "max_errors")
    assert isinstance(result.error, rlm.NoProgress)


def test_a_good_cell_between_errors_starts_the_count_afresh() -> None:
    replies = [cell("1/0"), cell("x = 1"), cell("1/0"), cell("submit('a')")]
    assert run(*replies, limits={"max_errors": 2}).status == "completed"


def test_too_many_errors_still_leave_a_last_request() -> None:
    result = run(cell("1/0"), final("a guess"), limits={"max_errors": 1})
    assert (result.status, result.forced, result.ended_by) == ("completed", True, "max_errors")


@pytest.mark.parametrize(
    ("reply", "ended_by"), [(cell("submit('a')"), "submitted"), (final("a"), "final")]
)
def test_ended_by_tells_how_an_answer_came(reply: str, ended_by: str) -> None:
    result = run(reply)
    assert (result.ended_by, result.forced) == (ended_by, False)


def test_a_provider_that_fails_ends_the_run_with_its_error() -> None:
    result = run(errors.AuthenticationFailed("the key is refused", model="scripted/root"))
    assert (result.status, result.ended_by) == ("provider_error", "AuthenticationFailed")
    with pytest.raises(rlm.AuthenticationFailed, match="the key is refused"):
        _ = result.output


# Dialects and aliases -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "replies"),
    [
        ("fence", ["```repl\nn = 1\n```", "```python\nprint(n)\n```", "```final\n2\n```"]),
        (
            "json",
            [
                '{"action": "exec", "code": "n = 1"}',
                '{"action": "exec", "code": "print(n)"}',
                '{"action": "final", "answer": 2}',
            ],
        ),
        (
            "tags",
            [
                "<rlm-code>n = 1</rlm-code>",
                "<rlm-code>\nprint(n)\n</rlm-code>",
                "<rlm-final>2</rlm-final>",
            ],
        ),
    ],
)
@pytest.mark.parametrize("taught", ["fence", "json", "tags"])
def test_every_dialect_is_understood_whichever_is_taught(
    dialect: str, replies: list[str], taught: str
) -> None:
    result = run(*replies, signature="-> answer: int", dialect=taught)
    assert result.value == 2
    parsed = result.trace.of(events.ActionParsed)
    assert {event.dialect for event in parsed} == {dialect}


@pytest.mark.parametrize(
    "code",
    [
        "FINAL('a')",
        "found = 'a'\nFINAL_VAR('found')",
        "found = 'a'\nFINAL_VAR(found)",
        "SUBMIT(answer='a')",
        "submit('a')",
        "submit({'answer': 'a'})",
        "answer['content'] = 'a'\nanswer['ready'] = True",
        "answer = {'content': 'a', 'ready': True}",
    ],
)
def test_programs_for_other_runtimes_submit_too(code: str) -> None:
    assert run(cell(code), signature="-> answer: str").value == "a"


def test_final_var_in_plain_words_names_a_variable_with_or_without_quotes() -> None:
    made = cell("found = {'a': 1}")
    for last in ("FINAL_VAR(found)", "FINAL_VAR('found')", "I have it.\n\nFINAL_VAR(found)"):
        assert run(made, last, signature="-> answer: dict").value == {"a": 1}


def test_final_var_of_what_is_no_variable_is_told() -> None:
    with scripted(cell("FINAL_VAR('nope')"), cell("FINAL_VAR(['x'])"), final("a")) as lm:
        rlm.completion("x", model=lm)
    assert "no variable 'nope'" in lm.prompts[1]
    assert "no variable ['x']" in lm.prompts[2]


def test_other_names_of_sub_calls() -> None:
    code = "found = [*llm_query_batched(['a', 'b']), rlm_query('c'), *rlm_query_batched(['d'])]"
    assert sorted(probe(code, sub_model=sub("1", "2", "3", "4"))) == ["1", "2", "3", "4"]


# Configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modle": "x"}, r"unknown option 'modle'.*model"),
        ({"limits": {"max_turns": 1}}, r"unknown limit 'max_turns'.*max_iterations"),
        ({"limits": {"max_depth": -1}}, r"'max_depth' = -1"),
        ({"sandbox": "firejail"}, r"'firejail' is not known; there are: .*process"),
        ({"dialect": "yaml"}, r"'yaml' is not known: fence, json, tags"),
        ({"model": "gpt-5"}, r"'gpt-5' names no provider: write 'openai/gpt-5'"),
        ({"model": "nobody/nothing"}, r"'nobody/nothing' is not known.*base_url"),
        ({"model": "offline/genius"}, r"'offline/genius'.*offline/needle"),
        ({"model": []}, r"list of models is empty"),
        ({"model": None}, r"no model: pass model="),
        ({"sub_model": "gpt-5"}, r"'gpt-5' names no provider"),
        ({"models": [3]}, r"3 is no model"),
        ({"limits": {"max_cost_usd": 1}, "prices": {"scripted/root": "free"}}, r"'free'"),
        ({"tools": [3]}, r"3 is no tool"),
        ({"tools": 3}, r"tools=3 is no list"),
        ({"dialect": ["json"]}, r"the dialect \['json'\] is not known"),
        ({"validators": [3]}, r"3 is no validator: give a plain function"),
        ({"validators": [asyncio.sleep]}, r"sleep .* is no validator: give a plain"),
        ({"on_event": [asyncio.sleep]}, r"sleep .* is no plain function of an event"),
        ({"seed": "lucky"}, r"seed='lucky' is no whole number"),
        ({"prices": 3}, r"prices=3: give a dict"),
        ({"secrets": {"KEY": 3}}, r"secrets= takes a mapping of names to texts"),
        ({"limits": "strict"}, r"limits='strict': give rlm.Limits"),
        ({"tools": [len, len]}, r"two tools are called 'len'"),
        ({"tools": [lambda: 1]}, r"not '<lambda>': give name="),
    ],
    ids=lambda value: None if callable(value) else str(value).partition(" at 0x")[0][:40],
)
def test_what_is_impossible_is_refused_before_anything_is_spent(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    lm = scripted(final("a"))
    given: Any = {"model": lm, "log_dir": tmp_path, **options}
    with pytest.raises(rlm.ConfigurationError, match=message):
        rlm.predict("text -> answer", input={"text": "t"}, **given)
    assert not lm.requests
    assert not list(tmp_path.iterdir())


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(rlm.ConfigurationError, match="OPENAI_API_KEY"):
        rlm.completion("x", model="openai/gpt-5-mini")


def test_a_call_wins_over_rlm_and_rlm_over_configure() -> None:
    def lm(name: str) -> ScriptedLM:
        return scripted(final(name), name=f"scripted/{name}")

    rlm.configure(model=lm("configured"))
    assert rlm.completion("x").value == "configured"
    client = rlm.RLM(model=lm("client"))
    assert client.completion("x").value == "client"
    assert client.completion("x", model=lm("call")).value == "call"


@pytest.mark.parametrize("make", [rlm.configure, rlm.RLM], ids=["configure", "RLM"])
def test_defaults_refuse_unknown_names_at_once(make: Callable[..., Any]) -> None:
    with pytest.raises(rlm.ConfigurationError, match="unknown option 'modell'"):
        make(modell="x")


def test_a_question_must_be_words_and_not_the_data() -> None:
    with pytest.raises(rlm.ConfigurationError, match="ask something in words"):
        rlm.completion("  ", model=scripted())
    with pytest.raises(rlm.ConfigurationError, match=r"200,001 characters.*context="):
        rlm.completion("x" * 200_001, context="c", model=scripted())


# Models ---------------------------------------------------------------------------------------


def test_another_model_stands_in_and_the_trace_says_why() -> None:
    with (
        scripted(errors.AuthenticationFailed("bad key", model="a/a"), name="a/a") as first,
        scripted(final("from b"), name="b/b") as second,
    ):
        result = rlm.completion("x", model=[first, second])
    assert result.value == "from b"
    (retried,) = result.trace.of(events.ModelRetried)
    assert (retried.model, retried.next_model) == ("a/a", "b/b")
    assert (retried.error.type, retried.error.message) == ("AuthenticationFailed", "bad key")
    (replied,) = result.trace.of(events.ModelReplied)
    assert replied.model == "b/b"


def test_a_busy_server_is_asked_again() -> None:
    script = [{"fault": {"status": 429, "retry_after": 0.01}}, {"fault": "reset"}, final("a")]
    with LoopbackServer(script, prices={"x": (1, 2)}) as server:
        model = rlm.Model("openai/x", base_url=server.openai_url, api_key="key-of-a-test")
        result = rlm.completion("x", model=model, prices={"openai/x": (1, 2)})
    assert result.value == "a"
    first = result.trace.first(events.ModelRetried)
    assert first is not None
    assert first.error.type == "RateLimited"
    assert result.cost is not None
    assert result.cost >= server.billed.dollars


def test_a_plain_function_is_a_model() -> None:
    def model(request: rlm.Request) -> str:
        return final("plain") if "x" in request.prompt else final("?")

    assert rlm.completion("x", model=model).value == "plain"


def test_instructions_tools_and_roster_reach_the_model() -> None:
    @rlm.tool
    def price_of(item: str, currency: str = "EUR") -> float:
        """Look up what an item costs."""
        return 1.0

    with scripted(final("a")) as lm:
        rlm.predict(
            "text -> answer: str",
            input={"text": "t"},
            model=lm,
            tools=[price_of],
            instructions="Answer in one word.",
        )
    assert "Answer in one word." in told(lm)
    assert "`price_of(item: str, currency: str = EUR) -> float`: Look up what" in told(lm)


def test_a_key_that_was_given_by_hand_is_in_no_log(tmp_path: Path) -> None:
    key = "sk-given-by-hand-0123456789"
    with LoopbackServer([final(f"the key is {key}")]) as server:
        model = rlm.Model("openai/x", base_url=server.openai_url, api_key=key)
        result = rlm.completion(f"is it {key}?", model=model, log_dir=tmp_path)
    assert key not in Path(result.log).read_text(encoding="utf-8")
    assert key not in repr(model)
    assert "[redacted:" in result.value
