"""FUNCTIONS_WORKER_PROCESS_COUNT: several workers share the calls, and none of them disturbs another."""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.devhost.support.hosts import APPS, Devhost, until, workers_in
from tests.devhost.support.provider_oracle import judged

Hosts = Callable[..., Devhost]
APP = APPS / "workers"
THREE = {"FUNCTIONS_WORKER_PROCESS_COUNT": "3"}


@pytest.fixture(scope="module")
def host(azurite: Any, ports: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devhost]:
    """A devhost with three workers, for the whole module."""
    folder = tmp_path_factory.mktemp("three")
    with judged(Devhost(azurite.connection_string, ports(), folder, app=APP, settings=THREE)) as shared:
        yield shared


def process_of(host: Devhost) -> int:
    """The process that answers an HTTP call."""
    return int(host.get("/api/process").text.split()[1])


def test_calls_are_spread_evenly(host: Devhost) -> None:
    answered = Counter(process_of(host) for _ in range(9))
    assert sorted(answered.values()) == [3, 3, 3]
    assert set(answered) == set(workers_in(host.folder))


def test_executions_are_spread_and_each_stays_where_it_is_warm(host: Devhost) -> None:
    instances = {host.begin_over_http("steps", 4): None for _ in range(6)}
    processes = [host.finished(instance)["output"] for instance in instances]
    assert [len(set(each)) for each in processes] == [1] * 6, "no execution wandered"
    assert len({each[0] for each in processes}) == 3
    runs = Counter(line for line in host.notes if line.startswith("run "))
    # The first run, and the replay by which the end of an execution is proved.
    assert [runs[f"run {instance}"] for instance in instances] == [2] * 6


def at_the_gate(host: Devhost) -> list[int]:
    return [int(line.split()[1]) for line in host.notes if line.startswith("gate ")]


def test_a_killed_worker_is_replaced_alone_and_the_calls_of_the_others_go_on(host: Devhost, tmp_path: Path) -> None:
    before, logged, gate = workers_in(host.folder), host.log.count("ended by itself"), tmp_path / "gate"
    seen = len(at_the_gate(host))
    instances = [host.begin_over_http("waiting", str(gate)) for _ in range(3)]
    until(lambda: len(at_the_gate(host)) == seen + 3)
    waiting = at_the_gate(host)[seen:]
    assert sorted(waiting) == sorted(before), "one waits in each worker"
    os.kill(waiting[0], signal.SIGKILL)
    until(lambda: len(at_the_gate(host)) == seen + 4)
    gate.touch()
    outputs = [host.finished(instance)["output"] for instance in instances]
    again = at_the_gate(host)[-1]
    assert sorted(process for _, process in outputs) == sorted([*waiting[1:], again])
    until(lambda: len(workers_in(host.folder)) == 3)
    assert set(waiting[1:]) < set(workers_in(host.folder))
    assert host.log.count("ended by itself") == logged + 1


def test_what_kills_workers_is_found_and_no_neighbour_is_hurt(host: Devhost, tmp_path: Path) -> None:
    gate, seen, logged = tmp_path / "gate", len(at_the_gate(host)), host.log.count("ended by itself")
    waiting = [host.begin_over_http("waiting", str(gate)) for _ in range(2)]
    until(lambda: len(at_the_gate(host)) == seen + 2)
    guilty = host.finished(host.begin_over_http("leaving"))
    assert guilty["runtimeStatus"] == "Failed"
    assert "The worker process died 3 times while it ran this activity." in guilty["output"]
    gate.touch()
    for instance in waiting:
        assert host.finished(instance)["runtimeStatus"] == "Completed"
    assert len(at_the_gate(host)) == seen + 2, "neither had to run again"
    assert host.log.count("ended by itself") == logged + 3


def test_new_code_replaces_all_workers_at_one_moment(new_host: Hosts, tmp_path: Path) -> None:
    app = shutil.copytree(APP, tmp_path / "app")
    host = new_host(app=app, arguments=("--watch",), settings=THREE).start()
    before = workers_in(host.folder)
    code = (app / "function_app.py").read_text(encoding="utf-8")
    (app / "function_app.py").write_text(code.replace('WORD = "one"', 'WORD = "two"'), encoding="utf-8")
    answers: list[str] = []
    while not answers or answers[-1].startswith("one"):
        answers.append(host.get("/api/process").text)
    answers += [host.get("/api/process").text for _ in range(8)]
    assert [answer.split()[0] for answer in answers[-9:]] == ["two"] * 9, "never the old code after the new one"
    assert len(set(answers[-9:])) == 3
    until(lambda: not set(before) & set(workers_in(host.folder)))
    assert "function_app.py changed: the 3 workers have been replaced, and have 7 functions." in host.log
    (app / "function_app.py").write_text("WORD = \n", encoding="utf-8")
    until(lambda: "cannot be served" in host.log)
    assert len({host.get("/api/process").text for _ in range(6)}) == 3
    until(lambda: len(workers_in(host.folder)) == 3)


def test_all_workers_end_with_their_host(new_host: Hosts) -> None:
    host = new_host(app=APP, settings=THREE).start()
    assert len(workers_in(host.folder)) == 3
    assert host.stop() == 0
    assert workers_in(host.folder) == []
