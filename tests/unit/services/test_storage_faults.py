"""What storage raises is one sentence of ours, without its text."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from models.errors import Unavailable
from services.storage import storage_faults


def refused(status: int, reason: str) -> HttpResponseError:
    answer: Any = SimpleNamespace(status_code=status, reason=reason, headers={}, text=lambda *_: "secret")
    return HttpResponseError(response=answer)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (refused(403, "Forbidden"), "Storage refused order 7: 403 Forbidden."),
        (ClientAuthenticationError("no identity: secret"), "Storage refused order 7: ClientAuthenticationError."),
        (AzureError("secret"), "Storage did not answer for order 7: AzureError."),
    ],
)
def test_a_fault_says_what_is_known_of_it_and_repeats_no_text(error: AzureError, sentence: str) -> None:
    with pytest.raises(Unavailable) as fault, storage_faults("order 7"):
        raise error
    assert str(fault.value) == sentence
