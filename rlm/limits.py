"""How far a run may go."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rlm.errors import ConfigurationError

__all__ = ["Limits", "OnExceeded"]

OnExceeded = Literal["finalize", "needs_review", "return_partial", "fail"]
"""What happens when a limit of the whole run is reached."""


class Limits(BaseModel):
    """How far one run may go, with everything that it calls; `None` is no limit.

    Immutable; an unknown name or an impossible value raises ConfigurationError. `merge` gives a
    changed copy. Money is in US dollars, time in seconds, sizes in characters or bytes as named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_iterations: int | None = Field(30, ge=1)
    """Turns of one Call."""
    max_depth: int = Field(2, ge=0)
    """Levels of models below the root: 0 no sub-calls, 1 single completions, 2 child Calls whose
    own sub-calls are single completions, and so on."""
    max_llm_calls: int | None = Field(None, ge=1)
    """Requests to models, of all kinds, in the whole tree."""
    max_sub_calls: int | None = Field(None, ge=0)
    """Sub-calls in the whole tree."""
    max_tool_calls: int | None = Field(None, ge=0)
    """Tool calls in the whole tree."""
    max_tokens: int | None = Field(None, ge=1)
    """Input and output tokens of the whole tree."""
    max_cost_usd: Decimal | None = Field(None, ge=0)
    """Money of the whole tree; refused at the start when a model has no known price."""
    max_seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Active time of the run."""
    cell_seconds: float | None = Field(60, gt=0, allow_inf_nan=False)
    """Time of one cell; its clock stands still while the host answers."""
    max_concurrency: int = Field(16, ge=1)
    """Model requests in flight at the same time."""
    max_output_tokens: int = Field(8192, ge=1)
    """Tokens of one reply; sent with each request, and what a hold reserves."""
    max_output_chars: int = Field(20_000, ge=200)
    """Characters of a cell's output that the model is shown."""
    max_stdout_bytes: int = Field(4 * 1024 * 1024, ge=1024)
    """Bytes of a cell's output that are kept at all."""
    max_errors: int | None = Field(None, ge=1)
    """Failing cells or unusable replies in a row."""
    max_input_bytes: int | None = Field(None, ge=0)
    """Bytes of all inputs together."""
    max_result_bytes: int | None = Field(None, ge=0)
    """Bytes of the submitted output, as JSON."""
    max_files: int | None = Field(None, ge=0)
    """Files among the inputs."""
    max_file_bytes: int | None = Field(None, ge=0)
    """Bytes of one file among the inputs."""
    memory_mb: int | None = Field(1024, ge=16)
    """Memory of one session beyond its inputs, in mebibytes."""
    on_exceeded: OnExceeded = "finalize"
    """`finalize`: one last request, from money held back, for an answer. `needs_review`: keep what
    was submitted, for a person. `return_partial`: the same, but only if it is valid. `fail`."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None

    @classmethod
    def strict(cls, **changes: Any) -> Limits:
        """Return tight limits for unattended jobs: a dollar, two minutes, 25 model calls."""
        tight: dict[str, Any] = {
            "max_iterations": 8,
            "max_llm_calls": 25,
            "max_sub_calls": 20,
            "max_tool_calls": 20,
            "max_seconds": 120,
            "max_cost_usd": Decimal(1),
            "max_input_bytes": 25 * 1024 * 1024,
            "max_result_bytes": 1024 * 1024,
            "max_stdout_bytes": 256 * 1024,
            "max_files": 50,
            "max_file_bytes": 25 * 1024 * 1024,
            "max_depth": 1,
            "on_exceeded": "needs_review",
        }
        return cls(**{**tight, **changes})

    def merge(self, **changes: Any) -> Limits:
        """Return a copy with these values changed."""
        return type(self)(**{**self.model_dump(), **changes})


def _explain(error: ValidationError) -> str:
    known = ", ".join(Limits.model_fields)
    parts = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            parts.append(f"unknown limit {name!r}; the limits are: {known}")
        else:
            parts.append(f"limit {name!r} = {problem['input']!r}: {problem['msg']}")
    return "; ".join(parts)
