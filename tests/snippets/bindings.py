"""Ways to give the name of a guard, or of Python's own machinery, another meaning."""

# ruff: noqa: E501, RUF001 # the lines and letters of cells are theirs

from __future__ import annotations

__all__ = ["BINDINGS"]

BINDINGS = {
    "import as": "import math as _getattr_",
    "unpacking": "(a, _getattr_) = 1, 2",
    "nested unpacking": "[a, (b, *_write_)] = 1, (2, 3)",
    "star target": "[*_getattr_] = [1]",
    "for with a tuple": "for a, _write_ in [(1, 2)]: pass",
    "star argument": "(lambda *_write_: 0)()",
    "keyword-only argument": "def f(*, _getattr_=1): pass",
    "double star argument": "def f(**_getattr_): pass",
    "an async function's argument": "async def f(_getattr_): pass",
    "dict comprehension": "{1: 2 for _getattr_ in [1]}",
    "nested generator": "list(a for a in [1] for _write_ in [2])",
    "except star": "try:\n    raise ExceptionGroup('', [KeyError()])\nexcept* KeyError as _write_: pass",
    "with a tuple": (
        "from contextlib import nullcontext\nwith nullcontext((1, 2)) as (a, _write_): pass"
    ),
    "nonlocal": "def f():\n    _tick_ = 1\n    def g():\n        nonlocal _tick_\n        _tick_ = 2\nf()",
    "annotation": "_tick_: int = 1",
    "a bare annotation": "_tick_: int",
    "pattern with as": "match 1:\n    case int() as _write_: pass",
    "nested pattern": "match {'a': [1, 2]}:\n    case {'a': [_, _getattr_]}: pass",
    "pattern of a class": "match 1:\n    case int(_getattr_): pass",
    "pattern by or": "match 1:\n    case (2 as _write_) | (_ as _write_): pass",
    "nested walrus": "[y for x in [1] if (_getattr_ := x)] if 0 else (lambda: (_write_ := 1))()",
    "a guard of sizes": "_times_ = lambda a, b: 1",
    "a guard of augmentation": "def _inplace_(a, b, c): return 1",
    "the maker of classes": "def __metaclass__(*a, **k): return 1",
    "the maker of classes in a class": "class A:\n    __metaclass__ = 1",
    "a class's name": "class __metaclass__: pass",
    "async function": "async def _getattr_(a, b): pass",
    "for in async": ("async def g():\n    yield 1\nasync for _write_ in g(): pass"),
    "async with": (
        "import contextlib\n@contextlib.asynccontextmanager\nasync def m():\n    yield 1\n"
        "async with m() as _getattr_: pass"
    ),
    "async comprehension": ("async def g():\n    yield 1\n[1 async for _tick_ in g()]"),
    "full-width letters": "_ｇetattr_ = 1",
    "builtins": "__builtins__ = {}",
    "builtins deleted": "del __builtins__",
    "global builtins": "def f():\n    global __builtins__\n    __builtins__ = {}\nf()",
    "builtins in globals": "globals()['__builtins__'] = {}",
    "a guard updated": "globals().update({'_write_': 1})",
    "a guard updated by name": "globals().update(_write_=1)",
    "a guard by setdefault": "globals().setdefault('_getattr_', 1)\nassert '_getattr_' in globals()",
    "a guard by a str of its own": (
        "class S(str):\n    def __getitem__(self, i): return 'x'\nglobals()[S('_getattr_')] = 1"
    ),
    "the mark of classes": "class A:\n    __local__ = 1",
    "the name's own": "__name__ = 'os'",
    "a class's module": "class A:\n    __module__ = 'os'",
    "a class's annotations": "class A:\n    __annotations__ = {}",
    "a class's classcell": "class A:\n    __qualname__ = 'B'",
}
"""Each binds a name that no cell may bind."""
