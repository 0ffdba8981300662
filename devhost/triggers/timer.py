"""Timer triggers: each timer function is called at the times of its schedule, one call at a time.

As on the real host, a run that outlasts the next due time delays it. The last run is not stored: runs that were missed
while devhost was down are not made up for.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

from devhost.history.events import iso_time
from devhost.settings import resolve
from devhost.triggers import cron
from devhost.worker_host.supervisor import WorkerSupervisor

MAX_SLEEP_S = 3600.0

Schedule = cron.Cron | cron.Interval


def schedules(functions: list[dict[str, Any]], environment: dict[str, str]) -> list[tuple[dict[str, Any], Schedule]]:
    """The timer functions with their schedules, %NAME% resolved. Raises BadSchedule or BadSettings."""
    return [(function, cron.parse(resolve(function["schedule"], environment))) for function in functions]


async def run_timer(function: dict[str, Any], schedule: Schedule, worker: WorkerSupervisor) -> None:
    """Call a timer function for ever at its times."""
    if function["run_on_startup"]:
        await _call(function, schedule, worker, datetime.now(UTC))
    due = schedule.next_after(datetime.now(UTC))
    while due is not None:
        await _sleep_until(due)
        await _call(function, schedule, worker, due)
        due = schedule.next_after(max(due, datetime.now(UTC)))


async def _sleep_until(due: datetime) -> None:
    # In pieces, because the loop's clock and the calendar may drift apart.
    while (remaining := (due - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(min(remaining, MAX_SLEEP_S))


async def _call(function: dict[str, Any], schedule: Schedule, worker: WorkerSupervisor, due: datetime) -> None:
    following = schedule.next_after(due)
    status = {"Last": iso_time(due), "Next": iso_time(following) if following else None, "LastUpdated": iso_time(due)}
    adjusted = {"AdjustForDST": True}
    await worker.call_once("timer", function["name"], past_due=False, status=status, schedule=adjusted)
