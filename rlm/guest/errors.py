"""The host's errors by name, as a cell sees them, and those that only exist in a cell."""

from __future__ import annotations

from typing import Any, Mapping

__all__ = [
    "BY_NAME",
    "Aborted",
    "AuthenticationFailed",
    "BudgetExceeded",
    "CellTimeout",
    "ConfigurationError",
    "ContextWindowExceeded",
    "NoProgress",
    "PolicyViolation",
    "ProviderError",
    "ProviderTimeout",
    "RLMError",
    "RateLimited",
    "ReplyBlocked",
    "ReplyCutOff",
    "RunError",
    "SandboxError",
    "SubmitRefused",
    "Submitted",
    "ToolError",
    "ValidationFailed",
    "from_host",
]


class RLMError(Exception):
    """The root of what a host function raises in a cell."""


class ConfigurationError(RLMError):
    """What was asked for is impossible."""


class RunError(RLMError):
    """An error of the run; its details are attributes."""


class BudgetExceeded(RunError):
    """A limit of the run is reached; `limit`, `used` and `cap` say which."""


class ProviderError(RunError):
    """A model gave no usable answer."""


class RateLimited(ProviderError):
    """The provider asks to slow down."""


class ContextWindowExceeded(ProviderError):
    """A request is longer than the model's window; `tokens` and `window` are both numbers."""


class AuthenticationFailed(ProviderError):
    """The provider does not accept the key."""


class ProviderTimeout(ProviderError):
    """The provider did not answer in time."""


class ReplyBlocked(ProviderError):
    """The provider withheld the answer."""


class ReplyCutOff(ProviderError):
    """The answer ended before it was complete."""


class SandboxError(RunError):
    """No sandbox is left to run code in."""


class ToolError(RunError):
    """A host function has failed."""


class PolicyViolation(RunError):
    """A policy forbade what was asked."""


class ValidationFailed(RunError):
    """A value does not satisfy its signature; `problems` has a sentence for each reason."""


class NoProgress(RunError):
    """The run went in circles."""


class Aborted(RunError):
    """Somebody cancelled the run."""


class SubmitRefused(ValidationFailed):
    """What was submitted is not valid; `problems` says why. Mend it and submit again."""


class Submitted(BaseException):
    """An output was accepted: the rest of the cell does not run. No error, hence no Exception."""


class CellTimeout(BaseException):
    """The cell used up its time. Not an Exception, so that no `except Exception` keeps it."""


def _tree(root: type[RLMError]) -> dict[str, type[RLMError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


BY_NAME = _tree(RLMError)
"""The classes by the names that the host knows them by."""

for _class in (*BY_NAME.values(), Submitted, CellTimeout):
    _class.__module__ = "builtins"  # so that a traceback names them plainly


def from_host(error: Mapping[str, Any]) -> RLMError:
    """Make the exception that an error answer stands for."""
    made = BY_NAME.get(str(error.get("type")), RunError)(str(error.get("message", "")))
    details = error.get("details")
    if isinstance(details, dict):
        made.__dict__.update(details)
    return made
