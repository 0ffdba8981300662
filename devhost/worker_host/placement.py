"""Chooses the worker of a call: the one in which the execution is warm, else the least busy one.

Calls spread evenly: a call goes to the worker with the fewest unanswered calls, and among equals to the one that was
chosen longest ago. A turn of an execution goes to the worker with its extended session. So does the activity whose end
causes the next turn, unless that worker is much busier than another.

A turn that resumes an execution goes to the worker of its last turn or to none, because another worker may still have
an older session of the execution.
"""

from collections import OrderedDict
from typing import Any

from devhost.worker_host.worker import Worker
from devhost.worker_protocol import MAX_SESSIONS

UNEVEN = 4

Header = dict[str, Any]


class Placement:
    """The workers that serve, the one that was chosen longest ago first.

    `apart` is the worker that runs a call in quarantine: it gets no other calls if there is another worker.
    """

    def __init__(self) -> None:
        self.serving: list[Worker] = []
        self.apart: Worker | None = None
        self._warm: OrderedDict[str, Worker] = OrderedDict()

    def add(self, worker: Worker) -> None:
        self.serving.append(worker)

    def remove(self, worker: Worker) -> None:
        """Remove a worker, if it is listed."""
        if worker in self.serving:
            self.serving.remove(worker)
            self._warm = OrderedDict((session, each) for session, each in self._warm.items() if each is not worker)

    def choose(self, call: Header) -> tuple[Worker | None, Header]:
        """The worker of a call, and the header to send. None: the execution of the turn is warm in no worker.

        At least one worker must serve.
        """
        if call["kind"] == "resume_session":
            worker = self._warm_for(call["session"])
        elif "then" in call:
            worker, call = self._of_activity(call)
        else:
            worker = self.least_busy()
        if call["kind"] == "start_session" and worker:
            self.keep_warm(call["session"], worker)
        if worker:
            self._was_chosen(worker)
        return worker, call

    def _of_activity(self, call: Header) -> tuple[Worker, Header]:
        """The worker of an activity that a turn follows. A worker without the warm execution cannot run that turn."""
        warm, other = self._warm_for(call["then"]["session"]), self.least_busy()
        if warm and len(warm.waiting) <= 2 * len(other.waiting) + UNEVEN:
            return warm, call
        return other, {key: value for key, value in call.items() if key != "then"}

    def least_busy(self) -> Worker:
        free = [each for each in self.serving if each is not self.apart and not each.outlived] or self.serving
        return min(free, key=lambda each: len(each.waiting))

    def _was_chosen(self, worker: Worker) -> None:
        self.serving.remove(worker)
        self.serving.append(worker)

    def keep_warm(self, session: str, worker: Worker) -> None:
        """Note that the execution is warm in this worker. As many notes are kept as the workers keep sessions."""
        self._warm[session] = worker
        self._warm.move_to_end(session)
        if len(self._warm) > MAX_SESSIONS * len(self.serving):
            self._warm.popitem(last=False)

    def _warm_for(self, session: str) -> Worker | None:
        if session in self._warm:
            self._warm.move_to_end(session)
        return self._warm.get(session)
