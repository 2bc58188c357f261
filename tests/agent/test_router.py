"""Speech and calls, told apart while they are written."""

from __future__ import annotations

import time

import pytest

from hearsight.agent.router import (
    MAX_CALL_CHARS,
    MAX_DOUBTFUL_CHARS,
    MalformedCall,
    Router,
    RouterEvent,
    SpeechText,
    ToolCallText,
)

TOOLS = {"get_time": (), "get_weather": ("city", "unit"), "set_timer": ("seconds", "label")}
TIME = ToolCallText("get_time", {})
PARIS = ToolCallText("get_weather", {"city": "Paris"})


def merged(events: list[RouterEvent]) -> list[RouterEvent]:
    """Events with neighbouring speech joined."""
    out: list[RouterEvent] = []
    for event in events:
        if out and isinstance(event, SpeechText) and isinstance(out[-1], SpeechText):
            out[-1] = SpeechText(out[-1].text + event.text)
        else:
            out.append(event)
    return out


def route(text: str, size: int = 1) -> list[RouterEvent]:
    """Events of a text that comes in deltas of ``size`` characters."""
    router = Router(TOOLS)
    events = [event for i in range(0, len(text), size) for event in router.feed(text[i : i + size])]
    return merged(events + router.flush())


def spoken(events: list[RouterEvent]) -> str:
    """The speech among events."""
    return "".join(event.text for event in events if isinstance(event, SpeechText))


@pytest.mark.parametrize(
    "text",
    [
        'get_weather(city="Paris")',
        '[get_weather(city="Paris")]',
        "print(get_weather('Paris'))",
        "default_api.get_weather('Paris')",
        '```tool_code\nget_weather(city="Paris")\n```',
        '```tool_code\nprint(default_api.get_weather(city="Paris"))\n```',
        '```tool_code\nget_weather(city="Paris")',
        '```python\nget_weather(city="Paris")\n```',
        '```\n[get_weather(city="Paris")]\n```',
        '```get_weather(city="Paris")```',
        '```json\n{"name": "get_weather", "parameters": {"city": "Paris"}}\n```',
        '{"name": "get_weather", "arguments": {"city": "Paris"}}',
        '[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}',
        '<tool_call>\n```json\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n```\n</tool_call>',
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_a_call_is_a_call_in_every_form(text: str, size: int) -> None:
    assert route(text, size) == [PARIS]


@pytest.mark.parametrize(
    "text",
    [
        "Hello there!",
        "[laughs] hi",
        "[note(s)] are fine",
        "[link](https://a.b)",
        "print is a function",
        "print(x) shows x",
        "{curly}",
        '{"name": "Bob"} is JSON',
        '{"colour": "red"}',
        "`code` and `get_time()` are code",
        "``` is a fence",
        "Here:\n```python\nimport os\nprint(os.name)\n```\nDone.",
        "```bash\nget_time()\n```\nOK",
        "```python\nnews(topic='x')\n```",
        "get_timer is no tool",
        "get_time without brackets",
        "I will call get_time() for you",
        "a < b and <b>bold</b>",
        "<tool_calling>",
        "[",
        "{",
        "```",
        "```tool_co",
        "get_ti",
        "[get_time",
        "[]",
        "",
        "\n \n",
    ],
)
@pytest.mark.parametrize("size", [1, 4, 10_000])
def test_what_is_no_call_is_spoken(text: str, size: int) -> None:
    assert route(text, size) == ([SpeechText(text)] if text else [])


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("Sure. ```tool_code\nget_time()\n```", [SpeechText("Sure. "), TIME]),
        ("Sure: get_time()", [SpeechText("Sure: "), TIME]),
        ("Sure!\n[get_time()]\nOne moment.", [SpeechText("Sure!\n"), TIME, SpeechText("\nOne moment.")]),
        ("get_time() Let me see.", [TIME, SpeechText(" Let me see.")]),
        ("get_time(), get_time()", [TIME, SpeechText(", "), TIME]),
        ("get_time()\nget_weather('Paris')", [TIME, SpeechText("\n"), PARIS]),
        ("[get_time(), get_weather('Paris')]", [TIME, PARIS]),
        ("```tool_code\nget_time()\nget_weather('Paris')\n```", [TIME, PARIS]),
        ("```bash\nls\n``` then ```tool_code\nget_time()\n```", [SpeechText("```bash\nls\n``` then "), TIME]),
        ("```bash\nls <tool_call>get_time()</tool_call>", [SpeechText("```bash\nls "), TIME]),
        ('He said: "Go." get_time()', [SpeechText('He said: "Go." '), TIME]),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_speech_and_calls_keep_their_order(text: str, events: list[RouterEvent], size: int) -> None:
    assert route(text, size) == events


@pytest.mark.parametrize(
    "argument", ["(", "a) b", "]", "}", "it's", "a\nb", "</tool", "x ``` y", "\\", '"', "get_time()", "🎉"]
)
def test_what_a_string_holds_does_not_end_a_call(argument: str) -> None:
    call = ToolCallText("set_timer", {"label": argument})
    python = f"set_timer(label={argument!r})"
    for text in (python, f"[{python}]", f"```tool_code\n{python}\n```", f"<tool_call>{python}</tool_call>"):
        assert route(text + " ok") == [call, SpeechText(" ok")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            '<tool_call>{"name": "news", "arguments": {}}</tool_call>',
            'unknown tool "news"; available: get_time',
        ),
        ("```tool_code\nnews()\n```", 'unknown tool "news"'),
        ('{"name": "news", "parameters": {"topic": "x"}}', 'unknown tool "news"'),
        ('```json\n{"name": "news", "parameters": {}}\n```', 'unknown tool "news"'),
        ("[news(topic='x')]", 'unknown tool "news"'),
        ("default_api.news()", 'unknown tool "news"'),
        ("get_weather(city=Paris)", "plain values"),
        ("get_weather('Paris'", "breaks off"),
        ("[get_weather('Paris'", "breaks off"),
        ('{"name": "get_wea', "breaks off"),
        ('{"name": "get_weather", "parameters": {"ci', "breaks off"),
        ("```tool_code\nget_weather('Par", "not valid Python"),
        ("```tool_code\n```", "no call in it"),
        ("<tool_call></tool_call>", "no call in it"),
        ("<tool_call>Hello!</tool_call>", "not Python"),
        ("[get_time(]", "not valid Python"),
        ('{"name": "get_weather", "parameters": {city}}', "JSON is malformed"),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_a_broken_call_is_reported_and_not_spoken(text: str, reason: str, size: int) -> None:
    (event,) = route(text, size)
    assert isinstance(event, MalformedCall)
    assert event.raw == text
    assert reason in event.reason
    assert not event.reason.endswith(".")


def test_speech_after_a_broken_call_goes_on() -> None:
    events = route("[get_time(] Sorry. [get_time()]")
    assert [type(event) for event in events] == [MalformedCall, SpeechText, ToolCallText]


# --- while it is written ---------------------------------------------------------------------------------


@pytest.mark.parametrize("delta", ["Hello", "The ", "[l!", "print ", "{c", "`c", "<b", "get_x", "1", "- "])
def test_speech_is_not_held(delta: str) -> None:
    assert spoken(Router(TOOLS).feed(delta)) == delta


@pytest.mark.parametrize(
    "delta",
    ["get_", "print", "print(", "default_api.x", "[", "[get", "{", '{"na', "`", "```", "```py", "<tool"],
)
def test_what_may_become_a_call_is_held(delta: str) -> None:
    router = Router(TOOLS)
    assert router.feed(delta) == []
    assert merged(router.feed("!!") + router.flush()) == [SpeechText(delta + "!!")]


def test_a_call_leaves_with_its_last_character() -> None:
    router = Router(TOOLS)
    assert router.feed("get_weather('Paris'") == []
    assert router.feed(")") == [PARIS]


def test_speech_before_a_call_does_not_wait_for_it() -> None:
    router = Router(TOOLS)
    assert router.feed("Sure. ```tool") == [SpeechText("Sure. ")]
    assert router.feed("_code\nget_time()\n``") == []
    assert router.feed("`") == [TIME]


def test_flush_begins_a_new_generation() -> None:
    router = Router(TOOLS)
    router.feed("Words in the middle of ```bash a")
    router.flush()
    assert router.feed("get_time()") == [TIME]
    assert router.flush() == []


def test_without_tools_nothing_but_marked_calls_is_held() -> None:
    router = Router({})
    assert merged(router.feed("get_time() is it") + router.flush()) == [SpeechText("get_time() is it")]


# --- bounds ----------------------------------------------------------------------------------------------


def test_an_endless_call_is_given_up_and_dropped_to_its_end() -> None:
    router = Router(TOOLS)
    (event,) = router.feed("set_timer(label='" + "x" * 3 * MAX_CALL_CHARS)
    assert isinstance(event, MalformedCall)
    assert len(event.raw) == MAX_CALL_CHARS
    assert "longer than 16384 characters" in event.reason
    assert router.feed("') and on") == [SpeechText(" and on")]


def test_an_endless_call_may_end_with_the_text() -> None:
    router = Router(TOOLS)
    assert len(router.feed("<tool_call>" + "x" * 2 * MAX_CALL_CHARS)) == 1
    assert router.flush() == []


def test_an_endless_object_that_is_no_call_is_spoken() -> None:
    text = '{"name": "Bob", "life": "' + "x" * 2 * MAX_CALL_CHARS
    assert route(text) == [SpeechText(text)]


def test_an_aside_in_brackets_is_not_held_for_long() -> None:
    router = Router(TOOLS)
    text = "[note(s: " + "x" * MAX_DOUBTFUL_CHARS
    assert spoken(router.feed(text)) == text


def test_a_long_list_of_calls_is_held() -> None:
    calls = ", ".join(["get_weather('Paris')"] * 60)
    assert route(f"[{calls}]") == [PARIS] * 60


@pytest.mark.parametrize(
    "pattern",
    ["[ ", "print(", "`", "``` ", "<tool_call", "{", "[f(", "get_tim", "get_time(", "<", "{'name':", "a\n"],
)
def test_time_grows_with_the_text_and_no_faster(pattern: str) -> None:
    def seconds(length: int) -> float:
        text = (pattern * length)[:length]
        began = time.process_time()
        route(text, 50)
        return time.process_time() - began

    seconds(1000)
    assert seconds(64_000) < 40 * max(seconds(8_000), 0.005)
