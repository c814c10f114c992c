"""Runs cells by bare `exec`, each in a process of its own with limits, as an ordinary user.

Reads a JSON list of cells from its standard input; writes a list that has, for each, what it
failed with, or null.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from typing import Any

__all__ = ["run_naively"]

_NOBODY = 65534
_LOADED = (
    "abc ast asyncio atexit base64 bisect calendar cmath code codecs collections collections.abc"
    " concurrent.futures concurrent.futures.thread contextlib copy csv ctypes dataclasses datetime"
    " decimal difflib encodings.idna enum fileinput fractions functools gc glob hashlib heapq"
    " html.parser http.client inspect io itertools json json.decoder linecache locale logging"
    " marshal math mmap multiprocessing numbers operator pathlib pdb pickle pkgutil platform pprint"
    " pydoc queue random re runpy select shutil signal site socket sqlite3 ssl statistics string"
    " struct subprocess sysconfig tempfile textwrap threading timeit token tokenize traceback types"
    " typing unicodedata urllib.parse urllib.request uuid warnings weakref xml.etree.ElementTree"
    " zipfile zipimport zlib builtins posix _io _strptime _thread _ctypes importlib colorsys"
    " os.path"
)
"""Imported beforehand: an ordinary user may not be allowed to read where this Python is."""


def run_naively(codes: list[str]) -> list[str | None]:
    """Return what each cell fails with, or None."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(codes),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=300,
    )
    return list(json.loads(done.stdout))


def _namespace() -> dict[str, Any]:
    """Return what a cell has, without what `local` does to it."""
    from rlm.guest import functions
    from rlm.guest.files import File

    def call(name: str, args: Any = (), kwargs: Any = None) -> Any:
        reply = {"text": "ok", "value": {"a": 1}}
        return {"history": [], "parallel_queries": [reply]}.get(name, reply)

    content = tempfile.TemporaryFile()  # noqa: SIM115 # lives as long as the cell
    content.write(b"a\n" * 9)
    content.flush()
    made = {
        "__name__": "__main__",
        "doc": File("doc", "text/plain", 18, content.fileno(), None),
        **functions.queries(call),
        **functions.outputs(call, ("answer",), lambda: False, lambda: None),
        **functions.local(call, list),
    }
    return {**made, **functions.aliases(made, made), "_kept": content}


def _one(code: str) -> str | None:
    from rlm.guest.cells import split

    namespace = _namespace()
    try:
        for part in split(__import__("ast").parse(code), "<cell 1>"):
            result = eval(part, namespace)
            if part.co_flags & 0x80:
                __import__("asyncio").run(result)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if re.search(r"\bout =", code) and "out" not in namespace:
        return "it has nothing"
    return None


def _confined(code: str) -> str | None:
    """Run a cell in a fork."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        for limit, value in (
            (resource.RLIMIT_CPU, 10),
            (resource.RLIMIT_AS, 4 << 30),
            (resource.RLIMIT_FSIZE, 1 << 20),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(limit, (value, value))
        said = _as_nobody(code)
        os.write(writing, json.dumps(said).encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        content = answer.read()
    _, status = os.waitpid(child, 0)
    return json.loads(content) if content else f"it ended with status {status}"


def _as_nobody(code: str) -> str | None:
    with open("/dev/null", "w", encoding="utf-8") as nowhere:
        typed, typing = os.pipe()
        os.write(typing, b"c\nc\nc\n")
        for number, fd in enumerate((typed, nowhere.fileno(), nowhere.fileno())):
            os.dup2(fd, number)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        os.chdir("/")
        return _one(code)


def main() -> None:
    """Answer on the standard output."""
    codes = json.load(sys.stdin)
    for name in _LOADED.split():
        __import__(name)
    import rlm.guest.cells
    import rlm.guest.functions  # noqa: F401

    json.dump([_confined(code) for code in codes], sys.stdout)


if __name__ == "__main__":
    main()
