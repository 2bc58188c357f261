"""A stamp holds as long as the file is untouched, and no longer."""

import json
import os

import pytest

from hearsight.config import stamps


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    return path


def test_nothing_is_stamped_at_first(model):
    assert not stamps.is_stamped(model, "aa")


def test_a_stamp_holds_for_its_hash_only(model):
    stamps.stamp(model, "aa")
    assert stamps.is_stamped(model, "aa")
    assert not stamps.is_stamped(model, "bb")


def test_files_of_a_folder_are_stamped_side_by_side(model):
    other = model.with_name("other.bin")
    other.write_bytes(b"more")
    stamps.stamp(model, "aa")
    stamps.stamp(other, "bb")
    assert stamps.is_stamped(model, "aa") and stamps.is_stamped(other, "bb")


@pytest.mark.parametrize("content", [b"longer weights", b"WEIGHTS"])
def test_a_changed_file_loses_its_stamp(model, content):
    stamps.stamp(model, "aa")
    before = model.stat()
    model.write_bytes(content)
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert not stamps.is_stamped(model, "aa")


def test_a_removed_file_is_not_stamped(model):
    stamps.stamp(model, "aa")
    model.unlink()
    assert not stamps.is_stamped(model, "aa")


def test_a_stamp_can_be_forgotten(model):
    stamps.stamp(model, "aa")
    stamps.forget(model)
    assert not stamps.is_stamped(model, "aa")


def test_forgetting_what_is_unknown_writes_nothing(model):
    stamps.forget(model)
    assert [path.name for path in model.parent.iterdir()] == ["model.bin"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", json.dumps({"model.bin": 3})])
def test_unreadable_stamps_count_as_none_and_are_replaced(model, text):
    (model.parent / stamps.STAMP_NAME).write_text(text)
    assert not stamps.is_stamped(model, "aa")
    stamps.stamp(model, "aa")
    assert stamps.is_stamped(model, "aa")


def test_a_folder_that_cannot_be_written_is_no_error(model):
    # A folder in the place of the draft cannot be written either, and root cannot get around it.
    (model.parent / f"{stamps.STAMP_NAME}.{os.getpid()}").mkdir()
    stamps.stamp(model, "aa")
    assert not stamps.is_stamped(model, "aa")
