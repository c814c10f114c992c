"""numpy arrays and pandas frames as tagged JSON, where those libraries are already in use."""

from __future__ import annotations

import importlib
import re
import sys
from typing import Any, Callable, Mapping

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
        columns = [[inner(_cell(pandas, n)), _column(pandas, value[n], inner)] for n in value]
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
) -> Any:
    """Return the array or frame; TypeError when its library cannot be imported here."""
    if value["$"] == "ndarray":
        dtype = value["dtype"]
        if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
            raise ValueError(f"an array has the type {dtype!r}")
        numpy = _library("numpy", "an array")
        shape = [int(size) for size in value["shape"]]
        return numpy.frombuffer(bytes(at(value)), dtype=dtype).reshape(shape).copy()
    pandas = _library("pandas", "a table")
    index = inner(value["index"])
    if value["$"] == "series":
        return pandas.Series(inner(value["v"]), index=index, name=inner(value["name"]))
    frame = pandas.DataFrame(
        {place: inner(column) for place, (_, column) in enumerate(value["v"])}, index=index
    )
    frame.columns = [inner(name) for name, _ in value["v"]]
    return frame


def _library(name: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise TypeError(f"{what} cannot be received: {name} is not importable here") from None
