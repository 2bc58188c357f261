"""Checks of what a session on this machine would use: microphone, speaker, camera, GPU.

A server needs none of them, so none of these checks fails.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2

from hearsight.config.local_devices import LocalSettings
from hearsight.findings import Finding
from hearsight.streams.local import portaudio
from hearsight.streams.local.camera import CameraDevice, choose_cameras, list_cameras
from hearsight.streams.local.screen import is_screen, screen_size
from hearsight.streams.local.system import DEFAULT, NONE, DeviceError, silent_stderr

GIB: Final = 2**30
NVIDIA_SMI_TIMEOUT_S: Final = 10
FINE_FOR_A_SERVER: Final = "A server needs none: its clients bring their own."


def check_audio(settings: LocalSettings) -> Iterator[Finding]:
    """The microphones and speakers of this machine, and which of them `hearsight talk` would use.

    Args:
        settings: Which are wanted.
    """
    microphone: portaudio.Direction = "microphone"
    for direction, wanted in ((microphone, settings.microphone), ("speaker", settings.speaker)):
        try:
            devices, default = portaudio.list_devices(direction)
        except DeviceError as error:
            problem, _, mend = error.message.rstrip(".").partition(": ")
            yield Finding("microphone, speaker", "note", problem, mend or FINE_FOR_A_SERVER)
            return
        choose = partial(portaudio.choose, wanted, devices, default, direction)
        yield _chosen(direction, wanted, list(map(str, devices)), choose)


def check_camera(settings: LocalSettings, folder: Path = Path("/dev")) -> Finding:
    """The cameras of this machine, and which of them `hearsight talk` would use; each is opened for a moment.

    Args:
        settings: Which is wanted.
        folder: Where the devices are.
    """
    if is_screen(settings.camera):
        try:
            found = (
                f"`hearsight talk` looks at the {settings.camera.lower()} ({screen_size(settings.camera)})"
            )
        except DeviceError as error:
            return Finding("camera", "note", error.message, FINE_FOR_A_SERVER)
        return Finding("camera", "ok", found)
    if sys.platform == "darwin":
        # Opening a camera here asks the user for permission, which a check must not do.
        return Finding("camera", "note", "not looked for on macOS", FINE_FOR_A_SERVER)
    nodes = list_cameras(folder)
    closed = [camera.node for camera in nodes if not os.access(camera.node, os.R_OK | os.W_OK)]
    sizes = {camera: size for camera in nodes if (size := _frame_size(camera.node)) is not None}
    if closed and not sizes:
        mend = "Add yourself to the group video: `sudo usermod -aG video $USER`, then log in again."
        return Finding("camera", "note", f"not allowed to open {', '.join(closed)}", mend)
    listed = [f"{camera} ({size})" for camera, size in sizes.items()]
    return _chosen("camera", settings.camera, listed, lambda: choose_cameras(settings.camera, list(sizes))[0])


def _chosen(
    check: str, wanted: str, listed: list[str], choose: Callable[[], portaudio.AudioDevice | CameraDevice]
) -> Finding:
    """What there is of one kind, and which of it is meant."""
    if not listed and wanted in (DEFAULT, NONE):
        return Finding(check, "note", "none found", FINE_FOR_A_SERVER)
    if wanted == NONE:
        return Finding(check, "ok", f"{', '.join(listed)}; `hearsight talk` uses none")
    try:
        chosen = choose()
    except DeviceError as error:
        return Finding(check, "note", error.message, FINE_FOR_A_SERVER)
    return Finding(check, "ok", f"{', '.join(listed)}; `hearsight talk` uses {chosen.number}")


def _frame_size(node: str) -> str | None:
    """Width and height that a camera delivers, None for a device that is no working camera."""
    with silent_stderr():
        capture = cv2.VideoCapture(node, cv2.CAP_V4L2)
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
