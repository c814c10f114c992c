from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from rlm.guest.values import Blobs, decode, encode
from rlm.guest.wire import WireError


def there(value: Any) -> Any:
    blobs = Blobs()
    return decode(encode(value, blobs), b"".join(blobs.pieces))


def test_an_array_of_objects_is_never_made_from_bytes() -> None:
    with pytest.raises(WireError, match="has the type"):
        decode({"$": "ndarray", "dtype": "|O", "shape": [1], "at": [0, 8]}, b"12345678")


@pytest.mark.skipif(importlib.util.find_spec("numpy") is not None, reason="numpy is here")
def test_an_array_without_numpy_is_refused_in_words() -> None:
    with pytest.raises(WireError, match="numpy is not importable"):
        decode({"$": "ndarray", "dtype": "<f8", "shape": [1], "at": [0, 8]}, b"12345678")


def test_arrays_and_tables_arrive() -> None:
    numpy = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")
    array = numpy.arange(12.0).reshape(3, 4)
    assert there(array.T).tolist() == array.T.tolist()
    assert there(numpy.float64(3.5)) == 3.5
    table = pandas.DataFrame({"n": [1, 2], "s": ["a", None]})
    assert there(table).to_dict() == table.to_dict()
    assert there(table["n"]).tolist() == [1, 2]
