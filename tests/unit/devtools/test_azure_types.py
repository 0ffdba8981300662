"""How the digest of Azure's types is made: from Microsoft's answer, and from the code of pulumi-azure-native."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.azure_types import digest, official
from devtools.azure_types.templates import alternatives, read

SHOP = "Microsoft.Shop/shops"
NAME = {"name": "name", "type": "string", "flags": "Required, DeployTimeConstant"}
ANSWER: list[dict[str, Any]] = [
    {
        "$type": "Resource",
        "name": f"{SHOP}@2026-01-01",
        "bodyType": {
            "$type": "Object",
            "name": SHOP,
            "properties": [NAME, {"name": "properties", "type": "ShopProperties", "flags": "Required"}],
        },
    },
    {
        "$type": "Object",
        "name": "ShopProperties",
        "properties": [
            {"name": "state", "type": "open | closed", "flags": "Required"},
            {"name": "kind", "type": "small | large | string"},
            {"name": "doors", "type": "Door[]"},
            {"name": "owners", "type": "string[]"},
            {"name": "url", "type": "string", "flags": "ReadOnly"},
            {"name": "unused", "type": "Unused"},
        ],
    },
    {"$type": "Object", "name": "Door", "additionalPropertiesType": "string"},
    {"$type": "Object", "name": "Unused", "properties": []},
]
BICEP = """
resource shop 'Microsoft.Shop/shops@2026-01-01' = {
  name: 'ours'
  properties: {
    state: 'open'
    doors: [
      { front: 'blue' }
    ]
  }
}
"""


def answering(folder: Path, entries: list[dict[str, Any]]) -> Path:
    """A program that answers as azmcp does."""
    program = folder / "azmcp"
    answer = json.dumps({"results": {"BicepSchemaResult": entries}})
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    program.chmod(0o755)
    return program


def test_a_type_of_microsoft_s_says_what_is_required_read_only_an_object_or_one_of_some_values(tmp_path: Path) -> None:
    shop = official.of_microsoft(answering(tmp_path, ANSWER), SHOP, set())
    assert (shop.versions, shop.root) == (["2026-01-01"], SHOP)
    assert shop.objects[SHOP]["name"] == {"required": True}
    assert shop.objects["ShopProperties"] == {
        "state": {"required": True, "values": ["open", "closed"]},
        "kind": {},
        "doors": {"objects": ["Door"]},
        "owners": {},
        "url": {"readOnly": True},
        "unused": {"objects": ["Unused"]},
    }
    assert shop.objects["Door"] == {"*": {}}


def test_of_a_type_that_is_many_in_one_those_of_the_used_names_count(tmp_path: Path) -> None:
    elements = [
        {
            "$type": "Object",
            "properties": [{"name": "name", "type": name, "flags": "Required"}, {"name": only, "type": "string"}],
        }
        for name, only in (("appsettings", "settings"), ("web", "page"), ("shell", "page"))
    ]
    many: dict[str, Any] = {
        "$type": "Resource",
        "name": f"{SHOP}@2026-01-01",
        "bodyType": {"$type": "DiscriminatedObject", "elements": elements},
    }
    shop = official.of_microsoft(answering(tmp_path, [many]), SHOP, {"web", "shell"})
    assert shop.objects[SHOP] == {"name": {"required": True, "values": ["web", "shell"]}, "page": {}}


def test_the_digest_has_only_what_the_files_use_and_is_read_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "FILE", tmp_path / "types.json")
    uses = read(BICEP, "shop.bicep").resources
    part = digest.used_part(official.of_microsoft(answering(tmp_path, ANSWER), SHOP, set()), uses)
    assert set(part.objects) == {SHOP, "ShopProperties", "Door"}
    digest.save({SHOP: part}, {"msmcp-azure": "3.0.0"})
    assert digest.load() == {SHOP: part}
    assert digest.faults(uses[0], digest.load()) == []


ALERT = '''
@pulumi.input_type
class MetricAlertArgs:
    def __init__(__self__, *,
                 resource_group_name: pulumi.Input[_builtins.str],
                 criteria: pulumi.Input[Union['OneArgs', 'ManyArgs']],
                 rule_name: pulumi.Input[Optional[_builtins.str]] = None,
                 tags: pulumi.Input[Optional[Mapping[str, _builtins.str]]] = None,
                 window_size: pulumi.Input[Optional[_builtins.str]] = None):
        """Nothing."""

    @_builtins.property
    @pulumi.getter(name="resourceGroupName")
    def resource_group_name(self): ...

    @_builtins.property
    @pulumi.getter
    def criteria(self): ...

    @_builtins.property
    @pulumi.getter(name="ruleName")
    def rule_name(self): ...

    @_builtins.property
    @pulumi.getter
    def tags(self): ...

    @_builtins.property
    @pulumi.getter(name="windowSize")
    def window_size(self): ...

class MetricAlert:
    """
    Uses Azure REST API version 2018-03-01.

    Other available API versions: 2026-01-01, 2024-03-01-preview. These can be accessed otherwise.
    """
'''
INPUTS = """
class OneArgs:
    def __init__(__self__, *, odata_type: pulumi.Input[_builtins.str]):
        ...

    @pulumi.getter(name="odataType")
    def odata_type(self): ...

class ManyArgs:
    pass
"""


def test_a_type_of_pulumi_s_gets_its_properties_and_its_names_back(tmp_path: Path) -> None:
    (tmp_path / "monitor").mkdir()
    (tmp_path / "monitor" / "metric_alert.py").write_text(ALERT)
    (tmp_path / "monitor" / "_inputs.py").write_text(INPUTS)
    name = "Microsoft.Insights/metricAlerts"
    alert = official.of_pulumi(tmp_path, name)
    assert alert.versions == ["2018-03-01", "2024-03-01-preview", "2026-01-01"]
    assert alert.objects[name] == {"name": {"required": True}, "tags": {}, "properties": {"objects": ["properties"]}}
    assert alert.objects["properties"] == {
        "criteria": {"required": True, "objects": ["OneArgs", "ManyArgs"]},
        "windowSize": {},
    }
    assert alert.objects["OneArgs"] == {"odata.type": {"required": True}}


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("few ? 'a' : 'b'", ["a", "b"]),
        ("count == 0 ? [] : ['a']", [[], ["a"]]),
        ("union({ a: 1 }, few ? {} : { b: 2 })", [{"a": 1}, {}, {"b": 2}]),
        ("{ operator: 'Equals' }", [{"operator": "Equals"}]),
    ],
)
def test_an_expression_has_the_values_of_all_its_branches(expression: str, values: list[Any]) -> None:
    assert list(alternatives(read(f"var it = {expression}\n", "it").variables["it"])) == values
