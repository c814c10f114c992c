"""The typed contract of a call: what goes in, what comes out, and what is asked."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from rlm.errors import ConfigurationError, ValidationFailed
from rlm.files import File
from rlm.signature.coerce import convert, fits, match_names, shown
from rlm.signature.field import REQUIRED, Field, Parts
from rlm.signature.output import Output, plain
from rlm.signature.reading import TooLong, unbounded
from rlm.signature.scalars import Refused
from rlm.signature.schema import object_schema
from rlm.signature.sources import marks, parse_source
from rlm.signature.text import parse_text, tidy, write_text
from rlm.signature.types import members, parse_type

__all__ = ["Signature"]

_FORMS = (
    "a text such as 'report, question -> answer: str', a class with InputField() and "
    "OutputField(), a pydantic model of the outputs, a pair of models, or a DSPy signature"
)

_TOLD = 20
"""Names that are told one by one, and names among which the nearest is looked for."""
_LONGEST_NAME = 100
"""Characters of a name that is compared: the nearest of long ones takes quadratic time."""


@dataclass(frozen=True)
class Signature:
    """The typed contract of a call: input fields, output fields and instructions.

    Made by `Signature.parse` from a text, a class or a foreign signature. Two are equal when name,
    instructions and fields are. Raises ConfigurationError for fields that cannot be.
    """

    name: str
    instructions: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    model: type[BaseModel] | None = field(default=None, compare=False, repr=False)
    """The pydantic model of the outputs, whose own validators are run; `None` without one."""
    protocol: Any = field(default=None, compare=False, repr=False)
    """The foreign object that coerces and validates by itself; `None` without one."""

    def __post_init__(self) -> None:
        if not self.outputs:
            raise ConfigurationError("a signature needs an output field, as in 'text -> answer'")
        names = Counter(each.name for each in (*self.inputs, *self.outputs))
        twice = sorted(name for name, count in names.items() if count > 1)
        if twice:
            raise ConfigurationError(
                f"a signature names a field twice: {', '.join(twice)}; rename one of each"
            )
        for each in self.outputs:
            if each.annotation is File:
                raise ConfigurationError(f"output {each.name!r}: a File can only be an input")
        object.__setattr__(self, "instructions", tidy(self.instructions))
        if not self.name:
            sides = (", ".join(each.name for each in side) for side in (self.inputs, self.outputs))
            object.__setattr__(self, "name", " -> ".join(sides).strip())

    @classmethod
    def parse(cls, source: Any, instructions: str | None = None) -> Signature:
        """Return the signature that a text, a class, a pair of models or a foreign object says.

        `instructions` replace its own. Raises ConfigurationError that says what is wrong with it.
        """
        if isinstance(source, Signature):
            made = source
        else:
            parts = parse_text(source) if isinstance(source, str) else parse_source(source)
            bare = isinstance(source, type) and issubclass(source, Signature) and not marks(source)
            if parts is None or bare:
                raise ConfigurationError(f"{shown(source)} is no signature; that is {_FORMS}")
            made = cls._of(parts)
        return made if instructions is None else made.with_instructions(instructions)

    @staticmethod
    def _of(parts: Parts) -> Signature:
        return Signature(
            parts.name,
            parts.instructions,
            parts.inputs,
            parts.outputs,
            parts.model,
            parts.protocol,
        )

    def with_instructions(self, instructions: str) -> Signature:
        """Return a copy with other instructions."""
        return dataclasses.replace(self, instructions=instructions)

    @property
    def text(self) -> str:
        """The text that reads back as this signature, where its types are plain ones."""
        return write_text(self.inputs, self.outputs, self.instructions)

    def check_inputs(self, given: Any, *, trusted: bool = False) -> dict[str, Any]:
        """Return the inputs by name, in order, with defaults; each as given where its type allows.

        A model or dataclass gives its fields; a bare value is enough for a single input; a path
        where anything goes is a file. Texts that write a list or a record are read up to a size,
        and of any size where they are `trusted`. Raises ConfigurationError that names what is
        missing, unknown or of another type.
        """
        with unbounded() if trusted else nullcontext():
            return self._checked(given)

    def _checked(self, given: Any) -> dict[str, Any]:
        given = self._inputs_by_name(given)
        problems = _unknown(given, self.inputs, "input")
        checked: dict[str, Any] = {}
        for each in self.inputs:
            if each.name not in given:
                if each.required:
                    problems.append(f"input {each.name!r} ({each.type_text}) is missing")
                else:
                    checked[each.name] = each.default
            elif each.annotation is Any and isinstance(given[each.name], os.PathLike):
                checked[each.name] = File(given[each.name])
            elif fits(given[each.name], each.annotation):
                checked[each.name] = given[each.name]
            else:
                _convert_into(checked, problems, each, given[each.name])
        if not problems and self.protocol is not None:
            problems = [str(each) for each in self.protocol.validate_input(checked) or ()]
        if problems:
            raise ConfigurationError(f"{self.name}: " + "; ".join(problems))
        return checked

    def _inputs_by_name(self, given: Any) -> Mapping[str, Any]:
        if isinstance(given, Mapping):
            return given
        if fields := members(type(given)):
            return {name: getattr(given, name) for name in fields}
        if len(self.inputs) == 1:
            return {self.inputs[0].name: given}
        names = ", ".join(each.name for each in self.inputs) or "none"
        raise ConfigurationError(f"{self.name}: inputs are given by name ({names}), not as a value")

    def coerce(self, value: Any) -> Output:
        """Return the outputs that a value says: a mapping, JSON text, a record, a bare value.

        A bare value is enough where there is one output field. Values are converted generously
        and without loss, then validated. Raises ValidationFailed with a sentence per problem.
        """
        if callable(getattr(self.protocol, "coerce_output", None)):
            value = _foreign(self.protocol.coerce_output, value)
        made = self._made(value)
        if problems := self._own_problems(made):
            raise ValidationFailed(problems)
        return Output(made)

    def restore(self, fields: Mapping[str, Any]) -> Output:
        """Return the output that `dump` made plain, without the checks that it has passed."""
        return Output(self._made(fields))

    def _made(self, value: Any) -> dict[str, Any]:
        """Return the outputs by name, each of its type; or raise ValidationFailed."""
        try:
            given = self._by_name(value)
        except Refused as refused:
            raise ValidationFailed([str(refused)]) from None
        problems = _unknown(given, self.outputs, "output")
        made: dict[str, Any] = {}
        for each in self.outputs:
            if each.name in given:
                _convert_into(made, problems, each, given[each.name])
            elif each.required:
                problems.append(f"{each.name} ({each.type_text}) is missing")
            else:
                made[each.name] = each.default
        if problems:
            raise ValidationFailed(problems)
        return made

    def _by_name(self, value: Any) -> dict[Any, Any]:
        """Return what was given, under the names of the fields where its keys spell them."""
        known = [each.name for each in self.outputs]
        if len(known) == 1 and isinstance(value, str) and fits(value, self.outputs[0].annotation):
            return {known[0]: value}  # a text that is wanted is never taken apart
        if not isinstance(value, Mapping) and members(type(value)) is not None:
            value = {name: getattr(value, name) for name in members(type(value)) or ()}
        given = value
        if isinstance(value, str) and value.lstrip().startswith(("{", "```")):
            try:
                given = convert(value, dict[str, Any])
            except Refused as refused:
                if isinstance(refused, TooLong) and len(known) > 1:
                    raise
                given = value
        if isinstance(given, Mapping):
            names = match_names(given, known)
            if names or len(known) > 1:
                return {names.get(key, key): item for key, item in given.items()}
        if len(known) == 1:
            return {known[0]: value}
        raise Refused(f"{shown(value)} is no object with the fields {', '.join(known)}")

    def _own_problems(self, made: dict[str, Any]) -> list[str]:
        """Run what the source of the signature brought along, in `made`; return the problems."""
        if self.protocol is not None:
            said = _foreign(self.protocol.validate_output, dict(made))
            return [str(each) for each in said or ()]
        if self.model is None:
            return []
        infos = self.model.model_fields
        try:
            whole = self.model.model_validate({infos[n].alias or n: made[n] for n in made})
        except ValidationError as error:
            return [_sentence(problem) for problem in error.errors(include_url=False)]
        made.update({name: getattr(whole, name) for name in made})
        return []

    def dump(self, output: Mapping[str, Any]) -> dict[str, Any]:
        """Return outputs as plain JSON values, from which `coerce` makes the same outputs.

        Raises ValidationFailed for one that is nested too deeply to be written.
        """
        try:
            return {name: plain(value) for name, value in output.items()}
        except RecursionError:
            raise ValidationFailed(["the output is nested too deeply"]) from None

    def json_schema(self, side: Literal["inputs", "outputs"] = "outputs") -> dict[str, Any]:
        """Return the JSON schema of the outputs (or inputs) as one object."""
        return copy.deepcopy(self._schemas[side])

    def to_json(self) -> dict[str, Any]:
        """Return the signature as plain JSON values: fields with their type, as text and schema."""
        sides = {"inputs": self.inputs, "outputs": self.outputs}
        made: dict[str, Any] = {"name": self.name, "instructions": self.instructions}
        for side, fields in sides.items():
            properties = self._schemas[side]
            made[side] = [_field_json(each, properties["properties"][each.name]) for each in fields]
            if "$defs" in properties:
                made.setdefault("$defs", {}).update(properties["$defs"])
        return made

    @cached_property
    def _schemas(self) -> dict[str, dict[str, Any]]:
        """The schemas of both sides, made once: many calls ask by one signature."""
        return {"inputs": object_schema(self.inputs), "outputs": object_schema(self.outputs)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Signature:
        """Return the signature of a record of `to_json`; a type of somebody's own becomes `Any`."""
        try:
            inputs, outputs = (tuple(map(_field_from, record[s])) for s in ("inputs", "outputs"))
            return Signature(record["name"], record["instructions"], inputs, outputs)
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"{shown(record)} is no recorded signature: {error}") from None


def _unknown(given: Mapping[Any, Any], fields: tuple[Field, ...], what: str) -> list[str]:
    names = {each.name for each in fields}
    unknown = [key for key in given if key not in names]
    problems = [_no_such(key, fields, what) for key in unknown[:_TOLD]]
    if len(unknown) > _TOLD:
        problems.append(f"there are {len(unknown) - _TOLD:,} more unknown {what}s")
    return problems


def _no_such(key: Any, fields: tuple[Field, ...], what: str) -> str:
    known = [each.name for each in fields[:_TOLD] if len(each.name) <= _LONGEST_NAME]
    near = difflib.get_close_matches(str(key)[:_LONGEST_NAME], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the {what}s are: {', '.join(known)}"
    if not fields:  # as in a model of the outputs
        hint = "the signature has none: give a pair (Inputs, Outputs), or use InputField()"
    return f"there is no {what} {shown(key)}; {hint}"


def _convert_into(made: dict[str, Any], problems: list[str], each: Field, value: Any) -> None:
    try:
        made[each.name] = convert(value, each.annotation)
    except Refused as refused:
        problems.append(f"{each.name}: {shown(value)} is not {each.type_text}: {refused}")


def _foreign(function: Any, value: Any) -> Any:
    """Call a foreign signature; what it raises over a model's value is a refusal of the value."""
    try:
        return function(value)
    except Exception as error:
        name = getattr(function, "__name__", "the signature")
        raise ValidationFailed([f"{name}: {type(error).__name__}: {error}"]) from error


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    text = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{place}: {text}" if place else str(text)


def _field_json(each: Field, schema: Any) -> dict[str, Any]:
    made = {"name": each.name, "type": each.type_text, "schema": schema}
    if each.description:
        made["description"] = each.description
    if not each.required:
        made["default"] = plain(each.default)
    return made


def _field_from(record: Mapping[str, Any]) -> Field:
    try:
        annotation = parse_type(record["type"])
    except ConfigurationError:
        annotation = Any
    default = record.get("default", REQUIRED)
    return Field(record["name"], annotation, record.get("description", ""), default)
