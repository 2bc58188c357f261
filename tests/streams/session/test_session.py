"""Conversations as lists of events and times."""

import numpy as np
import pytest
from session_driver import SessionDriver, is_contiguous, spoken

from hearsight.streams.events import (
    AddItem,
    Announce,
    AnswerFailed,
    AnswerFinished,
    AnswerText,
    AudioCleared,
    AudioCommitted,
    AudioContent,
    AudioDelta,
    CameraFrame,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    ClientCall,
    Close,
    CommitAudio,
    Configure,
    ConfigureSession,
    ConfirmResponse,
    CreateResponse,
    DeleteItem,
    Dropped,
    EndpointEstimate,
    EstimateEndpoint,
    Foresee,
    Forget,
    FunctionTool,
    Hear,
    IdleTimedOut,
    ImageContent,
    InsertItem,
    Item,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemRetrieved,
    ItemTruncated,
    KeepHeard,
    Lull,
    OutputCleared,
    OutputItemDone,
    OutputItemStarted,
    Picture,
    PlaybackPosition,
    Refused,
    RemoveItem,
    ResponseEnded,
    ResponseStarted,
    Resumed,
    RetrieveItem,
    See,
    ServerCallFinished,
    ServerCallStarted,
    SessionConfig,
    SessionConfigured,
    Speculated,
    SpeechDismissed,
    SpeechStarted,
    SpeechStopped,
    StartResponse,
    StopResponse,
    TextContent,
    TextDelta,
    ToolCall,
    Transcribe,
    Transcribed,
    TranscriptionCompleted,
    TranscriptionError,
    TranscriptionFailed,
    TruncateItem,
    TurnDetection,
    Usage,
)
from hearsight.streams.session.settings import SessionLimits


def kinds(events):
    return [type(event) for event in events]


def message(name, text="hello", role="user"):
    return Item(name, "message", role, (TextContent(text),))


def picture(key, at_ms=0.0):
    return Picture(b"jpeg", "image/jpeg", 4, 4, key, at_ms)


class TestSpokenTurn:
    def test_events_come_in_the_order_of_the_wire(self):
        driver = SessionDriver()
        driver.say_turn()
        assert kinds(driver.outputs) == [
            SpeechStarted,
            SpeechStopped,
            AudioCommitted,
            ItemAdded,
            ItemDone,
            Speculated,
            ResponseStarted,
        ]

    def test_the_onset_is_dated_back_with_padding(self):
        driver = SessionDriver()
        driver.silence(1_000)
        clock_ms = 31 * 32
        driver.speech(320)
        assert driver.last(SpeechStarted).audio_start_ms == clock_ms - 300

    def test_no_sample_between_onset_and_end_is_missing(self):
        driver = SessionDriver()
        driver.say_turn()
        heard = driver.heard_samples(driver.last(AudioCommitted).item_id)
        assert is_contiguous(heard)
        started = driver.last(SpeechStarted).audio_start_ms
        stopped = driver.last(SpeechStopped).audio_end_ms
        assert heard.size == (stopped - started) * 16

    def test_the_silence_that_ended_it_is_told(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(2_000)
        assert driver.last(SpeechStopped).silence_ms == 800

    def test_a_turn_that_sounds_unfinished_gets_a_long_silence(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(160)
        driver.estimate(0.1)
        driver.silence(500)
        assert AudioCommitted not in kinds(driver.outputs)
        driver.silence(300)
        assert AudioCommitted in kinds(driver.outputs)

    def test_without_an_estimate_the_long_silence_counts(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(700)
        assert AudioCommitted not in kinds(driver.outputs)
        driver.silence(200)
        assert AudioCommitted in kinds(driver.outputs)

    def test_a_late_estimate_ends_the_turn_at_once(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(500)
        assert AudioCommitted not in kinds(driver.outputs)
        driver.estimate(0.9)
        assert AudioCommitted in kinds(driver.outputs)

    def test_every_moment_of_silence_is_told_and_where_the_user_goes_on(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(64)
        driver.speech(320)
        driver.silence(160)
        told = [command for command in driver.commands if isinstance(command, Lull | Resumed)]
        item_id = driver.last(Hear).item_id
        assert told == [Lull(item_id), Resumed(item_id), Lull(item_id)]
        assert len(driver.all(EstimateEndpoint)) == 1, "the first was too short to ask"

    def test_a_lull_is_told_after_all_that_was_heard(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(32)
        assert [type(command) for command in driver.commands[-2:]] == [Hear, Lull]

    def test_a_stale_estimate_counts_for_nothing(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(160)
        asked = driver.last(EstimateEndpoint)
        driver.speech(320)
        driver.silence(160)
        assert driver.last(EstimateEndpoint).silence_started_sample != asked.silence_started_sample
        driver.feed(EndpointEstimate(asked.item_id, asked.silence_started_sample, 0.99))
        assert not driver.requests

    def test_the_endpoint_model_sees_at_most_eight_seconds(self):
        driver = SessionDriver()
        driver.speech(12_000)
        driver.silence(160)
        assert driver.last(EstimateEndpoint).samples.size == 8 * 16_000

    def test_audio_that_stops_coming_ends_the_turn(self):
        driver = SessionDriver()
        driver.speech(1_000)
        assert driver.wait(1.4) == []
        driver.wait(0.2)
        assert AudioCommitted in kinds(driver.outputs)
        assert ResponseStarted in kinds(driver.outputs)

    def test_a_long_monologue_is_committed_in_pieces_and_answered_once(self):
        driver = SessionDriver(limits=SessionLimits(max_utterance_ms=2_000, speculative=False))
        driver.speech(7_000)
        assert len(driver.all(AudioCommitted)) == 3
        assert not driver.requests
        driver.silence(900)
        assert len(driver.all(AudioCommitted)) == 4
        assert len(driver.requests) == 1
        heard = np.concatenate([driver.heard_samples(c.item_id) for c in driver.all(AudioCommitted)])
        assert is_contiguous(heard)

    def test_transcripts_are_asked_for_and_passed_on(self):
        driver = SessionDriver()
        driver.say_turn()
        item_id = driver.last(Transcribe).item_id
        driver.feed(Transcribed(item_id, "what time is it", 1.5))
        assert driver.last(TranscriptionCompleted).text == "what time is it"
        driver.feed(RetrieveItem(item_id))
        assert driver.last(ItemRetrieved).item.content[0].transcript == "what time is it"

    def test_a_failed_transcript_is_reported(self):
        driver = SessionDriver()
        driver.say_turn()
        driver.feed(TranscriptionFailed("item_1", "no words"))
        assert driver.last(TranscriptionError).message == "no words"

    def test_transcription_can_be_off(self):
        driver = SessionDriver(SessionConfig(transcribe=False))
        driver.say_turn()
        assert driver.all(Transcribe) == []

    def test_a_client_may_want_no_answer(self):
        driver = SessionDriver(SessionConfig(turn_detection=TurnDetection(create_response=False)))
        driver.say_turn()
        assert AudioCommitted in kinds(driver.outputs)
        assert not driver.requests

    def test_how_sure_the_model_must_be_is_the_clients_choice(self):
        driver = SessionDriver(SessionConfig(turn_detection=TurnDetection(endpoint_threshold=0.98)))
        driver.say_turn()
        assert AudioCommitted not in kinds(driver.outputs)
        driver.silence(500)
        assert AudioCommitted in kinds(driver.outputs)
        driver.feed(ConfigureSession(SessionConfig(turn_detection=TurnDetection(endpoint_threshold=0.5))))
        driver.speech(640)
        driver.silence(160)
        driver.estimate(0.6)
        driver.silence(200)
        assert len(driver.all(AudioCommitted)) == 2

    def test_silence_only_detection_ignores_the_model(self):
        detection = TurnDetection(semantic=False, short_silence_ms=500, long_silence_ms=500)
        driver = SessionDriver(SessionConfig(turn_detection=detection))
        driver.speech(640)
        driver.silence(160)
        driver.estimate(0.99)
        driver.silence(250)
        assert AudioCommitted not in kinds(driver.outputs)
        driver.silence(150)
        assert AudioCommitted in kinds(driver.outputs)


class TestSpeculation:
    def test_thinking_starts_at_the_first_likely_end_and_is_not_announced(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(160)
        driver.estimate(0.9)
        assert driver.newest.speculative
        assert ResponseStarted not in kinds(driver.outputs)

    def test_what_it_produced_comes_out_when_the_turn_is_over(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(160)
        driver.estimate(0.9)
        driver.answer("it is three")
        assert AudioDelta not in kinds(driver.outputs)
        driver.silence(160)
        order = kinds(driver.outputs)
        assert order.index(AudioCommitted) < order.index(ResponseStarted) < order.index(AudioDelta)
        assert driver.last(ResponseEnded).status == "completed"
        commands = kinds(driver.commands)
        assert commands.index(InsertItem) < commands.index(ConfirmResponse)
        assert driver.all(Speculated) == [Speculated(used=True)]

    def test_what_was_in_vain_is_counted(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(160)
        driver.estimate(0.9)
        driver.speech(320)
        assert driver.all(Speculated) == [Speculated(used=False)]

    def test_going_on_throws_it_away(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(160)
        driver.estimate(0.9)
        driver.answer("it is three", finish=False)
        driver.speech(640)
        assert driver.last(StopResponse) == StopResponse(1, discard=True)
        driver.silence(160)
        driver.estimate(0.9)
        driver.silence(200)
        assert [r.response_id for r in driver.requests.values() if not r.speculative] == []
        assert len(driver.all(ResponseStarted)) == 1
        assert driver.all(AudioDelta) == []

    def test_thinking_starts_in_a_longer_silence_even_if_the_turn_sounds_unfinished(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(160)
        driver.estimate(0.1)
        driver.silence(96)
        assert not driver.requests
        driver.silence(96)
        assert driver.newest.speculative
        driver.answer("it is three")
        driver.silence(300)
        assert AudioCommitted not in kinds(driver.outputs)
        driver.silence(200)
        assert driver.last(ResponseEnded).status == "completed"
        assert len(driver.requests) == 1

    def test_it_can_be_off(self):
        driver = SessionDriver(limits=SessionLimits(speculative=False))
        driver.say_turn()
        assert [request.speculative for request in driver.requests.values()] == [False]

    def test_a_speculation_that_says_too_much_is_given_up_and_the_turn_still_answered(self):
        driver = SessionDriver(limits=SessionLimits(max_held_events=3))
        driver.speech(1_000)
        driver.silence(160)
        driver.estimate(0.9)
        for _ in range(5):
            driver.feed(AnswerText(1, "item_x", "la "))
        driver.silence(300)
        assert len(driver.requests) == 2
        assert driver.last(ResponseStarted).response_id == driver.newest.response_id

    def test_an_explicit_request_replaces_it(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(160)
        driver.estimate(0.9)
        driver.feed(CreateResponse())
        assert StopResponse(1, discard=True) in driver.commands
        assert driver.session.responding

    def test_a_new_configuration_replaces_it(self):
        driver = SessionDriver()
        driver.speech(1_000)
        driver.silence(160)
        driver.estimate(0.9)
        driver.feed(ConfigureSession(SessionConfig(instructions="Be brief.")))
        driver.silence(300)
        assert len(driver.requests) == 2


class TestBargeIn:
    def talking(self, **config):
        driver = SessionDriver(SessionConfig(**config))
        driver.say_turn()
        driver.answer("one two three four five six seven eight nine ten", finish=False)
        return driver

    def test_speech_over_the_answer_cancels_it(self):
        driver = self.talking()
        driver.speech(832)
        ended = driver.last(ResponseEnded)
        assert (ended.status, ended.reason) == ("cancelled", "turn_detected")
        assert StopResponse(1) in driver.commands

    def test_the_context_keeps_what_was_heard(self):
        driver = self.talking()
        driver.silence(480)
        driver.speech(352)
        driver.silence(96)
        driver.words("Stop.")
        kept = driver.last(KeepHeard)
        assert kept.text == "one two three four"
        driver.feed(RetrieveItem(kept.item_id))
        assert driver.last(ItemRetrieved).item.content[0].transcript == kept.text
        assert driver.last(ItemRetrieved).item.status == "incomplete"

    def test_cancel_comes_before_the_commit(self):
        driver = self.talking()
        driver.speech(640)
        driver.silence(900)
        order = kinds(driver.outputs)
        assert order.index(ResponseEnded) < len(order) - 1 - order[::-1].index(AudioCommitted)

    def test_the_interrupting_words_are_whole(self):
        driver = self.talking()
        driver.silence(320)
        driver.speech(640)
        driver.silence(900)
        heard = driver.heard_samples(driver.last(AudioCommitted).item_id)
        assert is_contiguous(heard)
        assert heard.size >= (640 + 300) * 16

    def test_a_backchannel_does_not_stop_the_answer(self):
        driver = self.talking()
        driver.speech(224)
        driver.silence(96)
        driver.words("Mhm.")
        driver.silence(640)
        assert ResponseEnded not in kinds(driver.outputs)
        assert driver.last(SpeechDismissed).reason == "remark"
        assert len(driver.all(SpeechStarted)) == 1

    def test_speech_while_the_rest_is_only_playing_interrupts_as_well(self):
        driver = self.talking()
        driver.finish()
        driver.silence(1_600)
        assert driver.last(ResponseEnded).status == "completed"
        driver.speech(224)
        driver.silence(96)
        driver.words("Wait.")
        assert driver.last(KeepHeard).text == "one two three four five six seven eight nine"
        assert len(driver.all(ResponseEnded)) == 1

    def test_stale_deltas_are_dropped(self):
        driver = self.talking()
        driver.speech(640)
        before = len(driver.outputs)
        driver.feed(spoken(1, "item_late", "late words"), AnswerFinished(1), AnswerFailed(1, "x", "y"))
        assert driver.outputs[before:] == []

    def test_speaking_before_the_first_word_takes_the_answer_back(self):
        driver = SessionDriver()
        driver.say_turn()
        driver.speech(128)
        assert driver.last(ResponseEnded).status == "cancelled"

    def test_it_can_be_forbidden(self):
        driver = self.talking(turn_detection=TurnDetection(interrupt_response=False))
        driver.speech(640)
        driver.silence(900)
        assert ResponseEnded not in kinds(driver.outputs)
        assert len(driver.all(AudioCommitted)) == 2
        driver.finish()
        assert len(driver.requests) == 2, "the second turn is answered after the first answer"


class TestTruncation:
    def test_the_client_cuts_to_what_it_played(self):
        driver = SessionDriver()
        driver.say_turn()
        driver.answer("one two three four")
        item_id = driver.last(OutputItemStarted).item.id
        driver.feed(TruncateItem(item_id, 450))
        assert driver.last(ItemTruncated) == ItemTruncated(item_id, 0, 450)
        assert driver.last(KeepHeard) == KeepHeard(item_id, "one two")

    def test_after_an_interruption_the_client_overrules_the_clock(self):
        driver = SessionDriver()
        driver.say_turn()
        driver.answer("one two three four five six", finish=False)
        driver.speech(640)
        driver.feed(TruncateItem(driver.last(OutputItemStarted).item.id, 600))
        assert driver.last(KeepHeard).text == "one two three"

    @pytest.mark.parametrize(
        ("event", "param"),
        [
            (TruncateItem("nobody", 10), "item_id"),
            (TruncateItem("item_1", 10), "item_id"),
            (TruncateItem("{spoken}", 10_000), "audio_end_ms"),
            (TruncateItem("{spoken}", 10, content_index=3), "content_index"),
        ],
    )
    def test_what_cannot_be_cut_is_refused(self, event, param):
        driver = SessionDriver()
        driver.say_turn()
        driver.answer("one two")
        if event.item_id == "{spoken}":
            spoken_id = driver.last(OutputItemStarted).item.id
            event = TruncateItem(spoken_id, event.audio_end_ms, event.content_index)
        driver.feed(event)
        assert driver.last(Refused).param == param

    def test_a_playback_report_moves_the_clock(self):
        driver = SessionDriver()
        driver.say_turn()
        driver.answer("one two three four")
        driver.silence(640)
        driver.feed(PlaybackPosition(driver.last(OutputItemStarted).item.id, 100))
        driver.speech(224)
        driver.silence(96)
        driver.words("No, three.")
        assert driver.last(KeepHeard).text == "one two"


class TestPushToTalk:
    def ptt(self, **limits):
        return SessionDriver(SessionConfig(turn_detection=None), SessionLimits(**limits))

    def test_audio_is_heard_as_it_arrives(self):
        driver = self.ptt()
        driver.speech(320)
        assert len(driver.all(Hear)) == 10
        assert driver.outputs == []

    def test_commit_and_create(self):
        driver = self.ptt()
        driver.speech(320)
        driver.feed(CommitAudio())
        assert not driver.requests
        driver.feed(CreateResponse())
        driver.answer("fine")
        assert driver.last(ResponseEnded).status == "completed"
        assert SpeechStopped not in kinds(driver.outputs)

    def test_commit_and_answer(self):
        driver = self.ptt()
        driver.speech(320)
        driver.feed(CommitAudio(answer=True))
        assert kinds(driver.outputs)[-1] is ResponseStarted
        driver.answer("fine")
        assert len(driver.requests) == 1

    def test_nothing_to_commit_is_not_answered(self):
        driver = self.ptt()
        driver.feed(CommitAudio(answer=True))
        assert driver.last(Refused).code == "input_audio_buffer_commit_empty"
        assert not driver.requests

    def test_a_turn_during_an_answer_is_answered_after_it(self):
        driver = self.ptt()
        driver.feed(CreateResponse())
        driver.speech(320)
        driver.feed(CommitAudio(answer=True))
        assert len(driver.requests) == 1
        driver.answer("first")
        assert len(driver.requests) == 2

    def test_too_little_is_refused_with_the_clients_event_id(self):
        driver = self.ptt()
        driver.speech(64)
        driver.feed(CommitAudio("mine"))
        refused = driver.last(Refused)
        assert (refused.code, refused.event_id) == ("input_audio_buffer_commit_empty", "mine")

    def test_clear_forgets(self):
        driver = self.ptt()
        driver.speech(320)
        driver.feed(ClearAudio())
        assert kinds(driver.outputs) == [AudioCleared]
        assert driver.last(Forget).item_id == driver.all(Hear)[0].item_id
        driver.feed(CommitAudio())
        assert driver.last(Refused).code == "input_audio_buffer_commit_empty"

    def test_a_full_buffer_says_so_and_keeps_its_bound(self):
        driver = self.ptt(max_buffered_ms=1_000)
        driver.speech(5_000)
        heard = driver.heard_samples(driver.all(Hear)[0].item_id)
        assert heard.size <= 16_000 + 512
        assert 3 <= len(driver.all(Dropped)) <= 6

    def test_detection_can_be_switched_on_in_mid_utterance(self):
        driver = self.ptt()
        driver.speech(640)
        driver.feed(ConfigureSession(SessionConfig()))
        driver.silence(900)
        assert AudioCommitted in kinds(driver.outputs)

    def test_detection_can_be_switched_off_in_mid_utterance(self):
        driver = SessionDriver()
        driver.speech(640)
        driver.feed(ConfigureSession(SessionConfig(turn_detection=None)))
        driver.silence(2_000)
        assert AudioCommitted not in kinds(driver.outputs)
        driver.feed(CommitAudio())
        assert AudioCommitted in kinds(driver.outputs)


class TestWhenIdle:
    """An answer that the client wants as soon as it can be had."""

    ASKED = CreateResponse(when_idle=True)

    def test_it_starts_at_once_where_nothing_is_said(self):
        driver = SessionDriver()
        driver.feed(self.ASKED)
        assert kinds(driver.outputs) == [ResponseStarted]

    def test_it_waits_for_the_end_of_another(self):
        driver = SessionDriver()
        driver.feed(CreateResponse(), self.ASKED, self.ASKED)
        assert len(driver.requests) == 1 and Refused not in kinds(driver.outputs)
        driver.answer("first")
        assert len(driver.requests) == 2
        driver.answer("second")
        assert len(driver.requests) == 2, "what was asked twice is answered once"

    def test_it_waits_for_the_user(self):
        driver = SessionDriver()
        driver.speech(640)
        driver.feed(self.ASKED)
        assert not driver.all(ResponseStarted)
        driver.silence(900)
        driver.answer("to both")
        driver.silence(900)
        assert len(driver.all(ResponseStarted)) == 1

    def test_an_interruption_does_not_make_it_forgotten(self):
        driver = SessionDriver()
        driver.feed(CreateResponse(), self.ASKED, ClearOutput())
        assert driver.last(ResponseEnded).status == "cancelled"
        assert len(driver.all(ResponseStarted)) == 2


class TestOnset:
    @pytest.mark.parametrize(("onset_ms", "begins"), [(None, True), (0, True), (64, True), (320, False)])
    def test_a_client_may_say_how_much_speech_begins_a_turn(self, onset_ms, begins):
        driver = SessionDriver(SessionConfig(turn_detection=TurnDetection(onset_ms=onset_ms)))
        driver.speech(192)
        assert (SpeechStarted in kinds(driver.outputs)) is begins


class TestConversation:
    def test_text_in_text_out(self):
        driver = SessionDriver(SessionConfig(modality="text"))
        driver.feed(AddItem(message("hi")), CreateResponse())
        request = driver.newest
        assert request.modality == "text"
        driver.feed(AnswerText(1, request.item_id(0), "Hel"), AnswerText(1, request.item_id(0), "lo"))
        driver.feed(AnswerFinished(1, Usage(input_text=7)))
        assert [delta.text for delta in driver.all(TextDelta)] == ["Hel", "lo"]
        ended = driver.last(ResponseEnded)
        assert ended.usage.input_text == 7
        assert ended.items[0].content == (TextContent("Hello"),)

    def test_items_can_be_listed_deleted_and_retrieved(self):
        driver = SessionDriver()
        driver.feed(AddItem(message("a")), AddItem(message("b"), "root"), DeleteItem("a"), RetrieveItem("b"))
        assert driver.session.items.ids == ("b",)
        assert driver.last(RemoveItem).item_id == "a"
        assert driver.last(ItemDeleted).item_id == "a"
        assert driver.last(ItemRetrieved).item == message("b")
        driver.feed(DeleteItem("a", "e1"), RetrieveItem("a", "e2"), AddItem(message("b"), event_id="e3"))
        assert [refused.event_id for refused in driver.all(Refused)] == ["e1", "e2", "e3"]

    def test_a_second_response_is_refused(self):
        driver = SessionDriver()
        driver.feed(CreateResponse(), CreateResponse(event_id="again"))
        refused = driver.last(Refused)
        assert refused.code == "conversation_already_has_active_response"
        assert refused.event_id == "again"

    def test_cancel(self):
        driver = SessionDriver()
        driver.feed(CancelResponse(event_id="early"))
        assert driver.last(Refused).code == "response_cancel_not_active"
        driver.feed(CreateResponse(), CancelResponse("another"))
        assert driver.last(Refused).param == "response_id"
        driver.feed(CancelResponse())
        assert driver.last(ResponseEnded).reason == "client_cancelled"

    def test_clearing_the_output_stops_it(self):
        driver = SessionDriver()
        driver.feed(CreateResponse())
        driver.answer("one two three", finish=False)
        driver.feed(ClearOutput())
        assert driver.last(OutputCleared).response_id == driver.newest.response_id
        assert driver.last(KeepHeard).text == ""

    def test_a_failure_ends_the_response_and_the_session_goes_on(self):
        driver = SessionDriver()
        driver.feed(CreateResponse(), AnswerFailed(1, "engine_failed", "The engine stopped."))
        ended = driver.last(ResponseEnded)
        assert (ended.status, ended.reason, ended.message) == (
            "failed",
            "engine_failed",
            "The engine stopped.",
        )
        driver.feed(CreateResponse())
        assert driver.session.responding

    def test_an_answer_cut_short_by_its_limit_is_incomplete(self):
        driver = SessionDriver()
        driver.feed(CreateResponse(max_output_tokens=5))
        assert driver.newest.max_output_tokens == 5
        driver.feed(AnswerFinished(1, incomplete_reason="max_output_tokens"))
        assert driver.last(ResponseEnded).status == "incomplete"

    def test_configuration_is_taken_over_whole(self):
        driver = SessionDriver()
        config = SessionConfig(instructions="Be kind.", tools=(FunctionTool("f", "", {}),), tool_choice="f")
        driver.feed(ConfigureSession(config), CreateResponse())
        assert driver.last(SessionConfigured).config == config
        assert driver.last(Configure).config == config
        assert driver.newest.tools == config.tools
        assert driver.newest.tool_choice == "f"

    def test_a_detached_answer_stays_out_of_the_conversation(self):
        driver = SessionDriver()
        driver.feed(CreateResponse(detached=True, input=(message("x"),), metadata={"k": "v"}))
        driver.answer("aside")
        assert driver.session.items.ids == ()
        assert driver.last(ResponseEnded).metadata == {"k": "v"}


class TestTools:
    def test_a_client_call_ends_the_response_and_its_output_is_taken_once(self):
        driver = SessionDriver()
        driver.feed(CreateResponse())
        call = ToolCall("call_1", "lamp", '{"on": true}')
        driver.feed(ClientCall(1, driver.newest.item_id(0), call))
        driver.finish()
        assert driver.last(ResponseEnded).items[0].call == call
        output = Item("out", "function_call_output", call=ToolCall("call_1", "", ""), output="done")
        driver.feed(
            AddItem(output), AddItem(Item("out2", "function_call_output", call=output.call, output="x"))
        )
        assert driver.last(InsertItem).item == output
        assert driver.last(Refused).param == "item.call_id"

    def test_an_output_without_a_call_is_refused(self):
        driver = SessionDriver()
        driver.feed(AddItem(Item("o", "function_call_output", call=ToolCall("nope", "", ""), output="x")))
        assert "'nope'" in driver.last(Refused).message
        driver.feed(AddItem(Item("o", "function_call_output", output="x")))
        assert driver.last(Refused).param == "item.call_id"

    def test_a_server_call_is_shown_with_its_result(self):
        driver = SessionDriver()
        driver.feed(CreateResponse())
        driver.answer("Let me see.", finish=False)
        call = ToolCall("c", "get_time", "{}")
        driver.feed(ServerCallStarted(1, "item_call", call), ServerCallFinished(1, "item_call", "15:45"))
        driver.answer("It is a quarter to four.", index=2)
        done = [item.kind for item in driver.last(ResponseEnded).items]
        assert done == ["message", "server_call", "message"]
        assert driver.last(ResponseEnded).items[1].output == "15:45"
        assert [started.output_index for started in driver.all(OutputItemStarted)] == [0, 1, 2]

    def test_an_interrupted_call_is_left_incomplete(self):
        driver = SessionDriver()
        driver.feed(CreateResponse(), ServerCallStarted(1, "item_call", ToolCall("c", "slow", "{}")))
        driver.feed(CancelResponse(), ServerCallFinished(1, "item_call", "late"))
        (done,) = driver.all(OutputItemDone)
        assert (done.item.status, done.item.output) == ("incomplete", None)

    def test_a_failed_call_says_why(self):
        driver = SessionDriver()
        driver.feed(CreateResponse(), ServerCallStarted(1, "item_call", ToolCall("c", "f", "{}")))
        driver.feed(ServerCallFinished(1, "item_call", "no such place", ok=False))
        assert driver.last(OutputItemDone).item.error == "no such place"


class TestCamera:
    def test_the_newest_frame_joins_the_turn(self):
        driver = SessionDriver()
        driver.feed(CameraFrame(picture("a"), "scene_change"))
        driver.say_turn()
        inserted = driver.last(InsertItem).item
        assert [part.picture.key for part in inserted.content if isinstance(part, ImageContent)] == ["a"]
        assert all(not isinstance(part, ImageContent) for part in driver.last(ItemAdded).item.content)
        commands = kinds(driver.commands)
        assert commands.index(See) < commands.index(StartResponse)

    def test_a_scene_change_while_speaking_is_seen_at_once(self):
        driver = SessionDriver()
        driver.speech(640)
        driver.feed(CameraFrame(picture("b"), "scene_change"))
        assert driver.last(See).picture.key == "b"

    def test_what_a_turn_would_see_is_foreseen_while_nobody_speaks(self):
        driver = SessionDriver()
        driver.feed(CameraFrame(picture("a"), "scene_change"), CameraFrame(picture("a2"), "similar"))
        driver.feed(CameraFrame(picture("b"), "scene_change"))
        foreseen = [[shown.key for shown in told.pictures] for told in driver.all(Foresee)]
        assert foreseen == [["a"], ["a", "b"]]
        driver.speech(640)
        assert [see.picture.key for see in driver.all(See)] == ["a", "b"]
        driver.feed(CameraFrame(picture("c"), "scene_change"))
        assert len(driver.all(Foresee)) == 2, "what is seen while somebody speaks is their turn's"

    @pytest.mark.parametrize("manual", [False, True])
    def test_what_the_camera_sees_comes_before_the_speech(self, manual):
        driver = SessionDriver(SessionConfig(turn_detection=None) if manual else None)
        driver.feed(CameraFrame(picture("a"), "scene_change"))
        driver.speech(640)
        commands = kinds(driver.commands)
        assert commands.index(See) < commands.index(Hear)
        assert driver.last(See).item_id == driver.last(Hear).item_id

    def test_the_client_is_told_which_frames_were_seen(self):
        driver = SessionDriver()
        driver.feed(CameraFrame(picture("a", 1_000), "scene_change"))
        driver.feed(CameraFrame(picture("b", 2_000), "similar"), CameraFrame(picture("c", 3_000), "similar"))
        driver.say_turn()
        assert driver.last(ItemAdded).seen_ms == (1_000, 3_000)
        driver.finish()
        driver.feed(AddItem(message("and now?")))
        assert driver.last(ItemAdded).seen_ms == ()
        driver.feed(CameraFrame(picture("d", 4_000), "scene_change"), AddItem(message("what is this?")))
        assert driver.last(ItemAdded).seen_ms == (4_000,)

    def test_the_same_frame_is_not_shown_twice(self):
        driver = SessionDriver()
        driver.feed(CameraFrame(picture("a"), "scene_change"))
        driver.say_turn()
        driver.feed(CameraFrame(picture("a2"), "duplicate"))
        driver.finish()
        driver.say_turn()
        assert [see.picture.key for see in driver.all(See)] == ["a"]

    def test_typed_messages_see_as_well(self):
        driver = SessionDriver()
        driver.feed(CameraFrame(picture("a"), "scene_change"), AddItem(message("what is this?")))
        assert any(isinstance(part, ImageContent) for part in driver.last(InsertItem).item.content)


class TestSpeakingUp:
    def test_an_announcement_is_spoken_when_nobody_speaks(self):
        driver = SessionDriver()
        driver.feed(Announce("Your tea is ready."))
        assert driver.newest.say == "Your tea is ready."
        assert driver.session.responding

    def test_what_has_to_be_put_into_words_is_answered_by_instructions(self):
        driver = SessionDriver()
        driver.feed(Announce("Tell them that the copy is done.", by_instructions=True))
        assert driver.newest.say is None
        assert driver.newest.instructions == "Tell them that the copy is done."

    def test_it_waits_for_the_user(self):
        driver = SessionDriver()
        driver.speech(640)
        driver.feed(Announce("Your tea is ready."))
        assert not driver.requests
        driver.silence(900)
        driver.answer("yes")
        assert [request.say for request in driver.requests.values()] == [None]
        driver.wait(1.0)
        assert driver.newest.say == "Your tea is ready."

    def test_too_many_lose_the_oldest_and_say_so(self):
        driver = SessionDriver(limits=SessionLimits(max_announcements=2))
        driver.speech(640)
        driver.feed(Announce("1"), Announce("2"), Announce("3"))
        assert driver.last(Dropped).what == "speech"

    def test_after_long_quiet_it_checks_in_once(self):
        driver = SessionDriver(SessionConfig(turn_detection=TurnDetection(idle_timeout_ms=5_000)))
        driver.say_turn()
        driver.answer("hello there")
        driver.wait(4.0)
        assert driver.all(IdleTimedOut) == []
        driver.wait(3.0)
        assert len(driver.all(IdleTimedOut)) == 1
        assert driver.newest.instructions
        assert driver.session.responding


class TestClose:
    def test_everything_ends_and_nothing_follows(self):
        driver = SessionDriver()
        driver.say_turn()
        driver.answer("one two", finish=False)
        driver.feed(Close("gone"))
        assert driver.last(ResponseEnded).reason == "session_closed"
        assert driver.live == set()
        assert driver.session.deadline() is None
        before = len(driver.outputs)
        driver.speech(1_000)
        driver.feed(Close("again"), CreateResponse(), Announce("x"))
        assert driver.outputs[before:] == []

    def test_an_utterance_in_progress_is_forgotten(self):
        driver = SessionDriver()
        driver.speech(640)
        driver.feed(Close())
        assert driver.all(Forget)


def test_audio_in_an_item_is_transcribed():
    driver = SessionDriver()
    content = AudioContent(samples=np.zeros(1_600, np.int16), duration_ms=100)
    driver.feed(AddItem(Item("a", "message", content=(content,))))
    assert driver.last(Transcribe).item_id == "a"
