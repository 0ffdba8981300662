"""The settings of one app: its environment, local.settings.json and host.json, merged as the Functions tools do.

A value of the environment wins over local.settings.json; `AzureFunctionsJobHost__a__b` wins over host.json's a.b; the
hub name may be `%NAME%` of a setting. Nothing here opens a connection.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devhost.storage.account import StorageAccount, parse_connection_string

OVERRIDE_PREFIX = "AzureFunctionsJobHost__"
HOST_JSON_VERSION = "2.0"
DEFAULT_HUB = "TestHubName"
PRODUCTION = "production"
OWN_PROVIDER, OWN_CONNECTION = "AzureStorage", "AzureWebJobsStorage"
ENTITY_BATCH = 5000
HUB_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}")
MAX_PARTITIONS = 16
TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})")
DEFAULT_FUNCTION_TIMEOUT_S = 1800.0
WORKER_PROCESSES = "FUNCTIONS_WORKER_PROCESS_COUNT"
MAX_WORKER_PROCESSES = 10
BODY_LIMIT = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
DEFAULT_BODY_BYTES = 104_857_600
SETTING_REFERENCE = re.compile(r"%([^%]+)%")
STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
COMMENT = re.compile(STRING + r"|//[^\n]*|/\*.*?\*/", re.DOTALL)
# A comma that follows no value is a fault of its own, and stays.
COMMA = re.compile(STRING + r"|[\[{,:]\s*,|,(?=\s*[\]}])", re.DOTALL)


class BadSettings(Exception):
    """A setting with which devhost cannot serve; the text is one sentence that says how to change it."""


@dataclass(frozen=True)
class Settings:
    environment: dict[str, str]
    account: StorageAccount
    hub: str
    route_prefix: str
    store_inputs: bool
    max_activities: int
    max_orchestrators: int
    max_entities: int
    entity_batch: int
    entity_rollback: bool
    override_any_state: bool
    default_version: str
    partitions: int
    function_timeout_s: float | None
    max_body_bytes: int
    worker_processes: int
    unserved: tuple[str, ...] = ()


def load(app: Path, environment: dict[str, str]) -> Settings:
    """The settings of the app in a folder. Raises BadSettings."""
    local = _local_settings(app)
    merged = {**_local_values(local), **environment}
    merged.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    merged.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    merged["AzureWebJobsScriptRoot"] = str(app)
    host = host_json(app, merged)
    durable = _section(host, "extensions", "durableTask")
    provider = _section(durable, "storageProvider")
    cpus = os.cpu_count() or 1
    return Settings(
        environment=merged,
        account=_account(merged),
        hub=hub_name(durable.get("hubname"), merged),
        route_prefix=str(_section(host, "extensions", "http").get("routeprefix", "api")).strip("/"),
        store_inputs=_flag(durable.get("storeinputsinorchestrationhistory")),
        max_activities=_count(durable, "maxConcurrentActivityFunctions", 10 * cpus),
        max_orchestrators=_count(durable, "maxConcurrentOrchestratorFunctions", 10 * cpus),
        max_entities=_count(durable, "maxConcurrentEntityFunctions", 10 * cpus),
        entity_batch=_count(durable, "maxEntityOperationBatchSize", ENTITY_BATCH),
        entity_rollback=_flag(durable.get("rollbackentityoperationsonexceptions", True)),
        override_any_state=str(durable.get("overridableexistinginstancestates", "")).lower() == "anystate",
        default_version=str(durable.get("defaultversion") or ""),
        partitions=_partitions(provider),
        function_timeout_s=_function_timeout(_section(host).get("functiontimeout")),
        max_body_bytes=_max_body_bytes(merged.get(BODY_LIMIT)),
        worker_processes=_worker_processes(merged.get(WORKER_PROCESSES)),
        unserved=tuple(_unserved(durable, provider, local)),
    )


def _unserved(durable: dict[str, Any], provider: dict[str, Any], local: dict[str, Any]) -> Iterator[str]:
    """A sentence for each setting of host.json and local.settings.json that devhost does not follow."""
    yield from _unserved_of_provider(provider)
    if durable.get("notifications"):
        yield "host.json asks for notifications; devhost sends none."
    if str(durable.get("versionmatchstrategy") or "None").lower() != "none":
        yield "host.json asks for a versionMatchStrategy; devhost runs the instances of every version."
    if names := local.get("Host"):
        yield f"local.settings.json sets {', '.join(names)} under Host, which devhost does not follow."


def _unserved_of_provider(provider: dict[str, Any]) -> Iterator[str]:
    kept = "devhost keeps the hub in AzureWebJobsStorage."
    kind = str(provider.get("type") or OWN_PROVIDER)
    if kind.lower() != OWN_PROVIDER.lower():
        yield f"host.json asks for the storage provider {kind}; {kept}"
        return
    for key in ("connectionName", "connectionStringName"):
        if provider.get(key.lower(), OWN_CONNECTION) not in (OWN_CONNECTION, "Storage"):
            yield f"host.json asks for the storage of {provider[key.lower()]} ({key}); {kept}"
    for key in ("trackingStoreConnectionName", "trackingStoreConnectionStringName"):
        if provider.get(key.lower()):
            yield f"host.json asks for a tracking store in {provider[key.lower()]} ({key}); {kept}"


def _local_settings(app: Path) -> dict[str, Any]:
    """The sections of local.settings.json; none without the file."""
    file = app / "local.settings.json"
    content = _read_json(file)
    if content is None:
        return {}
    if content.get("IsEncrypted", True):
        raise BadSettings(f'{file} is encrypted, or lacks "IsEncrypted": false; devhost reads plain values only.')
    sections = {name: content.get(name) or {} for name in ("Values", "ConnectionStrings", "Host")}
    if wrong := [name for name, section in sections.items() if not isinstance(section, dict)]:
        raise BadSettings(f"{file}: {' and '.join(wrong)} must be a JSON object.")
    if nested := [name for name, value in sections["Values"].items() if isinstance(value, dict | list)]:
        raise BadSettings(f"{file}: the value of {nested[0]} must be a string; nested values are not supported.")
    return sections


def _local_values(local: dict[str, Any]) -> dict[str, str]:
    """The Values and ConnectionStrings of local.settings.json, as the environment would hold them."""
    values, named = local.get("Values", {}), local.get("ConnectionStrings", {})
    connections = {f"ConnectionStrings:{name}": str(text) for name, text in named.items()}
    return {name: "" if value is None else str(value) for name, value in values.items()} | connections


def host_json(app: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The content of host.json with the overrides of the environment applied."""
    file = app / "host.json"
    content = _read_json(file)
    if content is None:
        raise BadSettings(f'There is no host.json in {app}; the smallest one is {{"version": "2.0"}}.')
    if content and content.get("version") != HOST_JSON_VERSION:
        raise BadSettings(
            f'{file} must have "version": "{HOST_JSON_VERSION}"; without it Azure\'s host does not start.'
        )
    for name, value in environment.items():
        if name.startswith(OVERRIDE_PREFIX):
            _override(content, name.removeprefix(OVERRIDE_PREFIX).split("__"), value)
    return content


def hub_name(value: Any, environment: dict[str, str]) -> str:
    """The task hub's name: host.json's, else the site's, else TestHubName."""
    if not value:
        return _default_hub(environment)
    name = resolve(str(value), environment)
    if not HUB_NAME.fullmatch(name):
        raise BadSettings(
            f"hubName '{name}' must be 3 to 45 letters and digits, and start with a letter, because devhost keeps the "
            f"hub in AzureWebJobsStorage; {OVERRIDE_PREFIX}extensions__durableTask__hubName, in the environment or in "
            "local.settings.json, overrides it."
        )
    return name


def resolve(text: str, environment: dict[str, str]) -> str:
    """A text with every %NAME% replaced by that setting. Raises BadSettings for a setting that is missing."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise BadSettings(f"'%{match[1]}%' does not resolve to a value: the setting {match[1]} is missing.")
        return environment[match[1]]

    return SETTING_REFERENCE.sub(value, text)


def _default_hub(environment: dict[str, str]) -> str:
    slot = environment.get("WEBSITE_SLOT_NAME") or PRODUCTION
    if slot.lower() != PRODUCTION:
        raise BadSettings(f"In the slot '{slot}' host.json must name a hub (hubName), or two slots would share one.")
    name = re.sub(r"[^A-Za-z0-9]", "", environment.get("WEBSITE_SITE_NAME") or DEFAULT_HUB)
    name = f"t{name}" if name[:1].isdigit() else name
    return (name if len(name) >= 3 else f"{name}Hub")[:45] if name else "DefaultTaskHub"


def _account(environment: dict[str, str]) -> StorageAccount:
    text = environment.get("AzureWebJobsStorage")
    if not text:
        if any(name.startswith("AzureWebJobsStorage__") for name in environment):
            raise BadSettings("devhost signs with an account's key: set AzureWebJobsStorage to a connection string.")
        raise BadSettings("AzureWebJobsStorage is not set; for Azurite on its usual ports: UseDevelopmentStorage=true.")
    try:
        return parse_connection_string(text)
    except ValueError as fault:
        raise BadSettings(str(fault)) from fault


def _read_json(file: Path) -> dict[str, Any] | None:
    """The object in a file; None when there is no such file. Raises BadSettings."""
    try:
        content = loads_with_comments(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except OSError as fault:
        reason = f"{file} cannot be read ({fault.strerror}): make it a file that this user may read."
        raise BadSettings(reason) from fault
    except (ValueError, RecursionError) as fault:
        raise BadSettings(f"{file} is not valid JSON: {fault}.") from fault
    if not isinstance(content, dict):
        raise BadSettings(f"{file} must hold a JSON object.")
    return content


def _section(content: dict[str, Any], *path: str) -> dict[str, Any]:
    """A part of host.json by the lower-case names of its settings. Raises BadSettings if it is no object."""
    for name in path:
        content = _lower_keys(content).get(name.lower()) or {}
        if not isinstance(content, dict):
            raise BadSettings(f"host.json: {name} must be a JSON object.")
    return _lower_keys(content)


def _override(content: dict[str, Any], path: list[str], value: str) -> None:
    for name in path[:-1]:
        content = content.setdefault(_existing(content, name), {})
        if not isinstance(content, dict):
            raise BadSettings(f"host.json: {name} must be a JSON object.")
    content[_existing(content, path[-1])] = value


def _existing(content: dict[str, Any], name: str) -> str:
    return next((key for key in content if key.lower() == name.lower()), name)


def _lower_keys(content: dict[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in content.items()}


def _flag(value: Any) -> bool:
    return str(value).lower() == "true"


def _function_timeout(value: Any) -> float | None:
    """The seconds of `d.hh:mm:ss`, .NET's form of a time span; None for -1, which is no limit."""
    if value is None:
        return DEFAULT_FUNCTION_TIMEOUT_S
    if str(value) == "-1":
        return None
    match = TIME_SPAN.fullmatch(str(value))
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if total < 1:
        raise BadSettings(f"host.json: functionTimeout must be -1 or hh:mm:ss of a second at least; it is '{value}'.")
    return total


def _max_body_bytes(value: str | None) -> int:
    if not value:
        return DEFAULT_BODY_BYTES
    if not re.fullmatch(r"[0-9]{1,18}", value):
        raise BadSettings(f"{BODY_LIMIT} must be a whole number of bytes; it is '{value}'.")
    return int(value)


def _worker_processes(setting: str | None) -> int:
    """1 to 10, as in Azure: https://learn.microsoft.com/azure/azure-functions/functions-app-settings"""
    if not setting:
        return 1
    if not re.fullmatch(r"[0-9]{1,18}", setting) or not 1 <= int(setting) <= MAX_WORKER_PROCESSES:
        raise BadSettings(
            f"{WORKER_PROCESSES} must be a whole number from 1 to {MAX_WORKER_PROCESSES}; it is '{setting}'."
        )
    return int(setting)


def _partitions(provider: dict[str, Any]) -> int:
    count = _count(provider, "partitionCount", 4)
    if count > MAX_PARTITIONS:
        raise BadSettings(f"host.json: partitionCount must be {MAX_PARTITIONS} at most; it is {count}.")
    return count


def _count(durable: dict[str, Any], name: str, default: int) -> int:
    text = str(durable.get(name.lower(), default))
    if not text.isdigit() or int(text) < 1:
        raise BadSettings(f"host.json: {name} must be a whole number from 1; it is '{text}'.")
    return int(text)


def loads_with_comments(text: str) -> Any:
    """The value of a JSON text as Azure's host and the Core Tools read host.json and local.settings.json: with comments
    and last commas. Raises ValueError and RecursionError as json.loads does, with the
    lines of this text.
    """
    plain = COMMENT.sub(lambda match: match[0] if match[0][0] == '"' else re.sub(r"\S", " ", match[0]), text)
    return json.loads(COMMA.sub(lambda match: " " if match[0] == "," else match[0], plain))
