from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hearsight.streams.audio.end_of_turn import EndOfTurnModel, EndOfTurnWorker
from hearsight.streams.events import Samples
from hearsight.streams.ports import EndOfTurn

pytestmark = pytest.mark.models

Recordings = Callable[[str], Samples]
COMPLETE = ["ten_of_clubs", "seven_of_clubs", "eight_of_spades", "cold_hearted", "amiable_woman"]
PAUSE = np.zeros(3_200, dtype=np.int16)  # the silence after which a session asks


@pytest.mark.parametrize("name", COMPLETE)
def test_a_finished_sentence_sounds_finished(
    smart_turn: EndOfTurnModel, speech: Recordings, name: str
) -> None:
    assert smart_turn.probability(np.concatenate((speech(name), PAUSE))) > 0.8


def test_a_sentence_cut_off_mostly_does_not(smart_turn: EndOfTurnModel, speech: Recordings) -> None:
    words = speech("amiable_woman")
    cuts = [words[: round(len(words) * fraction)] for fraction in np.arange(0.3, 0.7, 0.05)]
    judged = [smart_turn.probability(np.concatenate((cut, PAUSE))) for cut in cuts]
    # Known to be the weak side of the model: it decides how long a silence to wait for, not whether to.
    assert np.mean(np.array(judged) < 0.5) >= 0.75


def test_longer_than_eight_seconds_is_judged_by_its_end(
    smart_turn: EndOfTurnModel, speech: Recordings
) -> None:
    unfinished = speech("amiable_woman")[:48_000]
    long = np.concatenate([unfinished] * 4 + [speech("cold_hearted"), PAUSE])
    assert len(long) > 128_000
    assert smart_turn.probability(long) == smart_turn.probability(long[-128_000:])


@pytest.mark.parametrize("length", [0, 1, 512])
def test_next_to_nothing_is_no_error(smart_turn: EndOfTurnModel, length: int) -> None:
    assert 0 <= smart_turn.probability(np.zeros(length, dtype=np.int16)) <= 1


def test_one_model_serves_several_threads(smart_turn: EndOfTurnModel, speech: Recordings) -> None:
    alone = [smart_turn.probability(speech(name)) for name in COMPLETE]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(smart_turn.probability, map(speech, COMPLETE)))
    assert together == pytest.approx(alone)


async def test_a_session_asks_it_from_the_event_loop(smart_turn: EndOfTurnModel, speech: Recordings) -> None:
    words = speech("ten_of_clubs")
    with ThreadPoolExecutor(1) as executor:
        worker: EndOfTurn = EndOfTurnWorker(smart_turn, executor)
        assert await worker.probability(words) == pytest.approx(smart_turn.probability(words))
