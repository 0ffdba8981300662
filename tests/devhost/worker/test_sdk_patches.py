"""The patches of the SDK: each finds its place, and parses times as the SDK does."""

import importlib
from datetime import UTC, datetime

import pytest
from azure.durable_functions.models.history.HistoryEvent import dt_parse
from hypothesis import given
from hypothesis import strategies as st

from devhost.history.events import iso_time
from devhost.worker.sdk_patches import PATCHES, quick_parse


@given(st.datetimes(min_value=datetime(1970, 1, 1)))
def test_a_quick_time_is_the_sdks(moment: datetime) -> None:
    text = iso_time(moment.replace(tzinfo=UTC))
    parsed, wanted = quick_parse(dt_parse)(text), dt_parse(text)
    assert (parsed, repr(parsed)) == (wanted, repr(wanted))


@pytest.mark.parametrize(("module", "name"), [patch[:2] for patch in PATCHES])
def test_each_patch_of_the_sdk_finds_its_place(module: str, name: str) -> None:
    assert callable(getattr(importlib.import_module(module), name))


def test_other_times_are_left_to_the_sdks_parser() -> None:
    for text in ("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00+02:00", "2026-01-01"):
        assert repr(quick_parse(dt_parse)(text)) == repr(dt_parse(text))
