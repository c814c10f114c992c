"""Where the choices of the grammar come from: a seed, hypothesis, or the bytes of a fuzzer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

from hypothesis import strategies as st

__all__ = ["Bytes", "Drawn", "Seeded", "Source", "one_in", "pick"]

T = TypeVar("T")


class Source(Protocol):
    """Makes choices; 0 is always the plainest, so that a failing case can be made smaller."""

    def below(self, count: int) -> int:
        """Return a number from 0 to `count` - 1."""
        ...

    def some(self, most: int) -> bytes:
        """Return at most so many bytes."""
        ...


class Seeded:
    """Choices of a seed: fast, and the same each time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, count: int) -> int:
        return int(self._random.random() * count)

    def some(self, most: int) -> bytes:
        return self._random.randbytes(self.below(most + 1))


class Bytes:
    """Choices read from bytes, as a fuzzer makes them; all 0 when those are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def below(self, count: int) -> int:
        size = (count.bit_length() + 7) // 8
        taken = self._take(size)
        return int.from_bytes(taken, "big") % count

    def some(self, most: int) -> bytes:
        return self._take(self.below(most + 1))

    def _take(self, size: int) -> bytes:
        taken = self._data[self._place : self._place + size]
        self._place += size
        return taken


class Drawn(Bytes):
    """Choices of hypothesis, many at a time; it makes what fails as plain as it can."""

    def __init__(self, data: st.DataObject) -> None:
        super().__init__(b"")
        self._drawn = data

    def _take(self, size: int) -> bytes:
        while len(self._data) - self._place < size:
            self._data = self._data[self._place :] + self._drawn.draw(_CHOICES)
            self._place = 0
        return super()._take(size)


_CHOICES = st.binary(min_size=128, max_size=128)


def pick(source: Source, options: Sequence[T]) -> T:
    """Choose one of these."""
    return options[source.below(len(options))]


def one_in(source: Source, count: int) -> bool:
    """Return True once in so many times."""
    return count > 1 and source.below(count) == count - 1
