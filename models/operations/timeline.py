"""The timeline of an order: from its Durable history, which may be gone, and its audit trail, which stays.

Pure. The history is what the durable client's `get_status` returns with `show_history` and `show_history_output`: one
entry for each attempt of an activity, whose result is one of `models.messages`. It holds no personal data.

An attempt is drawn from its start to its end. The time between two attempts is a wait: for the next retry, for a
decision, or for an operator.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from models.order_record import OrderRecord
from models.states import (
    CANCEL_SHIPMENT,
    CLOSE_ORDER,
    COMPENSATION_NAMES,
    CREATE_SHIPMENT,
    OPERATIONS,
    PROCESS_PAYMENT,
    REFUND_PAYMENT,
    UNDOES,
)

Entry = Mapping[str, Any]
SCHEDULED, COMPLETED, FAILED, TIMER = "TaskScheduled", "TaskCompleted", "TaskFailed", "TimerCreated"

# A refund is an effect of its own at the provider; the other undos are known by the operation that they undo.
EFFECT_KEYS = {REFUND_PAYMENT: "refund"}


class Attempt(NamedTuple):
    """One call of an activity. `ended_at` and `result` are None while it runs.

    `result` is the kind of its outcome, or `failed` for one that raised; `reason` says why a step was refused.
    """

    activity: str
    path: str
    number: int
    started_at: datetime
    ended_at: datetime | None
    result: str | None
    reason: str | None = None


class Wait(NamedTuple):
    """`reason`: retry, approval or operator. `until` is None while it lasts."""

    reason: str
    activity: str
    since: datetime
    until: datetime | None


class Due(NamedTuple):
    """What happens next without a person: a `retry`, the `deadline` of an attempt, or the end of an `approval`."""

    what: str
    at: datetime


def attempts(history: Iterable[Entry]) -> list[Attempt]:
    """The attempts in the order of their starts. An entry that lacks a part of an attempt is left out."""
    ordered = sorted(filter(None, map(_attempt, history)), key=lambda attempt: attempt.started_at)
    counts: dict[str, int] = {}
    numbered = []
    for attempt in ordered:
        counts[attempt.activity] = counts.get(attempt.activity, 0) + 1
        numbered.append(attempt._replace(number=counts[attempt.activity]))
    return numbered


def _attempt(entry: Entry) -> Attempt | None:
    kind, name = entry.get("EventType"), entry.get("FunctionName") or entry.get("Name")
    started, ended = time_of(entry.get("ScheduledTime")), time_of(entry.get("Timestamp"))
    if kind == SCHEDULED and name and ended:  # it has not ended: its one time is that of its start
        return Attempt(str(name), _path(str(name)), 0, ended, None, None)
    if kind not in {COMPLETED, FAILED} or not name or not started:
        return None
    result, reason = ("failed", None) if kind == FAILED else _outcome(entry.get("Result"))
    return Attempt(str(name), _path(str(name)), 0, started, ended, result, reason)


def _path(activity: str) -> str:
    return "undo" if activity in COMPENSATION_NAMES else "close" if activity == CLOSE_ORDER else "step"


def _outcome(result: object) -> tuple[str, str | None]:
    """(kind, reason). For a closing the reason is the state in which it left the order."""
    if isinstance(result, str):
        try:
            result = json.loads(result)
        except ValueError:
            return "done", None
    if not isinstance(result, dict):
        return "done", None
    kind, outcome = str(result.get("kind", "done")), result.get("outcome")
    if kind == "final" and isinstance(outcome, dict):
        return "done", str(outcome.get("status"))
    reason = result.get("decline_code") or result.get("reason")
    return kind, str(reason) if reason else None


def waits(record: OrderRecord, done: Sequence[Attempt]) -> list[Wait]:
    """The waits between the attempts, and the current one."""
    pauses = []
    for before, after in zip(done, [*done[1:], None], strict=False):
        reason = _waits_after(before)
        if reason is None or before.ended_at is None or (after is None and record.is_final):
            continue
        until = after.started_at if after else None
        if until is None or until > before.ended_at:
            pauses.append(Wait(reason, before.activity, before.ended_at, until))
    return pauses


def _waits_after(attempt: Attempt) -> str | None:
    if attempt.activity == CLOSE_ORDER:
        return "operator" if attempt.reason == "needs_attention" else None
    return {"waiting": "approval", "failed": "retry", "unknown": "retry"}.get(attempt.result or "")


def due(record: OrderRecord, history: Sequence[Entry], done: Sequence[Attempt], now: datetime) -> Due | None:
    """What happens next without a person. None: nothing, or the history is gone."""
    if record.is_final or record.state == "needs_attention":
        return None
    if record.state == "awaiting_approval" and record.approval is not None:
        return Due("approval", record.approval.deadline)
    coming = [at for entry in history if entry.get("EventType") == TIMER and (at := time_of(entry.get("FireAt")))]
    running = any(attempt.ended_at is None for attempt in done)
    if not coming or coming[-1] < now:
        return None
    return Due("deadline" if running else "retry", coming[-1])


def references(record: OrderRecord) -> dict[str, dict[str, str]]:
    """By activity: the provider's reference of its effect, and the key under which the effect is done once."""
    known = {
        PROCESS_PAYMENT: record.payment_intent_id,
        REFUND_PAYMENT: record.refund_id,
        CREATE_SHIPMENT: record.tracking_number,
        CANCEL_SHIPMENT: record.tracking_number,
    }
    by_activity: dict[str, dict[str, str]] = {}
    for activity in [*OPERATIONS, *COMPENSATION_NAMES]:
        operation = EFFECT_KEYS.get(activity) or OPERATIONS[UNDOES.get(activity, activity)]
        by_activity[activity] = {"key": f"{record.order_id}:{operation}"}
        if reference := known.get(activity):
            by_activity[activity]["reference"] = reference
    return by_activity


def time_of(text: object) -> datetime | None:
    """A time of the history. The extension writes up to seven digits of a second; Python reads six."""
    if isinstance(text, datetime):
        return text.astimezone(UTC)
    if not isinstance(text, str):
        return None
    try:
        whole, _, fraction = text.removesuffix("Z").partition(".")
        return datetime.fromisoformat(f"{whole}.{(fraction or '0')[:6]:0<6}").replace(tzinfo=UTC)
    except ValueError:
        return None


def as_json(timeline: Iterable[NamedTuple]) -> Iterator[dict[str, Any]]:
    for part in timeline:
        yield {name: shown(value) if isinstance(value, datetime) else value for name, value in part._asdict().items()}


def shown(at: datetime | None) -> str | None:
    """ISO 8601, UTC, with milliseconds: a step may take less than a second."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
