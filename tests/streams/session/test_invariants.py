"""The session's promises, held against random interleavings on a virtual clock.

`SessionDriver` checks the order of everything that is said after every event; the tests here add what needs
a look back over the whole conversation. `FUZZ_EXAMPLES` raises the number of conversations. What fails leaves
a replay file behind, whose folder the failure names.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from session_driver import SessionDriver, is_contiguous, spoken
from session_replays import given, keep

from hearsight.streams.events import (
    AddItem,
    Announce,
    AnswerFailed,
    AnswerFinished,
    AnswerText,
    AudioCommitted,
    AudioDelta,
    CameraFrame,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    ClientCall,
    Close,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    DeleteItem,
    EndpointEstimate,
    EstimateEndpoint,
    Foresee,
    Hear,
    InsertItem,
    Item,
    KeepHeard,
    Lull,
    OutputItemStarted,
    Overhear,
    Overheard,
    Picture,
    ResponseEnded,
    ResponseStarted,
    Resumed,
    RetrieveItem,
    See,
    ServerCallFinished,
    ServerCallStarted,
    SessionConfig,
    SpeechStarted,
    SpeechStopped,
    StartResponse,
    TextContent,
    Tick,
    ToolCall,
    Transcribe,
    Transcribed,
    TruncateItem,
    TurnDetection,
    WakeChanged,
)
from hearsight.streams.recording.reading import Recording
from hearsight.streams.recording.replaying import replay
from hearsight.streams.session.settings import SessionLimits, WakeRules

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))
conversations = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

WORDS = ["", "Mhm.", "Stop it.", "Hey, computer, stop.", None]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("audio"), st.integers(1, 30), st.sampled_from([0.02, 0.4, 0.95])),
        st.tuples(st.just("estimate"), st.floats(0, 1), st.booleans()),
        st.tuples(st.just("words"), st.sampled_from(WORDS), st.booleans()),
        st.tuples(st.just("wait"), st.floats(0, 3)),
        st.tuples(st.just("clause"), st.integers(-2, 0), st.integers(1, 8)),
        st.tuples(st.just("text"), st.integers(-2, 0)),
        st.tuples(st.just("finish"), st.integers(-2, 0)),
        st.tuples(st.just("fail"), st.integers(-2, 0)),
        st.tuples(st.just("server_call"), st.integers(-2, 0), st.integers(0, 3)),
        st.tuples(st.just("server_result"), st.integers(-2, 0), st.integers(0, 3)),
        st.tuples(st.just("client_call"), st.integers(-2, 0), st.integers(0, 3)),
        st.tuples(st.just("output"), st.integers(0, 3), st.integers(0, 99)),
        st.tuples(st.just("create"), st.booleans()),
        st.tuples(st.just("create_when_idle")),
        st.tuples(st.just("cancel")),
        st.tuples(st.just("clear_output")),
        st.tuples(st.just("commit"), st.booleans()),
        st.tuples(st.just("clear")),
        st.tuples(st.just("add"), st.integers(0, 5)),
        st.tuples(st.just("delete"), st.integers(0, 20)),
        st.tuples(st.just("retrieve"), st.integers(0, 20)),
        st.tuples(st.just("truncate"), st.integers(0, 20), st.integers(0, 2_000)),
        st.tuples(st.just("camera"), st.sampled_from(["duplicate", "similar", "scene_change"])),
        st.tuples(st.just("transcribed"), st.integers(0, 20)),
        st.tuples(st.just("announce")),
        st.tuples(
            st.just("configure"), st.sampled_from(["vad", "manual", "no_interrupt", "no_create", "idle"])
        ),
        st.tuples(st.just("tick")),
    ),
    max_size=60,
)

DETECTION = {
    "vad": TurnDetection(),
    "manual": None,
    "no_interrupt": TurnDetection(interrupt_response=False),
    "no_create": TurnDetection(create_response=False),
    "idle": TurnDetection(idle_timeout_ms=1_000),
    "wake": TurnDetection(idle_timeout_ms=2_000),
}
WAKE = WakeRules(("hey computer",), sleep_after_s=1.0)


class Conversation:
    """Plays steps against a session, the agent's side included, stale answers and all."""

    def __init__(self, detection: str) -> None:
        limits = SessionLimits(
            max_utterance_ms=3_000,
            max_buffered_ms=2_000,
            max_held_events=12,
            wake=WAKE if detection == "wake" else None,
        )
        self.driver = SessionDriver(SessionConfig(turn_detection=DETECTION[detection]), limits)
        self.frames = 0
        self.said: dict[str, float] = {}

    def play(self, step: tuple) -> None:
        getattr(self, step[0])(*step[1:])

    def generation(self, back: int) -> int | None:
        known = sorted(self.driver.requests)
        return known[max(-len(known), back - 1)] if known else None

    def item(self, index: int) -> str:
        ids = self.driver.session.items.ids
        return ids[index % len(ids)] if ids else "nothing"

    def audio(self, frames, probability):
        self.driver.audio(frames * 32, probability)

    def estimate(self, probability, stale):
        asked = self.driver.all(EstimateEndpoint)
        if asked:
            event = asked[0 if stale else -1]
            self.driver.feed(EndpointEstimate(event.item_id, event.silence_started_sample, probability))

    def words(self, text, stale):
        asked = self.driver.all(Overhear)
        if asked:
            self.driver.feed(Overheard(asked[0 if stale else -1].item_id, text))

    def wait(self, seconds):
        self.driver.wait(seconds)

    def clause(self, back, words):
        generation = self.generation(back)
        if generation is not None:
            item_id = self.driver.requests[generation].item_id(0)
            start_ms = self.said.get(item_id, 0.0)
            self.said[item_id] = start_ms + 200.0 * words
            text = " ".join(["word"] * words) + " "
            self.driver.feed(spoken(generation, item_id, text, start_ms=start_ms))

    def text(self, back):
        generation = self.generation(back)
        if generation is not None:
            self.driver.feed(AnswerText(generation, self.driver.requests[generation].item_id(0), "word "))

    def finish(self, back):
        self._end(back, AnswerFinished)

    def fail(self, back):
        self._end(back, lambda generation: AnswerFailed(generation, "engine_failed", "It stopped."))

    def _end(self, back, event):
        generation = self.generation(back)
        if generation is not None:
            self.driver.feed(event(generation))

    def server_call(self, back, number):
        generation = self.generation(back)
        if generation is not None:
            item_id = self.driver.requests[generation].item_id(10 + number)
            if item_id not in self.driver.session.items:
                call = ToolCall(f"s{generation}_{number}", "tool", "{}")
                self.driver.feed(ServerCallStarted(generation, item_id, call))

    def server_result(self, back, number):
        generation = self.generation(back)
        if generation is not None:
            item_id = self.driver.requests[generation].item_id(10 + number)
            self.driver.feed(ServerCallFinished(generation, item_id, "result"))

    def client_call(self, back, number):
        generation = self.generation(back)
        if generation is not None:
            item_id = self.driver.requests[generation].item_id(20 + number)
            if item_id not in self.driver.session.items:
                self.driver.feed(ClientCall(generation, item_id, ToolCall(f"c{number}", "tool", "{}")))

    def output(self, number, name):
        item = Item(f"o{name}", "function_call_output", call=ToolCall(f"c{number}", "", ""), output="42")
        self.driver.feed(AddItem(item))

    def create(self, detached):
        self.driver.feed(CreateResponse(detached=detached))

    def create_when_idle(self):
        self.driver.feed(CreateResponse(when_idle=True))

    def cancel(self):
        self.driver.feed(CancelResponse())

    def clear_output(self):
        self.driver.feed(ClearOutput())

    def commit(self, answer):
        self.driver.feed(CommitAudio(answer=answer))

    def clear(self):
        self.driver.feed(ClearAudio())

    def add(self, name):
        self.driver.feed(AddItem(Item(f"m{name}", "message", content=(TextContent("hi"),))))

    def delete(self, index):
        self.driver.feed(DeleteItem(self.item(index)))

    def retrieve(self, index):
        self.driver.feed(RetrieveItem(self.item(index)))

    def truncate(self, index, played_ms):
        self.driver.feed(TruncateItem(self.item(index), played_ms))

    def camera(self, change):
        self.frames += 1
        shown = Picture(b"x", "image/jpeg", 2, 2, f"k{self.frames}", self.driver.now * 1000)
        self.driver.feed(CameraFrame(shown, change))

    def transcribed(self, index):
        text = "words" if index % 3 else "Go to sleep."
        self.driver.feed(Transcribed(self.item(index), text, 1.0))

    def announce(self):
        self.driver.feed(Announce("Ding."))

    def configure(self, detection):
        self.driver.feed(ConfigureSession(SessionConfig(turn_detection=DETECTION[detection])))

    def tick(self):
        self.driver.feed(Tick())


def played(detection, script) -> SessionDriver:
    conversation = Conversation(detection)
    for step in script:
        conversation.play(step)
    return conversation.driver


@conversations
@given(st.sampled_from(sorted(DETECTION)), steps)
def test_responses_are_single_end_once_and_say_nothing_after(detection, script):
    driver = played(detection, script)
    driver.feed(Close())
    driver.assert_all_ended()
    assert driver.live == set()


@conversations
@given(st.sampled_from(sorted(DETECTION)), steps)
def test_no_audio_of_an_utterance_is_lost_or_doubled(detection, script):
    driver = played(detection, script)
    for committed in driver.all(AudioCommitted):
        assert is_contiguous(driver.heard_samples(committed.item_id))


@conversations
@given(steps)
def test_barge_in_cancels_before_the_new_utterance_is_committed(script):
    driver = played("vad", [step for step in script if step[0] != "configure"])
    active = None
    for output in driver.outputs:
        if isinstance(output, ResponseStarted):
            active = output.response_id
        elif isinstance(output, ResponseEnded):
            active = None
        elif isinstance(output, AudioCommitted) and not driver_split(driver, output.item_id):
            assert active is None or committed_by_client(script)


def driver_split(driver, item_id):
    """Whether an utterance was cut for its length, so that speech went on without a pause."""
    return driver.heard_samples(item_id).size >= 3_000 * 16


def committed_by_client(script):
    return any(step[0] in ("commit", "create", "announce") for step in script)


@conversations
@given(st.sampled_from(sorted(DETECTION)), steps)
def test_every_utterance_that_wants_an_answer_gets_one(detection, script):
    driver = played(detection, [step for step in script if step[0] != "configure"])
    if detection in ("manual", "no_create"):
        return
    # Let everything come to rest: the speaker stops, the agent finishes.
    driver.silence(1_000)
    for _ in range(8):
        for generation in sorted(driver.live):
            driver.feed(AnswerFinished(generation))
        driver.wait(0.5 if detection == "idle" else 30.0)
    order = driver.outputs
    committed = [index for index, output in enumerate(order) if isinstance(output, AudioCommitted)]
    if committed:
        assert any(isinstance(output, ResponseStarted) for output in order[committed[-1] :])


@conversations
@given(st.sampled_from(sorted(DETECTION)), steps)
def test_what_is_kept_of_an_answer_is_a_prefix_of_what_was_said(detection, script):
    driver = played(detection, script)
    for kept in driver.all(KeepHeard):
        assert set(kept.text.split()) <= {"word"}
        assert any(isinstance(o, OutputItemStarted) and o.item.id == kept.item_id for o in driver.outputs)
        sent = sum(o.samples.size for o in driver.all(AudioDelta) if o.item_id == kept.item_id)
        assert len(kept.text.split()) * 200 <= sent / 24, "nobody hears what was not sent"


@conversations
@given(st.sampled_from(sorted(DETECTION)), steps)
def test_a_call_is_answered_once(detection, script):
    driver = played(detection, script)
    outputs = [c.item.call.id for c in driver.all(InsertItem) if c.item.kind == "function_call_output"]
    assert len(outputs) == len(set(outputs))


@conversations
@given(st.lists(st.tuples(st.integers(1, 17), st.sampled_from(["", "Mhm.", "Yeah, right."])), max_size=4))
def test_remarks_and_noises_never_stop_an_answer_and_lose_none_of_it(remarks):
    driver = SessionDriver()
    driver.say_turn()
    driver.answer("word " * 100)
    for frames, text in remarks:
        driver.silence(320)
        driver.audio(frames * 32, 0.95)
        driver.silence(96)
        if driver.session.in_doubt:
            driver.words(text)
        assert not driver.session.in_doubt
    driver.silence(22_000)
    (ended,) = driver.all(ResponseEnded)
    assert ended.status == "completed"
    assert sum(delta.samples.size for delta in driver.all(AudioDelta)) == 100 * 200 * 24
    assert driver.all(KeepHeard) == [] and len(driver.all(SpeechStarted)) == 1


@conversations
@given(st.sampled_from(sorted(DETECTION)), steps)
def test_no_answer_is_held_for_long(detection, script):
    driver = played(detection, script)
    driver.wait(3.0)
    assert not driver.session.in_doubt or driver.session.asleep, "asleep, no answer is held by it"
    driver.wait(4.0)
    assert not driver.session.in_doubt


@conversations
@given(st.sampled_from(sorted(DETECTION)), steps)
def test_all_of_an_answer_that_nobody_stops_is_sent(detection, script):
    driver = played(detection, script)
    driver.wait(3.0)
    for generation in sorted(driver.live):
        driver.feed(AnswerFinished(generation))
    driver.wait(60.0)
    assert driver.session.unsent_audio_bytes == 0


@conversations
@given(st.sampled_from(sorted(DETECTION)), steps)
def test_what_the_client_is_told_of_speech_has_a_beginning_and_an_end(detection, script):
    driver = played(detection, script)
    started = [output.item_id for output in driver.all(SpeechStarted)]
    stopped = [output.item_id for output in driver.all(SpeechStopped)]
    assert len(set(started)) == len(started)
    manual = any(step[0] == "configure" for step in script) or detection == "manual"
    assert manual or set(stopped) <= set(started)


PERCEIVED = (EstimateEndpoint, Foresee, Hear, Lull, Resumed, See, SpeechStarted, SpeechStopped, Transcribe)
ASKED_FOR = {"commit", "add", "create", "create_when_idle", "audio"}
"""What may wake a session without its phrase; audio only where the client ends its turns itself."""


@conversations
@given(steps)
def test_nothing_that_is_heard_or_seen_asleep_gets_any_further(script):
    conversation = Conversation("wake")
    driver, manual = conversation.driver, False
    for step in script:
        asleep, known, told = driver.session.asleep, len(driver.commands), len(driver.outputs)
        conversation.play(step)
        manual = step[1] == "manual" if step[0] == "configure" else manual
        woken = any(isinstance(o, WakeChanged) and o.awake for o in driver.outputs[told:])
        if asleep and woken:
            by_phrase = step[0] == "words" and step[1] == "Hey, computer, stop."
            assert by_phrase or (step[0] in ASKED_FOR and (step[0] != "audio" or manual))
        elif asleep:
            new = [*driver.commands[known:], *driver.outputs[told:]]
            assert not [one for one in new if isinstance(one, PERCEIVED)]
            assert not [one for one in new if isinstance(one, InsertItem) and one.item.kind == "message"]
            assert not [r for r in new if isinstance(r, StartResponse) and r.request.say is None]


@conversations
@given(st.sampled_from(sorted(DETECTION)), steps, steps)
def test_close_is_final(detection, script, after):
    conversation = Conversation(detection)
    for step in script:
        conversation.play(step)
    driver = conversation.driver
    driver.feed(Close())
    said, asked = len(driver.outputs), len(driver.commands)
    for step in after:
        conversation.play(step)
    driver.feed(Close())
    assert (len(driver.outputs), len(driver.commands)) == (said, asked)
    assert driver.session.deadline() is None


@settings(conversations, max_examples=max(40, EXAMPLES // 10))
@given(st.sampled_from(sorted(DETECTION)), steps)
def test_every_conversation_replays_as_it_was(tmp_path_factory, detection, script):
    driver = played(detection, script)
    with Recording(keep(driver, tmp_path_factory.getbasetemp() / "conversation")) as recording:
        verdict = replay(recording)
    assert verdict.divergence is None
    assert (verdict.inputs, verdict.outputs) == (len(driver.journal.entries), len(driver.outputs))
