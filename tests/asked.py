"""A model asked once on a loop of its own, as the tests of every adapter do."""

from __future__ import annotations

import asyncio

from rlm.lm.base import LM, Delta, Message, Reply, Request

__all__ = ["ASK", "reply_of"]

ASK = Request((Message("system", "Be brief."), Message("user", "Capital of France?")))


def reply_of(lm: LM, request: Request, stream: list[Delta] | None = None) -> Reply:
    """Return the reply, with its pieces in `stream` when one is given, and close the adapter."""

    async def main() -> Reply:
        try:
            return await lm.complete(request, None if stream is None else stream.append)
        finally:
            await lm.aclose()

    return asyncio.run(main())
