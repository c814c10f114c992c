"""The output of one call: what was offered, what was wrong with it, what was accepted."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from typing import Any, Literal

from rlm import events
from rlm.call import Call
from rlm.errors import ToolError, ValidationFailed
from rlm.signature import Output, validate

__all__ = ["Submission"]


class Submission:
    """The output of one call, validated when it is offered.

    `accepted` is the output once there is one; `offered` the last that had the right types,
    whatever the validators said; `problems` say why the last cell's was refused. `defect` tells
    of a validator that failed itself, which no model can mend.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self.accepted: Output | None = None
        self.offered: Output | None = None
        self.problems: list[str] = []
        self.defect: ToolError | None = None

    def submit(self, value: Any, *, named: bool) -> None:
        """Take an output of a cell, perhaps by its field names, or raise ValidationFailed."""
        try:
            if named:
                self._check_names(value)
            self.accepted = self._validated(value, "submit")
        except ValidationFailed as error:
            self.problems = error.problems
            self._refused(error, "submit")
            raise

    def final(self, value: Any) -> Output:
        """Take the value of a final action, or raise ValidationFailed."""
        try:
            return self._validated(value, "final")
        except ValidationFailed as error:
            self._refused(error, "final")
            raise

    def _validated(self, value: Any, source: Literal["submit", "final"]) -> Output:
        call = self._call
        output = self._checked(value)
        fields = call.signature.dump(output)
        self._check_size(fields)
        call.run.trace.emit(
            events.OutputSubmitted, call.id, turn=call.iterations, output=fields, source=source
        )
        return output

    def _checked(self, value: Any) -> Output:
        """Ask the signature and the caller's validators; a defect of theirs is a ToolError."""
        call = self._call
        try:
            self.offered = call.signature.coerce(value)
            if not call.is_root:
                return self.offered
            return validate(self.offered, call.run.config.validators)
        except ValidationFailed:
            raise
        except Exception as error:
            self.defect = ToolError(f"a validator failed: {_told(error)}")
            raise self.defect from error

    def _refused(self, error: ValidationFailed, source: Literal["submit", "final"]) -> None:
        self._call.run.trace.emit(
            events.OutputRefused,
            self._call.id,
            turn=self._call.iterations,
            problems=tuple(error.problems),
            source=source,
        )

    def _check_names(self, fields: Mapping[str, Any]) -> None:
        """Refuse misnamed fields: the only text field would else take the whole record as JSON."""
        names = self._call.output_names
        known = ", ".join(names)
        unknown = [
            f"there is no output {name!r}; the outputs are: {known}"
            for name in fields
            if name not in names
        ]
        if unknown or not fields:
            raise ValidationFailed(unknown or [f"submit() was given nothing; it takes {known}"])

    def _check_size(self, fields: Mapping[str, Any]) -> None:
        cap = self._call.run.limits.max_result_bytes
        if cap is None:
            return
        size = len(json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace"))
        if size > cap:
            raise ValidationFailed([f"the output has {size:,} bytes as JSON; the limit is {cap:,}"])


def _told(error: Exception) -> str:
    """Return what failed and where, for the trace has no room for a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (line {frames[-1].lineno} of {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
