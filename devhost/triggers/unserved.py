"""The features of an app that devhost does not serve, logged once at load with the function's name. Pure rules.

devhost serves the triggers below and the bindings that worker/app_functions.py knows. Any other feature of
azure-functions, now or later, is named.
"""

import re
from collections.abc import Iterator
from typing import Any

from devhost.settings import BadSettings, Settings, resolve

SERVED_TRIGGERS = ("httpTrigger", "timerTrigger", "orchestrationTrigger", "activityTrigger", "entityTrigger")
RETURN = "$return"
OWN_CONNECTIONS = ("", "Storage", "AzureWebJobsStorage")
TIME_ZONES = ("WEBSITE_TIME_ZONE", "TZ")
UTC = re.compile(r":?(Etc/)?(UTC|UCT|GMT|Universal|Zulu|Greenwich)?[+-]?0*|Coordinated Universal Time", re.IGNORECASE)
# The names of functions and of bindings that Azure's host accepts: Utility.cs of azure-functions-host.
FUNCTION_NAME = re.compile(r"(?!host$)[a-z][a-z0-9_-]{0,127}", re.IGNORECASE)
BINDING_NAME = re.compile(r"(?!.*__)[a-z_][a-z0-9_]{0,127}|\$return", re.IGNORECASE)

# The sentence for each finding of the worker about a function.
FACTS = {
    "retries": "it is tried once, because devhost does not follow its retry policy",
    "streams": "each of its calls fails, because devhost does not serve requests as streams",
    "use_monitor": "runs that it misses while devhost is down are not made up for, whatever use_monitor says",
    "never_awaited": "each of its runs fails, here as in Azure, because the SDK does not await an async def",
    "never_async": "each of its calls fails, here as in Azure, because the SDK awaits a function with a durable client",
}

Described = dict[str, Any]


def sentences(described: list[Described], settings: Settings) -> list[str]:
    """A sentence for each function with an unserved feature; `described` as by app_functions.Function.describe."""
    remarks = ((function["name"], "; ".join(_of_function(function, settings))) for function in described)
    return [f"Function '{name}': {remark}." for name, remark in remarks if remark]


def _of_function(function: Described, settings: Settings) -> Iterator[str]:
    if function["trigger"] not in SERVED_TRIGGERS:
        yield f"it is never called, because devhost does not serve its {function['trigger']}"
    elif lacks := function["missing"]:
        yield f"each of its calls fails, because devhost does not serve its {' and its '.join(lacks)}"
    yield from _of_names(function)
    for each in function["bindings"]:
        yield from _of_binding(each, settings)
    for fact, remark in FACTS.items():
        if function[fact]:
            yield remark
    if function["trigger"] == "timerTrigger":
        yield from _of_zone(function, settings)


def _of_names(function: Described) -> Iterator[str]:
    if not FUNCTION_NAME.fullmatch(function["name"]):
        yield "Azure's host does not load it, because it does not take its name"
    for name in (function["parameter"], *(each["name"] for each in function["bindings"])):
        if not BINDING_NAME.fullmatch(name):
            yield f"Azure's host does not load it, because it does not take '{name}' as the name of a binding"


def _of_binding(binding: Described, settings: Settings) -> Iterator[str]:
    if binding["name"] == RETURN and not binding["served"]:
        yield f"what it returns goes nowhere, because devhost does not serve its output {RETURN} ({binding['type']})"
    if binding["type"] == "durableClient":
        yield from _of_client(binding, settings)


def _of_client(binding: Described, settings: Settings) -> Iterator[str]:
    hub, connection = (_resolved(binding.get(key) or "", settings) for key in ("taskHub", "connectionName"))
    if hub and hub.lower() != settings.hub.lower():
        yield f"its client works on the task hub '{settings.hub}' and not on '{hub}'"
    environment = settings.environment
    if connection not in OWN_CONNECTIONS and environment.get(connection) != environment["AzureWebJobsStorage"]:
        yield f"its client works on the storage of AzureWebJobsStorage and not of '{connection}'"


def _of_zone(function: Described, settings: Settings) -> Iterator[str]:
    zone = next((name for name in TIME_ZONES if settings.environment.get(name)), None)
    time_zone = settings.environment[zone] if zone else ""
    is_cron = " " in _resolved(function["schedule"] or "", settings).strip()
    if zone and is_cron and not UTC.fullmatch(time_zone):
        yield f"its schedule is in UTC, and not in {time_zone} ({zone})"


def _resolved(text: str, settings: Settings) -> str:
    try:
        return resolve(text, settings.environment)
    except BadSettings:  # the reader of the setting logs it
        return text
