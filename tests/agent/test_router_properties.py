"""What holds for any text that a model may write, however it is cut into deltas."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.router import (
    MAX_CALL_CHARS,
    MalformedCall,
    Router,
    RouterEvent,
    SpeechText,
    ToolCallText,
)

TOOLS = {"get_time": (), "get_weather": ("city", "unit"), "set_timer": ("seconds", "label")}


def route(text: str, cuts: list[int]) -> tuple[list[RouterEvent], str]:
    """Calls in order, each with the speech before it standing as one event, and all speech."""
    router = Router(TOOLS)
    edges = [0, *sorted(cuts), len(text)]
    events: list[RouterEvent] = []
    for start, end in zip(edges, edges[1:], strict=False):
        for event in router.feed(text[start:end]):
            _append(events, event)
    for event in router.flush():
        _append(events, event)
    return events, "".join(event.text for event in events if isinstance(event, SpeechText))


def _append(events: list[RouterEvent], event: RouterEvent) -> None:
    last = events[-1] if events else None
    if isinstance(event, SpeechText) and isinstance(last, SpeechText):
        events[-1] = SpeechText(last.text + event.text)
    else:
        events.append(event)


fragments = st.sampled_from(
    [
        "```",
        "``",
        "`",
        "tool_code",
        "python",
        "json",
        "\n",
        " ",
        "get_time",
        "get_time()",
        "get_weather(",
        "'Paris'",
    ]
    + [
        ")",
        "(",
        "[",
        "]",
        "{",
        "}",
        '"name"',
        ":",
        '"get_time"',
        ",",
        '"parameters"',
        "<tool_call>",
        "</tool_call>",
    ]
    + [
        "print(",
        "default_api.",
        "Hello",
        ". ",
        "it's",
        '"',
        "\\",
        "=",
        "f(x)",
        "1",
        "<",
        "news()",
        "<tool_",
        "a",
    ]
)
soup = st.lists(fragments, max_size=40).map("".join)
anything = soup | st.text(max_size=120)


@given(anything, st.data())
def test_the_cuts_do_not_matter(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=10))
    assert route(text, cuts) == route(text, []) == route(text, list(range(len(text))))


@given(anything)
def test_speech_is_the_text_without_what_was_taken_out(text: str) -> None:
    """Speech is a subsequence of whole stretches, and malformed calls are such stretches too."""
    events, _ = route(text, [])
    position = 0
    for event in events:
        if isinstance(event, SpeechText | MalformedCall):
            raw = event.text if isinstance(event, SpeechText) else event.raw
            found = text.find(raw, position)
            assert found >= 0
            position = found + len(raw)
    if not any(isinstance(event, ToolCallText) for event in events):
        assert position == len(text)
        assert sum(len(e.text if isinstance(e, SpeechText) else e.raw) for e in events) == len(text)  # type: ignore[union-attr]


@given(anything)
def test_a_router_is_as_new_after_a_flush(text: str) -> None:
    router = Router(TOOLS)
    first = router.feed(text) + router.flush()
    assert router.feed(text) + router.flush() == first


@given(st.text(st.characters(exclude_characters="`<[{(")))
def test_plain_text_is_spoken(text: str) -> None:
    assert route(text, [])[1] == text


@given(soup, st.integers(0, 3))
def test_no_more_than_a_call_is_held(text: str, copies: int) -> None:
    router = Router(TOOLS)
    filler = "word " * MAX_CALL_CHARS
    router.feed(text * copies + filler)
    events = router.feed("the end of it all")
    held = router.flush()
    given_up = not events and not held
    assert given_up or len("".join(e.text for e in held if isinstance(e, SpeechText))) <= 256


@dataclass(frozen=True)
class Part:
    """A piece of an answer and what must come of it."""

    text: str
    call: ToolCallText | None


def said(text: str) -> Part:
    return Part(text, None)


def called(text: str) -> Part:
    return Part(text, ToolCallText("set_timer", {"seconds": 60, "label": "a) 'b' ]"}))


CALL = """set_timer(60, label="a) 'b' ]")"""
JSON = """{"name": "set_timer", "parameters": {"seconds": 60, "label": "a) 'b' ]"}}"""
speech = st.sampled_from(
    [
        "Sure.",
        "[laughs] Well!",
        "print is a word.",
        "{curly} ones.",
        "`get_time()` is code.",
        "It costs 3.5 < 4.",
    ]
    + [
        "```bash\nls -l\n```",
        "- one\n- two.",
        '{"a": 1}.',
        "I use get_time() a lot.",
        "get_timers!",
        "[news] at ten.",
    ]
).map(said)
calls = st.sampled_from(
    [
        CALL,
        f"[{CALL}]",
        f"print({CALL})",
        f"default_api.{CALL}",
        f"```tool_code\n{CALL}\n```",
        f"```\n{CALL}\n```",
    ]
    + [f"```python\nprint(default_api.{CALL})\n```", JSON, f"[{JSON}]", f"```json\n{JSON}\n```"]
    + [f"<tool_call>\n{JSON}\n</tool_call>", f"<tool_call>{CALL}</tool_call>"]
).map(called)


@given(st.lists(speech | calls, max_size=8), st.sampled_from(["\n", "\n\n"]), st.data())
def test_calls_are_made_and_never_spoken_and_speech_is_never_swallowed(
    parts: list[Part], separator: str, data: st.DataObject
) -> None:
    text = separator.join(part.text for part in parts)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=10))
    events, spoken = route(text, cuts)
    assert [event for event in events if not isinstance(event, SpeechText)] == [
        part.call for part in parts if part.call is not None
    ]
    assert spoken == separator.join("" if part.call else part.text for part in parts)


@given(calls, speech, st.data())
def test_half_a_call_is_never_spoken(call: Part, before: Part, data: st.DataObject) -> None:
    """Cut off anywhere, nothing of a call's arguments is out."""
    text = before.text + "\n" + call.text
    end = data.draw(st.integers(len(before.text) + 1, len(text)))
    _, spoken = route(text[:end], [])
    assert "60" not in spoken.removeprefix(before.text)
    assert "label" not in spoken.removeprefix(before.text)
