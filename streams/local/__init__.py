"""This machine's microphone, speaker and camera."""
