"""The door to the models: cache, slots, holds, retries, settlement, and what the trace tells."""

from __future__ import annotations

from parts import Ask, cell, served

from rlm import events
from rlm.lm.base import Request
from rlm.testing import LoopbackServer, ScriptedLM, ServerReply, ServerRequest
from rlm.usage import Price, Usage


def fan_out(count: int) -> str:
    return cell(f"r = parallel_queries(*[f'q{{n}}' for n in range({count})])\nsubmit(len(r))")


def test_no_more_requests_are_in_flight_than_there_are_slots(complete: Ask) -> None:
    def play(request: ServerRequest) -> ServerReply:
        asked = request.prompt.startswith("q")
        return ServerReply("a", delay=0.02) if asked else ServerReply(fan_out(30))

    for slots in (1, 5):
        with LoopbackServer(play) as server:
            result = complete("Go", model=served(server), limits={"max_concurrency": slots})
            assert server.peak_in_flight == slots and result.value == "30"


def test_what_is_held_is_told_and_covers_what_was_used(complete: Ask) -> None:
    usage = Usage(input_tokens=20, output_tokens=30)
    with ScriptedLM([fan_out(3), "a", "b", "c"], usage=usage, price=Price.per_million(1, 2)) as lm:
        result = complete("Go", model=lm, limits={"max_output_tokens": 100, "max_cost_usd": 1})
    asked = {e.ask: e for e in result.trace.of(events.ModelAsked)}
    for replied in result.trace.of(events.ModelReplied):
        held = asked[replied.ask]
        assert held.max_output_tokens == 100
        assert held.held_cost is not None and replied.cost is not None
        assert replied.cost <= held.held_cost
        assert replied.usage.total_tokens <= held.held_tokens


def test_the_messages_of_a_request_are_those_that_the_trace_names(complete: Ask) -> None:
    """Ranges of the transcript, and the notice after it, are all that a model is sent."""
    replies = [cell(f"print({n})") for n in range(4)]
    with ScriptedLM([*replies, cell("submit('x')")]) as lm:
        result = complete("Go", context="c", model=lm)
    texts: dict[int, str] = {}
    told = {e.ask: e.text for e in result.trace.of(events.ModelReplied)}
    requests: list[Request] = list(lm.requests)
    for event in result.trace:
        if isinstance(event, events.MessageAdded):
            texts[event.index] = event.content or told[event.ask or 0]
        elif isinstance(event, events.ModelAsked):
            sent = [m.content for m in requests.pop(0).messages]
            named = [texts[i] for start, end in event.messages for i in range(start, end)]
            if event.notice:
                named[-1] += f"\n\n{event.notice}"
            assert sent == named
    assert not requests


def test_a_cached_reply_is_told_and_costs_nothing(complete: Ask) -> None:
    code = cell("a = llm_query('same')\nb = llm_query('same')\nsubmit(a + b)")
    usage = Usage(input_tokens=1, output_tokens=1)
    with ScriptedLM([code, "x"], usage=usage, price=Price.per_million(1, 1)) as lm:
        result = complete("Go", model=lm)
    first, second = (e for e in result.trace.of(events.ModelReplied) if e.call != "0")
    assert (first.cached, second.cached) == (False, True)
    assert not second.cost and second.usage == Usage() and second.text == first.text
    assert result.value == "xx" and result.llm_calls == 2
