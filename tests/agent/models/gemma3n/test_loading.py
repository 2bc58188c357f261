from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save_file

from hearsight.agent.models.gemma3n import loading
from hearsight.agent.models.gemma3n.loading import LoadSettings, is_large_matrix, load_gemma3n
from hearsight.agent.models.gemma3n.per_layer_table import MappedRows, map_table
from hearsight.agent.models.gemma3n.weights import check_memory, check_packages, find_checkpoint
from hearsight.config.errors import ConfigError, DiskFull, PayloadMissing, PayloadUnreachable

NAME = "google/gemma-3n-E2B-it"


@dataclass
class Planned:
    file_size: int
    will_download: bool = True


def answer(status: int) -> httpx.Response:
    return httpx.Response(status, request=httpx.Request("GET", "https://huggingface.co"))


class FakeHub:
    """Answers as the hub does: with an error, a plan, or a folder."""

    def __init__(self, folder: Path | None = None, size: int = 0, error: Exception | None = None) -> None:
        self.folder, self.size, self.error = folder, size, error
        self.fetched = 0

    def __call__(self, repo_id: str, **options: Any) -> Any:
        if options.get("local_files_only"):
            if self.folder is None:
                raise errors.LocalEntryNotFoundError("nothing here")
            return str(self.folder)
        if self.error is not None:
            raise self.error
        if options.get("dry_run"):
            return [Planned(self.size), Planned(10**15, will_download=False)]
        self.fetched += 1
        return str(self.folder)


def test_a_local_folder_loads_and_answers(tiny_folder, model):
    adapter = load_gemma3n(LoadSettings(str(tiny_folder), dtype="float32", device_map="cpu"))
    cache = adapter.decoder.new_cache()
    adapter.decoder.prefill(cache, adapter.embedder.tokens([2, 300, 301, 302]))
    with torch.inference_mode():
        expected = model(input_ids=torch.tensor([[2, 300, 301, 302]])).logits[0, -1]
    torch.testing.assert_close(adapter.decoder.logits([cache])[0], expected, atol=1e-4, rtol=0)


def test_the_per_layer_table_is_mapped_and_no_parameter(tiny_folder):
    adapter = load_gemma3n(LoadSettings(str(tiny_folder), dtype="float32", device_map="cpu"))
    table = adapter.model.model.language_model.embed_tokens_per_layer
    assert isinstance(table, MappedRows)
    assert not list(table.parameters())
    assert not any("per_layer.weight" in name for name, _ in adapter.model.named_parameters())


def test_rows_are_those_of_the_reference_in_bfloat16(tiny_folder, model):
    half = type(model).from_pretrained(tiny_folder, dtype=torch.bfloat16)
    rows = MappedRows(map_table(tiny_folder).bfloat16(), 16**0.5)
    ids = torch.tensor([[3, 5], [7, 500]])
    torch.testing.assert_close(
        rows(ids), half.model.language_model.embed_tokens_per_layer(ids), atol=0, rtol=0
    )


def test_the_table_is_found_in_a_sharded_checkpoint(model, tmp_path):
    name = "model.language_model.embed_tokens_per_layer.weight"
    expected = model.state_dict()[name]
    save_file({"other": torch.zeros(2)}, tmp_path / "model-1.safetensors")
    save_file({name: expected}, tmp_path / "model-2.safetensors")
    index = {"weight_map": {"other": "model-1.safetensors", name: "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    torch.testing.assert_close(map_table(tmp_path), expected)


def test_bfloat16_is_what_auto_means_on_a_cpu_as_well(tiny_folder):
    adapter = load_gemma3n(LoadSettings(str(tiny_folder)))
    assert adapter.model.dtype == torch.bfloat16


def test_a_kaggle_folder_is_found_below_its_levels(tiny_folder, tmp_path):
    inner = tmp_path / "gemma-3n" / "transformers" / "gemma-3n-e2b-it" / "2"
    shutil.copytree(tiny_folder, inner)
    assert find_checkpoint(str(tmp_path / "gemma-3n")) == inner


def test_a_folder_without_a_checkpoint_is_told(tmp_path):
    with pytest.raises(PayloadMissing, match="config.json"):
        find_checkpoint(str(tmp_path))


def test_another_model_is_told(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "other")
    (tmp_path / "other" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(PayloadMissing, match="llama"):
        find_checkpoint(str(tmp_path / "other"))


def test_the_hub_is_asked_what_it_would_send_first(tiny_folder):
    hub = FakeHub(tiny_folder, size=10)
    assert find_checkpoint(NAME, hub=hub, free_disk_bytes=lambda folder: 11) == tiny_folder
    assert hub.fetched == 1


def test_a_full_disk_is_told_before_anything_moves(tiny_folder):
    hub = FakeHub(tiny_folder, size=11_000_000_000)
    with pytest.raises(DiskFull, match=r"takes 11\.0 GB.*2\.0 GB free"):
        find_checkpoint(NAME, hub=hub, free_disk_bytes=lambda folder: 2_000_000_000)
    assert hub.fetched == 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.GatedRepoError("gated", response=answer(403)), "licence"),
        (errors.RepositoryNotFoundError("no", response=answer(404)), "no model"),
        (errors.HFValidationError("bad"), "neither a folder nor a hub name"),
    ],
)
def test_what_the_hub_refuses_is_told_in_words_to_act_on(error, words):
    with pytest.raises(PayloadMissing, match=words):
        find_checkpoint(NAME, hub=FakeHub(error=error))


def test_without_a_connection_what_was_fetched_before_serves(tiny_folder):
    assert find_checkpoint(NAME, hub=FakeHub(tiny_folder, error=OSError("no route"))) == tiny_folder


def test_without_a_connection_and_without_a_copy_it_is_told():
    with pytest.raises(PayloadUnreachable, match="does not answer"):
        find_checkpoint(NAME, hub=FakeHub(error=OSError("no route")))


def test_too_little_memory_is_told():
    with pytest.raises(ConfigError, match=r"takes 15\.6 GB.*8\.0 GB free"):
        check_memory("google/gemma-3n-E4B-it", 15_600_000_000, 8_000_000_000, "this machine")
    check_memory(NAME, 1, 2, "this machine")


def test_missing_packages_are_told():
    with pytest.raises(ConfigError, match=r"timm.*hearsight\[gemma3n\]"):
        check_packages(lambda name: None if name == "timm" else object())
    check_packages()


def test_a_gpu_that_is_not_there_is_told(tiny_folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="there is none"):
        load_gemma3n(LoadSettings(str(tiny_folder), device_map="cuda:0"))


@torch.inference_mode()
def test_weights_in_8_bits_say_nearly_the_same(tiny_folder):
    logits, kinds = [], []
    for quantization in ("none", "int8"):
        settings = LoadSettings(str(tiny_folder), device_map="cpu", quantization=quantization)
        adapter = load_gemma3n(settings)
        cache = adapter.decoder.new_cache()
        adapter.decoder.prefill(cache, adapter.embedder.tokens([2, 300, 301, 302]))
        logits.append(adapter.decoder.logits([cache])[0])
        layer = adapter.model.model.language_model.layers[0]
        kinds.append([type(part.weight.data) for part in (layer.mlp.up_proj, layer.laurel.linear_left)])
    error = (logits[1] - logits[0]).square().mean().sqrt() / logits[0].square().mean().sqrt()
    assert 0 < error < 0.05
    assert kinds[0] == [torch.Tensor, torch.Tensor]
    assert kinds[1][0] is not torch.Tensor and kinds[1][1] is torch.Tensor


def test_4_bits_want_a_gpu(tiny_folder):
    with pytest.raises(ConfigError, match="int4 wants a GPU: take int8"):
        load_gemma3n(LoadSettings(str(tiny_folder), device_map="cpu", quantization="int4"))


def test_packages_that_fewer_bits_want_are_told(tiny_folder, monkeypatch):
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"int8 wants packages: pip install torchao\."):
        load_gemma3n(LoadSettings(str(tiny_folder), device_map="cpu", quantization="int8"))


def test_only_the_decoders_large_matrices_are_quantised(model):
    layers = model.model.language_model.layers
    chosen = {
        name.split(".", 1)[1] for name, module in layers.named_modules() if is_large_matrix(module, name)
    }
    attention = {f"self_attn.{part}_proj" for part in "qkvo"}
    assert chosen == attention | {f"mlp.{part}_proj" for part in ("gate", "up", "down")}
