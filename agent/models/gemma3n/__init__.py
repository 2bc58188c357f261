"""Gemma 3n in this process: audio and pictures go in as they come, into a KV cache that lives as long."""

import os

# On a CPU, weights in huge pages are read faster. torch asks once, before its first tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
