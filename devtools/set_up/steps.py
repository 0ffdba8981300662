"""Runs the steps of an installation side by side: npm waits for its disk while pip works."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from devtools.places import DATA, ROOT, Word
from devtools.printing import say
from devtools.processes.files import last_line, replace_text
from devtools.processes.lock import lock
from devtools.processes.programs import end, launch, manner_of_end
from devtools.processes.signals import Interrupted, wait_until
from devtools.trouble import Trouble


@dataclass(frozen=True)
class Step:
    """One installation into the folder of its stamp. It is skipped if the stamp has the fingerprint of its sources."""

    name: str
    log: Path
    stamp: Path
    fingerprint: Callable[[], str]
    install: Callable[[], None]
    # A step that installs all of this and more.
    held_by: Step | None = None

    def is_done(self) -> bool:
        if self.held_by is not None and self.held_by.is_done():
            return True
        try:
            return self.stamp.read_text(errors="replace") == self.fingerprint()
        except (FileNotFoundError, IsADirectoryError, PermissionError):
            return False

    def do(self) -> None:
        with alone_in(self.stamp.parent):
            if not self.is_done():  # another process may have done it meanwhile
                self._do()

    def _do(self) -> None:
        say(f"Set-up: installing {self.name}; the log is {self.log}")
        since = time.monotonic()
        self.install()
        replace_text(self.stamp, self.fingerprint())
        say(f"Set-up: {self.name} installed in {time.monotonic() - since:.0f} s")


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One writer at a time, of all threads and processes: two would disturb each other. Not for nesting."""
    with lock(DATA / f"set-up-{folder.name}.lock", patience=900) as mine:
        if not mine:
            raise Trouble(f"Another set-up of {folder.name} has been running for 15 minutes: stop it and try again.")
        yield


def set_up(*steps: Step) -> None:
    undone = [step for step in steps if not step.is_done()]
    if not undone:
        return
    with ThreadPoolExecutor() as side_by_side:
        for doing in [side_by_side.submit(step.do) for step in undone]:
            doing.result()


def run_logged(
    task: str, command: Sequence[Word], environment: Mapping[str, str], log: Path, *, cwd: Path = ROOT, advice: str = ""
) -> None:
    """Run a program to its end. Its output goes to the log. If it fails, the message names the log, then `advice`."""
    process = launch(command, log, environment, cwd)
    since = time.monotonic()
    try:
        while not wait_until(lambda: process.poll() is not None, patience=15):
            line = last_line(log)[:100]
            say(f"{task}: still busy after {time.monotonic() - since:.0f} s{': ' if line else ''}{line}")
    except Interrupted:
        end(process, patience=5)
        raise
    if process.returncode:
        raise Trouble(f"{task} failed ({manner_of_end(process)}): {last_line(log)} (its whole output: {log}).{advice}")


def fingerprint_of(*parts: Path | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
    return digest.hexdigest()
