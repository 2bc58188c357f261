"""The agent as a graph over LangChain messages."""

import base64
import io
import wave

import cv2
import numpy as np
import pytest
from agent_driver import Driver
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from hearsight.agent.message_graph import build_message_graph
from hearsight.agent.message_items import user_item
from hearsight.agent.models.script import Script, Step
from hearsight.streams.errors import EngineError, HearsightError, InvalidAudio, InvalidEvent, InvalidPicture
from hearsight.streams.events import AudioContent, ImageContent, TextContent

WEATHER = Step(call="weather", arguments={"city": "Rome"})


@pytest.fixture
def agent(drivers):
    """An agent on a script."""

    def make(*steps, **more):
        drivers.append(Driver(script=Script(steps=steps, **more)))
        return drivers[-1].agent

    return make


def asked(agent) -> list:
    """The messages of the engine's requests."""
    return [request.messages for each in agent.engine.conversations for request in each.requests]


def png() -> bytes:
    return cv2.imencode(".png", np.full((32, 48, 3), 200, np.uint8))[1].tobytes()


def wav(rate_hz: int = 16_000, channels: int = 1, width: int = 2, seconds: float = 0.5) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as recording:
        recording.setframerate(rate_hz)
        recording.setnchannels(channels)
        recording.setsampwidth(width)
        recording.writeframes(bytes(round(seconds * rate_hz) * channels * width))
    return file.getvalue()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_a_message_is_answered(agent):
    graph = build_message_graph(agent(Step(say="Hello to you.")))
    result = await graph.ainvoke({"messages": [HumanMessage("Hello!")]})
    assert [message.content for message in result["messages"]] == ["Hello!", "Hello to you."]


async def test_the_text_comes_as_it_is_written(agent):
    graph = build_message_graph(agent(Step(say="Hello to you all.")))
    stream = graph.astream({"messages": [HumanMessage("Hello!")]}, stream_mode="custom")
    pieces = [piece async for piece in stream]
    assert len(pieces) > 2 and "".join(pieces) == "Hello to you all."


async def test_tools_are_called_and_shown(agent):
    graph = build_message_graph(agent(WEATHER, Step(say="It rains.")))
    result = await graph.ainvoke({"messages": [HumanMessage("How is Rome?")]})
    _, call, outcome, answer = result["messages"]
    assert call.tool_calls[0]["name"] == "weather"
    assert isinstance(outcome, ToolMessage) and outcome.content == "It rains in Rome."
    assert outcome.tool_call_id == call.tool_calls[0]["id"]
    assert answer.content == "It rains."


async def test_a_thread_goes_on_with_its_tools_and_answers(agent):
    who = agent(WEATHER, Step(say="It rains."), Step(say="I said that it rains."))
    graph = build_message_graph(who)
    graph.checkpointer = InMemorySaver()
    thread = {"configurable": {"thread_id": "1"}}
    await graph.ainvoke({"messages": [HumanMessage("How is Rome?")]}, thread)
    result = await graph.ainvoke({"messages": [HumanMessage("What did you say?")]}, thread)
    assert len(result["messages"]) == 6
    assert [message.type for message in asked(who)[-1]] == ["human", "ai", "tool", "ai", "human"]


async def test_inside_another_graph(agent):
    inner = build_message_graph(agent(Step(say="Hello.")))

    async def shout(state: MessagesState):
        return {"messages": [AIMessage(state["messages"][-1].content.upper())]}

    outer = StateGraph(MessagesState)
    outer.add_node("hearsight", inner)
    outer.add_node("shout", shout)
    outer.add_edge(START, "hearsight")
    outer.add_edge("hearsight", "shout")
    outer.add_edge("shout", END)
    result = await outer.compile().ainvoke({"messages": [HumanMessage("Hi")]})
    assert [message.content for message in result["messages"]] == ["Hi", "Hello.", "HELLO."]


async def test_system_messages_are_the_instructions(agent):
    who = agent(Step(say="Arr."))
    await build_message_graph(who).ainvoke({"messages": [SystemMessage("Be a pirate."), HumanMessage("Hi")]})
    (request,) = who.engine.conversations[-1].requests
    assert request.instructions == "Be a pirate."
    assert [message.type for message in request.messages] == ["human"]


async def test_pictures_and_speech_reach_the_engine(agent):
    who = agent(Step(say="A grey picture."), transcripts=["what is this"], captions=["grey"])
    content = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(png())}"}},
        {"type": "audio", "base64": b64(wav()), "mime_type": "audio/wav"},
    ]
    await build_message_graph(who).ainvoke({"messages": [HumanMessage(content)]})
    text, picture, speech = asked(who)[-1][0].content
    assert text["text"] == "Look:"
    assert (picture["type"], picture["caption"]) == ("image", "grey")
    assert (speech["type"], speech["transcript"]) == ("audio", "what is this")


async def test_an_agent_may_be_opened_when_it_is_needed(agent):
    opened = []

    async def open_agent():
        opened.append(agent(Step(say="Here I am.")))
        return opened[-1]

    graph = build_message_graph(open_agent)
    assert opened == []
    result = await graph.ainvoke({"messages": [HumanMessage("Hi")]})
    assert result["messages"][-1].content == "Here I am." and len(opened) == 1


async def test_an_engine_that_fails_fails_the_run(agent):
    graph = build_message_graph(agent(Step(error="Out of memory.")))
    with pytest.raises(EngineError, match="Out of memory"):
        await graph.ainvoke({"messages": [HumanMessage("Hi")]})


async def test_a_result_without_its_call_is_refused(agent):
    graph = build_message_graph(agent())
    with pytest.raises(InvalidEvent, match="belongs to no call"):
        await graph.ainvoke({"messages": [ToolMessage("42", tool_call_id="nobody"), HumanMessage("Hi")]})


class TestItems:
    """Messages as items."""

    def test_plain_text(self):
        assert user_item(HumanMessage("Hi"), "u1").content == (TextContent("Hi"),)

    @pytest.mark.parametrize(
        "block",
        [
            {"type": "image_url", "image_url": f"data:image/png;base64,{b64(png())}"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(png())}"}},
            {"type": "image", "base64": b64(png()), "mime_type": "image/png"},
            {"type": "image", "source_type": "base64", "data": b64(png()), "mime_type": "image/png"},
        ],
    )
    def test_pictures_in_every_form(self, block):
        (content,) = user_item(HumanMessage([block]), "u1").content
        assert isinstance(content, ImageContent)
        assert (content.picture.width, content.picture.height) == (48, 32)

    @pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_speech_of_any_rate(self, rate_hz, channels):
        block = {"type": "input_audio", "input_audio": {"data": b64(wav(rate_hz, channels)), "format": "wav"}}
        (content,) = user_item(HumanMessage([block]), "u1").content
        assert isinstance(content, AudioContent) and content.samples is not None
        assert abs(content.samples.size - 8_000) <= 1 and abs(content.duration_ms - 500) < 1

    @pytest.mark.parametrize(
        ("block", "error", "said"),
        [
            (
                {"type": "image_url", "image_url": "https://example.org/cat.jpg"},
                InvalidPicture,
                "not fetched",
            ),
            ({"type": "image", "base64": b64(b"no picture")}, InvalidPicture, "JPEG"),
            ({"type": "image", "base64": b64(png()[:100])}, InvalidPicture, "picture"),
            ({"type": "image", "url": "https://example.org/cat.jpg"}, InvalidEvent, "in base64"),
            ({"type": "image", "base64": "***"}, InvalidEvent, "not valid base64"),
            ({"type": "audio", "base64": b64(b"RIFF no more")}, InvalidAudio, "WAV"),
            ({"type": "audio", "base64": b64(wav(width=1))}, InvalidAudio, "16 bits"),
            ({"type": "input_audio", "input_audio": None}, InvalidEvent, "in base64"),
            ({"type": "video", "base64": "AAAA"}, InvalidEvent, "cannot hold 'video'"),
        ],
    )
    def test_what_cannot_be_taken_says_why(self, block, error, said):
        with pytest.raises(error, match=said) as refused:
            user_item(HumanMessage([block]), "u1")
        assert isinstance(refused.value, HearsightError)
