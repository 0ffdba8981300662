"""The app answers as its API document says: schemathesis asks it, from a seed, on a host that wants a key.

A few requests an operation here, with `--api-examples` more (as `dev.py proof` does). Which checks run and which do
not, with the reasons, is in schemathesis.toml.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.places import ROOT
from devtools.processes.http import fetch
from tests.support.harness import Harness

KEY = "a-key-for-schemathesis"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SEED = "7"


@pytest.fixture(scope="module")
def host(new_harness: Callable[..., Harness]) -> Iterator[str]:
    with new_harness("--enable-auth", DEVHOST_FUNCTION_KEY=KEY) as app:
        app.start().close()
        yield app.host


@pytest.fixture
def closed_document(tmp_path: Path) -> Path:
    """The document, with no room in its answers for a member that it does not name."""
    document: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    for schema in document["components"]["schemas"].values():
        if schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def test_the_app_answers_as_its_document_says(host: str, closed_document: Path, request: pytest.FixtureRequest) -> None:
    examples = str(request.config.getoption("--api-examples"))
    result = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
            *("run", str(closed_document), "--url", host, "--seed", SEED, "--no-color"),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--warnings", "off"),
        ],
        cwd=closed_document.parent,
        env={**os.environ, "DEVHOST_FUNCTION_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Tested: 0" not in result.stdout and "generated" in result.stdout, result.stdout


def test_the_document_that_is_served_is_the_committed_one(host: str) -> None:
    answer = fetch(f"{host}/api/openapi.json")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json() == json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
