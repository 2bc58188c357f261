"""Checks of the server that thinks for this one: is it there, may we in, does it take what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hearsight.config.settings import Settings
from hearsight.extras import ENGINES, missing_from
from hearsight.findings import Finding

if TYPE_CHECKING:
    from hearsight.agent.models.openai.probe import Probe
    from hearsight.agent.models.openai.remote import ServedModel

CHECK = "model server"
MAX_NAMED = 8


def check_remote(settings: Settings) -> Iterator[Finding]:
    """The server of the ``openai`` engine answers, with the configured model, to all that is sent to it."""
    extra = ENGINES["openai"]
    if settings.engine.name == "openai" and extra and not missing_from(extra):
        yield from asyncio.run(_check(settings))


async def _check(settings: Settings) -> list[Finding]:
    from hearsight.agent.models.openai.probe import listed, probe
    from hearsight.agent.models.openai.remote import Remote
    from hearsight.agent.models.openai.troubles import Trouble

    remote = Remote(settings.openai.model_copy(update={"retries": 0}))
    try:
        models = await listed(remote)
        if isinstance(models, Trouble):
            if models.passing or models.code == "engine_unauthorized":  # there is no use in asking further
                return [Finding(CHECK, "failed", models.logged)]
            models = []
        probes = [each async for each in probe(remote)]
    finally:
        await remote.aclose()
    if probes[0].trouble is not None:
        mend = f"It has {_names(models)}." if models else ""
        return [Finding(CHECK, "failed", probes[0].trouble.logged, mend)]
    findings = [Finding(CHECK, "ok", _described(settings, models))]
    return findings + [_finding(each) for each in probes[1:]]


def _finding(probe: Probe) -> Finding:
    check = f"{CHECK}, {probe.what}"
    if probe.trouble is not None:
        return Finding(check, "failed", probe.trouble.logged)
    counted = f", {probe.prompt_tokens} tokens" if probe.prompt_tokens else ""
    return Finding(check, "ok", f"taken{counted}")


def _described(settings: Settings, models: list[ServedModel]) -> str:
    openai = settings.openai
    named = next((model for model in models if model.name == openai.model), None)
    found = f"{openai.model} at {openai.base_url} answers"
    if named is None or named.context_tokens is None:
        return found
    less = named.context_tokens < settings.context.max_tokens
    note = ", which is less than context.max_tokens and holds" if less else ""
    return f"{found}; its context is {named.context_tokens:,} tokens{note}"


def _names(models: list[ServedModel]) -> str:
    shown = ", ".join(model.name for model in models[:MAX_NAMED])
    return f"{shown} and {len(models) - MAX_NAMED} others" if len(models) > MAX_NAMED else shown
