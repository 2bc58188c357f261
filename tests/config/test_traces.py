"""Settings of traces."""

from __future__ import annotations

import pytest

from hearsight.config.errors import ConfigError
from hearsight.config.settings import Settings, load_settings


def test_nothing_is_traced_unless_it_is_asked_for():
    assert (Settings().traces.endpoint, Settings().traces.sample) == (None, None)


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("https://collector.example/v1/traces", "https://collector.example/v1/traces"),
        ("https://tempo.example/otlp/v1/traces", "https://tempo.example/otlp/v1/traces"),
    ],
)
def test_the_path_that_receivers_have_by_convention_need_not_be_given(monkeypatch, given, endpoint):
    monkeypatch.setenv("HEARSIGHT_TRACES__ENDPOINT", given)
    assert load_settings().settings.traces.endpoint == endpoint


@pytest.mark.parametrize(
    "given", ["localhost:4318", "grpc://127.0.0.1:4317", "http://", "http:// x", "http:///p"]
)
def test_what_is_no_address_is_refused_with_an_example(given):
    with pytest.raises(ConfigError, match=r"traces.endpoint.*such as http://127.0.0.1:4318"):
        load_settings(overrides={"traces.endpoint": given})


@pytest.mark.parametrize("share", [-0.1, 1.1, "all"])
def test_the_share_is_between_nothing_and_all(share):
    with pytest.raises(ConfigError, match=r"traces.sample"):
        load_settings(overrides={"traces.sample": share})
