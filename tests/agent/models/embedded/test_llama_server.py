from __future__ import annotations

import ctypes
import signal
import threading
from pathlib import Path

import pytest

from hearsight.agent.models.embedded.llama_server import signal_handlers_kept, start_server
from hearsight.streams.errors import EngineError

SIG_IGN = ctypes.c_void_p(1)


def install_behind_pythons_back(number: int) -> None:
    """What C code does that installs a handler: Python is not told."""
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.signal(number, SIG_IGN)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_handlers_that_c_code_replaces_are_put_back(number: signal.Signals) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda received, _: heard.append(received))
    try:
        with signal_handlers_kept():
            install_behind_pythons_back(number)
            signal.raise_signal(number)
            assert heard == [], "the test replaces nothing"
        signal.raise_signal(number)
        assert heard == [number]
    finally:
        signal.signal(number, before)


def test_handlers_are_put_back_from_any_thread_and_when_loading_fails() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda received, _: heard.append(received))

    def load() -> None:
        with pytest.raises(RuntimeError), signal_handlers_kept():
            install_behind_pythons_back(signal.SIGTERM)
            raise RuntimeError

    try:
        thread = threading.Thread(target=load)
        thread.start()
        thread.join()
        signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("content", [None, b"", b"GGUF but nothing more"], ids=["absent", "empty", "damaged"])
def test_a_file_that_is_no_model_is_an_error_without_its_path(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match="cannot be loaded") as caught:
        start_server(path, tmp_path, threads=1, context_tokens=256, slots=1)
    assert str(tmp_path) not in caught.value.message
