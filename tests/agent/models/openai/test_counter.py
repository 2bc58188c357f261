"""Prompts are reckoned, and the server's own counts put that right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from hearsight.agent.ledger import Ledger, audio_tokens
from hearsight.agent.messages import audio_block, human, image_block
from hearsight.agent.models.openai.counter import (
    BYTES_PER_TOKEN,
    MEDIA_TOKENS,
    PADDED_CLIP_TOKENS,
    TURN_TOKENS,
    Calibration,
    RemoteCounter,
)
from hearsight.agent.models.openai.media import AudioClip, SentPicture
from hearsight.agent.models.openai.prompt import ChatTurn
from hearsight.tools.calls import ToolSpec

SECOND = 16_000


def counter(
    calibration: Calibration | None = None, *, audio: bool = True, pictures: bool = True
) -> RemoteCounter:
    return RemoteCounter(calibration or Calibration(), audio=audio, pictures=pictures)


def test_speech_counts_as_the_server_pads_it_or_exactly():
    assert counter().audio(2 * SECOND, None) == MEDIA_TOKENS + PADDED_CLIP_TOKENS
    exact = counter(Calibration(padded=False))
    assert exact.audio(2 * SECOND, None) == MEDIA_TOKENS + audio_tokens(2 * SECOND)
    assert counter().audio(40 * SECOND, None) == 2 * (MEDIA_TOKENS + PADDED_CLIP_TOKENS)


def test_what_is_told_in_words_counts_as_words():
    deaf = counter(audio=False, pictures=False)
    assert deaf.audio(20 * SECOND, "Yes.") == deaf.text("Yes.") < 5
    assert deaf.picture("a cat") < 20
    assert counter().picture("a cat") == MEDIA_TOKENS + 256


def test_the_server_s_counts_become_ours():
    calibration = Calibration()
    text = "Some words that somebody says, one after the other, until there are enough. " * 20
    turns = [ChatTurn("system", (text,)), ChatTurn("user", (AudioClip("", SECOND), SentPicture("")))]
    for _ in range(20):
        of_text = len(text) // 5
        media = calibration.clip(SECOND) + calibration.part(SentPicture(""))
        calibration.learn(turns, of_text + media + TURN_TOKENS * 2)
    assert calibration.bytes_per_token == pytest.approx(5, rel=0.02)
    assert counter(calibration).text(text) == pytest.approx(len(text) / 5, rel=0.08)
    assert counter(calibration).text(text) >= len(text) / 5, "rather too long than too short"


def test_a_short_prompt_teaches_nothing():
    calibration = Calibration()
    calibration.learn([ChatTurn("user", ("Hello.",))], 9)
    assert calibration == Calibration()


def test_a_prompt_that_was_refused_as_too_long_makes_texts_longer():
    calibration = Calibration()
    before = counter(calibration).text("x" * 1000)
    calibration.too_long()
    assert counter(calibration).text("x" * 1000) > 1.2 * before


@given(counts=st.lists(st.integers(0, 1_000_000), max_size=30), text=st.text(min_size=200, max_size=400))
def test_no_count_leads_out_of_what_tokenizers_do(counts, text):
    calibration = Calibration()
    for count in counts:
        calibration.learn([ChatTurn("user", (text,))], count)
        assert BYTES_PER_TOKEN[0] <= calibration.bytes_per_token <= BYTES_PER_TOKEN[1]


def test_every_kind_of_message_costs_something():
    ledger = Ledger(counter())
    call = {"type": "tool_call", "id": "c", "name": "weather", "args": {"city": "Bonn"}}
    messages = [
        HumanMessage("Hello.", id="1"),
        human("2", [image_block("k"), audio_block("2", SECOND)]),
        AIMessage("Cut sho", id="3", response_metadata={"interrupted": True}),
        AIMessage("", id="4", tool_calls=[call]),
        ToolMessage("It rains.", tool_call_id="c", id="5"),
    ]
    tokens = [ledger.message(message) for message in messages]
    assert all(each.total > TURN_TOKENS for each in tokens)
    assert tokens[1].audio and tokens[1].image
    tool = ToolSpec(
        "weather", "Tell the weather.", {"type": "object", "properties": {"city": {"type": "string"}}}
    )
    head = ledger.head("Be brief.", (tool,))
    assert head.system > TURN_TOKENS and head.tools > 20
