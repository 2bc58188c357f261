"""Gemma 3n in this process: audio and pictures go in as they come, into a KV cache that lives as long."""
