"""numpy arrays and pandas frames as tagged JSON, where those libraries are already in use."""

from __future__ import annotations

import importlib
import re
import sys
from contextlib import suppress
from typing import Any, Callable, List, Mapping

from .weighing import Scales

__all__ = ["TAGS", "decode", "encode"]

TAGS = ("ndarray", "frame", "series")

_DTYPE = re.compile(r"[<>|=]?[biufcSUmM]\d{1,8}(\[\w+\])?")


def encode(value: Any, put: Callable[[bytes], list[int]], inner: Callable[[Any], Any]) -> Any:
    """Return the tagged form, or None when `value` is neither array nor frame nor scalar."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(value, numpy.ndarray):
        if not _DTYPE.fullmatch(value.dtype.str):
            return inner(value.tolist())
        at = put(numpy.ascontiguousarray(value).tobytes())
        return {"$": "ndarray", "dtype": value.dtype.str, "shape": list(value.shape), "at": at}
    if numpy is not None and isinstance(value, numpy.generic):
        return inner(value.item())
    if pandas is not None and isinstance(value, pandas.DataFrame):
        columns = [
            [inner(_cell(pandas, name)), _column(pandas, column, inner)]
            for name, column in value.items()
        ]
        return {"$": "frame", "v": columns, "index": _column(pandas, value.index, inner)}
    if pandas is not None and isinstance(value, pandas.Series):
        column, index = _column(pandas, value, inner), _column(pandas, value.index, inner)
        return {"$": "series", "v": column, "name": inner(value.name), "index": index}
    return None


def _column(pandas: Any, column: Any, inner: Callable[[Any], Any]) -> Any:
    values = column.to_numpy()
    if _DTYPE.fullmatch(values.dtype.str):
        return inner(values)
    return inner([_cell(pandas, item) for item in values.tolist()])


def _cell(pandas: Any, item: Any) -> Any:
    if item is pandas.NaT or item is pandas.NA:
        return None
    return item.to_pydatetime() if isinstance(item, pandas.Timestamp) else item


def decode(
    value: Mapping[str, Any],
    at: Callable[[Any], memoryview],
    inner: Callable[[Any], Any],
    scales: Scales,
) -> Any:
    """Return the array or frame; TypeError when its library cannot be imported here.

    Of what was sent, pandas gets only labels that have been weighed, and columns as long as those:
    it would repeat a single number for each row, and look up each label of one series in another.
    """
    if value["$"] == "ndarray":
        return _array(value, at)
    pandas = _library("pandas", "a table")
    index = _labels(pandas, _sequence(value["index"], inner), scales)
    if value["$"] == "series":
        scales.table(1)
        values = _sequence(value["v"], inner, len(index))
        return pandas.Series(values, index=index, name=inner(value["name"]))
    scales.table(len(value["v"]))
    columns = [_sequence(column, inner, len(index)) for _, column in value["v"]]
    frame = pandas.DataFrame(dict(enumerate(columns)), index=index)
    frame.columns = _labels(pandas, [inner(name) for name, _ in value["v"]], scales)
    return frame


def _array(value: Mapping[str, Any], at: Callable[[Any], memoryview]) -> Any:
    dtype = value["dtype"]
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise ValueError(f"an array has the type {dtype!r}")
    numpy = _library("numpy", "an array")
    shape = [int(size) for size in value["shape"]]
    return numpy.frombuffer(bytes(at(value)), dtype=dtype).reshape(shape).copy()


def _sequence(tagged: Any, inner: Callable[[Any], Any], size: int | None = None) -> Any:
    """Return a column or an index, which is a list or an array, of `size` items."""
    listed = isinstance(tagged, list)
    if not listed and not (isinstance(tagged, dict) and tagged.get("$") == "ndarray"):
        raise ValueError("a column or an index of a table is no list")
    found = inner(tagged)
    shape = (len(found),) if listed else found.shape
    if len(shape) != 1 or size not in (None, shape[0]):
        raise ValueError(f"a table has a column of the shape {shape} beside {size} rows")
    return found


def _labels(pandas: Any, labels: Any, scales: Scales) -> Any:
    if not isinstance(labels, list):
        return pandas.Index(labels)
    scales.keys(labels)
    levels = len(labels[0]) if labels and type(labels[0]) is tuple else 0
    if levels and all(type(label) is tuple and len(label) == levels for label in labels):
        return _multiple(pandas, labels, scales)
    return pandas.Index(labels, tupleize_cols=False)


def _multiple(pandas: Any, labels: List[Any], scales: Scales) -> Any:
    """Return an index of several levels, without the hashes of pandas, which have no secret."""
    levels, codes = [], []
    for place in range(len(labels[0])):
        column = [label[place] for label in labels]
        scales.keys(column)
        level = list(dict.fromkeys(x for x in column if x is not None and x == x))
        with suppress(TypeError):  # what has no order stays in that of its rows, as in pandas
            level.sort()
        places = {label: code for code, label in enumerate(level)}
        levels.append(pandas.Index(level, tupleize_cols=False))
        codes.append([places.get(label, -1) for label in column])
    return pandas.MultiIndex(levels, codes, verify_integrity=False)


def _library(name: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise TypeError(f"{what} cannot be received: {name} is not importable here") from None
