"""What is written to standard error, for people and for machines."""

import json
import logging
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
import structlog

from hearsight.config.service import LogSettings
from hearsight.logs import configure_logging
from hearsight.streams.observing import Observers, Scope, within


def configured(capsys, **settings):
    configure_logging(LogSettings(**settings))
    return structlog.get_logger("hearsight.test"), capsys


def lines(capsys) -> list[dict]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_json_is_one_object_a_line(capsys):
    log, _ = configured(capsys, format="json")
    log.info("session opened", session_id="sess_1", note="two\nlines")
    log.bind(session_id="sess_2").warning("slow reader")
    first, second = lines(capsys)
    assert first["event"] == "session opened" and first["session_id"] == "sess_1"
    assert first["level"] == "info" and first["note"] == "two\nlines"
    assert first["timestamp"] <= second["timestamp"]
    assert (second["session_id"], second["level"]) == ("sess_2", "warning")


def test_lines_bear_the_ids_of_the_session_and_answer_that_they_were_written_for(capsys):
    """Whoever writes them: a tool, an engine in a thread of its own, a library that knows of neither."""
    log, _ = configured(capsys, format="json")
    with within(Scope("sess_0123456789abcdef", Observers()).of_response("resp_7")):
        log.info("tool failed", tool="weather")
        with ThreadPoolExecutor(1) as thread:
            thread.submit(copy_context().run, logging.getLogger("library").warning, "odd text").result()
    log.info("listening")
    ours, theirs, other = lines(capsys)
    for line in (ours, theirs):
        assert (line["session_id"], line["response_id"]) == ("sess_01234567", "resp_7")
    assert "session_id" not in other and "response_id" not in other


def test_a_traceback_stays_inside_its_line(capsys):
    log, _ = configured(capsys, format="json")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("answer failed")
    [line] = lines(capsys)
    assert line["level"] == "error" and "ValueError: broken" in line["exception"]


@pytest.mark.parametrize(("level", "written"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_the_least_that_is_written(capsys, level, written):
    log, _ = configured(capsys, format="json", level=level)
    for severity in ("debug", "info", "warning", "error"):
        getattr(log, severity)("event")
    assert len(lines(capsys)) == written


def test_libraries_write_in_the_same_form_and_from_warning_on(capsys):
    configure_logging(LogSettings(format="json", level="debug"))
    library = logging.getLogger("websockets.server")
    library.info("server listening on 127.0.0.1:8765")
    library.warning("connection %s lost", 7)
    try:
        raise OSError("no route")
    except OSError:
        library.exception("failed")
    first, second = lines(capsys)
    assert (first["event"], first["logger"]) == ("connection 7 lost", "websockets.server")
    assert "OSError: no route" in second["exception"]


def test_warnings_are_logged_too(capsys):
    configure_logging(LogSettings(format="json"))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
    [line] = lines(capsys)
    assert "old way" in line["event"] and line["level"] == "warning"


def test_people_get_a_readable_line(capsys):
    log, _ = configured(capsys)
    log.info("session opened", session_id="sess_1")
    logging.getLogger("library").error("gone wrong")
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == ""
    assert "session opened" in first and "session_id=sess_1" in first and "info" in first
    assert "\x1b" not in err, "colours belong to terminals"
    assert "gone wrong" in second


def test_a_traceback_for_people_shows_no_values_and_is_quickly_written(capsys):
    """They hold what was said; and while they are laid out, nobody is heard."""
    log, _ = configured(capsys)

    def answer(said: list[str]) -> None:
        raise ValueError("broken")

    began_s = time.perf_counter()
    try:
        answer(["my secret"] * 5_000)
    except ValueError:
        log.exception("answer failed")
    took_s = time.perf_counter() - began_s
    _, err = capsys.readouterr()
    assert "ValueError: broken" in err and "in answer" in err
    assert "my secret" not in err.replace('answer(["my secret"] * 5_000)', "")
    assert took_s < 0.2


def test_what_was_configured_last_holds(capsys):
    log, _ = configured(capsys, format="json", level="error")
    log.info("unheard")
    configure_logging(LogSettings(format="json", level="info"))
    structlog.get_logger("hearsight.test").info("heard")
    logging.getLogger("library").warning("once")
    assert [line["event"] for line in lines(capsys)] == ["heard", "once"]


def test_of_a_session_only_the_beginning_of_its_id_is_written(capsys):
    log, _ = configured(capsys, format="json")
    whole = "sess_0123456789abcdef0123456789abcdef"
    log.info("session opened", session_id=whole)
    log.bind(session_id=whole).warning("slow reader", session_id=whole)
    logged = lines(capsys)
    assert [line["session_id"] for line in logged] == ["sess_01234567"] * 2


@pytest.mark.parametrize("format", ["console", "json"])
def test_a_traceback_shows_no_values(capsys, format):
    log, _ = configured(capsys, format=format)
    words = " ".join(["hunter2", "is", "the", "key"])
    try:
        int(str(len(words)) + "x")
    except ValueError:
        log.exception("answer failed")
        logging.getLogger("library").exception("failed")
    _, err = capsys.readouterr()
    assert "ValueError" in err and "hunter2" not in err
