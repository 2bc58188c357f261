"""openai-agents' RealtimeRunner, unmodified, has its conversations with the real service."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager

import numpy as np
import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner

pytestmark = pytest.mark.models

CHUNK_BYTES = 24_000 // 50 * 2


class AgentsUser:
    """Speaks to an openai-agents session and keeps its events."""

    def __init__(self, session):
        self.session = session
        self.events = []
        self._changed = asyncio.Event()

    async def read(self):
        async for event in self.session:
            self.events.append(event)
            self._changed.set()

    async def until(self, wanted, what, *, timeout_s=60):
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := [event for event in self.events if wanted(event)]):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no {what}; there were: {[e.type for e in self.events]}") from None
        return found[0]

    async def speak(self, samples, *, pace=4.0, silence_ms=1_200):
        quiet = np.zeros(24 * silence_ms, np.int16)
        data = np.concatenate((quiet[:4_800], samples, quiet)).astype("<i2").tobytes()
        for at in range(0, len(data), CHUNK_BYTES):
            await self.session.send_audio(data[at : at + CHUNK_BYTES])
            await asyncio.sleep(0.02 / pace)

    def raw(self, kind):
        """The service's own events, as the SDK passes them on."""
        return [
            event.data.data
            for event in self.events
            if event.type == "raw_model_event"
            and event.data.type == "raw_server_event"
            and event.data.data["type"] == kind
        ]

    def said(self):
        audio = b"".join(event.audio.data for event in self.events if event.type == "audio")
        return np.frombuffer(audio, "<i2").astype(np.int16)

    def errors(self):
        return [event.error for event in self.events if event.type == "error"]


@asynccontextmanager
async def running(live, *tools):
    agent = RealtimeAgent(name="Assistant", instructions="Answer in one short sentence.", tools=list(tools))
    runner = RealtimeRunner(agent)
    session = await runner.run(model_config={"api_key": "unused", "url": f"{live.realtime}?model=hearsight"})
    async with session:
        user = AgentsUser(session)
        reading = asyncio.create_task(user.read())
        try:
            yield user
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def ended(event):
    return event.type == "agent_end"


async def test_what_time_is_it(live, say, transcribe):
    async with running(live) as user:
        await user.speak(await say("What time is it?"))
        await user.until(ended, "end of the answer")
        (done,) = user.raw("response.done")
        assert [item["name"] for item in done["response"]["output"] if item["type"] == "mcp_call"] == [
            "get_time"
        ]
        heard = await transcribe(user.said())
        assert re.search(
            r"\d|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve", heard.lower()
        ), heard
        assert user.errors() == []


async def test_the_clients_own_tool_runs(live, say):
    asked = []

    @function_tool
    def get_parcel_status(number: str) -> str:
        """Where a parcel is.

        Args:
            number: The parcel's tracking number.
        """
        asked.append(number)
        return "It is at the post office in Lyon."

    async with running(live, get_parcel_status) as user:
        await user.speak(await say("Where is my parcel? The number is 4 5 9."))
        await user.until(lambda event: event.type == "tool_end", "tool")
        await user.until(
            lambda event: event.type == "agent_end" and len(user.raw("response.done")) >= 2, "second answer"
        )
        assert len(asked) == 1
        assert re.sub(r"\D", "", asked[0]) == "459"
        words = "".join(event["delta"] for event in user.raw("response.output_audio_transcript.delta"))
        assert "lyon" in words.lower()
        assert user.errors() == []


async def test_barge_in_cuts_the_history_to_what_was_heard(live, say):
    async with running(live) as user:
        await user.speak(
            await say("Please tell me a long story about a lighthouse keeper and his cat."), pace=2
        )
        await user.until(lambda event: event.type == "audio", "audio")
        await user.speak(await say("Stop, please. That is enough."), pace=1)
        await user.until(lambda event: event.type == "audio_interrupted", "interruption")
        await user.until(lambda event: len(user.raw("conversation.item.truncated")) > 0, "truncation")
        assert user.errors() == []
