"""A package that is gone from `.venv` or `node_modules` is noticed, whatever the stamps say."""

import json
import shutil
from pathlib import Path

import pytest

from devtools.set_up import packages

LIST = "packages.json"
SITE = "lib/python3.11/site-packages"
FILES = {
    "stripe-16.1.0": ["stripe/__init__.py", "stripe/v2/core.py", "../../../bin/stripe"],
    "azure_identity-1.27.0": ["azure/identity/__init__.py"],
    "azure_core-1.0": ["azure/core/__init__.py"],
    "six-1.17.0": ["six.py"],
}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    site = tmp_path / SITE
    for name, files in FILES.items():
        record = site / f"{name}.dist-info" / "RECORD"
        for file in (site / file for file in files if not file.startswith("..")):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("")
        record.parent.mkdir()
        record.write_text("".join(f"{file},sha256=x,0\n" for file in (*files, f"{name}.dist-info/RECORD")))
    packages.write_list(tmp_path, tmp_path / LIST)
    return tmp_path


def test_what_is_whole_is_not_gone(environment: Path) -> None:
    assert packages.gone(environment, environment / LIST) == []


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("stripe", "stripe-16.1.0"),
        ("stripe/v2", "stripe-16.1.0"),
        ("azure/identity", "azure_identity-1.27.0"),
        ("six.py", "six-1.17.0"),
        ("stripe-16.1.0.dist-info", "stripe-16.1.0"),
    ],
)
def test_a_part_that_is_gone_names_its_package(environment: Path, path: str, package: str) -> None:
    part = environment / SITE / path
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    assert packages.gone(environment, environment / LIST) == [f"{package}.dist-info"]


def test_a_forgotten_package_has_no_record_that_pip_would_believe(environment: Path) -> None:
    packages.forget(environment, ["six-1.17.0.dist-info", "never-was.dist-info"])
    assert not (environment / SITE / "six-1.17.0.dist-info").exists()
    assert (environment / SITE / "stripe-16.1.0.dist-info").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"six": 7}', None])
def test_a_list_that_is_missing_or_damaged_has_everything_looked_at_again(environment: Path, text: str | None) -> None:
    file = environment / LIST
    file.unlink() if text is None else file.write_text(text)
    assert packages.gone(environment, environment / LIST) == ["the list of packages"]


def test_the_folder_of_one_package_is_looked_for(environment: Path) -> None:
    assert packages.gone_folders(environment, "stripe") == []
    assert packages.gone_folders(environment, "azure_functions_runtime") == ["azure_functions_runtime"]


def test_a_module_that_is_gone_from_node_modules_is_named(tmp_path: Path) -> None:
    assert packages.gone_modules(tmp_path) == ["npm's own list"]
    for name in ("azurite", "lokijs"):
        (tmp_path / "node_modules" / name).mkdir(parents=True)
        (tmp_path / "node_modules" / name / "package.json").write_text("{}")
    noted: dict[str, object] = {"packages": {"node_modules/azurite": {}, "node_modules/lokijs": {}}}
    (tmp_path / "node_modules/.package-lock.json").write_text(json.dumps(noted))
    assert packages.gone_modules(tmp_path) == []
    shutil.rmtree(tmp_path / "node_modules/lokijs")
    assert packages.gone_modules(tmp_path) == ["node_modules/lokijs"]
