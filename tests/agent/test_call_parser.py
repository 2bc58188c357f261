"""Calls in every form that models write, and what they are told of those that cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.call_parser import parse_calls
from hearsight.agent.call_syntax import CallSyntaxError, NotACall, ParsedCall, UnknownTool, names_a_tool

TOOLS = {
    "get_time": (),
    "get_weather": ("city", "unit"),
    "set_timer": ("seconds", "label"),
    "mcp.search": ("q",),
}
PARIS = ParsedCall("get_weather", {"city": "Paris"})
TIME = ParsedCall("get_time", {})


@pytest.mark.parametrize(
    "text",
    [
        'get_weather(city="Paris")',
        "get_weather('Paris')",
        ' get_weather(\n  city="Paris",\n)\n',
        '[get_weather(city="Paris")]',
        'print(get_weather(city="Paris"))',
        'default_api.get_weather(city="Paris")',
        'print(default_api.get_weather(city="Paris"))',
        'weather = get_weather(city="Paris")\nprint(weather)',
        "import default_api\nget_weather('Paris')  # look it up",
        'get_weather(city="Paris")["temperature"]',
        'await get_weather("Paris")',
        'get_weather(**{"city": "Paris"})',
        'get_weather({"city": "Paris"})',
        '```tool_code\nget_weather("Paris")\n```',
        '{"name": "get_weather", "parameters": {"city": "Paris"}}',
        '{"name": "get_weather", "arguments": {"city": "Paris"}}',
        '{"arguments": {"city": "Paris"}, "name": "get_weather"}',
        '{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}',
        '{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}',
        '{"name": "default_api.get_weather", "parameters": {"city": "Paris"}}',
        "{'name': 'get_weather', 'parameters': {'city': 'Paris'}}",
        '[{"name": "get_weather", "parameters": {"city": "Paris"}}]',
        '```json\n{"name": "get_weather", "parameters": {"city": "Paris"}}\n```',
    ],
)
def test_one_call_in_many_forms(text: str) -> None:
    assert parse_calls(text, TOOLS) == [PARIS]


@pytest.mark.parametrize(
    "text",
    [
        'get_weather("Paris")\nget_time()',
        '[get_weather("Paris"), get_time()]',
        'print(get_weather("Paris"), get_time())',
        'a, b = get_weather("Paris"), get_time()',
        '{"name": "get_weather", "arguments": {"city": "Paris"}}\n{"name": "get_time", "arguments": {}}',
        '[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time"}]',
        '{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": null}',
        '{"name": "get_weather", "arguments": {"city": "Paris"}}; {"type": "function", "name": "get_time"}',
    ],
)
def test_several_calls_keep_their_order(text: str) -> None:
    assert parse_calls(text, TOOLS) == [PARIS, TIME]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("-5", -5),
        ("+5", 5),
        ("-2.5", -2.5),
        ("True", True),
        ("false", False),
        ("null", None),
        ("None", None),
        ("[1, [2, {'a': (3, 4)}]]", [1, [2, {"a": [3, 4]}]]),
        ("{1: 'one', 'b': {}}", {"1": "one", "b": {}}),
        (r"'it\'s (a] \"b\"'", 'it\'s (a] "b"'),
        ('"two\nlines"', "two\nlines"),
        (r'"a\\"', "a\\"),
        (r'"\d+"', r"\d+"),
        ('"a" "b"', "ab"),
        ("f'plain'", "plain"),
        ('"""x\ny"""', "x\ny"),
        ("'日本 🎉'", "日本 🎉"),
        (r"'\ud83c\udf89'", "🎉"),
        (r"'\ud83c'", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_python_values(written: str, value: Any) -> None:
    assert parse_calls(f"set_timer(label={written})", TOOLS) == [ParsedCall("set_timer", {"label": value})]


numbers = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text("abc'\"é", max_size=4)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["seconds", "label", "extra"]), values))
def test_arguments_survive_every_form(arguments: dict[str, Any]) -> None:
    expected = [ParsedCall("set_timer", arguments)]
    python = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    assert parse_calls(f"set_timer({python})", TOOLS) == expected
    for ascii_only in (True, False):
        body = json.dumps({"name": "set_timer", "parameters": arguments}, ensure_ascii=ascii_only)
        assert parse_calls(body, TOOLS) == expected


def test_positional_arguments_fill_parameters_in_order() -> None:
    assert parse_calls('set_timer(60, label="tea")', TOOLS) == [
        ParsedCall("set_timer", {"seconds": 60, "label": "tea"})
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [("60 * 60 + 10 * 60", 4200), ("2.5 * 60", 150), ("7 / 2", 3.5), ("-(1 + 2)", None), ("3 - 5", -2)],
)
def test_sums_of_plain_numbers_are_worked_out(written: str, value: float | None) -> None:
    if value is None:
        with pytest.raises(CallSyntaxError):
            parse_calls(f"set_timer(seconds={written})", TOOLS)
    else:
        [call] = parse_calls(f"set_timer(seconds={written})", TOOLS)
        assert call.arguments == {"seconds": value} and type(call.arguments["seconds"]) is type(value)


def test_a_tool_may_have_a_dotted_name() -> None:
    assert parse_calls("mcp.search('x')", TOOLS) == [ParsedCall("mcp.search", {"q": "x"})]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('get_weather(city="Paris"', "not valid Python"),
        ('get_weather(city="Paris)', "not valid Python"),
        ("get_weather(city=Paris)", "must be plain values: Paris is not one"),
        ("set_timer(seconds=10 ** 60)", r"must be plain values: 10 \*\* 60 is not one"),
        ("set_timer(seconds=10 * '60')", "must be plain values"),
        ("set_timer(seconds=True + 1)", "must be plain values"),
        ("set_timer(seconds=1 / 0)", "has no value"),
        ("set_timer(seconds=1e308 * 10)", "must be plain values"),
        ("set_timer(seconds=1e999)", "must be plain values"),
        ("set_timer(label=f'{x}')", "must be plain values"),
        ("set_timer(label=b'x')", "must be plain values"),
        ("set_timer(label=-True)", "must be plain values"),
        ("set_timer(label={**x})", "inside an object"),
        ("set_timer(**5)", "needs an object"),
        ("get_weather(get_time())", "is itself a call; make that call first"),
        ("set_timer(1, 2, 3)", "set_timer takes only seconds, label; 3 values"),
        ("get_time(1)", "get_time takes no arguments; 1 values"),
        ("set_timer(60, seconds=70)", '"seconds" of set_timer is given twice'),
        ("get_time() + 1", "calls must stand alone"),
        ("get_time()\nfor x in y: pass", "calls must stand alone"),
        ('{"name": "get_weather", "parameters": {city: "Paris"}}', "JSON is malformed"),
        ('{"name": "get_weather", "parameters": {"city": NaN}}', "JSON is malformed"),
        ('{"name": "set_timer", "parameters": {"seconds": 1e999}}', "JSON is malformed"),
        ('{"name": "get_weather", "city": "Paris"}', 'under "parameters"'),
        ('{"name": "get_weather", "parameters": ["Paris"]}', "must be an object"),
        ('{"name": "get_weather", "arguments": "city"}', "are not JSON"),
        ("set_timer(" + "-" * 9000 + "1)", "nested too deeply"),
        ('{"name": "set_timer", "parameters": ' + "[" * 9000 + "]" * 9000 + "}", "nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_explained(text: str, reason: str) -> None:
    with pytest.raises(CallSyntaxError, match=reason):
        parse_calls(text, TOOLS)


@pytest.mark.parametrize(
    ("text", "written_as"),
    [
        ("get_news(topic='x')", "python"),
        ("default_api.get_news()", "python"),
        ('{"name": "get_news", "parameters": {}}', "json"),
    ],
)
def test_an_unknown_tool_is_told_the_known_ones(text: str, written_as: str) -> None:
    with pytest.raises(
        UnknownTool, match='unknown tool "get_news"; available: get_time, get_weather, mcp.search'
    ):
        parse_calls(text, TOOLS)
    try:
        parse_calls(text, TOOLS)
    except UnknownTool as error:
        assert error.written_as == written_as


def test_with_no_tools_there_are_none_to_tell() -> None:
    with pytest.raises(UnknownTool, match="available: none"):
        parse_calls("f()", {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "note(s)",
        "x = 1",
        "import os",
        "print(x)",
        "print()",
        "(lambda: 1)()",
        "f().g(x)",
        "[1, 2]",
    ]
    + [
        '{"a": 1}',
        '{"name": "Bob"}',
        '[{"name": "Bob"}]',
        '[{"x": 1}, 2]',
        "{1, 2}",
        "while True: pass",
        "{]",
    ],
)
def test_other_text_is_no_call(text: str) -> None:
    with pytest.raises(NotACall):
        parse_calls(text, TOOLS)


def test_nothing_is_evaluated() -> None:
    with pytest.raises(CallSyntaxError):
        parse_calls("set_timer(seconds=__import__('os').system('true'))", TOOLS)
    with pytest.raises(CallSyntaxError):
        parse_calls("set_timer(seconds=9**9**9)", TOOLS)


@given(st.text(max_size=200) | st.text("fget_time()[]{}\"',=: \n\\-", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert parse_calls(text, TOOLS)
    except (NotACall, CallSyntaxError) as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("get_time(", True),
        ("[get_weather(ci", True),
        ("x = print(default_api.get_time(", True),
        ('{"name": "get_time', True),
        ('{"name": "get_we', True),
        ('{"name": "news", "parameters": {', True),
        ('{"name": "Bob", "age": 3', False),
        ('{"name": "', False),
        ("note(", False),
        ("I like get_time(", False),
    ],
)
def test_a_call_is_known_by_its_beginning(text: str, names: bool) -> None:
    assert names_a_tool(text, TOOLS) is names
