"""Bounds on what one operation makes, where they are cheap to tell: no wall around memory."""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

from rlm.sandbox._local_ticks import Ticker

__all__ = ["WIDE", "Sizes"]

WIDE = re.compile(r"\d{9}")
"""What a format has that makes a text of gigabytes."""

_MOST_BITS = 1 << 26
_ITEM_BYTES = 40
_AT_ONCE = 4096
_SEQUENCES: dict[type, int] = {str: 1, bytes: 1, bytearray: 1, list: 8, tuple: 8}
_ENDLESS = frozenset(
    {map, filter, zip, enumerate}
    | {kind for kind in vars(itertools).values() if isinstance(kind, type)}
)
"""Iterators that run inside of C, so that no tick of a cell is in them."""


class Sizes:
    """The operators and calls of a session that could make a value larger than its memory.

    `memory_mb` bounds what one of them makes, not what all of them do.
    """

    def __init__(self, ticker: Ticker, memory_mb: int | None) -> None:
        self._ticker = ticker
        self._bytes = None if memory_mb is None else memory_mb << 20

    def guards(self) -> dict[str, Any]:
        """Return what rewritten code calls."""
        return {
            "_times_": self.times(operator.mul),
            "_power_": self.power(operator.pow),
            "_shift_": self.shift(operator.lshift),
            "_each_": self.each,
            "_all_": self.all,
            "_bytes_": self.content,
            "_width_": self.width,
        }

    def in_place(self) -> dict[str, Callable[[Any, Any], Any]]:
        """Return the same operators as augmented assignment has them."""
        return {
            "Mult": self.times(operator.imul),
            "Pow": self.power(operator.ipow),
            "LShift": self.shift(operator.ilshift),
        }

    def times(self, apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a multiplication that bounds repeated sequences and the digits of an int."""

        def times(a: Any, b: Any) -> Any:
            kind, other = type(a), type(b)
            if kind is float or other is float:
                return apply(a, b)
            if kind is int and other is int:
                if a.bit_length() + b.bit_length() > _MOST_BITS:
                    raise _bits(a.bit_length() + b.bit_length())
            elif other is int and kind in _SEQUENCES:
                self._check(kind, len(a) * b)
            elif kind is int and other in _SEQUENCES:
                self._check(other, len(b) * a)
            return apply(a, b)

        return times

    def power(self, apply: Callable[..., Any]) -> Callable[..., Any]:
        """Return a power that bounds the digits of an int; with a modulus there is no need."""

        def power(a: Any, b: Any, *modulus: Any) -> Any:
            if type(a) is int and type(b) is int and not modulus and abs(a) > 1:
                bits = (abs(a).bit_length() - 1) * b
                if bits > _MOST_BITS:
                    raise _bits(bits)
            return apply(a, b, *modulus)

        return power

    def shift(self, apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a shift that bounds the digits of an int."""

        def shift(a: Any, b: Any) -> Any:
            if type(a) is int and type(b) is int and a and a.bit_length() + b > _MOST_BITS:
                raise _bits(a.bit_length() + b)
            return apply(a, b)

        return shift

    def each(self, values: Any) -> Any:
        """Return an iterable that ticks, for what would otherwise run on inside of C."""
        kind = type(values)
        if kind is range and _long(values):
            return itertools.chain.from_iterable(self._pieces(iter(values), None))
        if kind in _ENDLESS:
            return itertools.chain.from_iterable(self._pieces(values, None))
        return values

    def all(self, values: Any) -> Any:
        """Return the same for a call that keeps all of them."""
        kind = type(values)
        if kind in _ENDLESS or (kind is range and _long(values)):
            most = None if self._bytes is None else self._bytes // _ITEM_BYTES
            return itertools.chain.from_iterable(self._pieces(iter(values), most))
        return values

    def content(self, values: Any) -> Any:
        """Return the same for bytes, which may be told their number only."""
        return self.width(values) if type(values) is int else self.all(values)

    def width(self, wanted: Any) -> Any:
        """Return the width of a text that is to be filled up."""
        if type(wanted) is int:
            self._check(str, wanted)
        return wanted

    def _pieces(self, values: Iterator[Any], most: int | None) -> Iterator[tuple[Any, ...]]:
        count = 0
        size = _AT_ONCE
        while size == _AT_ONCE:  # one that has ended is not asked again
            piece = tuple(itertools.islice(values, _AT_ONCE))
            self._ticker.tick()
            size = len(piece)
            count += size
            if most is not None and count > most:
                raise MemoryError(f"more than {most:,} items do not fit into this session's memory")
            yield piece

    def _check(self, kind: type, count: int) -> None:
        if self._bytes is not None and count * _SEQUENCES[kind] > self._bytes:
            raise MemoryError(
                f"a {kind.__name__} of {count:,} items does not fit into this session's memory"
                f" of {self._bytes >> 20:,} MiB"
            )


def _long(values: range) -> bool:
    return bool(values) and abs(values[-1] - values[0]) // abs(values.step) > _AT_ONCE


def _bits(bits: int) -> MemoryError:
    return MemoryError(f"an int of {bits:,} bits is more than the local sandbox computes with")
