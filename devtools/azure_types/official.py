"""The official types, from two packages: Microsoft's msmcp-azure, and pulumi-azure-native for types that it lacks.

msmcp-azure answers in JSON. pulumi-azure-native is code that is made from the same specifications; it is read and never
imported. It lifts the properties of most types into the resource itself: they are put back into `properties` here.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from devtools.azure_types.digest import Objects, Type

PRIMITIVE = {"string", "int", "bool", "any", "object", "null"}
# Where pulumi-azure-native keeps a type: module and class.
PULUMI = {
    "Microsoft.Authorization/locks": ("authorization", "ManagementLockByScope"),
    "Microsoft.DurableTask/schedulers": ("durabletask", "Scheduler"),
    "Microsoft.DurableTask/schedulers/retentionPolicies": ("durabletask", "RetentionPolicy"),
    "Microsoft.DurableTask/schedulers/taskHubs": ("durabletask", "TaskHub"),
    "Microsoft.Insights/actionGroups": ("monitor", "ActionGroup"),
    "Microsoft.Insights/diagnosticSettings": ("monitor", "DiagnosticSetting"),
    "Microsoft.Insights/metricAlerts": ("monitor", "MetricAlert"),
    "Microsoft.Insights/scheduledQueryRules": ("monitor", "ScheduledQueryRule"),
    "Microsoft.Network/privateDnsZones": ("privatedns", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("privatedns", "VirtualNetworkLink"),
}
# A resource's own fields, beside its properties.
OWN = {"etag", "extendedLocation", "identity", "kind", "location", "properties", "sku", "tags", "zones"}
# Arguments that are parts of the address, and no properties.
ADDRESS = {
    "actionGroupName",
    "lockName",
    "name",
    "privateZoneName",
    "resourceGroupName",
    "resourceUri",
    "ruleName",
    "schedulerName",
    "scope",
    "taskHubName",
    "virtualNetworkLinkName",
}
# The package has no dots in names.
RENAMED = {"odataType": "odata.type"}


def of_microsoft(azmcp: Path, name: str, resource_names: set[str]) -> Type:
    """`resource_names` selects the forms of a type that has several, such as sites/config."""
    command = [str(azmcp), "bicepschema", "get", "--resource-type", name]
    quiet = os.environ | {"AZURE_MCP_COLLECT_TELEMETRY": "false"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=True)
    entries = json.loads(done.stdout)["results"]["BicepSchemaResult"]
    named = {each["name"]: each for each in entries if each["$type"] == "Object"}
    (resource,) = (each for each in entries if each["$type"] == "Resource" and each["name"].startswith(f"{name}@"))
    body = resource["bodyType"]
    if body["$type"] == "DiscriminatedObject":
        body = {"properties": _of_names(body["elements"], resource_names)}
    objects = {key: _object(each, named) for key, each in {**named, name: body}.items()}
    return Type("msmcp-azure", [resource["name"].partition("@")[2]], name, objects)


def _of_names(elements: list[dict[str, Any]], resource_names: set[str]) -> list[dict[str, Any]]:
    """The properties of the elements with one of the names, whose `name` may then be any of these."""
    tables = [{one["name"]: one for one in element["properties"]} for element in elements]
    chosen = [table for table in tables if table["name"]["type"] in resource_names]
    name = {**chosen[0]["name"], "type": " | ".join(table["name"]["type"] for table in chosen)}
    return list({**{key: one for table in chosen for key, one in table.items()}, "name": name}.values())


def _object(each: dict[str, Any], named: dict[str, Any]) -> dict[str, dict[str, Any]]:
    properties = {one["name"]: _property(one, named) for one in each.get("properties", [])}
    if "additionalPropertiesType" in each:
        properties["*"] = _kind(each["additionalPropertiesType"], named)
    return properties


def _property(one: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    flags = one.get("flags", "")
    required = {"required": True} if "Required" in flags else {}
    return required | ({"readOnly": True} if "ReadOnly" in flags else _kind(one["type"], named))


def _kind(kind: str, named: dict[str, Any]) -> dict[str, Any]:
    single = kind.removesuffix("[]")
    if single in named:
        return {"objects": [single]}
    parts = single.split(" | ")
    return {} if PRIMITIVE & set(parts) or "[]" in single else {"values": parts}


def of_pulumi(package: Path, name: str) -> Type:
    module, resource = PULUMI[name]
    file = package / module / f"{re.sub('(?<!^)(?=[A-Z])', '_', resource).lower()}.py"
    text = file.read_text(encoding="utf-8")
    versions = re.findall(r"(?:REST API version|Other available API versions:) ([\w, -]+)\.", text)
    objects: Objects = {key: _arguments(each) for key, each in _classes(package / module / "_inputs.py").items()}
    classes = _classes(file)
    arguments = _arguments(classes.get(f"{resource}Args") or classes[f"{resource}InitArgs"])
    arguments = {key: value for key, value in arguments.items() if key not in ADDRESS}
    own = {key: value for key, value in arguments.items() if key in OWN}
    if "properties" not in own:
        own["properties"] = {"objects": ["properties"]}
        objects["properties"] = {key: value for key, value in arguments.items() if key not in OWN}
    objects[name] = {"name": {"required": True}, **own}
    newest, *others = dict.fromkeys(", ".join(versions).split(", "))
    return Type("pulumi-azure-native", [newest, *sorted(others)], name, objects)


@cache
def _classes(file: Path) -> dict[str, ast.ClassDef]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {each.name: each for each in tree.body if isinstance(each, ast.ClassDef) and each.name.endswith("Args")}


def _arguments(each: ast.ClassDef) -> dict[str, dict[str, Any]]:
    """The arguments of the class under their names in the API."""
    methods = {one.name: one for one in each.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"}
    if not methods:
        return {}
    names, taken = dict(_getters(each)), methods["__init__"].args
    properties = {}
    for one in [*taken.args[1:], *taken.kwonlyargs]:
        assert one.annotation is not None
        name = names[one.arg]
        annotation = ast.unparse(one.annotation)
        objects = re.findall(r"'(\w+Args)'", annotation)
        properties[RENAMED.get(name, name)] = ({} if "Optional[" in annotation else {"required": True}) | (
            {"objects": objects} if objects else {}
        )
    return properties


def _getters(each: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for one in each.body:
        for node in one.decorator_list if isinstance(one, ast.FunctionDef) else []:
            decorator = ast.unparse(node)
            if decorator.startswith("pulumi.getter"):
                quoted = re.search(r"name='(\w+)'", decorator)
                assert isinstance(one, ast.FunctionDef)
                yield one.name, quoted[1] if quoted else one.name
