"""Sessions that all read the whole of one input: what each has for itself.

Arguments: SIZE in bytes, KIND (ascii, wide with two bytes a character, or none for a baseline), and
how many SESSIONS.
"""

import asyncio
import contextlib
import json
import sys

from rlm.sandbox.base import CellLimits, OpenOptions
from rlm.sandbox.process import ProcessSandbox

_LINES = {
    "ascii": "The quick brown fox jumps over the lazy dog, again and again and again.\n",
    "wide": "Съешь же ещё этих мягких французских булок, да выпей чаю, снова и снова\n",
    "none": "-",
}
_CELL = """
text.count("no such thing"), hash(text)
fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(sum(int(fields[name].split()[0]) for name in ("RssAnon", "VmPTE")))
"""


async def main(size: int, kind: str, sessions: int) -> None:
    length = {"ascii": size, "wide": size // 2, "none": 1}[kind]
    text = (_LINES[kind] * (length // len(_LINES[kind]) + 1))[:length]
    async with (
        ProcessSandbox().start({"text": text}, CellLimits()) as place,
        contextlib.AsyncExitStack() as stack,
    ):
        opened = [
            await stack.enter_async_context(place.open({"text": text}, {}, OpenOptions()))
            for _ in range(sessions)
        ]
        executions = [await session.execute(_CELL) for session in opened]
    own = sum(int(execution.stdout) for execution in executions)
    print(json.dumps({"own": own, "input": size / 1024}))


asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
