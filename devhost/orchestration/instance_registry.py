"""The instances in memory, by id, and the tasks that process them.

Senders post messages to an instance here and do not know what processes it: the loop of instance_loop.py does.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from devhost.execution.instance import Instance
from devhost.execution.messages import Message


class InstanceRegistry:
    def __init__(self) -> None:
        self._instances: dict[str, Instance] = {}
        self._process: Callable[[Instance], Coroutine[Any, Any, None]] | None = None
        self._work: set[asyncio.Task[None]] = set()

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._instances

    def __iter__(self) -> Iterator[Instance]:
        return iter(list(self._instances.values()))

    def get(self, instance_id: str) -> Instance | None:
        return self._instances.get(instance_id)

    def add(self, instance: Instance) -> None:
        """Keep an instance, in place of another with its id."""
        self._instances[instance.id] = instance

    def remove(self, instance: Instance) -> None:
        """Drop an instance, unless another with its id has taken its place."""
        if self._instances.get(instance.id) is instance:
            del self._instances[instance.id]

    def post(self, instance: Instance, message: Message) -> None:
        """Put a message into an instance's inbox."""
        instance.inbox.append(message)
        self.wake(instance)

    def start(self, process: Callable[[Instance], Coroutine[Any, Any, None]]) -> None:
        """From now on an instance that wakes is processed in a task of its own."""
        self._process = process

    def wake(self, instance: Instance) -> None:
        """Have an instance processed, unless it is already."""
        assert self._process is not None
        if instance.idle.is_set():
            instance.idle.clear()
            self.spawn(self._process(instance))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def cancel_work(self) -> None:
        for task in self._work:
            task.cancel()
