"""Real servers of chat completions with a tiny Gemma 3n: ``transformers serve``, or vLLM where there is one.

``VLLM=/path/to/python`` in the environment, of an installation that has vLLM, takes vLLM: ``make vllm`` does.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VLLM = os.environ.get("VLLM")
"""The interpreter, where it is to be used."""
START_S = 120
VLLM_START_S = 280


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def served_checkpoint(folder: Path) -> Path:
    """The tiny checkpoint, kept to letters: transformers' server stumbles over halves of characters."""
    from tiny_gemma3n import build_tiny_gemma3n, tiny_tokenizer

    build_tiny_gemma3n(folder, head_dim=32)  # vLLM computes no smaller ones on a CPU
    path = folder / "generation_config.json"
    config = json.loads(path.read_text())
    bytes_written = [
        number for word, number in tiny_tokenizer().get_vocab().items() if word.startswith("<0x")
    ]
    path.write_text(json.dumps(config | {"suppress_tokens": sorted(bytes_written)}))
    return folder


@contextmanager
def model_server(folder: Path, log: Path) -> Iterator[str]:
    """Serve a checkpoint; yields the address of the API.

    Args:
        folder: The checkpoint, whose name is that of the model.
        log: Where the server writes what it does.
    """
    port = free_port()
    command = _vllm(folder, port) if VLLM else _transformers(folder, port)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment |= _VLLM_ENVIRONMENT if VLLM else {"OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)  # vLLM has an environment of its own
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _transformers(folder: Path, port: int) -> list[str]:
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    return [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]


_VLLM_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "INFO",
}


def _vllm(folder: Path, port: int) -> list[str]:
    assert VLLM is not None
    # Not the command `vllm`: that of vllm-cpu looks for a package of the other name, and fails.
    command = [VLLM, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder), "--dtype", "float32"]
    return [
        *command,
        "--host=127.0.0.1",
        f"--port={port}",
        "--max-model-len=4096",
        "--max-num-seqs=4",
        "--enforce-eager",
        "--enable-prefix-caching",
        "--enable-prompt-tokens-details",
        '--limit-mm-per-prompt={"audio": 4, "image": 4}',
    ]


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers.

    Raises:
        RuntimeError: It ended, or it takes too long; with the end of its log.
    """
    deadline = time.monotonic() + (VLLM_START_S if VLLM else START_S)
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"The server does not answer:\n{log.read_text(errors='replace')[-6000:]}")
