"""What has led out of sandboxes made of Python."""

from __future__ import annotations

__all__ = ["ESCAPES"]

ESCAPES = {
    "os": "import os\nos.system('true')",
    "subprocess": "import subprocess",
    "importlib": "import importlib",
    "builtins": "import builtins",
    "__import__": "__import__('os')",
    "dotted import": "import os.path as p",
    "a submodule through from": "from json import decoder\nout = decoder",
    "a module in a module": "from statistics import sys as s\nout = s",
    "a private module": "from _io import open as o\nout = o('/etc/hostname')",
    "star import": "from os import *",
    "json.codecs.open": "import json\nout = json.codecs.open('/etc/hostname').read()",
    "re.enum.sys": "import re\nout = re.enum.sys.modules['os']",
    "json scanner": "import json\nout = json.decoder.scanner.re.enum.sys",
    "statistics.sys": "import statistics\nout = statistics.sys.modules['os']",
    "collections._sys": "import collections\nout = collections._sys.modules",
    "attrgetter": (
        "import operator\nout = operator.attrgetter('__class__.__base__.__subclasses__')(1)()"
    ),
    "methodcaller": "import operator\nout = operator.methodcaller('__subclasses__')(object)",
    "subclasses": "out = ().__class__.__base__.__subclasses__()",
    "subclasses of object": "out = object.__subclasses__()",
    "mro": "out = str.mro()",
    "getattr dunder": "out = getattr(getattr(1, '__class__'), '__subclasses__')",
    "getattr joined": "out = getattr((), '__cl' + 'ass__').__base__",
    "getattr with a lying str": (
        "class S(str):\n    def __getitem__(self, i): return 'x'\n"
        "    def startswith(self, *a): return False\nout = getattr(object, S('__subclasses__'))()"
    ),
    "three-arg type": "out = type('X', (), {'__del__': print})",
    "type of type": "out = type(type(1))('X', (), {})",
    "type of a class": "class A: pass\nout = type(A)",
    "metaclass": "class A(metaclass=type): pass",
    "metaclass by stars": "class A(**{'metaclass': type}): pass",
    "writes to a module": "import math\nmath.pi = 3",
    "setattr on a module": "import math\nsetattr(math, 'pi', 3)",
    "delattr on a module": "import math\ndelattr(math, 'pi')",
    "augments a module": "import math\nmath.pi += 1",
    "writes to a function of the run": "chunk_text.x = 1",
    "writes to a class of the run": "Failure.x = 1",
    "writes a class's method": "class A: pass\nA.__init__ = print",
    "exception's obj": (
        "import json\ntry:\n    json.nothing\nexcept AttributeError as e:\n    out = e.obj"
    ),
    "traceback": (
        "try:\n    1/0\nexcept Exception as e:\n    out = e.__traceback__.tb_frame.f_globals"
    ),
    "traceback in exit": (
        "class C:\n    def __enter__(self): return self\n"
        "    def __exit__(self, a, b, tb):\n        self.tb = tb.tb_frame\n        return True\n"
        "with (c := C()): 1/0\nout = c.tb"
    ),
    "generator frame": "out = (x for x in [1]).gi_frame.f_back",
    "generator frame by getattr": "g = (x for x in [1])\nout = getattr(g, 'gi_frame')",
    "coroutine frame": (
        "async def f(): pass\nc = f()\ntry:\n    out = c.cr_frame\nfinally:\n    c.close()"
    ),
    "function globals": "def f(): pass\nout = f.__globals__",
    "function code": "out = (lambda: 0).__code__",
    "closure of a bridge function": "out = llm_query.__closure__",
    "bound method's self": "out = print.__self__",
    "attrgetter with a lying str": (
        "import operator\nclass S(str):\n    def split(self, by): return [self]\n"
        "    def __getitem__(self, i): return 'x'\n"
        "out = operator.attrgetter(S('__subclasses__'))(object)()"
    ),
    "format with a lying str": (
        "class S(str):\n    def __str__(self): return '{0.__subclasses__}'\n"
        "out = S('{0.__subclasses__}').format(object)"
    ),
    "what deepcopy remembers": "import copy\nmemo = {}\nout = copy.deepcopy(history, memo)",
    "an input file elsewhere": "out = type(doc)('x', 'text/plain', 9, 0, None)",
    "a base class with a forged name": (
        "from enum import Enum\nE = Enum('Enum', {}, type=type(doc), module='enum')\n"
        "class Y(E):\n    A = 0\n    def __init__(self, fd):\n        self._fd = fd\n"
        "        self.size = 9\nout = Y.A.size"
    ),
    "an input file's reader": "out = doc._pread(0, 9)",
    "derives from an input file": "class F(type(doc)): pass",
    "an input file set up again": "out = doc.__init__",
    "a shared method's function": "import json\nout = json.loads.__code__",
    "a frame in a context manager": (
        "import contextlib\n@contextlib.contextmanager\ndef f(): yield\nout = f().gen.gi_frame"
    ),
    "a generator's frame by format": "out = '{0.gi_frame}'.format(x for x in [1])",
    "guard as a method's argument": "class A:\n    def f(self, _getattr_): pass",
    "guard in a class": "class A:\n    _getattr_ = 1",
    "code of a function by setattr": "def f(x): pass\nsetattr(f, '__defaults__', (1,))",
    "an input file's base": "out = super(type(doc), doc).__init__()",
    "an input file's descriptor": "doc._fd = 0",
    "an input file's descriptor, read": "out = doc._fd",
    "an input file copied": "import copy\nout = copy.copy(doc)",
    "str.format": "out = '{0.__class__.__base__}'.format(1)",
    "str.format globals": "def f(): pass\nout = '{0.__globals__}'.format(f)",
    "str.format unbound": "out = str.format('{0.__class__.__base__}', 1)",
    "format_map": "out = '{a.__class__.__mro__}'.format_map({'a': 1})",
    "nested format": "out = '{0:>{1.__class__.__base__.__basicsize__}}'.format('a', 'b')",
    "format mapped": "out = list(map('{0.__init__.__self__}'.format, [1]))",
    "string.Formatter": "import string\nout = string.Formatter().format('{0.__class__}', 1)",
    "pattern's attributes": "match 1:\n    case object(__class__=c): out = c",
    "pattern's module": "import json\nmatch json:\n    case object(decoder=c): out = c\nout",
    "pattern's frame": "g = (x for x in [1])\nmatch g:\n    case object(gi_frame=f): out = f",
    "match_args": "class A:\n    __match_args__ = ('__class__',)",
    "rebinds a guard": "_getattr_ = lambda o, n: 1",
    "guard as an argument": "def f(_getattr_, /): return ''.join([])\nf(1)",
    "guard as a lambda's argument": "(lambda _write_: 1)(1)",
    "guard by import": "from math import pi as _getattr_",
    "guard by for": "for _getattr_ in [1]: pass",
    "guard by except": "try:\n    1/0\nexcept Exception as _getattr_: pass",
    "guard by global": "def f():\n    global _write_\n    _write_ = 1\nf()",
    "guard by match": "match 1:\n    case _getattr_: pass",
    "guard by match star": "match [1]:\n    case [*_getattr_]: pass",
    "guard by match mapping": "match {'a': 1}:\n    case {**_write_}: pass",
    "guard by walrus": "(_tick_ := 1)",
    "guard by del": "_tick_ = 1\ndel _tick_",
    "guard by with": "import io\nwith io.StringIO() as _write_: pass",
    "guard by class": "class _getattr_: pass",
    "guard by def": "def _getattr_(o, n): return 1",
    "guard by comprehension": "[1 for _tick_ in [1]]",
    "guard in globals": "globals()['_getattr_'] = 1\nassert '_getattr_' in globals()",
    "builtins by name": "out = __builtins__",
    "open": "out = open('/etc/hostname').read()",
    "eval": "out = eval('1')",
    "exec": "exec('x = 1')",
    "compile": "out = compile('1', 'x', 'eval')",
    "breakpoint": "breakpoint()",
    "input": "input()",
    "io.open": "import io\nout = io.open('/etc/hostname')",
    "FileIO": "import io\nout = io.FileIO('/etc/hostname')",
    "sys.modules": "import sys\nout = sys.modules",
    "sys._getframe": "import sys\nout = sys._getframe()",
    "stream's own": "import sys\nout = sys.stdout.buffer",
    "print's owner": "out = history.forget.__func__",
    "help imports by name": "help('os')\nimport os",
    "inspect": "import inspect\nout = inspect.currentframe()",
    "signature evaluates": (
        "import inspect\ndef f(a: '().__class__.__base__.__subclasses__()'): pass\n"
        "out = inspect.signature(f).from_callable(f, eval_str=True)"
    ),
    "type hints evaluate": "import typing\nout = typing.get_type_hints",
    "loop of asyncio": "import asyncio\nout = asyncio.get_event_loop()",
    "a loop": "import asyncio\nout = asyncio.new_event_loop().subprocess_shell",
    "thread's target": "import threading\nout = threading.Thread(target=print)._target",
    "thread pool's queue": (
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(1) as p:\n"
        "    out = p._work_queue"
    ),
    "update_wrapper": "import functools\nout = functools.update_wrapper",
    "wraps with assigned": (
        "import functools\ndef f(): pass\nout = functools.wraps(f, assigned=('__globals__',))"
    ),
    "dataclass of a class of the run": "import dataclasses\ndataclasses.dataclass(Failure)",
    "make_dataclass": "import dataclasses\nout = dataclasses.make_dataclass('A', ['x'])",
    "registers with an abstract class": (
        "from collections.abc import Mapping\nMapping.register(str)"
    ),
    "registers with a number": "import numbers\nnumbers.Number.register(str)",
    "derives from what it finds": "class A(type(history)): pass",
    "derives from a module": "import json\nclass A(type(json)): pass",
    "own __getattribute__": "class A:\n    def __getattribute__(self, n): return 1",
    "own __del__": "class A:\n    def __del__(self): pass",
    "own __reduce__": "class A:\n    def __reduce__(self): return (print, ())",
    "own __class__": "class A:\n    __class__ = str",
    "own __prepare__": "class A:\n    def __prepare__(cls): pass",
    "own __set_name__": "class A:\n    def __set_name__(self, o, n): self.o = o",
    "super reaches __reduce_ex__": (
        "class A:\n    def f(self): return super().__reduce_ex__(4)\nout = A().f()"
    ),
    "super of another": "out = super(type([]), []).__init__",
    "register as csv dialect": "import csv\nout = csv.register_dialect",
    "uuid runs programs": "import uuid\nout = uuid.uuid1()",
    "vars of a function": "def f(): pass\nout = vars(f)",
    "memoryview's obj": "out = memoryview(b'x').obj",
    "decimal's default": "import decimal\ndecimal.DefaultContext.prec = 1",
}
"""What has led out of sandboxes made of Python, or would: each fails in `local`."""
