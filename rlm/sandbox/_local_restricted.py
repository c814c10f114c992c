"""Cells of the sandbox `local`: rewritten code, guarded builtins, modules from a list."""

from __future__ import annotations

import ast
import contextlib
import types
from typing import Any

from rlm.sandbox._local_async import drive
from rlm.sandbox._local_builtins import open_builtins
from rlm.sandbox._local_calls import guards
from rlm.sandbox._local_cells import NAME, ThreadCells
from rlm.sandbox._local_modules import importer
from rlm.sandbox._local_policy import restrict
from rlm.sandbox._local_sizes import Sizes

__all__ = ["RestrictedCells"]


class RestrictedCells(ThreadCells):
    """Cells as RestrictedPython allows them, and a little more."""

    def builtins(self) -> dict[str, Any]:
        sizes = Sizes(self.kit.ticker, self.kit.memory_mb)
        self.namespace["__name__"] = NAME
        self.namespace.update({**guards(self.namespace, sizes.in_place()), **sizes.guards()})
        return {
            **open_builtins(self.namespace, self.own),
            "pow": sizes.power(pow),
            "__import__": importer(self.kit),
        }

    def prepare(self, tree: ast.Module) -> ast.Module:
        return restrict(tree, self._name(self._count))

    def close(self) -> None:
        """End what waits here, in the cells' own thread: it may have more code to run."""
        for value in list(self.namespace.values()):
            if isinstance(value, (types.CoroutineType, types.GeneratorType)):
                with contextlib.suppress(BaseException):  # it is told to stop at its first tick
                    value.close()
        super().close()

    def _await(self, coroutine: Any, name: str) -> Any:
        return drive(coroutine)
