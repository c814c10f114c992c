from __future__ import annotations

import json
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from rlm.cli import doctor
from rlm.cli.app import run_app


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")


def findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, str]]:
    run_app(["doctor", "--json", *arguments])
    return {found["name"]: found for found in json.loads(capsys.readouterr().out)}


def test_the_doctor_runs_a_cell_in_the_process_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["doctor"]) == 0
    assert "runs a cell" in capsys.readouterr().out


def test_the_doctor_names_keys_and_never_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    found = findings(capsys)
    assert "OPENAI_API_KEY" in found["keys"]["text"]
    assert "secret" not in json.dumps(found)


def test_the_doctor_knows_packages_prices_and_encodings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = findings(capsys)
    assert found["pydantic"]["state"] == found["google.genai"]["state"] == "ok"
    assert "models" in found["prices"]["text"]
    assert "tiktoken" in found["tokens"]["text"]


def test_a_sandbox_that_does_not_start_is_bad_and_exits_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys._base_executable", str(tmp_path / "no-python"))
    assert run_app(["doctor", "--json"]) == 1
    found = {f["name"]: f for f in json.loads(capsys.readouterr().out)}
    assert found["process"]["state"] == "bad"


def test_another_package_of_the_same_name_is_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    metadata = tmp_path / "rlms-9.9.dist-info"
    metadata.mkdir()
    text = "Metadata-Version: 2.1\nName: rlms\nVersion: 9.9\n"
    (metadata / "METADATA").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = findings(capsys)
    assert found["rlms"]["state"] == "bad"
    assert "rlms 9.9" in found["rlms"]["text"]


def test_a_folder_of_logs_that_cannot_be_made_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert findings(capsys, "--log-dir", "file/logs")["logs"]["state"] == "note"
    assert findings(capsys, "--log-dir", "new")["logs"]["state"] == "ok"
    assert not (tmp_path / "new").exists()


def test_a_part_that_breaks_is_a_finding_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(provider: str | None = None) -> list[str]:
        raise ValueError("the table is torn")

    monkeypatch.setattr("rlm.catalog.models", broken)
    found = {finding.name: finding for finding in doctor.examine("logs")}
    assert found["prices"].text == "ValueError: the table is torn"
    assert found["logs"].state == "ok"


def test_a_docker_engine_is_asked_for_its_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    where = tmp_path / "engine.sock"
    with _Engine(str(where), _Version) as engine:
        threading.Thread(target=engine.handle_request, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{where}")
        found = {finding.name: finding for finding in doctor.examine("logs")}
    assert found["docker"].state == "ok"
    assert "engine 28.1" in found["docker"].text


def test_no_docker_engine_is_worth_a_note_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    found = {finding.name: finding for finding in doctor.examine("logs")}
    assert found["docker"].state == "note"
    assert "none.sock" in found["docker"].text


class _Engine(socketserver.UnixStreamServer):
    """Listens where a Docker engine would."""

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, _ = super().get_request()
        return connection, ("local", 0)


class _Version(BaseHTTPRequestHandler):
    """Answers as a Docker engine does."""

    def do_GET(self) -> None:
        body = json.dumps({"Version": "28.1"}).encode()
        self.send_response(200 if self.path == "/version" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
