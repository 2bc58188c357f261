"""Grammars of calls; that llama.cpp follows them is tested with the model."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.embedded.grammar import call_grammar
from hearsight.tools.builtin import BUILT_IN
from hearsight.tools.calls import ToolSpec
from hearsight.tools.registry import ToolRegistry

SPECS = {spec.name: spec for spec in ToolRegistry(BUILT_IN.values()).specs()}


def rule(grammar: str, name: str) -> str:
    return next(line.split("::= ", 1)[1] for line in grammar.splitlines() if line.startswith(f"{name} ::="))


def tool(properties: dict[str, object], required: list[str] | None = None) -> ToolSpec:
    return ToolSpec("do-it", "", {"type": "object", "properties": properties, "required": required or []})


def test_one_rule_for_each_tool() -> None:
    grammar = call_grammar([SPECS["get_time"], SPECS["read_text"]])
    assert rule(grammar, "root") == "call0 | call1"
    assert rule(grammar, "call1") == '"read_text(" ")"'


def test_what_is_required_comes_first() -> None:
    assert rule(call_grammar([SPECS["set_timer"]]), "call0") == (
        '"set_timer(" "seconds=" sum (", " ("label=" string)){0,1} ")"'
    )


def test_what_is_optional_may_be_left_out() -> None:
    assert rule(call_grammar([SPECS["look"]]), "call0") == (
        '"look(" (("question=" string) (", " ("question=" string)){0,1})? ")"'
    )


def test_names_are_spelled_as_in_signatures() -> None:
    grammar = call_grammar([tool({"from": {"type": "string"}}, ["from"])])
    assert rule(grammar, "call0") == '"do_it(" "from_=" string ")"'


def test_choices_are_the_only_values() -> None:
    grammar = call_grammar([tool({"unit": {"enum": ["km", 'a "mile"', True, None]}}, ["unit"])])
    assert r'("\"km\"" | "\"a \\\"mile\\\"\"" | "True" | "None")' in rule(grammar, "call0")


def test_null_is_allowed_where_the_schema_allows_it() -> None:
    grammar = call_grammar([tool({"n": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}, ["n"])])
    assert '"n=" (sum | "None")' in rule(grammar, "call0")


def test_unknown_types_take_any_value() -> None:
    grammar = call_grammar([tool({"n": {}, "m": {"type": ["string", "integer"]}}, ["n", "m"])])
    assert rule(grammar, "call0") == '"do_it(" "n=" value ", " "m=" value ")"'


KINDS = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "thing"])


@given(st.dictionaries(st.sampled_from("abcd"), KINDS), st.sets(st.sampled_from("abcd")))
def test_every_name_is_defined(properties: dict[str, str], required: set[str]) -> None:
    schema: dict[str, object] = {name: {"type": kind} for name, kind in properties.items()}
    grammar = call_grammar([tool(schema, [name for name in required if name in properties])])
    defined = set(re.findall(r"^(\w+) ::=", grammar, re.MULTILINE))
    for line in grammar.splitlines():
        body = line.split("::= ", 1)[1]
        bare = re.sub(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\{[\d,]+\}', " ", body)
        assert set(re.findall(r"[a-z]\w*", bare)) <= defined
        assert bare.count("(") == bare.count(")")
