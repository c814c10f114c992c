"""Generous, lossless conversion of single values: texts, numbers, truth, dates, bytes, files."""

from __future__ import annotations

import base64
import binascii
import enum
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import BaseModel

from rlm.files import File
from rlm.signature.output import plain

__all__ = ["SCALARS", "Refused"]

_MONEY = re.compile(
    r"(?P<sign>[-+]?)\s*+(?:(?:[$€£¥₹]|[A-Z]{3}\s)\s*+)?(?P<inner>[-+]?)"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)\s*(?:[$€£¥₹]|\s[A-Z]{3})?"
)


_MOST_DIGITS = 4000


class Refused(ValueError):
    """A value cannot become what a type asks for; the message says why."""


def _text(value: Any) -> Any:
    if isinstance(value, enum.Enum) and isinstance(value.value, str):
        return value.value
    if isinstance(value, bool | float | Decimal | date | time):
        return str(value)
    if isinstance(value, int):
        return str(plain(value))
    if isinstance(value, list | tuple | dict | BaseModel):
        return json.dumps(plain(value), ensure_ascii=False)
    if isinstance(value, File):
        raise Refused("a File is given where the signature says str: declare it as File")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise Refused("a truth value is no number")
    if not isinstance(value, str):
        return value
    found = _MONEY.fullmatch(value.strip())
    if found is None or (found["sign"] and found["inner"]):
        return value.strip()
    return found["sign"] + found["inner"] + found["number"].replace(",", "")


def _is_whole(number: Decimal) -> bool:
    return number == number.to_integral_value()  # `% 1` fails beyond 28 digits


def _int(value: Any) -> Any:
    number = _number(value)
    if isinstance(number, str):
        if re.fullmatch(r"-?0[xX][0-9a-fA-F]+", number):
            return int(number, 16)
        try:
            exact = Decimal(number)
        except InvalidOperation:
            return number
        # "1e999999999" is short, but the int that it means would not fit into memory
        whole = exact.is_finite() and exact.adjusted() < _MOST_DIGITS and _is_whole(exact)
        return int(exact) if whole else number
    return number


def _bool(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _moment(value: Any) -> Any:
    # pydantic takes a number for seconds since 1970; "2024" is a year to everybody else
    if isinstance(value, bool | int | float | Decimal):
        raise Refused("should be an ISO 8601 text, as in '2024-01-31'")
    if isinstance(value, str):
        value = value.strip()
        if re.fullmatch(r"[-+]?[\d.]+", value):
            raise Refused("should be an ISO 8601 text, as in '2024-01-31'")
    return value


def _bytes(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {"$bytes"}:
        try:
            return base64.b64decode(value["$bytes"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise Refused("'$bytes' does not hold base64") from None
    return bytes(value) if isinstance(value, bytearray | memoryview) else value


def _file(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return File(value)
    if isinstance(value, bytes):
        return File(data=value)
    raise Refused("should be a File: write rlm.File(path) or rlm.File(text=…)")


SCALARS: Mapping[Any, Callable[[Any], Any]] = {
    File: _file,
    str: _text,
    int: _int,
    float: _number,
    Decimal: _number,
    bool: _bool,
    bytes: _bytes,
    date: _moment,
    datetime: _moment,
}
"""What makes a value acceptable to pydantic's lax validation of a type, or raises Refused."""
