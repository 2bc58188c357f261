"""google-genai, unmodified, over TLS: the protocol, with a service that follows a script."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from gemini_user import connected, new_client
from google.genai import errors, types

PARCEL = types.FunctionDeclaration(
    name="find_parcel",
    description="Where a parcel is.",
    parameters=types.Schema(
        type=types.Type.OBJECT,
        properties={"number": types.Schema(type=types.Type.INTEGER)},
        required=["number"],
    ),
)
LONG = "Once upon a time there was a keeper of a lighthouse, who had a cat, and the cat had a boat. " * 3
SPOKEN = {"response_modalities": ["AUDIO"], "input_audio_transcription": {}, "output_audio_transcription": {}}


def said(text: str, role: str = "user") -> types.Content:
    return types.Content(role=role, parts=[types.Part(text=text)])


async def test_a_written_turn(serve):
    server = serve({"say": "Hello there."})
    async with connected(server.http, response_modalities=["TEXT"]) as user:
        assert user.session.session_id.startswith("sess_")
        await user.write("Hi")
        end = await user.turn()
        assert user.written() == "Hello there."
        assert any(content.generation_complete for content in user.contents)
        usage = end.usage_metadata
        assert usage.prompt_token_count > 0 and usage.response_token_count > 0
        assert usage.total_token_count == usage.prompt_token_count + usage.response_token_count
        assert [each.modality for each in usage.prompt_tokens_details] == [types.MediaModality.TEXT]
        assert user.said().size == 0


@pytest.mark.parametrize("version", ["v1beta", "v1alpha"])
async def test_both_versions_are_served(serve, version):
    server = serve({"say": "Yes."})
    client = new_client(server.http, version=version)
    async with client.aio.live.connect(model="any", config={"response_modalities": ["TEXT"]}) as session:
        await session.send_client_content(turns=said("Are you there?"))
        assert "".join([message.text or "" async for message in session.receive()]) == "Yes."


@pytest.mark.parametrize("rate_hz", [16_000, 8_000, 48_000])
async def test_a_spoken_turn(serve, speech, rate_hz):
    import soxr

    server = serve({"say": "It is a card."}, transcripts=("the seven of clubs",))
    async with connected(server.http, **SPOKEN) as user:
        await user.speak(soxr.resample(speech, 16_000, rate_hz), rate_hz=rate_hz)
        end = await user.turn()
        assert user.heard() == ["the seven of clubs"]
        assert user.words() == "It is a card."
        assert user.said().size > 12_000
        kinds = {each.modality: each.token_count for each in end.usage_metadata.prompt_tokens_details}
        assert kinds[types.MediaModality.AUDIO] > 0
        blobs = [
            part.inline_data
            for content in user.contents
            if content.model_turn
            for part in content.model_turn.parts
        ]
        assert {blob.mime_type for blob in blobs} == {"audio/pcm;rate=24000"}
        assert user.errors == []


async def test_transcripts_come_only_where_they_are_asked_for(serve, speech):
    server = serve({"say": "It is a card."}, transcripts=("the seven of clubs",))
    async with connected(server.http, response_modalities=["AUDIO"]) as user:
        await user.speak(speech)
        await user.turn()
        assert user.heard() == [] and user.words() == ""
        assert user.said().size > 0


async def test_a_camera_beside_the_microphone(serve, speech, sign):
    server = serve({"say": "It says wet floor."}, transcripts=("what does it say",))
    async with connected(server.http, **SPOKEN) as user:
        frame = types.Blob(data=sign, mime_type="image/jpeg")
        await user.session.send_realtime_input(video=frame)
        await user.speak(speech)
        end = await user.turn()
        kinds = {each.modality: each.token_count for each in end.usage_metadata.prompt_tokens_details}
        assert kinds[types.MediaModality.IMAGE] > 0 and kinds[types.MediaModality.AUDIO] > 0
        conversation = server.service.agent.engine.conversations[-1]
        assert len(set(conversation.seen)) == 1


async def test_a_picture_in_a_turn(serve, sign):
    server = serve({"say": "A sign."})
    async with connected(server.http, response_modalities=["TEXT"]) as user:
        parts = [types.Part.from_bytes(data=sign, mime_type="image/jpeg"), types.Part(text="What is this?")]
        await user.session.send_client_content(turns=types.Content(role="user", parts=parts))
        end = await user.turn()
        assert user.written() == "A sign."
        kinds = {each.modality for each in end.usage_metadata.prompt_tokens_details}
        assert types.MediaModality.IMAGE in kinds


async def test_the_service_runs_its_own_tools(serve):
    server = serve({"call": "calculate", "arguments": {"expression": "17 * 23"}})
    async with connected(server.http, response_modalities=["TEXT"]) as user:
        await user.write("What is 17 times 23?")
        await user.turn()
        assert "391" in user.written()
        assert not any(message.tool_call for message in user.messages)


async def test_the_client_runs_its_own_function(serve, speech):
    server = serve(
        {"call": "find_parcel", "arguments": {"number": 459}},
        {"say": "It is in Lyon."},
        transcripts=("where is my parcel",),
    )
    async with connected(server.http, tools=[types.Tool(function_declarations=[PARCEL])], **SPOKEN) as user:
        await user.speak(speech)
        [call] = await user.call()
        assert (call.name, call.args) == ("find_parcel", {"number": 459})
        assert not any(content.turn_complete for content in user.contents)
        await user.session.send_tool_response(
            function_responses=types.FunctionResponse(id=call.id, name=call.name, response={"city": "Lyon"})
        )
        await user.turn()
        assert user.words() == "It is in Lyon."
        context = server.service.agent.engine.conversations[-1].requests[-1].messages
        assert any("Lyon" in str(message.content) for message in context)


async def test_a_python_function_declares_itself(serve):
    """The SDK sends its signature as JSON Schema."""

    def set_lamp(on: bool, colour: str = "white") -> str:
        """Switch the lamp.

        Args:
            on: Whether it shall be on.
            colour: Its colour.
        """
        return "done"

    server = serve({"call": "set_lamp", "arguments": {"on": True}}, {"say": "It is on."})
    async with connected(server.http, response_modalities=["TEXT"], tools=[set_lamp]) as user:
        await user.write("Light, please.")
        [call] = await user.call()
        assert call.args == {"on": True}
        await user.session.send_tool_response(
            function_responses={"id": call.id, "name": "set_lamp", "response": {"output": "done"}}
        )
        await user.turn()
        assert user.written() == "It is on."


async def test_whoever_speaks_interrupts(serve, speech):
    server = serve({"say": LONG}, {"say": "All right."}, transcripts=("tell me a story", "stop please"))
    async with connected(server.http, **SPOKEN) as user:
        await user.speak(speech)
        await user.until(lambda message: message.data, "audio", count=3)
        await user.speak(speech, pace=1)
        await user.interruption()
        await user.turn(count=2)
        places = [
            "interrupted" if content.interrupted else "end"
            for content in user.contents
            if content.interrupted or content.turn_complete
        ]
        assert places == ["interrupted", "end", "end"]
        completed = [content for content in user.contents if content.generation_complete]
        assert len(completed) == 1
        assert user.heard() == ["tell me a story", "stop please"]


async def test_an_interruption_cancels_the_call_that_is_waited_for(serve, speech):
    server = serve(
        {"call": "find_parcel", "arguments": {"number": 1}}, {"say": "Never mind."}, transcripts=("a", "b")
    )
    async with connected(server.http, tools=[types.Tool(function_declarations=[PARCEL])], **SPOKEN) as user:
        await user.speak(speech)
        [call] = await user.call()
        await user.speak(speech)
        message = await user.until(lambda each: each.tool_call_cancellation, "cancellation")
        assert message.tool_call_cancellation.ids == [call.id]
        await user.turn()
        assert "Never mind." in user.words()
        # The client may have been too late to stop: its result is taken, and nothing is said of it.
        await user.session.send_tool_response(
            function_responses=types.FunctionResponse(id=call.id, name=call.name, response={"city": "Lyon"})
        )
        await user.write("Hm", turn_complete=False)
        await user.until(lambda each: each.server_content and each.server_content.waiting_for_input, "pause")
        assert user.errors == []


async def test_no_interruption(serve, speech):
    server = serve({"say": LONG}, {"say": "Well."}, transcripts=("a", "b"))
    handling = {"activity_handling": "NO_INTERRUPTION"}
    async with connected(server.http, realtime_input_config=handling, **SPOKEN) as user:
        await user.speak(speech)
        await user.until(lambda message: message.data, "audio")
        await user.speak(speech)
        await user.turn(count=2, timeout_s=90)
        assert not any(content.interrupted for content in user.contents)
        assert user.words().endswith("Well.")


MANUAL = {"automatic_activity_detection": {"disabled": True}}


async def test_push_to_talk(serve, speech):
    server = serve({"say": LONG}, {"say": "Stopped."}, transcripts=("one", "two"))
    async with connected(server.http, realtime_input_config=MANUAL, **SPOKEN) as user:
        await user.send(speech, pace=50)  # before the button is down: nobody listens
        await user.session.send_realtime_input(activity_start=types.ActivityStart())
        await user.send(speech, pace=50)
        assert user.messages == []
        await user.session.send_realtime_input(activity_end=types.ActivityEnd())
        await user.turn()
        assert user.heard() == ["one"]
        heard = server.service.agent.engine.conversations[-1].heard
        assert sum(heard.values()) < speech.size * 1.1

        await user.session.send_realtime_input(activity_start=types.ActivityStart())
        await user.interruption()
        await user.send(speech, pace=50)
        await user.session.send_realtime_input(activity_end=types.ActivityEnd())
        await user.turn(count=2)
        assert user.words().endswith("Stopped.")


async def test_a_button_pressed_by_mistake(serve):
    server = serve({"say": "Hello."})
    async with connected(server.http, realtime_input_config=MANUAL, response_modalities=["TEXT"]) as user:
        await user.session.send_realtime_input(activity_start=types.ActivityStart())
        await user.session.send_realtime_input(activity_end=types.ActivityEnd())
        await user.until(lambda each: each.server_content and each.server_content.waiting_for_input, "pause")
        await user.session.send_realtime_input(activity_start=types.ActivityStart())
        await user.session.send_realtime_input(text="Hello?")
        await user.session.send_realtime_input(activity_end=types.ActivityEnd())
        await user.turn()
        assert user.written() == "Hello." and user.errors == []


async def test_the_microphone_is_turned_off_in_mid_sentence(serve, speech):
    server = serve({"say": "Yes."}, transcripts=("hello",) * 8)
    async with connected(server.http, **SPOKEN) as user:
        await user.send(speech[:24_000], pace=8)
        await user.session.send_realtime_input(audio_stream_end=True)
        await user.turn()
        assert user.heard() == ["hello"]


async def test_history_comes_first(serve):
    server = serve({"say": "Paul."})
    async with connected(
        server.http,
        response_modalities=["TEXT"],
        history_config={"initial_history_in_client_content": True},
        system_instruction="Answer in one word.",
    ) as user:
        turns = [
            said("I am Paul."),
            said("Hello, Paul.", "model"),
        ]
        await user.session.send_client_content(turns=turns)
        await user.write("Who am I?")
        await user.turn()
        request = server.service.agent.engine.conversations[-1].requests[-1]
        assert [message.type for message in request.messages] == ["human", "ai", "human"]
        assert request.instructions.startswith("Answer in one word.")


async def test_a_session_goes_on_by_its_handle(serve, speech):
    server = serve({"say": "Hello, Paul."}, {"say": "You are Paul."})
    config = {"response_modalities": ["TEXT"], "session_resumption": {}}
    async with connected(server.http, **config) as user:
        await user.write("I am Paul.")
        await user.turn()
        await user.until(lambda each: each.session_resumption_update, "handle", count=2)
        session_id, handle = user.session.session_id, user.handles()[-1]
    config["session_resumption"] = {"handle": handle}
    async with connected(server.http, **config) as user:
        assert user.session.session_id == session_id
        await user.write("Who am I?")
        await user.turn()
        assert user.written() == "You are Paul."
    assert len(server.service.agent.engine.conversations) == 1


async def test_what_was_missed_comes_again(serve):
    server = serve({"say": LONG})
    config = {"response_modalities": ["TEXT"], "session_resumption": {}}
    async with connected(server.http, **config) as user:
        await user.until(lambda each: each.session_resumption_update, "handle")
        handle = user.handles()[-1]
        await user.write("A story, please.")
        await user.until(lambda each: each.text, "text", count=3)
        user.session._ws.transport.abort()
    config["session_resumption"] = {"handle": handle}
    async with connected(server.http, **config) as user:
        await user.turn()
        assert user.written().split() == LONG.split()


async def test_an_unknown_handle_is_refused(serve):
    server = serve()
    for handle, code, said in (("sess_0.1", 1008, "no such session"), ("nonsense", 1007, "no handle")):
        config = {"session_resumption": {"handle": handle}}
        with pytest.raises(errors.APIError) as caught:
            async with connected(server.http, **config):
                pass
        assert caught.value.code == code
        assert said in str(caught.value)


async def test_a_session_that_cannot_be_set_up_is_refused_with_a_reason(serve):
    server = serve()
    with pytest.raises(errors.APIError) as caught:
        async with connected(server.http, tools=[{"google_search": {}}]):
            pass
    assert caught.value.code == 1007
    assert "setup.tools[0].googleSearch" in str(caught.value)


async def test_an_error_is_raised_and_the_session_goes_on(serve):
    server = serve({"say": "Fine."})
    async with connected(server.http, response_modalities=["TEXT"]) as user:
        await user.session.send_realtime_input(audio=types.Blob(data=b"xx", mime_type="audio/mp3"))
        error = await user.until_error()
        assert (error.code, error.status) == (400, "INVALID_ARGUMENT")
        assert "audio/mp3" in error.message
        assert error.details["error"]["details"][0]["field"] == "realtimeInput.audio.mimeType"
        await user.write("How are you?")
        await user.turn()
        assert user.written() == "Fine."


async def test_an_answer_that_fails_is_told(serve):
    server = serve({"error": "The model failed."}, {"say": "Better."})
    async with connected(server.http, response_modalities=["TEXT"]) as user:
        await user.write("Hi")
        error = await user.until_error()
        assert error.code == 500 and "The model failed." in error.message
        await user.turn()
        await user.write("Again")
        await user.turn(count=2)
        assert user.written() == "Better."


async def test_the_instructions_change_in_mid_session(serve):
    server = serve({"say": "One."}, {"call": "find_parcel", "arguments": {"number": 2}}, {"say": "Two."})
    async with connected(server.http, response_modalities=["TEXT"], system_instruction="Be kind.") as user:
        await user.write("One?")
        await user.turn()
        await user.session.send_context_update(
            system_instruction="Be brief.", tools=[types.Tool(function_declarations=[PARCEL])]
        )
        await user.write("Two?")
        [call] = await user.call()
        assert call.name == "find_parcel"
        requests = server.service.agent.engine.conversations[-1].requests
        assert "Be kind." in requests[0].instructions
        assert "Be brief." in requests[1].instructions


async def test_a_key_is_needed_where_there_is_one(serve):
    server = serve({"say": "Welcome."}, **{"server.api_keys": "secret"})
    with pytest.raises(Exception, match="401"):
        async with new_client(server.http, api_key="wrong").aio.live.connect(model="any"):
            pass
    client = new_client(server.http, api_key="secret")
    async with client.aio.live.connect(model="any", config={"response_modalities": ["TEXT"]}) as session:
        await session.send_client_content(turns=said("Hi"))
        assert "".join([message.text or "" async for message in session.receive()]) == "Welcome."


async def test_a_server_that_shuts_down_says_so(serve):
    server = serve({"say": LONG})
    async with connected(server.http, **SPOKEN) as user:
        await asyncio.sleep(0)
        server.call(lambda: server.server.stop())
        message = await user.until(lambda each: each.go_away, "going away")
        assert message.go_away.time_left == "10s"
        assert (await user.until_error()).code == 1001


def test_speech_is_recorded(speech):
    assert np.abs(speech).max() > 1_000
