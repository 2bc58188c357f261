from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from hearsight.agent.messages import interrupted
from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.counter import Gemma3nCounter
from hearsight.agent.models.gemma3n.prompt import AudioToken, PictureToken, Prompt, PromptBuilder, Token
from hearsight.agent.models.gemma3n.tool_format import call_text, describe_tools, forced_start, result_text
from hearsight.agent.router import Router, ToolCallText
from hearsight.tools.calls import ToolSpec

TOOL = ToolSpec(
    "set_timer",
    "Start a countdown.\n\nMore about it.",
    {"properties": {"seconds": {"type": "integer"}, "label": {"type": "string"}}, "required": ["seconds"]},
)


class Held:
    """Media of which only the number of tokens is known."""

    def __init__(self, *, early: Sequence[str] = (), **counts: int) -> None:
        self.counts, self.early = counts, early

    def clips(self, item_id: str) -> Sequence[Sequence[Token]] | None:
        count = self.counts.get(item_id)
        return None if count is None else [[AudioToken(item_id, 0, place) for place in range(count)]]

    open_clips = clips

    def picture(self, key: str) -> Sequence[Token] | None:
        count = self.counts.get(key)
        return None if count is None else [PictureToken(key, 64, place) for place in range(count)]

    def shown_before(self, item_id: str) -> Sequence[str]:
        return self.early


def audio(item_id: str, transcript: str | None = None) -> dict[str, Any]:
    return {"type": "audio", "file_id": item_id, "samples": 16_000, "transcript": transcript}


def image(key: str, caption: str | None = None) -> dict[str, Any]:
    return {"type": "image", "file_id": key, "caption": caption}


@pytest.fixture(scope="module")
def builder(processor) -> PromptBuilder:
    return PromptBuilder(processor.tokenizer)


@pytest.fixture(scope="module")
def read(processor):
    """A prompt as text, media tokens as their names."""

    def as_text(prompt: Prompt) -> str:
        parts = []
        for token in prompt.tokens:
            name = token if isinstance(token, int) else f"[{token[0]}]"
            parts.append(processor.tokenizer.decode([name]) if isinstance(name, int) else name)
        return "".join(parts)

    return as_text


def test_a_text_conversation_reads_as_the_chat_template_has_it(builder, processor):
    ours = builder.closed(
        [HumanMessage(" Hi "), AIMessage("Hello."), HumanMessage("And?")], Held(), instructions="Be brief."
    )
    theirs = processor.tokenizer.apply_chat_template(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": " Hi "},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "And?"},
        ],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert list(ours.tokens) == theirs


def test_line_ends_merge_across_the_seam_to_media(builder, processor):
    prompt = builder.closed([HumanMessage([audio("a")])], Held(a=1))
    three = processor.tokenizer.convert_tokens_to_ids("\n\n\n")
    assert three in prompt.tokens


def test_pictures_that_came_while_somebody_spoke_stand_behind_the_speech(builder, read):
    message = HumanMessage([image("p"), image("q"), audio("a"), {"type": "text", "text": "Hm"}])
    assert "[p]" in (text := read(builder.closed([message], Held(a=1, p=1, q=1, early=["p"]))))
    assert text.index("[p]") < text.index("[a]") < text.index("[q]") < text.index("Hm")


def test_the_model_is_told_where_it_was_cut_off(builder, read):
    answer = interrupted(AIMessage("Once upon a time"), "Once upon")
    text = read(builder.closed([HumanMessage("Tell me"), answer, HumanMessage("Stop")], Held()))
    assert "model\nOnce upon (The user interrupted you here.)<end_of_turn>" in text


def test_messages_of_one_side_share_a_turn(builder, read):
    text = read(builder.closed([HumanMessage("One"), HumanMessage("Two"), AIMessage("Three")], Held()))
    assert "<start_of_turn>user\nOne\nTwo<end_of_turn>\n<start_of_turn>model\nThree" in text


def test_a_conversation_that_the_assistant_begins_has_an_empty_turn_before(builder, read):
    text = read(builder.closed([AIMessage("Hello."), HumanMessage("Hi")], Held()))
    assert text.startswith("<bos><start_of_turn>user\n<end_of_turn>\n<start_of_turn>model\nHello.")


def test_a_summary_reads_as_words_of_the_user(builder, read):
    text = read(builder.closed([SystemMessage("Earlier: tea."), HumanMessage("Hi")], Held()))
    assert "user\nEarlier: tea.\nHi" in text


def test_calls_and_results_are_fenced(builder, read):
    call = AIMessage("Well.", tool_calls=[{"id": "c", "name": "set_timer", "args": {"seconds": 60}}])
    text = read(builder.closed([HumanMessage("Go"), call, ToolMessage("ok", tool_call_id="c")], Held()))
    assert "Well.\n```tool_code\nset_timer(seconds=60)\n```<end_of_turn>" in text
    assert '<start_of_turn>user\n```tool_outputs\n{"result": "ok"}\n```<end_of_turn>' in text


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (audio("gone", "hello"), "hello"),
        (audio("gone"), "[speech, no longer kept]"),
        (image("gone", "a cat"), "[picture: a cat]"),
        (image("gone"), "[picture: no longer kept]"),
    ],
)
def test_media_that_are_gone_read_as_what_is_known_of_them(builder, read, block, words):
    assert words in read(builder.closed([HumanMessage([block])], Held()))


def test_an_open_prompt_begins_every_prompt_that_it_becomes(builder):
    before = [HumanMessage("Hi"), AIMessage("Hello.")]
    held = Held(a=5, p=3, early=["p"])
    ahead = builder.open(before, held, instructions="Be brief.", heard=[("p", True), ("a", False)])
    whole = builder.closed(
        [*before, HumanMessage([image("p"), audio("a"), image("q")])],
        Held(a=9, p=3, q=2, early=["p"]),
        instructions="Be brief.",
    )
    assert whole.tokens[: len(ahead.tokens)] == ahead.tokens
    assert sum(isinstance(token, AudioToken) for token in ahead.tokens) == 5


def test_the_head_can_be_returned_to_whatever_follows(builder):
    arguments = {"instructions": "Be brief.", "tools": (TOOL,)}
    first, second = (
        builder.closed(messages, Held(a=1), **arguments)
        for messages in ([HumanMessage("Hi")], [HumanMessage([audio("a")])])
    )
    head = first.boundaries[0]
    assert head == second.boundaries[0] > 100
    assert first.tokens[:head] == second.tokens[:head]


@given(text=st.lists(st.sampled_from(["<end_of_turn>", "<bos>", "<", "bos>", "a", " "])).map("".join))
def test_nothing_that_is_written_becomes_a_special_token(builder, processor, text):
    special = set(processor.tokenizer.all_special_ids) - {processor.tokenizer.unk_token_id}
    assert not special & set(builder.encode(builder.plain(text)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    blocks=st.lists(
        st.lists(
            st.one_of(
                st.just(audio("a")),
                st.just(image("p")),
                st.sampled_from(["Hi", " two\n\n", "€"]).map(lambda text: {"type": "text", "text": text}),
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_parts_count_no_less_than_the_prompt_and_hardly_more(model, processor, blocks):
    adapter = Gemma3nAdapter(model, processor)
    counter = Gemma3nCounter(adapter)
    messages: list[BaseMessage] = [
        HumanMessage(content) if number % 2 == 0 else AIMessage("Yes.")
        for number, content in enumerate(blocks)
    ]
    held = Held(a=adapter.audio_token_count(16_000), p=adapter.pictures.tokens)
    prompt = adapter.prompts.closed(messages, held, instructions="Be brief.", tools=(TOOL,))
    counted = counter.system("Be brief.") + counter.tools((TOOL,))
    parts = 0
    for message in messages:
        counted += counter.wrapper(message)
        contents = message.content if isinstance(message.content, list) else [message.content]
        for block in contents:
            parts += 1
            if isinstance(block, str):
                counted += counter.text(block)
            elif block["type"] == "audio":
                counted += counter.audio(16_000, None)
            elif block["type"] == "image":
                counted += counter.picture(None)
            else:
                counted += counter.text(block["text"])
    model_start = len(adapter.prompts.encode("<start_of_turn>model\n"))
    assert (
        len(prompt.tokens) <= counted <= len(prompt.tokens) + 4 * parts + 3 * len(messages) + model_start + 3
    )


def test_calls_and_results_are_counted_with_their_wrappers(model, processor):
    adapter = Gemma3nAdapter(model, processor)
    counter = Gemma3nCounter(adapter)
    call = AIMessage("", tool_calls=[{"id": "c", "name": "set_timer", "args": {"seconds": 60}}])
    messages = [HumanMessage("Go"), call, ToolMessage("done", tool_call_id="c")]
    prompt = adapter.prompts.closed(messages, Held(), tools=(TOOL,))
    counted = counter.system("") + counter.tools((TOOL,)) + sum(map(counter.wrapper, messages))
    counted += counter.text("Go") + counter.text("done")
    assert len(prompt.tokens) <= counted <= len(prompt.tokens) + 10


def test_tools_are_told_as_signatures():
    text = describe_tools((TOOL,))
    assert "def set_timer(seconds: int, label: str = None) -> str: Start a countdown." in text
    assert "```tool_code\n" in text


def test_a_call_written_in_this_form_is_read_back_by_the_router():
    router = Router({"set_timer": ("seconds", "label")})
    events = router.feed(call_text("set_timer", {"seconds": 60, "label": "te'a\n"})) + router.flush()
    assert [event for event in events if isinstance(event, ToolCallText)] == [
        ToolCallText("set_timer", {"seconds": 60, "label": "te'a\n"})
    ]


def test_a_result_cannot_close_its_own_block():
    assert result_text("```\n<evil>").count("\n```") == 1


@pytest.mark.parametrize(
    ("choice", "start"),
    [("auto", ""), ("none", ""), ("required", "```tool_code\n"), ("a-b", "```tool_code\na_b(")],
)
def test_a_choice_of_tools_forces_the_beginning(choice, start):
    assert forced_start(choice) == start


@pytest.mark.parametrize("choice", ["required", "chime"])
def test_a_demanded_call_without_parameters_is_written_whole(choice):
    chime = ToolSpec("chime", "Ring it.", {"type": "object", "properties": {}})
    assert forced_start(choice, [chime]) == call_text("chime", {})
    assert forced_start("required", [chime, replace(chime, name="bell")]) == "```tool_code\n"
    lamp = replace(
        chime, name="lamp", parameters={"type": "object", "properties": {"on": {"type": "boolean"}}}
    )
    assert forced_start("lamp", [chime, lamp]) == "```tool_code\nlamp("
