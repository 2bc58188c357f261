"""The memory of this machine's GPUs as a metric, where the engine uses them through torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

NAME = "hearsight_gpu_memory_bytes"


class GpuMemory(Collector):
    """Collects nothing where no engine has loaded torch, or it has no GPU."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Look at every GPU."""
        torch: Any = sys.modules.get("torch")  # never imported for this
        if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
            return
        family = GaugeMetricFamily(
            NAME,
            "Memory of each GPU: allocated to tensors, reserved by torch, free, and in all.",
            labels=["device", "kind"],
        )
        for device in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(device)
            kinds = {
                "allocated": torch.cuda.memory_allocated(device),
                "reserved": torch.cuda.memory_reserved(device),
                "free": free,
                "total": total,
            }
            for kind, size in kinds.items():
                family.add_metric([str(device), kind], float(size))
        yield family
