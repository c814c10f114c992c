"""Modules, and modules in modules: what each would give."""

from __future__ import annotations

__all__ = ["MODULES"]

_INSIDE = (
    "base64.struct calendar.sys concurrent.futures.thread contextlib.os"
    " contextlib.sys csv.re dataclasses.inspect dataclasses.sys"
    " enum.sys enum.bltns fractions.operator fractions.sys functools.GenericAlias"
    " hashlib.__spec__ html.parser.re inspect.os inspect.sys json.decoder"
    " math.__loader__ numbers.ABCMeta operator.methodcaller queue.threading random.SystemRandom"
    " random._os re._compiler re._parser statistics.random statistics.sys string._re"
    " struct.__spec__ sys.meta_path sys.path sys.settrace textwrap.re threading.current_thread"
    " threading.main_thread threading.settrace threading.excepthook traceback.linecache"
    " traceback.sys traceback.walk_stack types.FunctionType types.CodeType types.ModuleType"
    " types.new_class typing.sys typing.get_type_hints urllib.parse.sys uuid.os uuid.getnode"
    " warnings.sys weakref.ref asyncio.events asyncio.all_tasks asyncio.get_running_loop"
    " asyncio.current_task asyncio.subprocess copy._deepcopy_dispatch"
    " functools.singledispatch io.open_code io.TextIOWrapper abc.ABCMeta collections.UserString"
    " typing.runtime_checkable decimal.DefaultContext decimal.BasicContext heapq.__builtins__"
)
MODULES = (
    {
        f"{path}": f"import {path.split('.')[0]}\nimport {path.rpartition('.')[0]}\nout = {path}"
        for path in _INSIDE.split()
    }
    | {
        f"import {name}": f"import {name}\nout = {name}"
        for name in [
            "ctypes",
            "gc",
            "socket",
            "signal",
            "tempfile",
            "pathlib",
            "shutil",
            "glob",
            "linecache",
            "fileinput",
            "tokenize",
            "codecs",
            "zipfile",
            "sqlite3",
            "http.client",
            "urllib.request",
            "multiprocessing",
            "pickle",
            "marshal",
            "logging",
            "site",
            "runpy",
            "code",
            "pdb",
            "timeit",
            "weakref",
            "mmap",
            "select",
            "ssl",
            "platform",
            "atexit",
            "sysconfig",
            "pkgutil",
            "zipimport",
            "locale",
            "xml.etree.ElementTree",
            "builtins",
            "posix",
            "_io",
            "_thread",
            "_ctypes",
        ]
    }
    | {
        "from os import": "from os import system as out",
        "from a module's module": "from json.decoder import scanner as out",
        "from a package": "from concurrent.futures import thread as out",
        "from urllib": "from urllib import request as out",
        "from builtins": "from builtins import eval as out",
        "star from os": "from os import *\nout = system",
        "changes the first weekday": "import calendar\ncalendar.setfirstweekday(6)",
        "changes the csv limit": "import csv\ncsv.field_size_limit(1)",
        "empties the patterns": "import re\nre.purge()",
        "sets the recursion limit": "import sys\nsys.setrecursionlimit(900)",
        "interns": "import sys\nsys.intern('x')",
        "sets the zone": "import time\ntime.tzset()",
    }
)
"""Each reaches something that `local` does not hand out."""
