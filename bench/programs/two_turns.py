"""A run of two turns, timed from the start of its process: STARTED FOLDER [URL]."""

import time

begun = time.monotonic()

import json  # noqa: E402 - time comes first
import sys  # noqa: E402

import rlm  # noqa: E402

rlm.predict  # noqa: B018 - loads what a run needs
imported = time.monotonic()

REPLIES = iter(
    ["```repl\nx = len(context)\nprint(x)\n```", "```repl\nsubmit(answer='done')\n```"],
)


def main(started: float, folder: str, url: str = "") -> None:
    result = rlm.completion(
        "Count the turns=2 of this call.",
        context="three words here",
        model=rlm.Model("openai/bench", base_url=url) if url else lambda request: next(REPLIES),
        log_dir=folder,
    )
    ended = time.monotonic()
    assert result.value == "done", result.error
    opened = next(event.t for event in result.trace if event.type == "session_opened")
    parts = {
        "all": ended - started,
        "interpreter": begun - started,
        "imports": imported - begun,
        "session": opened,
        "rest": ended - imported - opened,
    }
    print(json.dumps(parts))


main(float(sys.argv[1]), *sys.argv[2:])
