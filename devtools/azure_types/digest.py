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
    seen: set[str] = set()
    for resource in uses:
        for _ in _faults(official.objects, official.root, _without_bicep_s(resource.body), "", seen):
            """What is wrong is for the tests to say."""
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
    found = _faults(known.objects, known.root, _without_bicep_s(resource.body), "", set())
    return [f"{resource.place}: {fault}" for fault in found]


def _without_bicep_s(body: dict[str, Any]) -> dict[str, Any]:
    return {named(key): value for key, value in body.items() if named(key) not in OF_BICEP}


def _faults(objects: Objects, name: str, body: dict[str, Any], path: str, seen: set[str]) -> Iterator[str]:
    seen.add(name)
    if name not in objects:
        yield f"{path or 'it'} is a {name}, which the digest does not have: make it again"
        return
    properties = objects[name]
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
            yield from _value_faults(objects, what, value, f"{path}{key}", seen)


def _value_faults(objects: Objects, what: dict[str, Any], value: Any, path: str, seen: set[str]) -> Iterator[str]:
    for each in alternatives(value):
        if isinstance(each, list):
            for item in each:
                yield from _value_faults(objects, what, item, path, seen)
        elif is_object(each) and what.get("objects"):
            # One of several objects: it has to be one of them as a whole.
            tried = [list(_faults(objects, one, each, f"{path}.", seen)) for one in what["objects"]]
            yield from min(tried, key=len)
        elif isinstance(each, str) and "values" in what and not _is_expression(each, what["values"]):
            yield f"{path} is one of {what['values']}, and not {each}"


def _is_expression(text: str, values: list[str]) -> bool:
    """One of the values, or a text that is made at run time or is a name of Bicep's."""
    return text in values or "${" in text or (text.isidentifier() and text[:1].islower() and not _like(text, values))


def _like(text: str, values: list[str]) -> bool:
    return text.lower() in {value.lower() for value in values}
