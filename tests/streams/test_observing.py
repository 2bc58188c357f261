"""Who watches is told of every stage, of whom it is, and how it ended; and harms nobody."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import structlog
from plain_agent import PlainAgent, PlainAgentSession

from hearsight.streams.errors import EngineError
from hearsight.streams.events import (
    AudioChunk,
    AudioFormat,
    Close,
    CreateResponse,
    EstimateEndpoint,
    ResponseEnded,
    ResponseRequest,
    SessionConfig,
    StartResponse,
)
from hearsight.streams.observing import (
    Observer,
    Observers,
    Scope,
    Stage,
    add_ids,
    current_scope,
    stage,
    within,
)
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime


class Notes(Observer):
    """Writes down what it is told."""

    def __init__(self, name: str = "", into: list | None = None) -> None:
        self.told = [] if into is None else into
        self._name = name

    def follow(self, command):
        self.told.append(("follow", type(command).__name__))

    def tell(self, output):
        self.told.append(("tell", type(output).__name__))

    def respond(self, request):
        self.told.append(("respond", request.response_id))

    def begin(self, stage):
        self.told.append((f"{self._name}begin", stage.name))

    def end(self, stage):
        self.told.append((f"{self._name}end", stage.name, stage.outcome, dict(stage.facts)))

    def close(self):
        self.told.append(("close",))


class Faulty(Observer):
    def _fail(self, *_):
        raise RuntimeError("the observer broke")

    follow = tell = respond = begin = end = close = _fail


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def scope(notes):
    observers = Observers()
    observers.add(notes)
    return Scope("sess_1", observers)


def test_a_stage_is_told_with_what_is_known_of_it(notes, scope):
    with within(scope), stage("tool", tool="weather") as made:
        assert notes.told == [("begin", "tool")]
        made.note(cached=True)
    assert notes.told[1:] == [("end", "tool", "ok", {"tool": "weather", "cached": True})]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (EngineError("no"), "failed"),
        (ValueError(), "failed"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
    ],
)
def test_how_it_ended_is_told_and_the_error_goes_on(notes, scope, error, outcome):
    with pytest.raises(type(error)), within(scope), stage("voice"):
        raise error
    assert notes.told[-1] == ("end", "voice", outcome, {})


def test_what_returns_an_error_has_failed_too(notes, scope):
    with within(scope), stage("tool") as made:
        made.fail()
    assert notes.told[-1][2] == "failed"


def test_a_stage_ends_once_and_perhaps_before_its_block(notes, scope):
    with pytest.raises(ValueError), within(scope), stage("first_token") as first:
        first.end()
        first.end()
        raise ValueError
    assert [entry[0] for entry in notes.told] == ["begin", "end"]
    assert notes.told[-1][2] == "ok", "what came after it is not its fault"


def test_where_nobody_watches_nothing_happens():
    assert current_scope() is None
    with stage("think") as made:
        made.note(tokens=3)
    assert made.scope is None


def test_the_last_to_hear_of_a_beginning_hears_first_of_the_end():
    told: list = []
    observers = Observers()
    for name in ("a ", "b "):
        observers.add(Notes(name, told))
    with within(Scope("s", observers)), stage("act"):
        pass
    assert [entry[0] for entry in told] == ["a begin", "b begin", "b end", "a end"]


def test_an_observer_that_breaks_harms_neither_the_work_nor_the_others(notes):
    observers = Observers()
    observers.add(Faulty())
    observers.add(notes)
    with structlog.testing.capture_logs() as lines:
        with within(Scope("s", observers)), stage("think"):
            pass
        observers.follow(StartResponse(ResponseRequest(1, "resp_1")))
        observers.tell(ResponseEnded("resp_1", "audio", "completed"))
        observers.respond(ResponseRequest(1, "resp_1"))
        observers.close()
    kinds = [entry[0] for entry in notes.told]
    assert kinds == ["begin", "end", "follow", "tell", "respond", "close"]
    assert [line["event"] for line in lines] == ["observer failed"] * 6


async def test_a_scope_goes_along_with_the_tasks_that_are_created_in_it(notes, scope):
    seen = []

    async def work() -> None:
        with stage("inner"):
            seen.append(current_scope())

    with within(scope.of_response("resp_7")):
        task = asyncio.create_task(work())
    assert current_scope() is None
    await task
    assert seen == [scope.of_response("resp_7")]
    assert ("begin", "inner") in notes.told


@pytest.mark.parametrize(
    ("response_id", "line", "expected"),
    [
        (None, {}, {"session_id": "sess_1"}),
        ("resp_2", {}, {"session_id": "sess_1", "response_id": "resp_2"}),
        ("resp_2", {"session_id": "other"}, {"session_id": "other", "response_id": "resp_2"}),
    ],
)
def test_lines_of_the_log_get_the_ids(scope, response_id, line, expected):
    with within(scope if response_id is None else scope.of_response(response_id)):
        assert add_ids(None, "info", dict(line)) == expected


def test_no_line_of_the_log_holds_an_id_that_would_do_to_take_up_a_session():
    assert add_ids(None, "info", {"session_id": "sess_0123456789abcdef"}) == {"session_id": "sess_01234567"}
    assert add_ids(None, "info", {}) == {}


# --- in a session -----------------------------------------------------------------------------------------


class Likely:
    async def probability(self, samples):
        return 0.97531


class Curious(PlainAgentSession):
    """Works in stages, and looks for whom."""

    async def respond(self, request):
        self.notes.append(("scope", current_scope()))
        with stage("think"):
            pass
        async for event in super().respond(request):
            yield event


class CuriousAgent(PlainAgent):
    def open(self, session_id, host, state=None):
        self.opened_in = current_scope()
        self.sessions[session_id] = Curious(self, host)
        return self.sessions[session_id]


@pytest.fixture
def observed(silero):
    """Runs a session that is watched from its beginning; gives the runtime, the notes and the agent."""

    async def run(work, *, agent=None, observer=None):
        observer, agent = observer or Notes(), agent or CuriousAgent()
        config = SessionConfig(input_format=AudioFormat("pcm16", 16_000))
        options = RuntimeOptions(config, observers=(lambda session_id: observer,))
        runtime = SessionRuntime("sess_1", agent, Perception(silero, Likely()), options)
        life = asyncio.create_task(runtime.run())
        ended = asyncio.create_task(_until_ended(runtime))
        try:
            await work(runtime)
            ended = await asyncio.wait_for(ended, 10)
        finally:
            await runtime.close("test over")
            await life
        return observer, agent, ended

    return run


async def _until_ended(runtime):
    async for output in runtime.outputs():
        if isinstance(output, ResponseEnded):
            return output
    raise AssertionError("no answer has ended")


async def test_a_session_tells_what_it_does_in_order(observed, recorded_speech):
    async def talk(runtime):
        for samples in (recorded_speech, np.zeros(16_000, np.int16)):
            for at in range(0, samples.size, 1_600):
                await runtime.receive(AudioChunk(samples[at : at + 1_600].tobytes()))
                await asyncio.sleep(0)

    notes, agent, ended = await observed(talk)
    order = [entry[:2] for entry in notes.told]
    beginning = order.index(("begin", "end_of_turn"))
    assert order.index(("follow", "EstimateEndpoint")) < beginning
    answering = order.index(("respond", ended.response_id))
    assert order.index(("follow", "StartResponse")) < answering < order.index(("begin", "think"))
    assert order.index(("begin", "think")) < order.index(("tell", "ResponseEnded"))
    assert ("end", "end_of_turn", "ok", {"probability": 0.975}) in notes.told
    assert notes.told[-1] == ("close",)
    [(_, scope)] = [note for note in agent.sessions["sess_1"].notes if note[0] == "scope"]
    assert (scope.session_id, scope.response_id) == ("sess_1", ended.response_id)
    assert (agent.opened_in.session_id, agent.opened_in.response_id) == ("sess_1", None)


async def test_a_session_does_not_mind_an_observer_that_breaks(observed):
    async def ask(runtime):
        await runtime.receive(CreateResponse())

    with structlog.testing.capture_logs() as lines:
        _, _, ended = await observed(ask, observer=Faulty())
    assert ended.status == "completed"
    assert {line["event"] for line in lines} == {"observer failed"}


async def test_what_an_answer_causes_in_the_session_belongs_to_the_session(silero):
    """A task that the session begins while an answer is told of is none of that answer's."""
    agent = PlainAgent()
    runtime = SessionRuntime("sess_1", agent, Perception(silero, None), RuntimeOptions())
    seen = []
    follow = runtime._scope.observers.follow

    def look(command):
        seen.append((type(command), current_scope().response_id))
        follow(command)

    runtime._scope.observers.follow = look
    life = asyncio.create_task(runtime.run())
    with within(runtime._scope.of_response("resp_9")):
        await runtime.receive(CreateResponse())
    await asyncio.wait_for(_until_ended(runtime), 10)
    await runtime.close("over")
    await life
    assert (StartResponse, None) in seen
    assert all(response_id is None for _, response_id in seen)
    assert not {kind for kind, _ in seen} & {EstimateEndpoint, Close}


def test_stages_can_be_told_apart_in_a_dictionary(scope):
    one, other = Stage("voice", scope, {}), Stage("voice", scope, {})
    assert len({one: 1, other: 2}) == 2
