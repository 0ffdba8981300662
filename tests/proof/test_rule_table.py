"""The table of rules and their mutants, held against the code in both directions."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from activities import guards
from models import order_record
from tests.proof import mutants
from tests.proof.mutants import PATCHES, ROOT, Mutant
from tests.proof.rebase_mutants import applied, parsed

ROW = re.compile(r"^\| `(\S+):(\S+)` \| (.*?) ?\| (.*?) ?\|$", re.MULTILINE)


class RuleRow(NamedTuple):
    path: str
    function: str
    mutants: list[str]
    why_none: str


def rules() -> list[RuleRow]:
    text = (PATCHES / "rules.md").read_text(encoding="utf-8")
    return [RuleRow(path, name, re.findall(r"\w+", named), why) for path, name, named, why in ROW.findall(text)]


def test_each_transition_and_each_guard_has_a_row() -> None:
    transitions = {
        name
        for name, function in inspect.getmembers(order_record, inspect.isfunction)
        if not name.startswith("_") and function.__annotations__.get("return") in {"Change | None", "Change"}
    }
    of_guards = {
        name
        for name, function in inspect.getmembers(guards, inspect.isfunction)
        if function.__module__ == guards.__name__
    }
    named = {(rule.path, rule.function) for rule in rules()}
    wanted = {("models/order_record.py", name) for name in transitions}
    wanted |= {("activities/guards.py", name) for name in of_guards}
    assert wanted - named == set()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.function)
def test_a_rule_is_there_and_has_mutants_or_a_reason(rule: RuleRow) -> None:
    assert rule.function in set(functions(rule.path).values()), f"{rule.path} has no {rule.function}"
    assert set(rule.mutants) <= {mutant.name for mutant in mutants.all_mutants()}
    assert bool(rule.mutants) != bool(rule.why_none)


def test_each_mutant_breaks_a_rule_of_the_table() -> None:
    named = {name for rule in rules() for name in rule.mutants}
    assert {mutant.name for mutant in mutants.all_mutants()} - named == set()


@pytest.mark.parametrize("mutant", mutants.all_mutants(), ids=lambda mutant: mutant.name)
def test_what_a_mutant_changes_has_a_row(mutant: Mutant) -> None:
    named = {(rule.path, rule.function) for rule in rules()}
    changed = set(changes(mutant))
    assert {(path, function) for path, function in changed if function} - named == set()


def changes(mutant: Mutant) -> Iterator[tuple[str, str]]:
    """(path, function) of each changed block; a block outside of functions has none."""
    for path, blocks in parsed(mutant.patch)[1]:
        source = (ROOT / path).read_text(encoding="utf-8").splitlines()
        for block in blocks:
            changed = applied(source, block)
            line = next(number for number, (old, new) in enumerate(zip(source, changed, strict=False), 1) if old != new)
            yield path, functions(path).get(line, "")


def functions(path: str) -> dict[int, str]:
    """The innermost function, with its class, by line."""
    names: dict[int, str] = {}

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                walk(child, f"{child.name}.")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                names.update(dict.fromkeys(range(child.lineno, (child.end_lineno or 0) + 1), prefix + child.name))

    walk(ast.parse(Path(ROOT / path).read_text(encoding="utf-8")), "")
    return names
