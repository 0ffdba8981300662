"""requirements.txt is what the deployed app imports, no less and no more."""

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.architecture.deployable_tree import ROOT, copied_to


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_to(tmp_path_factory.mktemp("deployed"))


def third_party_imports(tree: Path) -> dict[str, set[str]]:
    """Modules of others, by the file that imports them. `from a import b` counts as a.b where that is a module."""
    own = {path.stem if path.suffix == ".py" else path.name for path in tree.iterdir()}
    files: dict[str, set[str]] = {}
    for path in tree.rglob("*.py"):
        names = {name for node in ast.walk(ast.parse(path.read_text())) for name in imported(node)}
        outside = {name for name in names if name.split(".")[0] not in own | sys.stdlib_module_names}
        files[str(path.relative_to(tree))] = outside
    return files


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield whole if is_module(whole) else node.module


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@cache
def owners() -> dict[Path, str]:
    """Which installed distribution each file belongs to. Top-level names do not tell: `azure` is shared by many."""
    return {
        Path(str(distribution.locate_file(file))): normal(distribution.metadata["Name"])
        for distribution in metadata.distributions()
        for file in distribution.files or []
        if file.suffix in {".py", ".so", ".pyd"}
    }


def owner(module: str) -> str | None:
    spec = importlib.util.find_spec(module)
    return owners().get(Path(spec.origin)) if spec and spec.origin else None


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named(tree: Path) -> dict[str, Requirement]:
    lines = (line.partition("#")[0].strip() for line in (tree / "requirements.txt").read_text().splitlines())
    requirements = [Requirement(line) for line in lines if line]
    return {normal(each.name): each for each in requirements if each.marker is None or each.marker.evaluate()}


def with_what_they_bring(names: set[str]) -> set[str]:
    """The named distributions and those they require themselves, as pip would install them."""
    known, waiting = set[str](), set(names)
    while waiting:
        name = waiting.pop()
        known.add(name)
        needs = [Requirement(line) for line in metadata.requires(name) or []]
        installed = {normal(need.name) for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})}
        waiting |= installed - known
    return known


def uncovered(tree: Path) -> set[str]:
    covered = with_what_they_bring(set(named(tree)))
    return {
        f"{path} imports {module}, which requirements.txt does not bring"
        for path, modules in third_party_imports(tree).items()
        for module in modules
        if owner(module) not in covered
    }


def unused(tree: Path) -> set[str]:
    used = {owner(module) for modules in third_party_imports(tree).values() for module in modules}
    return set(named(tree)) - used


@pytest.mark.slow
def test_every_import_of_the_app_is_covered_by_its_requirements(tree: Path) -> None:
    assert uncovered(tree) == set()


@pytest.mark.slow
def test_no_requirement_is_unused(tree: Path) -> None:
    assert unused(tree) == set()


def test_every_requirement_is_pinned(tree: Path) -> None:
    assert [str(each) for each in named(tree).values() if not str(each.specifier).startswith("==")] == []


@pytest.mark.slow
def test_an_import_that_only_a_laptop_has_and_a_requirement_that_nobody_imports_are_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pydantic==2\nstripe==16  # unused\n")
    (tmp_path / "function_app.py").write_text("import json\nimport hypothesis\nfrom pydantic import BaseModel\n")
    assert uncovered(tmp_path) == {"function_app.py imports hypothesis, which requirements.txt does not bring"}
    assert unused(tmp_path) == {"stripe"}


# What development installs

LOCKED = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\$", re.MULTILINE)


# A lock file, and what asks for its packages.
LOCKS = {
    "requirements-run.lock": ("requirements.txt", "requirements-run.txt"),
    "requirements-dev.lock": ("requirements.txt", "requirements-run.txt", "requirements-dev.txt"),
}
each_lock = pytest.mark.parametrize("lock", LOCKS)


def asked_for(lock: str) -> set[tuple[str, str, bool]]:
    """Name, version, and whether it is for this Python, of each line of the files of requirements."""
    lines = [line.partition("#")[0].strip() for name in LOCKS[lock] for line in (ROOT / name).read_text().splitlines()]
    named = [Requirement(line) for line in lines if line and not line.startswith("-r")]
    return {(normal(each.name), str(each.specifier).removeprefix("=="), is_for_this_python(each)) for each in named}


def is_for_this_python(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()


def locked(lock: str) -> set[tuple[str, str, bool]]:
    pins = LOCKED.finditer((ROOT / lock).read_text())
    lines = [
        Requirement(f"{each['name']}=={each['version']}{'; ' + each['marker'] if each['marker'] else ''}")
        for each in pins
    ]
    return {(normal(each.name), str(each.specifier).removeprefix("=="), is_for_this_python(each)) for each in lines}


@each_lock
def test_a_lock_has_what_its_files_of_requirements_ask_for(lock: str) -> None:
    assert asked_for(lock) - locked(lock) == set(), f"make {lock} again: CONTRIBUTING.md says how"


def test_what_runs_the_product_is_locked_at_the_versions_that_are_tested() -> None:
    assert locked("requirements-run.lock") - locked("requirements-dev.lock") == set()


@each_lock
def test_a_lock_names_everything_that_comes_with_it_with_its_hashes(lock: str) -> None:
    for_this_python = {name for name, _, here in locked(lock) if here}
    assert with_what_they_bring({name for name, _, here in asked_for(lock) if here}) <= for_this_python
    entries = re.split(r"^(?=[a-z])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
