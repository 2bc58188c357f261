"""Checks of what a session on this machine would use: microphone, speaker, camera, GPU.

A server needs none of them, so none of these checks fails.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2

from hearsight.findings import Finding

GIB: Final = 2**30
NVIDIA_SMI_TIMEOUT_S: Final = 10
FINE_FOR_A_SERVER: Final = "A server needs none: its clients bring their own."


def check_audio() -> Iterator[Finding]:
    """The microphones and speakers of this machine."""
    try:
        with silent_stderr():
            sound: Any = importlib.import_module("sounddevice")
            devices = list(sound.query_devices())
    except ImportError:
        yield _audio("unknown: sounddevice is not installed", "Run `pip install 'hearsight[local]'`.")
    except OSError:
        yield _audio("unknown: the PortAudio library is missing", _how_to_get_portaudio())
    except Exception as error:  # sounddevice's own error; its class cannot be named before the import
        yield _audio(f"unknown: {error}", FINE_FOR_A_SERVER)
    else:
        for name, channels in (("microphone", "max_input_channels"), ("speaker", "max_output_channels")):
            yield _listed(name, [device["name"] for device in devices if device[channels] > 0])


def _audio(found: str, mend: str) -> Finding:
    return Finding("microphone, speaker", "note", found, mend)


def _how_to_get_portaudio() -> str:
    if sys.platform == "darwin":
        return "Run `brew install portaudio`."
    return "Install it: `sudo apt install libportaudio2` on Debian and Ubuntu."


def _listed(check: str, names: Sequence[str]) -> Finding:
    if not names:
        return Finding(check, "note", "none found", FINE_FOR_A_SERVER)
    return Finding(check, "ok", ", ".join(dict.fromkeys(names)))


def check_camera(folder: Path = Path("/dev")) -> Finding:
    """The cameras of this machine; each is opened for a moment.

    Args:
        folder: Where the devices are.
    """
    if sys.platform == "darwin":
        # Opening a camera here asks the user for permission, which a check must not do.
        return Finding("camera", "note", "not looked for on macOS", FINE_FOR_A_SERVER)
    nodes = sorted(folder.glob("video*"))
    closed = [node.name for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    working = [f"{node.name} ({size})" for node in nodes if (size := _frame_size(node)) is not None]
    if working:
        return Finding("camera", "ok", ", ".join(working))
    if closed:
        mend = "Add yourself to the group video: `sudo usermod -aG video $USER`, then log in again."
        return Finding("camera", "note", f"not allowed to open {', '.join(closed)}", mend)
    return Finding("camera", "note", "none found", FINE_FOR_A_SERVER)


def _frame_size(node: Path) -> str | None:
    """Width and height that a camera delivers, None for a device that is no working camera."""
    with silent_stderr():
        capture = cv2.VideoCapture(str(node), cv2.CAP_V4L2)
        try:
            if not capture.isOpened():
                return None
            width, height = (capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            return f"{width:.0f}x{height:.0f}"
        finally:
            capture.release()


def check_gpu() -> Finding:
    """A GPU that an engine could use; the embedded engine uses none."""
    if find_spec("torch") is not None:
        names = _torch_gpus()
        how = "torch sees"
    else:
        names = _nvidia_smi_gpus()
        how = "nvidia-smi sees"
    if names:
        return Finding("gpu", "ok", f"{how} {', '.join(names)}")
    return Finding("gpu", "note", "none found", "The embedded engine needs none.")


def _torch_gpus() -> list[str]:
    with silent_stderr():
        torch: Any = importlib.import_module("torch")
        if torch.cuda.is_available():
            devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
            return [f"{device.name} ({device.total_memory / GIB:.0f} GB)" for device in devices]
        return ["Apple's GPU"] if torch.backends.mps.is_available() else []


def _nvidia_smi_gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        listed = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=NVIDIA_SMI_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []  # it is there and cannot talk to a GPU, so there is none to be used
    return listed.stdout.split("\n")[:-1]


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Keep C libraries, which write past Python, from standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
