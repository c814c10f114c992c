from __future__ import annotations

import json
from typing import Any

import pytest
from fuzz.watchdog import watched
from hypothesis import given
from hypothesis import strategies as st

from rlm.errors import ConfigurationError, ValidationFailed
from rlm.signature import Signature
from rlm.signature.coerce import convert
from rlm.signature.scalars import Refused

LARGE = json.dumps([1] * 400_000)
ITSELF = "submit the list itself, not its text"


def test_a_fence_of_empty_lines_is_cut_at_once() -> None:
    answer = Signature.parse("-> answer: list[int]")
    with watched(), pytest.raises(ValidationFailed, match="should be a valid integer"):
        answer.coerce("```" + "\n" * 400_000 + "x")
    with watched():
        assert answer.coerce("```json\n" + "\n" * 400_000 + "[1]\n```").answer == [1]


@pytest.mark.parametrize("before", ["```", "```json", "```py ", "```\n\n"])
@pytest.mark.parametrize("after", ["\n```", "```", "\n\n```\n"])
def test_what_stands_in_a_fence_is_read(before: str, after: str) -> None:
    assert convert(f"{before}\n[1, 2]{after}", list[int]) == [1, 2]


@pytest.mark.parametrize("text", ["``` a\n[1]\n```", "```[1]```", "```\n[1]", "``````", "```\n```"])
def test_what_is_no_fence_is_no_list(text: str) -> None:
    with pytest.raises(Refused):
        convert(text, list[int])


@pytest.mark.parametrize(
    ("text", "annotation"),
    [
        (LARGE, list[int]),
        (LARGE, list[int] | None),
        (LARGE, set[int] | dict[str, int]),
        ("[" + "[]," * 400_000 + "1]", list),
        ("- a\n" * 300_000, list[str]),
        ("[a" + "()" * 60_000 + "]", list[int]),
        ("[" + "(1)," * 30_000 + "]", list[int]),
        ([LARGE[:600_000].rstrip(", ") + "]"] * 2, list[list[int]]),
    ],
    ids=lambda what: repr(what)[:20],
)
def test_a_text_too_large_to_be_read_is_refused_with_what_to_do(text: Any, annotation: Any) -> None:
    with pytest.raises(Refused, match=ITSELF):
        convert(text, annotation)


def test_a_dict_and_a_record_are_asked_for_themselves() -> None:
    text = json.dumps({"a": "x" * 1_000_000, "b": "y"})
    with pytest.raises(Refused, match="submit the dict itself, not its text"):
        convert(text, dict[str, str])
    with pytest.raises(ValidationFailed, match="submit the dict itself, not its text"):
        Signature.parse("-> a: str, b: str").coerce(text)


@pytest.mark.parametrize("kind", ["str", "str | None", "list[int] | str", "Any"])
def test_a_text_that_is_wanted_has_any_size(kind: str) -> None:
    assert Signature.parse(f"-> answer: {kind}").coerce(LARGE).answer == LARGE


def test_a_large_value_itself_is_taken() -> None:
    assert Signature.parse("-> answer: list[int]").coerce([1] * 400_000).answer == [1] * 400_000


def test_a_caller_may_give_inputs_as_texts_of_any_size() -> None:
    contract = Signature.parse("rows: list[int] -> answer")
    assert contract.check_inputs({"rows": LARGE}, trusted=True) == {"rows": [1] * 400_000}
    with pytest.raises(ConfigurationError, match=ITSELF):
        contract.check_inputs({"rows": LARGE})


def test_after_a_refusal_a_text_is_read_as_before() -> None:
    for _ in range(3):
        with pytest.raises(Refused, match=ITSELF):
            convert(LARGE, list[int])
        assert convert(LARGE[:300_000].rstrip(", ") + "]", list[int])


@given(st.text("`\n\t jsonx-", max_size=12))
def test_a_fence_is_cut_as_a_person_would(text: str) -> None:
    whole = f"```json\n[1]\n{text}"
    fenced = text.strip() == "```" or text == "```"
    try:
        assert (convert(whole, list[int]) == [1]) == fenced
    except Refused:
        assert not fenced


def test_many_choices_are_looked_up_not_tried() -> None:
    names = ", ".join(repr(f"a{number}") for number in range(1_000))
    wanted = Signature.parse(f"-> answer: list[Literal[{names}]]")
    with watched():
        assert set(wanted.coerce(["A7"] * 100_000).answer) == {"a7"}


def test_values_of_other_types_are_changed_up_to_a_number() -> None:
    kinds = ", ".join(f"tuple[int, Literal['a{number}']]" for number in range(9))
    wanted = Signature.parse(f"-> answer: list[Union[{kinds}, int]]")
    assert wanted.coerce(["1"] * 1_000).answer == [1] * 1_000
    with pytest.raises(ValidationFailed, match="submit them as the type says"):
        wanted.coerce(["1"] * 60_000)


def test_a_caller_may_give_any_number_of_values_to_change() -> None:
    contract = Signature.parse("numbers: list[int] -> answer")
    inputs = {"numbers": ["1"] * 400_000}
    assert contract.check_inputs(inputs, trusted=True)["numbers"] == [1] * 400_000
    with pytest.raises(ConfigurationError, match="submit them as the type says"):
        contract.check_inputs(inputs)


def test_keys_that_are_not_known_are_told_in_part() -> None:
    given = {f"key{number}": number for number in range(100_000)}
    with watched(), pytest.raises(ValidationFailed) as caught:
        Signature.parse("-> a: int, b: int").coerce(given)
    assert len(caught.value.problems) < 60
    assert "there are 99,980 more unknown outputs" in caught.value.problems


def test_long_names_are_not_compared() -> None:
    name = "".join(chr(0x4E00 + n % 400) for n in range(4_000))
    with watched(), pytest.raises(ValidationFailed, match="there is no output"):
        Signature.parse(f"-> {name}: int, b: int").coerce({name[::-1]: 1})


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    signature = Signature.parse("-> answer: list")
    with pytest.raises(ValidationFailed, match="nested too deeply"):
        signature.dump(signature.coerce("[" * 900 + "]" * 900))
