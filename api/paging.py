"""The query parameters of every paged list."""

from __future__ import annotations

import re

import azure.functions as func

from api.problems import field_problem

PARAMETERS = ("top", "continuation")
MAX_PAGE = 100


def top(req: func.HttpRequest, default: int) -> int:
    """The size of the page. Raises Problem 400."""
    text = req.params.get("top") or str(default)
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MAX_PAGE:
        raise field_problem("top", f"must be a whole number from 1 to {MAX_PAGE}")
    return int(text)


def continuation(req: func.HttpRequest, pattern: str) -> str | None:
    """The continuation of the page before. Raises Problem 400 if it does not match the pattern."""
    token = req.params.get("continuation") or None
    if token is not None and not re.fullmatch(pattern, token):
        raise field_problem("continuation", "must be one that an earlier page gave")
    return token
