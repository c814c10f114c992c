"""Everything that `rlm` raises, in one tree.

* RLMError
  + ConfigurationError        the caller asked for the impossible; raised at once, not recorded
  + ParseError                a model's reply holds no action; it becomes a repair request
  + RunError                  recorded on the trace and kept on the Result
    x BudgetExceeded          a limit is reached
    x ProviderError           a model could not be had to answer
      - RateLimited
      - ContextWindowExceeded
      - AuthenticationFailed
      - ProviderTimeout
      - ReplyBlocked          the provider withheld the answer
      - ReplyCutOff           the answer ended before it was complete
    x SandboxError            no sandbox is left to run code in
    x ToolError               a host function failed
    x PolicyViolation         a policy forbade it
    x ValidationFailed        the output does not satisfy its signature
    x NoProgress              the run went in circles
    x Aborted                 somebody cancelled the run

The model's own mistakes are not in this tree: they are its next observation. In a cell the same
names stand for the classes of `rlm.guest.errors`, for the guest imports nothing of this side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from rlm.usage import Usage

__all__ = [
    "Aborted",
    "AuthenticationFailed",
    "BudgetExceeded",
    "ConfigurationError",
    "ContextWindowExceeded",
    "NoProgress",
    "ParseError",
    "PolicyViolation",
    "ProviderError",
    "ProviderTimeout",
    "RLMError",
    "RateLimited",
    "ReplyBlocked",
    "ReplyCutOff",
    "RunError",
    "SandboxError",
    "ToolError",
    "ValidationFailed",
    "boundary",
    "told",
]

_LONGEST_MESSAGE = 10_000
_MOST_PROBLEMS, _LONGEST_PROBLEM = 50, 1000


class RLMError(Exception):
    """The root of everything that `rlm` raises."""


class ConfigurationError(RLMError):
    """What the caller asked for is impossible; nothing was started and nothing was spent."""


class ParseError(RLMError):
    """A reply holds no action that can be carried out; the message is a sentence for the model."""


class RunError(RLMError):
    """An error of a run: recorded on its trace and kept on its Result."""

    status: ClassVar[str] = "failed_validation"
    """The status a run ends with when this error ends it."""

    def details(self) -> dict[str, Any]:
        """Return the fields beside the message, as plain JSON values."""
        return {}


class BudgetExceeded(RunError):
    """A limit of the run is reached, or what is left cannot cover the next step.

    `limit` is the name of a field of Limits; `used` and `cap` are in its unit.
    """

    status = "budget_exceeded"

    def __init__(self, limit: str, used: Decimal | float, cap: Decimal | float) -> None:
        self.limit = limit
        self.used = used
        self.cap = cap
        what = "is reached" if used >= cap else "does not cover the next step"
        super().__init__(f"{limit} {what}: {used} used of {cap}")

    def details(self) -> dict[str, Any]:  # noqa: D102 - inherited
        return {"limit": self.limit, "used": str(self.used), "cap": str(self.cap)}


class ProviderError(RunError):
    """A model gave no usable answer.

    `model` is its name, `retryable` whether the same request may succeed later, `retry_after`
    the provider's own wish in seconds, `http_status` the code where there was one. `may_be_billed`
    is false only when the provider certainly did no work; `usage` is what it said it used.
    """

    status = "provider_error"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        model: str = "",
        retryable: bool | None = None,
        retry_after: float | None = None,
        http_status: int | None = None,
        may_be_billed: bool = True,
        usage: Usage | None = None,
    ) -> None:
        self.may_be_billed = may_be_billed
        self.usage = usage
        self.model = model
        self.retryable = type(self).retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.http_status = http_status
        super().__init__(message)

    def details(self) -> dict[str, Any]:  # noqa: D102 - inherited
        return {
            "model": self.model,
            "retryable": self.retryable,
            "retry_after": self.retry_after,
            "http_status": self.http_status,
        }


class RateLimited(ProviderError):
    """The provider asks to slow down."""

    retryable = True


class ContextWindowExceeded(ProviderError):
    """A request is longer than the model's window; the message names both numbers of tokens."""

    def __init__(self, message: str, *, tokens: int = 0, window: int = 0, **more: Any) -> None:
        self.tokens = tokens
        self.window = window
        super().__init__(message, **more)

    def details(self) -> dict[str, Any]:  # noqa: D102 - inherited
        return {**super().details(), "tokens": self.tokens, "window": self.window}


class AuthenticationFailed(ProviderError):
    """The provider does not accept the key."""


class ProviderTimeout(ProviderError):
    """The provider did not answer in time; what was sent may be billed."""

    retryable = True


class ReplyBlocked(ProviderError):
    """The provider withheld the answer, for safety or policy."""


class ReplyCutOff(ProviderError):
    """The answer ended before it was complete: the output cap was reached or the stream broke."""


class SandboxError(RunError):
    """No sandbox is left to run code in."""

    status = "sandbox_error"


class ToolError(RunError):
    """A host function that a cell called has failed."""

    status = "tool_error"


class PolicyViolation(RunError):
    """A policy forbade what was asked."""


class ValidationFailed(RunError):
    """An output does not satisfy its signature; `problems` has a sentence for each reason."""

    status = "failed_validation"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = [_clipped(each, _LONGEST_PROBLEM) for each in problems[:_MOST_PROBLEMS]]
        if len(problems) > _MOST_PROBLEMS:
            self.problems.append(f"and {len(problems) - _MOST_PROBLEMS:,} more")
        super().__init__("; ".join(self.problems) or "the output is not valid")

    def details(self) -> dict[str, Any]:  # noqa: D102 - inherited
        return {"problems": self.problems}


class NoProgress(RunError):
    """The run went in circles, or failed too often in a row."""

    status = "no_progress"


class Aborted(RunError):
    """Somebody cancelled the run."""

    status = "aborted"


class boundary:  # it reads as a statement; as a generator it would cost each request 2 µs more
    """Turns foreign exceptions into `kind`, at one place per boundary; our own pass unchanged."""

    __slots__ = ("_kind", "_what")

    def __init__(self, kind: type[RunError], what: str) -> None:
        self._kind = kind
        self._what = what

    def __enter__(self) -> None:
        """Nothing is held."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, RLMError):
            raise self._kind(f"{self._what}: {type(error).__name__}: {error}") from error


def told(error: BaseException) -> dict[str, Any]:
    """Return an error as plain JSON values: `type`, `message`, `details`.

    Messages quote what a cell or a provider gave; of a long one the middle is left out.
    """
    details = error.details() if isinstance(error, RunError) else {}
    message = _clipped(str(error), _LONGEST_MESSAGE)
    return {"type": type(error).__name__, "message": message, "details": details}


def _clipped(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    ends = most // 2
    return f"{text[:ends]} … {len(text) - 2 * ends:,} characters … {text[-ends:]}"
