"""A Gemma 3n of half a million parameters: every mechanism of the real one, random weights, seconds to run.

It is saved as a real checkpoint is, so that ``AutoProcessor`` and ``Gemma3nForConditionalGeneration`` load
it. Parameters that training starts at zero or one are random too: else a comparison could not fail on them.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from timm.models._efficientnet_builder import decode_arch_def
from transformers import (
    Gemma3nAudioConfig,
    Gemma3nAudioFeatureExtractor,
    Gemma3nConfig,
    Gemma3nForConditionalGeneration,
    Gemma3nProcessor,
    Gemma3nTextConfig,
    Gemma3nVisionConfig,
    GemmaTokenizer,
    GenerationConfig,
    SiglipImageProcessor,
)

TEXT_TOKENS = 512
VISION_OFFSET = 512
AUDIO_OFFSET = 640
TOKENS = 768
VISION_SOFT_TOKENS = 16
PICTURE_PX = 64
SLIDING_WINDOW = 32

CHAT_TEMPLATE = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'audio' -%}
                {{ '<audio_soft_token>' }}
            {%- elif item['type'] == 'image' -%}
                {{ '<image_soft_token>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
"""

_MERGES = [("\n", "\n"), ("\n\n", "\n"), ("t", "h"), ("th", "e"), ("▁", "the"), ("u", "s"), ("e", "r")]
_MERGES += [("\n\n", "\n\n")]  # vLLM looks for it


def _vocabulary() -> dict[str, int]:
    """256 byte tokens, characters, the results of the merges, then padding up to the media tokens."""
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    words += ["<start_of_image>", "<start_of_audio>"]
    words += [f"<0x{byte:02X}>" for byte in range(256)]
    words += ["▁", "\n", *(chr(code) for code in range(33, 127)), *"äöüßé"]
    words += ["".join(pair) for pair in _MERGES]
    words += [f"<unused{number}>" for number in range(TEXT_TOKENS - len(words))]
    vision = ["<end_of_image>", "<image_soft_token>"]
    words += vision + [f"<vision{number}>" for number in range(128 - len(vision))]
    audio = ["<end_of_audio>", "<audio_soft_token>"]
    words += audio + [f"<audio{number}>" for number in range(128 - len(audio))]
    assert len(words) == TOKENS
    return {word: number for number, word in enumerate(words)}


def tiny_tokenizer() -> GemmaTokenizer:
    """Characters, a few merges (runs of line ends among them), and Gemma 3n's special tokens."""
    return GemmaTokenizer(
        vocab=_vocabulary(),
        merges=_MERGES,
        extra_special_tokens={
            "image_token": "<image_soft_token>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "audio_token": "<audio_soft_token>",
            "boa_token": "<start_of_audio>",
            "eoa_token": "<end_of_audio>",
            "sot_token": "<start_of_turn>",
            "eot_token": "<end_of_turn>",
        },
        chat_template=CHAT_TEMPLATE,
    )


def _text_config(head_dim: int) -> Gemma3nTextConfig:
    return Gemma3nTextConfig(
        vocab_size=TOKENS,
        vocab_size_per_layer_input=TEXT_TOKENS,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=8,
        layer_types=["sliding_attention", "full_attention"] * 4,
        num_kv_shared_layers=4,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=head_dim,
        sliding_window=SLIDING_WINDOW,
        laurel_rank=8,
        hidden_size_per_layer_input=16,
        altup_num_inputs=4,
        activation_sparsity_pattern=[0.95, 0.95, *[0.0] * 6],
        max_position_embeddings=4096,
    )


def _vision_model_args() -> dict[str, Any]:
    stages = [["er_r1_k3_s2_e2_c8"], ["uir_r1_a3_k5_s2_e2_c16"], ["uir_r1_a3_k3_s2_e2_c16"]]
    stages.append(["uir_r1_a0_k3_s2_e2_c16", "mqa_r1_k3_h2_s1_d8_c16", "uir_r1_a0_k0_s1_e1_c16"])
    return {
        "block_args": decode_arch_def(stages),
        "stem_size": 8,
        "num_features": 64,
        "msfa_output_resolution": 4,
        "layer_scale_init_value": 0.5,
    }


def tiny_config(head_dim: int = 16) -> Gemma3nConfig:
    """The architecture, shrunk."""
    text = _text_config(head_dim)
    audio = Gemma3nAudioConfig(
        vocab_offset=AUDIO_OFFSET,
        hidden_size=64,
        conf_num_attention_heads=4,
        conf_num_hidden_layers=2,
        sscp_conv_channel_size=[16, 8],
    )
    vision = Gemma3nVisionConfig(
        architecture="mobilenetv5_base",
        model_args=_vision_model_args(),
        hidden_size=64,
        vocab_offset=VISION_OFFSET,
    )
    vocabulary = _vocabulary()
    return Gemma3nConfig(
        text_config=text.to_dict(),
        audio_config=audio.to_dict(),
        vision_config=vision.to_dict(),
        vision_soft_tokens_per_image=VISION_SOFT_TOKENS,
        boi_token_id=vocabulary["<start_of_image>"],
        eoi_token_id=vocabulary["<end_of_image>"],
        image_token_id=vocabulary["<image_soft_token>"],
        boa_token_id=vocabulary["<start_of_audio>"],
        eoa_token_id=vocabulary["<end_of_audio>"],
        audio_token_id=vocabulary["<audio_soft_token>"],
    )


def _randomise(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Give every parameter values that matter; norms stay near one, matrices keep their scale."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim < 2 or "coefs" in name:
            parameter.data.add_(0.2 * noise)
        elif "embed_tokens" in name or "embedding.weight" in name:
            parameter.data.copy_(noise)
        else:
            parameter.data.copy_(noise * (parameter[0].numel() ** -0.5))


def build_tiny_gemma3n(folder: Path, *, seed: int = 0, head_dim: int = 16) -> Path:
    """Save a checkpoint with its processor into a folder, and return the folder."""
    torch.manual_seed(seed)
    config = tiny_config(head_dim)
    model_args = copy.deepcopy(config.vision_config.model_args)
    model = Gemma3nForConditionalGeneration(config).eval()
    _randomise(model, torch.Generator().manual_seed(seed))
    config.vision_config.model_args = model_args  # building the tower consumed some of them
    tokenizer = tiny_tokenizer()
    model.generation_config = GenerationConfig(
        bos_token_id=2,
        pad_token_id=0,
        eos_token_id=[1, tokenizer.convert_tokens_to_ids("<end_of_turn>")],
        do_sample=True,
        top_k=64,
        top_p=0.95,
        cache_implementation=None,
    )
    model.save_pretrained(folder)
    Gemma3nProcessor(
        feature_extractor=Gemma3nAudioFeatureExtractor(),
        image_processor=SiglipImageProcessor(
            size={"height": PICTURE_PX, "width": PICTURE_PX}, resample=2, do_normalize=False
        ),
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
        image_seq_length=VISION_SOFT_TOKENS,
    ).save_pretrained(folder)
    return folder
