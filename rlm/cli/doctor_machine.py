"""What this machine has for a run, apart from sandboxes: packages, keys, prices, logs."""

from __future__ import annotations

import os
import platform

from rlm.cli.doctor_findings import Finding, examined

__all__ = ["examine_machine"]

PACKAGES = {
    "pydantic": "pydantic",
    "aiohttp": "aiohttp",
    "litellm": "litellm",
    "google.genai": "google-genai",
    "docker": "docker",
    "RestrictedPython": "RestrictedPython",
    "tiktoken": "tiktoken",
    "rich": "rich",
    "typer": "typer",
    "IPython": "ipython",
}
"""What rlm uses, by import name; only IPython is optional."""

SAME_NAME = ("rlms", "recursive-llm", "rlm")
"""Distributions that install a package `rlm` of their own."""


def examine_machine(log_dir: str) -> list[Finding]:
    """Look at everything that runs need beside a sandbox; `log_dir` is the folder of logs."""
    return examined(
        {
            "rlm": _versions,
            "packages": _packages,
            "keys": _keys,
            "prices": _prices,
            "tokens": _encodings,
            "logs": lambda: [_log_dir(log_dir)],
        }
    )


def _versions() -> list[Finding]:
    from rlm import __version__

    own = f"{__version__} on Python {platform.python_version()}, {platform.platform()}"
    found = [Finding("ok", "rlm", own)]
    for other in SAME_NAME:
        if (theirs := _version_of(other)) is not None:
            said = f"{other} {theirs} installs a package `rlm` too and overwrites files of this one"
            mend = f"pip uninstall {other}, then pip install --force-reinstall rlm-runtime"
            found.append(Finding("bad", other, said, mend))
    return found


def _packages() -> list[Finding]:
    there, found = [], []
    for module, distribution in PACKAGES.items():
        if _importable(module):
            there.append(f"{distribution} {_version_of(distribution) or 'of unknown version'}")
        elif module == "IPython":
            said = "not installed; rlm console works without it"
            found.append(Finding("note", module, said, "pip install ipython"))
        else:
            found.append(Finding("bad", module, "not installed", f"pip install {distribution}"))
    return [Finding("ok", "packages", ", ".join(there)), *found]


def _version_of(distribution: str) -> str | None:
    """Return the version of an installed distribution, or `None`."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _importable(module: str) -> bool:
    """Whether there is such a module; a submodule is looked for without importing its parent."""
    from importlib.machinery import PathFinder

    path = None
    for part in module.split("."):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            return False
        path = list(spec.submodule_search_locations or [])
    return True


def _keys() -> list[Finding]:
    from rlm.cli.models import keys_set

    default = os.environ.get("RLM_MODEL")
    model = Finding("ok", "RLM_MODEL", default) if default else None
    unset = Finding(
        "note",
        "RLM_MODEL",
        "not set: every run has to name a model with -m",
        "export RLM_MODEL=gemini/gemini-3.1-pro-preview",
    )
    keys = keys_set()
    none = Finding("note", "keys", "none set; offline/needle and rlm demo need none")
    return [model or unset, Finding("ok", "keys", ", ".join(keys)) if keys else none]


def _prices() -> list[Finding]:
    from rlm import catalog

    count = len(catalog.models())
    if count:
        return [Finding("ok", "prices", f"{count:,} models in litellm's table")]
    return [Finding("note", "prices", "litellm's table is not there: costs will be unknown")]


def _encodings() -> list[Finding]:
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("litellm")
    folders = (spec and spec.submodule_search_locations) or ()
    for folder in folders:
        files = Path(folder, "litellm_core_utils", "tokenizers")
        if any(path.stat().st_size > 500_000 for path in files.glob("*") if path.is_file()):
            return [Finding("ok", "tokens", f"tiktoken's encodings are in {files}")]
    return [Finding("note", "tokens", "no encodings on disk: token counts are estimates")]


def _log_dir(folder: str) -> Finding:
    """Try the folder of logs, or the nearest that exists above it, without leaving anything."""
    import tempfile
    from pathlib import Path

    path = Path(folder).expanduser().absolute()
    try:
        nearest = next(parent for parent in (path, *path.parents) if parent.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        said = f"{path} cannot be written: {error.strerror}"
        return Finding("note", "logs", said, "give another folder with --log-dir")
    return Finding(
        "ok", "logs", f"{path} can be written" if path == nearest else f"{path} can be made"
    )
