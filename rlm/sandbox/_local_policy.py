"""RestrictedPython's rewriting of a cell, extended to the Python that models write.

Imported only by what runs such a cell: RestrictedPython is not needed otherwise.
"""

from __future__ import annotations

import ast
import copy
from typing import Any, NoReturn

from RestrictedPython.transformer import RestrictingNodeTransformer

from rlm.sandbox._local_classes import REFUSED
from rlm.sandbox._local_guards import MAGIC
from rlm.sandbox._local_sizes import WIDE

__all__ = ["restrict"]

_PLAIN = frozenset(
    name
    for kind in (str, bytes, list, dict, set, tuple, int, float)
    for name in dir(kind)
    if not name.startswith("_") and name not in REFUSED
)
"""Attributes that are read without a guard: methods of plain values, the bulk of what is read."""


def restrict(tree: ast.Module, name: str) -> ast.Module:
    """Return the tree with guards in it; SyntaxError where no guard would help."""
    guarded: ast.Module = _Policy(name).visit(tree)
    return ast.fix_missing_locations(guarded)


class _Policy(RestrictingNodeTransformer):  # type: ignore[misc] # it has no types
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._classes: list[str] = []

    def error(self, node: Any, info: str) -> NoReturn:
        """Refuse the cell."""
        line, column = getattr(node, "lineno", None), getattr(node, "col_offset", 0) + 1
        message = f"the local sandbox does not allow this: {info}"
        raise SyntaxError(message, (self._name, line, column, None))

    def warn(self, node: Any, info: str) -> None:
        """Nobody reads warnings here."""

    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:
        """Refuse the names of guards and of Python's own machinery; `_x` is a name as any."""
        if name is None or not (name.startswith("_") and name.endswith("_")) or name == "_":
            return
        if allow_magic_methods and self._classes and (name in MAGIC or name in _OF_ENUMS):
            return
        if set(name) != {"_"}:
            self.error(node, f"the name {name}")

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id == "__name__" and isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Constant("__main__"), node)
        if not (node.id == "__slots__" and self._classes):
            self.check_name(node, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        self.node_contents_visit(node)
        name = node.attr = self._mangled(node.attr)
        if not isinstance(node.ctx, ast.Load):
            self._writable(node, name)
            node.value = _call(node.value, "_write_", node.value)
            return node
        if name in _PLAIN:
            return node
        return _call(node, "_getattr_", node.value, ast.Constant(name))

    def _mangled(self, name: str) -> str:
        if self._classes and name.startswith("__") and not name.endswith("__"):
            return f"_{self._classes[-1].lstrip('_')}{name}"
        return name

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.node_contents_visit(node)
        if not isinstance(node.ctx, ast.Load):
            node.value = _call(node.value, "_write_", node.value)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        target, operator = node.target, ast.Constant(type(node.op).__name__)
        if isinstance(target, ast.Name):
            return self._augment_name(node, target, operator)
        value = self.visit(node.value)
        holder = self.visit(target.value)
        if isinstance(target, ast.Attribute):
            name = self._mangled(target.attr)
            self._writable(node, name)
            begun = _call(node, "_augattr_", holder, ast.Constant(name))
        else:
            begun = _call(node, "_augitem_", holder, self._index(target.slice))
        applied = ast.copy_location(ast.Call(begun, [operator, value], []), node)
        return ast.copy_location(ast.Expr(applied), node)

    def _augment_name(self, node: ast.AugAssign, target: ast.Name, operator: ast.expr) -> Any:
        self.node_contents_visit(node)
        if type(node.op) not in _OPERATORS:
            return node
        before = ast.copy_location(ast.Name(target.id, ast.Load()), target)
        after = _call(node, "_inplace_", before, operator, node.value)
        return ast.copy_location(ast.Assign([target], after), node)

    def _writable(self, node: Any, name: str) -> None:
        if name.startswith("__"):
            self.error(node, f"writing to the attribute {name}")

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        """Have what may become large look at its size first."""
        self.node_contents_visit(node)
        if isinstance(node.op, ast.Mod) and WIDE.search(str(getattr(node.left, "value", ""))):
            self.error(node, "a text as wide as this")
        guard = _OPERATORS.get(type(node.op))
        if guard is None or any(_small(side) for side in (node.left, node.right)):
            return node
        return _call(node, guard, node.left, node.right)

    def visit_Call(self, node: ast.Call) -> Any:
        """Have what runs on inside of C tick, where it is called by its own name."""
        self.node_contents_visit(node)
        called = node.func
        name = getattr(called, "id", None) or getattr(called, "attr", None)
        guard = _CALLS.get(name or "")
        if guard and node.args and not isinstance(node.args[0], ast.Starred):
            alone = len(node.args) == 1 or name not in ("min", "max")
            if alone:
                node.args[0] = _call(node.args[0], guard, node.args[0])
        return node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> Any:
        """Have the width in an f-string looked at, too."""
        self.node_contents_visit(node)
        for part in getattr(node.format_spec, "values", ()):
            if isinstance(part, ast.FormattedValue):
                part.value = _call(part.value, "_width_", part.value)
            elif WIDE.search(str(part.value)):
                self.error(node, f"a text as wide as {part.value:.50}")
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        """Allow `import *`: no module here has a name that begins with `_`."""
        if [one.name for one in node.names] == ["*"]:
            return node
        return super().visit_ImportFrom(node)

    def _index(self, index: ast.expr) -> ast.expr:
        visited: ast.expr = self.visit(index)
        if not isinstance(visited, ast.Slice):
            return visited
        parts = [
            part or ast.Constant(None) for part in (visited.lower, visited.upper, visited.step)
        ]
        return _call(index, "_slice_", *parts)

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        self.check_name(node, node.name)
        if any(keyword.arg in ("metaclass", None) for keyword in node.keywords):
            self.error(node, "a metaclass")
        self._classes.append(node.name)
        self.node_contents_visit(node)
        self._classes.pop()
        made = ast.copy_location(ast.Name("__metaclass__", ast.Load()), node)
        node.keywords.append(ast.keyword("metaclass", made))
        return node

    def visit_FunctionDef(self, node: Any) -> Any:
        self.check_name(node, node.name, allow_magic_methods=True)
        self.check_function_argument_names(node)
        return self.node_contents_visit(node)

    def _names(self, node: Any) -> Any:
        for name in node.names:
            self.check_name(node, name)
        return node

    def _named(self, node: Any) -> Any:
        """A pattern that binds a name."""
        self.check_name(node, getattr(node, "name", None) or getattr(node, "rest", None))
        return self.node_contents_visit(node)

    def visit_Match(self, node: ast.Match) -> Any:
        """Have what patterns read looked at beforehand: in a pattern no guard can be."""
        looks: list[ast.stmt] = []
        for part in (inner for case in node.cases for inner in ast.walk(case.pattern)):
            if isinstance(part, ast.MatchClass) and part.kwd_attrs:
                looks.append(self._look(part, "_matched_", part.cls))
            elif isinstance(part, ast.MatchValue) and isinstance(part.value, ast.Attribute):
                looks.append(self._look(part, "_compared_", part.value))
        return [*looks, self.node_contents_visit(node)]

    def _look(self, where: Any, guard: str, what: ast.expr) -> ast.stmt:
        seen = self.visit(copy.deepcopy(what))
        return ast.copy_location(ast.Expr(_call(where, guard, seen)), where)

    def visit_MatchClass(self, node: ast.MatchClass) -> Any:
        for name in node.kwd_attrs:
            self._readable(node, name)
        self._check_dotted(node, node.cls)
        for field in ("patterns", "kwd_patterns"):
            setattr(node, field, [self.visit(part) for part in getattr(node, field)])
        return node

    def visit_MatchValue(self, node: ast.MatchValue) -> Any:
        self._check_dotted(node, node.value)
        return node

    def _check_dotted(self, node: Any, value: ast.expr) -> None:
        for part in ast.walk(value):  # a guard would make it no pattern any more
            if isinstance(part, ast.Attribute):
                self._readable(node, part.attr)
            elif isinstance(part, ast.Name):
                self.check_name(node, part.id)

    def _readable(self, node: Any, name: str) -> None:
        if name.startswith("_") or name in REFUSED:
            self.error(node, f"the attribute {name} in a pattern")

    def _visit(self, node: Any) -> Any:
        return self.node_contents_visit(node)

    visit_Module = visit_TryStar = visit_TypeAlias = visit_Assign = visit_AnnAssign = _visit
    visit_For = visit_AsyncFor = visit_comprehension = _visit
    visit_With = visit_AsyncWith = visit_Await = _visit
    visit_match_case = visit_MatchSingleton = _visit
    visit_MatchSequence = visit_MatchOr = _visit
    visit_TypeVar = visit_TypeVarTuple = visit_ParamSpec = _named
    visit_MatchAs = visit_MatchStar = visit_MatchMapping = _named
    visit_Global = visit_Nonlocal = _names
    visit_AsyncFunctionDef = visit_FunctionDef


_OF_ENUMS = ("_missing_", "_generate_next_value_")

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Mult: "_times_",
    ast.Pow: "_power_",
    ast.LShift: "_shift_",
}
_CALLS = {
    **dict.fromkeys(("sum", "min", "max", "any", "all"), "_each_"),
    **dict.fromkeys(("list", "tuple", "set", "frozenset", "sorted", "dict"), "_all_"),
    **dict.fromkeys(("join", "extend", "update", "fromkeys"), "_all_"),
    **dict.fromkeys(("bytes", "bytearray"), "_bytes_"),
    **dict.fromkeys(("ljust", "rjust", "center", "zfill", "expandtabs"), "_width_"),
}
"""Which guard the first argument of a call goes through, by what is called."""


def _small(side: ast.expr) -> bool:
    """Whether nothing large can come of this side: a fraction, or a small number beside another."""
    return isinstance(side, ast.Constant) and type(side.value) is float


def _call(where: ast.AST, name: str, *args: Any) -> ast.Call:
    function = ast.copy_location(ast.Name(name, ast.Load()), where)
    return ast.copy_location(ast.Call(function, list(args), []), where)
