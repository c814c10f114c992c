from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_cases import SIGNATURE, pinned

from rlm.prompt import Dialect, last_request, notice, refusal, repair

DIALECTS: list[Dialect] = ["fence", "json", "tags"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_exact_remarks(dialect: Dialect) -> None:
    parts = (
        repair("it holds no code block.", dialect),
        refusal(["pages: 'two' is no list[int]", "answer (str) is missing"]),
        last_request("the turns are used up", SIGNATURE, dialect),
    )
    pinned(f"remarks_{dialect}", "\n\n=====\n\n".join(parts))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_rr15_a_repair_says_what_was_wrong_and_what_is_right(dialect: Dialect) -> None:
    text = repair("the JSON ends in the middle", dialect)
    assert "the JSON ends in the middle" in text
    shape = {"fence": "```repl", "json": '{"action": "exec"', "tags": "<rlm-code>"}[dialect]
    assert shape in text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_lesson_09_the_last_request_asks_for_every_output(dialect: Dialect) -> None:
    text = last_request("the money is spent", SIGNATURE, dialect)
    assert "the money is spent" in text
    assert "Nothing more can be looked at" in text
    assert '"answer": …, "pages": …' in text
    assert "`pages`: list[int]" in text


def test_lesson_08_the_last_answer_is_said_to_be_checked() -> None:
    assert "checked like any other" in last_request("why", SIGNATURE, "fence")


@given(st.lists(st.text(max_size=100) | st.just("x" * 10_000), max_size=60))
def test_a_refusal_is_bounded(problems: list[str]) -> None:
    assert len(refusal(problems)) < 4_500


def test_nothing_is_said_when_nothing_is_limited() -> None:
    assert notice({}) == ""


def test_a_notice_is_one_coarse_line() -> None:
    early = notice({"max_iterations": (4, 30), "max_cost_usd": (0.21, 1.0), "max_seconds": (3, 60)})
    assert early == "Left: about 24 of 30 turns, about $0.70 of $1.00, about 54 of 60 seconds."
    assert notice({"max_iterations": (5, 30)}) == notice({"max_iterations": (6, 30)})


@pytest.mark.parametrize(("used", "warned"), [(79, False), (80, True), (100, True), (120, True)])
def test_a_notice_warns_from_eighty_percent(used: float, warned: bool) -> None:
    text = notice({"max_sub_calls": (used, 100), "max_iterations": (1, 30)})
    assert ("Nearly out of sub-calls: submit" in text) is warned


@given(
    st.dictionaries(
        st.sampled_from(["max_iterations", "max_tokens", "max_cost_usd", "max_seconds", "other"]),
        st.tuples(st.floats(0, 1e12), st.floats(0, 1e12)),
        min_size=1,
    )
)
def test_a_notice_is_always_one_line(left: dict[str, tuple[float, float]]) -> None:
    assert "\n" not in notice(left)
    assert notice(left).startswith("Left: ")
