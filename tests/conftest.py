"""Fixtures that every test room shares: real servers, started once a session on ports of their own.

Nothing here stands in for anything: Azurite and the sandbox are the processes that `dev.py start` runs.
"""

from __future__ import annotations
