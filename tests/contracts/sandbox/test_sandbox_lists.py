"""Lists and searches of the payments process: their order, their pages, and how late a search is."""

import itertools
import time

import pytest
import stripe

from tests.contracts.sandbox.sandbox_intents import ORDERS, created
from tests.contracts.sandbox.sandbox_process import SandboxProcess, eventually


def test_a_list_is_newest_first_in_pages_and_filtered_by_date(client: stripe.StripeClient) -> None:
    intents = [created(client, next(ORDERS)) for _ in range(5)]
    newest = [it.id for it in reversed(intents)]
    page = client.v1.payment_intents.list({"limit": 3})
    assert ([it.id for it in page.data], page.has_more) == (newest[:3], True)
    after = client.v1.payment_intents.list({"limit": 2, "starting_after": newest[2]})
    assert [it.id for it in after.data] == newest[3:5]
    before = client.v1.payment_intents.list({"limit": 2, "ending_before": newest[4]})
    assert [it.id for it in before.data] == newest[2:4]
    walked = itertools.islice(client.v1.payment_intents.list({"limit": 2}).auto_paging_iter(), 5)
    assert [it.id for it in walked] == newest
    assert client.v1.payment_intents.list({"created": {"gte": int(time.time()) + 60}}).data == []
    dated = client.v1.payment_intents.list({"limit": 100, "created": {"gte": intents[0].created}})
    assert set(newest) <= {it.id for it in dated.data}
    with pytest.raises(stripe.InvalidRequestError, match="Limit"):
        client.v1.payment_intents.list({"limit": 101})


def test_search_finds_late_and_then_by_metadata_and_state(client: stripe.StripeClient, order: str) -> None:
    began = time.time()
    intent = created(client, order)
    query = f"metadata['order_id']:'{order}'"

    def matches(more: str = "") -> list[str]:
        return [it.id for it in client.v1.payment_intents.search({"query": query + more}).data]

    assert matches() == []
    assert eventually(matches) == [intent.id]
    assert time.time() - began >= 2, "search was as fresh as a read"
    client.v1.payment_intents.confirm(intent.id)
    eventually(lambda: matches(" AND status:'succeeded'"))
    assert matches(f" AND amount>=12900 AND created>{intent.created - 1}") == [intent.id]
    assert matches(" AND -status:'succeeded'") == matches(" AND amount<12900") == []


def test_search_pages_through_what_it_finds(client: stripe.StripeClient, order: str) -> None:
    intent_ids = [created(client, order).id for _ in range(5)]
    query = f'metadata["order_id"]:"{order}"'
    eventually(lambda: len(client.v1.payment_intents.search({"query": query}).data) == 5)
    pages = client.v1.payment_intents.search({"query": query, "limit": 2}).auto_paging_iter()
    assert [it.id for it in pages] == intent_ids[::-1]


@pytest.mark.parametrize("query", ["", "colour:'red'", "metadata:'x'", "status>'x'", "status:'a' OR status:'b'"])
def test_a_search_that_cannot_be_understood_is_refused(payments: SandboxProcess, query: str) -> None:
    reply = payments.v1("GET", f"payment_intents/search?query={query.replace(' ', '%20')}")
    assert (reply.status, reply.error["param"]) == (400, "query")
