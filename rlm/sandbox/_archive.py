"""The guest as one zip, for whatever starts it elsewhere."""

from __future__ import annotations

import functools
import importlib.util
import io
import marshal
import types
import zipfile
from importlib import resources
from importlib.abc import InspectLoader

__all__ = ["archive"]

_MAIN = "from guest.__main__ import main\nmain()\n"
_NEVER_CHECKED = 1
"""What a compiled module says of itself that is used as it is, whatever its source."""


@functools.cache
def archive() -> bytes:
    """Return a zip that Python 3.9+ runs as a program: the package `guest` and its beginning.

    Its modules are there as source, and compiled for a Python that is like this one: to compile
    them takes longer than all else that a guest does at its start.
    """
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("__main__.py", _MAIN)
        for entry in sorted(resources.files("rlm.guest").iterdir(), key=lambda entry: entry.name):
            module, dot, kind = entry.name.partition(".")
            if dot + kind == ".py":
                file.writestr(f"guest/{entry.name}", entry.read_text(encoding="utf-8"))
                file.writestr(f"guest/{entry.name}c", _compiled(module))
    return made.getvalue()


def _compiled(module: str) -> bytes:
    """Return a module of the guest as bytecode, which is passed over by another Python."""
    name = "rlm.guest" if module == "__init__" else f"rlm.guest.{module}"
    spec = importlib.util.find_spec(name)
    assert spec is not None and isinstance(spec.loader, InspectLoader)
    code = spec.loader.get_code(name)
    assert code is not None
    head = importlib.util.MAGIC_NUMBER + _NEVER_CHECKED.to_bytes(4, "little") + bytes(8)
    return head + marshal.dumps(_at_home(code, f"guest/{module}.py"))


def _at_home(code: types.CodeType, path: str) -> types.CodeType:
    """Return code without the path that it has on this machine."""
    within = (
        _at_home(each, path) if isinstance(each, types.CodeType) else each
        for each in code.co_consts
    )
    return code.replace(co_filename=path, co_consts=tuple(within))
