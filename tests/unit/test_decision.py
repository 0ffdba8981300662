"""The body of a decision about an order that waits for an approval."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from models.order_request import Decision


def decision(**changes: Any) -> Decision:
    return Decision.model_validate_json(json.dumps({"approved": True, "approver": "grace", **changes}))


@pytest.mark.parametrize("comment", ["", " ", "   ", "\n", "\t \r\n", "\u00a0", None])
def test_a_comment_that_was_left_empty_is_no_comment(comment: str | None) -> None:
    assert decision(comment=comment).comment is None


def test_a_comment_is_kept_as_it_was_written() -> None:
    assert decision(comment=" a good customer ").comment == " a good customer "
    assert decision().comment is None


@pytest.mark.parametrize("comment", ["c" * 201, "nul\x00", "two\nlines", 7, True, ["a"], {"a": 1}])
def test_a_comment_that_is_wrong_is_named(comment: Any) -> None:
    with pytest.raises(ValidationError) as invalid:
        decision(comment=comment)
    assert {error["loc"] for error in invalid.value.errors()} == {("comment",)}


@pytest.mark.parametrize("approver", ["", "   ", None])
def test_an_approver_must_have_a_name(approver: str | None) -> None:
    with pytest.raises(ValidationError) as invalid:
        decision(approver=approver)
    assert {error["loc"] for error in invalid.value.errors()} == {("approver",)}
