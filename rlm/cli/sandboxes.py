"""From words on a command line to a sandbox: its name, and the options that it is given."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm.errors import ConfigurationError

if TYPE_CHECKING:
    from rlm.sandbox.base import Sandbox

__all__ = ["Settings", "chosen", "memory_of", "options_of", "set_option"]


def set_option(panel: str | None = None) -> typer.models.OptionInfo:
    """Return `--set`, the same for every command that runs code."""
    option: typer.models.OptionInfo = typer.Option(
        "--set",
        metavar="OPTION=VALUE",
        rich_help_panel=panel,
        help="An option of the sandbox, as in memory_mb=512 or packages=numpy,pandas. May be "
        "repeated.",
    )
    return option


Settings = Annotated[list[str] | None, set_option()]
"""What `--set` gives a command."""

_NOTHING = ("", "none", "null")
_YES, _NO = ("yes", "on", "true"), ("no", "off", "false")


def chosen(name: str, settings: Sequence[str] = ()) -> Sandbox:
    """Return the sandbox of a name, with options such as `memory_mb=512` set.

    ConfigurationError when there is no such sandbox or option, or the value is of another type.
    """
    from rlm import resolve

    kind = resolve.sandbox(name)
    given = _pairs(settings)
    if not given:
        return kind
    known = options_of(kind)
    for option in given:
        if option not in known:
            there = ", ".join(known) or "none"
            raise ConfigurationError(
                f"--set {option}: the sandbox {name!r} has no such option; there are: {there}"
            )
    values = {option: _typed(option, text, known[option]) for option, text in given.items()}
    changed: Any = kind
    made: Sandbox = dataclasses.replace(changed, **values)
    return made


def options_of(kind: Sandbox) -> Mapping[str, Any]:
    """Return the options of a sandbox with their types; none when it is no dataclass."""
    configured: Any = kind
    if not dataclasses.is_dataclass(configured):
        return {}
    hints = typing.get_type_hints(type(kind))
    return {field.name: hints[field.name] for field in dataclasses.fields(configured)}


def memory_of(kind: Sandbox) -> int | None:
    """Return the mebibytes that a sandbox was told to give a session; `None` is as a run has it.

    The smaller of this and the run's own limit holds, so the command sets both.
    """
    found = getattr(kind, "memory_mb", None)
    return found if isinstance(found, int) else None


def _pairs(settings: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for setting in settings:
        option, equals, value = setting.partition("=")
        option = option.strip().replace("-", "_")
        if not (equals and option):
            raise ConfigurationError(
                f"--set {setting!r} is not of the form OPTION=VALUE, as in --set memory_mb=512"
            )
        if option in found:
            raise ConfigurationError(f"--set {option} is given twice")
        found[option] = value
    return found


def _typed(option: str, text: str, wanted: Any) -> Any:
    """Return a value of a type for what somebody typed."""
    from pydantic import TypeAdapter, ValidationError

    value: Any = text
    parts, word = _parts(wanted), text.strip().lower()
    origins = {typing.get_origin(part) or part for part in parts}
    if types.NoneType in parts and word in _NOTHING:
        return None
    if bool in parts and word in (*_YES, *_NO):
        return word in _YES
    if any(isinstance(part, type) and issubclass(part, Mapping) for part in origins):
        value = dict(_pair(option, each) for each in _listed(text))
    elif any(_is_list(part) for part in origins):
        value = _listed(text)
    try:
        return TypeAdapter(wanted).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        said = f"--set {option}={text}: {problem[0].lower()}{problem[1:]}"
        raise ConfigurationError(said) from None


def _parts(wanted: Any) -> Sequence[Any]:
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        return typing.get_args(wanted)
    return (wanted,)


def _is_list(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, Sequence | frozenset) and part is not str


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _pair(option: str, each: str) -> tuple[str, str]:
    name, equals, value = each.partition("=")
    if not equals:
        raise ConfigurationError(f"--set {option}: {each!r} is not of the form NAME=VALUE")
    return name, value
