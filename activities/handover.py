"""What one activity leaves to the next: the state of the record, and the notes that are still to be written.

A step's first attempt may ask a record that this process remembers instead of reading it, if it is in exactly the state
in which the activity before it left it (`current`). That may be out of date in one way only: somebody has changed the
record since. What is never taken back may be believed even so: a cancel, an undo, an end. Everything else that a step
decides is decided again by the write that its ETag guards, or is refused by the tombstone of its undo; each activity
says which. A retry, an undo and `close_order` read.
"""

from __future__ import annotations

from typing import Protocol

from models.messages import CloseTask, Left, Note, StepTask, UndoTask
from models.order_record import OrderRecord


class OrderReader(Protocol):
    def read(self, order_id: str) -> OrderRecord: ...

    def recall(self, order_id: str, etag: str) -> OrderRecord | None:
        """The record as this process remembers it, if that is exactly the state of this ETag: a guess."""


def current(task: StepTask, orders: OrderReader) -> OrderRecord:
    """The record as the activity before left it, remembered if it can be; read for a retry."""
    etag = task.left.etag if task.left else None
    remembered = orders.recall(task.order_id, etag) if etag else None
    return remembered or orders.read(task.order_id)


def as_retried(task: StepTask) -> StepTask:
    """The same task without its guess: it reads."""
    return task.model_copy(update={"left": task.left.for_a_retry() if task.left else None})


def is_first_attempt(task: StepTask | CloseTask) -> bool:
    """Whether the saga gave it a guess: it gives none to a retry."""
    return task.left is not None and task.left.etag is not None


def notes(task: StepTask | CloseTask) -> tuple[Note, ...]:
    """What the activities before have left to write."""
    return task.left.notes if task.left else ()


def leaves_notes(task: StepTask) -> bool:
    """False for an order of a saga that does not carry them: the activity writes its own facts at once."""
    return task.left is not None


def left(task: StepTask, order: OrderRecord, *notes: Note) -> Left | None:
    """For the outcome: the state in which the record is left, and what it does not say yet."""
    return Left(etag=order.etag, notes=notes) if leaves_notes(task) else None


def left_by_undo(task: UndoTask, *notes: Note) -> Left | None:
    """For the outcome of an undo, which has written what was left to it. No ETag: what follows reads."""
    return Left(notes=notes) if leaves_notes(task) else None
