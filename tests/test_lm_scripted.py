from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from rlm.errors import ProviderError, RateLimited
from rlm.lm.base import LM, Delta, Message, Reply, Request
from rlm.testing import ScriptedLM
from rlm.usage import Price, Usage


def asked(text: str) -> Request:
    return Request((Message("system", "be brief"), Message("user", text)))


def ask(lm: ScriptedLM, text: str = "hi") -> Reply:
    return asyncio.run(lm.complete(asked(text)))


def test_it_is_an_lm() -> None:
    assert isinstance(ScriptedLM([]), LM)
    assert ScriptedLM([], name="scripted/small").name == "scripted/small"


def test_replies_come_in_order_and_in_all_forms() -> None:
    async def later(request: Request) -> str:
        return request.prompt.upper()

    with ScriptedLM(["a", Reply("b", reasoning="why"), lambda r: r.prompt * 2, later]) as lm:
        assert [ask(lm, "x").text for _ in range(4)] == ["a", "b", "xx", "X"]


def test_an_exception_is_raised_and_the_next_reply_follows() -> None:
    lm = ScriptedLM([RateLimited("slow down", retry_after=1), "fine"])
    with pytest.raises(RateLimited):
        ask(lm)
    assert ask(lm).text == "fine"


def test_rb08_records_prompts_costs_each_call_and_raises_when_exhausted() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100)
    lm = ScriptedLM(["a", Reply("b")], usage=usage, price=Price.per_million(1, 10))
    ask(lm, "first")
    ask(lm, "second")
    assert lm.prompts == ["first", "second"]
    assert lm.costs == [Decimal("0.002"), None]  # a reply without usage has no known cost
    with pytest.raises(ProviderError, match=r"request 3: it had 2.*'the third'") as caught:
        ask(lm, "the third")
    assert not caught.value.retryable


def test_unconsumed_replies_are_a_failure_at_the_end() -> None:
    with pytest.raises(AssertionError, match="1 replies left; the next: 'never asked for'"):  # noqa: SIM117 - in one line too long
        with ScriptedLM(["a", "never asked for"]) as lm:
            ask(lm)


def test_an_error_of_the_test_is_not_hidden_by_unconsumed_replies() -> None:
    with pytest.raises(ZeroDivisionError), ScriptedLM(["a"]):
        raise ZeroDivisionError


def test_routes_answer_by_what_the_transcript_holds() -> None:
    with ScriptedLM({"chunk 1": ["one"], "chunk 2": ["two"], "": ["root", "end"]}) as lm:
        asks = ["question", "chunk 2", "chunk 1", "chunk 1 again"]
        assert [ask(lm, text).text for text in asks] == ["root", "two", "one", "end"]


def test_tasks_and_threads_get_each_reply_once() -> None:
    replies = [str(n) for n in range(400)]
    lm = ScriptedLM(replies, delay=0.0001)

    def hundred() -> list[str]:
        async def main() -> list[Reply]:
            return await asyncio.gather(*(lm.complete(asked("x")) for _ in range(100)))

        return [reply.text for reply in asyncio.run(main())]

    with ThreadPoolExecutor(4) as pool:
        given = [text for batch in pool.map(lambda _: hundred(), range(4)) for text in batch]
    assert sorted(given, key=int) == replies
    lm.assert_done()


def test_pieces_of_a_stream_make_up_the_reply() -> None:
    pieces: list[Delta] = []
    lm = ScriptedLM([Reply("word " * 50, reasoning="thought")])
    reply = asyncio.run(lm.complete(asked("x"), pieces.append))
    assert "".join(p.text for p in pieces if p.kind == "text") == reply.text
    assert [p.text for p in pieces if p.kind == "reasoning"] == ["thought"]
