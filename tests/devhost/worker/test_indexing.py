"""What Azure's worker refuses at load is refused here, and nothing else is."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devhost.worker.app_functions import Unloadable, functions_of, import_app
from tests.devhost.support.hosts import APPS, ROOT, Devhost

Hosts = Callable[..., Devhost]
INDEXED = APPS / "indexed"
BOTH = ROOT / "tests" / "devhost" / "support" / "both_indexers.py"


@pytest.fixture(scope="module")
def refusals(worker_library: None) -> dict[str, Any]:
    """Why Microsoft's worker library and devhost refuse each function of the app."""
    command = [sys.executable, str(BOTH), str(ROOT), str(INDEXED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    refusals: dict[str, Any] = json.loads(done.stdout)
    return refusals


def test_devhost_refuses_exactly_the_functions_that_the_worker_refuses(refusals: dict[str, Any]) -> None:
    differ = {name: (theirs, ours) for name, (theirs, ours) in refusals.items() if (theirs is not None) != bool(ours)}
    assert differ == {}
    refused = sum(bool(ours) for _, ours in refusals.values())
    assert min(refused, len(refusals) - refused) > 100, "both kinds are among them"


def test_each_refusal_is_a_sentence_with_the_name_of_the_function(refusals: dict[str, Any]) -> None:
    for name, (_, ours) in refusals.items():
        assert all(each.startswith(f"cannot load the {name} function: ") and each.endswith(".") for each in ours)


def test_names_and_annotations_are_refused_in_the_words_of_the_worker(refusals: dict[str, Any]) -> None:
    named = (
        "unbound",
        "last_of_the_blueprint",
        "timer_named_0",
        "orchestrator_of_ctx",
        "queue_out_1",
        "http_returns_18",
    )
    for theirs, ours in (refusals[name] for name in named):
        assert f"{' '.join(theirs.split())}." in ours
    assert refusals["http_trigger_5"][1] == [
        "cannot load the http_trigger_5 function: type of x binding in the binding decorator "
        '"httpTrigger" does not match its Python annotation "dict".'
    ]


FAULTY = """
import azure.durable_functions as df
import azure.functions as func
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="unasked")
@app.durable_client_input(client_name="client")
async def unasked(req: dict) -> dict:
    return {}

@app.activity_trigger(input_name="order")
def price(order, rate):
    return 1
"""


def refused(new_host: Hosts, app: Path, code: str) -> list[str]:
    """The lines that devhost prints when it does not serve an app."""
    (app / "function_app.py").write_text(code)
    (app / "host.json").write_text('{"version": "2.0"}')
    host = new_host(app=app)
    assert host.launch().wait(60) == 1
    return host.log.splitlines()


def test_an_app_that_azure_would_not_load_is_refused_with_all_that_is_wrong(new_host: Hosts, tmp_path: Path) -> None:
    assert refused(new_host, tmp_path, FAULTY) == [
        "cannot load the unasked function: Extra parameters in binding definition — the following parameters are "
        "declared as bindings but are not present in Python: {'client'}.",
        "cannot load the unasked function: type of req binding in the binding decorator "
        '"httpTrigger" does not match its Python annotation "dict".',
        'cannot load the unasked function: Python return annotation "dict" does not match binding type "http".',
        "cannot load the price function: the following parameters are declared in Python but not in the function "
        "definition (function.json or function decorators): {'rate'}.",
    ]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("\ntwice = app\n", "function_app.py must hold exactly one FunctionApp at module level; it holds 2."),
        ("\n@app.function_name('price')\n@app.route()\ndef x(req): ...\n", "Function price does not have a unique"),
        ("\n@app.durable_client_input('c')\ndef x(c): ...\n", "Function x does not have a trigger."),
    ],
)
def test_an_app_that_the_sdk_refuses_is_reported_in_one_sentence(
    new_host: Hosts, tmp_path: Path, more: str, sentence: str
) -> None:
    lines = refused(new_host, tmp_path, FAULTY + more)
    assert [line for line in lines if sentence in line] == lines[-1:]
    assert "Traceback" not in "".join(lines)


def test_a_setting_names_another_file_than_function_app_py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_app.py").write_text("import azure.functions as func\napp = func.FunctionApp()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHON_SCRIPT_FILE_NAME", "shop_app.py")
    assert functions_of(import_app(str(tmp_path))) == ([], [])
    monkeypatch.setenv("PYTHON_SCRIPT_FILE_NAME", "no_app.py")
    with pytest.raises(Unloadable, match=r"There is no no_app\.py in "):
        import_app(str(tmp_path))
