"""The shape of the house: which room may import which, what an orchestrator may touch, what a name may be."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = {"activities", "api", "models", "orchestrators", "reconciliation", "services"}
OUR_ROOMS = DEPLOYED | {"devhost", "devtools", "loopback", "sandbox"}


# Which room may import which. Data runs one way; between orchestrators and activities there is no import at all: the
# link is a name in the history. Nothing deployed imports devhost or the sandbox.
MAY_IMPORT = {
    "function_app.py": {"activities", "api", "bootstrap", "models", "orchestrators", "reconciliation", "services"},
    "bootstrap.py": {"activities", "models", "reconciliation", "services"},
    "orchestrators": {"models", "orchestrators"},
    "activities": {"activities", "models"},
    "api": {"api", "models"},
    "services": {"activities", "models", "reconciliation", "services"},
    "reconciliation": {"models", "reconciliation"},
    "models": {"models"},
    "devhost": {"devhost", "loopback"},
    "sandbox": {"loopback", "sandbox"},
    "loopback": {"loopback"},
    # The API document is made from the triggers; all else speaks to the product from outside.
    "devtools": {"devtools", "models"},
    # What devhost is measured beside, and the order saga under load.
    "devtools/bench": {"activities", "devhost", "devtools", "loopback", "models", "services"},
    # It reads local.settings.json as devhost does, and asks the table of settings what is wrong with them.
    "devtools/product": {"devhost", "devtools", "services"},
    "dev.py": {"devtools"},
}
# The floors of devhost, the lowest first: each may import those that it names, and itself. `devhost` is what stands at
# its root and has no line of its own: it puts the rooms together.
DEVHOST_MAY_IMPORT: dict[str, set[str]] = {
    "worker_protocol": set(),
    "function_registry": set(),
    "history": set(),
    "storage": {"history"},
    "settings": {"storage"},
    "worker_host": {"worker_protocol"},
    # The worker runs beside the host, and is started for the app alone.
    "worker": {"history", "worker_protocol"},
    "entities": {"function_registry", "history", "storage", "worker_host"},
    "execution": {"entities", "function_registry", "history", "storage", "worker_host", "worker_protocol"},
    "orchestration": {"entities", "execution", "function_registry", "history", "storage", "worker_host"},
    "http": {
        "entities", "execution", "function_registry", "history", "orchestration", "settings", "storage", "worker_host",
    },
    "triggers": {"history", "settings", "worker_host"},
    "devhost": {
        "entities", "execution", "function_registry", "http", "orchestration", "settings", "storage", "triggers",
        "worker_host",
    },
}  # fmt: skip
PRODUCT_MAY_NAME = {"devhost.settings.loads_with_comments", "services.settings.faults"}
# Of activities, services may know the messages that it is handed, and no rule.
SERVICES_MAY_NAME = {"activities.notification.Mail"}

ONLY_OURS = OUR_ROOMS | {"tests"}
IMPURE = {"asyncio", "os", "random", "secrets", "socket", "threading", "time", "uuid", "services"}
VAGUE = {"utils", "util", "common", "helpers", "shared", "types", "misc", "core", "base"}


def _files(room: str) -> list[Path]:
    """A room's files; a room within it that has a rule of its own is not counted."""
    if room.endswith(".py"):
        return [ROOT / room]
    inner = [ROOT / other for other in MAY_IMPORT if other.startswith(f"{room}/")]
    return [file for file in sorted((ROOT / room).rglob("*.py")) if not set(inner) & set(file.parents)]


@cache
def _imports(file: Path) -> tuple[str, ...]:
    """Every imported name, dotted: `from models.stock import StockItem` gives `models.stock.StockItem`."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the arrow"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


def imported_modules(file: Path) -> Iterator[str]:
    """The files of this repository that one imports."""
    for name in _imports(file):
        for dotted in (name, name.rpartition(".")[0]):
            path = dotted.replace(".", "/") + ".py"
            if dotted and (ROOT / path).is_file():
                yield path
                break


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_the_arrow_allows(room: str) -> None:
    strangers = {
        f"{file.relative_to(ROOT)} imports {name}"
        for file in _files(room)
        for name in _imports(file)
        if name.split(".")[0] in (OUR_ROOMS | {"bootstrap"}) - MAY_IMPORT[room]
    }
    assert strangers == set()


def _devhost_room(path: str) -> str:
    """The floor of a file of devhost: its folder, or its name at the root of devhost."""
    name = Path(path).relative_to("devhost").parts[0].removesuffix(".py")
    return name if name in DEVHOST_MAY_IMPORT else "devhost"


@pytest.mark.parametrize("room", DEVHOST_MAY_IMPORT)
def test_a_room_of_devhost_imports_only_the_floors_below_it(room: str) -> None:
    floors = list(DEVHOST_MAY_IMPORT)
    assert {each for each in DEVHOST_MAY_IMPORT[room] if floors.index(each) >= floors.index(room)} == set()
    files = [file for file in _files("devhost") if _devhost_room(file.relative_to(ROOT).as_posix()) == room]
    imported = {
        (file.relative_to(ROOT).as_posix(), _devhost_room(name))
        for file in files
        for name in imported_modules(file)
        if name.startswith("devhost/")
    }
    assert {(file, floor) for file, floor in imported if floor not in DEVHOST_MAY_IMPORT[room] | {room}} == set()
    assert {floor for _, floor in imported} | {room} == DEVHOST_MAY_IMPORT[room] | {room}, "the table names too many"


def test_each_room_of_devhost_has_tests_under_its_name() -> None:
    rooms = {file.parent.name for file in (ROOT / "devhost").glob("*/*.py")}
    assert rooms - {file.parent.name for file in (ROOT / "tests" / "devhost").glob("*/test_*.py")} == set()


def test_start_knows_of_devhost_and_of_the_app_only_how_settings_are_read() -> None:
    named = {name for file in _files("devtools/product") for name in _imports(file)}
    assert {name for name in named if not name.startswith("devtools") and name.split(".")[0] in OUR_ROOMS} <= (
        PRODUCT_MAY_NAME
    )


def test_what_dev_py_imports_before_a_set_up_is_standard_library() -> None:
    from devtools.verbs import VERBS  # noqa: PLC0415

    options = [verb.options for verb in VERBS if verb.options]
    waiting, seen = ["dev.py", *(f"{name.replace('.', '/')}.py" for name in options)], set[str]()
    strangers = set()
    while waiting:
        file = ROOT / waiting.pop()
        if (name := str(file)) not in seen:
            seen.add(name)
            waiting += imported_modules(file)
            tops = {imported.split(".")[0] for imported in _imports(file)}
            strangers |= {
                f"{file.relative_to(ROOT)} imports {top}" for top in tops - sys.stdlib_module_names - ONLY_OURS
            }
    assert strangers == set()


def test_services_know_the_messages_of_the_activities_and_none_of_their_rules() -> None:
    named = {name for file in _files("services") for name in _imports(file) if name.startswith("activities")}
    assert named <= SERVICES_MAY_NAME


def test_orchestrators_touch_no_clock_no_randomness_no_environment_and_no_disk() -> None:
    touched = {name for file in _files("orchestrators") for name in _imports(file)}
    assert {name for name in touched if name in IMPURE or name.split(".")[0] in IMPURE} == set()
    called = {
        node.func.id
        for file in _files("orchestrators")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called & {"open", "print", "input", "id", "hash", "set"} == set()
    imported = {
        node.attr
        for file in _files("orchestrators")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert imported & {"now", "utcnow", "today"} == set()


def test_no_class_would_put_its_module_path_into_the_history() -> None:
    for room in DEPLOYED:
        for file in _files(room):
            methods = {n.name for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.FunctionDef)}
            assert "to_json" not in methods, f"{file}: the SDK would write this class's path into every history"


def test_names_of_modules_say_what_is_inside() -> None:
    vague = {file for room in OUR_ROOMS for file in _files(room) if file.stem in VAGUE}
    assert vague == set()


def test_packages_re_export_nothing() -> None:
    for room in OUR_ROOMS:
        for file in _files(room):
            if file.name == "__init__.py":
                body = ast.parse(file.read_text(encoding="utf-8")).body
                assert all(isinstance(node, ast.Expr) for node in body), f"{file} holds more than a docstring"


IMPORT_WITH_NOTHING = """
import os, socket, sys
def forbidden(*args, **kwargs):
    raise AssertionError("importing opened a socket")
socket.socket.connect = forbidden
socket.create_connection = forbidden
os.environ.clear()
import function_app
print(len(function_app.app.get_functions()))
"""


@pytest.mark.slow
def test_importing_the_app_opens_nothing_and_reads_no_setting() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WITH_NOTHING], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 14


def test_the_names_in_the_history_are_the_names_of_the_functions() -> None:
    """An activity that the saga calls and the app does not have would leave the real host waiting for ever."""
    from orchestrators import steps  # noqa: PLC0415

    called: set[str] = set()
    for step in vars(steps).values():
        if isinstance(step, steps.Step):
            called |= {step.activity, *([step.undo] if step.undo else [])}
    defined = {
        node.name
        for node in ast.walk(ast.parse((ROOT / "function_app.py").read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
        and any("activity_trigger" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
    assert called == defined


def test_the_example_of_local_settings_holds_exactly_the_table_of_settings() -> None:
    from services.settings import SETTINGS  # noqa: PLC0415

    example = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))
    assert example["IsEncrypted"] is False
    assert example["Values"] == {setting.name: setting.example for setting in SETTINGS}


def test_no_two_test_modules_have_one_name() -> None:
    """pytest imports a test module by its name alone, and refuses the second of one name."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
