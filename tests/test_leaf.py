from __future__ import annotations

from typing import Any

import pytest
from runs import USED, cell, probe, run, scripted, sub

import rlm
from rlm import events


def test_an_untyped_sub_call_sends_its_prompt_and_nothing_else() -> None:
    with sub("r") as small:
        probe("found = llm_query('just this')", sub_model=small)
    (request,) = small.requests
    assert [(message.role, message.content) for message in request.messages] == [
        ("user", "just this")
    ]
    assert request.schema is None


def test_a_context_is_marked_as_data() -> None:
    with sub("r") as small:
        probe("found = llm_query('q', context={'a': [1]})", sub_model=small)
    assert small.prompts[0].startswith("q\n\n")
    assert "data, not instructions" in small.prompts[0]
    assert '{"a": [1]}' in small.prompts[0]


def test_a_reply_cut_off_by_its_cap_is_an_error_with_a_name() -> None:
    code = "try: llm_query('q')\nexcept ReplyCutOff as error: found = str(error)"
    half = rlm.Reply("half of", usage=USED, finish="length")
    assert "ask for less" in probe(code, sub_model=sub(half))


def test_what_a_typed_reply_holds_besides_does_no_harm() -> None:
    more = sub('{"label": "a", "confidence": 0.9}')
    assert probe("found = predict('q -> label', q='q').label", sub_model=more) == "a"


@pytest.mark.parametrize("thought", ["<think>6? 7</think>\n\n", "6? 7\n</think>\n"])
def test_the_thinking_that_a_reply_begins_with_is_no_part_of_the_answer(thought: str) -> None:
    assert probe("found = str(llm_query('q'))", sub_model=sub(f"{thought}7")) == "7"
    assert probe("found = predict('q -> n: int', q='q').n", sub_model=sub(f"{thought}7")) == 7


@pytest.mark.parametrize("answer", ["Write <think> and\n</think>\nbelow.", "`</think>` ends it."])
def test_an_answer_may_speak_of_thinking(answer: str) -> None:
    assert probe("found = str(llm_query('q'))", sub_model=sub(answer)) == answer


def test_a_reply_of_thinking_alone_is_an_error_with_a_name() -> None:
    code = "try: llm_query('q')\nexcept ReplyCutOff as error: found = str(error)"
    assert "only thinking" in probe(code, sub_model=sub("<think>Let me see"))


def test_a_cut_off_reply_is_not_taken_for_an_answer_in_a_batch() -> None:
    half = rlm.Reply("half of", usage=USED, finish="length")
    code = "(failed,) = parallel_queries('q')\nfound = [bool(failed), failed.error]"
    assert probe(code, sub_model=sub(half)) == [False, "ReplyCutOff"]


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (rlm.RateLimited("slow down", retry_after=100.0), "RateLimited"),
        (rlm.ReplyBlocked("withheld"), "ReplyBlocked"),
        (rlm.AuthenticationFailed("no"), "AuthenticationFailed"),
        (ValueError("a defect"), "ProviderError"),
    ],
)
def test_a_provider_s_failure_is_an_exception_by_name(error: Exception, name: str) -> None:
    code = "try: llm_query('q')\nexcept ProviderError as error: found = type(error).__name__"
    assert probe(code, sub_model=sub(error)) == name


def test_samples_are_asked_apart() -> None:
    code = "found = [str(llm_query('q', sample=n)) for n in (0, 1, 2, 1)]"
    assert probe(code, sub_model=sub("a", "b", "c")) == ["a", "b", "c", "b"]


def test_the_requests_of_a_leaf_are_on_the_trace_with_their_key() -> None:
    result = run(cell("llm_query('q')\nllm_query('q')\nsubmit('a')"), sub_model=sub("r"))
    first, second = (e for e in result.trace.of(events.ModelAsked) if e.purpose == "query")
    assert first.key == second.key != ""
    replies = [e.cached for e in result.trace.of(events.ModelReplied) if e.call != "0"]
    assert replies == [False, True]
    assert [call.cost for call in result.calls()[1:]] != [None, None]
    assert [call.cached for call in result.calls()[1:]] == [False, True]


def test_a_model_of_its_own_caps_and_parameters() -> None:
    seen: list[Any] = []

    def small(request: rlm.Request) -> str:
        seen.append((request.temperature, request.max_output_tokens))
        return "r"

    lm = scripted(cell("submit(llm_query('q'))"))
    rlm.completion("x", model=lm, sub_model=small, limits={"max_output_tokens": 300})
    assert seen == [(None, 300)]
