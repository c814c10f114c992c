"""Cells that models write."""

from __future__ import annotations

__all__ = ["ORDINARY"]

ORDINARY = {
    "prints": "print('a', 1, sep='-', end='!\\n'); print(); print([1], {'b': 2})",
    "counts words": (
        "counts = {}\nfor word in 'a b a c b a'.split():\n"
        "    counts[word] = counts.get(word, 0) + 1\nsorted(counts.items(), key=lambda kv: -kv[1])"
    ),
    "augments items": (
        "from collections import defaultdict\nd = defaultdict(int)\nrows = [[1, 2], [3]]\n"
        "for c in 'hello': d[c] += 1\nrows[0] += [9]\nrows[1][0] *= 5\nrows[0][0:2] += [7]\n"
        "(dict(d), rows)"
    ),
    "augments attributes": (
        "class Acc:\n    total = 0\n    def add(self, n):\n        self.total += n\n"
        "        return self\nAcc().add(2).add(3).total"
    ),
    "augments while it recurses": (
        "class N:\n    seen = 0\n    def visit(self, depth):\n        if depth:\n"
        "            self.seen += self.visit(depth - 1)\n        return 1\n"
        "n = N()\nn.visit(3)\nn.seen"
    ),
    "annotates": "x: int = 3\nnames: list[str] = ['a']\ndef f(a: int, b: str = 'z') -> str:\n"
    "    out: str = b * a\n    return out\n(x, names, f(2))",
    "uses nonlocal and global": (
        "total = 0\ndef outer():\n    n = 0\n    def inner():\n        nonlocal n\n"
        "        global total\n        n += 1\n        total += n\n        return n\n"
        "    inner(); inner()\n    return n\n(outer(), total)"
    ),
    "f-strings": "v = 3.14159; n = 'pi'\nf'{n!r:>6}|{v:.2f}|{v=:.1f}|{1_000_000:,}|{{}}'",
    "formats": "'{} {1}'.replace('1', '') .format('a', 'b') + '{0.real:>5}|{n[k]:.1f}|{:{w}}'"
    ".replace('{:{w}}', '{n[k]:{w}}').format(3, n={'k': 2.5}, w=6)",
    "format_map and %": "'{a}-{b}'.format_map({'a': 1, 'b': 2}) + ' %05.1f %s' % (2.25, 'x')",
    "comprehensions": (
        "pairs = [(a, b) for a in range(3) for b in range(a) if a != b]\n"
        "([*pairs], {a: b for a, b in pairs}, {b for _, b in pairs}, sum(a for a, _ in pairs))"
    ),
    "star-unpacking": (
        "first, *middle, (a, b) = [1, 2, 3, (4, 5)]\nd = {**{'x': 1}, 'y': 2}\n"
        "def f(*args, k=0, **kw): return args, k, kw\n"
        "(first, middle, a, b, d, f(*middle, **{'k': 9, 'z': 1}), [*middle, *'ab'])"
    ),
    "classes": (
        "class Shape:\n    kind = 'shape'\n    def __init__(self, side):\n"
        "        self._side = side\n"
        "        self.__hidden = 1\n    def __repr__(self):\n"
        "        return f'Shape({self._side})'\n"
        "    @property\n    def area(self):\n        return self._side ** 2 + self.__hidden\n"
        "    @staticmethod\n    def unit():\n        return Shape(1)\n    @classmethod\n"
        "    def of(cls, n):\n        return cls(n)\n"
        "class Square(Shape):\n    def __init__(self, side):\n        super().__init__(side)\n"
        "        self.name = 'sq'\n"
        "(Square(3), Square.of(2).area, Shape.unit().area, Square(1).name, Square.kind)"
    ),
    "special methods": (
        "class Bag:\n    def __init__(self, items): self.items = list(items)\n"
        "    def __len__(self): return len(self.items)\n"
        "    def __iter__(self): return iter(self.items)\n"
        "    def __getitem__(self, i): return self.items[i]\n"
        "    def __contains__(self, x): return x in self.items\n"
        "    def __add__(self, o): return Bag(self.items + o.items)\n"
        "    def __eq__(self, o): return self.items == o.items\n"
        "    def __call__(self): return 'called'\n"
        "b = Bag([1]) + Bag([2])\n(len(b), list(b), b[1], 2 in b, b == Bag([1, 2]), b())"
    ),
    "dataclasses": (
        "from dataclasses import dataclass, field, asdict\n@dataclass(order=True)\nclass P:\n"
        "    x: int\n    tags: list = field(default_factory=list)\n"
        "    def __post_init__(self): self.x += 1\n"
        "p = P(1)\np.tags.append('t')\n(p, asdict(p), P(1) < P(2))"
    ),
    "enums and named tuples": (
        "from enum import Enum\nfrom collections import namedtuple\nfrom typing import NamedTuple\n"
        "class Color(Enum):\n    RED = 1\n    BLUE = 2\nQ = namedtuple('Q', 'a b')\n"
        "class R(NamedTuple):\n    a: int\n    b: str = 'x'\n"
        "([c.name for c in Color], Color(2), Q(1, 2)._asdict(), R(1), R(1)._replace(b='y').b)"
    ),
    "own exceptions": (
        "class Oops(ValueError):\n    def __init__(self, why, code):\n"
        "        super().__init__(why)\n        self.code = code\n"
        "try:\n    raise Oops('bad', 7)\nexcept Oops as e:\n    got = (str(e), e.code, e.args)\n"
        "got + (type(Oops('', 0)).__name__,)"
    ),
    "try, else, finally": (
        "log = []\ndef f(x):\n    try:\n        r = 10 / x\n    except ZeroDivisionError as e:\n"
        "        log.append(type(e).__name__ + ': ' + str(e))\n        return None\n    else:\n"
        "        log.append('fine')\n        return r\n    finally:\n        log.append('end')\n"
        "(f(0), f(4), log)"
    ),
    "raise from": (
        "try:\n    try:\n        {}['k']\n    except KeyError as e:\n"
        "        raise ValueError('wrapped') from e\n"
        "except ValueError as e:\n    print(e, repr(e.__cause__))"
    ),
    "tracebacks": (
        "import traceback\ntry:\n    1 / 0\nexcept Exception as e:\n"
        "    print(traceback.format_exc().splitlines()[-1], e.__class__.__name__)"
    ),
    "with": (
        "from contextlib import contextmanager, suppress\nout = []\n@contextmanager\n"
        "def tag(n):\n    out.append('<' + n)\n    yield n\n    out.append(n + '>')\n"
        "class Ctx:\n    def __enter__(self): return (1, 2)\n"
        "    def __exit__(self, *e): out.append(e[0] is None)\n"
        "with tag('b') as t, Ctx() as (x, y):\n    out.append((t, x, y))\n"
        "with suppress(KeyError):\n    {}['a']\nout"
    ),
    "generators": (
        "def gen(n):\n    for i in range(n):\n        got = yield i\n        if got: yield got\n"
        "def chain():\n    yield from gen(2)\n    return 5\ng = gen(3)\n"
        "(list(chain()), next(g), g.send('x'), list(zip(gen(2), 'ab')))"
    ),
    "lambdas": "f = lambda *a, k=2: [x * k for x in a]\n(f(1, 2), (lambda: 3)(), "
    "sorted(['bb', 'a'], key=lambda s: (len(s), s)), list(map(lambda x: x + 1, [1])))",
    "decorators": (
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def inner(*a, **k):\n"
        "        return f(*a, **k) * 2\n    return inner\n@twice\ndef g(x):\n    'doc'\n"
        "    return x\n@functools.lru_cache(maxsize=None)\ndef fib(n):\n"
        "    return n if n < 2 else fib(n - 1) + fib(n - 2)\n(g(4), g.__name__, g.__doc__, fib(50))"
    ),
    "match": (
        "def what(v):\n    match v:\n        case {'type': 'a', **rest}: return ('map', rest)\n"
        "        case [x, *more] if more: return ('seq', x, more)\n"
        "        case int() | float() as n: return ('num', n)\n        case str(): return 'text'\n"
        "        case None: return 'none'\n        case _: return 'other'\n"
        "[what(v) for v in ({'type': 'a', 'b': 1}, [1, 2], 3, 'x', None, object())]"
    ),
    "matches classes": (
        "from dataclasses import dataclass\nfrom enum import Enum\n"
        "class C(Enum):\n    A = 1\n@dataclass\nclass P:\n    x: int\n    y: int\n"
        "def f(p):\n    match p:\n        case P(0, y): return y\n        case P(x=x): return -x\n"
        "        case C.A: return 'A'\n(f(P(0, 2)), f(P(3, 1)), f(C.A))"
    ),
    "walrus, ternary, while-else": (
        "data = [1, 5, 9]\nif (n := len(data)) > 2: r = 'many' if n > 2 else 'few'\n"
        "while data:\n    if data.pop() == 4: break\nelse:\n    r += '!'\n(r, n)"
    ),
    "deletes": "d = {'a': 1, 'b': 2}; l = [1, 2, 3, 4]\ndel d['a'], l[1:3]\nx = 1\ndel x\n(d, l)",
    "regular expressions": (
        "import re\ntext = 'On 2024-01-05 and 2023-12-31.'\n"
        "pat = re.compile(r'(?P<y>\\d{4})-(\\d\\d)-(\\d\\d)', re.I)\n"
        "([m.group('y') for m in pat.finditer(text)], pat.findall(text), "
        "re.sub(r'\\d+', lambda m: str(int(m[0]) + 1), 'a1'), re.split(r'\\s+', 'a  b'), "
        "m.start() if (m := re.search('and', text)) else None)"
    ),
    "json": (
        "import json\ns = json.dumps({'b': [1, None, True], 'a': 'é'}, sort_keys=True, indent=1)\n"
        "try:\n    json.loads('{bad')\nexcept json.JSONDecodeError as e:\n    where = e.pos\n"
        "(json.loads(s), where)"
    ),
    "dates": (
        "from datetime import datetime, timedelta, date\nd = datetime(2024, 2, 28)\n"
        "((d + timedelta(days=2)).strftime('%Y-%m-%d'), date.fromisoformat('2024-03-01').weekday(),"
        " datetime.strptime('05/01/24', '%d/%m/%y').month)"
    ),
    "maths": (
        "import math, statistics\nfrom fractions import Fraction\nfrom decimal import Decimal, "
        "getcontext\ngetcontext().prec = 6\n(math.sqrt(2), round(math.pi, 3), "
        "statistics.mean([1, 2, 4]), Fraction(1, 3) + 1, Decimal(1) / 3)"
    ),
    "itertools and collections": (
        "from itertools import groupby, islice, count, combinations\n"
        "from collections import Counter, deque, OrderedDict\nimport collections\n"
        "c = Counter('banana')\nc['z'] += 2\nq = deque([1, 2], maxlen=2)\nq.append(3)\n"
        "(c.most_common(2), q, list(islice(count(5), 3)), list(combinations('abc', 2))[:2], "
        "[(k, len(list(g))) for k, g in groupby('aabc')], "
        "isinstance({}, collections.abc.Mapping) if hasattr(collections, 'abc') else True)"
    ),
    "random is seeded": (
        "import random\nrandom.seed(3)\n(random.random(), random.choice('abc'), "
        "random.sample(range(9), 3), random.randint(1, 6))"
    ),
    "csv and io": (
        "import csv, io\nrows = list(csv.DictReader(io.StringIO('a,b\\n1,2\\n')))\n"
        "out = io.StringIO()\nw = csv.writer(out)\nw.writerow(['x', 'y,z'])\n(rows, out.getvalue())"
    ),
    "hashes and encodings": (
        "import hashlib, base64, zlib, struct\n(hashlib.sha256(b'x').hexdigest()[:8], "
        "base64.b64encode(b'hi').decode(), zlib.crc32(b'x'), struct.unpack('<H', b'\\x01\\x00'), "
        "'é'.encode('utf-8'), b'\\xff'.decode('utf-8', 'replace'))"
    ),
    "text": (
        "import textwrap, string, unicodedata, html, difflib\n"
        "(textwrap.shorten('a b c d', 5, placeholder='…'), string.ascii_lowercase[:3], "
        "unicodedata.normalize('NFKD', 'é')[0], html.unescape('&lt;'), "
        "difflib.get_close_matches('appel', ['ape', 'apple']), 'Straße'.casefold())"
    ),
    "operator and heapq": (
        "import operator\nfrom operator import itemgetter\nimport heapq, bisect, copy\n"
        "rows = [{'n': 2}, {'n': 1}]\n(sorted(rows, key=itemgetter('n')), "
        "heapq.nlargest(2, [3, 1, 2]), bisect.bisect([1, 3], 2), "
        "operator.attrgetter('real')(5), copy.deepcopy(rows) == rows)"
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor, as_completed\n"
        "with ThreadPoolExecutor(max_workers=4) as ex:\n"
        "    futures = {ex.submit(pow, n, 2): n for n in range(5)}\n"
        "    done = sorted(f.result() for f in as_completed(futures))\ndone"
    ),
    "asyncio": (
        "import asyncio\nasync def work(n):\n    await asyncio.sleep(0)\n    return n * 2\n"
        "results = await asyncio.gather(*[work(i) for i in range(3)])\nresults"
    ),
    "asks about attributes": (
        "class A:\n    def __init__(self): self.x = 1\na = A()\nsetattr(a, 'y', 2)\n"
        "(hasattr(a, 'z'), getattr(a, 'y'), getattr(a, 'z', 'no'), vars(a), a.__dict__, "
        "callable(len), isinstance(a, A), issubclass(A, object), a.__class__.__name__)"
    ),
    "slices": "t = 'abcdef'; l = list(range(6))\nl[::2] = [0, 0, 0]\n(t[1:3], t[::-1], t[-2:], l)",
    "main guard": "def main():\n    return 'ran'\nif __name__ == '__main__':\n    r = main()\nr",
    "globals": "value = 5\n('value' in globals(), globals()['value'], 'nothing' in locals())",
    "names with an underscore": (
        "_n = 1\nfor _ in range(3): _n += _\n_helper = lambda: _n\n_helper()"
    ),
    "bytes": "b = bytearray(b'abc'); b[0] = 65; b += b'!'\n(bytes(b), b.hex(), memoryview(b)[1])",
    "chunks": "chunk_text('one two three', 8), grep_text('a\\nb\\nab', 'b')",
    "sys": (
        "import sys\nsys.stdout.write('direct\\n'); print('err', file=sys.stderr)\nsys.maxsize > 0"
    ),
    "echoes": "rows = [{'a': i} for i in range(3)]\nrows",
    "future annotations": (
        "from __future__ import annotations\ndef f(x: Nope) -> Never: return x\nf(1)"
    ),
    "escapes that are none": "import re\nre.findall('\\d+', 'a1b22')",
    "special methods by name": "'abc'.__len__(), [1].__contains__(1), dict.__len__({})",
    "super's own methods": (
        "class A:\n    def _h(self): return 1\nclass B(A):\n"
        "    def _h(self): return super()._h() + 1\nB()._h()"
    ),
    "derives from much": (
        "from collections.abc import Mapping, Iterator\nfrom typing import TypedDict, Generic, "
        "TypeVar, Protocol\nfrom enum import IntEnum, StrEnum\nT = TypeVar('T')\n"
        "class M(Mapping):\n    def __init__(self): self.d = {'a': 1}\n"
        "    def __getitem__(self, k): return self.d[k]\n"
        "    def __iter__(self): return iter(self.d)\n"
        "    def __len__(self): return len(self.d)\nclass D(TypedDict, total=False):\n    a: int\n"
        "class G(Generic[T]):\n    def get(self) -> T: return 1\nclass P(Protocol):\n"
        "    def f(self) -> int: ...\nclass I(IntEnum):\n    A = 1\n"
        "class S(StrEnum):\n    B = 'b'\n"
        "(dict(M()), D(a=1), G[int]().get(), I.A + 1, S.B.upper())"
    ),
    "json of anything": (
        "import json\nclass E(json.JSONEncoder):\n    def default(self, o): return sorted(o)\n"
        "json.dumps({'a': {2, 1}}, cls=E)"
    ),
    "docstrings": "def f():\n    'about f'\n    return 1\n(f.__doc__, f())",
    "calls a base class by name": (
        "class A(Exception):\n    def __init__(self, m):\n        Exception.__init__(self, m)\n"
        "        self.m = m\nclass D(dict):\n    def total(self): return sum(self.values())\n"
        "d = D(a=1)\nd['b'] = 2\n(A('x').m, d.total(), d)"
    ),
    "attributes of functions": (
        "def f():\n    f.calls += 1\n    return f.calls\nf.calls = 0\nf(); f()"
    ),
    "chained and multiple targets": "a = b = [1]\nx, y = y0, x0 = 1, 2\na.append(x)\n(b, x, y, x0)",
    "for over a dict": (
        "d = {'a': (1, 2), 'b': (3, 4)}\nfor i, (k, (x, y)) in enumerate(d.items(), 1):\n"
        "    print(i, k, x + y)"
    ),
    "total ordering and abstract": (
        "from functools import total_ordering, reduce, partial\n"
        "from abc import ABC, abstractmethod\n"
        "class Base(ABC):\n    @abstractmethod\n    def n(self): ...\n@total_ordering\n"
        "class V(Base):\n    def __init__(self, v): self.v = v\n    def n(self): return self.v\n"
        "    def __eq__(self, o): return self.v == o.v\n"
        "    def __lt__(self, o): return self.v < o.v\n"
        "try:\n    Base()\nexcept TypeError:\n    print('abstract')\n"
        "(V(1) <= V(2), reduce(lambda a, b: a * b, [1, 2, 3]), partial(pow, 2)(5))"
    ),
}
"""What models write: each runs without an error, and does the same everywhere."""
