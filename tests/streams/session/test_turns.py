from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.session.turns import Signal, TurnDetector

FRAME = 512


def run(detector, probabilities, *, onset_ms=96, end_ms=300, start=0):
    signals = []
    for index, probability in enumerate(probabilities):
        signal = detector.feed(
            start + index * FRAME, FRAME, probability, onset_samples=onset_ms * 16, end_samples=end_ms * 16
        )
        if signal is not None:
            signals.append((index, signal))
    return signals


def detector(**changes):
    return TurnDetector(**{"threshold": 0.5, "lull_samples": 64 * 16, "pause_samples": 128 * 16, **changes})


def test_speech_then_silence_is_one_utterance():
    turn = detector()
    signals = run(turn, [0.0] * 5 + [0.9] * 10 + [0.0] * 12)
    assert signals == [(7, Signal.ONSET), (16, Signal.LULL), (18, Signal.PAUSE), (24, Signal.END)]


def test_onset_points_back_to_where_the_speech_began():
    turn = detector()
    run(turn, [0.0] * 5 + [0.9] * 3)
    assert turn.in_utterance
    assert turn.speech_started == 5 * FRAME


def test_a_click_is_short_speech_and_no_utterance():
    turn = detector()
    assert run(turn, [0.0, 0.9] + [0.0] * 6) == [(5, Signal.SHORT_SPEECH)]
    assert not turn.in_utterance


def test_a_stop_consonant_does_not_restart_the_count():
    turn = detector()
    signals = run(turn, [0.9, 0.9, 0.0, 0.9])
    assert signals == [(3, Signal.ONSET)]
    assert turn.speech_started == 0


def test_speech_above_the_lower_threshold_goes_on():
    turn = detector()
    run(turn, [0.9] * 4)
    assert run(turn, [0.4] * 50, start=4 * FRAME) == []


def test_going_on_after_a_pause_is_signalled_once_and_asks_again():
    turn = detector()
    signals = run(turn, [0.9] * 5 + [0.0] * 5 + [0.9] * 3 + [0.0] * 5)
    assert signals == [
        (2, Signal.ONSET),
        (6, Signal.LULL),
        (8, Signal.PAUSE),
        (10, Signal.RESUMED),
        (14, Signal.LULL),
        (16, Signal.PAUSE),
    ]


def test_a_moment_of_silence_is_a_lull_and_no_pause():
    turn = detector()
    signals = run(turn, [0.9] * 5 + [0.0] * 3 + [0.9] * 3)
    assert signals == [(2, Signal.ONSET), (6, Signal.LULL), (8, Signal.RESUMED)]


def test_a_lull_as_long_as_a_pause_comes_a_frame_before_it():
    turn = detector(lull_samples=128 * 16)
    assert run(turn, [0.9] * 5 + [0.0] * 5)[1:] == [(8, Signal.LULL), (9, Signal.PAUSE)]


def test_silence_is_counted_from_the_last_speech():
    turn = detector()
    run(turn, [0.9] * 5 + [0.0] * 3)
    assert turn.silence_started == 5 * FRAME


def test_begin_enters_an_utterance_without_onset():
    turn = detector()
    turn.begin(100, 200)
    assert turn.in_utterance
    assert (turn.speech_started, turn.silence_started) == (100, 200)
    turn.reset()
    assert not turn.in_utterance


@given(
    st.lists(st.floats(0, 1), max_size=200),
    st.integers(32, 500),
    st.integers(64, 1_000),
    st.floats(0.2, 0.9),
)
def test_signals_come_in_an_order_that_makes_sense(probabilities, onset_ms, end_ms, threshold):
    turn = detector(threshold=threshold)
    inside = lulled = paused = False
    for _, signal in run(turn, probabilities, onset_ms=onset_ms, end_ms=end_ms):
        match signal:
            case Signal.ONSET:
                assert not inside
                inside, lulled, paused = True, False, False
            case Signal.SHORT_SPEECH:
                assert not inside
            case Signal.LULL:
                assert inside and not lulled
                lulled = True
            case Signal.PAUSE:
                assert inside and lulled and not paused
                paused = True
            case Signal.RESUMED:
                assert inside and lulled
                lulled = paused = False
            case Signal.END:
                assert inside
                inside = False
    assert turn.in_utterance == inside


@given(st.lists(st.floats(0, 0.34), max_size=100))
def test_silence_alone_never_signals(probabilities):
    assert run(detector(), probabilities) == []
