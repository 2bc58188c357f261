"""What is asked of llama.cpp's server, and what its events mean."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.base import GenerationEnd
from hearsight.agent.models.embedded.continuation import (
    AGAINST_LOOPS,
    GREEDY,
    LOOKOUT_TOKENS,
    Continuation,
    Sampling,
    Seat,
)

PROMPT = [1, 2, 3, 4]


def read(processed: int) -> dict[str, Any]:
    return {"content": "", "tokens": [], "prompt_progress": {"processed": processed}}


def wrote(*tokens: int, cached: int = 3) -> dict[str, Any]:
    return {"content": "text", "tokens": list(tokens), "timings": {"cache_n": cached}}


def last(kind: str = "eos", cached: int = 3) -> dict[str, Any]:
    return {"content": "", "tokens": [], "stop": True, "stop_type": kind, "timings": {"cache_n": cached}}


def test_the_request_is_for_what_is_left() -> None:
    written = Continuation(PROMPT, 10, Sampling(0.5, 20, 0.9, 7))
    request = written.request()
    assert request["prompt"] == PROMPT and request["n_predict"] == 10
    assert [request[key] for key in ("temperature", "top_k", "top_p", "seed")] == [0.5, 20, 0.9, 7]
    assert "grammar" not in request and "dry_multiplier" not in request
    written.follow(wrote(5))
    written.follow(wrote(6))
    request = written.request()
    assert request["prompt"] == [*PROMPT, 5, 6] and request["n_predict"] == 8


def test_a_grammar_is_asked_for() -> None:
    assert Continuation(PROMPT, 10, GREEDY, "root ::= x").request()["grammar"] == "root ::= x"


def test_the_end_counts_all_requests_and_what_the_first_found_in_the_cache() -> None:
    written = Continuation(PROMPT, 10, GREEDY)
    for event in (read(4), wrote(5, cached=3), wrote(6)):
        written.follow(event)
    written.request()
    for event in (wrote(7, cached=6), last(cached=6)):
        assert not written.ended
        written.follow(event)
    assert written.ended
    assert written.end == GenerationEnd("stop", prompt_tokens=4, cached_tokens=3, output_tokens=3)


def test_the_limit_is_no_end_of_the_text() -> None:
    written = Continuation(PROMPT, 1, GREEDY)
    written.follow(wrote(5))
    written.follow(last("limit"))
    assert written.end.reason == "length"


def test_it_may_begin_with_what_is_known() -> None:
    written = Continuation(PROMPT, 10, GREEDY)
    written.begin([5, 6], complete=False)
    assert not written.ended and written.request()["prompt"] == [*PROMPT, 5, 6]
    written = Continuation(PROMPT, 10, GREEDY)
    written.begin([5, 6], complete=True)
    assert written.ended and written.end.reason == "stop" and written.end.output_tokens == 2


def test_what_is_known_may_reach_the_limit() -> None:
    written = Continuation(PROMPT, 2, GREEDY)
    written.begin([5, 6, 7], complete=False)
    assert written.ended and written.end.reason == "length"


def test_a_long_text_goes_on_guarded_against_loops_once() -> None:
    written = Continuation(PROMPT, 500, GREEDY)
    written.request()
    for token in range(LOOKOUT_TOKENS):
        assert not written.is_to_be_guarded
        written.follow(wrote(token))
    assert written.is_to_be_guarded
    assert AGAINST_LOOPS.items() <= written.request().items()
    written.follow(wrote(1))
    assert not written.is_to_be_guarded


def test_a_call_that_was_demanded_is_never_guarded() -> None:
    written = Continuation(PROMPT, 500, GREEDY, "root ::= x")
    written.follow(wrote(*range(LOOKOUT_TOKENS + 1)))
    assert not written.is_to_be_guarded and "dry_multiplier" not in written.request()


tokens = st.lists(st.integers(0, 3), max_size=8)


@given(tokens, tokens, st.data())
def test_a_seat_never_claims_more_than_the_server_has(
    held: list[int], prompt: list[int], data: st.DataObject
) -> None:
    seat = Seat(0, held)
    assert seat.held == held
    assert seat.holds(prompt) == (held[: len(prompt)] == prompt)
    seat.ask(prompt)
    agreed = len(seat.held)
    assert prompt[:agreed] == held[:agreed] and (
        agreed == min(len(held), len(prompt)) or held[agreed] != prompt[agreed]
    )
    processed = data.draw(st.integers(agreed, len(prompt)))
    seat.follow(read(processed))
    assert seat.held == prompt[:processed]
    seat.follow(wrote(9))
    seat.follow(last())
    assert seat.held == [*prompt, 9]
