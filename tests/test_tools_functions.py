from __future__ import annotations

import asyncio
import threading
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from runs import cell, final, probe, run, scripted, told

import rlm
from rlm import events
from rlm.tools.base import Tool
from rlm.tools.functions import FunctionTool


@rlm.tool
def area(width: int, height: int = 2) -> int:
    """Multiply width and height."""
    return width * height


class Item(BaseModel):
    name: str
    price: float


def test_a_tool_is_still_the_function() -> None:
    assert area(3) == 6
    assert isinstance(area, Tool)
    assert (area.name, area.category) == ("area", "read_only")
    assert area.signature == "(width: int, height: int = 2) -> int"
    assert area.description == "Multiply width and height."
    assert area.schema["required"] == ["width"]


def test_a_tool_may_be_named_described_and_categorised() -> None:
    made = rlm.tool(name="measure", category="write", description="Measure it.")(lambda n: n)
    assert (made.name, made.category, made.description) == ("measure", "write", "Measure it.")


def test_a_plain_function_given_as_a_tool_is_one() -> None:
    def double(n: int) -> int:
        return n * 2

    assert probe("found = [double(2), double(n='3')]", tools=[double]) == [4, 6]


def test_a_tool_looks_like_its_function_in_a_cell() -> None:
    code = "import inspect\nfound = [str(inspect.signature(area)), area.__doc__, area.__name__]"
    assert probe(code, tools=[area]) == [
        "(width: 'int', height: 'int' = 2) -> 'int'",
        "Multiply width and height.",
        "area",
    ]


def test_sync_tools_run_in_threads_and_async_ones_on_the_loop() -> None:
    where: list[Any] = []

    @rlm.tool
    def blocking() -> None:
        where.append(threading.current_thread())

    @rlm.tool
    async def gentle() -> str:
        where.append(asyncio.get_running_loop())
        return "done"

    assert probe("blocking()\nfound = gentle()", tools=[blocking, gentle]) == "done"
    assert where[0] is not threading.main_thread()
    assert isinstance(where[1], asyncio.AbstractEventLoop)


def test_arguments_are_validated_and_converted_to_the_annotations() -> None:
    @rlm.tool
    def buy(item: Item, currency: Literal["EUR", "USD"] = "EUR") -> str:
        return f"{item.name} {item.price:.2f} {currency}"

    assert probe("found = buy({'name': 'milk', 'price': '1.5'})", tools=[buy]) == "milk 1.50 EUR"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("area('wide')", "area: 0: Input should be a valid integer"),
        ("area(1, depth=2)", "depth"),
        ("area()", "width"),
    ],
)
def test_wrong_arguments_are_a_tool_error_in_the_cell(call: str, said: str) -> None:
    code = f"try: {call}\nexcept (ToolError, TypeError) as error: found = str(error)"
    assert said in probe(code, tools=[area])


def test_a_tool_that_fails_is_a_tool_error_in_the_cell_and_the_run_goes_on() -> None:
    @rlm.tool
    def broken(word: str) -> str:
        raise KeyError(word)

    with scripted(cell("kept = 1\nbroken('milk')"), cell("submit(str(kept))")) as lm:
        result = rlm.completion("x", model=lm, tools=[broken])
    assert result.value == "1"
    assert "ToolError: broken: KeyError: 'milk'" in lm.prompts[1]
    (returned,) = result.trace.of(events.ToolReturned)
    assert returned.error is not None
    assert returned.error.type == "ToolError"


def test_a_tool_s_value_keeps_its_type() -> None:
    values = [1, 1.5, "naïve", b"\xff", None, True, [1, {"a": (2,)}], {"k": {3}}]

    @rlm.tool
    def give(number: int) -> Any:
        return values[number]

    code = "found = repr([give(n) for n in range(8)])"
    assert probe(code, tools=[give]) == repr(values)


def test_a_tool_returns_records_and_dates() -> None:
    from datetime import date
    from decimal import Decimal

    @rlm.tool
    def give() -> Any:
        return [Item(name="milk", price=1.5), date(2024, 2, 29), Decimal("1.10")]

    code = "item, day, money = give()\nfound = [item.name, item.price, day.year, str(money)]"
    assert probe(code, tools=[give]) == ["milk", 1.5, 2024, "1.10"]


def test_what_a_tool_cannot_return_is_a_tool_error_and_not_the_end() -> None:
    @rlm.tool
    def give() -> Any:
        return object()

    code = "try: found = str(give())\nexcept RLMError as error: found = str(error)"
    assert "object" in probe(code, tools=[give])


def test_calls_of_tools_are_events_with_arguments_and_value() -> None:
    result = run(cell("area(3, height=4)"), final("a"), tools=[area])
    (called,) = result.trace.of(events.ToolCalled)
    (returned,) = result.trace.of(events.ToolReturned)
    assert (called.tool, called.category) == ("area", "read_only")
    assert called.arguments == {"0": 3, "height": 4}
    assert (returned.value, returned.bridge) == (12, called.bridge)


@pytest.mark.parametrize("category", ["needs_approval", "disabled"])
def test_a_tool_that_may_not_be_used_is_refused_in_the_cell(category: Any) -> None:
    ran: list[int] = []
    drop = rlm.tool(name="drop", category=category)(lambda: ran.append(1))
    code = "try: drop()\nexcept PolicyViolation as error: found = str(error)"
    assert "'drop' may not be used" in probe(code, tools=[drop])
    assert not ran


def test_a_disabled_tool_is_not_offered() -> None:
    drop = rlm.tool(name="drop", category="disabled", description="Drop it.")(lambda: None)
    with scripted(final("a")) as lm:
        rlm.completion("x", model=lm, tools=[drop, area])
    assert "`area(" in told(lm)
    assert "drop" not in told(lm)


def test_children_have_the_tools_too_and_one_count() -> None:
    child = cell("submit(str(area(1)))")
    code = """
found = [str(llm_query("x", recursive=True)), area(2)]
try:
    area(3)
except BudgetExceeded as error:
    found.append(error.limit)
"""
    found = probe(code, sub_model=scripted(child), tools=[area], limits={"max_tool_calls": 2})
    assert found == ["2", 4, "max_tool_calls"]


def test_tools_from_threads_of_a_cell() -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(area, range(40)))
"""
    assert probe(code, tools=[area]) == [2 * n for n in range(40)]


@pytest.mark.parametrize("name", ["2nd", "with space", ""])
def test_a_name_that_python_cannot_call_is_refused(name: str) -> None:
    def work() -> None:
        pass

    work.__name__ = name
    with pytest.raises(rlm.ConfigurationError, match="give name="):
        FunctionTool(work)


class NoJson:
    """A type of which JSON knows nothing."""


def takes_no_json(item: NoJson) -> None:
    """Take what no cell can give."""


def takes_the_unknown(item: Unknown) -> None:  # type: ignore[name-defined] # noqa: F821 - the point
    """Take what nobody defined."""


def takes_anything(*values: int, **more: int) -> None:
    """Take arguments without names."""


@pytest.mark.parametrize("function", [len, dict, takes_no_json, takes_the_unknown, takes_anything])
def test_a_tool_that_cannot_be_described_is_refused_by_name(function: Any) -> None:
    with pytest.raises(rlm.ConfigurationError, match=f"the tool '{function.__name__}' cannot"):
        run(final("a"), tools=[function])


def test_a_tool_may_not_take_the_name_of_what_a_cell_has() -> None:
    def submit() -> None:
        pass

    with pytest.raises(rlm.ConfigurationError, match="'submit'"):
        rlm.completion("x", model=scripted(), tools=[submit])


def test_an_input_may_not_take_the_name_of_what_a_cell_needs() -> None:
    with pytest.raises(rlm.ConfigurationError, match="'llm_query'"):
        rlm.predict("llm_query -> answer", input={"llm_query": 1}, model=scripted())
    result = run(
        cell("submit(len(history) + len(answer))"),
        signature="history: list, answer -> n: int",
        input={"history": [1], "answer": "two"},
    )
    assert result.value == 4


def test_a_tool_and_an_input_of_one_name_are_refused() -> None:
    with pytest.raises(rlm.ConfigurationError, match="'area'"):
        rlm.predict("area -> answer", input={"area": 1}, model=scripted(), tools=[area])
