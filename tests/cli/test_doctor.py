from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import pty
import re
import select
import socket
import socketserver
import subprocess
import threading
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest
from engines import need_docker
from weaker import without_namespaces

from cli.pseudo import on_a_terminal
from cli.shell import PROGRAM, environment, rlm
from rlm.cli.app import run_app
from rlm.cli.doctor import Report, examine
from rlm.cli.doctor_findings import Finding
from rlm.cli.doctor_machine import examine_machine
from rlm.cli.doctor_sandboxes import check_up
from rlm.sandbox.base import CellLimits, Place, Sandbox
from rlm.sandbox.docker import DockerSandbox
from rlm.testing import InMemorySandbox


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return what `rlm doctor --json` prints."""
    run_app(["doctor", "--json", *arguments])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def machine(log_dir: str = "logs") -> dict[str, Finding]:
    return {finding.name: finding for finding in examine_machine(log_dir)}


def sandbox(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in report["sandboxes"] if each["name"] == name]
    return dict(found)


# What is found -------------------------------------------------------------------------------


def test_the_doctor_climbs_every_wall_of_a_process_and_none_gives_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_app(["doctor", "--sandbox", "process"]) == 0
    said = capsys.readouterr().out
    for wall in ("files", "disk", "network", "processes", "signals", "memory", "cpu"):
        assert re.search(rf"held +{wall} ", said), said
    for wall in ("privileges", "system_calls", "descriptors", "environment", "siblings"):
        assert re.search(rf"held +{wall} ", said), said
    assert re.search(r"held +namespaces +\S.*2 climbs failed", said), said
    assert "untried" not in said


def test_json_has_the_keys_that_are_documented(capsys: pytest.CaptureFixture[str]) -> None:
    report = told(capsys, "--sandbox", "process")
    assert set(report) == {"ok", "machine", "kernel", "sandboxes"}
    assert report["ok"] is True
    for each in (*report["machine"], *report["kernel"]):
        assert set(each) == {"state", "name", "text", "how"}
    (found,) = report["sandboxes"]
    assert set(found) == {
        "name", "state", "text", "how", "python", "start_seconds", "cell_seconds", "findings",
        "missing", "walls", "facts",
    }  # fmt: skip
    assert found["python"].startswith("3.") and found["start_seconds"] > 0
    assert found["facts"]["sandbox"] == "process"
    for wall in found["walls"]:
        assert set(wall) == {"wall", "state", "how", "climbs"}
        for climb in wall["climbs"]:
            assert set(climb) == {"wall", "what", "held", "said"}


def test_quick_runs_cells_and_climbs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    found = sandbox(told(capsys, "--quick", "--sandbox", "process"), "process")
    assert found["cell_seconds"] > 0
    assert not any(wall["climbs"] for wall in found["walls"])
    assert "were not tried" in found["text"]


def test_without_a_name_it_looks_at_process_docker_and_local(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    report = told(capsys, "--quick")
    assert [each["name"] for each in report["sandboxes"]] == ["process", "docker", "local"]
    assert report["ok"] is True  # no engine is worth a note
    docker, local = sandbox(report, "docker"), sandbox(report, "local")
    assert docker["state"] == "note" and "none.sock" in docker["text"] and docker["how"]
    assert local["state"] == "note" and local["missing"]


def test_a_sandbox_that_was_named_has_to_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert run_app(["doctor", "--quick", "--sandbox", "docker"]) == 1
    said = capsys.readouterr().out
    assert re.search(r"get it +DOCKER_HOST says so: unset it", said), said


def test_a_command_that_was_named_has_to_work_too(capsys: pytest.CaptureFixture[str]) -> None:
    report = told(capsys, "--quick", "--sandbox", "command: env", "--sandbox", "command: false")
    works, fails = report["sandboxes"]
    assert (works["name"], fails["name"]) == ("command: env", "command: false")
    assert works["cell_seconds"] and fails["state"] == "bad"


def test_a_sandbox_that_does_not_start_is_bad_and_exits_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys._base_executable", str(tmp_path / "no-python"))
    assert run_app(["doctor", "--json", "--sandbox", "process"]) == 1
    found = sandbox(json.loads(capsys.readouterr().out), "process")
    assert found["state"] == "bad" and "no-python" in found["text"]


@pytest.mark.docker
def test_a_container_holds_and_its_engine_is_described(
    capsys: pytest.CaptureFixture[str],
) -> None:
    need_docker()
    found = sandbox(told(capsys, "--sandbox", "docker"), "docker")
    assert [wall["wall"] for wall in found["walls"] if wall["state"] == "climbed"] == []
    told_of = {each["name"]: each for each in found["findings"]}
    assert "API" in told_of["engine"]["text"]
    assert "rlm/repl" in told_of["image"]["text"]


@pytest.mark.docker
def test_an_image_or_a_runtime_that_is_not_there_comes_with_how_to_get_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    need_docker()
    asked = ["--sandbox", "docker", "--quick", "--set", "image=nobody/nothing"]
    found = sandbox(told(capsys, *asked, "--set", "runtime=runsc-of-tests"), "docker")
    assert found["state"] == "bad"
    assert "docker pull nobody/nothing" in found["how"] and "gVisor" in found["how"]


@pytest.mark.docker
def test_no_container_is_left_even_where_one_is_to_be_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    need_docker()
    asked = ["--quick", "--sandbox", "docker", "--set", "keep_alive=yes"]
    found = sandbox(told(capsys, *asked), "docker")
    assert found["cell_seconds"] > 0 and found["facts"]["keep_alive"] is False


def test_options_are_set_and_are_of_one_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    set_it = ["--set", "processes=4", "--quick"]
    found = sandbox(told(capsys, "--sandbox", "process", *set_it), "process")
    assert found["facts"]["processes"] == 4
    assert run_app(["doctor", *set_it]) == 2
    assert "--sandbox NAME" in capsys.readouterr().err


# What it makes of it ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Boastful:
    """A sandbox that confines nothing, and says of itself what it is told to."""

    network: bool = False
    missing: tuple[str, ...] = ()
    name: ClassVar[str] = "boastful"

    def start(
        self, inputs: Mapping[str, Any], limits: CellLimits
    ) -> AbstractAsyncContextManager[Place]:
        return _Boasting(InMemorySandbox().start(inputs, limits), dataclasses.asdict(self))


class _Boasting:
    def __init__(self, inner: Any, facts: dict[str, Any]) -> None:
        self._inner = inner
        self._facts = {**facts, "walls": {"environment": "empty", "network": "none"}}

    async def __aenter__(self) -> Place:
        place: Any = await self._inner.__aenter__()
        place.facts = self._facts
        return place  # type: ignore[no-any-return] # a place, with other facts

    async def __aexit__(self, *failure: Any) -> None:
        await self._inner.__aexit__(*failure)


def checked(kind: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Look at a sandbox with the harmless probes of two walls."""
    from rlm.sandbox import probes

    harmless = ("finds variables of yours", "connects by TCP", "computes beyond its time")
    chosen = tuple(each for each in probes.PROBES if each.what in harmless)
    monkeypatch.setattr(probes, "PROBES", chosen)
    return examine({"boastful": kind}, "logs", wanted=())


def test_a_wall_that_is_said_to_hold_and_does_not_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(Boastful(), monkeypatch)
    (found,) = report.sandboxes
    states = {wall.wall: wall.state for wall in found.walls}
    assert states == {"network": "climbed", "cpu": "held", "environment": "climbed"}
    assert found.state == "bad" and not report.ok


def test_a_wall_that_an_option_or_the_machine_opens_is_open_and_not_bad(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = Boastful(network=True, missing=("no Landlock: cells can read what this user can",))
    report = checked(kind, monkeypatch)
    (found,) = report.sandboxes
    states = {wall.wall: wall.state for wall in found.walls}
    assert states == {"network": "open", "cpu": "held", "environment": "open"}
    assert found.state == "note" and report.ok
    assert found.missing[0].how  # says how to get it


def test_what_is_missing_is_told_with_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlm.cli import doctor

    kind = Boastful(missing=("seccomp",))
    monkeypatch.setattr(doctor, "_chosen", lambda names, options: {"boastful": kind})
    assert run_app(["doctor", "--quick"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"note +missing +seccomp\n.*get it .*\S", said), said


def test_a_sandbox_that_raises_is_a_finding_and_not_the_end() -> None:
    class Broken:
        name = "broken"

        def start(self, inputs: Any, limits: Any) -> Any:
            raise OSError("the machine is on fire")

    found = asyncio.run(check_up("broken", Broken(), False, False, lambda what: None))
    assert found.state == "note" and "on fire" in found.text


def test_an_interrupt_is_told_by_nothing_that_was_planted(tmp_path: Path) -> None:
    seen = on_a_terminal(
        "doctor", "--sandbox", "process", cwd=tmp_path, stdin="", when="process: files",
        then=lambda pid: "\x03", TMPDIR=str(tmp_path),
    )  # fmt: skip
    assert seen.code == 130 and "Traceback" not in seen.text
    assert not list(tmp_path.glob("rlm-*"))


def test_a_folder_of_logs_that_cannot_even_be_looked_at_is_a_note() -> None:
    found = machine("x" * 300)["logs"]
    assert (found.state, found.how) == ("note", "give another folder with --log-dir")
    assert found.text.endswith("cannot be written: File name too long")


# How it is shown -------------------------------------------------------------------------------


def seen(arguments: list[str], home: Path, columns: int, **variables: str) -> str:
    """Return what a terminal of so many columns is sent."""
    ours, theirs = pty.openpty()
    size = {"COLUMNS": str(columns), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=home,
        env=environment(home, **{**size, **variables}),
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    found = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:
            break  # Linux says so when the last writer is gone
        if not piece:
            break
        found += piece
    process.wait()
    os.close(ours)
    return found.decode("utf-8").replace("\r\n", "\n")


def test_on_a_narrow_terminal_lines_fit_but_for_what_is_to_be_copied(tmp_path: Path) -> None:
    said = seen(["doctor", "--sandbox", "process"], tmp_path, 60)
    assert "\x1b[" in said
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).splitlines()
    assert len(shown) > 30
    for line in shown:
        assert len(line) <= 60 or "/" in line.split()[-1], line


def test_no_color_takes_the_colours(tmp_path: Path) -> None:
    said = seen(["doctor", "--quick", "--sandbox", "process"], tmp_path, 80, NO_COLOR="1")
    assert "process" in said
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", said)


def test_in_a_pipe_each_finding_is_one_line_without_escapes(tmp_path: Path) -> None:
    done = rlm("doctor", "--quick", "--sandbox", "process", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    assert all(re.match(r"  ([✓•·✗→] |Python )", row) for row in rows), done.stdout


def test_where_glyphs_cannot_be_written_words_say_it(tmp_path: Path) -> None:
    done = rlm(
        "doctor", "--quick", "--sandbox", "process",
        cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0",
    )  # fmt: skip
    assert done.stdout.isascii() and "+ ok " in done.stdout and "\\" not in done.stdout


def test_a_finding_cannot_pretend_to_be_another(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLM_MODEL", "x\x1b[2J\n  ok  keys")
    run_app(["doctor", "--quick", "--sandbox", "process"])
    said = capsys.readouterr().out
    assert "\x1b" not in said and "x␛[2J ok keys" in said


def test_local_does_not_warn_where_all_is_told(tmp_path: Path) -> None:
    done = rlm("doctor", "--quick", "--sandbox", "local", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


# The machine -----------------------------------------------------------------------------------


def test_the_doctor_names_keys_and_never_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    report = told(capsys, "--quick", "--sandbox", "process")
    (keys,) = [each for each in report["machine"] if each["name"] == "keys"]
    assert "OPENAI_API_KEY" in keys["text"]
    assert "secret" not in json.dumps(report)


def test_the_doctor_knows_packages_prices_and_encodings() -> None:
    found = machine()
    assert "pydantic" in found["packages"].text and "google-genai" in found["packages"].text
    assert "models" in found["prices"].text
    assert "tiktoken" in found["tokens"].text


def test_another_package_of_the_same_name_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    metadata = tmp_path / "rlms-9.9.dist-info"
    metadata.mkdir()
    text = "Metadata-Version: 2.1\nName: rlms\nVersion: 9.9\n"
    (metadata / "METADATA").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = machine()["rlms"]
    assert found.state == "bad" and "rlms 9.9" in found.text
    assert "pip uninstall rlms" in found.how


def test_a_folder_of_logs_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert machine("file/logs")["logs"].state == "note"
    assert machine("new")["logs"].state == "ok"
    assert not (tmp_path / "new").exists()


def test_a_part_that_breaks_is_a_finding_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(provider: str | None = None) -> list[str]:
        raise ValueError("the table is torn")

    monkeypatch.setattr("rlm.catalog.models", broken)
    found = machine()
    assert found["prices"].text == "ValueError: the table is torn"
    assert found["logs"].state == "ok"


def test_a_package_that_is_missing_comes_with_its_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rlm.cli import doctor_machine

    monkeypatch.setattr(doctor_machine, "PACKAGES", {"no_such.module": "no-such-module"})
    found = machine()["no_such.module"]
    assert (found.state, found.how) == ("bad", "pip install no-such-module")


def test_every_feature_of_the_kernel_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    report = told(capsys, "--quick", "--sandbox", "process")
    names = {each["name"] for each in report["kernel"]}
    assert names == {"namespaces", "Landlock", "seccomp", "no_new_privs", "cgroups"}


def test_namespaces_that_are_refused_come_with_how_to_get_them() -> None:
    from rlm.cli.doctor_kernel import found_namespaces

    found = found_namespaces({"user": 1, "pid": 1, "uts": 0})
    assert found.state == "note" and "user, pid (Operation not permitted)" in found.text
    assert found.how


def test_where_namespaces_are_refused_that_wall_is_open_and_others_hold(tmp_path: Path) -> None:
    done = without_namespaces([*PROGRAM, "doctor", "--sandbox", "process"], tmp_path)
    assert done.returncode == 0, done.stdout
    assert re.search(r"note +namespaces +refused: .*limited to none", done.stdout), done.stdout
    assert re.search(r"open +namespaces +it promises none", done.stdout), done.stdout
    for wall in ("files", "network", "processes", "system_calls", "siblings"):
        assert re.search(rf"held +{wall} ", done.stdout), done.stdout


# Docker's engine -------------------------------------------------------------------------------


def test_an_engine_is_asked_for_version_runtimes_and_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from rlm.cli.doctor_docker import look_at_engine

    where = str(tmp_path / "engine.sock")
    with _Engine(where, _Answers) as engine:
        thread = threading.Thread(target=_serve, args=(engine, 3))
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{where}")
        found = {each.name: each for each in look_at_engine("rlm/repl", "runsc").findings}
        thread.join()
    assert "28.1, API 1.49" in found["engine"].text
    assert found["runtimes"].state == "note" and "gVisor" in found["runtimes"].how
    assert found["image"].how == "rlm docker build"


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (PermissionError(13, "Permission denied"), "usermod -aG docker"),
        (ConnectionRefusedError(111, "Connection refused"), "systemctl start docker"),
    ],
)
def test_an_engine_that_does_not_answer_comes_with_the_way_in(
    monkeypatch: pytest.MonkeyPatch, error: OSError, how: str
) -> None:
    from rlm.cli import doctor_docker

    def refuse(host: str) -> Any:
        raise error

    monkeypatch.setattr(doctor_docker, "_line", refuse)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    (found,) = doctor_docker.look_at_engine("rlm/repl").findings
    assert found.state == "note" and how in found.how


@pytest.mark.parametrize(
    ("host", "how"),
    [
        ("ssh://box", "export DOCKER_HOST=unix:///PATH"),
        ("nonsense", "export DOCKER_HOST=unix:///PATH"),
        ("tcp://127.0.0.1:1", "see that it listens there"),
        ("unix:///none.sock", "unset it"),
    ],
)
def test_what_docker_host_says_comes_with_what_to_say_instead(
    monkeypatch: pytest.MonkeyPatch, host: str, how: str
) -> None:
    from rlm.cli.doctor_docker import look_at_engine

    monkeypatch.setenv("DOCKER_HOST", host)
    (found,) = look_at_engine("rlm/repl").findings
    assert found.state == "note" and how in found.how


@pytest.mark.docker
def test_no_wall_of_gvisor_is_climbed_that_is_said_to_hold() -> None:
    need_docker("runsc")
    found = asyncio.run(check_up("docker", DockerSandbox(runtime="runsc"), False, True, print))
    states = {wall.wall: wall.state for wall in found.walls}
    assert {wall for wall, state in states.items() if state == "open"} == {"files", "siblings"}
    assert "climbed" not in states.values(), found.walls
    assert all("gVisor" in lack.how for lack in found.missing)


def _serve(engine: _Engine, requests: int) -> None:
    for _ in range(requests):
        engine.handle_request()


class _Engine(socketserver.UnixStreamServer):
    """Listens where a Docker engine would."""

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, _ = super().get_request()
        return connection, ("local", 0)


class _Answers(BaseHTTPRequestHandler):
    """Answers as a Docker engine does that has no image."""

    def do_GET(self) -> None:
        told = {
            "/version": {"Version": "28.1", "ApiVersion": "1.49"},
            "/info": {"Runtimes": {"runc": {}}, "DefaultRuntime": "runc"},
        }.get(self.path)
        body = json.dumps(told or {"message": "no such image"}).encode()
        self.send_response(200 if told else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
