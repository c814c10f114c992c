"""Cells that fail, or do not end."""

# ruff: noqa: E501 # the lines and letters of cells are theirs

from __future__ import annotations

__all__ = ["MISTAKES", "OVERSIZED", "STUBBORN"]

MISTAKES = {
    "name": "x = 1\nprint(undefined_name)",
    "attribute": "'abc'.no_such()",
    "key": "d = {}\nd['k'] += 1",
    "index": "l = [1]\nfor i in range(3):\n    l[i]",
    "type": "def f(a): return a + 'x'\nf(1)",
    "unpacking": "a, b = [1, 2, 3]",
    "import": "from math import nothing_such",
    "assertion": "assert 1 == 2, 'not equal'",
    "recursion": "def f(n): return f(n + 1)\nf(0)",
    "syntax": "x = 1\nif x\n    pass",
    "exit": "x = 2\nexit()",
}
"""What models get wrong: the same error, told with the same line, everywhere."""

STUBBORN = {
    "loop": "while True:\n    pass",
    "bare except": "while True:\n    try:\n        while True: pass\n    except:\n        pass",
    "finally": "def f():\n    while True:\n        try:\n            while True: pass\n"
    "        finally:\n            continue\nf()",
    "recursion": "def f():\n    try:\n        f()\n    except BaseException:\n        f()\nf()",
    "comprehension": "import itertools\n[x for x in itertools.count() if x < 0]",
    "generator in C": "import itertools\nsum(0 for x in itertools.count())",
    "lambda in C": "import itertools\nall(map(lambda x: True, itertools.count()))",
    "sleep": "import time\ntime.sleep(60)",
    "await": "import asyncio\nwhile True:\n    await asyncio.sleep(0.01)",
    "except star": (
        "while True:\n    try:\n        while True: pass\n    except* BaseException:\n        pass"
    ),
    "sum of a range": "sum(range(10**12))",
    "least of a range": "min(range(10**12))",
    "an endless map": "import itertools\nmax(map(abs, itertools.count()))",
    "any of an endless iterator": "import itertools\nany(itertools.repeat(0))",
    "thread pool": (
        "from concurrent.futures import ThreadPoolExecutor\ndef f():\n    while True: pass\n"
        "with ThreadPoolExecutor(2) as p:\n    p.submit(f); p.submit(f)"
    ),
    "queue of tasks": "import asyncio\nasync def f():\n    while True: await asyncio.sleep(0)\nawait f()",
    "generator": "def g():\n    while True: yield\nfor x in g(): pass",
}
"""What does not end by itself, or does not want to."""

OVERSIZED = {
    "a text": "'a' * 10**10",
    "a list": "[0] * 10**10",
    "a list in place": "x = [0]; x *= 10**10",
    "a list in a list": "x = [[0]]; x[0] *= 10**10",
    "bytes": "bytes(10**10)",
    "a bytearray": "bytearray(10**10)",
    "a power": "10**10**8",
    "a power by name": "pow(3, 10**9)",
    "a shift": "1 << 10**12",
    "a product": "x = 1 << 60_000_000; x * x",
    "a padded text": "'a'.ljust(10**10)",
    "a padded number": "'7'.zfill(10**10)",
    "a wide format": "format(1, '10000000000')",
    "a wide field": "'{:>10000000000}'.format(1)",
    "a wide f-string": "w = 10**10; f'{1:{w}}'",
    "a wide format of bytes": "format(b'a'.decode(), '>10000000000')",
    "a listed range": "list(range(10**10))",
    "a set of a range": "set(range(10**10))",
    "a sorted iterator": "import itertools; sorted(itertools.count())",
    "joined numbers": "''.join(map(str, range(10**10)))",
    "an extended list": "x = []; x.extend(range(10**10))",
    "a dict of keys": "dict.fromkeys(range(10**10))",
}
"""What one operation would make too large for a small machine."""
