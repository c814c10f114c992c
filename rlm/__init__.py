"""A recursive language model runtime: typed, sandboxed, auditable answers over large data.

    import rlm

    result = rlm.completion("What is the magic number?", context=text, model="offline/needle")
    print(result.value)

Every name loads when it is first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rlm._version import __version__ as __version__

if TYPE_CHECKING:
    from rlm.api import (
        RLM,
        acompletion,
        apredict,
        astream,
        completion,
        predict,
        stream,
    )
    from rlm.errors import (
        Aborted,
        AuthenticationFailed,
        BudgetExceeded,
        ConfigurationError,
        ContextWindowExceeded,
        NoProgress,
        ParseError,
        PolicyViolation,
        ProviderError,
        ProviderTimeout,
        RateLimited,
        ReplyBlocked,
        ReplyCutOff,
        RLMError,
        RunError,
        SandboxError,
        ToolError,
        ValidationFailed,
    )
    from rlm.files import File
    from rlm.limits import Limits
    from rlm.live import AsyncStream, Stream
    from rlm.lm.base import LM, Message, Model, Reply, Request
    from rlm.result import Result
    from rlm.sandbox.command import CommandSandbox
    from rlm.sandbox.docker import DockerSandbox
    from rlm.sandbox.local import LocalSandbox
    from rlm.sandbox.process import ProcessSandbox
    from rlm.settings import configure
    from rlm.signature import InputField, Output, OutputField, Signature
    from rlm.tools.functions import tool
    from rlm.trace import Trace
    from rlm.usage import Price, Usage

_HOMES = {
    "rlm.api": "RLM acompletion apredict astream completion predict stream",
    "rlm.errors": (
        "Aborted AuthenticationFailed BudgetExceeded ConfigurationError ContextWindowExceeded "
        "NoProgress ParseError PolicyViolation ProviderError ProviderTimeout RLMError RateLimited "
        "ReplyBlocked ReplyCutOff RunError SandboxError ToolError ValidationFailed"
    ),
    "rlm.files": "File",
    "rlm.limits": "Limits",
    "rlm.lm.base": "LM Message Model Reply Request",
    "rlm.result": "Result",
    "rlm.sandbox.command": "CommandSandbox",
    "rlm.sandbox.docker": "DockerSandbox",
    "rlm.sandbox.local": "LocalSandbox",
    "rlm.sandbox.process": "ProcessSandbox",
    "rlm.settings": "configure",
    "rlm.signature": "InputField Output OutputField Signature",
    "rlm.live": "AsyncStream Stream",
    "rlm.tools.functions": "tool",
    "rlm.trace": "Trace",
    "rlm.usage": "Price Usage",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "LM",
    "RLM",
    "Aborted",
    "AsyncStream",
    "AuthenticationFailed",
    "BudgetExceeded",
    "CommandSandbox",
    "ConfigurationError",
    "ContextWindowExceeded",
    "DockerSandbox",
    "File",
    "InputField",
    "Limits",
    "LocalSandbox",
    "Message",
    "Model",
    "NoProgress",
    "Output",
    "OutputField",
    "ParseError",
    "PolicyViolation",
    "Price",
    "ProcessSandbox",
    "ProviderError",
    "ProviderTimeout",
    "RLMError",
    "RateLimited",
    "Reply",
    "ReplyBlocked",
    "ReplyCutOff",
    "Request",
    "Result",
    "RunError",
    "SandboxError",
    "Signature",
    "Stream",
    "ToolError",
    "Trace",
    "Usage",
    "ValidationFailed",
    "acompletion",
    "apredict",
    "astream",
    "completion",
    "configure",
    "predict",
    "stream",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'rlm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
