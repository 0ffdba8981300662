"""CPU of the host by part (`--cpu`): samples of its stack, one for each few milliseconds of CPU.

The loop runs everything in one thread, so the innermost frame of a part's module names the part that is at work.
Rejected: a profiler that counts calls (it makes small functions look dear), and timing each callback of the loop (one
callback runs through several parts).
"""

import signal
import time
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.002  # at most once a tick of the kernel's clock: the samples are shares of the whole CPU time
PARTS = {
    "storage": "storage",
    "HTTP": "http",
    "worker host": "worker_host",
    "turns": "orchestration entities history",
}
PART_OF = {room: part for part, rooms in PARTS.items() for room in rooms.split()}


class CpuAccount:
    """Counts from `begin` on. Works in the main thread only, and not on Windows, which has no such timer."""

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
    """The part of devhost that a stack belongs to."""
    while frame:
        path = Path(frame.f_code.co_filename)
        if "aiohttp" in path.parts:
            return "HTTP"
        if path.parent.parent.name == "devhost" and path.parent.name in PART_OF:
            return PART_OF[path.parent.name]
        frame = frame.f_back
    return "loop"
