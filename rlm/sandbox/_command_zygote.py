"""A zygote behind a command's standard streams."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlm.sandbox._command_loader import ONE_BY_ONE
from rlm.sandbox._command_process import CommandProcess
from rlm.sandbox._inputs import Staged
from rlm.sandbox._relayed import RelayedZygote

if TYPE_CHECKING:
    from rlm.sandbox.command import CommandSandbox

__all__ = ["CommandZygote"]


class CommandZygote(RelayedZygote):
    """The command of one place, running as long as it.

    `options` is the zygote's `bind` message without what only the host's side of it knows.
    """

    def __init__(self, sandbox: CommandSandbox, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._sandbox = sandbox
        self._process: CommandProcess | None = None

    async def _launch(self, staged: Staged) -> socket.socket:
        sandbox = self._sandbox
        words = [*sandbox.command, sandbox.python, ONE_BY_ONE]
        self._process = CommandProcess(words, sandbox.environment())
        seconds = sandbox.startup_seconds
        self._options["scratch"] = await self._process.guest(sandbox.folder, seconds)
        return self._process.stream

    async def _remove(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.end()

    def _last_words(self, reason: str) -> str:
        if self._code is not None and self._code < 0:
            reason = f"its zygote was ended by signal {-self._code}, as for using too much memory"
        return reason if self._process is None else self._process.last_words(reason)
