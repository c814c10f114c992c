"""`rlm doctor`: what this machine has for a run, tried and not guessed."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import typer

__all__ = ["Finding", "doctor", "examine"]

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

_CELL = "import sys; print(sum(range(101)), sys.version_info[0])"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `ok`, `note` (worth knowing) or `bad` (runs will fail)."""

    state: Literal["ok", "note", "bad"]
    name: str
    text: str


def doctor(
    log_dir: Annotated[
        str, typer.Option(metavar="DIR", help="The folder of logs to try.")
    ] = "logs",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what this machine has for a run, and what is missing.

    It starts the process sandbox and runs a real cell in it; the exit code
    is 1 when that fails. Keys are named, never shown. No network is used.
    """
    from rlm.cli import exits, terminal
    from rlm.sinks.wording import one_line

    findings = examine(log_dir)
    if as_json:
        terminal.write_json([asdict(finding) for finding in findings])
    else:
        console = terminal.output_console()
        wide = max(len(finding.name) for finding in findings)
        style = {"ok": "green", "note": "yellow", "bad": "red"}
        for finding in findings:
            console.print(f"{finding.state:<5}", style=style[finding.state], end="")
            console.print(f"{finding.name:<{wide}}  {one_line(finding.text)}", soft_wrap=True)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(exits.FAILURE)


def examine(log_dir: str) -> list[Finding]:
    """Look at everything, each part by itself: one that breaks is a finding, not the end."""
    parts: dict[str, Callable[[], list[Finding]]] = {
        "rlm": _versions,
        "packages": _packages,
        "keys": _keys,
        "prices": _prices,
        "tokens": _encodings,
        "process": _process_sandbox,
        "docker": _docker,
        "logs": lambda: [_log_dir(log_dir)],
    }
    found: list[Finding] = []
    for name, look in parts.items():
        try:
            found += look()
        except Exception as error:  # whatever breaks here is what a doctor is asked about
            found.append(Finding("bad", name, f"{type(error).__name__}: {error}"))
    return found


def _versions() -> list[Finding]:
    from rlm import __version__

    own = f"{__version__} on Python {platform.python_version()}, {platform.platform()}"
    found = [Finding("ok", "rlm", own)]
    for other in SAME_NAME:
        if (theirs := version_of(other)) is not None:
            said = f"{other} {theirs} installs a package `rlm` too and overwrites files of this one"
            found.append(Finding("bad", other, f"{said}: pip uninstall {other}, then reinstall"))
    return found


def _packages() -> list[Finding]:
    found = []
    for module, distribution in PACKAGES.items():
        if _importable(module):
            found.append(Finding("ok", module, version_of(distribution) or "version unknown"))
        elif module == "IPython":
            found.append(Finding("note", module, "not installed; rlm console works without it"))
        else:
            found.append(Finding("bad", module, f"not installed: pip install {distribution}"))
    return found


def version_of(distribution: str) -> str | None:
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
    unset = Finding("note", "RLM_MODEL", "not set: every run needs -m, or set it")
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


def _process_sandbox() -> list[Finding]:
    import asyncio

    from rlm.cli.cell import run_cell
    from rlm.sandbox.base import CellLimits

    ran, facts = asyncio.run(run_cell(_CELL, "process", {}, CellLimits(seconds=20)))
    if ran.stdout.split() != ["5050", str(sys.version_info[0])]:
        why = f"{ran.error.type}: {ran.error.message}" if ran.error else repr(ran.stdout)
        return [Finding("bad", "process", f"the sandbox does not run a cell: {why}")]
    found = [Finding("ok", "process", f"runs a cell ({ran.seconds * 1000:.1f} ms)")]
    return [*found, *(_fact(name, value) for name, value in facts.items())]


def _fact(name: str, value: object) -> Finding:
    lacks = value is False or value is None or (name == "missing" and bool(value))
    if isinstance(value, list | tuple):
        said = ", ".join(map(str, value)) or "nothing"
    elif isinstance(value, bool):
        said = "yes" if value else "no"
    else:
        said = str(value)
    return Finding("note" if lacks else "ok", f"  {name}", said)


def _docker() -> list[Finding]:
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        return [Finding("ok", "docker", f"engine {_engine_version(host)} at {host}")]
    except (OSError, ValueError, LookupError) as error:
        said = f"no engine answers at {host}: {error}"
        return [Finding("note", "docker", f"{said}; only the docker sandbox needs one")]


def _engine_version(host: str) -> str:
    """Ask an engine for its version, without its SDK, which takes its time to fail."""
    import json
    from contextlib import closing
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    url = urlsplit(host)
    if url.scheme not in ("unix", "tcp", "http"):
        raise ValueError(f"a {url.scheme} address is not tried here")
    line = HTTPConnection(url.hostname or "localhost", url.port, timeout=3)
    with closing(line):
        if url.scheme == "unix":
            import socket

            line.sock = socket.socket(socket.AF_UNIX)
            line.sock.settimeout(3)
            line.sock.connect(url.path)
        line.request("GET", "/version")
        return str(json.loads(line.getresponse().read())["Version"])


def _log_dir(folder: str) -> Finding:
    """Try the folder of logs, or the nearest that exists above it, without leaving anything."""
    import tempfile
    from pathlib import Path

    path = Path(folder).expanduser().absolute()
    nearest = next(parent for parent in (path, *path.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        return Finding("note", "logs", f"{path} cannot be written: {error.strerror}; use --log-dir")
    return Finding(
        "ok", "logs", f"{path} can be written" if path == nearest else f"{path} can be made"
    )
