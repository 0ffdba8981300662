"""The Bicep files, as pycep reads them: the declarations of each, and the values that an expression can have.

pycep does not distinguish a text from a name: both are strings.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pycep import BicepParser

from devtools.places import ROOT

INFRA = ROOT / "infra"
# Bicep's own properties of a resource, beside its type. pycep writes dependsOn in its own way.
OF_BICEP = frozenset({"parent", "scope", "dependsOn", "depends_on"})


class Resource(NamedTuple):
    """One resource of one file. `body`: its object; for resources in a loop the object of each.

    `names`: the names that the file declares. A text of the body that is one of these is a name.
    """

    file: str
    symbol: str
    type: str
    version: str
    existing: bool
    body: dict[str, Any]
    names: frozenset[str]

    @property
    def place(self) -> str:
        return f"{self.file}: {self.symbol}"


class Template(NamedTuple):
    """One file. `parameters` have `type`, `default` and `decorators`; `modules` their `params`, by symbol."""

    file: str
    parameters: dict[str, dict[str, Any]]
    variables: dict[str, Any]
    resources: list[Resource]
    modules: dict[str, dict[str, Any]]
    outputs: dict[str, Any]


@cache
def _parser() -> BicepParser:
    return BicepParser()


def read(text: str, file: str) -> Template:
    """Read one file. Raises lark's exceptions for a text that is no Bicep."""
    tree: dict[str, Any] = dict(_parser().parse(text=text))
    parts = {part: dict(tree.get(part, {})) for part in ("parameters", "variables", "resources", "modules", "outputs")}
    declared = frozenset(name for part in parts.values() for name in part)
    return Template(
        file,
        parts["parameters"],
        {name: each["value"] for name, each in parts["variables"].items()},
        [_resource(file, symbol, each, declared) for symbol, each in parts["resources"].items()],
        {name: _object(each["config"]) | {"path": each["detail"]["path"]} for name, each in parts["modules"].items()},
        {name: each["value"] for name, each in parts["outputs"].items()},
    )


def _resource(file: str, symbol: str, each: dict[str, Any], declared: frozenset[str]) -> Resource:
    loop = each["config"].get("loop_type", {}).get("detail", {})
    names = declared | {loop[kind] for kind in ("item_name", "index_name") if kind in loop}
    body = _object(each["config"])
    return Resource(file, symbol, each["type"], each["api_version"], each["existing"], body, frozenset(names))


def _object(config: Any) -> dict[str, Any]:
    """The declared object, also under a condition or in a loop."""
    while isinstance(config, dict) and ("condition" in config or "loop_type" in config) and "config" in config:
        config = config["config"]
    assert isinstance(config, dict), config
    return config


@cache
def templates() -> dict[str, Template]:
    """Every file of infra/, by its path there."""
    return {name: read(text, name) for name, text in texts().items()}


def texts() -> dict[str, str]:
    files = sorted(Path(INFRA).rglob("*.bicep"))
    return {file.relative_to(INFRA).as_posix(): file.read_text(encoding="utf-8") for file in files}


def resources() -> list[Resource]:
    return [each for template in templates().values() for each in template.resources]


def alternatives(value: Any) -> Iterator[Any]:
    """The values that an expression can have: both of a condition, a list for a loop, all parts of a union."""
    choice, call = _choice(value), _node(value, "function")
    if isinstance(value, dict) and "loop_type" in value:
        yield [_object(value)]
    elif choice:
        yield from alternatives(choice["true_value"])
        yield from alternatives(choice["false_value"])
    elif call.get("type") == "union":
        for part in call["parameters"].values():
            yield from alternatives(part)
    else:
        yield value


def _choice(value: Any) -> dict[str, Any]:
    """The operands of `… ? … : …`. pycep reads `a == b ? c : d` as `a == (b ? c : d)`."""
    operator = _node(value, "operator")
    operands: dict[str, Any] = operator.get("operands", {})
    return operands if operator.get("type") == "conditional" or not operands else _choice(operands.get("operand_2"))


def is_object(value: Any) -> bool:
    """Whether a value is an object, and no other expression."""
    return isinstance(value, dict) and not _node(value, "operator") and not _node(value, "function")


def _node(value: Any, kind: str) -> dict[str, Any]:
    """pycep's node of an operator or a call. An object can have a property of that name too."""
    node = value.get(kind) if isinstance(value, dict) and len(value) == 1 else None
    return node if isinstance(node, dict) and "type" in node else {}


def named(key: str) -> str:
    """A key without the quotes that Bicep needs for keys that are no names."""
    return key.strip("'")
