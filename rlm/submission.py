"""The output of one call: what was offered, what was wrong with it, what was accepted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from rlm import events
from rlm.call import Call
from rlm.errors import ValidationFailed
from rlm.signature import Output, validate

__all__ = ["Submission"]


class Submission:
    """The output of one call, validated when it is offered.

    `accepted` is the output once there is one; `offered` the last that had the right types,
    whatever the validators said; `problems` say why the last cell's was refused. `defect` is what
    a validator raised that no model can mend.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self.accepted: Output | None = None
        self.offered: Output | None = None
        self.problems: list[str] = []
        self.defect: Exception | None = None

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
        except Exception as error:
            self.defect = error
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
        output = self.offered = call.signature.coerce(value)
        if call.is_root:
            output = validate(output, call.run.config.validators)
        fields = call.signature.dump(output)
        self._check_size(fields)
        call.run.trace.emit(
            events.OutputSubmitted, call.id, turn=call.iterations, output=fields, source=source
        )
        return output

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
