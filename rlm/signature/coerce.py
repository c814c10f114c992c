"""Generous, lossless conversion of what a model gave into what a type asks for."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from reprlib import Repr
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from rlm.errors import ConfigurationError
from rlm.signature.output import plain
from rlm.signature.reading import TooLong, bounded, count_change, read
from rlm.signature.scalars import SCALARS, Refused
from rlm.signature.types import is_union, members, type_text

__all__ = ["adapter", "convert", "fits", "match_names", "shown"]

_BULLET = re.compile(r"\s*(?:[-*•]|\d{1,4}[.)])\s+(?=\S)")
_NOTHING = {"", "none", "null", "n/a", "nil"}
_KEPT = 256
"""Validators that are kept; one can take a megabyte."""
_ONE_LINE = Repr()
_ONE_LINE.maxstring = _ONE_LINE.maxother = 120
_ONE_LINE.maxlong = 60


def shown(value: Any) -> str:
    """Return a bounded, one-line repr of a value."""
    try:
        return _ONE_LINE.repr(value)
    except ValueError:  # an int of more digits than Python writes
        return f"<{type(value).__name__}>"


def adapter(annotation: Any) -> TypeAdapter[Any]:
    """Return pydantic's compiled validator of a type; compiled once per type."""
    return _known(annotation).adapter


class _Known(NamedTuple):
    """What is known of a type; `choices` are those of a Literal."""

    annotation: Any
    adapter: TypeAdapter[Any]
    choices: _Choices


def _known(annotation: Any) -> _Known:
    found = _recent.get(id(annotation))
    if found is None or found.annotation is not annotation:
        choices = get_args(annotation) if get_origin(annotation) is Literal else ()
        pairs = [(choice, choice) for choice in choices]
        found = _Known(annotation, _looked_up(annotation), _Choices.of(pairs))
        if len(_recent) >= _KEPT:
            _recent.clear()
        _recent[id(annotation)] = found
    return found


def _looked_up(annotation: Any) -> TypeAdapter[Any]:
    try:
        return _adapter(annotation)
    except TypeError:  # an Annotated type whose metadata cannot be hashed
        return _compiled(annotation)


def fits(value: Any, annotation: Any) -> bool:
    """Return whether a value is what a type asks for, as it stands."""
    if annotation is Any:
        return True
    try:
        adapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _compiled(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise ConfigurationError(f"{type_text(annotation)}: {error.message}") from None
        return TypeAdapter(annotation)


_adapter = lru_cache(maxsize=_KEPT)(_compiled)
_recent: dict[int, _Known] = {}
"""By identity: to hash a type of thousands of choices for each item of a list takes long."""


def convert(value: Any, annotation: Any) -> Any:
    """Return `value` as the type asks for it, unchanged where it already is; or raise Refused.

    Nothing is lost on the way: `"$1,234.50"` and `3.0` become numbers, `3.7` does not become an
    int; JSON text and Python literals become lists, mappings and records; a text becomes a list
    only where each line of it is an item beyond doubt.
    """
    try:
        return adapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        pass
    with bounded():
        count_change()
        changed = _coerced(value, annotation)
    try:
        return adapter(annotation).validate_python(changed)
    except ValidationError as error:
        raise Refused(_reasons(error)) from None


def _reasons(error: ValidationError) -> str:
    reasons = []
    for problem in error.errors(include_url=False, include_context=False)[:5]:
        place = ".".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
        reasons.append(f"{place}: {text}" if place else text)
    more = error.error_count() - len(reasons)
    return "; ".join([*reasons, f"and {more} more"] if more > 0 else reasons)


def _coerced(value: Any, annotation: Any) -> Any:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _coerced(value, args[0])
    if is_union(annotation):
        return _one_of(value, args)
    if origin is Literal:
        return _choice(value, _known(annotation).choices)
    kind = origin or annotation
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _member(value, kind)
    if kind in SCALARS:
        return SCALARS[kind](value)
    if kind in (list, tuple, set, frozenset):
        return _items(value, kind, args)
    if kind is dict or kind is Mapping:
        return _pairs(value, args)
    fields = members(kind)
    return value if fields is None else _record(value, kind, fields)


def _one_of(value: Any, choices: tuple[Any, ...]) -> Any:
    no_text = NoneType in choices and str not in choices and isinstance(value, str)
    if no_text and value.strip().lower() in _NOTHING:
        return None
    others = [choice for choice in choices if choice is not NoneType]
    if len(others) == 1:
        return convert(value, others[0])
    for choice in others:
        try:
            return convert(value, choice)
        except TooLong:
            raise
        except Refused:
            continue
    return value


class _Choices(NamedTuple):
    """What may be said and what each means; the texts by their spelling in lower case."""

    pairs: list[tuple[Any, Any]]
    spelled: dict[str, list[Any]]

    @classmethod
    def of(cls, pairs: list[tuple[Any, Any]]) -> _Choices:
        spelled: dict[str, list[Any]] = {}
        for choice, meant in pairs:
            spelled.setdefault(str(choice).casefold(), []).append(meant)
        return cls(pairs, spelled)


@lru_cache(maxsize=_KEPT)
def _enumerated(kind: type[enum.Enum]) -> tuple[_Choices, _Choices]:
    by_value = _Choices.of([(member.value, member) for member in kind])
    return by_value, _Choices.of([(member.name, member) for member in kind])


def _choice(value: Any, choices: _Choices) -> Any:
    """Return what is meant by the one choice that a value spells, in whatever case."""
    if isinstance(value, str):
        found = choices.spelled.get(value.strip().strip("\"'").casefold(), [])
    else:
        same = [pair for pair in choices.pairs if type(pair[0]) is type(value)]
        found = [meant for choice, meant in same if choice == value]
    if len(found) == 1:
        return found[0]
    raise Refused(f"should be one of {', '.join(repr(choice) for choice, _ in choices.pairs)}")


def _member(value: Any, kind: type[enum.Enum]) -> Any:
    by_value, by_name = _enumerated(kind)
    try:
        return _choice(value, by_value)
    except Refused:
        return _choice(value, by_name)


def _items(value: Any, kind: type, args: tuple[Any, ...]) -> Any:
    item = args[0] if args else Any
    if isinstance(value, str):
        found = read(value, "the list")
        value = _lines(value, item) if found is None else found
    if isinstance(value, bool | int | float | Decimal) or (
        isinstance(value, Mapping) and members(item) is not None
    ):
        value = [value]  # a single item, where no text could be meant
    if not isinstance(value, list | tuple | set | frozenset):
        raise Refused("should be a list")
    if kind is tuple and args and args[-1] is not ...:
        if len(value) != len(args):
            raise Refused(f"should have {len(args)} items, not {len(value)}")
        return tuple(_at(i, v, t) for i, (v, t) in enumerate(zip(value, args, strict=True)))
    return kind(_at(i, v, item) for i, v in enumerate(value))


def _at(place: Any, value: Any, annotation: Any) -> Any:
    try:
        return convert(value, annotation)
    except Refused as refused:
        raise Refused(f"{place}: {refused}") from None


def _lines(text: str, item: Any) -> Any:
    lines = [line for line in text.strip().split("\n") if line.strip()]
    if lines and all(_BULLET.match(line) for line in lines):
        return [_BULLET.sub("", line, count=1).strip() for line in lines]
    if item in (int, float, Decimal, bool, date, datetime):  # a line or ", " cannot be inside one
        parts = lines if len(lines) > 1 else re.split(r",\s+", text.strip())
        return [part.strip() for part in parts]
    raise Refused("should be a list; a text is not taken apart")


def _pairs(value: Any, args: tuple[Any, ...]) -> Any:
    if isinstance(value, str):
        value = read(value, "the dict")
    elif isinstance(value, BaseModel):
        value = plain(value)
    if not isinstance(value, Mapping):
        raise Refused("should be an object")
    key_type, item_type = args or (Any, Any)
    return {_at("key", k, key_type): _at(k, v, item_type) for k, v in value.items()}


def _record(value: Any, kind: type, fields: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        value = read(value, "the dict of its fields")
    if not isinstance(value, Mapping):
        return value
    known = [*fields]
    if issubclass(kind, BaseModel):
        aliases = {info.alias: n for n, info in kind.model_fields.items() if info.alias}
        value = {aliases.get(key, key): item for key, item in value.items()}
    names = match_names(value, known)
    made = {
        names.get(key, key): _at(key, item, fields[names[key]]) if key in names else item
        for key, item in value.items()
    }
    if issubclass(kind, BaseModel):
        return {kind.model_fields[n].alias or n if n in fields else n: v for n, v in made.items()}
    return made


def match_names(given: Mapping[Any, Any], known: list[str]) -> dict[Any, str]:
    """Map the keys of `given` to the known names that they spell, be it in another case.

    `"Page Count"`, `"page-count"` and `"pageCount"` spell `page_count`; an exact key goes before.
    """
    exact = {name for name in known if name in given}
    free: dict[str, list[str]] = {}
    for name in known:
        if name not in exact:
            free.setdefault(_bare(name), []).append(name)
    found: dict[Any, str] = {name: name for name in exact}
    for key in given:
        meant = free.get(_bare(str(key)), [])
        if key not in exact and len(meant) == 1:
            found[key] = meant[0]
    if len(set(found.values())) < len(found):
        raise Refused(f"several keys spell the same field: {', '.join(map(shown, found))}"[:2_000])
    return found


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
