"""The machine that a benchmark ran on, and what else kept it busy meanwhile."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = ("hearsight", "numpy", "onnxruntime", "opencv-python-headless", "websockets", "langgraph")
ENGINE_PACKAGES = ("faster-whisper", "ctranslate2", "xllamacpp", "hibari-tts")


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that numbers depend on and that a reader may want to compare with their own."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]

    def describe(self) -> str:
        """One paragraph of Markdown."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_gib:.0f} GiB of memory; {self.system}; "
            f"Python {self.python}; {packages}."
        )


def this_machine() -> Machine:
    """Look at this machine."""
    return Machine(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=psutil.virtual_memory().total / 2**30,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: found for name in (*PACKAGES, *ENGINE_PACKAGES) if (found := _version(name))},
    )


def as_json(machine: Machine) -> dict[str, object]:
    """The same, to be stored with a result."""
    return asdict(machine)


def raised_priority() -> str | None:
    """A sentence where the benchmark runs before other programs; None where it has no such privilege."""
    own = os.nice(0)
    group = Path("/proc/self/autogroup")
    if group.exists():
        own = min(own, int(group.read_text(encoding="utf-8").rpartition(" ")[2]))
    if own >= 0:
        return None
    return f"It ran before the other programs of the machine (nice {own}), which its clients did as well."


class OtherLoad:
    """How many cores other programs kept busy while a measurement ran: what makes it less reliable."""

    def __init__(self) -> None:
        self._busy_s = _busy_cpu_s()
        self._since_s = time.perf_counter()

    def cores(self, own_cpu_s: float) -> float:
        """Cores that others used on average.

        Args:
            own_cpu_s: CPU time of the benchmark's own processes since this object was made.
        """
        elapsed_s = time.perf_counter() - self._since_s
        return max(0.0, (_busy_cpu_s() - self._busy_s - own_cpu_s) / elapsed_s)


def _busy_cpu_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
