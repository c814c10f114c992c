"""A plain function as a tool: its name, signature and documentation are the tool's."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, cast, overload

from pydantic import PydanticUserError, TypeAdapter, ValidationError, validate_call

from rlm.errors import ConfigurationError, RLMError, ToolError
from rlm.tools.base import Category

__all__ = ["FunctionTool", "tool"]


class FunctionTool:
    """A function of the host that cells may call by its name; still callable as itself.

    Arguments are validated against its annotations. A sync function runs in a thread.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        category: Category = "read_only",
        description: str | None = None,
    ) -> None:
        if not callable(function):
            raise ConfigurationError(f"{function!r} is no tool: give a function or an rlm.tool")
        self.function = function
        self.name = str(name or getattr(function, "__name__", ""))
        self.category: Category = category
        self.description = (description or inspect.getdoc(function) or "").strip()
        self.__doc__ = self.description
        if not self.name.isidentifier():
            raise ConfigurationError(
                f"a tool needs a name that Python can call, not {self.name!r}: give name=…"
            )

    @cached_property
    def signature(self) -> str:
        """The Python signature, as a cell sees it."""
        try:
            return str(inspect.signature(self.function)).replace("'", "")
        except ValueError as error:  # of some that are built in
            raise self._indescribable(error) from error

    @cached_property
    def schema(self) -> Mapping[str, Any]:
        """The JSON schema of its arguments."""
        try:
            schema: Any = TypeAdapter(cast(Any, self.function)).json_schema()
        except (PydanticUserError, NameError) as error:
            raise self._indescribable(error) from error
        return schema  # type: ignore[no-any-return] # a mapping by JSON Schema's word

    def _indescribable(self, error: Exception) -> ConfigurationError:
        why = str(error).splitlines()[0]
        return ConfigurationError(
            f"the tool {self.name!r} cannot be described to a model ({why}): give a Python "
            "function whose arguments have names, and types that JSON has"
        )

    @cached_property
    def _checked(self) -> Callable[..., Any]:
        return validate_call(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself."""
        return self.function(*args, **kwargs)

    async def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Validate the arguments and run the function; a failure is a ToolError."""
        try:
            if inspect.iscoroutinefunction(self.function):
                return await self._checked(*args, **kwargs)
            return await asyncio.to_thread(self._checked, *args, **kwargs)
        except RLMError:
            raise
        except ValidationError as error:
            raise ToolError(f"{self.name}: {_problems(error)}") from None
        except Exception as error:
            raise ToolError(f"{self.name}: {type(error).__name__}: {error}") from error


@overload
def tool(function: Callable[..., Any], /) -> FunctionTool: ...
@overload
def tool(
    *, name: str | None = None, category: Category = "read_only", description: str | None = None
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a tool: `@rlm.tool`, or `@rlm.tool(category="write")`."""
    if function is not None:
        return FunctionTool(function)
    return lambda function: FunctionTool(function, **options)


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'arguments'}: {problem['msg']}"
        for problem in error.errors()
    )
