"""Where the Docker engine is, as DOCKER_HOST and its companions say, and whether one listens."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any

from rlm.errors import ConfigurationError

__all__ = ["START_ONE", "Address"]

_DEFAULT_HOST = "unix:///var/run/docker.sock"

START_ONE = (
    "start one, or say where it is in DOCKER_HOST (`docker version` asks the same one), or use"
    " sandbox='process'"
)


@dataclass(frozen=True, slots=True)
class Address:
    """The address of an engine: `unix://` or `tcp://`, the latter with or without TLS.

    Certificates are those of DOCKER_CERT_PATH, as for the `docker` command.
    """

    host: str
    tls: bool = False

    @staticmethod
    def of_environment() -> Address:
        """Return the address that the environment gives, or raise ConfigurationError."""
        host = os.environ.get("DOCKER_HOST") or _DEFAULT_HOST
        tls = bool(os.environ.get("DOCKER_TLS_VERIFY") or os.environ.get("DOCKER_CERT_PATH"))
        if not host.startswith(("unix://", "tcp://", "http://", "https://")):
            raise ConfigurationError(
                f"DOCKER_HOST is {host!r}: the docker sandbox reaches an engine by unix:// or"
                " tcp://; forward its socket (`ssh -L engine.sock:/var/run/docker.sock HOST`) and"
                " name that"
            )
        return Address(host, tls and not host.startswith("unix://"))

    @property
    def local(self) -> bool:
        """Whether an engine there probably sees this machine's files."""
        return self.host.startswith("unix:")

    def options(self) -> dict[str, Any]:
        """Return the SDK's arguments, or raise ConfigurationError where certificates are missing.

        It reads the environment for the certificates only.
        """
        if not self.tls:
            return {"base_url": self.host}
        from docker.utils import kwargs_from_env

        from docker import errors

        try:
            found: dict[str, Any] = kwargs_from_env()
        except errors.TLSParameterError as error:
            raise ConfigurationError(
                f"the certificates for {self.host} cannot be used: {error.args[0]};"
                " DOCKER_CERT_PATH names the folder of ca.pem, cert.pem and key.pem"
            ) from error
        return found

    def knock(self, timeout: float) -> None:
        """Fail at once where nobody listens; the SDK would leave a socket open."""
        if self.local:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(timeout)
                sock.connect(self.host.removeprefix("unix://"))
