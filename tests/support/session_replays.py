"""Property tests of the session that leave a replay file behind when they fail.

    @given(...)
    def test_something(script): ...

`given` is hypothesis's own, and writes down what the session was given in the example that failed. Hypothesis
runs the smallest failing example last, so that is the one which stays.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
from session_driver import SessionDriver, driven

from hearsight.streams.recording.files import write_recording

FOLDER = Path(__file__).parents[2] / ".hypothesis" / "replays"


def given(
    *strategies: Any, folder: Path | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """See above."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        return hypothesis.given(*strategies)(_leaving_a_replay(test, folder or FOLDER))

    return decorate


def _leaving_a_replay(test: Callable[..., None], folder: Path) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        driven.clear()
        try:
            test(*args, **kwargs)
        except Exception as error:
            for driver in list(driven)[-1:]:
                kept = keep(driver, folder / test.__name__)
                error.add_note(f"What the session was given: hearsight replay {kept}")
            raise

    return run


def keep(driver: SessionDriver, folder: Path) -> Path:
    """Write down what a driver did, in place of what is in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_recording(folder, driver.header, driver.journal.entries)
    return folder
