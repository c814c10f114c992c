"""What tests of runs share: cells as replies, and a run whose every reply was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lawful import checked
from parts import cell

import rlm
from rlm.lm.scripted import ScriptedReply
from rlm.testing import ScriptedLM
from rlm.usage import Price, Usage

__all__ = ["CHEAP", "USED", "cell", "final", "probe", "run", "scripted", "sub", "told"]

CHEAP = Price.per_million(1, 2)
USED = Usage(input_tokens=100, output_tokens=10)


def final(answer: str) -> str:
    """A reply that gives the answer."""
    return f"```final\n{answer}\n```"


def scripted(*replies: ScriptedReply, name: str = "scripted/root", **options: Any) -> ScriptedLM:
    """A model for the root, with a usage and a price."""
    return ScriptedLM(list(replies), name=name, **{"usage": USED, "price": CHEAP, **options})


def sub(*replies: ScriptedReply, **options: Any) -> ScriptedLM:
    """A model for sub-calls."""
    return scripted(*replies, **{"name": "scripted/sub", **options})


def run(
    *replies: ScriptedReply,
    signature: Any = "text -> answer: str",
    input: Mapping[str, Any] | None = None,
    **options: Any,
) -> rlm.Result[Any]:
    """Run by scripted replies, all of which must be asked for; the trace is held to the laws."""
    given = {"text": "some text"} if input is None and signature == "text -> answer: str" else input
    with scripted(*replies) as lm:
        return checked(rlm.predict(signature, input=given, model=lm, **options))


def probe(code: str, **options: Any) -> Any:
    """Return what a cell computes: the value of its variable `found`."""
    result = run(cell(f"{code.strip()}\nsubmit(found)"), signature="-> found: Any", **options)
    return result.value


def told(lm: ScriptedLM, request: int = -1) -> str:
    """The whole transcript that a request showed the model."""
    return "\n\n".join(message.content for message in lm.requests[request].messages)
