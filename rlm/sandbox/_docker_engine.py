"""The Docker engine, through its SDK: every method blocks, so it is called from a thread."""

from __future__ import annotations

import contextlib
import io
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from rlm.errors import ConfigurationError, SandboxError
from rlm.sandbox._docker_owner import Owner

__all__ = ["Engine", "MountRefused"]

_OLDEST_API = (1, 40)
_REQUEST_SECONDS = 60
_BUILD_SECONDS = 600
_DEFAULT_HOST = "unix:///var/run/docker.sock"


class MountRefused(SandboxError):
    """The engine does not see this machine's folders: it runs elsewhere."""


class Engine:
    """A connection to the engine that DOCKER_HOST names.

    `local` says whether it probably sees this machine's files. SandboxError says what to do when
    none answers, ConfigurationError when its address cannot be used.
    """

    def __init__(self, connect_timeout: float) -> None:
        from docker import APIClient

        host = _host()
        self.local = host.startswith("unix:")
        with _explained(f"no Docker engine answers at {host}", _START_ONE):
            _knock(host, connect_timeout)
            self._api = APIClient(base_url=host, timeout=connect_timeout, version="auto")
        self._api.timeout = _REQUEST_SECONDS
        api = str(self._api.api_version)
        if tuple(map(int, api.split("."))) < _OLDEST_API:
            self.close()
            raise SandboxError(
                f"the Docker engine at {host} is too old: it speaks API {api}, and"
                f" {'.'.join(map(str, _OLDEST_API))} is needed (Docker 19.03); upgrade it"
            )

    def sweep(self) -> None:
        """Remove the containers of processes of this host that are no more."""
        with _explained("the Docker engine cannot list containers"):
            for found in self._api.containers(all=True, filters={"label": Owner.mine().filter}):
                owner = Owner.of(found["Labels"])
                if owner is not None and not owner.alive:
                    self.remove(found["Id"])

    def create(
        self,
        image: str,
        command: list[str],
        environment: Mapping[str, str],
        labels: Mapping[str, str],
        mounts: Mapping[str, str],
        **host_config: Any,
    ) -> str:
        """Create a container that nothing but its attached streams and these mounts connects."""
        from docker.types import Mount

        from docker import errors

        bound = [Mount(at, source, type="bind", read_only=True) for source, at in mounts.items()]
        config = self._api.create_host_config(mounts=bound, auto_remove=True, **host_config)
        config["LogConfig"] = {"Type": "none", "Config": {}}  # the wire is nobody's log
        try:
            with _explained("the Docker engine does not create the container"):
                made = self._api.create_container(
                    image,
                    command=command[1:],
                    entrypoint=command[:1],
                    environment=dict(environment),
                    labels=dict(labels),
                    user="65534:65534",
                    working_dir="/",
                    stdin_open=True,
                    use_config_proxy=False,  # a proxy's address may hold a password
                    healthcheck={"test": ["NONE"]},
                    host_config=config,
                )
        except SandboxError as error:
            cause = error.__cause__
            if isinstance(cause, errors.ImageNotFound):
                raise SandboxError(_missing(image)) from cause
            if mounts and "bind source path does not exist" in str(cause):
                raise MountRefused(str(error)) from cause
            raise
        return str(made["Id"])

    def attach(self, container: str) -> socket.socket:
        """Attach to the streams of a container that has not been started; the socket is ours."""
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        with _explained("the Docker engine does not attach"):
            theirs = self._api.attach_socket(container, params=streams)
        response = theirs._response  # the SDK keeps it there, so that it stays open
        try:
            ours = socket.socket(fileno=os.dup(theirs.fileno()))
            ours.setblocking(True)  # the SDK's time-out is a property of the descriptor
        finally:
            response.close()
        return ours

    def start(self, container: str) -> None:
        """Start a container."""
        with _explained("the Docker engine does not start the container"):
            self._api.start(container)

    def remove(self, container: str) -> None:
        """Kill and remove a container, and wait until it is gone."""
        from docker import errors

        with (
            _explained("the Docker engine does not remove the container"),
            contextlib.suppress(errors.NotFound),
        ):
            try:
                self._api.remove_container(container, force=True)
            except errors.APIError as error:
                if error.status_code != 409:  # 409: it is being removed
                    raise
                self._api.wait(container, condition="removed")

    def has(self, image: str) -> bool:
        """Say whether an image is there."""
        with _explained("the Docker engine does not list its images"):
            return bool(self._api.images(image))

    def build(self, dockerfile: bytes, base: str, tag: str) -> str:
        """Build an image from a Dockerfile that takes BASE, without a network; return its id."""
        with _explained(f"the Docker engine does not build {tag}"):
            steps = self._api.build(
                fileobj=io.BytesIO(dockerfile),
                buildargs={"BASE": base},
                tag=tag,
                network_mode="none",
                forcerm=True,
                decode=True,
                timeout=_BUILD_SECONDS,
            )
            image = ""
            for step in steps:
                if "error" in step:
                    raise SandboxError(f"{tag} cannot be built from {base}: {step['error']}")
                image = step.get("aux", {}).get("ID", image)
        return image

    def close(self) -> None:
        """Close the connection."""
        self._api.close()


_START_ONE = (
    "start one, or say where it is in DOCKER_HOST (`docker version` asks the same one), or use"
    " sandbox='process'"
)


def _knock(host: str, timeout: float) -> None:
    """Fail at once where nobody listens; the SDK would leave a socket open."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout)
            sock.connect(host.removeprefix("unix://"))


def _missing(image: str) -> str:
    how = "`rlm docker build`" if image.split(":")[0] == "rlm/repl" else f"`docker pull {image}`"
    return f"the image {image!r} is not there: get it with {how}; runs download nothing"


def _host() -> str:
    host = os.environ.get("DOCKER_HOST") or _DEFAULT_HOST
    if not host.startswith(("unix://", "tcp://", "http://")) or os.environ.get("DOCKER_TLS_VERIFY"):
        raise ConfigurationError(
            f"DOCKER_HOST is {host!r}: the docker sandbox reaches an engine by unix:// or by tcp://"
            " without TLS; forward its socket (`ssh -L engine.sock:/var/run/docker.sock HOST`) and"
            " name that"
        )
    return host


@contextlib.contextmanager
def _explained(what: str, advice: str = "") -> Iterator[None]:
    """Say what did not work in our words, with the engine's own."""
    from requests import RequestException

    from docker import errors

    try:
        yield
    except (errors.DockerException, RequestException, OSError, ValueError) as error:
        said = getattr(error, "explanation", None) or str(error)
        raise SandboxError(f"{what}: {said}" + (f"; {advice}" if advice else "")) from error
