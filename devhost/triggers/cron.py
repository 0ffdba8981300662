"""NCRONTAB schedules: six fields from seconds to days of the week (five mean second zero), and plain intervals.

`next_after` walks the fields from the months down and skips whole months, days and hours that cannot match: it finds
the 29th of February at once. Rejected: a cron package, because the Functions host has a dialect of its own.
"""

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
DAYS = {name: number for number, name in enumerate("sun mon tue wed thu fri sat".split())}
FULL_NAMES = {month.lower(): number for number, month in enumerate(calendar.month_name) if month} | {
    day.lower(): (number + 1) % 7 for number, day in enumerate(calendar.day_name)
}
FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("seconds", 0, 59, {}),
    ("minutes", 0, 59, {}),
    ("hours", 0, 23, {}),
    ("days", 1, 31, {}),
    ("months", 1, 12, MONTHS | FULL_NAMES),
    ("days of the week", 0, 7, DAYS | FULL_NAMES),
)
ITEM = re.compile(r"(\*|[A-Za-z0-9]+)(?:-([A-Za-z0-9]+))?(?:/(\d+))?")
INTERVAL = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2})(?::(\d{2}))?")
HORIZON_YEARS = 8


class BadSchedule(Exception):
    """A schedule that cannot be read; the text says why."""


@dataclass(frozen=True)
class Cron:
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time later than `moment` that fits, or None within eight years."""
        at = moment.replace(microsecond=0) + timedelta(seconds=1)
        last = at.year + HORIZON_YEARS
        while at.year <= last:
            jump = next((jump for fits, jump in STEPS if not fits(self, at)), None)
            if jump is None:
                return at
            at = jump(at)
        return None


@dataclass(frozen=True)
class Interval:
    period: timedelta

    def next_after(self, moment: datetime) -> datetime:
        return moment + self.period


def _next_month(at: datetime) -> datetime:
    first = _floor(at, hour=0, day=1)
    return first.replace(year=at.year + 1, month=1) if at.month == 12 else first.replace(month=at.month + 1)


def _floor(at: datetime, **fields: int) -> datetime:
    return at.replace(minute=0, second=0, **fields)  # type: ignore[arg-type] # keywords of the same kinds


def _day_fits(cron: Cron, at: datetime) -> bool:
    return at.day in cron.days and at.isoweekday() % 7 in cron.weekdays


# From the coarsest field down: the condition, and the next candidate when it fails.
STEPS: tuple[tuple[Callable[[Cron, datetime], bool], Callable[[datetime], datetime]], ...] = (
    (lambda cron, at: at.month in cron.months, _next_month),
    (_day_fits, lambda at: _floor(at, hour=0) + timedelta(days=1)),
    (lambda cron, at: at.hour in cron.hours, lambda at: _floor(at) + timedelta(hours=1)),
    (lambda cron, at: at.minute in cron.minutes, lambda at: at.replace(second=0) + timedelta(minutes=1)),
    (lambda cron, at: at.second in cron.seconds, lambda at: at + timedelta(seconds=1)),
)


def parse(text: str) -> Cron | Interval:
    """The schedule of a timer trigger. Raises BadSchedule."""
    interval = INTERVAL.fullmatch(text.strip())
    if interval:
        days, hours, minutes, seconds = (int(part or 0) for part in interval.groups())
        return Interval(timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))
    fields = text.split()
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) != 6:
        raise BadSchedule(f"The schedule '{text}' must have six fields (or five), or be an interval hh:mm:ss.")
    sets = [_field(field, *bounds) for field, bounds in zip(fields, FIELDS, strict=True)]
    second, minute, hour, month_day, month, weekdays = sets
    return Cron(second, minute, hour, month_day, month, frozenset(day % 7 for day in weekdays))


def _field(text: str, name: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    values: set[int] = set()
    for item in text.split(","):
        match = ITEM.fullmatch(item)
        if match is None:
            raise BadSchedule(f"'{item}' is not valid for the {name} of a schedule.")
        values |= set(_range(match, name, low, high, names))
    return frozenset(values)


def _range(match: re.Match[str], name: str, low: int, high: int, names: dict[str, int]) -> range:
    start, end, step = match.groups()
    if start == "*":
        first, last = low, high
    else:
        first = _number(start, name, low, high, names)
        open_end = high if step else first
        last = _number(end, name, low, high, names) if end else open_end
    if last < first or step == "0":
        raise BadSchedule(f"'{match[0]}' is an empty range for the {name} of a schedule.")
    return range(first, last + 1, int(step or 1))


def _number(text: str, name: str, low: int, high: int, names: dict[str, int]) -> int:
    number = names.get(text.lower(), int(text) if text.isdigit() else -1)
    if not low <= number <= high:
        raise BadSchedule(f"'{text}' is outside the {name} of a schedule ({low} to {high}).")
    return number
