"""What editors read: requests.http has every route and the documents' bodies; .vscode/ names tasks that are there."""

from __future__ import annotations

import json
import re
from typing import Any

from devtools.places import DATA
from devtools.processes.ports import Ports
from devtools.product.addresses import advice_for_func, welcome
from devtools.verbs import chosen
from tests.architecture.test_documents import routes
from tests.support.documents import ROOT, Request, examples, requests, text_of

EDITOR = ROOT / ".vscode"


def is_for(request: Request, route: str) -> bool:
    method, path = route.split(" ")
    return method == request.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.path) is not None


def test_requests_http_has_a_request_for_every_route_and_no_other() -> None:
    registered = [route for route, _ in routes()]
    assert [route for route in registered if not any(is_for(request, route) for request in requests())] == []
    assert [request for request in requests() if not any(is_for(request, route) for route in registered)] == []


def test_requests_http_sends_a_key_to_the_routes_that_ask_for_one() -> None:
    for route, level in routes():
        sent = {"x-functions-key: {{key}}" in request.headers for request in requests() if is_for(request, route)}
        assert sent == {level == "function"}, route


def test_the_bodies_of_requests_http_are_those_of_the_documents() -> None:
    documented = {
        (re.search(r"http://127\.0\.0\.1:7071(\S+)", example.command)[1], body_of(example.command))  # type: ignore[index]
        for example in examples()
        if "7071" in example.command and " -d " in example.command
    }
    plain = " ".join(text_of("docs/operations.md").split())
    strange = [
        request
        for request in requests()
        if request.body and (request.path, canonical(request.body)) not in documented and request.body not in plain
    ]
    assert [request.path for request in strange] == ["/api/track/armchairs-1/cancel", "/api/webhooks/stripe"]


def body_of(command: str) -> str:
    return canonical(command.partition(" -d '")[2].rpartition("'")[0])


def canonical(body: str) -> str:
    return json.dumps(json.loads(body), sort_keys=True)


def editor(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((EDITOR / name).read_text(encoding="utf-8"))
    return content


def test_the_tasks_of_the_editor_run_verbs_that_exist() -> None:
    tasks = {task["label"]: task for task in editor("tasks.json")["tasks"]}
    assert {"dev.py start", "func: host start"} <= tasks.keys()
    for label, task in tasks.items():
        if task["type"] == "shell":
            assert task["command"].removeprefix("python3 ") == label
            assert chosen(label.split()[1:])
        assert task.get("dependsOn", label) in tasks


def test_the_launches_of_the_editor_start_tasks_that_exist() -> None:
    labels = {task["label"] for task in editor("tasks.json")["tasks"]}
    started = {launch.get("preLaunchTask") for launch in editor("launch.json")["configurations"]}
    assert started - {None} == {"func: host start"}
    assert started - {None} <= labels


def test_the_editor_knows_when_the_product_is_ready() -> None:
    """The patterns of its background tasks are lines that dev.py prints."""
    for label, printed in {
        "dev.py start": welcome(Ports(), DATA),
        "dev.py start --no-host": advice_for_func(Ports(), DATA),
    }.items():
        (task,) = (task for task in editor("tasks.json")["tasks"] if task["label"] == label)
        assert re.search(task["problemMatcher"]["background"]["endsPattern"], printed, re.MULTILINE)
