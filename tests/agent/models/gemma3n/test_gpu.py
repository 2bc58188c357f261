"""The same on a GPU: skipped where there is none."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from gemma3n_media import noise, scene
from gemma3n_reference import INSTRUCTIONS
from langchain_core.messages import HumanMessage

from hearsight.agent.models.base import GenerateRequest, GenerationEnd
from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.engine import GPU_PIECE, Gemma3nEngine, fitting_settings
from hearsight.agent.models.gemma3n.few_rows import FewRowsLinear
from hearsight.agent.models.gemma3n.loading import LoadSettings, free_memory, load_gemma3n
from hearsight.agent.models.gemma3n.per_layer_table import MappedRows

on_gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]


def gpu(test):
    for mark in on_gpu:
        test = mark(test)
    return test


def on(folder, device_map: str) -> Gemma3nAdapter:
    return load_gemma3n(LoadSettings(str(folder), dtype="float32", device_map=device_map))


@gpu
def test_all_but_the_table_is_on_the_gpu(tiny_folder):
    adapter = on(tiny_folder, "cuda:0")
    assert {parameter.device.type for parameter in adapter.model.parameters()} == {"cuda"}
    table = adapter.model.model.language_model.embed_tokens_per_layer
    assert isinstance(table, MappedRows) and table._table.device.type == "cpu"
    assert not any(type(module) is FewRowsLinear for module in adapter.model.modules())
    assert fitting_settings(adapter).piece == GPU_PIECE
    assert 0 < free_memory(adapter.model.device) <= torch.cuda.mem_get_info()[1]


@gpu
def test_media_and_logits_are_those_of_the_cpu(tiny_folder):
    here, there = on(tiny_folder, "cpu"), on(tiny_folder, "cuda:0")
    speech, picture = noise(24_000), scene(1)
    for encode in (
        lambda adapter: adapter.audio_encoder().finish(speech),
        lambda adapter: adapter.pictures.encode("p", picture, 64),
    ):
        torch.testing.assert_close(encode(there).cpu(), encode(here), atol=2e-3, rtol=0)
    logits = []
    for adapter in (here, there):
        cache = adapter.decoder.new_cache()
        adapter.decoder.prefill(cache, adapter.embedder.tokens([2, 300, 301, 302]), piece=3)
        logits.append(adapter.decoder.logits([cache])[0].cpu())
    torch.testing.assert_close(logits[1], logits[0], atol=2e-3, rtol=0)


@gpu
async def test_an_answer_is_written_on_the_gpu(tiny_folder):
    engine = Gemma3nEngine(on(tiny_folder, "auto"))
    conversation = engine.open("a")
    asked = GenerateRequest((HumanMessage("Hi"),), INSTRUCTIONS, max_tokens=8, temperature=0)
    deltas = [delta async for delta in conversation.generate(asked)]
    assert isinstance(deltas[-1], GenerationEnd) and deltas[-1].output_tokens
    assert conversation._cache.kv.nbytes
    await engine.aclose()


def test_nothing_touches_a_gpu_when_it_is_imported():
    code = (
        "import pkgutil, importlib, sys, torch; import hearsight.agent.models.gemma3n as package\n"
        "for module in pkgutil.iter_modules(package.__path__):\n"
        "    importlib.import_module(f'{package.__name__}.{module.name}')\n"
        "sys.exit(torch.cuda.is_initialized())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
