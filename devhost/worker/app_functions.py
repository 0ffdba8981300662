"""Finds, calls and describes the functions of the app."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

from azure.functions.decorators.function_app import FunctionRegister

from devhost.worker.indexing import TYPES_OF_THEIR_OWN, refusals
from devhost.worker.invocation_context import InvocationContext

DURABLE_TRIGGERS = ("orchestrationTrigger", "activityTrigger", "entityTrigger")
DIRECTIONS = ("in", "out", "inout")
SERVED_BINDINGS = (("durableClient", "in"), ("http", "out"))
RETURN = "$return"


class Unloadable(Exception):
    """The app cannot be loaded; the text says why, for its author."""


class NotServed(Exception):
    """The function cannot be called, because it has a binding that devhost does not serve."""


class Function:
    """One function of the app, as the worker calls it."""

    def __init__(self, definition: Any) -> None:
        trigger = definition.get_trigger()
        self.name: str = definition.get_function_name()
        self.trigger: str = trigger.type
        self.parameter: str = trigger.name
        self.code: Callable[..., Any] = definition.get_user_function()
        self.is_async = inspect.iscoroutinefunction(self.code)
        self._of_trigger: dict[str, Any] = trigger.get_dict_repr()
        self._bindings = [_plain(each) for each in definition.get_bindings() if each is not trigger]
        self._missing = _missing(self._bindings)
        self._retries = definition.get_setting("retry_policy") is not None
        self._signature = inspect.signature(self.code).parameters

    def arguments(self, value: Any, client: str, headers: dict[str, str]) -> dict[str, Any]:
        """The keyword arguments of a call: the trigger's value, durable clients, and `context` if it is a parameter.

        `headers` are the request's, if there is one. Raises NotServed.
        """
        if self._missing:
            raise NotServed(f"devhost does not serve the {' and the '.join(self._missing)} of this function")
        arguments = {self.parameter: value}
        arguments |= {each["name"]: client for each in self._bindings if each["type"] == "durableClient"}
        if "context" in self._signature and "context" not in arguments:
            arguments["context"] = InvocationContext(self.name, headers)
        return arguments

    def describe(self) -> dict[str, Any]:
        """The description of the function for the host, as plain JSON."""
        trigger = self._of_trigger
        durable_name = trigger.get("orchestration") or trigger.get("activity") or trigger.get("entityName") or self.name
        return {
            "name": self.name,
            "trigger": self.trigger,
            "parameter": self.parameter,
            "durable_name": durable_name if self.trigger in DURABLE_TRIGGERS else self.name,
            "route": trigger.get("route"),
            "methods": [getattr(method, "value", method) for method in trigger.get("methods") or []],
            "auth_level": str(
                getattr(trigger.get("authLevel"), "value", trigger.get("authLevel") or "function")
            ).lower(),
            "schedule": trigger.get("schedule"),
            "run_on_startup": bool(trigger.get("runOnStartup")),
            "use_monitor": bool(trigger.get("useMonitor")),
            "bindings": self._bindings,
            "missing": self._missing,
            "retries": self._retries,
            "streams": self.trigger == "httpTrigger" and _serves_streams(),
            **_of_async(self.code),
        }


def _plain(binding: Any) -> dict[str, Any]:
    details = binding.get_dict_repr()
    kind = binding.type, DIRECTIONS[binding.direction]
    plain = {"name": binding.name, "type": kind[0], "direction": kind[1], "served": kind in SERVED_BINDINGS}
    return plain | {key: details.get(key) for key in ("taskHub", "connectionName")}


def _missing(bindings: list[dict[str, Any]]) -> list[str]:
    """The parameters that a function gets in Azure and not here."""
    return [
        f"{'output' if each['direction'] == 'out' else 'input'} '{each['name']}' ({each['type']})"
        for each in bindings
        if each["name"] != RETURN and (each["type"], each["direction"]) not in SERVED_BINDINGS[:1]
    ]


def _serves_streams() -> bool:
    """Whether the app takes its requests as streams: the real worker then passes no other requests."""
    base = sys.modules.get(TYPES_OF_THEIR_OWN)
    return base is not None and bool(base.HttpV2FeatureChecker.http_v2_enabled())


def _of_async(code: Any) -> dict[str, bool]:
    """Whether the SDK awaits a function that is not async, or does not await one that is."""
    wrapped = getattr(code, "orchestrator_function", None) or getattr(code, "entity_function", None)
    client = getattr(code, "client_function", None)
    return {
        "never_awaited": inspect.iscoroutinefunction(wrapped) or inspect.isasyncgenfunction(wrapped),
        "never_async": client is not None and not inspect.iscoroutinefunction(client),
    }


def import_app(folder: str) -> Any:
    """The app's module in the folder, which is on the path. Raises Unloadable, and any exception of the import.

    As in Azure a setting may name another file.
    """
    module = os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py").removesuffix(".py")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as fault:
        if fault.name == module:
            raise Unloadable(f"There is no {module}.py in {folder}.") from fault
        raise


def functions_of(module: Any) -> tuple[list[Function], list[str]]:
    """The functions of a module's one FunctionApp, and why Azure's worker would not load them. Raises Unloadable."""
    apps = [value for value in vars(module).values() if isinstance(value, FunctionRegister)]
    if len(apps) != 1:
        file = f"{module.__name__}.py"
        raise Unloadable(f"{file} must hold exactly one FunctionApp at module level; it holds {len(apps)}.")
    try:
        definitions = apps[0].get_functions()
    except ValueError as fault:  # two functions of one name, or one without a trigger
        raise Unloadable(str(fault)) from fault
    faults = [sentence for each in definitions for sentence in refusals(each)]
    return [] if faults else [Function(each) for each in definitions], faults
