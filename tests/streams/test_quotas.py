"""What the clients of one key may open."""

from __future__ import annotations

import pytest

from hearsight.streams.keys import Grant, KeyLimits
from hearsight.streams.quotas import Quotas


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def quotas(clock):
    return Quotas(clock, retry_after_s=7)


def test_without_limits_there_are_none(quotas):
    for _ in range(1000):
        assert quotas.refusal(Grant("a"), 1_000_000) is None
        quotas.count(Grant("a"))


def test_sessions_at_one_time(quotas):
    grant = Grant("a", limits=KeyLimits(max_sessions=2))
    assert quotas.refusal(grant, 1) is None
    refused = quotas.refusal(grant, 2)
    assert (refused.code, refused.retry_after_s) == ("rate_limit_exceeded", 7)
    assert refused.message.startswith("All 2 sessions of this API key are in use")


def test_sessions_in_a_minute(quotas, clock):
    grant = Grant("a", limits=KeyLimits(sessions_per_minute=2))
    for _ in range(2):
        assert quotas.refusal(grant, 0) is None
        quotas.count(grant)
    refused = quotas.refusal(grant, 0)
    assert refused.message == "This API key may open 2 sessions per minute."
    assert refused.retry_after_s == 30
    clock.now += 29
    assert quotas.refusal(grant, 0).retry_after_s == 1
    clock.now += 1
    assert quotas.refusal(grant, 0) is None


def test_to_ask_counts_nothing(quotas):
    grant = Grant("a", limits=KeyLimits(sessions_per_minute=1))
    for _ in range(10):
        assert quotas.refusal(grant, 0) is None


def test_one_key_does_not_use_up_anothers(quotas):
    limits = KeyLimits(sessions_per_minute=1)
    quotas.count(Grant("a", limits=limits))
    assert quotas.refusal(Grant("a", limits=limits), 0) is not None
    assert quotas.refusal(Grant("b", limits=limits), 0) is None


def test_a_limit_that_was_changed_counts_from_then_on(quotas):
    quotas.count(Grant("a", limits=KeyLimits(sessions_per_minute=1)))
    assert quotas.refusal(Grant("a", limits=KeyLimits(sessions_per_minute=5)), 0) is None
