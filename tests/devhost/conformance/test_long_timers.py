"""Timers of more than six days, which the SDK makes of several. Not the clock is moved but the past: between two starts
of devhost all that is in its tables is made some days older.
"""

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from azure.data.tables import TableServiceClient, UpdateMode

from tests.devhost.support.hosts import APPS, Devhost, until
from tests.devhost.support.provider_oracle import Hub
from tests.devhost.support.stored_layout import of_type

APP = APPS / "conformance"
Hosts = Callable[..., Devhost]


def age(host: Devhost, by: timedelta) -> None:
    """Make every time in the tables of a hub earlier."""
    with TableServiceClient.from_connection_string(host.storage) as service:
        for table in ("Instances", "History"):
            client = service.get_table_client(f"{host.hub}{table}")
            for row in list(client.list_entities()):
                older = {name: value - by if isinstance(value, datetime) else value for name, value in row.items()}
                client.upsert_entity(older, UpdateMode.REPLACE)


def days_later(host: Devhost, hub: Hub, instance: str, days: float) -> list[dict[str, Any]]:
    """Let some days pass, a minute more than asked, and wait for the timer that was due; the history."""
    fired = len(of_type(hub.history(instance), "TimerFired"))
    host.kill()
    age(host, timedelta(days=days, minutes=1))
    host.start()
    until(lambda: len(of_type(hub.history(instance), "TimerFired")) > fired, say=lambda: host.log)
    return hub.history(instance)


def test_a_timer_of_ten_days_is_three_that_follow_each_other(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    instance = host.begin("long_timer", instance_id="patient")
    with closing(Hub(host)) as hub:
        until(lambda: of_type(hub.history(instance), "TimerCreated"))
        days_later(host, hub, instance, 3)
        days_later(host, hub, instance, 3)
        history = days_later(host, hub, instance, 4)
        assert host.finished(instance)["output"] == 14
        started = history[0]["_Timestamp"]
        due = [row["FireAt"] - started for row in of_type(history, "TimerCreated")]
        # Each segment counts from when the one before was heard of; the last one is exact.
        assert [round(each / timedelta(days=1), 2) for each in due] == [3.0, 6.0, 10.0]
        assert abs(due[-1] - timedelta(days=10)) < timedelta(seconds=1)
        assert [row["EventId"] for row in of_type(history, "TimerCreated")] == [0, 1, 2]
        assert hub.faults(instance) == []
