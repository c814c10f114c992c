"""What an editor knows of the public names; mypy --strict reads this file, nobody runs it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, assert_type

from pydantic import BaseModel

import rlm


class Question(BaseModel):
    text: str


class Finding(BaseModel):
    name: str
    pages: list[int]


def results_of_text() -> None:
    result = rlm.predict("text -> name: str", input={"text": "t"}, model="offline/needle")
    assert_type(result, rlm.Result[Any])
    assert_type(result.status, str)
    assert_type(result.ok, bool)
    assert_type(result.cost, Decimal | None)
    assert_type(result.usage, rlm.Usage)
    assert_type(result.error, rlm.RunError | None)
    assert_type(result.trace, rlm.Trace)


def results_of_classes() -> None:
    result = rlm.predict(Finding, model="offline/needle")
    assert_type(result, rlm.Result[Finding])
    assert_type(result.output.pages, list[int])
    pair = rlm.predict((Question, Finding), input={"text": "t"}, model="offline/needle")
    assert_type(pair.output.name, str)
    client = rlm.RLM(model="offline/needle")
    assert_type(client.predict(Finding).output.pages, list[int])


def options_are_known() -> None:
    limits = rlm.Limits(max_iterations=3)
    rlm.predict("-> a", modle="x")  # type: ignore[call-overload] # an unknown option
    rlm.predict("-> a", limits=3)  # type: ignore[call-overload] # neither Limits nor a dict
    rlm.completion("x", limits=3)  # type: ignore[arg-type] # neither Limits nor a dict
    rlm.RLM(model="offline/needle", limits=limits, seed=1)


async def async_results() -> None:
    result = await rlm.apredict("-> name", model="offline/needle")
    assert_type(result, rlm.Result[Any])
    assert_type(await rlm.acompletion("x", model="offline/needle"), rlm.Result[Any])
    assert_type((await rlm.apredict(Finding, model="offline/needle")).output.pages, list[int])
    client = rlm.RLM(model="offline/needle")
    assert_type((await client.apredict((Question, Finding))).output.name, str)
    handle = rlm.astream("-> name", model="offline/needle")
    assert_type(handle, rlm.AsyncStream)
    assert_type(await handle.result(), rlm.Result[Any])


def inputs(given: Mapping[str, Any]) -> None:
    rlm.predict("a -> b", input=given)
    assert_type(rlm.File(text="x").size, int)
    assert_type(rlm.stream("a -> b", input=given).result(timeout=1.0), rlm.Result[Any])
