"""The server fails in every way that servers do, and the real SDK is what asks it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from failing_chat_server import Reply, failing_server

from hearsight.agent.models.base import GenerationEnd
from hearsight.agent.models.openai.remote import Remote, ServedModel, ServerError
from hearsight.config.engines import OpenAISettings

QUESTION = {"messages": [{"role": "user", "content": "Well?"}], "max_tokens": 20}
SPEECH = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}}


def error(message: str, status: int = 400, **more) -> Reply:
    return Reply(status, {"error": {"message": message, "type": "BadRequestError", "code": status}}, **more)


@asynccontextmanager
async def asked(*replies: Reply, settings: dict | None = None, **options):
    async with failing_server(*replies, **options) as server:
        remote = Remote(server.settings(**(settings or {})))
        try:
            yield server, remote
        finally:
            await remote.aclose()


async def answer(remote: Remote, body: dict | None = None) -> list:
    return [delta async for delta in remote.stream(body or QUESTION)]


async def trouble(remote: Remote, body: dict | None = None):
    with pytest.raises(ServerError) as caught:
        await answer(remote, body)
    told = str(caught.value)
    assert "127.0.0.1" not in told and "tiny" not in told, "a client is told nothing of what is inside"
    return caught.value.trouble


# --- answers --------------------------------------------------------------------------------------------


async def test_an_answer_comes_as_it_is_written_and_ends_with_what_it_cost():
    usage = {
        "prompt_tokens": 50,
        "completion_tokens": 2,
        "total_tokens": 52,
        "prompt_tokens_details": {"cached_tokens": 48},
    }
    async with asked(Reply(deltas=({"role": "assistant", "content": ""}, "It ", "is."), usage=usage)) as (
        _,
        remote,
    ):
        assert await answer(remote) == ["It ", "is.", GenerationEnd("stop", 50, 48, 2)]


async def test_a_server_that_tells_no_usage_leaves_the_prompt_uncounted():
    async with asked(Reply(deltas=("It ", "is."), finish="length")) as (_, remote):
        assert (await answer(remote))[-1] == GenerationEnd("length", output_tokens=2)


async def test_what_the_settings_say_of_sampling_is_asked_for():
    sampling = {"temperature": 0.3, "top_p": 0.9, "top_k": 20, "seed": 7}
    async with asked(settings=sampling) as (server, remote):
        await answer(remote)
        assert {name: server.requests[0][name] for name in sampling} == sampling
        assert server.requests[0]["stream_options"] == {"include_usage": True}
        await answer(remote, {**QUESTION, "temperature": 0.0})
        assert server.requests[1]["temperature"] == 0.0


async def test_calls_that_the_server_has_read_come_as_text_for_the_router():
    def piece(**function):
        return {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}]}

    pieces = (piece(name="weather", arguments=""), piece(arguments='{"city": "Ber'), piece(arguments='lin"}'))
    async with asked(Reply(deltas=pieces, finish="tool_calls")) as (_, remote):
        text, end = await answer(remote)
    assert text == "```tool_code\nweather(city='Berlin')\n```"
    assert end.reason == "stop"


async def test_reading_ahead_asks_for_one_token():
    async with asked() as (server, remote):
        await remote.read({"messages": QUESTION["messages"]})
    assert server.requests[0]["max_tokens"] == 1


# --- what a server does not take ------------------------------------------------------------------------


async def test_a_field_that_the_server_does_not_take_is_left_out_from_then_on():
    refusal = Reply(422, {"detail": "Unexpected fields in the request: {'top_k'}"})
    async with asked(refusal, Reply(deltas=("Yes.",)), settings={"top_k": 5, "retries": 0}) as (
        server,
        remote,
    ):
        assert (await answer(remote))[0] == "Yes."
        await answer(remote)
    assert ["top_k" in request for request in server.requests] == [True, False, False]


async def test_the_longest_answer_goes_by_its_newer_name_where_the_old_one_is_refused():
    refusal = error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    async with asked(refusal, Reply(deltas=("Yes.",))) as (server, remote):
        await answer(remote)
    assert "max_tokens" not in server.requests[1]
    assert server.requests[1]["max_completion_tokens"] == 20


async def test_a_field_is_not_taken_for_refused_twice():
    async with asked(error("Unknown parameter: 'seed'"), settings={"seed": 1}) as (server, remote):
        assert (await trouble(remote)).code == "engine_failed"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "complaint",
    [
        "seed must be positive",
        "max_tokens is too large: 600. This model's maximum context length is 512 tokens",
    ],
)
async def test_a_wrong_value_is_not_taken_for_an_unknown_field(complaint):
    async with asked(error(complaint), settings={"seed": 1}) as (server, remote):
        await trouble(remote)
    assert len(server.requests) == 1


# --- again, or not --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_what_may_pass_is_asked_again(status):
    busy = error("busy", status, headers={"Retry-After": "0"})
    async with asked(busy, busy, Reply(deltas=("Yes.",))) as (server, remote):
        assert (await answer(remote))[0] == "Yes."
    assert len(server.requests) == 3


@pytest.mark.parametrize("first", [Reply(then="break"), Reply(deltas=({"role": "assistant"},), then="break")])
async def test_an_answer_that_breaks_off_before_its_first_word_is_asked_for_again(first):
    async with asked(first, Reply(deltas=("Yes.",))) as (server, remote):
        assert (await answer(remote))[0] == "Yes."
    assert len(server.requests) == 2


@pytest.mark.parametrize("then", ["break", "error"])
async def test_an_answer_that_breaks_off_after_its_first_word_is_not_begun_anew(then):
    async with asked(Reply(deltas=("Ye",), then=then)) as (server, remote):
        heard = []
        with pytest.raises(ServerError):
            async for delta in remote.stream(QUESTION):
                heard.append(delta)
    assert heard == ["Ye"]
    assert len(server.requests) == 1


async def test_it_is_asked_no_more_often_than_the_settings_say():
    async with asked(error("busy", 503, headers={"Retry-After": "0"}), settings={"retries": 1}) as (
        server,
        remote,
    ):
        assert (await trouble(remote)).code == "engine_overloaded"
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_what_will_not_pass_is_asked_once(status):
    async with asked(error("no", status)) as (server, remote):
        await trouble(remote)
    assert len(server.requests) == (0 if status == 401 and server.key else 1)


# --- leaving --------------------------------------------------------------------------------------------


async def test_whoever_stops_listening_stops_the_server():
    async with asked(Reply(deltas=("One ",), then="hang")) as (server, remote):
        deltas = remote.stream(QUESTION)
        assert await anext(deltas) == "One "
        await deltas.aclose()
        await asyncio.wait_for(server.gone.wait(), 5)


async def test_whoever_is_cancelled_before_the_first_word_stops_the_server():
    async with asked(Reply(deltas=({"role": "assistant"},), then="hang")) as (server, remote):
        task = asyncio.create_task(answer(remote))
        await asyncio.wait_for(server.began.wait(), 5)
        task.cancel()
        await asyncio.wait_for(server.gone.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_server_that_falls_silent_is_given_up():
    async with asked(Reply(deltas=("One ",), then="hang"), settings={"token_timeout_s": 0.2}) as (
        server,
        remote,
    ):
        found = await trouble(remote)
        assert found.code == "engine_timeout"
        assert "openai.token_timeout_s" in found.logged
        await asyncio.wait_for(server.gone.wait(), 5)
    assert len(server.requests) == 1, "who waited once does not wait again"


# --- sentences ------------------------------------------------------------------------------------------


async def test_nobody_listens_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = OpenAISettings(base_url=f"http://127.0.0.1:{free.getsockname()[1]}/v1", retries=0)
    remote = Remote(settings)
    found = await trouble(remote)
    assert found.code == "engine_unavailable"
    assert settings.base_url in found.logged and "openai.base_url" in found.logged
    assert "refused" in found.logged or "connect" in found.logged.lower()
    await remote.aclose()


async def test_a_key_that_is_refused_names_the_setting_and_not_the_key():
    async with asked(settings={"api_key": "swordfish"}, key="other") as (_, remote):
        found = await trouble(remote)
        assert found.code == "engine_unauthorized"
        assert "HEARSIGHT_OPENAI__API_KEY" in found.logged
        assert "swordfish" not in found.logged + found.told
        with pytest.raises(ServerError):
            await remote.models()


async def test_the_key_is_shown_to_the_server():
    async with asked(settings={"api_key": "swordfish"}, key="swordfish") as (server, remote):
        assert (await answer(remote))[0] == "Yes."


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (error("The model `tiny` does not exist.", 404), "engine_misconfigured", "openai.model"),
        (
            Reply(400, {"detail": "Server is pinned to 'x'; requested 'tiny'."}),
            "engine_misconfigured",
            "pinned to 'x'",
        ),
        (
            error("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
            "context_length_exceeded",
            "context.max_tokens",
        ),
        (
            error("the request exceeds the available context size, try increasing it"),
            "context_length_exceeded",
            "context.max_tokens",
        ),
        (error("Bad prompt"), "engine_failed", "HTTP 400"),
        (Reply(418, "<html>I am a teapot</html>"), "engine_failed", "HTTP 418"),
    ],
)
async def test_refusals_are_told_in_sentences(reply, code, words):
    async with asked(reply) as (_, remote):
        found = await trouble(remote)
    assert found.code == code
    assert words in found.logged
    assert found.told.endswith(".")


@pytest.mark.parametrize(
    ("part", "message", "words"),
    [
        (SPEECH, "At most 0 audio(s) may be provided in one prompt.", "openai.audio = false"),
        (SPEECH, "tiny is not a multimodal model", "openai.audio = false"),
        (PICTURE, "image input is not supported", "openai.pictures = false"),
    ],
)
async def test_a_model_that_does_not_hear_or_see_names_the_setting(part, message, words):
    async with asked(error(message)) as (_, remote):
        found = await trouble(remote, {"messages": [{"role": "user", "content": [part]}]})
        assert words in found.logged
        assert found.code == "engine_misconfigured"
        plain = await trouble(remote)
        assert "openai.audio" not in plain.logged, "no speech was sent"


async def test_a_long_complaint_is_cut():
    async with asked(error("x" * 5000)) as (_, remote):
        assert len((await trouble(remote)).logged) < 500


# --- models ---------------------------------------------------------------------------------------------


async def test_the_models_of_a_server_and_how_much_they_can_read():
    listed = ({"id": "a", "object": "model", "max_model_len": 4096}, {"id": "b", "object": "model"})
    async with asked(models=listed) as (_, remote):
        assert await remote.models() == [ServedModel("a", 4096), ServedModel("b")]


async def test_a_server_without_a_list_says_so():
    async with asked(models=None) as (_, remote):
        with pytest.raises(ServerError) as caught:
            await remote.models()
        assert not caught.value.trouble.passing
