"""Cells of the sandbox `local`: rewritten code, guarded builtins, modules from a list."""

from __future__ import annotations

import ast
from typing import Any

from rlm.sandbox._local_async import drive
from rlm.sandbox._local_builtins import open_builtins
from rlm.sandbox._local_cells import ThreadCells
from rlm.sandbox._local_guards import guards
from rlm.sandbox._local_modules import importer
from rlm.sandbox._local_policy import restrict

__all__ = ["RestrictedCells"]


class RestrictedCells(ThreadCells):
    """Cells as RestrictedPython allows them, and a little more."""

    def builtins(self) -> dict[str, Any]:
        self.namespace.update(guards(self.namespace))
        return {
            **open_builtins(self.namespace, self.own),
            "__import__": importer(self.kit),
        }

    def prepare(self, tree: ast.Module) -> ast.Module:
        return restrict(tree, self._name(self._count))

    def _await(self, coroutine: Any, name: str) -> Any:
        return drive(coroutine)
