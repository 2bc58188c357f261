"""The scenes: what is said over answers, tools and questions, and what should come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from expectations import (
    ALWAYS,
    GOES_ON,
    STOPS,
    STORY_STOPS,
    Expectation,
    calls,
    makes,
    says,
    turns,
    understands,
)
from seen import Said, Seen

from hearsight.streams.events import OUTPUT_RATE_HZ, Samples

STORY = "Tell me a long story about a lighthouse keeper and his cat."
SAVE = "Please save all my photos."
DELETE = "Please delete my old album."
HEARD_S = 1.5
"""Of the answer, before anything happens."""
PAUSE_S = 0.7
"""From the end of an answer, which is told half a second before it is heard, to the user's next words."""
PATIENCE_S = 10.0
"""After the last word, where what is expected ends the scene."""
REMARKS = ("Yeah.", "Okay.", "I see.", "Right.", "Uh-huh.")
SHORT = ("Stop.", "Wait.", "Hold on.", "No, no.", "Excuse me.")
BEFORE, AFTER = "What is twelve", "times fifteen?"
LONG = "Stop, please. What time is it now?"
STOP_AND = "Stop please and tell me what time it is."
HOW_MANY = "How many photos did you save?"
NO, CORRECTION, YES = "No, don't do that.", "No, the new one.", "Yes, please."
OTHER = "What time is it now?"
TEXTS = (*REMARKS, *SHORT, LONG, STOP_AND, SAVE, HOW_MANY, NO, CORRECTION, YES, OTHER)
"""All that is said in one go."""
Setting = dict[str, Any] | None
_LOW: Setting = {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}}}


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens, and what should come of it."""

    name: str
    expected: str
    said: Callable[[int], Sequence[Said]]
    """By the number of the run."""
    expects: Sequence[Expectation]
    question: str | None = STORY
    echo: float = 0.0
    lasts_s: float = 1.5
    """After the last word, unless it is over earlier."""
    over: Callable[[Seen], bool] = lambda seen: False
    session: Setting = None
    stops: bool = False
    """The first that is said stops an answer that is heard: how fast is measured."""
    verb: str | None = None
    """Of what the household is asked to do."""
    resumes: bool = False
    """The first that is said holds an answer and lets it go on: how fast is measured."""

    def problems(self, seen: Seen) -> list[str]:
        """What did not come of it as it should have."""
        return [each.words for each in (*self.expects, *ALWAYS) if not each.holds(seen)]


def _answers(count: int) -> Callable[[Seen], bool]:
    """So many answers have ended."""
    return lambda seen: len(seen.statuses) >= count


def _tells_the_time(seen: Seen) -> bool:
    return "get_time" in seen.calls and "It's" in seen.text


def cough(run: int) -> Samples:
    """A burst of noise that swells at once and dies away in a quarter of a second."""
    rng = np.random.default_rng(run)
    times = np.arange(round(0.3 * OUTPUT_RATE_HZ)) / OUTPUT_RATE_HZ
    burst = rng.standard_normal(times.size) * np.exp(-times / 0.07) * np.minimum(1, times / 0.01)
    return np.rint(burst * 6_000).astype(np.int16)


def _once(*said: Said) -> Callable[[int], Sequence[Said]]:
    return lambda run: said


def over_an_answer(spoken: dict[str, Samples]) -> list[Scene]:
    """Something is heard over a long answer.

    Args:
        spoken: `TEXTS`, read out at 24 kHz.
    """

    def one(*texts: str) -> Callable[[int], Sequence[Said]]:
        return lambda run: [Said(HEARD_S, spoken[texts[run % len(texts)]])]

    told = Expectation("the time is told", _tells_the_time)
    heard = understands("stop", "time")
    okay, stop, other = spoken["Okay."], spoken["Stop."], spoken[OTHER]
    return [
        Scene("a remark", "the answer goes on", one(*REMARKS), [GOES_ON], resumes=True),
        Scene("a cough", "it goes on", lambda run: [Said(HEARD_S, cough(run))], [GOES_ON]),
        Scene(
            "a short word",
            "it stops",
            one(*SHORT),
            [STOPS],
            lasts_s=PATIENCE_S,
            over=_answers(1),
            stops=True,
        ),
        Scene(
            "an interruption",
            "it stops; the time is told",
            one(LONG),
            [STORY_STOPS, told, heard],
            lasts_s=PATIENCE_S,
            over=_tells_the_time,
            stops=True,
        ),
        Scene(
            "a remark, and a word within a second",
            "it stops once",
            _once(Said(HEARD_S, okay), Said(HEARD_S + 0.9, stop)),
            [STOPS],
            lasts_s=PATIENCE_S,
            over=_answers(1),
        ),
        Scene(
            "two interruptions within a second",
            "it stops at the first; the second is answered",
            _once(Said(HEARD_S, stop), Said(HEARD_S + 0.9, other)),
            [
                told,
                understands("stop", "what time"),
                STORY_STOPS,
                calls("get_time"),
            ],
            lasts_s=PATIENCE_S,
            over=_tells_the_time,
            stops=True,
        ),
    ]


def with_echo(spoken: dict[str, Samples]) -> list[Scene]:
    """The microphone hears the answer.

    Args:
        spoken: `TEXTS`, read out at 24 kHz.
    """
    silent = _once(Said(3.5, np.zeros(0, np.int16)))
    told = Expectation("the time is told", _tells_the_time)
    return [
        *(
            Scene(
                f"its own echo at {level} dB",
                "it goes on",
                silent,
                [GOES_ON],
                echo=10 ** (level / 20),
                lasts_s=0.5,
            )
            for level in (-10, -20, -30)
        ),
        Scene(
            "an interruption over the echo at -20 dB",
            "it stops; the time is told",
            _once(Said(HEARD_S, spoken[LONG])),
            [STORY_STOPS, told],
            echo=0.1,
            lasts_s=PATIENCE_S,
            over=_tells_the_time,
            stops=True,
        ),
    ]


def from_the_start(spoken: dict[str, Samples]) -> list[Scene]:
    """The user speaks first, in one go or with a pause.

    Args:
        spoken: `BEFORE` and `AFTER`, read out at 24 kHz in one go and cut.
    """
    before, after = spoken[BEFORE], spoken[AFTER]
    product = [
        Expectation(
            "it is one turn with one answer", lambda seen: (seen.committed, seen.announced) == (1, 1)
        ),
        says("180"),
        understands("what", "12|twelve", "15|fifteen"),
    ]

    def paused(pause_s: float) -> Callable[[int], Sequence[Said]]:
        half = Said(0.6, before, "start")
        return _once(half, Said(half.ends_s + pause_s, after, "start"))

    def scene(name: str, said: Callable[[int], Sequence[Said]], session: Setting = None) -> Scene:
        return Scene(
            name,
            "one answer, after all of it",
            said,
            product,
            question=None,
            lasts_s=PATIENCE_S,
            over=lambda seen: "180" in seen.text,
            session=session,
        )

    return [
        scene("the user speaks first, at once", _once(Said(0.0, np.concatenate([before, after]), "start"))),
        scene("a pause of 0.6 s in mid-sentence", paused(0.6)),
        scene("a pause of 1.2 s, with low eagerness", paused(1.2), _LOW),
    ]


def around_tools(spoken: dict[str, Samples]) -> list[Scene]:
    """Something is said while a tool runs.

    Args:
        spoken: `TEXTS`, read out at 24 kHz.
    """
    ask = Said(PAUSE_S, spoken[HOW_MANY], "ended 2")

    def known(seen: Seen) -> bool:
        return "Forty-two" in seen.text and len(seen.statuses) >= 2

    stopped = [
        turns("cancelled", "completed", more=1),
        makes("save"),
        understands("stop", "time", "how many"),
        says("It's"),
        says("Forty-two"),
    ]
    request = Said(0.3, spoken[SAVE], "start")
    return [
        Scene(
            "an interruption while a tool runs",
            "the time is told; the tool has run once, and its result is known in the next turn",
            _once(request, Said(0.4, spoken[STOP_AND], "call 1"), ask),
            [*stopped, says("moment", 0)],
            question=None,
            verb="save",
            lasts_s=PATIENCE_S,
            over=known,
        ),
        Scene(
            "an interruption during “Just a moment”",
            "likewise",
            _once(Said(0.3, spoken[STOP_AND]), ask),
            stopped,
            question=SAVE,
            verb="save",
            lasts_s=PATIENCE_S,
            over=known,
            stops=True,
        ),
        Scene(
            "a remark during “Just a moment”",
            "the result is told once it is there",
            _once(Said(0.3, spoken["Yeah."])),
            [GOES_ON, turns("completed"), makes("save"), says("moment"), says("forty-two")],
            question=SAVE,
            verb="save",
            lasts_s=PATIENCE_S,
            over=_answers(1),
        ),
    ]


def around_consent(spoken: dict[str, Samples]) -> list[Scene]:
    """Something is said while the assistant asks whether it may.

    Args:
        spoken: `TEXTS`, read out at 24 kHz.
    """

    def asked(name: str, expected: str, *said: Said, expects: Sequence[Expectation], answers: int) -> Scene:
        return Scene(
            name,
            expected,
            _once(*said),
            expects,
            question=DELETE,
            verb="delete",
            lasts_s=PATIENCE_S,
            over=_answers(answers),
            stops=said[0].after == "audio 1",
        )

    later = Said(PAUSE_S, spoken[YES], "ended 2")
    return [
        asked(
            "“no” into a question before a call",
            "it stops; nothing is done",
            Said(0.9, spoken[NO]),
            expects=[turns("cancelled", "completed"), makes(), says("I won't")],
            answers=2,
        ),
        asked(
            "a correction into the question",
            "it asks about the other; after a yes that is done, once",
            Said(0.9, spoken[CORRECTION]),
            later,
            expects=[
                turns("cancelled", "completed", "completed"),
                makes("delete new"),
                says("album new"),
                says("is gone"),
            ],
            answers=3,
        ),
        asked(
            "something else into the question",
            "it is answered; a later yes does nothing",
            Said(0.9, spoken[OTHER]),
            later,
            expects=[
                turns("cancelled", "completed", "completed"),
                makes(),
                says("It's"),
                understands("time", "yes"),
            ],
            answers=3,
        ),
        asked(
            "“yes” over the last words of the question",
            "it is done, once",
            Said(0.0, spoken[YES], "ended 1"),
            expects=[turns("completed", "completed"), makes("delete old"), says("is gone")],
            answers=2,
        ),
    ]


def scenes(spoken: dict[str, Samples]) -> list[Scene]:
    """The scenes that any assistant can play; those around tools and consent need the household.

    Args:
        spoken: `TEXTS`, `BEFORE` and `AFTER`, read out at 24 kHz.
    """
    return [*over_an_answer(spoken), *with_echo(spoken), *from_the_start(spoken)]
