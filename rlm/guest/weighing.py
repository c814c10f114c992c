"""What decoding may cost beyond the size of what was sent, which may be made to cost hours."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Dict, List, Sequence

from .wire import WireError

__all__ = ["MOST_DIGITS", "Scales"]

MOST_DIGITS = 4300
"""Digits of the longest number that Python reads and writes as text; longer ones are slow."""

_MOST = 4_000_000
"""What one value may cost, in comparisons of two small keys: less than a second."""

_TABLE, _COLUMN, _DECIMAL = 40, 20, 500
_MOST_BITS = MOST_DIGITS * 10 // 3
_PLAIN = {str, bytes, bool, float, type(None)}
"""Keys of which nobody makes many of one hash: it depends on a secret, or there are few."""


class Scales:
    """Weighs the keys and the tables of one value, and refuses what costs too much in all."""

    def __init__(self) -> None:
        self._spent = 0

    def keys(self, keys: Sequence[Any]) -> None:
        """Weigh what is to be hashed: keys of one hash are compared, each with all before it.

        Equal ones are one key. TypeError when one has no hash.
        """
        if len(set(map(hash, keys))) == len(keys) or _PLAIN.issuperset(map(type, keys)):
            return
        counts = Counter(map(hash, keys))
        groups: Dict[int, List[Any]] = {}
        for key in keys:
            if counts[hash(key)] > 1:
                weight = _weight(key)
                group = groups.setdefault(hash(key), [])
                if len(group) > 1:  # with the first alone it is compared for its own size
                    self._spend((len(group) - 1) * weight, "keys have the same hash")
                if key not in group:
                    group.append(key)

    def number(self, value: int) -> None:
        """Weigh a number: to write a long one as text takes the square of its length."""
        self._spend((value.bit_length() >> 7) ** 2, "long numbers in one value")

    def table(self, columns: int) -> None:
        """Weigh a table: each, and each of its columns, costs pandas 20 µs, however small."""
        self._spend(_TABLE + _COLUMN * columns, "tables or columns in one value")

    def _spend(self, units: int, what: str) -> None:
        self._spent += units
        if self._spent > _MOST:
            raise WireError(f"too many {what}")


def _weight(key: Any) -> int:
    """Return what it may cost to compare a key with another of the same hash."""
    kind = type(key)
    if kind is tuple:
        return 1 + sum(map(_weight, key))
    if kind is frozenset:  # its items are looked up in the other, each among all of its hash
        alike = len(key) - len(set(map(hash, key)))
        return 1 + alike * alike + sum(map(_weight, key))
    if kind is str or kind is bytes:
        return 1 + (len(key) >> 8)
    if kind is int:
        return 1 + (_modest(key.bit_length(), _MOST_BITS) >> 10) ** 2
    if kind is Decimal:  # made of an integer first, to be compared with one
        return _DECIMAL + _modest(len(key.as_tuple().digits), MOST_DIGITS)
    return 1


def _modest(size: int, most: int) -> int:
    if size > most:
        raise WireError(f"numbers of more than {MOST_DIGITS:,} digits have the same hash")
    return size
