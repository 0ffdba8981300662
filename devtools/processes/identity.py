"""Which process a number means: the system gives a number again once its process is gone."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

from devtools.places import LINUX


def begun(pid: int) -> str | None:
    """When the process of that number began, in the system's own notation; None when there is no such process."""
    if sys.platform == "win32":
        return _begun_on_windows(pid)
    if LINUX:
        return _begun_on_linux(pid)
    told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip() or None


def _begun_on_linux(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()  # ticks are counted from the boot
    return None if fields[0] in "ZX" else f"{boot} {fields[19]}"


def _begun_on_windows(pid: int) -> str | None:
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(0x1000, False, pid))  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return None
    times = [ctypes.c_uint64() for _ in range(4)]
    known = kernel.GetProcessTimes(handle, *map(ctypes.byref, times))
    kernel.CloseHandle(handle)
    still_running = known and times[1].value == 0  # the time it ended
    return str(times[0].value) if still_running else None
