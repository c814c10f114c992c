"""Small parts that tests of whole runs are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rlm
from rlm.testing import LoopbackServer

__all__ = ["Ask", "cell", "served"]

Ask = Callable[..., rlm.Result[Any]]


def cell(code: str) -> str:
    """Write a reply whose action is this code."""
    return f"```repl\n{code}\n```"


def served(server: LoopbackServer, name: str = "openai/x", **options: Any) -> rlm.Model:
    """Name a model that the loopback server plays, at the server's price where it has one."""
    price = server.prices.get(name.partition("/")[2])
    given: dict[str, Any] = {"price": price} if price else {}
    return rlm.Model(name, base_url=server.openai_url, api_key="not-a-key", **{**given, **options})
