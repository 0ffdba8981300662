"""What dev.py installs, when, and what it says when that fails."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devtools.places import ROOT
from devtools.processes.ports import Ports
from devtools.product import surroundings
from devtools.product.surroundings import environment_of_the_app, settings_in
from devtools.set_up import needs, node, steps
from devtools.set_up.steps import Step, alone_in, run_logged, set_up
from devtools.trouble import Trouble
from devtools.verbs import chosen
from tests.support.installed import demand_worker_library, installed_azurite


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The locks of these set-ups lie with the test."""
    monkeypatch.setattr(steps, "DATA", tmp_path)


def test_a_step_is_done_once_until_what_it_installs_from_changes(tmp_path: Path) -> None:
    source, runs = tmp_path / "requirements.txt", []
    source.write_text("a==1")
    step = Step(
        "a", tmp_path / "log", tmp_path / "made" / "stamp", source.read_text, lambda: runs.append(source.read_text())
    )
    set_up(step)
    set_up(step)
    source.write_text("a==2")
    set_up(step)
    assert runs == ["a==1", "a==2"]


def test_a_step_waits_for_another_set_up_of_its_folder_alone_and_is_not_done_twice(tmp_path: Path) -> None:
    """As when the environments of several Pythons are filled at the same time."""
    runs: list[str] = []

    def step(name: str) -> Step:
        return Step(name, tmp_path / "log", tmp_path / name / "stamp", lambda: "1", lambda: runs.append(name))

    with ThreadPoolExecutor(1) as another:
        with alone_in(tmp_path / "busy"):
            waiting = another.submit(set_up, step("busy"))
            set_up(step("free"))
            assert (runs, waiting.done()) == (["free"], False)
            step("busy").stamp.parent.mkdir()
            step("busy").stamp.write_text("1")
        waiting.result()
    assert runs == ["free"]


def test_what_a_test_run_by_hand_misses_is_one_sentence_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Step("Azurite", tmp_path / "log", tmp_path / "stamp", lambda: "1", lambda: None)
    monkeypatch.setattr(needs, "AZURITE_PACKAGE", absent)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    missing: dict[str, Callable[[], object]] = {
        "Azurite": lambda: installed_azurite(Ports(), None),
        "Azure's own worker library": demand_worker_library,
    }
    for name, demand in missing.items():
        with pytest.raises(pytest.fail.Exception) as failed:
            demand()
        message = str(failed.value)
        assert message.startswith(f"This test needs {name}, which is not installed")
        assert "`python3 dev.py test`" in message and "\n" not in message
        assert not failed.value.pytrace


def test_a_step_that_failed_is_done_again(tmp_path: Path) -> None:
    def fail() -> None:
        raise Trouble("no network")

    step = Step("a", tmp_path / "log", tmp_path / "stamp", lambda: "1", fail)
    with pytest.raises(Trouble, match="no network"):
        set_up(step)
    assert not step.is_done()


def test_a_failing_installation_names_its_log_and_last_line(tmp_path: Path) -> None:
    log = tmp_path / "set-up.log"
    command = [sys.executable, "-c", "print('much'); print('No space left'); exit(1)"]
    with pytest.raises(
        Trouble, match=r"Installing it failed \(exit status 1\): No space left .*set-up\.log\)\. Check it\."
    ):
        run_logged("Installing it", command, {}, log, advice=" Check it.")
    assert log.read_text().startswith("much")


def test_node_of_the_machine_is_used_only_when_new_enough_and_with_npm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found_on_the_machine() is None
    program(tmp_path / "node", "echo v20.1.0")
    assert found_on_the_machine() is None
    program(tmp_path / "npm", "echo 10")
    assert found_on_the_machine() == (tmp_path / "node", [str(tmp_path / "npm")])
    program(tmp_path / "node", "echo v18.20.0")
    assert found_on_the_machine() is None
    program(tmp_path / "node", "exit 1")
    assert found_on_the_machine() is None


def found_on_the_machine() -> object:
    node._machine_node.cache_clear()
    try:
        return node._machine_node()
    finally:
        node._machine_node.cache_clear()


def program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def test_an_older_python_is_refused_in_one_sentence() -> None:
    script = f"import runpy, sys; sys.version_info = (3, 9, 2); runpy.run_path({str(ROOT / 'dev.py')!r})"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.fullmatch(r"dev\.py needs Python 3\.11 or later; \S+ is \S+\.\n", result.stderr)


def test_a_python_without_venv_is_answered_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "VENV", tmp_path / "none")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Trouble, match=r"apt install python3\.\d+-venv"):
        needs._make_environment()


def test_the_environment_goes_before_local_settings_and_those_before_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "ROOT", tmp_path)
    values = {"A": "example", "B": "example", "C": "example", "STRIPE_API_BASE": "https://example"}
    settings(tmp_path / "local.settings.json.example", values)
    settings(tmp_path / "local.settings.json", {"B": "local", "C": "local", "SMTP_URL": "smtp://elsewhere"})
    monkeypatch.setenv("C", "environment")
    monkeypatch.setenv("AzureWebJobsStorage", "an account of another day")
    chosen = environment_of_the_app(Ports.counted_from(23000))
    assert [chosen[name] for name in "ABC"] == ["example", "local", "environment"]
    assert chosen["STRIPE_API_BASE"] == "http://127.0.0.1:23001"
    assert chosen["SMTP_URL"] == "smtp://127.0.0.1:23002"
    assert "TableEndpoint=http://127.0.0.1:23006/devstoreaccount1;" in chosen["AzureWebJobsStorage"]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_stands_before_what_start_runs_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A library that looks at the other name first would go by the proxy."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example")
    monkeypatch.setenv(name, "corp.example")
    chosen = environment_of_the_app(Ports())
    assert chosen["NO_PROXY"] == chosen["no_proxy"] == "corp.example,127.0.0.1,localhost"


def settings(file: Path, values: dict[str, str]) -> None:
    file.write_text(json.dumps({"IsEncrypted": False, "Values": values}))


def test_settings_are_read_with_comments_and_last_commas(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text('{ // plain\n "IsEncrypted": false, "Values": {"A": "http://x//y", /* a hub, */ "B": "1,}",},\n}')
    assert settings_in(file) == {"A": "http://x//y", "B": "1,}"}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"Values": 1}', '{"Values": []}'])
def test_settings_that_cannot_be_read_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(text)
    with pytest.raises(Trouble, match=r"local\.settings\.json is not JSON with an object of settings in `Values`"):
        settings_in(file)


def test_arguments_of_test_go_to_pytest_and_others_are_refused() -> None:
    assert chosen(["test", "-k", "label", "-x", "tests/unit"])[1] == ["-k", "label", "-x", "tests/unit"]
    for words in (["demo", "-x"], ["check", "tests/unit"], ["start", "-x"], ["proof", "-x"]):
        with pytest.raises(SystemExit):
            chosen(words)


@pytest.mark.parametrize("port", ["0", "80", "65535", "-1", "http", "7071.5"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    with pytest.raises(SystemExit):
        chosen(["start", f"--port={port}"])
