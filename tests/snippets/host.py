"""Ways to change what belongs to the host: its modules, classes, values, other sessions."""

# ruff: noqa: E501 # the lines and letters of cells are theirs

from __future__ import annotations

__all__ = ["HOST"]

_EVIL = "class Evil:\n    def __eq__(self, o):\n        o['x'] = 1\n        return True\n"

HOST = {
    "a module's name": "import html\nhtml.escape = 1",
    "a module's function by for": "import math\nfor math.pi in [3]: pass",
    "a module's function by with": (
        "import math, contextlib\nwith contextlib.nullcontext(3) as math.pi: pass"
    ),
    "a module's function by comprehension": "import math\n[0 for math.pi in [3]]",
    "a module's function by unpacking": "import math\n(math.pi, x) = 3, 4",
    "a module's function by annotation": "import math\nmath.pi: int = 3",
    "a module's function by star": "import math\na, *math.tau = [1, 2]",
    "a module's function deleted": "import html\ndel html.unescape",
    "a module's dict": "import math\nmath.__dict__['pi'] = 3",
    "a module's dict updated": "import math\nmath.__dict__.update(pi=3)",
    "a module's dict by vars": "import math\nvars(math)['pi'] = 3",
    "time's sleep": "import time\ntime.sleep = print",
    "the process's stdout": "import sys, io\nsys.stdout = io.StringIO()",
    "random's function": "import random\nrandom.random = 1",
    "random's owner": "import random\nout = random.random.__self__.seed(1)",
    "a class of a module": "import collections\ncollections.Counter.most_common = 1"
    "\nout = collections.Counter.most_common",
    "a class of a module by setattr": (
        "import json\nsetattr(json.JSONEncoder, 'extra', 1)\nout = 1"
    ),
    "a class of the run": "Episode.extra = 1",
    "an error of the run": "RLMError.extra = 1",
    "an error's method": "RLMError.__str__ = len",
    "a function of the run": "llm_query.extra = 1",
    "a file's size": "doc.size = 99",
    "a file's descriptor by setattr": "setattr(doc, '_fd', 0)",
    "a file's descriptor by super": "super(type(doc), doc).__setattr__('_fd', 0)",
    "a file's name deleted": "del doc.name",
    "a file's class": "type(doc).extra = 1",
    "the history": "history.extra = 1",
    "a reply's class": "type(llm_query('a')).extra = 1",
    "a template's delimiter": "import string\nstring.Template.delimiter = '#'",
    "an enum's hook": "import enum\nenum.Enum._missing_ = 1",
    "a table of a class": (
        "import textwrap\ntable = textwrap.TextWrapper.unicode_whitespace_trans\n"
        "table[33] = 88\nassert textwrap.TextWrapper.unicode_whitespace_trans.get(33) == 88"
    ),
    "a table of a class by its instance": (
        "import textwrap\nw = textwrap.TextWrapper()\nw.unicode_whitespace_trans[33] = 88\n"
        "assert textwrap.TextWrapper().unicode_whitespace_trans.get(33) == 88"
    ),
    "a table of a class by a method": (
        "import textwrap\ntextwrap.TextWrapper.unicode_whitespace_trans.update({33: 88})\n"
        "assert textwrap.TextWrapper.unicode_whitespace_trans.get(33) == 88"
    ),
    "a table of a class by a pattern": (
        "import textwrap\nmatch textwrap.TextWrapper:\n"
        "    case object(unicode_whitespace_trans=t): t[33] = 88\n"
        "assert textwrap.TextWrapper.unicode_whitespace_trans.get(33) == 88"
    ),
    "a table of a class by a value in a pattern": (
        "import textwrap\nclass Evil:\n    def __eq__(self, o):\n        o[34] = 88\n"
        "match Evil():\n    case textwrap.TextWrapper.unicode_whitespace_trans: pass\n"
        "assert textwrap.TextWrapper.unicode_whitespace_trans.get(34) == 88"
    ),
    "metadata by a pattern": (
        _EVIL + "import dataclasses\nmatch dataclasses.field():\n"
        "    case object(metadata=m): m == Evil()\nassert 'x' in dataclasses.field().metadata"
    ),
    "another's method by a pattern": (
        "match type(history):\n    case object(forget=f): f(chunk_text)\nout = chunk_text._turns"
    ),
    "a table of a class by a protocol": (
        "import textwrap\nfrom typing import Protocol\nclass P(Protocol):\n"
        "    unicode_whitespace_trans: dict\nP._is_runtime_protocol = True\n"
        "match textwrap.TextWrapper():\n    case P(unicode_whitespace_trans=t): t[35] = 88\n"
        "assert textwrap.TextWrapper.unicode_whitespace_trans.get(35) == 88"
    ),
    "decimal's traps": (
        "import decimal\ndecimal.DefaultContext.traps.update({decimal.Inexact: True})"
    ),
    "decimal's basic context": "import decimal\ndecimal.BasicContext.clear_flags()",
    "decimal's other context": "import decimal\ndecimal.ExtendedContext.prec = 3",
    "metadata of fields": (
        _EVIL + "import dataclasses\ndataclasses.field().metadata == Evil()\n"
        "assert 'x' in dataclasses.field().metadata"
    ),
    "metadata by or": (
        "class Evil:\n    def __ror__(self, o):\n        o['y'] = 1\n        return o\n"
        "import dataclasses\ndataclasses.field().metadata | Evil()\n"
        "assert 'y' in dataclasses.field().metadata"
    ),
    "the cache of formats of dates": (
        "from datetime import datetime\nclass S(str):\n    def __eq__(self, o): return True\n"
        "    def __hash__(self): return hash('%d.%m.%Y')\n"
        "datetime.strptime('5', S('%d'))\nassert datetime.strptime('7', '%d.%m.%Y').day == 7"
    ),
    "the cache of formats by an equality of a base": (
        "class E:\n    def __eq__(self, o): return True\n"
        "    def __hash__(self): return hash('%d.%m.%Y')\nclass S(E, str): pass\nout = S('%d')"
    ),
    "the cache of formats by an enum that is not made": (
        "from enum import Enum\nkinds = []\ntry:\n    class E(str, Enum):\n        A = 'a'\n"
        "        def __init__(self, value): kinds.append(type(self))\n"
        "        def __eq__(self, o): return True\n"
        "        def __hash__(self): return hash('%d')\nexcept TypeError:\n    pass\nassert kinds"
    ),
    "the cache of formats by what fails to be a dataclass": (
        "from dataclasses import dataclass\nclass S(str): pass\n"
        "try:\n    dataclass(init=False)(S)\nexcept TypeError:\n    pass\nassert S('a') == S('b')"
    ),
    "the cache of formats by a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass S(str):\n    x: int = 0\nout = S"
    ),
    "groups of a pattern": (
        _EVIL + "import re\nre.compile('(?P<zyx>x)').groupindex == Evil()\n"
        "assert 'x' in re.compile('(?P<zyx>x)').groupindex"
    ),
    "members of an enum": (
        _EVIL + "from enum import Enum\nclass E(Enum):\n    A = 1\nE.__members__ == Evil()\n"
        "assert 'x' in E.__members__"
    ),
    "members of all enums": (
        "from enum import Enum\nclass E(Enum):\n    A = 1\n"
        "    def f(self): return super()._member_map_\n"
        "E.A.f()['x'] = 1\nassert 'x' in E.A.f()"
    ),
    "another's attribute by a method": "type(history).forget(chunk_text)",
    "another's attribute by a property": "import csv\ncsv.DictReader.fieldnames.fset(chunk_text, [1])",
    "another's attribute by a matcher": (
        "import difflib\nclass A:\n    a = b = None\ndifflib.SequenceMatcher.set_seq1(A, 'x')\n"
        "out = A.a"
    ),
    "another's attribute by a wrapper": (
        "import textwrap\nclass A: pass\ntextwrap.TextWrapper.__init__(A)\nout = A.width"
    ),
    "a wrapper's attributes": "import functools\nfunctools.update_wrapper(chunk_text, grep_text)",
    "a wrapper onto a function of the run": (
        "import functools\nfunctools.wraps(lambda: 0)(chunk_text)\n"
        "assert chunk_text.__name__ == '<lambda>'"
    ),
    "a function of the run made abstract": "import abc\nabc.abstractmethod(grep_text)",
    "overloads are kept": "import typing\nout = typing.overload.__globals__['_overload_registry']",
    "registers a codec": "import codecs\ncodecs.register(lambda n: None)",
    "at the exit": "import atexit\natexit.register(print)",
    "filters of warnings": "import warnings\nwarnings.filters.insert(0, ('ignore',))",
    "resets warnings": "import warnings\nwarnings.resetwarnings()",
    "traces": "import sys\nsys.settrace(None)",
    "a thread's hook": "import threading\nthreading.excepthook = print",
    "all threads": "import threading\nout = threading.enumerate()",
    "the environment": "import os\nout = os.environ['PATH']",
    "the environment by a function": "out = chunk_text.__globals__['re'].enum.sys.modules['os'].environ",
    "a pickle": "import pickle\nout = pickle.loads(b'cos\\ngetpid\\n(tR.')",
    "a text that is run": "import timeit\nout = timeit.timeit('1', number=1)",
    "a template that is run": "import string\nout = string.Formatter().get_field('0.__self__', [len], {})",
    "a program": "import subprocess\nout = subprocess.run(['true'])",
    "a file by a module": "import linecache\nout = linecache.getlines('/etc/passwd') or None",
    "a file by path": "from pathlib import Path\nout = Path('/etc').exists()",
    "a socket": "import socket\nout = socket.socket()",
    "a signal": "import signal\nout = signal.getsignal(2)",
    "the garbage": "import gc\nout = gc.get_objects()",
    "memory": "import ctypes\nout = ctypes.string_at(id(1), 8)",
    "a database": "import sqlite3\nout = sqlite3.connect(':memory:')",
    "a process": "import multiprocessing\nout = multiprocessing.current_process()",
}
"""Each changes something of the host that is still so afterwards, or reaches out of the process."""
