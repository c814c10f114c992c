from __future__ import annotations

import sys
from typing import Any

import numpy
import pandas
import pytest

import rlm
from rlm.guest.values import Blobs, decode, encode
from rlm.guest.wire import WireError
from rlm.testing import ScriptedLM


def there(value: Any) -> Any:
    blobs = Blobs()
    return decode(encode(value, blobs), b"".join(blobs.pieces))


def test_an_array_of_objects_is_never_made_from_bytes() -> None:
    with pytest.raises(WireError, match="has the type"):
        decode({"$": "ndarray", "dtype": "|O", "shape": [1], "at": [0, 8]}, b"12345678")


def test_an_array_without_numpy_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)  # as where it is not installed
    with pytest.raises(WireError, match="numpy is not importable"):
        decode({"$": "ndarray", "dtype": "<f8", "shape": [1], "at": [0, 8]}, b"12345678")


def test_arrays_and_tables_arrive() -> None:
    array = numpy.arange(12.0).reshape(3, 4)
    assert there(array.T).tolist() == array.T.tolist()
    assert there(numpy.float64(3.5)) == 3.5
    table = pandas.DataFrame({"n": [1, 2], "s": ["a", None]})
    assert there(table).to_dict() == table.to_dict()
    assert there(table["n"]).tolist() == [1, 2]


def test_a_table_is_an_input_like_any_other() -> None:
    table = pandas.DataFrame({"city": ["Rome", "Oslo"], "rain": [1.5, 2.5]})
    with ScriptedLM(["```repl\nprint(table.shape)\nsubmit(table['rain'].sum())\n```"]) as lm:
        result = rlm.predict(
            "table -> total: float",
            input={"table": table},
            model=lm,
            sandbox=rlm.ProcessSandbox(packages=("pandas",)),
        )
    assert result.value == 4.0
    assert "city" in lm.prompts[0]


@pytest.mark.parametrize(
    "table",
    [
        pandas.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["one", "two"]),
        pandas.DataFrame([[1, "x"], [2.5, "y"]], columns=["same", "same"]),
        pandas.DataFrame({"a": range(4)}, index=["x", "y", "x", "x"]),
        pandas.DataFrame({"a": range(3000)}, index=pandas.Index([-1, -2, "x"] * 1000)),
        pandas.DataFrame(
            {"a": range(6)}, index=pandas.MultiIndex.from_product([["z", "a"], [-1, -2, 3]])
        ),
        pandas.DataFrame(
            {"a": range(3)}, index=pandas.MultiIndex.from_tuples([("x", 1), (None, 2), ("x", 1)])
        ),
        pandas.DataFrame({("a", 1): [1], ("a", 2): [2]}),
        pandas.DataFrame({"a": []}),
        pandas.DataFrame(index=range(3)),
    ],
    ids=range(9),
)
def test_tables_arrive_with_their_labels(table: Any) -> None:
    pandas.testing.assert_frame_equal(
        there(table), table, check_index_type=False, check_column_type=False
    )


ROWS: dict[str, Any] = {"$": "ndarray", "dtype": "|i1", "shape": [1_000_000], "at": [0, 1_000_000]}


@pytest.mark.parametrize(
    "column",
    [
        1.5,
        None,
        "text",
        {"x": 1},
        [1],
        {"$": "tuple", "v": [1]},
        {"$": "series", "v": [1], "index": [0], "name": None},
        {"$": "ndarray", "dtype": "|i1", "shape": [], "at": [0, 1]},
        {"$": "ndarray", "dtype": "|i1", "shape": [0, 1_000_000], "at": [0, 0]},
        {"$": "ref", "v": "text"},
    ],
    ids=str,
)
def test_a_column_that_is_not_as_long_as_its_index_never_reaches_pandas(
    column: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("pandas was asked for a table")

    monkeypatch.setattr(pandas, "DataFrame", never)
    blob = bytes(1_000_000)
    frame = {"$": "frame", "v": [[0, column]], "index": ROWS}
    with pytest.raises(WireError, match=r"no list|beside|overlap"):
        decode(frame, blob, {"text": "t" * 1_000_000})
    series = {"$": "series", "v": column, "index": ROWS, "name": None}
    with pytest.raises(WireError, match=r"no list|beside|overlap"):
        decode(series, blob, {"text": "t" * 1_000_000})


@pytest.mark.parametrize(
    "index", [3, "ab", {"$": "ref", "v": "text"}, {"$": "set", "v": [1]}, [[1], [2]]], ids=str
)
def test_an_index_is_a_list_of_what_has_a_hash(index: Any) -> None:
    with pytest.raises(WireError, match=r"no list|unhashable"):
        decode({"$": "series", "v": [1, 2], "index": index, "name": None}, b"", {"text": "ab"})


def test_an_object_of_the_host_may_be_named_after_a_table() -> None:
    page, table = object(), pandas.Series([1])
    blobs = Blobs()
    tagged = encode([table, page], blobs, {id(page): "page"})
    assert decode(tagged, b"".join(blobs.pieces), {"page": page})[1] is page


def test_tables_without_end_are_refused() -> None:
    empty = {"$": "frame", "v": [], "index": []}
    with pytest.raises(WireError, match="too many tables"):
        decode([empty] * 200_000)
    with pytest.raises(WireError, match="too many tables"):
        decode({"$": "frame", "v": [[0, []]] * 500_000, "index": []})
