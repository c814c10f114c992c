"""Secrets in containers: none by default; one on request, as a file, and nowhere else."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from in_containers import cells, containers, place_of
from parts import Ask, cell

from rlm.errors import ConfigurationError, SandboxError
from rlm.sandbox._docker_secrets import checked, contents
from rlm.sandbox.base import OpenOptions
from rlm.sandbox.docker import DockerSandbox
from rlm.testing import ScriptedLM

needs_engine = pytest.mark.docker
READ = "open('/run/secrets/TOKEN').read()"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("sk-very-secret", encoding="utf-8")
    path.chmod(0o600)
    return path


@needs_engine
def test_rr59_rr60_rr64_a_secret_is_a_file_for_cells_and_in_nothing_else(
    token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    caplog.set_level(logging.DEBUG)

    async def main() -> tuple[list[Any], str]:
        sandbox = DockerSandbox(secrets={"TOKEN": token})
        async with place_of(sandbox=sandbox) as place:
            assert place.facts["secrets"] == ["TOKEN"]
            assert "sk-very-secret" not in str(place.facts)
            assert os.listdir(folder) == []  # it is gone here, and there in the container
            async with place.open({}, {}, OpenOptions()) as session:
                seen = json.dumps(await asyncio.to_thread(containers))
                codes = (
                    READ,
                    "open('/run/secrets/TOKEN', 'w')",
                    "import os; os.remove('/run/secrets/TOKEN')",
                    "import os; (dict(os.environ), open('/proc/self/cmdline').read())",
                )
                return [await session.execute(code) for code in codes], seen + repr(sandbox)

    [read, write, remove, elsewhere], seen = asyncio.run(main())
    assert read.value == "'sk-very-secret'"
    assert write.error is not None and remove.error is not None
    assert elsewhere.error is None
    assert "sk-very-secret" not in str(elsewhere) + seen + caplog.text
    assert token.exists()


@needs_engine
def test_rr64_no_key_of_the_host_is_in_a_container_unless_it_is_named(
    token: Path, monkeypatch: pytest.MonkeyPatch, predict: Ask
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("GEMINI_API_KEY_FILE", str(token))
    code = (
        "import os\nfound = []\n"
        "for top, folders, files in os.walk('/'):\n"
        "    folders[:] = [f for f in folders if f not in ('sys', 'lib', 'lib64', 'usr')]\n"
        "    for name in files:\n"
        "        try: found.append(open(os.path.join(top, name), errors='replace').read(9999))\n"
        "        except OSError: pass\n"
        "submit(answer=str(any('very-secret' in text for text in [*found, str(os.environ)])))"
    )
    with ScriptedLM([cell(code)]) as lm:
        result = predict("-> answer", model=lm, sandbox="docker")
    assert result.value == "False"
    [read] = cells(READ)
    assert read.error is not None


@needs_engine
def test_a_secret_may_come_from_a_function_and_is_there_in_a_pool_too() -> None:
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return "schlüssel\n"

    with DockerSandbox(secrets={"TOKEN": ask}, pool=1) as sandbox:
        for _ in range(2):
            [done] = cells(READ, sandbox=sandbox)
            assert done.value == "'schlüssel\\n'"
    assert asked


@needs_engine
def test_a_secret_that_is_not_there_is_told_by_its_name_only(tmp_path: Path) -> None:
    sandbox = DockerSandbox(secrets={"TOKEN": str(tmp_path / "sk-typed-by-mistake")})
    with pytest.raises(ConfigurationError, match=r"secrets\['TOKEN'\].*No such file") as refused:
        cells("1", sandbox=sandbox)
    assert "mistake" not in str(refused.value)
    assert containers() == {}


@needs_engine
def test_where_nothing_is_mounted_there_are_no_secrets(
    token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlm.sandbox._docker_engine import Engine, MountRefused

    def refuse(self: Engine, *args: Any, **config: Any) -> str:
        raise MountRefused("elsewhere")

    monkeypatch.setattr(Engine, "create", refuse)
    with pytest.raises(SandboxError, match="elsewhere"):
        cells("1", sandbox=DockerSandbox(secrets={"TOKEN": token}))


@pytest.mark.parametrize(
    "given",
    [{"TOKEN": "sk-very-secret"}, {"a/b": "/etc/passwd"}, {"..": "/x"}, ["TOKEN"], {"TOKEN": 7}],
)
def test_what_is_no_secret_is_refused_without_showing_it(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="secrets") as refused:
        DockerSandbox(secrets=given)
    assert "very-secret" not in str(refused.value)


def test_a_secret_has_to_be_text_and_small(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * (1 << 21))
    for source in (large, lambda: 7):
        with pytest.raises(ConfigurationError, match="TOKEN"):
            contents(checked({"TOKEN": source}))  # type: ignore[dict-item] # what is refused
