from __future__ import annotations

import dataclasses
import enum
import json
import tracemalloc
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rlm.files import File
from rlm.prompt import describe
from rlm.prompt.describe import EXCERPT_CHARS, VALUE_CHARS


class Invoice(BaseModel):
    total: Decimal
    lines: list[str]


@dataclasses.dataclass
class Point:
    x: int
    label: str


class Colour(enum.Enum):
    RED = "red"


class Frame:
    """What pandas and polars have in common."""

    shape = (1200, 2)
    columns = ("id", "name")
    dtypes = ("int64", "object")


class Array:
    shape = (3, 4)
    dtype = "float64"


def test_a_text_is_told_by_length_tokens_head_and_tail() -> None:
    fact = describe("context", "FIRST" + "x" * 100_000 + "LAST")
    assert (fact.type, fact.length, fact.unit, fact.tokens) == (
        "str",
        100_009,
        "characters",
        25_003,
    )
    assert fact.head.startswith("FIRST")
    assert fact.tail.endswith("LAST")
    assert len(fact.head) == len(fact.tail) == EXCERPT_CHARS
    assert fact.value is None


def test_head_and_tail_of_a_short_text_do_not_overlap() -> None:
    text = "".join(f"{n:04}" for n in range(150))
    fact = describe("context", text)
    assert fact.head + fact.tail == text


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ('{"a": 1, "b": [2]}', "looks like JSON"),
        ('{"a": 1}\n{"a": 2}\n', "looks like JSON lines"),
        ("<html><body>", "looks like markup"),
        ("id,name\n1,tin\n2,iron\n3,lead\n", "looks like comma-separated columns"),
        ("id\tname\n1\ttin\n2\tiron\n", "looks like tab-separated columns"),
        ("a line\nanother\n", "in lines"),
        ("x" * 5000, "no line break in the head"),
        ("a word", ""),
    ],
)
def test_what_a_text_looks_like(text: str, look: str) -> None:
    assert describe("context", text).shape == look


def test_a_huge_text_is_never_copied() -> None:
    huge = "x" * 50_000_000
    tracemalloc.start()
    try:
        describe("context", huge)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_a_file_is_told_by_size_type_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,name\n" * 10_000 + "the end", encoding="utf-8")
    fact = describe("report", File(path))
    assert (fact.type, fact.length, fact.unit) == ("File", 80_007, "bytes")
    assert fact.content_type == "text/csv"
    assert fact.path == str(path)
    assert fact.tail.endswith("the end")


def test_the_ends_of_a_small_file_are_told_once() -> None:
    assert describe("report", File(text="ünly this")).tail == ""


def test_a_list_is_told_by_what_its_items_are() -> None:
    rows = [{"id": n, "text": "x" * 400, "day": date(2026, 1, 1)} for n in range(120)]
    fact = describe("rows", rows)
    assert (fact.length, fact.unit) == (120, "items")
    assert fact.shape == "of dict with keys id (int), text (str of 400 characters), day (date)"
    assert fact.head.startswith("[{'id': 0, 'text': 'xxx")


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ([1, 2, 3], "of int"),
        ([1, "a", None], "of NoneType and int and str"),
        ([[1, 2], [3]], "of list of 2"),
        ((), ""),
        ({"a": 1, "b": [1, 2]}, "keys a (int), b (list of 2)"),
        ({n: n for n in range(1000)}, "and 980 more"),
        (Invoice(total=Decimal(1), lines=["a"]), "fields total (Decimal), lines (list of 1)"),
        ([Point(1, "a")] * 3, "of Point with keys x (int), label (str)"),
        (Frame(), "1,200 rows x 2 columns: id (int64), name (object)"),
        (Array(), "3 x 4 float64"),
    ],
)
def test_the_shape_of_a_container(value: Any, shape: str) -> None:
    assert describe("v", value).shape.endswith(shape)


@pytest.mark.parametrize(
    ("value", "head"),
    [
        (5, "5"),
        (True, "True"),
        (None, "None"),
        (float("inf"), "inf"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 1, 2), "2026-01-02"),
        (Colour.RED, "Colour.RED"),
        (10**200, "int of 665 bits"),
        (b"\x00ab", "b'\\x00ab'"),
    ],
)
def test_a_plain_value_is_shown(value: Any, head: str) -> None:
    assert describe("v", value).head == head


def test_a_set_is_described_alike_in_every_process() -> None:
    assert describe("v", {"c", "a", "b"}).head == "['a', 'b', 'c']"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_the_value_is_there_only_when_it_is_small(value: Any) -> None:
    fact = describe("v", value)
    fact.model_dump_json()
    if fact.value is not None:
        assert fact.value == value
        assert len(json.dumps(value, ensure_ascii=False)) <= VALUE_CHARS


things = json_values | st.binary() | st.sets(st.integers()) | st.just("\x1b\ud800" * 9000)


@given(things, st.sampled_from([1, 50, 5000]))
def test_a_description_is_bounded_and_can_be_written(value: Any, times: int) -> None:
    fact = describe("v", [value] * times)
    assert len(fact.head) <= EXCERPT_CHARS
    assert len(fact.tail) <= EXCERPT_CHARS
    assert len(fact.shape) <= 3_000
    fact.model_dump_json()


@pytest.mark.parametrize("value", ["a\ud800b", ["\ud800"], {"\ud800": 1}, b"\xff" * 900])
def test_what_cannot_be_encoded_is_described_all_the_same(value: Any) -> None:
    describe("v", value).model_dump_json()
