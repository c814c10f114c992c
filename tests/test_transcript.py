"""The transcript: each message once, and the oldest turns left out when there is no more room."""

from __future__ import annotations

from typing import Any

from parts import Ask, cell

import rlm
from rlm import events
from rlm.testing import ScriptedLM

NARROW = 12_000  # tokens


def test_a_transcript_that_outgrows_the_window_leaves_out_its_oldest_turns(complete: Ask) -> None:
    talk = cell("print('long output ' * 400)")
    last = cell("submit(str(len(history)) + ' ' + str('long output' in history[0]['output']))")
    with ScriptedLM([*[talk] * 12, last], window=NARROW) as lm:
        result = complete("The task itself", model=lm, limits={"max_output_tokens": 1_000})
    assert result.value == "12 True"
    asked = result.trace.of(events.ModelAsked)
    assert len(asked[0].messages) == 1 and len(asked[-1].messages) == 2
    for request, event in zip(lm.requests, asked, strict=True):
        sent = "".join(m.content for m in request.messages)
        assert "The task itself" in sent  # the opening always goes along
        assert len(sent) < 3 * NARROW
        assert event.messages[0][0] == 0
        assert event.messages[-1][1] == max(e.index for e in before(result, event)) + 1
    assert "left out" in lm.requests[-1].prompt


def before(result: rlm.Result[Any], event: events.ModelAsked) -> list[events.MessageAdded]:
    trace = result.trace
    return [e for e in trace.of(events.MessageAdded, call=event.call) if e.seq < event.seq]


def test_earlier_messages_are_sent_again_unchanged(complete: Ask) -> None:
    """A stable prefix is what providers' own caches live from."""
    with ScriptedLM([cell("1"), cell("2"), cell("submit('x')")]) as lm:
        complete("Go", model=lm)
    for earlier, later in zip(lm.requests, lm.requests[1:], strict=False):
        stable = earlier.messages[: earlier.stable_messages]
        assert stable and later.messages[: len(stable)] == stable
