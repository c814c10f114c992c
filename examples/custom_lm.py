"""A model of your own in ten lines: anything with a name that completes a request."""

from __future__ import annotations

import rlm


class Counter:
    """A model that counts words: it writes one cell, reads nothing, and submits."""

    name = "mine/counter"
    price = rlm.Price.per_million(0, 0)

    async def complete(self, request: rlm.Request, on_delta: object = None) -> rlm.Reply:
        """Say the same to everything."""
        text = "I count.\n```repl\nsubmit(words=len(context.split()))\n```"
        usage = rlm.Usage(input_tokens=len(request.prompt) // 4, output_tokens=len(text) // 4)
        return rlm.Reply(text, usage=usage)

    async def aclose(self) -> None:
        """It holds nothing."""


def parrot(request: rlm.Request) -> str:
    """A plain function of the request is a model too."""
    return f"<rlm-final>{request.messages[1].content.split()[1]}</rlm-final>"


def main() -> None:
    """Run the example."""
    result = rlm.predict(
        "context -> words: int", input={"context": "so much to do"}, model=Counter()
    )
    print("words:", result.value, "by", result.calls()[0].model)
    result = rlm.completion("Polly wants a cracker", model=parrot)
    print("parrot:", result.value, "by", result.calls()[0].model)


if __name__ == "__main__":
    main()
