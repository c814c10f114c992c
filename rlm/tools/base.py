"""The port to tools: a named host function with a schema, which a cell may call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

__all__ = ["Category", "Tool"]

Category = Literal["read_only", "write", "needs_approval", "disabled"]


@runtime_checkable
class Tool(Protocol):
    """A host function that a cell may call by name."""

    @property
    def name(self) -> str:
        """The name in a cell."""
        ...

    @property
    def category(self) -> Category:
        """What calling it may do."""
        ...

    @property
    def description(self) -> str:
        """What it does, for the prompt."""
        ...

    @property
    def signature(self) -> str:
        """Its Python signature, as in `"(query: str, limit: int = 10) -> list[str]"`."""
        ...

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON schema of its arguments."""
        ...

    async def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Validate the arguments and run it; a failure is a ToolError."""
        ...
