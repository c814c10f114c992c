"""Ways from an object that a cell has to one that it must not have."""

# ruff: noqa: E501, RUF001 # the lines and letters of cells are theirs

from __future__ import annotations

__all__ = ["OBJECTS"]

_GRAB = "import copy\nseen = []\ndef grab(memo):\n    seen.append(dict(memo))\n    return 1\n"

_ATTRIBUTES = {
    name.replace("~", " "): f"out = {name.replace('~', ' ')}"
    for name in [
        "len.__self__",
        "print.__self__",
        "llm_query.__code__.co_consts",
        "llm_query.__globals__",
        "llm_query.__kwdefaults__",
        "chunk_text.__globals__",
        "grep_text.__defaults__",
        "submit.__closure__[0].cell_contents",
        "FINAL.__closure__",
        "history._call",
        "history.__dict__",
        "type(history)._read",
        "Failure.__init__.__globals__",
        "Failure.__dict__",
        "RLMError.__subclasses__()",
        "Failure.__str__.__globals__",
        "object.__new__",
        "object.__getattribute__",
        "object.__reduce_ex__",
        "().__reduce_ex__(2)",
        "[].__class__.__base__",
        "int.__class__('X',(),{})",
        "type.__call__",
        "type.__subclasses__(type)",
        "str.__class__",
        "''.__class__.__mro__",
        "{}.__class__.__dict__",
        "(lambda:0).__closure__",
        "(lambda:0).__globals__",
        "(lambda:0).__builtins__",
        "(i~for~i~in[]).gi_code",
        "(i~for~i~in[]).gi_yieldfrom",
        "doc._ref",
        "doc._reads",
        "doc._recent",
        "doc._window(0)",
        "doc._starts",
        "doc.__dict__",
        "type(doc)._pread(doc,0,9)",
        "type(doc).text.fget",
        "doc.search.__func__",
        "doc.find.__self__",
        "list[int].mro()",
        "type(1).mro()",
        "{}.keys().__class__.__base__",
        "NotImplemented.__class__.__base__",
        "ValueError.__base__",
        "ValueError.__subclasses__()",
        "staticmethod(len).__func__",
        "classmethod(len).__wrapped__",
        "getattr(1,'__class__').__base__",
        "getattr(len,'__self__')",
        "[hasattr(len,'__self__')].index(True)",
        "getattr(len,'__se'+'lf__')",
        "[getattr][0](len,'__self__')",
        "list(map(getattr,[()],['__doc__'])),().__reduce__",
        "().__ｃlass__.__base__",
        "ｇｅｔａｔｔｒ((),'__class__').__base__",
        "super(int,1).__reduce_ex__(2)",
        "sorted([()],key=lambda~x:x.__class__.__base__.__subclasses__())",
        "max([()],key=lambda~x:len(x.__class__.__mro__))",
        "min([],default=().__class__.__base__)",
        "iter(object.__subclasses__,None)",
        "f'{len.__self__}'",
        "f'{().__class__.__base__!r:>10}'",
        "'{0.__self__}'.format(len)",
        "'{a.__self__}'.format(a=len)",
        "'{0[0].__self__}'.format([len])",
        "'{0.__self__}'.__class__.format('{.__self__}',len)",
        "'%s'%len.__self__",
        "str.format('{0.__self__}',len)",
        "['{.__self__}'][0].format(len)",
        "vars(object)",
        "vars(len.__self__)",
        "vars(type)",
        "type[int].__origin__",
        "type('X',(),{})",
        "__import__('sys')",
        "__loader__",
        "__spec__",
        "__build_class__",
    ]
}

OBJECTS = {
    **_ATTRIBUTES,
    "super's format": (
        "class S(str):\n    def f(self): return super().format\nout = S('{0.__self__}').f()(len)"
    ),
    "super's format_map": (
        "class S(str):\n    def f(self): return super().format_map\n"
        "out = S('{a.__self__}').f()({'a': len})"
    ),
    "format as a field of a dataclass": (
        "from dataclasses import dataclass\n@dataclass(init=False)\nclass S(str):\n    format: int\n"
        "match S('{0.__self__}'):\n    case S(f): out = f(len)"
    ),
    "format as a field of another class": (
        "from dataclasses import dataclass\n@dataclass(init=False)\nclass D:\n    format: int\n"
        "class S(str, D): pass\nmatch S('{0.__self__}'):\n    case S(f): out = f(len)"
    ),
    "format as a field of what fails to be a dataclass": (
        "from dataclasses import dataclass\nclass S(str):\n    format: int\n"
        "try:\n    dataclass(init=False)(S)\nexcept TypeError:\n    pass\n"
        "match S('{0.__self__}'):\n    case S(f): out = f(len)\nout"
    ),
    "format by a pattern": "match '{0.__self__}':\n    case str(format=f): out = f(len)",
    "a frame by a pattern": "match (i for i in []):\n    case object(gi_frame=f): out = f",
    "a traceback by a pattern": (
        "try:\n    1/0\nexcept Exception as e:\n    match e:\n"
        "        case Exception(__traceback__=t): out = t"
    ),
    "a value of a pattern": ("import re\nmatch len:\n    case object(__self__=s): out = s"),
    "a dotted value of a pattern": (
        "match 1:\n    case len.__self__.print: pass\n    case _: out = 1"
    ),
    "the object of an error by a pattern": (
        "try:\n    history.nothing\nexcept AttributeError as e:\n    match e:\n"
        "        case AttributeError(obj=o): out = o"
    ),
    "the object of an error by a field": (
        "from dataclasses import dataclass\n@dataclass(init=False)\nclass E(AttributeError):\n"
        "    obj: int\nmatch E('x'):\n    case E(o): out = o"
    ),
    "a traceback by a generator": (
        "def g():\n    try:\n        yield\n    except ValueError as e:\n"
        "        yield e.__traceback__.tb_frame\nx = g()\nnext(x)\nout = x.throw(ValueError())"
    ),
    "a traceback by getattr": (
        "try:\n    1/0\nexcept Exception as e:\n    out = getattr(e, '__traceback__')"
    ),
    "a traceback by attrgetter": (
        "import operator\ntry:\n    1/0\nexcept Exception as e:\n"
        "    out = operator.attrgetter('__traceback__.tb_frame')(e)"
    ),
    "a traceback by with_traceback": (
        "try:\n    1/0\nexcept Exception as e:\n    out = e.with_traceback(None).__suppress_context__"
    ),
    "the next traceback": (
        "class C:\n    def __enter__(self): return self\n    def __exit__(self, a, b, tb):\n"
        "        self.tb = tb.tb_next\n        return True\nwith C() as c: 1/0\nout = c.tb"
    ),
    "a frame of a coroutine": ("async def f(): pass\nc = f()\nc.close()\nout = c.cr_code"),
    "what a coroutine awaits": "async def f(): pass\nc = f()\nc.close()\nout = c.cr_await",
    "a frame of an async generator": "async def f():\n    yield\nout = f().ag_frame",
    "code of an async generator": "async def f():\n    yield\nout = f().ag_code",
    "partial of getattr": "import functools\nout = functools.partial(getattr, len, '__self__')()",
    "reduce of getattr": (
        "import functools\nout = functools.reduce(getattr, ['__class__', '__base__'], ())"
    ),
    "map of getattr": "out = list(map(getattr, [len], ['__self__']))",
    "a cached function": (
        "import functools\n@functools.cache\ndef f(): pass\nout = f.__wrapped__.__globals__"
    ),
    "a context manager's function": (
        "import contextlib\n@contextlib.contextmanager\ndef f(): yield\nout = f.__wrapped__"
    ),
    "a function of a module": "import json\nout = json.loads.__globals__",
    "a method of a class of a module": "import json\nout = json.JSONEncoder.default.__globals__",
    "a builtin's module": "import math\nout = math.sqrt.__self__",
    "a bound method's": "import re\nout = re.compile('x').sub.__self__",
    "a counter's method": "from collections import Counter\nout = Counter.update.__globals__",
    "a named tuple's": "from collections import namedtuple\nout = namedtuple('N', 'a')._make.__func__",
    "a typed tuple's": (
        "from typing import NamedTuple\nclass N(NamedTuple):\n    a: int\nout = N.__new__"
    ),
    "a dataclass's": (
        "from dataclasses import dataclass\n@dataclass\nclass D:\n    a: int\n"
        "out = D.__init__.__globals__"
    ),
    "an enum's class": "from enum import Enum\nclass E(Enum):\n    A = 1\nout = E.A.__class__.__base__",
    "what a cached property wraps": (
        "import functools\nclass A:\n    @functools.cached_property\n    def f(self): return 1\n"
        "out = A.f.__get__"
    ),
    "deepcopy's memo by a namespace": (
        _GRAB + "from types import SimpleNamespace as N\n"
        "copy.deepcopy([[1], N(**{'__deepcopy__': grab})])\nassert seen"
    ),
    "deepcopy's memo by asdict": (
        _GRAB
        + "from types import SimpleNamespace as N\nimport dataclasses\n@dataclasses.dataclass\n"
        "class D:\n    a: object\n"
        "dataclasses.asdict(D(N(b=[1], **{'__deepcopy__': grab})))\nassert seen"
    ),
    "deepcopy's memo by a reply": (
        _GRAB + "reply = llm_query('a')\nreply.value['__deepcopy__'] = grab\n"
        "copy.deepcopy([[1], reply])\nassert seen"
    ),
    "deepcopy's memo by an enum": (
        _GRAB + "from enum import Enum\n"
        "E = Enum('E', {'A': 1, '__deepcopy__': lambda self, memo: grab(memo)})\n"
        "copy.deepcopy([[1], E.A])\nassert seen"
    ),
    "copy that writes attributes": (
        "import copy\nfrom types import SimpleNamespace as N\n"
        "copy.copy(N(**{'__reduce__': lambda: ((lambda: doc), (), (None, {'_fd': 0}))}))"
    ),
    "an enum with special methods": "from enum import Enum\nEnum('E', {'A': 1, '__del__': print})",
    "an enum with special names in a text": (
        "from enum import IntEnum\nIntEnum('E', 'A __reduce_ex__')"
    ),
    "an enum with special names in pairs": (
        "from enum import Flag\nFlag('E', [('A', 1), ('__local__', 2)])"
    ),
    "an enum with special names by keyword": (
        "from enum import Enum\nEnum('E', names={'A': 1, '__del__': print})"
    ),
    "an enum of a host's class": "from enum import Enum\nEnum('E', {}, type=type(doc))",
    "an enum that forges the mark": (
        "from enum import Enum\nE = Enum('E', {'__local__': True}, type=type(doc))\nclass F(E): pass"
    ),
    "an enum by an enum of a cell": (
        "from enum import Enum\nclass L(Enum): pass\nclass F(L('E', {}, type=type(doc))): pass"
    ),
    "an enum by a class method": (
        "from enum import Enum\nclass L(Enum): pass\nL._create_('E', {}, type=type(doc))"
    ),
    "a base that is made later": (
        "from types import SimpleNamespace as N\n"
        "class A(N(**{'__mro_entries__': lambda bases: (type(doc),)})): pass"
    ),
    "a base that equals another": (
        "class T:\n    def __eq__(self, o): return True\n    def __hash__(self): return hash(object)\n"
        "    def __mro_entries__(self, bases): return (type(doc),)\nclass A(T()): pass"
    ),
    "super's private method": "out = super(type(doc), doc).__getattribute__('_fd')",
    "object's setattr": "object.__setattr__(doc, '_fd', 0)",
    "super's setattr": ("class A:\n    def f(self): super().__setattr__('x', 1)\nA().f()"),
    "a group's split": (
        "class E(ExceptionGroup):\n    def derive(self, e): return 1\nout = E('a', [KeyError()])"
    ),
    "singledispatch evaluates": (
        "import functools\n@functools.singledispatch\ndef f(x): pass\n@f.register\n"
        "def g(x: 'int'): pass"
    ),
    "own __setattr__": "class A:\n    def __setattr__(self, n, v): pass",
    "own __new__": "class A:\n    def __new__(cls): return object()",
    "own __init_subclass__": "class A:\n    def __init_subclass__(cls, **k): pass",
    "own __class_getitem__": "class A:\n    def __class_getitem__(cls, i): return i",
    "own __instancecheck__": "class A:\n    def __instancecheck__(cls, i): return True",
    "own __subclasshook__": (
        "import abc\nclass A(abc.ABC):\n    @classmethod\n    def __subclasshook__(cls, c): return True"
    ),
    "own __mro_entries__": "class A:\n    def __mro_entries__(self, b): return ()",
    "own __reduce_ex__": "class A:\n    def __reduce_ex__(self, p): return (list, ())",
    "own __deepcopy__": "class A:\n    def __deepcopy__(self, memo): return memo",
    "own __copy__": "class A:\n    def __copy__(self): return 1",
    "own __getstate__": "class A:\n    def __getstate__(self): return 1",
    "own __setstate__": "class A:\n    def __setstate__(self, s): pass",
    "own __get__": "class A:\n    def __get__(self, o, t): return o",
    "own __dir__": "class A:\n    def __dir__(self): return []",
    "own __fspath__": "class A:\n    def __fspath__(self): return '/'",
    "own __index__ by assignment": "class A:\n    __index__ = len",
    "match arguments by annotation": "class A:\n    __match_args__: tuple = ('x',)",
    "a class's dict": "class A: pass\nout = A.__dict__",
    "a class's bases": "class A: pass\nout = A.__bases__",
    "a class's mro": "class A: pass\nout = A().__class__.__mro__",
    "a class's subclasses": "class A: pass\nout = A.__subclasses__()",
    "an attribute of a special name": "def f(): pass\nf.__wrapped__ = len",
    "an attribute's class": "class A: pass\nclass B: pass\na = A()\na.__class__ = B",
    "an instance's dict": "class A: pass\na = A()\na.__dict__ = {'x': 1}",
    "future's own": (
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(1) as p:\n"
        "    out = p.submit(len, '')._condition"
    ),
    "pool's threads": (
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(1) as p:\n"
        "    out = p._threads"
    ),
    "prints to a file": "print('x', file=open('/dev/null', 'w'))",
    "a proxy's special name": "import math\nout = math.__spec__",
    "a proxy's dict": "import math\nout = vars(math)",
    "a proxy's loader": "import json\nout = json.__loader__",
    "an ABC's register": "from collections.abc import Hashable\nHashable.register(list)",
    "an alias's register": "import typing\ntyping.Sized.register",
    "a parametrised class's register": "from collections.abc import Mapping\nMapping[int, int].register",
    "help on a module by name": "import pydoc\nout = pydoc.locate('os')",
}
"""Each gets at an object that leads to all others, or has Python call what it must not."""
