"""docs/deploy.md names outputs, a lock and an instance that the Bicep files have, and its sums are of their figures."""

from __future__ import annotations

import re

from devtools.azure_types.templates import resources, templates
from tests.support.documents import text_of

DEPLOY = text_of("docs/deploy.md")
IN_WORDS = " ".join(DEPLOY.split())
MAIN, API = templates()["main.bicep"], templates()["app/api.bicep"]
DAY_S = 24 * 3600
MONTH_S = 30 * DAY_S
# The monthly grant of Flex Consumption; the GB-seconds of an order whose executions share a second, or have one each.
GRANT_GB_S, CHEAPEST_ORDER, DEAREST_ORDER = 100_000, 2, 28


def test_each_value_that_the_document_takes_from_azd_is_an_output() -> None:
    taken = set(re.findall(r"azd env get-value (\w+)", DEPLOY))
    assert taken and taken <= set(MAIN.outputs)


def test_the_lock_that_the_document_deletes_is_the_one_of_the_storage_account() -> None:
    (lock,) = (each for each in resources() if each.type == "Microsoft.Authorization/locks")
    assert f"--name {lock.body['name']} " in DEPLOY
    assert "--resource-type Microsoft.Storage/storageAccounts" in DEPLOY


def test_the_sums_of_the_costs_are_those_of_the_instances_and_of_the_sweep() -> None:
    (site,) = (each for each in API.resources if each.type == "Microsoft.Web/sites")
    scaling = site.body["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    memory_gb = scaling["instanceMemoryMB"] / 1024
    groups, each = 2, MAIN.parameters["alwaysReadyInstances"]["default"]
    assert (groups * each, memory_gb) == (2, 2)
    assert f"two of {memory_gb:.0f} GB, always ready" in IN_WORDS
    assert f"{groups * each * memory_gb * MONTH_S / 1e6:.1f} million GB-seconds in 30 days" in IN_WORDS
    assert MAIN.parameters["sweepSchedule"]["default"] == "0 * * * * *"
    sweeps = MONTH_S // 60
    assert f"({sweeps:,} active seconds of {memory_gb:.0f} GB)" in IN_WORDS
    rest = GRANT_GB_S - sweeps * memory_gb
    orders = (round(rest / DEAREST_ORDER, -2), rest / CHEAPEST_ORDER)
    assert f"about {orders[0]:,.0f} to {orders[1]:,.0f} orders" in IN_WORDS
