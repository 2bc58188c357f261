"""The client against the real server, over real sockets that break."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import websockets
from drawn_pictures import encoded, room

from hearsight import Client
from hearsight.addresses import REALTIME_PATH
from hearsight.line import ClientError
from hearsight.streams.errors import InvalidPicture
from hearsight.user_events import (
    AnswerBegan,
    AnswerEnded,
    FunctionCalled,
    Problem,
    Resumed,
    Speech,
    SpeechBegan,
    SpeechEnded,
    ToolBegan,
    ToolEnded,
    Transcript,
    Words,
)
from hearsight.wav import read_wav

SPEECH = read_wav(Path(__file__).parents[1] / "data" / "speech" / "ten_of_clubs.wav", 24_000)
CHUNK = 4_800


async def until(client: Client, kind: type, *, count: int = 1, timeout_s: float = 20) -> list:
    """Events up to the one of that kind that makes the count full."""
    events: list = []
    async with asyncio.timeout(timeout_s):
        async for event in client:
            events.append(event)
            if sum(isinstance(one, kind) for one in events) == count:
                return events
    raise AssertionError(f"no {kind.__name__}; there were {events}")


def words(events: list) -> str:
    return "".join(event.text for event in events if isinstance(event, Words))


def only(events: list, kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def told(session, words: str) -> asyncio.Event:
    """Is set when the server writes a message that holds these words, whether or not anybody reads it."""
    written, append = asyncio.Event(), session.log.append

    def note(message: str) -> None:
        append(message)
        if words in message:
            written.set()

    session.log.append = note
    return written


class Wire:
    """Between a client and a server: passes all on, and can be cut, with what is on its way."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._writers: list[asyncio.StreamWriter] = []
        self._deaf = False
        self.port = 0
        self.connections = 0

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()
        self.cut()

    def swallow(self) -> None:
        """What the client sends from now on is lost, though it cannot tell."""
        self._deaf = True

    def cut(self) -> None:
        self._deaf = False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def hang_up(self) -> None:
        """Take no connection any more."""
        self._server.close()
        self.cut()

    async def _serve(self, reader, writer) -> None:
        self.connections += 1
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        self._writers += [writer, up_writer]
        await asyncio.gather(self._pass(reader, up_writer, up=True), self._pass(up_reader, writer))

    async def _pass(self, reader, writer, *, up: bool = False) -> None:
        try:
            while data := await reader.read(65_536):
                if not (up and self._deaf):
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


async def test_a_typed_question_is_answered_aloud(script, scripted, serving):
    async with serving(scripted(script({"say": "Good morning."}))) as (server, _):
        async with Client(f"127.0.0.1:{server.port}") as client:
            await client.send_text("Hello?")
            events = await until(client, AnswerEnded)
            assert client.session_id is not None
    assert words(events) == "Good morning."
    assert sum(event.samples.size for event in only(events, Speech)) > 24_000 / 4
    assert events[-1].status == "completed" and events[-1].usage["output_tokens"] > 0
    assert only(events, AnswerBegan)[0].response_id == events[-1].response_id


async def test_an_answer_may_be_written(script, scripted, serving):
    async with serving(scripted(script({"say": "Good morning."}))) as (server, _):
        async with Client(f"127.0.0.1:{server.port}", modality="text", instructions="Be polite.") as client:
            await client.send_text("Hello?")
            events = await until(client, AnswerEnded)
    assert words(events) == "Good morning." and not only(events, Speech)


async def test_speech_is_heard_and_its_end(script, scripted, serving):
    path = script({"say": "I see."}, {"say": "I see."}, transcripts=["ten of clubs"] * 4)
    async with serving(scripted(path)) as (server, _), Client(f"127.0.0.1:{server.port}") as client:
        quiet = np.zeros(24_000, np.int16)
        await client.send_audio(np.concatenate([quiet, SPEECH, quiet]))
        events = await until(client, AnswerEnded)
    (began,), (ended,) = only(events, SpeechBegan), only(events, SpeechEnded)
    assert 500 < began.audio_start_ms < ended.audio_end_ms
    assert only(events, Transcript)[0].text == "ten of clubs"


async def test_the_program_may_end_the_turns(script, scripted, serving):
    path = script({"say": "A room, and a card."}, transcripts=["what is this"], captions=["a room"])
    async with serving(scripted(path)) as (server, _):
        async with Client(f"127.0.0.1:{server.port}", turns="client") as client:
            await client.send_frame(encoded(room(), ".jpg"))
            await client.send_audio(SPEECH)
            await client.commit()
            await client.respond()
            events = await until(client, AnswerEnded)
    assert words(events) == "A room, and a card." and not only(events, SpeechBegan)
    assert events[-1].usage["input_token_details"]["image_tokens"] > 0


async def test_pictures_come_with_what_is_typed(script, scripted, serving):
    async with serving(scripted(script({"say": "A room."}, captions=["a room"]))) as (server, _):
        async with Client(f"127.0.0.1:{server.port}") as client:
            await client.send_text("Where am I?", [encoded(room(), ".png")])
            events = await until(client, AnswerEnded)
            with pytest.raises(InvalidPicture):
                await client.send_text("And now?", [b"no picture"])
    assert events[-1].usage["input_token_details"]["image_tokens"] > 0


async def test_the_services_tools_are_told(script, scripted, serving):
    path = script({"call": "calculate", "arguments": {"expression": "2+2"}})
    async with serving(scripted(path)) as (server, _), Client(f"127.0.0.1:{server.port}") as client:
        await client.send_text("What is 2+2?")
        events = await until(client, AnswerEnded)
    (began,), (ended,) = only(events, ToolBegan), only(events, ToolEnded)
    assert began.name == ended.name == "calculate" and json.loads(began.arguments) == {"expression": "2+2"}
    assert (ended.output, ended.ok) == ("4", True)


async def test_the_model_calls_functions_of_the_program(script, scripted, serving):
    path = script({"call": "lamp", "arguments": {"on": True}}, {"say": "Let there be light."})
    async with serving(scripted(path)) as (server, _):
        client = Client(f"127.0.0.1:{server.port}")
        asked = []

        @client.tool
        async def lamp(on: bool) -> str:
            """Switch the lamp on or off."""
            asked.append(on)
            return "It is on."

        async with client:
            await client.send_text("Switch on the lamp!")
            events = await until(client, AnswerEnded, count=2)
    assert asked == [True]
    assert [event.goes_on for event in only(events, AnswerEnded)] == [True, False]
    assert only(events, FunctionCalled)[0].name == "lamp"
    assert words(events) == "Let there be light." and not only(events, Problem)


async def test_whoever_speaks_while_a_function_runs_is_answered_once(script, scripted, serving):
    path = script({"call": "lamp"}, {"say": "I hear."}, {"say": "I hear."}, transcripts=["of clubs"] * 5)
    async with serving(scripted(path)) as (server, _):
        client = Client(f"127.0.0.1:{server.port}")
        answered = asyncio.Event()

        @client.tool
        async def lamp() -> str:
            """Switch the lamp."""
            await answered.wait()
            return "It is on."

        async with client:
            await client.send_text("Lamp!")
            (first,) = only(await until(client, AnswerEnded), AnswerEnded)
            quiet = np.zeros(24_000, np.int16)
            await client.send_audio(np.concatenate([SPEECH, quiet]))
            (second,) = only(await until(client, AnswerEnded), AnswerEnded)
            (session,) = server.sessions._live.values()
            returned = told(session, "function_call_output")
            answered.set()
            await returned.wait()
            await client.cancel()  # behind whatever else was asked for
            last = await until(client, Problem)
    assert (first.goes_on, second.goes_on) == (True, False) and not only(last, AnswerBegan)


async def test_what_was_not_played_was_not_said(script, scripted, serving):
    path = script({"say": "One two three four five six seven eight."}, {"say": "Sorry."})
    async with serving(scripted(path)) as (server, _), Client(f"127.0.0.1:{server.port}") as client:
        await client.send_text("Count!")
        events = await until(client, AnswerEnded)
        item_id = only(events, Speech)[0].item_id
        await client.played(item_id, 200)
        await client.truncate(item_id, 450)
        await client.send_text("Stop!")
        await until(client, AnswerEnded)
        (session,) = server.sessions._live.values()
        context = session._runtime._agent.context.for_model()
    assert [message.content for message in context if message.type == "ai"][0] == "One two"


async def test_an_answer_is_cancelled(script, scripted, serving):
    async with serving(scripted(script({"say": "word " * 400}))) as (server, _):
        async with Client(f"127.0.0.1:{server.port}") as client:
            await client.send_text("Talk!")
            await until(client, AnswerBegan)
            await client.cancel()
            (ended,) = only(await until(client, AnswerEnded), AnswerEnded)
    assert (ended.status, ended.reason) == ("cancelled", "client_cancelled")


async def test_a_mistake_is_told_and_the_conversation_goes_on(script, scripted, serving):
    async with serving(scripted(script({"say": "Yes?"}))) as (server, _):
        async with Client(f"127.0.0.1:{server.port}") as client:
            await client.cancel()
            (problem,) = only(await until(client, Problem), Problem)
            await client.send_text("Hello?")
            assert words(await until(client, AnswerEnded)) == "Yes?"
    assert problem.code == "response_cancel_not_active"


async def test_a_lost_connection_is_had_back_in_mid_answer(script, scripted, serving):
    said = "One two three four five six seven eight nine ten. " * 3
    async with serving(scripted(script({"say": said}, {"say": "Done."}))) as (server, _):
        async with Wire(server.port) as wire, Client(f"127.0.0.1:{wire.port}") as client:
            await client.send_text("Count!")
            events = await until(client, Speech)
            wire.cut()
            events += await until(client, AnswerEnded)
            await client.send_text("Go on.")
            more = await until(client, AnswerEnded)
            assert wire.connections == 2
    assert only(events, Resumed) == [Resumed()]
    assert words(events).strip() == said.strip() and words(more) == "Done."


async def test_what_a_lost_connection_took_with_it_is_sent_again(script, scripted, serving):
    async with serving(scripted(script({"say": "Hello."}, {"say": "You asked."}))) as (server, _):
        async with Wire(server.port) as wire, Client(f"127.0.0.1:{wire.port}") as client:
            await client.send_text("Hello?")
            await until(client, AnswerEnded)
            wire.swallow()
            await client.send_text("Do you hear me?")
            wire.cut()
            events = await until(client, AnswerEnded)
            (session,) = server.sessions._live.values()
            asked = [one for one in session._runtime._agent.context.for_model() if one.type == "human"]
    assert words(events) == "You asked." and len(asked) == 2


async def test_what_arrived_before_the_loss_is_not_sent_twice(script, scripted, serving):
    async with serving(scripted(script({"say": "Once."}, {"say": "Twice!"}))) as (server, _):
        async with Wire(server.port) as wire, Client(f"127.0.0.1:{wire.port}") as client:
            await until(client, object)
            (session,) = server.sessions._live.values()
            answered = told(session, '"response.done"')
            await client.send_text("Hello?")
            await answered.wait()
            wire.cut()
            events = await until(client, AnswerEnded)
            await client.cancel()  # behind all that was sent again
            events += await until(client, Problem)
    assert words(events) == "Once." and len(only(events, AnswerEnded)) == 1


async def test_a_program_that_only_sends_has_the_connection_back_as_well(script, scripted, serving):
    async with serving(scripted(script({"say": "Yes."}))) as (server, _):
        async with Wire(server.port) as wire, Client(f"127.0.0.1:{wire.port}") as client:
            await until(client, object)
            wire.cut()
            for _ in range(20):
                await client.send_audio(np.zeros(CHUNK, np.int16))
                await asyncio.sleep(0.01)
            assert wire.connections == 2
            await client.send_text("Hello?")
            assert words(await until(client, AnswerEnded)) == "Yes."


async def test_a_connection_that_cannot_be_had_back_is_an_error(script, scripted, serving):
    async with serving(scripted(script())) as (server, _):
        async with Wire(server.port) as wire:
            async with Client(f"127.0.0.1:{wire.port}", reconnect_s=0.2) as client:
                await until(client, object)
                wire.hang_up()
                with pytest.raises(ClientError, match=r"lost.* It could not be had back: No service answers"):
                    await until(client, AnswerEnded)


async def test_a_session_that_is_gone_is_an_error(script, scripted, serving):
    async with serving(scripted(script(), server__session_ttl_s=0.05)) as (server, _):
        async with Wire(server.port) as wire, Client(f"127.0.0.1:{wire.port}") as client:
            await until(client, object)
            (session,) = server.sessions._live.values()
            wire.cut()
            await session.ended.wait()
            with pytest.raises(ClientError, match="session"):
                await until(client, AnswerEnded)


async def test_a_server_that_shuts_down_says_so(script, scripted, serving):
    async with serving(scripted(script())) as (server, _), Client(f"127.0.0.1:{server.port}") as client:
        await until(client, object)
        server.stop()
        with pytest.raises(ClientError, match="lost: The server is shutting down"):
            await until(client, AnswerEnded)


async def test_nobody_there(unused_tcp_port):
    with pytest.raises(ClientError, match="start one with `hearsight serve`"):
        async with Client(f"127.0.0.1:{unused_tcp_port}"):
            pass


async def test_a_key_is_needed_and_given(script, scripted, serving):
    settings = scripted(script({"say": "Welcome."}), server__api_keys=["sesame"])
    async with serving(settings) as (server, _):
        with pytest.raises(ClientError, match="refused: A valid API key is needed"):
            async with Client(f"127.0.0.1:{server.port}"):
                pass
        async with Client(f"127.0.0.1:{server.port}", api_key="sesame") as client:
            await client.send_text("Hello?")
            assert words(await until(client, AnswerEnded)) == "Welcome."


async def test_outside_of_its_block_it_says_how_it_is_used():
    client = Client()
    with pytest.raises(ClientError, match="use it inside `async with`"):
        await client.send_text("Hello?")


@asynccontextmanager
async def strange_server(message: str):
    async def handle(socket):
        await socket.send(message)
        await socket.wait_closed()

    async with websockets.serve(handle, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("message", ["no JSON", "[]", "{}", '{"type": "error"}', '{"type": "response.done"}'])
async def test_another_protocol_is_recognised(message):
    async with strange_server(message) as port, Client(f"127.0.0.1:{port}{REALTIME_PATH}") as client:
        with pytest.raises(ClientError, match="does not belong to the protocol"):
            await until(client, AnswerEnded)
