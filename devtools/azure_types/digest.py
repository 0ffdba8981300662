"""The digest: for each type of resource in infra/ its objects, and for each property of these its allowed values.

It holds only the objects that the files use: a file that uses a further object needs a new digest.

A property is `{}` or has some of these: `required`, `readOnly`, `objects` (the names of its allowed objects, alone or
in a list), `values` (its allowed texts). The property `*` stands for every name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from devtools.azure_types.templates import OF_BICEP, Resource, alternatives, is_object, named
from devtools.places import ROOT

FILE = ROOT / "infra" / "types.json"
Objects = dict[str, dict[str, dict[str, Any]]]


class Type(NamedTuple):
    """One type of resource. `versions`: the names are of the newest version. `root`: the resource's own object."""

    package: str
    versions: list[str]
    root: str
    objects: Objects


Digest = dict[str, Type]


def load() -> Digest:
    types = json.loads(FILE.read_text(encoding="utf-8"))["types"]
    return {name: Type(**each) for name, each in types.items()}


def save(digest: Digest, packages: dict[str, str]) -> None:
    lines = [f'{{"packages": {json.dumps(packages)},', '"types": {']
    lines += [",\n".join(_written(name, each) for name, each in sorted(digest.items())), "}}"]
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _written(name: str, each: Type) -> str:
    """The digest as text, with a line for each property, so that a diff shows each change."""
    objects = ",\n".join(
        f"  {json.dumps(key)}: {{\n"
        + ",\n".join(f"   {json.dumps(one)}: {json.dumps(kind)}" for one, kind in sorted(properties.items()))
        + "}"
        for key, properties in sorted(each.objects.items())
    )
    head = json.dumps({"package": each.package, "versions": each.versions, "root": each.root})
    return f' {json.dumps(name)}: {head[:-1]}, "objects": {{\n{objects}}}}}'


def used_part(official: Type, uses: list[Resource]) -> Type:
    """The type with only those objects that the resources use."""
    looks = [Look(official.objects, resource.names, set()) for resource in uses]
    for look, resource in zip(looks, uses, strict=True):
        list(look.faults(official.root, _own(resource.body), ""))
    used = set().union(*(look.seen for look in looks))
    return official._replace(objects={name: each for name, each in official.objects.items() if name in used})


def faults(resource: Resource, digest: Digest) -> list[str]:
    """A sentence for each part of a resource that the official type does not have."""
    known = digest.get(resource.type)
    if known is None:
        return [f"{resource.place}: the digest has no {resource.type}"]
    if resource.version not in known.versions:
        return [f"{resource.place}: {resource.type} has {known.versions}, and not {resource.version}"]
    if resource.existing:
        return []
    problems = Look(known.objects, resource.names, set()).faults(known.root, _own(resource.body), "")
    return [f"{resource.place}: {fault}" for fault in problems]


def _own(body: dict[str, Any]) -> dict[str, Any]:
    """The resource's own properties, without Bicep's."""
    return {named(key): value for key, value in body.items() if named(key) not in OF_BICEP}


class Look(NamedTuple):
    """One check of a resource. `seen` collects the objects that it uses."""

    objects: Objects
    names: frozenset[str]
    seen: set[str]

    def faults(self, name: str, body: dict[str, Any], path: str) -> Iterator[str]:
        """The faults of one object, whose type has this name."""
        self.seen.add(name)
        if name not in self.objects:
            yield f"{path or 'it'} is a {name}, which the digest does not have: make it again"
            return
        properties = self.objects[name]
        values = {named(key): value for key, value in body.items()}
        missing = [each for each, kind in properties.items() if kind.get("required") and each not in values]
        yield from (f"{path}{each} is required" for each in missing)
        for key, value in values.items():
            kind = properties.get(key, properties.get("*"))
            if kind is None:
                yield f"{name} has no {path}{key}"
            elif kind.get("readOnly"):
                yield f"{path}{key} is read-only"
            else:
                yield from self._of_value(kind, value, f"{path}{key}")

    def _of_value(self, kind: dict[str, Any], value: Any, path: str) -> Iterator[str]:
        for each in alternatives(value):
            if isinstance(each, list):
                for item in each:
                    yield from self._of_value(kind, item, path)
            elif is_object(each) and kind.get("objects"):
                # One of several objects: it has to be one of them as a whole.
                tried = [list(self.faults(one, each, f"{path}.")) for one in kind["objects"]]
                yield from min(tried, key=len)
            elif isinstance(each, str) and "values" in kind and not self._may_be(each, kind["values"]):
                yield f"{path} is one of {kind['values']}, and not {each}"

    def _may_be(self, text: str, values: list[str]) -> bool:
        return text in values or text in self.names or "${" in text
