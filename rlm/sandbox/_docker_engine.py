"""The Docker engine, through its SDK: every method blocks, so it is called from a thread."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rlm.errors import SandboxError
from rlm.sandbox._docker_address import START_ONE, Address
from rlm.sandbox._docker_owner import Owner
from rlm.sandbox._docker_tls import plain

__all__ = ["Engine", "MountRefused", "NoSuchContainer"]

_OLDEST_API = (1, 40)
_REQUEST_SECONDS = 60
_BUILD_SECONDS = 600
_USER = "65534:65534"

_log = logging.getLogger("rlm")


class MountRefused(SandboxError):
    """The engine does not see this machine's folders: it runs elsewhere."""


class NoSuchContainer(SandboxError):
    """The engine has no container of that name, or it does not run."""


class Engine:
    """A connection to the engine that DOCKER_HOST names.

    `local` says whether it probably sees this machine's files, `is_docker` whether it is Docker's
    own: Podman's takes fewer options. SandboxError says what to do when
    none answers, ConfigurationError when its address cannot be used.
    """

    def __init__(self, connect_timeout: float) -> None:
        address = Address.of_environment()
        self.local = address.local
        with _explained(f"no Docker engine answers at {address.host}", START_ONE):
            address.knock(connect_timeout)
            self._api, self.is_docker = _client(address, connect_timeout)
        self._api.timeout = _REQUEST_SECONDS
        api = str(self._api.api_version)
        if tuple(map(int, api.split("."))) < _OLDEST_API:
            self.close()
            raise SandboxError(
                f"the Docker engine at {address.host} is too old: it speaks API {api}, and"
                f" {'.'.join(map(str, _OLDEST_API))} is needed (Docker 19.03); upgrade it"
            )

    def sweep(self) -> None:
        """Remove the containers of processes of this host that are no more, but for kept ones."""
        for labels in self.labelled(Owner.mine().filter):
            owner = Owner.of(labels)
            if owner is not None and not owner.keeps and not owner.alive:
                self.remove(labels["id"])

    def labelled(self, *filters: str) -> list[dict[str, str]]:
        """Return the labels of the containers that have these, with `id`, `image` and `status`."""
        with _explained("the Docker engine cannot list containers"):
            found = self._api.containers(all=True, filters={"label": list(filters)})
        return [
            {**each["Labels"], "id": each["Id"], "image": each["Image"], "status": each["Status"]}
            for each in found
        ]

    def create(
        self,
        image: str,
        command: Sequence[str],
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
                    command=list(command[1:]),
                    entrypoint=list(command[:1]),
                    environment=dict(environment),
                    labels=dict(labels),
                    user=_USER,
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
            if mounts and _is_refused_mount(str(cause)):
                raise MountRefused(str(error)) from cause
            raise
        _warn(made.get("Warnings") or ())
        return str(made["Id"])

    def attach(self, container: str) -> socket.socket:
        """Attach to the streams of a container that has not been started; the socket is ours."""
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        with _explained("the Docker engine does not attach"):
            return plain(self._api.attach_socket(container, params=streams))

    def start(self, container: str) -> None:
        """Start a container."""
        with _explained("the Docker engine does not start the container"):
            self._api.start(container)

    def execute(self, container: str, command: Sequence[str]) -> socket.socket:
        """Start a further process in a running container, and return its streams, which are ours.

        It has the container's user, environment and walls.
        """
        with self._of(container, "the Docker engine starts nothing in the container"):
            made = self._api.exec_create(container, list(command), stdin=True, workdir="/")
            return plain(self._api.exec_start(made["Id"], socket=True))

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container, by its id or name."""
        with self._of(container, "the Docker engine does not show the container"):
            found: dict[str, Any] = self._api.inspect_container(container)
        return found

    def allow_memory(self, container: str, size: int) -> None:
        """Let a running container use so many bytes; not every engine and runtime can."""
        with _explained("the Docker engine does not change the container's memory"):
            self._api.update_container(container, mem_limit=size, memswap_limit=size)

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

    @contextlib.contextmanager
    def _of(self, container: str, what: str) -> Iterator[None]:
        """Tell a container that is not there, or does not run, from all else that goes wrong."""
        from docker import errors

        try:
            with _explained(what):
                yield
        except SandboxError as error:
            cause = error.__cause__
            if isinstance(cause, errors.APIError) and cause.status_code in (404, 409):
                raise NoSuchContainer(f"{what} {container!r}: {cause.explanation}") from cause
            raise


def _client(address: Address, timeout: float) -> tuple[Any, bool]:
    """Return the SDK's client, which speaks what the engine does, and whether that is Docker."""
    from docker import APIClient

    def client(version: str) -> Any:
        made = APIClient(**address.options(), timeout=timeout, version=version)
        if address.tls:
            made.trust_env = False  # else REQUESTS_CA_BUNDLE has more to say than DOCKER_CERT_PATH
        return made

    with contextlib.closing(client(".".join(map(str, _OLDEST_API)))) as asking:
        told = asking.version(api_version=False)
    parts = [str(part.get("Name")) for part in told.get("Components") or ()]
    return client(told["ApiVersion"]), "Podman Engine" not in parts


def _is_refused_mount(said: str) -> bool:
    """Say whether an engine, Docker's or Podman's, means that it does not see what to mount."""
    return "bind source path does not exist" in said or (
        "statfs" in said and "no such file or directory" in said
    )


def _warn(warnings: Sequence[str]) -> None:
    """Pass on what the engine could not do of what was asked, but for a network nobody has."""
    for warning in warnings:
        if "forwarding" not in warning and "networking" not in warning.lower():
            _log.warning("the Docker engine: %s", warning)


def _missing(image: str) -> str:
    how = "`rlm docker build`" if image.split(":")[0] == "rlm/repl" else f"`docker pull {image}`"
    return f"the image {image!r} is not there: get it with {how}; runs download nothing"


@contextlib.contextmanager
def _explained(what: str, advice: str = "") -> Iterator[None]:
    """Say what did not work in our words, with the engine's own."""
    from requests import RequestException

    from docker import errors

    try:
        yield
    except PermissionError as error:
        raise SandboxError(
            f"{what}: {error.strerror}: this user may not use its socket; be a member of the group"
            " that owns it (often `docker`), or name an engine of your own in DOCKER_HOST"
        ) from error
    except (errors.DockerException, RequestException, OSError, ValueError) as error:
        said = getattr(error, "explanation", None) or str(error)
        raise SandboxError(f"{what}: {said}" + (f"; {advice}" if advice else "")) from error
