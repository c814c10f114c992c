"""An engine that is reached over TLS, as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH say."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from in_containers import cells, containers

from rlm.errors import SandboxError
from rlm.sandbox._docker_tls import plain


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ca.pem`, `cert.pem` and `key.pem`, for both sides at once."""
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=engine",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    return folder


@contextmanager
def served(certificates: Path, path: str) -> Iterator[int]:
    """Serve what listens at a Unix socket over TLS; yield the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
        except (OSError, ssl.SSLError):
            pass  # the test's side has gone
        finally:
            target.close()

    async def serve(near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        far, to_far = await asyncio.open_unix_connection(path)
        await asyncio.gather(carry(near, to_far), carry(far, to_near))

    ready = threading.Event()
    known: list[int] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            known.append(server.sockets[0].getsockname()[1])
            ready.set()
            await stop.wait()
        await asyncio.sleep(0.05)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    ready.wait()
    try:
        yield known[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.mark.docker
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the server's ends
def test_an_engine_behind_tls_runs_cells(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def echo(value: bytes) -> bytes:
        return value

    path = os.environ["DOCKER_HOST"].removeprefix("unix://")
    with served(certificates, path) as port, monkeypatch.context() as patched:
        patched.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        with pytest.raises(SandboxError, match="no Docker engine answers"):
            cells("1")
        patched.setenv("DOCKER_TLS_VERIFY", "1")
        patched.setenv("DOCKER_CERT_PATH", str(certificates))
        [done] = cells(
            "big = bytes(range(256)) * 40_000\n(len(context), echo(big) == big)",
            inputs={"context": "ü" * 3_000_000}, functions={"echo": echo},
        )  # fmt: skip
    assert done.value == "(3000000, True)"
    assert containers() == {}


def test_a_plain_stream_of_a_tls_one_carries_all_and_ends_with_it(certificates: Path) -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    client_side = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    near, far = socket.socketpair()
    sent = os.urandom(3_000_000)
    received: list[bytes] = []

    def serve() -> None:
        with server_side.wrap_socket(far, server_side=True) as line:
            while sum(map(len, received)) < len(sent):
                received.append(line.recv(1 << 16))
            line.sendall(sent)

    server = threading.Thread(target=serve)
    server.start()
    with plain(client_side.wrap_socket(near, server_hostname="127.0.0.1")) as ours:
        ours.sendall(sent)
        back = b""
        while piece := ours.recv(1 << 16):
            back += piece
    server.join()
    assert b"".join(received) == sent == back
