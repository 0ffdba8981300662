"""How large a function, a class, a module and a folder may become; no modules import each other in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.test_rooms import OUR_ROOMS, ROOT, imported_modules

FUNCTION_LINES, CLASS_METHODS, CLASS_LINES, MODULE_LINES, FOLDER_MODULES, ROOT_OF_DEVHOST = 40, 25, 300, 400, 14, 8
MEASURED = OUR_ROOMS | {"tests"}
FILES = sorted([*ROOT.glob("*.py"), *(file for room in MEASURED for file in (ROOT / room).rglob("*.py"))])
FILES = [file for file in FILES if "node_modules" not in file.parts]


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def lines_of(node: ast.AST) -> int:
    """The lines from the first decorator's to the last."""
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    assert node.end_lineno is not None
    return node.end_lineno - min([node.lineno, *(each.lineno for each in node.decorator_list)]) + 1


def too_large(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    if (count := len(text.splitlines())) > MODULE_LINES:
        yield f"{name_of(file)} has {count} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > FUNCTION_LINES:
            yield f"{name_of(file)}: {node.name} has {lines_of(node)} lines"
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            if len(methods) > CLASS_METHODS:
                yield f"{name_of(file)}: {node.name} has {len(methods)} methods"
            if lines_of(node) > CLASS_LINES:
                yield f"{name_of(file)}: {node.name} has {lines_of(node)} lines"


@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES}), ids=name_of)
def test_a_reader_can_take_it_in(folder: Path) -> None:
    assert [line for file in FILES if file.parent == folder for line in too_large(file)] == []


def test_a_folder_is_read_at_a_glance() -> None:
    folders = {file.parent for file in FILES} - {ROOT}
    counts = {name_of(folder): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > FOLDER_MODULES} == {}
    assert counts["devhost"] <= ROOT_OF_DEVHOST


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter({name_of(file): set(imported_modules(file)) for file in FILES}).prepare()
    except CycleError as circle:
        pytest.fail(" imports ".join(reversed(circle.args[1])))
