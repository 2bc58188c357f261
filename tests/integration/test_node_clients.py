"""@google/genai and @openai/agents-realtime, unmodified, have their conversations with the service.

The service follows a script, so that what is said is known; all else is real: speech, voice activity,
sockets, TLS and the clients.
"""

from __future__ import annotations

from pathlib import Path

import node_clients
import pytest
import soxr

LONG = "Once upon a time there was a keeper of a lighthouse, who had a cat, and the cat had a boat. " * 3
STEPS = (
    {"call": "find_parcel", "arguments": {"number": 459}},
    {"say": "It is in Lyon."},
    {"say": LONG},
    {"say": "All right, I stop."},
    {"say": "You are Paul."},
)
TRANSCRIPTS = ("where is my parcel", "tell me a story", "stop please")


@pytest.fixture(scope="session")
def clients() -> Path:
    return node_clients.installed()


@pytest.fixture
def recording(tmp_path, speech):
    """A raw recording at some rate."""

    def write(rate_hz: int) -> str:
        path = tmp_path / "speech.pcm"
        path.write_bytes(soxr.resample(speech, 16_000, rate_hz).astype("<i2").tobytes())
        return str(path)

    return write


async def test_google_genai(clients, serve, recording, sign, tmp_path, tls_folder):
    server = serve(*STEPS, transcripts=TRANSCRIPTS)
    picture = tmp_path / "sign.jpg"
    picture.write_bytes(sign)
    seen = await node_clients.run(
        clients,
        "gemini_live.mjs",
        server.http,
        recording(16_000),
        str(picture),
        NODE_EXTRA_CA_CERTS=str(tls_folder / "ca.pem"),
    )
    assert (seen["call"]["name"], seen["call"]["args"]) == ("find_parcel", {"number": 459})
    assert seen["firstWords"] == "It is in Lyon."
    assert seen["error"]["status"] == "INVALID_ARGUMENT"
    assert seen["resumed"]
    assert seen["lastWords"] == "You are Paul."
    server.service.agent.engine.expect_used()
    [conversation] = server.service.agent.engine.conversations
    assert len(set(conversation.seen)) == 1


async def test_openai_agents_realtime(clients, serve, recording):
    server = serve(*STEPS[:4], transcripts=TRANSCRIPTS, **{"server.tls": None})
    seen = await node_clients.run(clients, "agents_realtime.mjs", server.realtime, recording(24_000))
    assert seen["asked"] == [459]
    assert seen["errors"] == []
    assert seen["audioBytes"] > 48_000
    assert seen["interruptions"] >= 1
    assert seen["user"] == list(TRANSCRIPTS)
    assert seen["assistant"][0] == "It is in Lyon."
    assert LONG.startswith(seen["assistant"][1]) and seen["assistant"][1] != LONG.strip()
    server.service.agent.engine.expect_used()
