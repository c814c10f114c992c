"""The guest as one zip, for whatever starts it elsewhere."""

from __future__ import annotations

import functools
import io
import zipfile
from importlib import resources

__all__ = ["archive"]

_MAIN = "from guest.__main__ import main\nmain()\n"


@functools.cache
def archive() -> bytes:
    """Return a zip that Python 3.9+ runs as a program: the package `guest` and its beginning."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("__main__.py", _MAIN)
        for entry in sorted(resources.files("rlm.guest").iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                file.writestr(f"guest/{entry.name}", entry.read_text(encoding="utf-8"))
    return made.getvalue()
