"""What is missing is told once, refused on request, and comes with how to get it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from escapes.screen import terminal_harms
from weaker import without_namespaces

import rlm
from rlm.sandbox import remedies
from rlm.sandbox.remedies import refusal, remedy, warn_of

LACKS = ["a root of its own: cells can see which files exist", "seccomp"]


@pytest.fixture(autouse=True)
def nobody_was_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remedies, "_warned_of", set())


def test_what_is_missing_is_told_once_a_process_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(3):
        warn_of("process", LACKS)
    warn_of("whole", [])
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("rlm", logging.WARNING)
    said = record.getMessage()
    assert "\n" not in said and "a root of its own; seccomp" in said and "rlm doctor" in said
    warn_of("docker", LACKS)
    assert len(caplog.records) == 2  # another sandbox


def test_what_is_missing_cannot_be_obeyed_by_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    warn_of("elsewhere", ["seccomp\x1b[2J\x9b31m\u202e\r\nnothing", "a wall"])
    (record,) = caplog.records
    assert terminal_harms(record.getMessage()) == [] and "\n" not in record.getMessage()
    assert "seccomp" in record.getMessage() and "a wall" in record.getMessage()


def test_the_level_of_the_logger_silences_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="rlm"):
        warn_of("process", LACKS)
    assert caplog.records == []


def test_a_run_tells_what_its_sandbox_lacks_and_has_it_on_the_result(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = {"model": "offline/needle", "context": "The magic number is 7.", "sandbox": "local"}
    results = [rlm.completion("What is the magic number?", **asked) for _ in range(2)]  # type: ignore[arg-type] # options by name
    assert [result.value for result in results] == ["7", "7"]
    (record,) = [each for each in caplog.records if "missing walls" in each.getMessage()]
    for lack in results[0].sandbox["missing"]:
        assert lack.partition(":")[0] in record.getMessage()


def test_the_result_names_the_walls_and_what_is_missing() -> None:
    result = rlm.completion(
        "What is the magic number?", model="offline/needle", context="The magic number is 7."
    )
    assert result.sandbox["name"] == "process"
    walls = result.sandbox["walls"]
    assert {"files", "network", "processes", "signals", "memory", "privileges"} <= set(walls)
    assert all(isinstance(how, str) and how for how in walls.values())
    assert isinstance(result.sandbox["missing"], list)
    assert result.to_dict()["sandbox"]["walls"] == walls


def test_a_refusal_says_what_is_missing_and_each_way_to_get_it_once() -> None:
    said = refusal([*LACKS, "a namespace of process numbers: others are in sight"])
    assert all(lack in said for lack in LACKS)
    assert said.count(remedy("namespaces")) == 1
    assert "require_confinement=False" in said
    assert "To get it" not in refusal(["something of another world"])


@pytest.mark.skipif(sys.platform != "linux", reason="the remedies are those of Linux")
@pytest.mark.parametrize(
    ("files", "missing", "how"),
    [
        ({"/proc/sys/kernel/unprivileged_userns_clone": "0"}, "a network namespace", "_clone=1"),
        (
            {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"},
            "a root of its own: cells can see",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ({"/proc/sys/user/max_user_namespaces": "0"}, "a bound on all files", "=15000"),
        ({"/sys/kernel/security/lsm": "lockdown,yama"}, "no Landlock", "lsm=landlock,lockdown"),
        ({}, "dropped capabilities", "--security-opt"),
        ({}, "an ordinary user: cells run as root, without its capabilities", "ordinary user"),
        ({}, "seccomp", "seccomp=unconfined"),
        ({}, "the engine's seccomp profile", "docker info"),
        ({}, "a limit of memory", "docker info"),
        ({}, "isolation from this process: restrictions are never a wall", "docker sandbox"),
        ({}, "the moon", ""),
    ],
)
def test_what_to_do_depends_on_what_is_found(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], missing: str, how: str
) -> None:
    monkeypatch.setattr(remedies, "_read", lambda path: files.get(path, ""))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("platform.release", lambda: "6.8.0-1-generic")
    found = remedy(missing)
    assert how in found and bool(how) == bool(found)


@pytest.mark.parametrize(
    ("release", "words"), [("5.4.0-150-generic", "5.13"), ("5.15.0-100-generic", "6.2")]
)
def test_an_old_kernel_is_named(monkeypatch: pytest.MonkeyPatch, release: str, words: str) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("platform.release", lambda: release)
    monkeypatch.setattr(remedies, "_read", lambda path: "")
    assert release in remedy("Landlock of abi 1") and words in remedy("Landlock of abi 1")


def test_elsewhere_there_is_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "freebsd14")
    assert "rlm docker build" in remedy("freebsd14 offers no walls here beyond limits")


# On a machine that truly offers less --------------------------------------------------------------

_ASK = """
import sys, rlm
for _ in range(2):
    result = rlm.completion("What is the magic number?", model="offline/needle",
                            context="The magic number is 7.", sandbox=eval(sys.argv[1]))
    print(result.status, result.value if result.ok else None, result.error)
"""


def asked_where_namespaces_are_refused(sandbox: str, home: Path) -> tuple[str, list[str]]:
    """Return what a program prints of two runs, and the lines that it writes to stderr."""
    done = without_namespaces([sys.executable, "-c", _ASK, sandbox], home)
    return done.stdout, done.stderr.splitlines()


def test_where_namespaces_are_refused_a_run_is_warned_once_and_answers(tmp_path: Path) -> None:
    said, warned = asked_where_namespaces_are_refused("rlm.ProcessSandbox()", tmp_path)
    assert said.count("completed 7 None") == 2
    assert len(warned) == 1 and warned[0].startswith("missing walls of the sandbox 'process'")


def test_where_namespaces_are_refused_confinement_that_is_required_is_refused_with_the_way(
    tmp_path: Path,
) -> None:
    sandbox = "rlm.ProcessSandbox(require_confinement=True)"
    said, _ = asked_where_namespaces_are_refused(sandbox, tmp_path)
    assert said.count("sandbox_error None") == 2
    assert "sudo sysctl -w user.max_user_namespaces" in said
