from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import math
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.guest.values import LARGE, Blobs, NotPortable, Record, decode, encode
from rlm.guest.wire import Frames, WireError, pack


def there(value: Any) -> Any:
    """Send a value over the wire and return what arrives."""
    blobs = Blobs()
    frame = pack({"t": "x", "value": encode(value, blobs)}, blobs.pieces)
    [(message, blob)] = Frames().feed(b"".join(frame))
    return decode(message["value"], blob)


hashable = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(st.characters()), st.binary(),
    st.decimals(allow_nan=False), st.uuids(), st.datetimes(), st.dates(), st.times(),
    st.timedeltas(), st.floats(allow_nan=False), st.complex_numbers(allow_nan=False),
)  # fmt: skip
values = st.recursive(
    hashable,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(hashable, inner),
        st.dictionaries(st.text(), inner),
        st.frozensets(hashable),
        st.sets(hashable),
    ),
    max_leaves=20,
)


@given(values)
def test_values_arrive_as_they_were(value: Any) -> None:
    got = there(value)
    assert got == value
    assert type(got) is type(value)


@given(st.recursive(
    st.one_of(st.none(), st.integers(), st.text(), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner),
        st.dictionaries(st.sampled_from(["$", "v", "at", "type", "dtype", "shape", "x"]), inner),
        st.fixed_dictionaries({
            "$": st.sampled_from(
                ["int", "str", "bytes", "tuple", "set", "dict", "record", "ref", "file", "date",
                 "datetime", "decimal", "uuid", "ndarray", "frame", "timedelta", "nothing"]
            ),
            "v": inner,
        }),
    ),
    max_leaves=30,
))  # fmt: skip
def test_whatever_comes_is_decoded_or_refused(junk: Any) -> None:
    try:
        decode(json.loads(json.dumps(junk)), b"some bytes")
    except WireError:
        return


def test_numbers_without_an_end_arrive() -> None:
    assert there(math.inf) == math.inf
    assert math.isnan(there(math.nan))
    assert there(10**5000) == 10**5000


def test_what_is_large_travels_beside() -> None:
    blobs = Blobs()
    tagged = encode({"text": "ü" * (LARGE + 1), "raw": b"x" * (LARGE + 1)}, blobs)
    assert len(json.dumps(tagged)) < 200
    assert decode(tagged, b"".join(blobs.pieces))["text"] == "ü" * (LARGE + 1)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: list[int]


class Page(pydantic.BaseModel):
    number: int
    points: list[Any]


def test_models_and_dataclasses_become_records() -> None:
    got = there(Page(number=3, points=[Point(1, [2])]))
    assert isinstance(got, Record)
    assert (got.number, got["number"], got.points[0].y) == (3, 3, [2])
    assert repr(got) == "Page(number=3, points=[Point(x=1, y=[2])])"
    assert there(got) == got
    with pytest.raises(AttributeError, match="it has: number, points"):
        got.nothing  # noqa: B018 - the access is the test


def test_a_field_wins_over_a_method_of_dict() -> None:
    got = there(Record("Invoice", {"items": [1], "total": 2}))
    assert (got.items, got["items"], got.total) == ([1], [1], 2)
    assert there(got) == got
    assert repr(got) == "Invoice(items=[1], total=2)"


def test_other_kinds_become_what_is_nearest() -> None:
    assert there(Colour.RED) == "red"
    assert there(PurePosixPath("/a/b")) == "/a/b"
    assert there(range(3)) == [0, 1, 2]
    assert there({"a": 1}.items()) == [("a", 1)]
    assert there(Counter("aab")) == {"a": 2, "b": 1}
    assert there(defaultdict(list, {1: [2]})) == {1: [2]}
    assert there(bytearray(b"x")) == b"x"
    aware = dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert there([aware, Decimal("1.10"), UUID(int=5)]) == [aware, Decimal("1.10"), UUID(int=5)]


def test_what_cannot_travel_is_named() -> None:
    with pytest.raises(NotPortable, match="generator"):
        encode((n for n in range(3)), Blobs())
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(NotPortable, match="holds itself"):
        encode(endless, Blobs())


def test_objects_that_the_other_side_has_go_by_name() -> None:
    big = "x" * (LARGE + 1)
    tagged = encode([big], Blobs(), {id(big): "place:context"})
    assert tagged == [{"$": "ref", "v": "place:context"}]
    assert decode(tagged, b"", {"place:context": big})[0] is big
    with pytest.raises(WireError):
        decode(tagged, b"", {})
