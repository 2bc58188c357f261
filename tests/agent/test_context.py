"""The conversation's order, stamps and cuts."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from hearsight.agent.context import ROOT, SUMMARY_ID, Context
from hearsight.agent.messages import OPEN_CALL_NOTE, blocks, is_interrupted, made_call, result_id
from hearsight.streams.errors import HearsightError, InvalidEvent, NotFound
from hearsight.streams.events import (
    AudioContent,
    Content,
    ImageContent,
    Item,
    Picture,
    Role,
    TextContent,
    ToolCall,
)


def said(item_id: str, text: str = "hello", role: Role = "user") -> Item:
    return Item(item_id, "message", role, (TextContent(text),))


def spoken(item_id: str, *content: Content, transcript: str | None = None) -> Item:
    return Item(item_id, "message", "user", (AudioContent(transcript, 1000.0), *content))


def call(item_id: str, call_id: str) -> Item:
    return Item(item_id, "function_call", call=ToolCall(call_id, "look", '{"question": "where"}'))


def output(item_id: str, call_id: str, text: str = "done") -> Item:
    return Item(item_id, "function_call_output", call=ToolCall(call_id, "", ""), output=text)


def picture(key: str) -> Picture:
    return Picture(b"", "image/jpeg", 1, 1, key)


def ids(context: Context) -> list[str]:
    return [message.id or "" for message in context.messages]


def context_of(*items: Item) -> Context:
    context = Context()
    for item in items:
        context.insert(item)
    return context


class TestItems:
    def test_items_keep_their_ids_order_and_words(self) -> None:
        context = context_of(said("a", "hi"), said("b", "hello", "assistant"), said("c", "rule", "system"))
        assert ids(context) == ["a", "b", "c"]
        user, assistant, system = context.messages
        assert isinstance(user, HumanMessage) and blocks(user) == [{"type": "text", "text": "hi"}]
        assert isinstance(assistant, AIMessage) and assistant.content == "hello"
        assert isinstance(system, SystemMessage) and system.content == "rule"

    def test_media_become_blocks_that_name_their_files(self) -> None:
        context = context_of(spoken("a", ImageContent(picture("p")), transcript="what is this"))
        assert blocks(context.messages[0]) == [
            {"type": "audio", "file_id": "a", "samples": 16_000, "transcript": "what is this"},
            {"type": "image", "file_id": "p", "caption": None},
        ]

    @pytest.mark.parametrize(
        ("after", "expected"), [(None, "abx"), (ROOT, "xab"), ("a", "axb"), ("b", "abx")]
    )
    def test_an_item_goes_where_it_is_put(self, after: str | None, expected: str) -> None:
        context = context_of(said("a"), said("b"))
        context.insert(said("x"), after)
        assert "".join(ids(context)) == expected

    def test_an_item_cannot_follow_an_unknown_one(self) -> None:
        with pytest.raises(NotFound):
            context_of(said("a")).insert(said("b"), "nowhere")

    def test_an_id_is_taken_once(self) -> None:
        with pytest.raises(InvalidEvent):
            context_of(said("a"), said("a"))

    def test_removing_is_forgiving(self) -> None:
        context = context_of(said("a"), said("b"))
        context.remove("a")
        context.remove("a")
        assert ids(context) == ["b"]
        assert context.get("a") is None and context.get("b") is not None

    def test_an_assistants_audio_is_its_transcript(self) -> None:
        item = Item("a", "message", "assistant", (AudioContent("It is noon."),))
        assert context_of(item).messages[0].content == "It is noon."

    def test_a_call_without_a_call_is_nothing(self) -> None:
        assert ids(context_of(Item("a", "function_call"))) == []


class TestCalls:
    def test_a_result_stands_behind_its_call_wherever_it_was_put(self) -> None:
        context = context_of(said("a"), call("b", "c1"), said("d"))
        context.insert(output("e", "c1"), "d")
        assert ids(context) == ["a", "b", "e", "d"]

    def test_an_item_put_after_a_call_goes_behind_the_result(self) -> None:
        context = context_of(call("b", "c1"), output("e", "c1"))
        context.insert(said("x"), "b")
        assert ids(context) == ["b", "e", "x"]

    def test_a_call_has_one_result(self) -> None:
        context = context_of(call("b", "c1"), output("e", "c1"))
        with pytest.raises(InvalidEvent):
            context.insert(output("f", "c1"))
        assert not context.add_tool_result("c1", "again")

    def test_a_result_needs_its_call(self) -> None:
        with pytest.raises(NotFound):
            Context().insert(output("e", "c1"))
        assert not Context().add_tool_result("c1", "lost")

    def test_a_call_id_is_taken_once(self) -> None:
        with pytest.raises(InvalidEvent):
            context_of(call("a", "c1"), call("b", "c1"))

    def test_a_call_takes_its_result_along(self) -> None:
        context = context_of(call("b", "c1"), output("e", "c1"), said("x"))
        context.remove("b")
        assert ids(context) == ["x"]

    def test_a_result_that_was_preliminary_is_replaced(self) -> None:
        context = Context()
        context.add_call("c", ToolCall("call_1", "backup", "{}"), 1)
        context.add_tool_result("call_1", "started")
        context.add_text("t", "I've started it.", 1)
        assert context.replace_tool_result("call_1", "broken", ok=False)
        assert [message.type for message in context.messages] == ["ai", "tool", "ai"]
        assert context.messages[1].content == "broken"
        assert context.messages[1].status == "error"  # type: ignore[attr-defined]

    def test_a_result_comes_where_there_was_none_and_nowhere_without_its_call(self) -> None:
        context = Context()
        context.add_call("c", ToolCall("call_1", "backup", "{}"), 1)
        assert context.replace_tool_result("call_1", "done")
        assert context.messages[1].content == "done"
        assert not context.replace_tool_result("call_9", "done")

    def test_an_open_call_is_shown_as_open(self) -> None:
        context = Context()
        context.add_call("b", ToolCall("c1", "look", "{}"), 1)
        shown = context.for_model()
        assert [message.content for message in shown] == ["", OPEN_CALL_NOTE]
        assert context.add_tool_result("c1", "a cup")
        assert [message.content for message in context.for_model()] == ["", "a cup"]

    def test_a_failed_call_is_marked(self) -> None:
        context = Context()
        context.add_call("b", ToolCall("c1", "look", "{}"), 1)
        context.add_tool_result("c1", "no camera", ok=False)
        result = context.messages[1]
        assert isinstance(result, ToolMessage) and result.status == "error"

    def test_a_servers_call_brings_its_result(self) -> None:
        item = Item("s", "server_call", call=ToolCall("c1", "look", "not json"), output="a cup")
        context = context_of(item)
        assert ids(context) == ["s", result_id("s")]
        made = context.messages[0]
        assert isinstance(made, AIMessage) and made.tool_calls[0]["args"] == {}

    def test_adding_a_call_twice_changes_nothing(self) -> None:
        context = Context()
        context.add_call("a", ToolCall("c1", "look", "{}"), 1)
        context.add_call("b", ToolCall("c1", "look", "{}"), 1)
        assert ids(context) == ["a"]


class TestAnswers:
    def test_an_answer_grows_as_it_is_sent(self) -> None:
        context = Context()
        context.add_text("a", "Hello ", 1)
        context.add_text("a", "there.", 1)
        assert [message.content for message in context.messages] == ["Hello there."]

    def test_only_what_was_heard_is_kept(self) -> None:
        context = Context()
        context.add_text("a", "Hello there, how are you?", 1)
        context.keep_heard("a", "Hello there,")
        assert context.messages[0].content == "Hello there,"
        assert is_interrupted(context.messages[0])

    def test_an_answer_of_which_nothing_was_heard_is_not_shown(self) -> None:
        context = context_of(said("u"))
        context.add_text("a", "Hello", 1)
        context.keep_heard("a", "")
        assert ids(context) == ["u", "a"]
        assert [message.id for message in context.for_model()] == ["u"]
        context.insert(said("v"), "a")
        assert ids(context) == ["u", "a", "v"]

    def test_cutting_leaves_other_things_alone(self) -> None:
        context = context_of(said("u", "hello"), call("c", "c1"))
        for item_id in ("u", "c", "nowhere"):
            context.keep_heard(item_id, "")
        assert blocks(context.messages[0]) == [{"type": "text", "text": "hello"}]
        assert made_call(context.messages[1]) == "c1"

    def test_discarding_undoes_one_response(self) -> None:
        context = context_of(said("u"))
        context.add_text("a", "First.", 1)
        context.add_text("b", "Second.", 2)
        context.add_call("c", ToolCall("c1", "look", "{}"), 2)
        context.add_tool_result("c1", "a cup")
        context.discard(2)
        assert ids(context) == ["u", "a"]
        assert not context.add_tool_result("c1", "late")

    def test_discarding_takes_a_clients_result_along(self) -> None:
        context = Context()
        context.add_call("c", ToolCall("c1", "look", "{}"), 2)
        context.insert(output("o", "c1"))
        context.discard(2)
        assert ids(context) == []


class TestUtterances:
    def test_what_is_being_heard_is_no_item_yet(self) -> None:
        context = Context()
        context.hear("u", 100)
        context.hear("u", 60)
        assert ids(context) == [] and context.heard_samples("u") == 160

    def test_a_guess_sees_the_utterance_and_the_commit_keeps_its_place(self) -> None:
        context = context_of(said("first"))
        context.hear("u", 1600)
        context.see("u", "p")
        context.see("u", "p")
        context.assume_committed(7)
        context.set_transcript("u", "what time is it")
        context.set_caption("p", "a clock")
        context.add_text("a", "Noon.", 7)
        context.insert(spoken("u", ImageContent(picture("p"))), "first")
        assert ids(context) == ["first", "u", "a"]
        audio, image = blocks(context.messages[1])
        assert audio["transcript"] == "what time is it" and audio["samples"] == 1600
        assert image["caption"] == "a clock"
        context.discard(7)
        assert ids(context) == ["first", "u"]

    def test_the_commit_appends_in_place_of_the_guess(self) -> None:
        context = Context()
        context.hear("u", 1600)
        context.assume_committed(7)
        context.add_text("a", "Noon.", 7)
        context.insert(spoken("u"))
        assert ids(context) == ["u", "a"]

    def test_a_guess_that_was_wrong_leaves_the_utterance_pending(self) -> None:
        context = Context()
        context.hear("u", 1600)
        context.assume_committed(7)
        context.discard(7)
        context.hear("u", 1600)
        assert ids(context) == [] and context.heard_samples("u") == 3200
        context.insert(spoken("u"))
        assert blocks(context.messages[0])[0]["samples"] == 3200

    def test_a_failed_commit_loses_nothing(self) -> None:
        context = Context()
        context.hear("u", 1600)
        context.assume_committed(7)
        with pytest.raises(NotFound):
            context.insert(spoken("u"), "nowhere")
        assert ids(context) == ["u"] and context.heard_samples("u") == 1600

    def test_an_utterance_can_come_to_nothing(self) -> None:
        context = Context()
        context.hear("u", 1600)
        context.assume_committed(7)
        context.forget("u")
        context.forget("u")
        assert ids(context) == [] and context.heard_samples("u") == 0

    def test_what_was_committed_is_not_forgotten(self) -> None:
        context = Context()
        context.hear("u", 1600)
        context.insert(spoken("u"))
        context.forget("u")
        assert ids(context) == ["u"]


def test_a_summary_stands_for_the_oldest() -> None:
    context = context_of(said("a"), said("b"), said("c"))
    context.condense(2, "They greeted.")
    assert ids(context) == [SUMMARY_ID, "c"]
    context.insert(said("d"), "b")
    context.insert(said("e"), ROOT)
    assert ids(context) == [SUMMARY_ID, "e", "d", "c"]


def test_a_copy_goes_its_own_way() -> None:
    context = context_of(said("a"))
    other = context.copy()
    other.insert(said("b"))
    assert ids(context) == ["a"] and ids(other) == ["a", "b"]


NAMES = st.sampled_from([f"i{number}" for number in range(6)])
CALLS = st.sampled_from(["c0", "c1", "c2"])
GENERATIONS = st.integers(1, 3)


class ContextMachine(RuleBasedStateMachine):
    """Any sequence of operations."""

    def __init__(self) -> None:
        super().__init__()
        self.context = Context()

    @rule(
        name=NAMES,
        after=st.one_of(st.none(), st.just(ROOT), NAMES),
        kind=st.sampled_from("taco"),
        call_id=CALLS,
    )
    def insert(self, name: str, after: str | None, kind: str, call_id: str) -> None:
        item = {
            "t": said(name),
            "a": spoken(name),
            "c": call(name, call_id),
            "o": output(name, call_id),
        }[kind]
        before = self.context.messages
        try:
            self.context.insert(item, after)
        except HearsightError:
            assert self.context.messages == before

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        self.context.remove(name)
        assert self.context.get(name) is None

    @rule(name=NAMES, size=st.integers(1, 5))
    def hear(self, name: str, size: int) -> None:
        self.context.hear(name, size)

    @rule(generation=GENERATIONS)
    def assume(self, generation: int) -> None:
        self.context.assume_committed(generation)

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        self.context.forget(name)

    @rule(generation=GENERATIONS, number=st.integers(0, 1))
    def answer(self, generation: int, number: int) -> None:
        self.context.add_text(f"g{generation}_{number}", "word ", generation)

    @rule(generation=GENERATIONS, call_id=CALLS)
    def make_call(self, generation: int, call_id: str) -> None:
        self.context.add_call(f"g{generation}_{call_id}", ToolCall(call_id, "look", "{}"), generation)

    @rule(call_id=CALLS)
    def result(self, call_id: str) -> None:
        if self.context.add_tool_result(call_id, "done"):
            assert not self.context.add_tool_result(call_id, "done")

    @rule(generation=GENERATIONS)
    def discard(self, generation: int) -> None:
        self.context.discard(generation)
        assert all(entry.generation != generation for entry in self.context.entries)

    @rule(generation=GENERATIONS, text=st.sampled_from(["", "wo"]))
    def keep(self, generation: int, text: str) -> None:
        self.context.keep_heard(f"g{generation}_0", text)

    @invariant()
    def ids_are_unique(self) -> None:
        found = ids(self.context)
        assert len(found) == len(set(found)) and all(found)

    @invariant()
    def results_follow_their_calls(self) -> None:
        assert_calls_answered(self.context.messages, every=False)

    @invariant()
    def engines_can_rely_on_what_they_get(self) -> None:
        shown = self.context.for_model()
        assert_calls_answered(shown, every=True)
        assert all(blocks(message) or made_call(message) or message.type == "tool" for message in shown)


def assert_calls_answered(messages: list[BaseMessage] | tuple[BaseMessage, ...], *, every: bool) -> None:
    for at, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            assert at and made_call(messages[at - 1]) == message.tool_call_id
        if every and (call_id := made_call(message)) is not None:
            following = messages[at + 1]
            assert isinstance(following, ToolMessage) and following.tool_call_id == call_id


ContextMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnySequence = ContextMachine.TestCase
