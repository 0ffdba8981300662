"""The rules of entities, pure: no clock, no storage, no process.

An entity is an orchestration that never ends. Its input is its scheduler's state, and each batch of operations begins a
new generation with the next state. `Scheduler` is that state. Four rules make each operation happen exactly once:

1. A request is stored, as an EventRaised in the entity's history, before it is acknowledged to its sender.
2. The new state of a batch, the answers to its calls and the requests that still wait are one text, written by one
   transaction. So an operation is applied if and only if its answer is kept.
3. Of each execution that sends to it, the entity knows the highest sequence id that it has taken. Senders send in the
   order of these ids, and after a crash they send unacknowledged requests again. An id that is not higher is dropped.
4. An answer is kept until the history of its caller has it. A repeated call gets the kept answer.

Rejected: the provider's sorter of messages by time stamps and predecessors within a window of thirty minutes. With one
host and ordered senders, a number does the same without the window.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, uuid5

from devhost.history.events import compact_json

EMPTY_KEY = "$"
MAX_ENTITY_KEY = 400


class EntityId(NamedTuple):
    """Names compare without case, keys with case."""

    name: str
    key: str

    def __str__(self) -> str:
        return f"@{self.name.lower()}@{self.key}"

    @classmethod
    def parse(cls, instance_id: str) -> "EntityId":
        """The entity of an instance id `@name@key`."""
        _, name, key = instance_id.split("@", 2)
        return cls(name, key)


class Sender(NamedTuple):
    """The sender of a request: an execution of an orchestration, and the sequence id of its EventSent."""

    instance_id: str
    execution_id: str
    number: int


@dataclass(frozen=True)
class Request:
    """One requested operation. `input` is the JSON text that the entity's code gets; None without an input.

    `sender` is None for a signal of a client.
    """

    id: str
    operation: str
    input: str | None
    is_signal: bool
    sender: Sender | None = None

    def to_json(self) -> dict[str, Any]:
        """The extension's RequestMessage, and `sequence`."""
        cells: dict[str, Any] = {"op": self.operation, "id": self.id}
        if self.is_signal:
            cells["signal"] = True
        if self.input is not None:
            cells["input"] = self.input
        if self.sender:
            instance_id, execution_id, number = self.sender
            cells |= {"parent": instance_id, "parentExecution": execution_id, "sequence": number}
        return cells

    @classmethod
    def from_json(cls, cells: dict[str, Any]) -> "Request":
        sender = None
        if "parent" in cells:
            sender = Sender(cells["parent"], cells["parentExecution"], cells["sequence"])
        return cls(cells["id"], cells["op"], cells.get("input"), cells.get("signal", False), sender)


def request_of(sender: Sender, operation: str, body: str | None, is_signal: bool) -> Request:
    """The request of an orchestrator's action; `body` is the SDK's JSON text, which travels as a JSON string."""
    name = f"{sender.execution_id}:{sender.number}"
    return Request(str(uuid5(NAMESPACE_OID, name)), operation, compact_json(body), is_signal, sender)


@dataclass(frozen=True)
class EntityResponse:
    """The outcome of a call, for its caller. `response` is the extension's ResponseMessage."""

    request_id: str
    sender: Sender
    response: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"id": self.request_id, "to": list(self.sender), "response": self.response}

    @classmethod
    def from_json(cls, cells: dict[str, Any]) -> "EntityResponse":
        return cls(cells["id"], Sender(*cells["to"]), cells["response"])


class Outcome(NamedTuple):
    """The outcome of a batch: whether the entity exists after it, its state, and a result for each operation."""

    exists: bool
    state: str | None
    results: list[dict[str, Any]]


@dataclass(frozen=True)
class Scheduler:
    """The durable state of an entity, as an immutable value.

    `state` is JSON text. `taken` holds the last request of each execution that may send again. `answers` are the
    answers that their callers have not stored yet, by the id of the request.
    """

    exists: bool = False
    state: str | None = None
    queue: tuple[Request, ...] = ()
    taken: dict[str, Sender] = field(default_factory=dict)
    answers: dict[str, EntityResponse] = field(default_factory=dict)

    def taking(self, requests: Iterable[Request]) -> "Scheduler":
        """The state with the requests in its queue; requests that it has taken before are left out."""
        queue, taken = list(self.queue), dict(self.taken)
        for request in requests:
            sender = request.sender
            if sender and sender.execution_id in taken and sender.number <= taken[sender.execution_id].number:
                continue
            queue.append(request)
            if sender:
                taken[sender.execution_id] = sender
        return replace(self, queue=tuple(queue), taken=taken)

    def after(self, outcome: Outcome) -> "Scheduler":
        """The state after the first operations of the queue, one for each result; answers are kept."""
        count, answers = len(outcome.results), dict(self.answers)
        for request, result in zip(self.queue[:count], outcome.results, strict=True):
            if request.sender and not request.is_signal:
                answers[request.id] = EntityResponse(request.id, request.sender, _response(result))
        return Scheduler(outcome.exists, outcome.state, self.queue[count:], self.taken, answers)

    def without_answer(self, request_id: str) -> "Scheduler":
        """The state once the caller's history has the answer."""
        return replace(self, answers={key: each for key, each in self.answers.items() if key != request_id})

    @property
    def senders(self) -> set[Sender]:
        """One request of each execution that the state knows."""
        queued = (request.sender for request in self.queue if request.sender)
        answered = (answer.sender for answer in self.answers.values())
        return set({sender.execution_id: sender for sender in (*queued, *answered, *self.taken.values())}.values())

    def without_sender(self, execution_id: str) -> "Scheduler":
        """The state once an execution cannot send again and waits for nothing. Its queued requests still run."""
        taken = {key: last for key, last in self.taken.items() if key != execution_id}
        answers = {key: each for key, each in self.answers.items() if each.sender.execution_id != execution_id}
        queue = tuple(
            replace(each, sender=None) if each.sender and each.sender.execution_id == execution_id else each
            for each in self.queue
        )
        return replace(self, queue=queue, taken=taken, answers=answers)

    @property
    def text(self) -> str:
        """The scheduler state as the input of the entity's next generation."""
        cells: dict[str, Any] = {}
        if self.exists:
            cells |= {"exists": True, "state": self.state}
        if self.queue:
            cells["queue"] = [request.to_json() for request in self.queue]
        cells["sorter"] = {"taken": [list(sender) for sender in self.taken.values()]} if self.taken else {}
        if self.answers:
            cells["outbox"] = [answer.to_json() for answer in self.answers.values()]
        return compact_json(cells)

    @classmethod
    def from_text(cls, text: str | None) -> "Scheduler":
        cells: dict[str, Any] = json.loads(text) if text else {}
        senders = [Sender(*each) for each in cells.get("sorter", {}).get("taken", [])]
        answers = [EntityResponse.from_json(each) for each in cells.get("outbox", [])]
        return cls(
            cells.get("exists", False),
            cells.get("state"),
            tuple(Request.from_json(each) for each in cells.get("queue", [])),
            {sender.execution_id: sender for sender in senders},
            {answer.request_id: answer for answer in answers},
        )

    @property
    def status(self) -> str:
        """The extension's EntityStatus: a field that is left out is false or zero."""
        cells: dict[str, Any] = {"entityExists": True} if self.exists else {}
        return compact_json(cells | ({"queueSize": len(self.queue)} if self.queue else {}))


def context_of(entity: EntityId, scheduler: Scheduler, batch: tuple[Request, ...], rollback: bool) -> bytes:
    """The worker's input for a batch: the SDK's context, and whether a failed operation is rolled back."""
    operations = [
        {"name": each.operation, "input": each.input, "isSignal": each.is_signal, "id": each.id} for each in batch
    ]
    context = {
        "self": {"name": entity.name, "key": entity.key},
        "exists": scheduler.exists,
        "state": scheduler.state,
        "batch": operations,
        "rollback": rollback,
    }
    return compact_json(context).encode()


def read_outcome(body: bytes) -> Outcome:
    answer: dict[str, Any] = json.loads(body)
    return Outcome(answer["entityExists"], answer["entityState"], answer["results"])


def all_failed(scheduler: Scheduler, batch: tuple[Request, ...], text: str) -> Outcome:
    """The outcome of a batch that could not run: nothing changed, and every caller gets the failure."""
    results = [{"isError": True, "result": compact_json(text)} for _ in batch]
    return Outcome(scheduler.exists, scheduler.state, results)


def failed_response(text: str) -> dict[str, Any]:
    """The answer to a call that failed."""
    return _response({"isError": True, "result": compact_json(text)})


def _response(result: dict[str, Any]) -> dict[str, Any]:
    """A ResponseMessage as the extension writes it for an out-of-process function: a failure is its text only."""
    return {"result": result["result"], **({"exceptionType": "Error"} if result["isError"] else {})}
