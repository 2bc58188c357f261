"""Hearsight: a real-time voice-and-vision assistant that you run yourself."""
