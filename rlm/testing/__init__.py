"""Doubles to test with: a scripted LM, a sandbox in memory, a server that speaks as they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlm.lm.scripted import ScriptedLM
    from rlm.testing._script import Fault, ServerReply, ServerRequest
    from rlm.testing.memory import InMemorySandbox
    from rlm.testing.server import LoopbackServer

__all__ = [
    "Fault",
    "InMemorySandbox",
    "LoopbackServer",
    "ScriptedLM",
    "ServerReply",
    "ServerRequest",
]

_HOMES = {
    "Fault": "rlm.testing._script",
    "InMemorySandbox": "rlm.testing.memory",
    "LoopbackServer": "rlm.testing.server",
    "ScriptedLM": "rlm.lm.scripted",
    "ServerReply": "rlm.testing._script",
    "ServerRequest": "rlm.testing._script",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
