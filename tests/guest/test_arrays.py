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
