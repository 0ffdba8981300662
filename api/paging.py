"""The parameters of every paged list."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

PARAMETERS = ("top", "continuation")
MAX_PAGE = 100


def _page_size(text: object) -> object:
    """A number is what a route has by default."""
    if isinstance(text, str):
        if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MAX_PAGE:
            raise ValueError(f"must be a whole number from 1 to {MAX_PAGE}")
        return int(text)
    return text


def continuation_of(pattern: str) -> AfterValidator:
    """The rule that a continuation has this pattern, as one has that an earlier page gave."""

    def checked(token: str | None) -> str | None:
        if token is not None and not re.fullmatch(pattern, token):
            raise ValueError("must be one that an earlier page gave")
        return token

    return AfterValidator(checked)


Top = Annotated[int, BeforeValidator(_page_size)]


class Query(BaseModel):
    """The parameters of a route, read by `api.problems.read_query`."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)
