"""The API document and the triggers tell of the same API, in both directions; its examples are what its schemas say."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azure.functions as func
import jsonschema_rs
import pytest

from api import pages
from api.document.operations import OPERATIONS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")

# A process of its own: the SDK lists the functions of an app once only.
LIST_TRIGGERS = """
import json, function_app
triggers = [(each.get_function_name(), each.get_trigger()) for each in function_app.app.get_functions()]
print(json.dumps([
    [name, at.route, [str(getattr(method, "value", method)) for method in at.methods], at.auth_level.value]
    for name, at in triggers if at.type == "httpTrigger"
]))
"""


@pytest.fixture(scope="module")
def triggers() -> list[tuple[str, str, list[str], str]]:
    """(function, route, methods, key level) of every HTTP trigger, as the worker receives them."""
    done = subprocess.run([sys.executable, "-c", LIST_TRIGGERS], cwd=ROOT, capture_output=True, text=True, check=True)
    return [tuple(each) for each in json.loads(done.stdout)]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation) of the committed document."""
    for path, item in DOCUMENT["paths"].items():
        yield from ((path, method, item[method]) for method in METHODS if method in item)


def test_the_committed_document_is_what_the_code_makes() -> None:
    script = "import function_app; print(function_app.api_document())"
    document = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    committed = (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert document == committed, "run `.venv/bin/python -m devtools.api_document`"


def test_every_trigger_is_in_the_document_and_nothing_else_is(triggers: list[tuple[str, str, list[str], str]]) -> None:
    served = {
        (name, ("/api/" + re.sub(r"\{\w+:[^}]*\?\}", "", route)).rstrip("/"), method.lower(), level)
        for name, route, methods, level in triggers
        for method in methods
    }
    documented = {
        (operation["operationId"], path, method, "function" if operation["security"] else "anonymous")
        for path, method, operation in operations()
    }
    assert documented == served
    assert set(OPERATIONS) == {name for name, *_ in triggers}


def test_the_parameters_of_a_path_have_the_names_of_the_route() -> None:
    for path, _, operation in operations():
        named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), path
        assert "{id}" not in path


def test_a_key_that_is_asked_for_can_be_missing() -> None:
    for path, method, operation in operations():
        assert bool(operation["security"]) == ("401" in operation["responses"]), f"{method} {path}"


def test_every_problem_that_the_edge_answers_is_in_the_document() -> None:
    raised = {
        node.args[0].value
        for file in (ROOT / "api").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Problem"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    responses = DOCUMENT["components"]["responses"].values()
    examples = [each["content"]["application/problem+json"]["example"] for each in responses if "content" in each]
    assert raised <= {example["status"] for example in examples}
    used = {reference for _, _, operation in operations() for reference in _references(operation["responses"])}
    assert used >= {f"#/components/responses/{name}" for name in DOCUMENT["components"]["responses"]}


def test_every_reference_leads_somewhere() -> None:
    for reference in set(_references(DOCUMENT)):
        part: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for each in part.values():
            yield from _references(each)
    elif isinstance(part, list):
        for each in part:
            yield from _references(each)


def test_every_example_is_as_its_schema_says() -> None:
    compared = 0
    for content in _content_with_an_example(DOCUMENT):
        schema = {**content["schema"], "components": DOCUMENT["components"]}
        jsonschema_rs.validator_for(schema).validate(content["example"])
        compared += 1
    assert compared > 30


def _content_with_an_example(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        if "schema" in part and "example" in part:
            yield part
        for each in part.values():
            yield from _content_with_an_example(each)
    elif isinstance(part, list):
        for each in part:
            yield from _content_with_an_example(each)


def test_every_body_and_every_answer_of_json_has_an_example() -> None:
    for path, method, operation in operations():
        parts = [operation.get("requestBody", {}), *operation["responses"].values()]
        content = [each for one in parts for each in one.get("content", {}).values() if "schema" in each]
        assert all(each.get("example") is not None for each in content), f"{method} {path}"


# The page.


def requested(asset: str) -> func.HttpResponse:
    request = func.HttpRequest("GET", "/api/docs/x", body=b"", route_params={"asset": asset})
    return pages.docs_asset(request)


def test_the_page_takes_everything_from_here_and_has_no_code_of_its_own() -> None:
    page = pages.docs()
    html = page.get_body().decode()
    wanted = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert all(each == "data:," or each.startswith("/api/") for each in wanted)
    assert "<script>" not in html and "style=" not in html and " on" not in re.sub(r">[^<]*<", "><", html)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    for asset in [each.removeprefix("/api/docs/") for each in wanted if each.startswith("/api/docs/")]:
        answer = requested(asset)
        assert answer.status_code == 200 and len(answer.get_body()) > 200


def test_the_page_asks_no_validator_elsewhere() -> None:
    script = requested("docs.js").get_body().decode()
    assert "validatorUrl: null" in script and "http" not in script


@pytest.mark.parametrize("asset", ["docs.html", "../docs.html", "swagger-ui/LICENSE", "", "DOCS.JS"])
def test_nothing_else_of_the_folder_is_served(asset: str) -> None:
    assert requested(asset).status_code == 404


# The published package, unchanged.
SWAGGER_UI = {
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}


def test_swagger_ui_is_the_published_package_with_its_licence() -> None:
    folder = ROOT / "api" / "static" / "swagger-ui"
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    assert (package["name"], package["version"], package["license"]) == ("swagger-ui-dist", "5.35.0", "Apache-2.0")
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert (folder / "NOTICE").exists() and (folder / "swagger-ui-bundle.js.LICENSE.txt").exists()
    for name, digest in SWAGGER_UI.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
