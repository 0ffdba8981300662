"""The processes of `start`."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools.places import Word
from devtools.printing import say
from devtools.processes.files import last_line, replace_text
from devtools.processes.identity import start_time
from devtools.processes.programs import end, launch, manner_of_end
from devtools.processes.signals import pause, wait_until
from devtools.product.left_overs import left_overs_of
from devtools.trouble import Trouble


@dataclass
class Child:
    """One process of the product. `grace` is how many seconds it has to stop."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_offset: int
    grace: float


class Children:
    """The processes of `start`: started in order, watched, stopped in the opposite order."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._running: list[Child] = []

    def start(
        self, name: str, command: Sequence[Word], environment: Mapping[str, str], death: int, grace: float = 15
    ) -> None:
        log = self._data / "logs" / f"{name}.log"
        offset = log.stat().st_size if log.exists() else 0
        process = launch(command, log, environment, death=death)
        self._running.append(Child(name, process, log, offset, grace))
        self._note()

    def wait_for(self, name: str, ready: Callable[[], bool], patience: float = 60) -> None:
        def ready_or_ended() -> bool:
            self.refuse_an_end()
            return ready()

        if not wait_until(ready_or_ended, patience):
            child = next(child for child in self._running if child.name == name)
            raise Trouble(
                f"{name} was not ready after {patience:.0f} s; its last line: {self._last_line(child)} ({child.log})."
            )

    def refuse_an_end(self) -> None:
        """Raises Trouble if a process has ended by itself, with its name and its last line."""
        for child in self._running:
            if child.process.poll() is not None:
                manner = manner_of_end(child.process)
                raise Trouble(
                    f"{child.name} ended by itself ({manner}), so everything was stopped. "
                    f"Its last line: {self._last_line(child)} (all of them: {child.log})."
                )

    def watch(self, news: Callable[[], Iterable[str]] = list, look: Callable[[], None] = lambda: None) -> None:
        """Watch until a process ends or a signal arrives; each raises. Prints the news meanwhile."""
        while True:
            look()
            for line in news():
                say(line)
            self.refuse_an_end()
            pause(0.1)

    def pids(self) -> dict[str, int]:
        return {child.name: child.process.pid for child in self._running}

    def stop(self) -> None:
        while self._running:
            child = self._running[-1]
            if not end(child.process, child.grace):
                say(f"{child.name} did not stop within {child.grace:.0f} s and was killed.")
            self._running.pop()
            # On a full disk the older note stays. It names processes that are gone, and so ends none.
            with contextlib.suppress(OSError):
                self._note()

    def _note(self) -> None:
        """Write the note of running processes, for the next start if this one is killed."""
        running = [[child.name, child.process.pid, start_time(child.process.pid)] for child in self._running]
        replace_text(left_overs_of(self._data), json.dumps(running))

    @staticmethod
    def _last_line(child: Child) -> str:
        return last_line(child.log, child.log_offset) or "none"
