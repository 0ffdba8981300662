"""Which of the messages that wait for an instance are taken together by its next turn, and which not at all."""

from typing import Any

from devhost.orchestration.instance import Instance, Message
from devhost.orchestration.task_table import COMPLETES


def next_turn(instance: Instance, at_most: int) -> list[Message]:
    """Take the messages of the next turn: one, or those that came while the turn before it was written."""
    batch: list[Message] = []
    seen: set[tuple[str, Any] | None] = set()
    while instance.inbox and len(batch) < at_most:
        message = instance.inbox[0]
        joins = instance.takes_together(message)
        if batch and not joins:
            break
        instance.inbox.popleft()
        if instance.suspended and not joins and is_task_end(message):
            instance.later.append(message)
        elif not instance.expects(message) or what_ends(message) in seen:
            message.answer(True)
        else:
            batch.append(message)
            seen |= {what_ends(message)} - {None}
            if not joins:
                break
    return batch


def is_task_end(message: Message) -> bool:
    return message.event is not None and message.event.type in COMPLETES


def what_ends(message: Message) -> tuple[str, Any] | None:
    """The task that a message says the end of, so that one turn does not hear it twice."""
    event = message.event
    if event is not None and message.is_answer:
        return event.type, event.fields["Name"]
    if event is None or event.type not in COMPLETES:
        return None
    return COMPLETES[event.type], event.fields[COMPLETES[event.type]]
