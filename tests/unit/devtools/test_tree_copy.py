"""The copy of the tree that tests run in: whole, apart from the tree, and gone at the end."""

import subprocess
import sys
from pathlib import Path

import pytest

from devtools.places import ROOT, VENV, Word
from devtools.testing import suite, tree_copy
from devtools.verbs import VERBS


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = ["dev.py", "tests/test_a.py", "local.settings.json", "new/not_committed.py", ".env", ".ci/run"]
    kept_back = [
        ".git/config",
        ".local/logs/a",
        f"{VENV.name}/bin/python",
        "devtools/azurite/node_modules/a",
        "a/__pycache__/a.pyc",
    ]
    for name in (*files, *kept_back, ".mypy_cache/a", ".ruff_cache/a", ".pytest_cache/a", ".hypothesis/a"):
        (tmp_path / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shop" / name).write_text("as it was")
    return tmp_path / "shop"


def files_of(folder: Path) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in paths if path.parts[0] != VENV.name and "node_modules" not in path.parts}


def test_a_copy_holds_what_is_worked_on_and_links_what_is_installed(tree: Path) -> None:
    with tree_copy.copied(tree) as copy:
        assert files_of(copy) == {
            *("dev.py", "tests/test_a.py", "local.settings.json", "new/not_committed.py", ".env", ".ci/run")
        }
        assert (copy / VENV.name).resolve() == tree / VENV.name
        assert (copy / "devtools/azurite/node_modules").resolve() == tree / "devtools/azurite/node_modules"
        (tree / "dev.py").write_text("edited meanwhile")
        assert (copy / "dev.py").read_text() == "as it was"
    assert not copy.exists()
    assert (tree / f"{VENV.name}/bin/python").read_text() == "as it was"


def test_a_copy_goes_when_its_tests_fail(tree: Path) -> None:
    with pytest.raises(KeyboardInterrupt), tree_copy.copied(tree) as copy:
        raise KeyboardInterrupt
    assert not copy.parent.exists()


def test_files_named_by_their_whole_path_are_found_in_the_copy(tmp_path: Path) -> None:
    words = [f"{tmp_path}/tests/unit/test_a.py::test_b", "tests/e2e", "-k", str(tmp_path), f"{tmp_path}x/y"]
    assert tree_copy.arguments_in(Path("/copy"), tmp_path, words) == [
        *("/copy/tests/unit/test_a.py::test_b", "tests/e2e", "-k", str(tmp_path), f"{tmp_path}x/y"),
    ]


def test_the_suite_runs_in_a_copy_and_remembers_in_the_tree(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def run(command: list[Word], environment: dict[str, str], cwd: Path) -> int:
        seen[:] = [str(word) for word in command], environment, cwd, (cwd / "dev.py").read_text()
        return 3

    monkeypatch.delenv("HYPOTHESIS_STORAGE_DIRECTORY", raising=False)  # of the run that this test is part of
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(suite, "ROOT", tree)
    monkeypatch.setattr(suite, "run_in_front", run)
    assert suite.main(["tests/test_a.py", "-x"]) == 3
    command, environment, cwd, content = seen
    assert isinstance(command, list)
    assert isinstance(environment, dict)
    assert cwd != tree
    assert content == "as it was"
    assert command == [
        *(f"{cwd}/{VENV.name}/bin/python", "-m", "pytest", "-o", f"cache_dir={tree}/.pytest_cache"),
        *("tests/test_a.py", "-x"),
    ]
    assert environment["HYPOTHESIS_STORAGE_DIRECTORY"] == f"{tree}/.hypothesis"
    assert "PYTHONDONTWRITEBYTECODE" not in environment, "the copy may keep compiled files"
    assert not Path(str(cwd)).exists()


def test_every_folder_of_tests_is_run_and_the_longest_files_are_begun_first() -> None:
    ordered = suite.in_order(ROOT / "tests")
    assert ordered[: len(suite.LONGEST_FIRST)] == [f"tests/{name}" for name in suite.LONGEST_FIRST]
    found = {file.relative_to(ROOT).parts[1] for file in (ROOT / "tests").rglob("test_*.py")}
    assert sorted(ordered) == sorted(f"tests/{name}" for name in found)


NAMES = [verb.name for verb in VERBS]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which nothing has been set up."""
    tree = tmp_path_factory.mktemp("bare") / "clone"
    with tree_copy.copied(ROOT) as copy:
        for name in tree_copy.LINKED:
            (copy / name).unlink()
        copy.rename(tree)
    return tree


def run_bare(tree: Path, *words: str) -> tuple[int, str, str]:
    """With a Python that has no packages, where the test's own can tell it."""
    python = getattr(sys, "_base_executable", sys.executable)
    result = subprocess.run([python, "dev.py", *words], cwd=tree, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "flag"), [*((verb, "--help") for verb in NAMES), ("proof", "-h"), ("order", "-h")])
def test_the_help_of_every_verb_needs_no_set_up(bare: Path, verb: str, flag: str) -> None:
    status, out, err = run_bare(bare, verb, flag)
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: dev.py {verb}")
    assert not (bare / VENV.name).exists()
    assert not (bare / ".local").exists()


@pytest.mark.slow
def test_the_verbs_that_are_helped_are_all_there_are(bare: Path) -> None:
    _, out, _ = run_bare(bare, "--help")
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("    ") and not line.startswith("     ")]
    assert [verb for verb in listed if verb != "VERB"] == NAMES


@pytest.mark.slow
def test_a_verb_that_is_missing_prints_the_help(bare: Path) -> None:
    status, out, err = run_bare(bare)
    assert (status, out) == (2, "")
    assert all(f"\n    {verb} " in err for verb in NAMES)
    assert err.endswith("dev.py: name a verb.\n")


@pytest.mark.slow
def test_a_verb_that_is_none_is_named_with_those_there_are(bare: Path) -> None:
    status, _, err = run_bare(bare, "strat")
    assert status == 2
    assert "'strat'" in err
    assert "'start'" in err or "start," in err
