"""What `start` says of what goes on, read from the log of devhost."""

import asyncio
import logging
from pathlib import Path

import pytest

from devhost.reloader import act_on
from devhost.worker_host.failures import AppRefused
from devtools.product.talk import Follower, sentence_of

AT = "2026-11-26 12:30:01,234"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("INFO    activities.closing: order demo-1 completed", "12:30:01 order demo-1 completed"),
        (
            "INFO    activities.closing: order demo-2 compensated (process_payment: card_declined)",
            "12:30:01 order demo-2 compensated (process_payment: card_declined)",
        ),
        (
            "INFO    devhost.watch: models/money.py changed: the worker has been replaced, and has 24 functions.",
            "12:30:01 models/money.py changed: the worker has been replaced, and has 24 functions.",
        ),
        (
            "ERROR   devhost: The worker ended by itself (exit code -9); starting another.",
            "12:30:01 ERROR: The worker ended by itself (exit code -9); starting another.",
        ),
        ("WARNING devhost.space: The disk has 7 MB.", "12:30:01 WARNING: The disk has 7 MB."),
        ("WARNING reconciliation.sweep: the sweep could not", "12:30:01 WARNING: the sweep could not"),
        ("CRITICAL any.other: no", "12:30:01 CRITICAL: no"),
        ("INFO    devhost: place_order: [POST] http://127.0.0.1:7071/api/orders", None),
        ("INFO    reconciliation.sweep: sweep: sagas_started 1", None),
        ("DEBUG   activities.closing: order", None),
    ],
)
def test_a_line_is_for_the_terminal_or_stays_in_the_log(line: str, sentence: str | None) -> None:
    assert sentence_of(f"{AT} {line}") == sentence


@pytest.mark.parametrize(
    "line", ["", "Traceback (most recent call last):", "  File x", "2026-11-26 INFO a: b", "x" * 999]
)
def test_what_is_no_message_stays_in_the_log(line: str) -> None:
    assert sentence_of(line) is None


def log_line(number: int) -> bytes:
    return f"{AT} INFO    activities.closing: order {number} completed\n".encode()


def test_news_begin_where_the_log_was_and_each_line_is_printed_when_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "devhost.log"
    log.write_bytes(log_line(1))
    talk = Follower(log, log.stat().st_size)
    assert talk.news() == []
    with log.open("ab") as file:
        file.write(log_line(2) + log_line(3)[:40])
    assert talk.news() == ["12:30:01 order 2 completed"]
    assert talk.news() == []
    with log.open("ab") as file:
        file.write(log_line(3)[40:] + b"Traceback: \xff\n" + log_line(4))
    assert talk.news() == ["12:30:01 order 3 completed", "12:30:01 order 4 completed"]


def test_a_message_that_ends_with_a_colon_is_printed_with_the_last_line_under_it(tmp_path: Path) -> None:
    log = tmp_path / "devhost.log"
    under = "Traceback (most recent call last):\n  File x\nmodels.errors.Unavailable: Storage is away.\n\n"
    log.write_text(
        f"{AT} WARNING devhost.activity: Activity 'close_order' (instance o-1) raised:\n{under}"
        f"{AT} ERROR   devhost: A sentence of its own.\n{under}"
    )
    assert Follower(log, 0).news() == [
        "12:30:01 WARNING: Activity 'close_order' (instance o-1) raised: models.errors.Unavailable: Storage is away.",
        "12:30:01 ERROR: A sentence of its own.",
    ]


def test_the_same_words_in_a_row_are_printed_once(tmp_path: Path) -> None:
    log = tmp_path / "devhost.log"
    log.write_bytes(f"{AT} WARNING edge.problems: answered 503: no\n".encode() * 5 + log_line(1))
    assert Follower(log, 0).news() == ["12:30:01 WARNING: answered 503: no", "12:30:01 order 1 completed"]


def test_a_log_that_is_not_there_or_a_folder_has_no_news(tmp_path: Path) -> None:
    assert Follower(tmp_path / "none.log", 0).news() == []
    assert Follower(tmp_path, 0).news() == []


def test_code_that_cannot_be_loaded_is_reported_with_its_reason(tmp_path: Path) -> None:
    """By the very line that devhost writes, in the form of its log."""
    log = tmp_path / "devhost.log"
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logger = logging.getLogger("devhost.watch")
    logger.addHandler(handler)

    async def renew() -> str:
        raise AppRefused(["The app cannot be imported:\nTraceback"], in_short="SyntaxError: invalid syntax")

    try:
        asyncio.run(act_on(["models/money.py"], renew))
    finally:
        logger.removeHandler(handler)
        handler.close()
    (line,) = Follower(log, 0).news()
    assert line[9:] == (
        "ERROR: models/money.py changed, and the app cannot be served (SyntaxError: invalid syntax): "
        "the code from before is still served."
    )
