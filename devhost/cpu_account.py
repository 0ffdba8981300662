"""Where the host's CPU goes: samples of its own stack, taken each time it has used a few milliseconds more (`--cpu`).

The loop runs everything in one thread, so the innermost frame of a module that belongs to a part says whose work it is.
Rejected: a profiler that counts calls (it makes small functions look dear), and timing each callback of the loop (one
callback runs through several parts).
"""

import signal
import time
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.002  # no more often than the kernel's clock ticks: the samples are shares of what it took in all
PARTS = {
    "storage": "storage",
    "HTTP": "http",
    "worker host": "worker_host",
    "turns": "orchestration entities history",
}
PART_OF = {room: part for part, rooms in PARTS.items() for room in rooms.split()}


class CpuAccount:
    """Counts from `begin` on. Only for the main thread, and not on Windows, which has no such timer."""

    def __init__(self) -> None:
        self._samples: Counter[str] = Counter()
        self._started_s = 0.0

    def begin(self) -> None:
        self._started_s = time.process_time()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def end(self) -> dict[str, float]:
        """Seconds of CPU by part."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        taken_s = time.process_time() - self._started_s
        return {part: count / self._samples.total() * taken_s for part, count in self._samples.items()}

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        self._samples[part_of(frame)] += 1


def part_of(frame: FrameType | None) -> str:
    """The part that a stack is at work for."""
    while frame:
        path = Path(frame.f_code.co_filename)
        if "aiohttp" in path.parts:
            return "HTTP"
        if path.parent.parent.name == "devhost" and path.parent.name in PART_OF:
            return PART_OF[path.parent.name]
        frame = frame.f_back
    return "loop"
