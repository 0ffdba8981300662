"""The Bicep files without their compiler: they parse, and each property is one of the official type.

The types are a digest of Microsoft's, which CONTRIBUTING.md says how to make again. What a compiler knows besides, such
as the types of expressions, nobody has looked at here.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from lark.exceptions import UnexpectedInput

from devtools.azure_types.digest import faults, load
from devtools.azure_types.templates import Resource, Template, read, resources, templates, texts
from tests.support.documents import ROOT

DIGEST = load()
MAIN = "main.bicep"


@pytest.mark.parametrize("resource", resources(), ids=lambda resource: resource.place)
def test_a_resource_has_what_its_official_type_has_and_nothing_else(resource: Resource) -> None:
    assert faults(resource, DIGEST) == []


def test_the_digest_has_no_type_that_no_file_uses() -> None:
    assert set(DIGEST) == {resource.type for resource in resources()}


def broken(file: str, symbol: str, before: str, after: str) -> list[str]:
    """The faults of a resource after one change of its file."""
    text = texts()[file]
    assert before in text
    (resource,) = (each for each in read(text.replace(before, after, 1), file).resources if each.symbol == symbol)
    return faults(resource, DIGEST)


@pytest.mark.parametrize(
    ("file", "symbol", "before", "after", "fault"),
    [
        ("app/storage.bicep", "account", "minimumTlsVersion", "minimumTlsVersio", "has no properties.minimumTlsVersio"),
        ("app/storage.bicep", "account", "  kind: 'StorageV2'\n", "", "kind is required"),
        ("app/storage.bicep", "account", "'Standard_LRS'", "'Standard_LSR'", ""),
        ("app/storage.bicep", "account", "@2025-01-01", "@2015-01-01", "and not 2015-01-01"),
        (
            "app/storage.bicep",
            "blobs",
            "isVersioningEnabled",
            "versioningEnabled",
            "has no properties.versioningEnabled",
        ),
        ("app/vault.bicep", "vault", "'standard'", "'cheap'", "properties.sku.name is one of ['standard', 'premium']"),
        ("app/vault.bicep", "vault", "tenantId: tenant", "provisioningState: tenant", "tenantId is required"),
        ("app/api.bicep", "site", "    httpsOnly", "    defaultHostName: name\n    httpsOnly", "is read-only"),
        ("app/api.bicep", "site", "instanceCount", "instances", "has no properties.functionAppConfig"),
        ("app/alerts.bicep", "rules", "metricMeasureColumn", "measureColumn", "has no properties.criteria.allOf."),
        (
            "app/alerts.bicep",
            "throttling",
            "metricName: ",
            "metric: ",
            "properties.criteria.allOf.metricName is required",
        ),
        ("app/scheduler.bicep", "scheduler", "ipAllowlist", "ipAllowList", "ipAllowlist is required"),
        ("app/network.bicep", "links", "registrationEnabled", "registration", "has no properties.registration"),
    ],
)
def test_a_slip_is_caught(file: str, symbol: str, before: str, after: str, fault: str) -> None:
    found = broken(file, symbol, before, after)
    assert fault in " ".join(found)
    assert bool(found) == bool(fault), "the sku of a storage account is an open list: a wrong one is for Azure to find"


def test_what_is_no_bicep_is_refused() -> None:
    with pytest.raises(UnexpectedInput):
        read(texts()[MAIN].replace("module storage", "modul storage"), MAIN)


MODULES = [(template, symbol) for template in templates().values() for symbol in template.modules]


def required(template: Template) -> set[str]:
    return {name for name, each in template.parameters.items() if each["default"] is None}


@pytest.mark.parametrize(("template", "symbol"), MODULES, ids=[symbol for _, symbol in MODULES])
def test_a_module_gets_the_parameters_that_it_has(template: Template, symbol: str) -> None:
    """A path, and no address of a registry: what is used can be read here."""
    module = template.modules[symbol]
    called = templates()[module["path"]]
    given = set(module["params"])
    assert required(called) <= given <= set(called.parameters)


def test_each_output_that_is_used_is_there() -> None:
    main = templates()[MAIN]
    used = set(re.findall(r"\b(\w+)\.outputs\.(\w+)", texts()[MAIN]))
    there = {(symbol, name) for symbol, each in main.modules.items() for name in templates()[each["path"]].outputs}
    assert used == there


@pytest.mark.parametrize("file", texts())
def test_each_parameter_and_each_variable_is_used(file: str) -> None:
    template, text = templates()[file], re.sub(r"^ *//.*$", "", texts()[file], flags=re.MULTILINE)
    declared = [*template.parameters, *template.variables]
    assert [name for name in declared if len(re.findall(rf"\b{name}\b", text)) < 2] == []


# The words and the functions of Bicep that the files use.
WORDS = set(
    "targetScope param var resource module output existing if for in true false null string bool int object".split()
)
FUNCTIONS = {
    *("allowed", "description", "maxLength", "maxValue", "minLength", "minValue", "secure"),
    *("empty", "environment", "guid", "subscription", "subscriptionResourceId", "tenant", "toLower", "union"),
    "uniqueString",
}


def names_in(text: str) -> set[str]:
    """The names that a file refers to: what is no comment, no text, no key and no part of something else."""
    code = re.sub(r"^ *//.*$", "", re.sub(r"'''.*?'''", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    inside = [part for quoted in re.findall(r"'[^'\n]*'", code) for part in re.findall(r"\$\{([^}]*)\}", quoted)]
    code = re.sub(r"(^|[{,]) *[\w]+:", r"\1", re.sub(r"'[^'\n]*'", "", code), flags=re.MULTILINE)
    return {name for part in (code, *inside) for name in re.findall(r"(?<![\w.])[A-Za-z_]\w*", part)}


def strangers(file: str, text: str) -> set[str]:
    """The names that a file refers to and nobody has declared."""
    template = templates()[file]
    in_loops = {name for each in template.resources for name in each.names}
    declared = {*template.parameters, *template.variables, *template.outputs, *template.modules, *in_loops}
    return names_in(text) - WORDS - FUNCTIONS - declared


@pytest.mark.parametrize("file", texts())
def test_each_name_that_is_used_is_declared(file: str) -> None:
    assert strangers(file, texts()[file]) == set()


@pytest.mark.parametrize(
    ("file", "before", "after", "stranger"),
    [
        (MAIN, "taskHubName: taskHubName", "taskHubName: taskHub", "taskHub"),
        (MAIN, "'kv-${token}'", "'kv-${tokens}'", "tokens"),
        (MAIN, "toLower(uniqueString(", "toLower(uniqeString(", "uniqeString"),
        ("app/network.bicep", "each.zone", "endpoint.zone", "endpoint"),
    ],
)
def test_a_name_that_is_not_declared_is_found(file: str, before: str, after: str, stranger: str) -> None:
    assert before in texts()[file]
    assert strangers(file, texts()[file].replace(before, after)) == {stranger}


def parameters_file() -> dict[str, Any]:
    given: dict[str, Any] = json.loads((ROOT / "infra" / "main.parameters.json").read_text(encoding="utf-8"))
    return {name: each["value"] for name, each in given["parameters"].items()}


def test_azd_asks_for_each_parameter_without_a_default() -> None:
    """It asks where the file names a variable of the environment that is not set, and the parameter has no default."""
    main = templates()[MAIN]
    assert required(main) <= set(parameters_file()) <= set(main.parameters)
    asked = {name for name in required(main) if re.fullmatch(r"\$\{[A-Z_]+\}", str(parameters_file()[name]))}
    assert asked == required(main)


def test_the_files_say_that_they_are_no_package_of_the_app() -> None:
    ignored = (ROOT / ".funcignore").read_text(encoding="utf-8").split()
    assert {"infra/", "azure.yaml"} <= set(ignored)


def test_the_service_of_azd_is_found_by_its_tag() -> None:
    (service,) = re.findall(
        r"^  (\w+):\n    project: \.\n    language: python\n    host: function$", text_of_azure(), re.M
    )
    assert f"'azd-service-name': '{service}'" in texts()["app/api.bicep"]
    assert f"SERVICE_{service.upper()}_NAME" in templates()[MAIN].outputs


def text_of_azure() -> str:
    return (ROOT / "azure.yaml").read_text(encoding="utf-8")
