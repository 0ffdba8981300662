"""The requests of orchestrations to entities: sent in order, sent again after a crash, and flushed before their history
is gone.

The EventSent of a request is stored before the request is sent. As long as a restart reads that history, a crash loses
no request: all are sent again, and the entity knows which of them it has taken. A restart reads the history no more
once the row says that the instance has ended, or once a new generation is written over it. Before that, every request
must be stored by its entity. Then the row, or the new generation, is the receipt.
"""

import asyncio
import json
from typing import Any

from devhost.entities.dispatcher import EntityDispatcher
from devhost.entities.scheduler import EntityResponse, Request, Sender, failed_response, request_of
from devhost.execution.actions import SIGNAL, Task
from devhost.execution.instance import Execution, Instance
from devhost.execution.messages import Receipt, TaskEnd
from devhost.history.builders import now
from devhost.history.events import Event, compact_json
from devhost.orchestration.instance_registry import InstanceRegistry

LOST = "The orchestration had failed before this call was answered, and was rewound; nobody knows what it did."


def message_of(instance: Instance, task: Task) -> str:
    """The message of a newly numbered call or signal."""
    sender = Sender(instance.id, instance.execution.id, task.id)
    request = request_of(sender, task.action["operation"], task.input, task.kind == SIGNAL)
    return compact_json(request.to_json())


class EntityOutbox:
    """The senders' side of requests to entities."""

    def __init__(self, entities: EntityDispatcher) -> None:
        self._entities = entities

    def send(self, instance: Instance, events: list[Event]) -> None:
        """Send the requests of these stored events."""
        for event in events:
            if event.type == "EventSent":
                self._send(instance, event, _request(event))

    def send_again(self, instance: Instance, events: list[Event]) -> list[Event]:
        """Send the unanswered requests of a history that was read; returns the answers to calls that are lost.

        The requests of an instance were flushed when it failed. After a rewind its signals need not be sent again, and
        its calls must not: the entity has dropped their entries.
        """
        answered = {event.fields["Name"] for event in events if event.type == "EventRaised"}
        flushed = max((index for index, event in enumerate(events) if _is_rewound_end(event)), default=-1)
        lost = []
        for index, event in enumerate(events):
            if event.type != "EventSent":
                continue
            instance.execution.entities.add(event.fields["InstanceId"])
            request = _request(event)
            if request.id in answered:
                continue
            if index > flushed:
                self._send(instance, event, request)
            elif not request.is_signal:
                lost.append(answer_event(request.id, failed_response(LOST)))
        return lost

    async def flush(self, instance: Instance) -> None:
        """Wait until entities have stored all requests of the instance."""
        while instance.outgoing:
            await asyncio.wait(list(instance.outgoing.values()))

    def end(self, execution: Execution) -> None:
        """Have entities drop their entries of an execution whose end is stored."""
        self._entities.forget(execution.id, execution.entities)

    def _send(self, instance: Instance, event: Event, request: Request) -> None:
        """Send a request that is not under way yet: the entity may drop a sender only when none of its requests is."""
        instance.execution.entities.add(event.fields["InstanceId"])
        if request.id in instance.outgoing:
            return
        stored = self._entities.send(event.fields["InstanceId"], request)
        instance.outgoing[request.id] = stored
        stored.add_done_callback(lambda _: instance.outgoing.pop(request.id, None))


def deliver(registry: InstanceRegistry, answer: EntityResponse) -> Receipt | None:
    """Send an entity's answer to its caller; done when it is stored or too late. None: the caller is not in memory."""
    instance = registry.get(answer.sender.instance_id)
    if instance is None or instance.execution.id != answer.sender.execution_id:
        return None
    receipt: Receipt = asyncio.get_running_loop().create_future()
    event = answer_event(answer.request_id, answer.response)
    registry.post(instance, TaskEnd(event, instance.execution.id, receipt))
    return receipt


def answer_event(request_id: str, response: dict[str, Any]) -> Event:
    """The answer for a caller: an event that has the id of its request as its name."""
    return Event("EventRaised", now(), fields={"Name": request_id, "Input": compact_json(response)})


def _request(event: Event) -> Request:
    return Request.from_json(json.loads(event.fields["Input"]))


def _is_rewound_end(event: Event) -> bool:
    return event.type == "GenericEvent" and event.fields.get("Reason") == "Rewound: ExecutionCompleted"
