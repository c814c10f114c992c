from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rlm.errors import ConfigurationError
from rlm.testing import Fault, LoopbackServer, ServerReply, ServerRequest

OPENAI, GEMINI = "openai", "gemini"


def post(
    server: LoopbackServer,
    text: str = "hi",
    *,
    api: str = OPENAI,
    stream: bool = False,
    model: str = "m",
    cap: int = 1000,
    **more: Any,
) -> tuple[int, str, dict[str, str]]:
    """Ask once, as a plain client would; errors of the connection are raised."""
    if api == OPENAI:
        url = f"{server.openai_url}/chat/completions"
        body = {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": cap,
            "stream": stream,
            "stream_options": {"include_usage": True},
            **more,
        }
    else:
        verb = "streamGenerateContent?alt=sse&" if stream else "generateContent?"
        url = f"{server.gemini_url}/v1beta/models/{model}:{verb}key=secret-key"
        body = {
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"maxOutputTokens": cap},
            **more,
        }

    async def main() -> tuple[int, str, dict[str, str]]:
        headers = {"Authorization": "Bearer secret-key"}
        async with (
            aiohttp.ClientSession() as client,
            client.post(url, json=body, headers=headers) as response,
        ):
            return response.status, await response.text(), dict(response.headers)

    return asyncio.run(main())


def events(text: str) -> list[Any]:
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def said(api: str, stream: bool, text: str) -> str:
    """The visible text of an answer, as that provider's clients read it."""
    bodies = events(text) if stream else [json.loads(text)]
    if api == GEMINI:
        parts = [part for b in bodies for part in b["candidates"][0]["content"].get("parts", [])]
        return "".join(part["text"] for part in parts if not part.get("thought"))
    choices = [choice for b in bodies for choice in b["choices"]]
    return "".join(
        choice["delta" if stream else "message"].get("content", "") for choice in choices
    )


def used(api: str, stream: bool, text: str) -> tuple[int, int]:
    body = events(text)[-1] if stream else json.loads(text)
    if api == GEMINI:
        usage = body["usageMetadata"]
        output = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
        return usage["promptTokenCount"], output
    return body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]


WAYS = [(api, stream) for api in (OPENAI, GEMINI) for stream in (False, True)]


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_both_apis_give_the_scripted_text_and_bill_what_they_report(api: str, stream: bool) -> None:
    reply = {"reply": "Grüße aus dem Bau " * 30, "reasoning": "let me think"}
    with LoopbackServer([reply], prices={"m": (1, 10)}) as server:
        status, text, _ = post(server, "four letters", api=api, stream=stream)
    assert status == 200
    assert said(api, stream, text) == reply["reply"]
    assert used(api, stream, text) == (3 + 4, 3 + 135)
    assert server.billed.usage.reasoning_tokens == 3
    assert server.billed.dollars == Decimal(7 * 1 + 138 * 10) / 1_000_000


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_the_output_cap_cuts_the_text_and_the_bill(api: str, stream: bool) -> None:
    with LoopbackServer("x" * 1000) as server:
        _, text, _ = post(server, api=api, stream=stream, cap=10)
    assert said(api, stream, text) == "x" * 40
    assert used(api, stream, text)[1] == server.billed.usage.output_tokens == 10
    assert '"length"' in text or '"MAX_TOKENS"' in text


def test_no_scripted_usage_is_billed_above_the_cap() -> None:
    usage = {"input_tokens": 5, "output_tokens": 5000, "cached_tokens": 4}
    with LoopbackServer([{"reply": "ok", "usage": usage}]) as server:
        _, text, _ = post(server, cap=7)
    assert json.loads(text)["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}
    assert (server.billed.usage.input_tokens, server.billed.usage.output_tokens) == (5, 7)


def test_usage_can_be_left_out_of_the_answer_and_is_billed_all_the_same() -> None:
    with LoopbackServer([{"reply": "ok", "usage": False}]) as server:
        _, text, _ = post(server)
    assert "usage" not in json.loads(text)
    assert server.billed.usage.total_tokens == 6


def test_stop_sequences_end_the_text() -> None:
    with LoopbackServer("one END two") as server:
        assert said(OPENAI, False, post(server, stop="END")[1]) == "one "
        config: dict[str, Any] = {"generationConfig": {"stopSequences": ["two"]}}
        assert said(GEMINI, False, post(server, api=GEMINI, **config)[1]) == "one END "


def test_replies_in_order_rules_repeat_default_and_templates() -> None:
    script = {
        "replies": [
            "first",
            {"when": {"last_contains": "capital"}, "reply": "Paris"},
            {"when": {"last_regex": r"(\d+)\+(\d+)"}, "template": "{1} and {2}"},
            {"when": {"model": "tiny"}, "reply": {"action": "final", "answer": 1}},
            {"reply": "twice", "repeat": 2},
        ],
        "default": {"template": "{model} heard {echo} {other}"},
    }
    with LoopbackServer(script) as server:
        asked = ["x", "the capital?", "2+3", "x", "x", "capital", "y"]
        given = [said(OPENAI, False, post(server, text)[1]) for text in asked]
        tiny = said(GEMINI, True, post(server, "z", api=GEMINI, stream=True, model="tiny")[1])
    assert given == ["first", "Paris", "2 and 3", "twice", "twice", "Paris", "m heard y {other}"]
    assert json.loads(tiny) == {"action": "final", "answer": 1}


def test_a_request_that_the_script_does_not_foresee_is_refused_and_named() -> None:
    with LoopbackServer(["one"]) as server:
        post(server)
        status, text, _ = post(server, "surprise")
    assert status == 400
    assert (
        "no reply for request 2 (last message: 'surprise')" in json.loads(text)["error"]["message"]
    )
    assert server.billed.requests == 1


@pytest.mark.parametrize("api", [OPENAI, GEMINI])
def test_a_refusal_has_its_status_and_wish_to_wait_and_bills_nothing(api: str) -> None:
    faults = [
        {"fault": {"status": 429, "retry_after": 1.5}},
        {"fault": {"status": 400, "body": {"error": {"message": "window"}}}},
        {"fault": {"status": 500}},
    ]
    with LoopbackServer(faults) as server:
        status, _, headers = post(server, api=api)
        assert (status, headers["Retry-After"]) == (429, "1.5")
        assert post(server, api=api)[:2] == (400, '{"error": {"message": "window"}}')
        assert post(server, api=api)[0] == 500
    assert server.billed.requests == 0


@pytest.mark.parametrize(("api", "stream"), WAYS)
@pytest.mark.parametrize("kind", ["reset", "cut", "stall"])
def test_a_broken_connection_is_an_error_for_the_client_and_is_billed(
    api: str, stream: bool, kind: str
) -> None:
    fault = {"kind": kind, "seconds": 0.05} if kind == "stall" else kind
    script = [{"reply": "a long answer " * 20, "fault": fault}]
    with LoopbackServer(script) as server, pytest.raises(aiohttp.ClientError):
        post(server, api=api, stream=stream)
    assert server.billed.requests == 1


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_a_malformed_answer_is_no_json(api: str, stream: bool) -> None:
    with LoopbackServer([{"reply": "a long answer", "fault": "malformed"}]) as server:
        status, text, _ = post(server, api=api, stream=stream)
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        said(api, stream, text)


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_an_error_inside_an_answer_comes_with_status_200(api: str, stream: bool) -> None:
    with LoopbackServer([{"reply": "a long answer", "fault": "stream_error"}]) as server:
        status, text, _ = post(server, api=api, stream=stream)
    assert status == 200
    last = events(text)[-1] if stream else json.loads(text)
    assert last["error"]["code"] == 502


@pytest.mark.parametrize(("api", "stream"), WAYS)
@pytest.mark.parametrize(
    ("kind", "finish", "output"),
    [
        ("empty", ("stop", "STOP"), 0),
        ("blocked", ("content_filter", "SAFETY"), 1),
        ("cut_off_thinking", ("length", "MAX_TOKENS"), 500),
    ],
)
def test_answers_without_text(
    api: str, stream: bool, kind: str, finish: tuple[str, str], output: int
) -> None:
    with LoopbackServer([{"reply": "text", "fault": kind}]) as server:
        status, text, _ = post(server, api=api, stream=stream, cap=500)
    assert status == 200
    assert said(api, stream, text) == ""
    assert f'"{finish[api == GEMINI]}"' in text
    assert server.billed.usage.output_tokens == output


def test_seeded_faults_hit_the_same_requests_each_time_and_use_up_no_reply() -> None:
    script = {
        "replies": [str(n) for n in range(40)],
        "faults": {"rate": 0.3, "seed": 7, "kinds": [{"status": 503}, {"status": 429}]},
    }

    def statuses() -> list[tuple[int, str]]:
        with LoopbackServer(script) as server:
            answers = [post(server) for _ in range(40)]
        return [
            (status, said(OPENAI, False, text) if status == 200 else "")
            for status, text, _ in answers
        ]

    first = statuses()
    assert first == statuses()
    failed = [status for status, _ in first if status != 200]
    assert 4 < len(failed) < 20
    assert [text for status, text in first if status == 200] == [
        str(n) for n in range(40 - len(failed))
    ]


def test_a_function_may_be_the_script() -> None:
    async def script(request: ServerRequest) -> str | ServerReply:
        if request.prompt == "fail":
            return ServerReply(fault=Fault(kind="status", status=503))
        if request.prompt == "bug":
            raise KeyError("oops")
        return f"{request.number} {request.api} {request.prompt}"

    with LoopbackServer(script) as server:
        assert said(OPENAI, False, post(server)[1]) == "1 openai hi"
        assert post(server, "fail")[0] == 503
        status, text, _ = post(server, "bug")
    assert (status, "KeyError" in text) == (500, True)
    assert [type(error) for error in server.errors] == [KeyError]


@pytest.mark.parametrize("api", [OPENAI, GEMINI])
def test_requests_are_recorded_without_secrets(api: str) -> None:
    with LoopbackServer("ok") as server:
        post(server, "what?", api=api, cap=9)
    (request,) = server.requests
    assert (request.model, request.prompt, request.max_output_tokens) == ("m", "what?", 9)
    assert request.body["messages" if api == OPENAI else "contents"]
    assert request.headers["Authorization"] == "…"
    assert "secret-key" not in repr(request)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"model": "m"}', b'{"messages": [{"role": "user"}]}']
)
def test_a_bad_request_is_refused_as_a_provider_would(body: bytes) -> None:
    async def main(server: LoopbackServer) -> int:
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{server.openai_url}/chat/completions", data=body) as response,
        ):
            assert (await response.json())["error"]["message"]
            return response.status

    with LoopbackServer("ok") as server:
        assert asyncio.run(main(server)) == 400
    assert server.billed.requests == 0


def test_many_in_flight_are_counted_and_each_gets_its_own_answer() -> None:
    async def main(server: LoopbackServer) -> list[str]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:

            async def one(n: int) -> str:
                body = {"model": "m", "messages": [{"role": "user", "content": str(n)}]}
                url = f"{server.openai_url}/chat/completions"
                async with client.post(url, json=body) as response:
                    return said(OPENAI, False, await response.text())

            return await asyncio.gather(*(one(n) for n in range(256)))

    all_asked = asyncio.Event()

    async def script(request: ServerRequest) -> str:
        if request.number == 256:
            all_asked.set()
        await all_asked.wait()  # nobody is answered before all have asked
        return request.prompt

    with LoopbackServer(script) as server:
        assert asyncio.run(main(server)) == [str(n) for n in range(256)]
        assert server.peak_in_flight == 256
        assert server.in_flight == 0


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ({"replys": []}, "replys"),
        ([{"reply": "a", "template": "b"}], "not both"),
        ([{"when": {"contains": "x"}}], "give a 'reply', a 'template' or a 'fault'"),
        ([{"fault": "explode"}], "replies.0.fault.kind"),
        ([{"when": {"regex": "("}, "reply": "x"}], "no regular expression"),
        ({"faults": {"rate": 2, "kinds": ["cut"]}}, "faults.rate"),
        ("missing.json", "missing.json"),
    ],
)
def test_a_script_that_is_not_valid_is_refused_before_anything_starts(
    script: Any, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        LoopbackServer(script)


def test_a_taken_port_is_a_clear_error() -> None:
    with LoopbackServer("a") as first, pytest.raises(ConfigurationError, match=str(first.port)):
        LoopbackServer("b", port=first.port).__enter__()


def test_it_runs_in_a_process_of_its_own_and_ends_at_sigterm(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(
        json.dumps({"default": {"template": "ü {echo}"}, "prices": {"m": [1, 1]}}), encoding="utf-8"
    )
    command = [sys.executable, "-m", "rlm.testing.server", "--script", str(path), "--delay", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())

        async def main() -> tuple[str, Any, list[str]]:
            async with aiohttp.ClientSession() as client:
                body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
                async with client.post(f"{urls['openai_url']}/chat/completions", json=body) as r:
                    text = await r.text()
                async with client.get(f"{urls['gemini_url']}/state") as r:
                    state = await r.json()
                async with client.get(f"{urls['openai_url']}/models") as r:
                    return text, state, [model["id"] for model in (await r.json())["data"]]

        text, state, models = asyncio.run(main())
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert said(OPENAI, False, text) == "ü hi"
    assert (state["requests"], state["in_flight"], models) == (1, 0, ["m"])
    assert state["billed"]["dollars"] == "0.000006"


def test_a_client_that_leaves_while_it_waits_is_billed_and_no_longer_in_flight() -> None:
    async def main(server: LoopbackServer) -> None:
        timeout = aiohttp.ClientTimeout(total=0.05)
        async with aiohttp.ClientSession(timeout=timeout) as client:
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            with pytest.raises(TimeoutError):
                await client.post(f"{server.openai_url}/chat/completions", json=body)
        while server.in_flight:  # noqa: ASYNC110 - the server is another thread's
            await asyncio.sleep(0.005)

    with LoopbackServer([{"reply": "late", "delay": 30}]) as server:
        asyncio.run(main(server))
    assert server.billed.requests == 1
