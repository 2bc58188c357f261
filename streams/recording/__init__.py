"""Recordings of sessions: written while they run, read again, and replayed."""
