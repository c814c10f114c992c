"""What a cell prints, on its way to a person: as it comes, and never in the way of the cell."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import TextIO

from rlm.sinks.wording import plain

__all__ = ["Printer", "left_over"]


class Printer:
    """Writes the output of a cell from a thread of its own, so that a slow reader stops no clock.

    `streams` are written to by their names in `OnOutput`. A terminal gets text without anything
    that it would obey; anything else gets it exactly. When a reader is gone, `on_broken` is
    called, from that thread, and nothing more is written.
    """

    def __init__(self, streams: Mapping[str, TextIO], on_broken: Callable[[], object]) -> None:
        self.written = dict.fromkeys(streams, 0)
        self.broken: OSError | None = None
        self._streams = streams
        self._on_broken = on_broken
        self._ended = dict.fromkeys(streams, True)
        self._held = dict.fromkeys(streams, "")
        self._pieces: queue.SimpleQueue[tuple[str, str, bool] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="rlm-output", daemon=True)
        self._thread.start()

    def __call__(self, stream: str, text: str) -> None:
        """Take a piece of output."""
        self.written[stream] += len(text)
        self._pieces.put((stream, text, False))

    def line(self, stream: str, text: str) -> None:
        """Take text that begins and ends a line of its own."""
        self._pieces.put((stream, text if text.endswith("\n") else text + "\n", True))

    def close(self) -> None:
        """Write what is left, and wait until it is written."""
        self._pieces.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self.broken is None:
                self._attempt(*piece)
        if self.broken is None:
            for stream, held in self._held.items():
                self._attempt(stream, "\n" if held else "", False)

    def _attempt(self, stream: str, text: str, fresh: bool) -> None:
        try:
            self._write(stream, text, fresh)
        except OSError as error:
            self.broken = error
            self._on_broken()

    def _write(self, stream: str, text: str, fresh: bool) -> None:
        to = self._streams[stream]
        if fresh and not self._ended[stream]:
            text = f"\n{text}"
        if to.isatty():
            text = self._held[stream] + text
            self._held[stream] = "\r" if text.endswith("\r") else ""  # \n may come with the next
            text = plain(text.removesuffix("\r"))
        if text:
            self._ended[stream] = text.endswith("\n")
            to.write(text)
        to.flush()


def left_over(kept: str, chars: int, written: int) -> str:
    """Return what to write after the first `written` of `chars` characters.

    `kept` is the whole output, or its head and tail with a mark between.
    """
    missing = chars - written
    if missing <= 0:
        return ""
    tail = kept if len(kept) == chars else kept.rpartition(" characters left out ...]\n")[2]
    if len(tail) >= missing:
        return tail[-missing:]
    return f"\n[... {missing - len(tail):,} characters left out ...]\n{tail}"
