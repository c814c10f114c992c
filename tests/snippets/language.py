"""Cells in the rest of the language: what a model may write, if less often."""

# ruff: noqa: E501 # the lines and letters of cells are theirs

from __future__ import annotations

__all__ = ["LANGUAGE"]

LANGUAGE = {
    "private names of classes": (
        "class A:\n    __n = 2\n    def __twice(self): return self.__n * 2\n"
        "    def f(self):\n        self.__m = 1\n        self.__m += 1\n"
        "        return self.__twice() + self.__m\nA().f()"
    ),
    "except star": (
        "seen = []\ntry:\n    raise ExceptionGroup('g', [ValueError('a'), TypeError('b')])\n"
        "except* ValueError as g:\n    seen.append(str(g.exceptions[0]))\n"
        "except* TypeError:\n    seen.append('type')\nseen"
    ),
    "imports everything": "from colorsys import *\nrgb_to_hsv(0, 0, 0)",
    "types as values": (
        "def make(kind: type[int], n: 'int' = 1) -> type: return kind\n"
        "(isinstance(int, type), isinstance(1, type), type(1) is int, type('a').__name__,"
        " type([]) == list, make(int), {type(x) for x in (1, 2)})"
    ),
    "matches a type": "match int:\n    case type(): r = 'a type'\nr",
    "locals and globals": (
        "def f(a, b=2):\n    c = a + b\n    return sorted(locals().items()), '{c}'.format(**locals())\n"
        "globals()['made'] = 7\nname = 'other'\nglobals()[name] = made + 1\n(f(1), made, other)"
    ),
    "augments with every operator": (
        "a = 7\na += 1; a -= 2; a *= 3; a //= 2; a **= 2; a %= 50; a <<= 2; a >>= 1; a |= 8; a &= 62\n"
        "a ^= 5\nb = 9.0\nb /= 2; b *= 2; b **= 2\nt = 'ab'\nt *= 2\nl = [1]\nm = l\nl *= 3\n"
        "(a, b, t, l, m is l)"
    ),
    "augments in functions": (
        "n = 2\ndef f():\n    global n\n    n *= 5\n    x = 3\n    def g():\n        nonlocal x\n"
        "        x **= 2\n        return x\n    return g(), n\nf()"
    ),
    "operators": (
        "(2 ** 10, 2 ** -1, 2.0 ** 3, (-2) ** 3, 1 << 5, 'ab' * 2, 3 * [0], (1,) * 2, b'a' * 2,"
        " 7 * 6, 1.5 * 2, True * 3, pow(2, 5), pow(2, 5, 7), 'x' * 0, [1] * -1, 3 * 1j)"
    ),
    "operators of a class": (
        "class V:\n    def __init__(self, *xs): self.xs = xs\n"
        "    def __mul__(self, k): return V(*(x * k for x in self.xs))\n    __x = 1\n"
        "    def __rmul__(self, k): return self * k\n"
        "    def __pow__(self, k): return [x ** k for x in self.xs]\n"
        "    def __lshift__(self, k): return ('shift', k)\n"
        "    def __matmul__(self, o): return sum(a * b for a, b in zip(self.xs, o.xs))\n"
        "    def __divmod__(self, k): return [divmod(x, k) for x in self.xs]\n"
        "    def __imul__(self, k):\n        self.xs = (self * k).xs\n        return self\n"
        "v = V(1, 2)\nw = v\nv *= 3\n((2 * v).xs, v ** 2, v << 4, v @ v, divmod(v, 2), w is v)"
    ),
    "consumes iterators": (
        "import itertools\ng = (x for x in range(5))\nm = map(str, range(3))\n"
        "(list(m), list(m), sum(map(len, ['a', 'bc'])), max(zip([1, 2], 'ab')), sorted(filter(None, [2, 0, 1])),"
        " ','.join(map(str, range(3))), any(map(bool, [0, 1])), next(g), list(g), dict(zip('ab', [1, 2])),"
        " set(range(3)), tuple(enumerate('ab')), min(4, 2), max([1], default=0), min([], default=9),"
        " list(itertools.chain('a', 'b')), bytes(3), bytearray(b'x'), list('ab'), frozenset([1]))"
    ),
    "long ranges": "(sum(range(10**6)), max(range(10**6)), len(list(range(20_000))), sum(range(9, 0, -2)))",
    "stops where it should": (
        "it = iter(range(10))\nfound = any(x == 3 for x in it)\n(found, next(it), list(zip(it, 'ab')), next(it))"
    ),
    "attributes that are made up": (
        "class A:\n    def __getattr__(self, name):\n        if name == 'x': raise AttributeError(name)\n"
        "        return name * 2\na = A()\n(a.foo, hasattr(a, 'x'), getattr(a, 'x', 1), a.format)"
    ),
    "enums with hooks": (
        "from enum import Enum, auto\nclass C(Enum):\n    def _generate_next_value_(name, *more): return name.lower()\n"
        "    A = auto()\n    @classmethod\n    def _missing_(cls, value): return cls.A\n(C.A.value, C('zzz'))"
    ),
    "an exception that is a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass E(Exception):\n    code: int\n    why: str = ''\n"
        "try:\n    raise E(3)\nexcept E as e:\n    r = (e.code, e == E(3), repr(e))\nr"
    ),
    "fields with the names of methods": (
        "from collections import namedtuple\nfrom typing import NamedTuple\nN = namedtuple('N', 'format obj mro')\n"
        "class M(NamedTuple):\n    format: str\n    obj: int = 2\nn, m = N(1, 2, 3), M('a')\n"
        "(n.format, n.obj, n.mro, m.format, m.obj, '{0.obj}'.format(n))"
    ),
    "slots": (
        "class P:\n    __slots__ = ('x', '_y')\n    def __init__(self):\n        self.x = 1\n"
        "        self._y = 2\nimport copy\np = P()\nq = copy.deepcopy(p)\nq.x = 5\n(p.x, q.x, q._y)"
    ),
    "copies": (
        "import copy\nfrom collections import Counter, defaultdict, deque, namedtuple, OrderedDict\n"
        "from dataclasses import dataclass, field, asdict, astuple, replace\nfrom types import SimpleNamespace\n"
        "@dataclass\nclass D:\n    a: int\n    b: list = field(default_factory=list)\n"
        "N = namedtuple('N', 'x y')\nclass L(list): pass\nclass M(dict): pass\n"
        "d = D(1, [D(2), {'k': (1, [2])}, N(1, [2])])\nloop = [1]\nloop.append(loop)\nl = L([[1]])\nl.note = [2]\n"
        "made = [d, Counter('aab'), defaultdict(list, a=[1]), deque([[1]], 3), SimpleNamespace(a=[1]), l, M(a=[1]),\n"
        "        OrderedDict(a=[1]), frozenset([1]), bytearray(b'a'), {1}, (1, [2])]\n"
        "twin = copy.deepcopy(made)\ntwin[0].b.append(9); twin[2]['a'].append(9); twin[4].a.append(9)\n"
        "twin[5][0].append(9); twin[5].note.append(9); twin[6]['a'].append(9); twin[11][1].append(9)\n"
        "again = copy.deepcopy(loop)\n"
        "(made, twin, twin[5].note, l.note, again[1] is again, copy.copy(made)[0] is d, asdict(d), astuple(d),"
        " replace(d, a=5), type(twin[2]).__name__, twin[3].maxlen)"
    ),
    "namespaces": (
        "from types import SimpleNamespace\nn = SimpleNamespace(a=1)\nn.b = 2\nn._c = 3\n"
        "(n, n == SimpleNamespace(a=1, b=2, _c=3), vars(n), n.__dict__['a'], n._c)"
    ),
    "threads of its own": (
        "import threading, queue\nout = []\nq = queue.Queue()\nlock = threading.Lock()\n"
        "def work(n):\n    with lock:\n        out.append(n)\n    q.put(n * 2)\n"
        "ts = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(3)]\n"
        "for t in ts: t.start()\nfor t in ts: t.join()\n(sorted(out), sorted(q.get() for _ in ts), ts[0].is_alive())"
    ),
    "pools": (
        "from concurrent.futures import ThreadPoolExecutor, as_completed, wait\n"
        "def work(n):\n    if n == 2: raise ValueError(n)\n    return n\n"
        "with ThreadPoolExecutor(3) as p:\n    fs = [p.submit(work, n) for n in range(3)]\n"
        "    done, rest = wait(fs)\n    mapped = list(p.map(lambda a, b: a + b, [1, 2], [3, 4]))\n"
        "try:\n    fs[2].result()\nexcept ValueError as e:\n    why = repr(e)\n"
        "(fs[1].result(), fs[1].done(), len(done), mapped, why, type(fs[2].exception()).__name__)"
    ),
    "tasks": (
        "import asyncio\nasync def work(n):\n    await asyncio.sleep(0)\n    if n == 9: raise KeyError(n)\n"
        "    return n * 2\nasync def main():\n    a = asyncio.create_task(work(1))\n"
        "    async with asyncio.TaskGroup() as tg:\n        b = tg.create_task(work(2))\n"
        "        c = tg.create_task(work(3))\n    got = await asyncio.gather(work(4), work(9), return_exceptions=True)\n"
        "    async with asyncio.timeout(5):\n        d = await asyncio.wait_for(work(5), 1)\n"
        "    return [await a, b.result(), c.result(), got, d]\nfirst = asyncio.run(main()) if False else await main()\nfirst"
    ),
    "async comprehensions": (
        "async def gen(n):\n    for i in range(n):\n        yield i\n"
        "[x async for x in gen(3) if x], {x: x async for x in gen(2)}"
    ),
    "async context managers": (
        "from contextlib import asynccontextmanager\nlog = []\n@asynccontextmanager\nasync def m(n):\n"
        "    log.append(n)\n    yield n\n    log.append(-n)\nasync with m(1) as a, m(2) as b:\n    log.append(a + b)\nlog"
    ),
    "parses HTML": (
        "from html.parser import HTMLParser\nclass P(HTMLParser):\n    def __init__(self):\n"
        "        super().__init__()\n        self.texts = []\n    def handle_data(self, data):\n"
        "        self.texts.append(data)\np = P()\np.feed('<p>a<b>b</b></p>')\np.texts"
    ),
    "containers of its own": (
        "from collections import UserDict, UserList\nclass D(UserDict):\n    def __setitem__(self, k, v):\n"
        "        super().__setitem__(k.lower(), v)\nd = D(A=1)\nd['B'] = 2\n(d.data, dict(d), UserList([1]) + [2])"
    ),
    "enums in full": (
        "from enum import Enum, Flag, IntEnum, StrEnum, auto, unique\nclass P(Flag):\n    R = auto()\n    W = auto()\n"
        "@unique\nclass C(Enum):\n    A = 'a'\n    B = 'b'\n    @property\n    def up(self): return self.value.upper()\n"
        "    @classmethod\n    def first(cls): return next(iter(cls))\nE = Enum('E', 'X Y')\nF = IntEnum('F', {'ONE': 1, 'TWO': 2})\n"
        "G = Enum('G', ['P', 'Q'])\n"
        "(P.R | P.W, C('a').up, C.first(), [e.name for e in E], F.TWO + 1, C['B'], list(C.__members__), G.Q.value,"
        " isinstance(C.A, Enum), C.A._value_, str(F.ONE), C.A in C)"
    ),
    "type hints of all kinds": (
        "from typing import Annotated, Literal, NewType, Optional, Self, TypeAlias, TypeVar, Union, overload, Callable\n"
        "Vec: TypeAlias = list[float]\nId = NewType('Id', int)\nT = TypeVar('T', bound='int')\n"
        "@overload\ndef f(x: int) -> int: ...\n@overload\ndef f(x: str) -> str: ...\ndef f(x): return x\n"
        "class A:\n    n: int | None = None\n    def me(self) -> Self: return self\n"
        "def g(a: Annotated[int, 'x'], *b: Vec, c: Literal['q'] = 'q', d: Callable[[int], str] | None = None) -> Union[int, None]:\n"
        "    y: Optional[T] = a\n    return y\n(f(1), Id(3), g(4), A().me().n, isinstance(1, int | str))"
    ),
    "attributes with annotations": (
        "class A:\n    def __init__(self):\n        self.x: int = 1\n        self.d: dict[str, int] = {}\n"
        "        self.d['k']: int = 2\na = A()\n(a.x, a.d)"
    ),
    "matches everything": (
        "def f(v):\n    match v:\n        case {'k': [int(a), *_], **rest} if a > 0: return (a, rest)\n"
        "        case [(1 | 2) as x, {'n': n}]: return (x, n)\n        case str(s) if s.startswith('a'): return s\n"
        "        case -1 | 2.5 | 1j | 'q' | b'b' | True: return 'literal'\n        case [[x, y], *rest]: return (x, y, rest)\n"
        "        case {}: return 'mapping'\n        case None | (): return 'nothing'\n        case _ as other: return type(other).__name__\n"
        "[f(v) for v in ({'k': [1, 2], 'z': 0}, [2, {'n': 5}], 'abc', -1, 2.5, [[1, 2], 3], {'a': 1}, (), 7.5, None)]"
    ),
    "matches by attributes": (
        "import datetime, abc, enum\nfrom dataclasses import dataclass\nclass Shape(abc.ABC): pass\n@dataclass\nclass Line(Shape):\n    format: str\n    _kept: int = 1\n"
        "@dataclass\nclass Circle(Shape):\n    r: int\n@dataclass\nclass Square(Shape):\n    side: int\n"
        "class L(enum.Enum):\n    A = 1\nclass N:\n    class M:\n        z = 4\n"
        "def f(v):\n    match v:\n        case Circle(r=r) | Square(side=r): return r\n"
        "        case datetime.date(year=y): return y\n        case KeyError(args=[a]): return a\n"
        "        case L.A: return 'A'\n        case complex(real=x, imag=0.0): return x\n"
        "        case N.M(z=z): return z\n        case Line(f, k): return (f, k)\n"
        "[f(v) for v in (Circle(1), Square(2), datetime.date(2024, 1, 2), KeyError('k'), L.A, 3+0j, N.M(), Line('x'), 'no')]"
    ),
    "generators in full": (
        "def g():\n    total = 0\n    try:\n        while True:\n            got = yield total\n            total += got or 0\n"
        "    except ValueError as e:\n        yield str(e)\n    finally:\n        done.append(1)\ndone = []\nx = g()\nnext(x)\n"
        "a = x.send(5), x.send(6), x.throw(ValueError('v'))\nx.close()\ndef outer():\n    got = yield from inner()\n    yield got\n"
        "def inner():\n    yield 1\n    return 2\n(a, done, list(outer()), list(i for i in (j * 2 for j in range(3))))"
    ),
    "exceptions in full": (
        "log = []\nclass E(Exception):\n    def __init__(self, m, *, n):\n        super().__init__(m)\n        self.n = n\n"
        "    def __str__(self): return f'{self.args[0]}:{self.n}'\ndef f(k):\n    for i in range(3):\n        try:\n"
        "            if i == k: raise E('m', n=i)\n            if i == 2: continue\n        except (E, KeyError) as e:\n"
        "            e.add_note('note')\n            log.append((str(e), e.__notes__))\n            break\n        else:\n"
        "            log.append(i)\n        finally:\n            log.append('f')\n    else:\n        log.append('all')\nf(1); f(9)\n"
        "try:\n    try:\n        1 / 0\n    finally:\n        log.append('inner')\nexcept ArithmeticError as e:\n    log.append(repr(e))\nlog"
    ),
    "closures and defaults": (
        "fs = [lambda x, i=i: x * i for i in range(3)]\ndef counter():\n    n = 0\n    def up(by=1, /, *, times=1):\n"
        "        nonlocal n\n        n += by * times\n        return n\n    return up\nc = counter()\n"
        "([f(2) for f in fs], c(), c(2), c(1, times=3), (lambda *a, **k: (a, k))(1, b=2))"
    ),
    "formats with and without numbers": (
        "'{.real} {} {:{}} {[a]}'.format(1, 2, 3, 4, {'a': 5}) + '{0.imag:>{w}}'.format(1, w=3)"
    ),
    "writes to replies": (
        "rows = grep_text('a', 'a\\nb\\na')\nrows[0] = 'x'\nrows.append('y')\nlist(rows)"
    ),
    "decimals": (
        "from decimal import Decimal, localcontext, ROUND_HALF_UP\nwith localcontext() as c:\n    c.prec = 3\n"
        "    a = Decimal(1) / 3\n(a, Decimal('2.675').quantize(Decimal('0.01'), ROUND_HALF_UP))"
    ),
    "a dataclass in full": (
        "from dataclasses import dataclass, field, fields, KW_ONLY\nfrom functools import cached_property\n"
        "from typing import ClassVar\n@dataclass(frozen=True, slots=True, order=True)\nclass P:\n    x: int\n    y: int = 0\n"
        "@dataclass\nclass Doc:\n    n: ClassVar[int] = 3\n    name: str\n    format: str = 'txt'\n    _: KW_ONLY\n    obj: list = field(default_factory=list, repr=False)\n"
        "    @cached_property\n    def size(self): return len(self.name)\n"
        "try:\n    P(1).x = 2\nexcept AttributeError as e:\n    why = type(e).__name__\n"
        "d = Doc('abc', obj=[1])\n(P(1) < P(2), why, d, d.format, d.size, [f.name for f in fields(d)], hash(P(1)) == hash(P(1)), d.obj)"
    ),
}
"""What models write: each runs without an error, and does the same everywhere."""
