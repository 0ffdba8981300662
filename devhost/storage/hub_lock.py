"""One devhost for a task hub on this machine, by a lock of the operating system.

The kernel drops the lock however the process dies. A lease in storage would have to expire first, and a restart after
a crash would wait for it.
"""

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import IO


class HubTaken(Exception):
    """Another devhost serves the hub, or another user's has served it, or the lock cannot be made."""


def lock_hub(account_endpoint: str, hub: str) -> IO[str]:
    """The open, locked file: closing it releases the lock. Raises HubTaken."""
    name = hashlib.sha256(f"{account_endpoint}|{hub.lower()}".encode()).hexdigest()[:20]
    path = Path(tempfile.gettempdir()) / f"devhost-{name}.lock"
    try:
        file = path.open("a+", encoding="utf-8")
    except PermissionError as fault:
        raise HubTaken(f"The lock of the task hub '{hub}', {path}, is another user's on this machine.") from fault
    except OSError as fault:
        reason = f"({fault.strerror}): mend that, or set TMPDIR to another folder."
        raise HubTaken(f"The lock of the task hub '{hub}', {path}, cannot be made {reason}") from fault
    try:
        _lock(file)
    except OSError as fault:
        file.close()
        raise HubTaken(f"Another devhost already serves the task hub '{hub}' of this storage account.") from fault
    return file


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
