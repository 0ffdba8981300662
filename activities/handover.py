"""What one activity leaves to the next: the state of the record, and the notes that are not written yet.

The first attempt of a step may use a record that this process remembers, instead of reading it. The remembered record
must be in exactly the state in which the activity before left it (`current`). It is out of date if another writer has
changed the record since. A cancel, an undo or an end that it shows is true all the same, because none of these is ever
taken back. Every other decision is checked again: by the ETag that guards the step's write, or by the tombstone of its
undo. Each activity says by which. A retry, an undo and `close_order` read the record.
"""

from __future__ import annotations

from typing import Protocol

from models.messages import CloseTask, Left, Note, StepTask, UndoTask
from models.order_record import OrderRecord


class OrderReader(Protocol):
    def read(self, order_id: str) -> OrderRecord: ...

    def recall(self, order_id: str, etag: str) -> OrderRecord | None:
        """The record in memory, if it is in exactly the state of this ETag. It is a guess: it may be out of date."""


def current(task: StepTask, orders: OrderReader) -> OrderRecord:
    """The record as the activity before left it, from memory if possible. A retry reads it."""
    etag = task.left.etag if task.left else None
    remembered = orders.recall(task.order_id, etag) if etag else None
    return remembered or orders.read(task.order_id)


def as_retried(task: StepTask) -> StepTask:
    """The same task without an ETag, so that it reads the record."""
    return task.model_copy(update={"left": task.left.for_a_retry() if task.left else None})


def is_first_attempt(task: StepTask | CloseTask) -> bool:
    """Whether the saga passed an ETag with the task. It passes none to a retry."""
    return task.left is not None and task.left.etag is not None


def notes(task: StepTask | CloseTask) -> tuple[Note, ...]:
    """The notes of earlier activities, which are not written yet."""
    return task.left.notes if task.left else ()


def leaves_notes(task: StepTask) -> bool:
    """False for a version of the saga without notes: the activity then writes its own facts at once."""
    return task.left is not None


def left(task: StepTask, order: OrderRecord, *notes: Note) -> Left | None:
    """For the outcome of a step: the ETag of the record, and the notes that it does not have yet."""
    return Left(etag=order.etag, notes=notes) if leaves_notes(task) else None


def left_by_undo(task: UndoTask, *notes: Note) -> Left | None:
    """For the outcome of an undo, which has written the earlier notes. Without an ETag: the next activity reads."""
    return Left(notes=notes) if leaves_notes(task) else None
