"""What rewritten code calls in place of writing, of augmented assignments, and in patterns."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import operator
import re
import types
from collections import ChainMap, UserDict, UserList
from collections.abc import Callable, Mapping
from typing import Any

from rlm.guest.episode import Batch, Episode, Failure
from rlm.guest.files import File, Matches
from rlm.guest.text import FoundList
from rlm.guest.values import Record
from rlm.sandbox._local_classes import EXACT, OPEN, Namespace, is_local, make, own
from rlm.sandbox._local_guards import LOOKED_AT, MUTABLE, read

__all__ = ["Globals", "guards"]


def matched(kind: Any) -> None:
    """Refuse a class in a pattern that reads attributes from what a cell has not made.

    Of its own instances, and of plain values, a pattern reads nothing that a cell must not have; a
    Protocol takes anything for its instance.
    """
    if issubclass(type(kind), type) and (
        (own(kind) and type(kind) in EXACT) or (issubclass(kind, _MATCHED) and not own(kind))
    ):
        return
    raise TypeError(f"{kind!r} cannot be in a pattern with attributes in the local sandbox")


def compared(value: Any) -> None:
    """Refuse a value in a pattern that a subject's equality could change."""
    if type(value) in LOOKED_AT:
        raise TypeError(f"a {type(value).__name__} cannot be a value in a pattern here")


_MATCHED = (
    *(kind for kind in OPEN if kind is not object), BaseException, dt.date, dt.time, dt.timedelta,
    decimal.Decimal, fractions.Fraction, Record, File, Failure, Episode, re.Match,
)  # fmt: skip


class Globals(dict[str, Any]):
    """What `globals()` returns: the variables of a cell, written through to its namespace."""

    def __init__(self, namespace: dict[str, Any], variables: list[tuple[str, Any]]) -> None:
        super().__init__(variables)
        self._namespace = namespace

    def __setitem__(self, name: str, value: Any) -> None:
        if type(name) is not str or (name[:1] == "_" and name[-1:] == "_" and name != "_"):
            raise TypeError(f"{name!r} is no name of a variable here")
        self._namespace[name] = value
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._namespace.pop(name, None)

    def update(self, *others: Any, **named: Any) -> None:
        """Write several."""
        for name, value in dict(*others, **named).items():
            self[name] = value


_WRITABLE = frozenset(
    {*MUTABLE, ChainMap, UserDict, UserList, Record, Namespace, Batch, FoundList, Matches, Globals}
)


def guards(
    namespace: dict[str, Any], bounded: Mapping[str, Callable[[Any, Any], Any]]
) -> dict[str, Any]:
    """Return what rewritten code calls; `namespace` is the one that its functions belong to.

    `bounded` has the operators of augmented assignments that look at the size of what they make.
    """

    def write(thing: Any) -> Any:
        kind = type(thing)
        if kind in _WRITABLE or is_local(thing):
            return thing
        function = kind is types.FunctionType and thing.__globals__ is namespace
        if function or (kind is decimal.Context and thing is decimal.getcontext()):
            return thing
        raise TypeError(f"a {kind.__name__} cannot be written to in the local sandbox")

    def augmented_item(thing: Any, index: Any) -> Callable[[str, Any], None]:
        before = thing[index]

        def apply(how: str, value: Any) -> None:
            write(thing)[index] = in_place[how](before, value)

        return apply

    def augmented_attribute(thing: Any, name: str) -> Callable[[str, Any], None]:
        before = read(thing, name)

        def apply(how: str, value: Any) -> None:
            setattr(write(thing), name, in_place[how](before, value))

        return apply

    in_place = {**_IN_PLACE, **bounded}
    return {
        "_getattr_": read,
        "_write_": write,
        "_augitem_": augmented_item,
        "_augattr_": augmented_attribute,
        "_inplace_": lambda before, how, value: in_place[how](before, value),
        "_slice_": slice,
        "_matched_": matched,
        "_compared_": compared,
        "__metaclass__": make,
    }


_IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.iadd,
    "Sub": operator.isub,
    "Mult": operator.imul,
    "Div": operator.itruediv,
    "Mod": operator.imod,
    "Pow": operator.ipow,
    "LShift": operator.ilshift,
    "RShift": operator.irshift,
    "BitOr": operator.ior,
    "BitXor": operator.ixor,
    "BitAnd": operator.iand,
    "FloorDiv": operator.ifloordiv,
    "MatMult": operator.imatmul,
}
