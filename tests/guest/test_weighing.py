from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm.guest.values import Blobs, decode, encode
from rlm.guest.weighing import Scales
from rlm.guest.wire import WireError

PRIME = (1 << 61) - 1  # its multiples have one hash

KEYS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.decimals(-1000, 1000, places=4),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(KEYS, max_size=15))
def test_what_was_not_made_to_be_dear_weighs_nothing_to_speak_of(keys: list[Any]) -> None:
    Scales().keys(keys)


@pytest.mark.parametrize(
    "keys",
    [
        set(range(-100_000, 100_000)),
        set(itertools.product(range(-20, 20), repeat=3)),
        {frozenset((i, -i, str(i))) for i in range(20_000)},
        {frozenset(pair) for pair in itertools.combinations(range(-50, 50), 2)},
        {1 << place for place in range(5000)},
        {Decimal(i) / 7 for i in range(5_000)},
        {UUID(int=i << 64) for i in range(5_000)},
    ],
    ids=["ints", "tuples", "frozensets", "pairs", "powers", "decimals", "uuids"],
)
def test_honest_sets_arrive(keys: set[Any]) -> None:
    blobs = Blobs()
    assert decode(encode(keys, blobs), b"".join(blobs.pieces)) == keys
    assert decode(encode(dict.fromkeys(keys, 1), blobs)) == dict.fromkeys(keys, 1)


def test_labels_that_are_there_again_and_again_are_one() -> None:
    Scales().keys([-1, -2, "x", ("a", 1)] * 50_000)


TWINS: Any = [-1, -2]  # of one hash
ALIKE = list(itertools.islice(itertools.product(TWINS, repeat=12), 3100))


@pytest.mark.parametrize(
    "keys",
    [
        [(*range(1000), *tail) for tail in ALIKE],
        [("x" * 100_000, *tail) for tail in ALIKE],
        [((((tail,),),), *range(500)) for tail in ALIKE],
        [frozenset([*range(500), tail]) for tail in ALIKE],
        [number * PRIME for number in range(5_000)],
        [UUID(int=number * PRIME) for number in range(5_000)],
        [Decimal(number * PRIME) for number in range(1_000)],
        [frozenset(i * 200 * PRIME + j * PRIME for j in range(200)) for i in range(200)],
    ],
    ids=["long", "texts", "nested", "frozensets", "ints", "uuids", "decimals", "sets-of-alike"],
)
def test_keys_of_one_hash_are_refused_by_what_comparing_them_costs(keys: list[Any]) -> None:
    with pytest.raises(WireError, match="same hash"):
        Scales().keys(keys)


def test_what_all_parts_of_a_value_cost_is_one_sum() -> None:
    part = {"$": "set", "v": [number * PRIME for number in range(1_000)]}
    assert len(decode([part] * 5)) == 5
    with pytest.raises(WireError, match="same hash"):
        decode([part] * 50)


def test_numbers_that_take_hours_to_compare_are_refused() -> None:
    long = PRIME << 1_000_000
    assert hash(long) == hash(Decimal(0))
    for keys in ([long, Decimal(0)], [Decimal(0), long]):
        with pytest.raises(WireError, match="4,300 digits"):
            Scales().keys(keys)


@pytest.mark.parametrize("label", ["int", "tuple"])
def test_labels_of_a_table_are_weighed_like_keys(label: str) -> None:
    keys: list[Any] = [number * PRIME for number in range(50_000)]
    if label == "tuple":
        keys = [{"$": "tuple", "v": ["a", key]} for key in keys]
    series = {"$": "series", "v": keys, "name": None, "index": keys}
    with pytest.raises(WireError, match="same hash"):
        decode(series)
    with pytest.raises(WireError, match="same hash"):
        decode({"$": "frame", "v": [[key, []] for key in keys], "index": []})
