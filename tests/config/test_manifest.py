"""The shipped manifest holds together, and a broken one is refused."""

import copy

import pytest
from package_shelf import file, parts, payload
from pydantic import ValidationError

from hearsight.config.layers import section_class
from hearsight.config.manifest import Manifest, PackageSource, load_manifest
from hearsight.config.payloads import required_payloads
from hearsight.config.settings import Settings, load_settings, setting_keys

PACKAGE = {"registry": "pypi", "name": "carrier", "version": "1.0", "bytes": 9, "sha256": "0" * 64}


def manifest(**changes) -> dict:
    """A manifest of one payload of one file, with changes to that file."""
    one = file("a.bin", b"abc", parts(("carrier", "carrier/a.bin", 3))) | changes
    return {"packages": [copy.deepcopy(PACKAGE)], "payloads": [payload("model", one)]}


def test_a_sound_manifest_passes():
    assert Manifest.model_validate(manifest()).payload("model").bytes == 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bytes": 4}, "do not add up"),
        ({"sha256": "abc"}, "sha256"),
        ({"sources": []}, "sources"),
        ({"sources": [parts(("stranger", "a", 3))]}, "packages without an entry: stranger"),
        ({"sources": [{"url": "file:///etc/passwd"}]}, "url"),
        ({"name": "../a.bin"}, "name"),
        ({"name": "/etc/passwd"}, "name"),
        ({"name": ".verified.json"}, "name"),
        ({"mirror": "x"}, "mirror"),
    ],
)
def test_a_broken_manifest_is_refused(changes, told):
    with pytest.raises(ValidationError, match=told):
        Manifest.model_validate(manifest(**changes))


@pytest.mark.parametrize("kind", ["packages", "payloads"])
def test_names_are_unique(kind):
    doubled = manifest()
    doubled[kind] = doubled[kind] * 2
    with pytest.raises(ValidationError, match="occurs twice"):
        Manifest.model_validate(doubled)


def test_every_package_is_used_and_pinned_to_one_version():
    shipped = load_manifest()
    used = {name for each in shipped.payloads for part in each.files for name in part.packages}
    assert used == {package.name for package in shipped.packages}


def test_a_start_never_waits_for_a_hub():
    for each in load_manifest().payloads:
        for part in each.files:
            assert isinstance(part.sources[0], PackageSource), part.name


def test_conditions_name_settings_and_values_that_exist():
    engines = section_class(Settings.model_fields["engine"]).model_fields["name"].annotation.__args__
    for each in load_manifest().payloads:
        assert set(each.engines) <= set(engines)
        for key, value in [*each.when.items(), *each.unless.items()]:
            assert key in setting_keys()
            load_settings(overrides={key: value})


def test_the_default_engine_needs_its_models():
    needed = required_payloads(load_settings().settings)
    assert needed == ["silero-vad", "smart-turn", "whisper-tiny.en", "qwen2.5-1.5b", "coco-ssd"]


def test_settings_choose_the_models():
    chosen = {
        "embedded.speech_to_text": "base",
        "embedded.language_model": "qwen2.5-0.5b",
        "embedded.objects": False,
    }
    needed = required_payloads(load_settings(overrides=chosen).settings)
    assert needed == ["silero-vad", "smart-turn", "whisper-base", "qwen2.5-0.5b"]


@pytest.mark.parametrize("preset", ["gemma3n", "vllm"])
def test_other_engines_need_only_the_ears(preset):
    assert required_payloads(load_settings(preset=preset).settings) == ["silero-vad", "smart-turn"]


def test_a_model_elsewhere_that_does_not_hear_or_see_needs_ears_and_eyes_here():
    def needed(**changes) -> list[str]:
        overrides = {f"openai.{name}": value for name, value in changes.items()}
        return required_payloads(load_settings(preset="vllm", overrides=overrides).settings)[2:]

    assert needed() == []
    assert needed(audio=False) == ["whisper-tiny.en"]
    assert needed(transcripts="local") == ["whisper-tiny.en"]
    assert needed(pictures=False) == ["coco-ssd"]
    assert needed(audio=False, pictures=False) == ["whisper-tiny.en", "coco-ssd"]
