from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.shell import rlm
from rlm.cli.sandboxes import chosen, memory_of, options_of
from rlm.errors import ConfigurationError
from rlm.sandbox.docker import DockerSandbox
from rlm.sandbox.process import ProcessSandbox


@dataclasses.dataclass(frozen=True, slots=True)
class Many:
    """A sandbox with an option of each kind."""

    count: int = 1
    share: float = 0.5
    word: str = ""
    maybe: str | None = "x"
    switch: bool = False
    either: bool | str = True
    several: tuple[str, ...] = ()
    numbers: Sequence[int] = ()
    pairs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    name: ClassVar[str] = "many"

    def start(self, inputs: Any, limits: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm.resolve.sandbox", lambda name: Many())


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("count=12", 12),
        ("share=2", 2.0),
        ("word=12", "12"),
        ("word=a=b", "a=b"),
        ("maybe=none", None),
        ("maybe=512", "512"),
        ("switch=yes", True),
        ("switch=off", False),
        ("either=no", False),
        ("either=bridge", "bridge"),
        ("several=a, b,", ("a", "b")),
        ("several=", ()),
        ("numbers=1,2", [1, 2]),
        ("pairs=a=1,b=2=3", {"a": "1", "b": "2=3"}),
    ],
)
def test_a_value_is_of_the_type_of_its_option(setting: str, value: Any) -> None:
    assert getattr(chosen("many", [setting]), setting.partition("=")[0]) == value


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("count=many", "--set count=many"),
        ("count=", "--set count="),
        ("count", "OPTION=VALUE"),
        ("=1", "OPTION=VALUE"),
        ("cuont=1", "no such option; there are: count, share"),
        ("switch=perhaps", "--set switch=perhaps"),
        ("pairs=a", "NAME=VALUE"),
        ("numbers=1,x", "--set numbers=1,x"),
    ],
)
def test_what_is_wrong_is_named(setting: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        chosen("many", [setting])


@pytest.mark.usefixtures("many")
def test_an_option_is_given_once_and_may_have_dashes() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        chosen("many", ["count=1", "count=2"])
    with pytest.raises(ConfigurationError, match="twice"):
        chosen("many", ["a-b=1", "a_b=2"])


def test_a_sandbox_checks_its_own_values() -> None:
    with pytest.raises(ConfigurationError, match="memory_mb"):
        chosen("docker", ["memory_mb=1"])


def test_options_of_real_sandboxes() -> None:
    assert chosen("process", ["processes=3", "hash-seed=7"]) == ProcessSandbox(
        processes=3, hash_seed=7
    )
    assert chosen("docker", ["cpus=2", "runtime=runsc"]) == DockerSandbox(cpus=2, runtime="runsc")
    assert chosen("process") == ProcessSandbox()
    assert {"memory_mb", "packages", "network"} <= set(options_of(ProcessSandbox()))


def test_a_sandbox_without_options_says_that_there_are_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rlm.testing import InMemorySandbox

    monkeypatch.setattr("rlm.resolve.sandbox", lambda name: InMemorySandbox())
    with pytest.raises(ConfigurationError, match="there are: none"):
        chosen("memory", ["a=1"])
    assert memory_of(InMemorySandbox()) is None


@given(st.text(), st.text())
def test_whatever_is_typed_is_an_error_or_a_sandbox(option: str, value: str) -> None:
    try:
        assert chosen("process", [f"{option}={value}"]).name == "process"
    except ConfigurationError as error:
        assert "--set" in str(error) or "=" in str(error)


def test_rr67_run_takes_the_same_options(tmp_path: Any) -> None:
    (tmp_path / "a.txt").write_text("The magic number is 4711.\n", encoding="utf-8")
    asked = ["run", "What is the magic number?", "-c", "a.txt", "-m", "offline/needle", "--json"]
    done = rlm(*asked, "--set", "processes=2", "--set", "memory_mb=2048", cwd=tmp_path)
    assert '"processes": 2' in done.stdout and '"memory_mb": 2048' in done.stdout
    done = rlm(*asked, "--set", "prcesses=2", cwd=tmp_path)
    assert done.returncode == 2 and "processes" in done.stderr
