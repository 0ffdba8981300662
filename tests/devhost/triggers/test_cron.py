"""NCRONTAB schedules: the next time, and what is refused."""

from datetime import datetime

import pytest

from devhost.triggers import cron


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("schedule", "moment", "following"),
    [
        ("0 */5 * * * *", "2026-01-01 00:03:07", "2026-01-01 00:05:00"),
        ("*/15 * * * * *", "2026-01-01 00:00:15", "2026-01-01 00:00:30"),
        ("30 0 9 * * Mon-Fri", "2026-01-02 09:00:30", "2026-01-05 09:00:30"),
        ("0 0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 12 * JAN,december 0", "2026-02-01 00:00:00", "2026-12-06 12:00:00"),
        ("0 0 0 31 * *", "2026-04-01 00:00:00", "2026-05-31 00:00:00"),
        ("*/10 * * * *", "2026-01-01 00:00:00", "2026-01-01 00:10:00"),
        ("0 5/20 * * * *", "2026-01-01 00:26:00", "2026-01-01 00:45:00"),
        ("0 0 0 * * 7", "2026-01-01 00:00:00", "2026-01-04 00:00:00"),
        ("00:00:30", "2026-01-01 00:00:00", "2026-01-01 00:00:30"),
        ("1.00:00:00", "2026-01-01 00:00:00", "2026-01-02 00:00:00"),
    ],
)
def test_a_schedule_finds_its_next_time(schedule: str, moment: str, following: str) -> None:
    assert cron.parse(schedule).next_after(at(moment)) == at(following)


def test_a_date_that_never_comes_has_no_next_time() -> None:
    assert cron.parse("0 0 0 30 2 *").next_after(at("2026-01-01")) is None


@pytest.mark.parametrize("schedule", ["", "* * *", "61 * * * * *", "0 0 0 * * Foo", "0 0 5-3 * * *", "0 */0 * * * *"])
def test_a_schedule_that_makes_no_sense_is_refused(schedule: str) -> None:
    with pytest.raises(cron.BadSchedule):
        cron.parse(schedule)
