from __future__ import annotations

import enum
import json
import pathlib
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.errors import ValidationFailed
from rlm.files import File
from rlm.signature import Field, Signature


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Line(pydantic.BaseModel):
    item_name: str
    price: Decimal = Decimal(0)


def one(annotation: Any) -> Signature:
    return Signature("one", "", (), (Field("x", annotation),))


@pytest.mark.parametrize(
    ("given", "annotation", "meant"),
    [
        ("42", int, 42),
        (" 42 ", int, 42),
        ("1,234", int, 1234),
        ("1e3", int, 1000),
        (3.0, int, 3),
        ("3.0", int, 3),
        (Decimal("7"), int, 7),
        ("$1,234.50", Decimal, Decimal("1234.50")),
        ("-$5", Decimal, Decimal(-5)),
        ("EUR 12", int, 12),
        ("12.5 €", float, 12.5),
        ("$1,234.50", float, 1234.5),
        (3, float, 3.0),
        (1.1, Decimal, Decimal("1.1")),
        ("yes", bool, True),
        ("False", bool, False),
        (" true ", bool, True),
        (0, bool, False),
        (42, str, "42"),
        (True, str, "True"),
        (["a", 1], str, '["a", 1]'),
        ({"ü": 1}, str, '{"ü": 1}'),
        ("42", str, "42"),
        ("[1, 2]", str, "[1, 2]"),
        ("[1, 2]", list[int], [1, 2]),
        ("['a', 'b']", list[str], ["a", "b"]),
        ('```json\n["a"]\n```', list[str], ["a"]),
        ("- one\n- two, too\n", list[str], ["one", "two, too"]),
        ("1. one\n2. two", list[str], ["one", "two"]),
        ("1\n2\n3", list[int], [1, 2, 3]),
        ("1, 2, 3", list[int], [1, 2, 3]),
        ((1, 2), list[int], [1, 2]),
        (5, list[int], [5]),
        (["1", 2.0], list[int], [1, 2]),
        ([1, 2], tuple[int, str], (1, "2")),
        (["a", "a"], set[str], {"a"}),
        ('{"a": "1"}', dict[str, int], {"a": 1}),
        ({1: "1"}, dict[str, int], {"1": 1}),
        ("2024-01-31", date, date(2024, 1, 31)),
        ("2024-01-31T10:00:00", datetime, datetime(2024, 1, 31, 10)),
        ("a", Literal["A", "B"], "A"),
        ('"b" ', Literal["A", "B"], "B"),
        ("2", Literal[1, 2], 2),
        ("RED", Colour, Colour.RED),
        ("blue", Colour, Colour.BLUE),
        (2, Colour, Colour.BLUE),
        ("null", int | None, None),
        ("", float | None, None),
        ("none", str | None, "none"),
        ("5", int | None, 5),
        ("5", int | str, "5"),
        ("x", int | str, "x"),
        ({"Item Name": "a", "price": "$2"}, Line, Line(item_name="a", price=Decimal(2))),
        ('{"itemName": "a"}', Line, Line(item_name="a")),
        ({"item-name": "a"}, list[Line], [Line(item_name="a")]),
        (Line(item_name="a"), dict[str, Any], {"item_name": "a", "price": "0"}),
        ([{"item_name": 1}], list[Line], [Line(item_name="1")]),
        (b"abc", str, "abc"),
        ("abc", bytes, b"abc"),
        ("1" + "0" * 40, int, 10**40),
    ],
)
def test_what_was_meant_is_understood(given: Any, annotation: Any, meant: Any) -> None:
    made = one(annotation).coerce({"x": given}).x
    assert made == meant
    assert type(made) is type(meant)


@pytest.mark.parametrize(
    ("given", "annotation", "reason"),
    [
        (3.7, int, "fractional part"),
        ("3.7", int, "x: '3.7' is not int"),
        ("1,23", int, "x: '1,23' is not int"),
        ("1e999999999", int, "is not int"),
        ("9" * 5000, int, "is not int"),
        ("1.234,50", Decimal, "is not Decimal"),
        ("12%", float, "is not float"),
        (True, int, "a truth value is no number"),
        ("maybe", bool, "is not bool"),
        (2, bool, "is not bool"),
        (None, str, "x: None is not str"),
        (None, int, "x: None is not int"),
        ("a, b", list[str], "a text is not taken apart"),
        ("one\ntwo", list[str], "a text is not taken apart"),
        ("- one\ntwo", list[str], "a text is not taken apart"),
        ("1,234", list[str], "a text is not taken apart"),
        ([1, "x"], list[int], "1: should be a valid integer"),
        ([1, 2, 3], tuple[int, int], "should have 2 items, not 3"),
        ("c", Literal["a", "b"], "should be one of 'a', 'b'"),
        ("3", Literal[1, 2], "should be one of 1, 2"),
        (2024, date, "ISO 8601"),
        ("2024", datetime, "ISO 8601"),
        ("31/01/2024", date, "is not date"),
        ("x", dict[str, int], "should be an object"),
        ({"price": 1}, Line, "item_name: Field required"),
        ({"item_name": "a", "Item Name": "b", "price": []}, Line, "Line"),
        ("text", File | None, "should be a File"),
    ],
)
def test_what_would_be_lossy_or_a_guess_is_refused(
    given: Any, annotation: Any, reason: str
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        one(annotation).coerce({"x": given})
    assert reason in caught.value.problems[0]


def test_a_refusal_names_a_bounded_value() -> None:
    with pytest.raises(ValidationFailed) as caught:
        one(int).coerce("x" * 1_000_000)
    assert len(str(caught.value)) < 400


SIGNATURE = Signature.parse("-> answer: str, page_count: int, notes: list[str] | None")


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ValidationFailed) as caught:
        SIGNATURE.coerce({"page_count": "many", "nots": []})
    assert caught.value.problems == [
        "there is no output 'nots'; did you mean 'notes'?",
        "answer (str) is missing",
        "page_count: 'many' is not int: should be a valid integer, "
        "unable to parse string as an integer",
    ]


def test_optional_outputs_may_be_left_out_and_keys_may_differ_in_case() -> None:
    made = SIGNATURE.coerce({"Answer": "a", "Page Count": 2})
    assert made == {"answer": "a", "page_count": 2, "notes": None}


def test_two_keys_for_one_field_are_refused() -> None:
    with pytest.raises(ValidationFailed, match="spell the same field"):
        SIGNATURE.coerce({"Answer": "a", "ANSWER": "b", "page_count": 1})


def test_json_text_and_records_are_outputs() -> None:
    class Made(pydantic.BaseModel):
        answer: str = "a"
        page_count: int = 1

    expected = {"answer": "a", "page_count": 1, "notes": None}
    assert SIGNATURE.coerce('```json\n{"answer": "a", "page_count": "1"}\n```') == expected
    assert SIGNATURE.coerce(Made()) == expected
    assert SIGNATURE.coerce(SIGNATURE.coerce(Made())) == expected


def test_a_bare_value_is_enough_for_one_field_only() -> None:
    assert one(str).coerce("text").x == "text"
    assert one(str).coerce('{"y": 1}').x == '{"y": 1}'
    assert one(str).coerce('{"x": 1}').x == '{"x": 1}'
    assert one(int).coerce('{"x": 1}').x == 1
    assert one(dict[str, int]).coerce({"a": 1}).x == {"a": 1}
    assert one(dict[str, int]).coerce({"x": {"a": 1}}).x == {"a": 1}
    assert one(Line).coerce({"item_name": "a"}).x == Line(item_name="a")
    with pytest.raises(ValidationFailed, match="'text' is no object with the fields answer, page"):
        SIGNATURE.coerce("text")


ROUND_TRIPS = {
    str: st.text(),
    int: st.integers(),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    bytes: st.binary(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    date: st.dates(),
    datetime: st.datetimes(),
    Colour: st.sampled_from(Colour),
    Line: st.builds(Line, item_name=st.text(), price=st.decimals(0, 9, places=2)),
    list[str]: st.lists(st.text()),
    list[bytes]: st.lists(st.binary()),
    set[int]: st.sets(st.integers()),
    tuple[int, ...]: st.lists(st.integers()).map(tuple),
    dict[str, float]: st.dictionaries(st.text(), st.floats(allow_nan=False)),
    dict[int, date]: st.dictionaries(st.integers(), st.dates()),
    list[Line]: st.lists(st.builds(Line, item_name=st.text(), price=st.just(Decimal("1.10")))),
    int | None: st.none() | st.integers(),
    int | str: st.integers() | st.text(),
    Literal["a", "b"]: st.sampled_from(["a", "b"]),
    Any: st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
}


@given(st.data())
def test_what_was_dumped_as_json_is_coerced_to_the_same_output(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(list(ROUND_TRIPS)), min_size=1, max_size=4))
    fields = tuple(Field(f"f{i}", kind) for i, kind in enumerate(kinds))
    signature = Signature("s", "", (), fields)
    given = {f.name: data.draw(ROUND_TRIPS[f.annotation]) for f in fields}
    output = signature.coerce(given)
    assert output == given
    dumped = json.loads(json.dumps(signature.dump(output), allow_nan=False))
    assert signature.coerce(dumped) == signature.restore(dumped) == output


@given(st.sampled_from(list(ROUND_TRIPS)), ROUND_TRIPS[Any] | st.floats() | st.text())
def test_anything_is_an_output_or_a_refusal(annotation: Any, value: Any) -> None:
    try:
        made = one(annotation).coerce(value)
    except ValidationFailed as refused:
        assert refused.problems
    else:
        assert set(made) == {"x"}


def test_an_int_of_thousands_of_digits_is_recorded() -> None:
    output = one(int).coerce(-(10**5000))
    dumped = json.loads(json.dumps(one(int).dump(output)))
    assert one(int).coerce(dumped) == output
    assert one(str).coerce(10**5000).x.startswith("0x")
    with pytest.raises(ValidationFailed, match="<int> is not Literal"):
        one(Literal[1, 2]).coerce(10**5000)


def test_a_path_is_a_file_where_a_file_is_wanted(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x", encoding="utf-8")
    for text in ("f: File -> y", "f -> y"):  # without a type too: a session could not open a path
        assert Signature.parse(text).check_inputs({"f": path})["f"].text == "x"
