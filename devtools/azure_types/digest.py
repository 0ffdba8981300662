"""The digest: for each type of resource in infra/ its objects, and for each property of these what it may be.

It holds the objects that the files use, and no others: a file that begins to use one more needs the digest made again.

A property is `{}` or has some of these: `required`, `readOnly`, `objects` (the names of the objects that it may be, or
be a list of), `values` (the only texts that it may be). The property `*` stands for every name.
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
    """One type of resource. `versions`: the newest is the one whose names these are. `root`: its own object."""

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
    """A line for each property: a diff shows what has changed."""
    objects = ",\n".join(
        f"  {json.dumps(key)}: {{\n"
        + ",\n".join(f"   {json.dumps(one)}: {json.dumps(what)}" for one, what in sorted(properties.items()))
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
    seen = set().union(*(look.seen for look in looks))
    return official._replace(objects={name: each for name, each in official.objects.items() if name in seen})


def faults(resource: Resource, digest: Digest) -> list[str]:
    """What of a resource the official type does not know, in sentences."""
    known = digest.get(resource.type)
    if known is None:
        return [f"{resource.place}: the digest has no {resource.type}"]
    if resource.version not in known.versions:
        return [f"{resource.place}: {resource.type} has {known.versions}, and not {resource.version}"]
    if resource.existing:
        return []
    found = Look(known.objects, resource.names, set()).faults(known.root, _own(resource.body), "")
    return [f"{resource.place}: {fault}" for fault in found]


def _own(body: dict[str, Any]) -> dict[str, Any]:
    """What is the resource's own, and not Bicep's."""
    return {named(key): value for key, value in body.items() if named(key) not in OF_BICEP}


class Look(NamedTuple):
    """One look at a resource. `seen` collects the objects that it uses."""

    objects: Objects
    names: frozenset[str]
    seen: set[str]

    def faults(self, name: str, body: dict[str, Any], path: str) -> Iterator[str]:
        """Of one object, whose type has this name."""
        self.seen.add(name)
        if name not in self.objects:
            yield f"{path or 'it'} is a {name}, which the digest does not have: make it again"
            return
        properties = self.objects[name]
        given = {named(key): value for key, value in body.items()}
        missing = [each for each, what in properties.items() if what.get("required") and each not in given]
        yield from (f"{path}{each} is required" for each in missing)
        for key, value in given.items():
            what = properties.get(key, properties.get("*"))
            if what is None:
                yield f"{name} has no {path}{key}"
            elif what.get("readOnly"):
                yield f"{path}{key} is read-only"
            else:
                yield from self._of_value(what, value, f"{path}{key}")

    def _of_value(self, what: dict[str, Any], value: Any, path: str) -> Iterator[str]:
        for each in alternatives(value):
            if isinstance(each, list):
                for item in each:
                    yield from self._of_value(what, item, path)
            elif is_object(each) and what.get("objects"):
                # One of several objects: it has to be one of them as a whole.
                tried = [list(self.faults(one, each, f"{path}.")) for one in what["objects"]]
                yield from min(tried, key=len)
            elif isinstance(each, str) and "values" in what and not self._may_be(each, what["values"]):
                yield f"{path} is one of {what['values']}, and not {each}"

    def _may_be(self, text: str, values: list[str]) -> bool:
        return text in values or text in self.names or "${" in text
