"""A session's state, to JSON and back, and how a session goes on with it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import (
    AddItem,
    AnswerFinished,
    AnswerSpeech,
    AudioContent,
    ClientCall,
    CreateResponse,
    ImageContent,
    Item,
    ItemAdded,
    ItemDone,
    KeepHeard,
    Picture,
    PlaybackPosition,
    ResponseEnded,
    ResponseStarted,
    ServerCallStarted,
    SessionConfig,
    StartResponse,
    TextContent,
    Tick,
    ToolCall,
    WordTiming,
)
from hearsight.streams.session.session import Session
from hearsight.streams.session.settings import SessionLimits
from hearsight.streams.session.state import INTERRUPTED_CALL, OpenResponse, SessionState

SECOND = 24_000

texts = st.text(max_size=20)
pictures = st.builds(
    Picture,
    data=st.just(b""),
    mime_type=st.sampled_from(["image/jpeg", "image/png"]),
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
    key=texts,
    captured_ms=st.floats(0, 1e9),
    detail=st.sampled_from(["auto", "low", "high"]),
)
contents = st.one_of(
    st.builds(TextContent, texts),
    st.builds(AudioContent, st.none() | texts, st.floats(0, 1e6)),
    st.builds(ImageContent, pictures),
)
items = st.builds(
    Item,
    id=texts,
    kind=st.sampled_from(["message", "function_call", "function_call_output", "server_call"]),
    role=st.sampled_from(["system", "user", "assistant"]),
    content=st.lists(contents, max_size=3).map(tuple),
    status=st.sampled_from(["in_progress", "completed", "incomplete"]),
    call=st.none() | st.builds(ToolCall, texts, texts, texts),
    output=st.none() | texts,
    error=st.none() | texts,
)
states = st.builds(
    SessionState,
    items=st.lists(items, max_size=4).map(tuple),
    answered_calls=st.lists(texts, max_size=3).map(tuple),
    owed=st.booleans(),
    response=st.none()
    | st.builds(
        OpenResponse,
        texts,
        st.sampled_from(["audio", "text"]),
        st.none() | st.dictionaries(texts, texts, max_size=2),
        st.none() | st.integers(1, 1000),
    ),
)


@given(states)
def test_a_state_comes_back_from_json_as_it_was(state):
    assert SessionState.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_pictures_and_sound_are_not_in_it(noise):
    picture = Picture(b"x" * 1000, "image/png", 3, 4, "key")
    item = Item("a", "message", content=(ImageContent(picture), AudioContent(None, 10.0, noise(160))))
    written = json.dumps(SessionState((item,)).to_json())
    assert len(written) < 600 and "key" in written


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("items"),
        lambda data: data["items"][0].pop("content"),
        lambda data: data["items"][0].update(surprise=1),
        lambda data: data["items"][0]["content"].append({"type": "smell"}),
        lambda data: data.update(response={"response_id": "r"}),
    ],
)
def test_what_is_damaged_is_no_state(damage):
    data = SessionState((Item("a", "message", content=(TextContent("hi"),)),)).to_json()
    damage(data)
    with pytest.raises((LookupError, TypeError)):
        SessionState.from_json(data)


# --- how a session goes on ---------------------------------------------------------------------------------


@pytest.fixture
def noise():
    import numpy as np

    return lambda samples: np.ones(samples, np.int16)


def new_session(now: float = 0.0) -> Session:
    return Session(SessionConfig(), SessionLimits(), FrameStore(8, 10_000_000, 60), now)


def user(item_id: str, text: str) -> Item:
    return Item(item_id, "message", content=(TextContent(text),))


def answering(session: Session) -> int:
    """The generation of the response that the session has just asked for."""
    return next(c.request.generation for c in session.take_commands() if isinstance(c, StartResponse))


def handed_over(session: Session, now: float) -> SessionState:
    """The session's state after it has been where it is kept."""
    return SessionState.from_json(json.loads(json.dumps(session.state(now).to_json())))


def go_on(state: SessionState, *, show: bool = False) -> tuple[Session, list, list]:
    session = new_session()
    session.restore(state, show=show)
    session.receive(Tick(), 0.0)
    return session, session.take_outputs(), session.take_commands()


def talked(spoken: str = "It is late. Go to bed.", seconds: float = 4.0) -> tuple[Session, int]:
    """A session in which the user has asked, and an answer of so many seconds is being spoken."""
    import numpy as np

    session = new_session()
    session.receive(AddItem(user("u1", "What time is it?")), 0.0)
    session.receive(CreateResponse(), 0.0)
    generation = answering(session)
    words = spoken.split()
    each_ms = seconds * 1000 / len(words)
    timed = tuple(WordTiming(word, at * each_ms, (at + 1) * each_ms) for at, word in enumerate(words))
    speech = AnswerSpeech(generation, "a1", spoken, np.zeros(int(seconds * SECOND), np.int16), timed)
    session.receive(speech, 0.0)
    return session, generation


def test_a_finished_turn_goes_on_as_it_was():
    session, generation = talked()
    session.receive(AnswerFinished(generation), 0.0)
    before = session.items
    after, outputs, commands = go_on(handed_over(session, 10.0))
    assert [after.items.get(item_id) for item_id in after.items.ids] == [
        before.get(item_id) for item_id in before.ids
    ]
    assert outputs == []
    assert not any(isinstance(command, StartResponse | KeepHeard) for command in commands)


def test_a_client_that_knows_nothing_is_shown_everything():
    session, generation = talked()
    session.receive(AnswerFinished(generation), 0.0)
    _, outputs, _ = go_on(handed_over(session, 10.0), show=True)
    assert [type(output) for output in outputs] == [ItemAdded, ItemDone] * 2
    assert [output.item.id for output in outputs] == ["u1", "u1", "a1", "a1"]
    assert outputs[2].previous_item_id == "u1"


def test_of_an_answer_that_was_being_spoken_the_words_that_were_heard_are_there():
    session, _ = talked("It is late. Go to bed.", 6.0)
    session.receive(PlaybackPosition("a1", 2_500), 2.5)
    after, outputs, commands = go_on(handed_over(session, 2.5))
    assert after.items.get("a1").text == "It is"
    assert after.items.get("a1").status == "incomplete"
    assert KeepHeard("a1", "It is") in commands
    ended = [output for output in outputs if isinstance(output, ResponseEnded)]
    assert [(end.status, end.reason) for end in ended] == [("failed", "server_restarted")]
    assert not after.responding
    assert not any(isinstance(command, StartResponse) for command in commands), "it was answered, if in part"


def test_an_answer_of_which_nothing_was_heard_is_given_anew():
    session = new_session()
    session.receive(AddItem(user("u1", "What time is it?")), 0.0)
    session.receive(CreateResponse(), 0.0)
    after, outputs, commands = go_on(handed_over(session, 0.0))
    assert [type(output) for output in outputs] == [ResponseEnded, ResponseStarted]
    assert any(isinstance(command, StartResponse) for command in commands)
    assert after.responding


def test_a_tool_that_was_running_is_shown_as_cut_off():
    session = new_session()
    session.receive(AddItem(user("u1", "Book it.")), 0.0)
    session.receive(CreateResponse(), 0.0)
    generation = answering(session)
    session.receive(ServerCallStarted(generation, "t1", ToolCall("call_1", "book", "{}")), 0.0)
    after, outputs, _ = go_on(handed_over(session, 0.0))
    item = after.items.get("t1")
    assert (item.status, item.error) == ("incomplete", INTERRUPTED_CALL)
    assert ItemDone(item, "u1") in outputs


def test_a_client_call_is_answered_once_even_over_a_restart():
    session = new_session()
    session.receive(CreateResponse(), 0.0)
    generation = answering(session)
    session.receive(ClientCall(generation, "f1", ToolCall("call_1", "light", "{}")), 0.0)
    session.receive(AnswerFinished(generation), 0.0)
    result = Item("o1", "function_call_output", call=ToolCall("call_1", "", ""), output="on")

    open_call, _, _ = go_on(handed_over(session, 0.0))
    open_call.receive(AddItem(result), 0.0)
    assert "o1" in open_call.items

    session.receive(AddItem(result), 0.0)
    answered, _, _ = go_on(handed_over(session, 0.0))
    answered.receive(AddItem(replace(result, id="o2")), 0.0)
    assert "o2" not in answered.items


def test_an_empty_session_has_an_empty_state():
    assert new_session().state(0.0) == SessionState()
