"""google-genai, unmodified, has its conversations with the real models, over TLS."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
import soxr
from gemini_user import connected
from google.genai import types

from hearsight.certificates import find_certificate, server_context
from hearsight.options import server_options

pytestmark = pytest.mark.models

SPOKEN = {
    "response_modalities": ["AUDIO"],
    "input_audio_transcription": {},
    "output_audio_transcription": {},
    "system_instruction": "Answer in one short sentence.",
}


@pytest.fixture
def url(live, tls_folder, monkeypatch):
    """The service of all tests, over TLS as well."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_folder / "ca.pem"))
    encrypted = live.settings.server.model_copy(update={"tls": "self-signed", "tls_folder": tls_folder})
    tls = server_context(find_certificate(encrypted))
    server = live.service.new_server(replace(server_options(live.settings), port=0, tls=tls))
    server.readiness.reason = None
    running = []

    async def start():
        running.append(asyncio.create_task(server.run()))
        await server.started.wait()

    async def stop():
        server.stop()
        server.stop()
        await running[0]

    live.call(start)
    yield f"https://127.0.0.1:{server.port}"
    live.call(stop)


def at_16k(samples):
    return soxr.resample(samples, 24_000, 16_000)


async def test_a_recording_is_understood_and_answered(url, speech, transcribe):
    async with connected(url, **SPOKEN) as user:
        await user.speak(speech)
        end = await user.turn(timeout_s=150)
        assert re.search(r"(seven|7) of clubs", user.heard()[0].lower())
        assert user.words()
        assert await transcribe(user.said())
        kinds = {each.modality: each.token_count for each in end.usage_metadata.prompt_tokens_details}
        assert kinds[types.MediaModality.AUDIO] > 0
        assert user.errors == []


async def test_what_time_is_it(url, say):
    async with connected(url, **SPOKEN) as user:
        await user.speak(at_16k(await say("What time is it?")))
        await user.turn(timeout_s=150)
        assert "time" in user.heard()[0].lower()
        assert re.search(r"\d{1,2}:\d{2}", user.words()), user.words()
        assert user.said().size > 12_000


async def test_a_live_camera_is_read(url, say, sign):
    async with connected(url, **SPOKEN) as user:
        await user.session.send_realtime_input(video=types.Blob(data=sign, mime_type="image/jpeg"))
        await user.speak(at_16k(await say("Please read the text on the sign in front of the camera.")))
        await user.turn(timeout_s=150)
        assert "wet floor" in user.words().lower()


async def test_the_client_runs_its_own_function(url, say):
    def set_lamp(on: bool) -> dict[str, str]:
        """Switch the lamp in the living room on or off.

        Args:
            on: Whether the lamp shall be on.
        """
        return {"lamp": "on" if on else "off"}

    async with connected(url, tools=[set_lamp], **SPOKEN) as user:
        await user.speak(at_16k(await say("Please switch on the lamp in the living room.")))
        [call] = await user.call(timeout_s=150)
        assert (call.name, call.args) == ("set_lamp", {"on": True})
        await user.session.send_tool_response(
            function_responses={"id": call.id, "name": call.name, "response": set_lamp(**call.args)}
        )
        await user.turn(timeout_s=150)
        assert "on" in user.words().lower()
