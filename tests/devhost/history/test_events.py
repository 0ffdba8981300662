"""Events as rows, as the SDK reads them, and their times and JSON."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from devhost.history.events import Event, compact_json, from_row, iso_time, to_row, to_sdk
from devhost.storage.tables import parse_time

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_an_event_survives_its_row() -> None:
    event = Event("TimerFired", datetime(2026, 1, 1, 12, 0, 0, 5, UTC), fields={"TimerId": 3, "FireAt": NOON})
    assert from_row(to_row(event)) == event
    assert to_row(event) == {
        **{"EventId": -1, "IsPlayed": False, "_Timestamp": event.at, "EventType": "TimerFired"},
        **{"TimerId": 3, "FireAt": NOON},
    }


def test_the_sdk_reads_numbers_nulls_and_times_with_a_z() -> None:
    completed = json.loads(to_sdk(Event("TaskCompleted", NOON, fields={"TaskScheduledId": 1})))
    assert completed == {
        **{"EventType": 5, "EventId": -1, "IsPlayed": False, "Timestamp": "2026-01-01T12:00:00Z"},
        **{"TaskScheduledId": 1, "Result": None},
    }
    started = json.loads(to_sdk(Event("ExecutionStarted", NOON, fields={"Version": ""})))
    assert (started["Version"], started["ParentInstance"]) == ("", None)


def test_times_are_written_as_dot_net_writes_them() -> None:
    assert iso_time(NOON + timedelta(microseconds=120)) == "2026-01-01T12:00:00.00012Z"
    assert parse_time("2026-01-01T12:00:00.1234567Z") == NOON + timedelta(microseconds=123456)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_compact_json_is_always_utf_8_and_the_same_value(value: Any) -> None:
    text = compact_json(value)
    assert json.loads(text.encode()) == value


def test_half_a_surrogate_pair_stays_escaped() -> None:
    assert compact_json("Ł\ud800") == '"Ł\\ud800"'
