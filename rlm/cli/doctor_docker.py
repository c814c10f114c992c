"""The Docker engine as a doctor sees it: asked over its socket, without the SDK."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from rlm.cli.doctor_findings import Finding

__all__ = ["Engine", "look_at_engine"]

_TIMEOUT = 5.0
_INSTALL = (
    "install Docker (https://docs.docker.com/engine/install/), or Podman: systemctl --user start"
    " podman.socket, export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/podman/podman.sock"
)
_START = "sudo systemctl start docker, or say in DOCKER_HOST where an engine is"
_FORWARD = "export DOCKER_HOST=unix:///PATH, a socket on this machine"
_UNSET = "DOCKER_HOST says so: unset it to use the engine of this machine, or start one there"


@dataclass(frozen=True)
class Engine:
    """What was found out of an engine; without one `findings` say why, and how to get one."""

    answers: bool
    findings: tuple[Finding, ...]


def look_at_engine(image: str, runtime: str | None = None) -> Engine:
    """Ask the engine that DOCKER_HOST names for its version, its runtimes and an image."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        version, info = _asked(host, "/version"), _asked(host, "/info")
        found = _asked(host, f"/images/{quote(image, safe='/:@')}/json")
    except (OSError, HTTPException, ValueError, LookupError) as error:
        said = f"no engine answers at {host}: {_why(error)}"
        return Engine(False, (Finding("note", "engine", said, _way_in(host, error)),))
    return Engine(
        True,
        (
            Finding("ok", "engine", _described(host, version, info)),
            *_runtimes(info, runtime),
            _image(image, found),
        ),
    )


def _described(host: str, version: dict[str, Any], info: dict[str, Any]) -> str:
    parts = [f"{version.get('Version', '?')}, API {version.get('ApiVersion', '?')}, at {host}"]
    if info.get("CgroupVersion"):
        parts.append(f"cgroups {info['CgroupVersion']} by {info.get('CgroupDriver', '?')}")
    if any("rootless" in str(option) for option in info.get("SecurityOptions") or ()):
        parts.append("rootless")
    return "; ".join(parts)


def _runtimes(info: dict[str, Any], wanted: str | None) -> list[Finding]:
    there = sorted(info.get("Runtimes") or {})
    default = info.get("DefaultRuntime") or "its own"
    said = f"{', '.join(there) or default}; {default} unless another is asked for"
    if wanted is not None and there and wanted not in there:
        return [Finding("note", "runtimes", f"{wanted!r} is not among {said}", _get(wanted))]
    return [Finding("ok", "runtimes", said)]


def _get(runtime: str) -> str:
    if runtime.startswith("runsc"):
        return "install gVisor (https://gvisor.dev), sudo runsc install, restart the engine"
    return f"name {runtime} in /etc/docker/daemon.json under runtimes, restart the engine"


def _image(image: str, found: dict[str, Any]) -> Finding:
    if "Id" not in found:
        how = "rlm docker build" if image.split(":")[0] == "rlm/repl" else f"docker pull {image}"
        return Finding("note", "image", f"{image} is not there; runs download nothing", how)
    size = int(found.get("Size") or 0) >> 20
    made = str(found.get("Created") or "").partition("T")[0]
    return Finding("ok", "image", f"{image}, {size} MB" + (f", of {made}" if made else ""))


def _asked(host: str, path: str) -> dict[str, Any]:
    """Return what the engine answers; an empty mapping where it has no such thing."""
    with closing(_line(host)) as line:
        line.request("GET", path)
        answer = line.getresponse()
        body = answer.read()
        if path == "/version" and answer.status != 200:
            raise ValueError(f"it answers {answer.status}: no Docker engine")
    told = json.loads(body) if answer.status == 200 else {}
    return told if isinstance(told, dict) else {}


def _line(host: str) -> HTTPConnection:
    url = urlsplit(host)
    if url.scheme not in ("unix", "tcp", "http", "https"):
        raise ValueError(f"a {url.scheme} address is not tried here")
    where, port = url.hostname or "localhost", url.port
    certificates = os.environ.get("DOCKER_CERT_PATH")
    if url.scheme != "unix" and (certificates or os.environ.get("DOCKER_TLS_VERIFY")):
        return HTTPSConnection(where, port, timeout=_TIMEOUT, context=_secured(certificates))
    line = HTTPConnection(where, port, timeout=_TIMEOUT)
    if url.scheme == "unix":
        line.sock = socket.socket(socket.AF_UNIX)
        line.sock.settimeout(_TIMEOUT)
        try:
            line.sock.connect(url.path)
        except OSError:
            line.close()
            raise
    return line


def _secured(certificates: str | None) -> ssl.SSLContext:
    folder = Path(certificates or Path.home() / ".docker")
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def _why(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _way_in(host: str, error: BaseException) -> str:
    if isinstance(error, PermissionError):
        return "sudo usermod -aG docker $USER, then log in again"
    if not host.startswith(("unix:", "tcp:", "http:", "https:")):
        return _FORWARD
    if not host.startswith("unix:"):
        return "see that it listens there, and that nothing between refuses it"
    if os.environ.get("DOCKER_HOST"):
        return _UNSET
    if isinstance(error, FileNotFoundError) and not _installed():
        return _INSTALL
    return _START


def _installed() -> bool:
    return any(shutil.which(name) for name in ("dockerd", "docker"))
