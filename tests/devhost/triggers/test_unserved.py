"""Whatever an app asks for is served or named at load: nothing is left out in silence."""

import inspect
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest
from azure.functions.decorators import function_app

from devhost.settings import BadSettings, Settings, load
from devhost.triggers.unserved import sentences
from devhost.worker.app_functions import Function, NotServed
from tests.devhost.support.hosts import APPS, Devhost, until

Hosts = Callable[..., Devhost]
APP = APPS / "unserved"
APIS = (function_app.TriggerApi, function_app.BindingApi, function_app.SettingsApi, df.Blueprint)

# The decorators of azure-functions and of the Durable SDK that devhost serves.
SERVED = set(
    "route timer_trigger schedule orchestration_trigger activity_trigger entity_trigger durable_client_input "
    "function_name http_type".split()
)
# Those that are no decorators, and one whose library is not there: an app that uses it cannot be imported without.
OTHERS = {"app_script_file", "durable_openai_agent_orchestrator"}
# What a decorator wants beside texts.
WANTED: dict[str, Any] = {"input_type": "RawText", "uri": "u", "max_retry_count": "2", "delay_interval": "00:00:01"}
STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
NAMES = ("arg_name", "context_name", "input_name", "client_name", "trigger_arg_name")


def decorators() -> Iterator[str]:
    for api in APIS:
        for name, member in inspect.getmembers(api):
            if not name.startswith("_") and callable(member) and name not in OTHERS:
                yield name


def applied(name: str) -> df.DFApp:
    """An app with one function that has the decorator, and a route if the decorator is no trigger."""
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    if name == "mcp_tool_property":
        app.mcp_tool()(app.mcp_tool_property(arg_name="x")(named("x")))
        return app
    decorate = getattr(app, name)
    if name == "event_grid_output":
        decorate = partial(decorate, connection="C")
    arguments = {
        each.name: "x" if each.name in NAMES else WANTED.get(each.name, "text")
        for each in inspect.signature(decorate).parameters.values()
        if each.name in (*NAMES, "delay_interval") or (each.default is each.empty and each.kind is not each.VAR_KEYWORD)
    }
    decorated = decorate(**arguments)(named("x"))
    if decorated._function.get_trigger() is None:
        app.route()(decorated)
    return app


def named(parameter: str) -> Any:
    space: dict[str, Any] = {}
    exec(f"async def function({parameter}: str): ...", space)
    return space["function"]


def described(app: Any) -> dict[str, Any]:
    (definition,) = app.get_functions()
    return Function(definition).describe()


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """The settings of an app with an environment."""
    (tmp_path / "host.json").write_text('{"version": "2.0", "extensions": {"durableTask": {"hubName": "Own"}}}')
    return lambda **environment: load(tmp_path, {**STORAGE, **environment})


@pytest.mark.parametrize("name", sorted(set(decorators())))
def test_every_decorator_is_served_or_named(name: str, settings: Callable[..., Settings]) -> None:
    lines = sentences([described(applied(name))], settings())
    if name in SERVED - {"orchestration_trigger", "entity_trigger"}:
        assert lines == []
    elif name in SERVED:  # the function is async, which the SDK does not await
        why = "each of its runs fails, here as in Azure, because the SDK does not await an async def"
        assert lines == [f"Function 'function': {why}."]
    else:
        assert len(lines) == 1
        assert lines[0].startswith("Function 'function': ")
        assert lines[0].count("devhost does not") == 1


def test_the_decorators_that_are_served_are_still_there() -> None:
    assert set(decorators()) >= SERVED
    assert len(set(decorators())) > 50


def test_a_binding_that_is_not_known_yet_is_named(settings: Callable[..., Settings]) -> None:
    app = func.FunctionApp()
    new = app.generic_output_binding(arg_name="out", type="tomorrow")(named("msg, doc, out"))
    app.generic_trigger(arg_name="msg", type="tomorrowTrigger")(app.generic_input_binding("doc", "today")(new))
    assert sentences([described(app)], settings()) == [
        "Function 'function': it is never called, because devhost does not serve its tomorrowTrigger."
    ]
    app = func.FunctionApp()
    new = app.generic_output_binding(arg_name="out", type="tomorrow")(named("req, doc, out"))
    app.route()(app.generic_input_binding("doc", "today")(new))
    assert sentences([described(app)], settings()) == [
        "Function 'function': each of its calls fails, because devhost does not serve its output 'out' (tomorrow) and "
        "its input 'doc' (today)."
    ]


def test_a_function_that_lacks_a_binding_is_not_called_with_something_else() -> None:
    app = func.FunctionApp()
    app.route()(app.queue_output(arg_name="out", queue_name="q", connection="C")(named("req, out")))
    (definition,) = app.get_functions()
    with pytest.raises(NotServed, match=r"devhost does not serve the output 'out' \(queue\) of this function"):
        Function(definition).arguments(None, "", {})


def timer(schedule: str = "0 0 9 * * *", **options: Any) -> dict[str, Any]:
    app = func.FunctionApp()
    app.timer_trigger(arg_name="x", schedule=schedule, **options)(named("x"))
    return described(app)


@pytest.mark.parametrize(
    ("environment", "zone"),
    [
        ({}, None),
        ({"TZ": ""}, None),
        ({"TZ": "UTC"}, None),
        ({"TZ": "Etc/UTC"}, None),
        ({"WEBSITE_TIME_ZONE": "UTC", "TZ": "Asia/Tokyo"}, None),
        ({"TZ": "Asia/Tokyo"}, "Asia/Tokyo (TZ)"),
        ({"TZ": "GMT+3"}, "GMT+3 (TZ)"),
        ({"WEBSITE_TIME_ZONE": "Tokyo Standard Time"}, "Tokyo Standard Time (WEBSITE_TIME_ZONE)"),
    ],
)
def test_a_time_zone_is_named(environment: dict[str, str], zone: str | None, settings: Callable[..., Settings]) -> None:
    lines = sentences([timer()], settings(**environment))
    assert lines == ([f"Function 'function': its schedule is in UTC, and not in {zone}."] if zone else [])
    assert sentences([timer("01:00:00")], settings(**environment)) == []
    assert bool(sentences([timer("%EACH%")], settings(EACH="0 0 9 * * *", **environment))) == bool(zone)


def test_use_monitor_is_named_when_it_is_asked_for(settings: Callable[..., Settings]) -> None:
    assert "whatever use_monitor says" in sentences([timer(use_monitor=True)], settings())[0]
    assert sentences([timer(use_monitor=False)], settings()) == []


def client(**options: Any) -> dict[str, Any]:
    app = df.DFApp()
    app.route()(app.durable_client_input(client_name="client", **options)(named("req, client")))
    return described(app)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, None),
        ({"task_hub": "own"}, None),
        ({"task_hub": "%HUB%"}, None),
        ({"task_hub": "Another"}, "the task hub 'Own' and not on 'Another'"),
        ({"task_hub": "%OTHER%"}, "the task hub 'Own' and not on 'Another'"),
        ({"task_hub": "%NOWHERE%"}, "the task hub 'Own' and not on '%NOWHERE%'"),
        ({"connection_name": "Storage"}, None),
        ({"connection_name": "AzureWebJobsStorage"}, None),
        ({"connection_name": "Same"}, None),
        ({"connection_name": "Elsewhere"}, "the storage of AzureWebJobsStorage and not of 'Elsewhere'"),
    ],
)
def test_a_client_of_another_hub_is_named(
    options: dict[str, str], words: str | None, settings: Callable[..., Settings]
) -> None:
    lines = sentences([client(**options)], settings(HUB="Own", OTHER="Another", Same="UseDevelopmentStorage=true"))
    assert lines == ([f"Function 'function': its client works on {words}."] if words else [])


def test_a_client_function_that_is_not_async_is_named(settings: Callable[..., Settings]) -> None:
    app = df.DFApp()

    def function(req: func.HttpRequest, client: Any) -> None: ...

    app.route()(app.durable_client_input(client_name="client")(function))
    assert sentences([described(app)], settings()) == [
        "Function 'function': each of its calls fails, here as in Azure, because the SDK awaits a function with a "
        "durable client."
    ]


@pytest.mark.parametrize(
    ("function", "binding", "reasons"),
    [
        ("place_order", "an_order", []),
        ("Order-2", "_", []),
        ("_private", "x", ["it does not take its name"]),
        ("host", "x", ["it does not take its name"]),
        ("a.b", "x", ["it does not take its name"]),
        ("f", "an__order", ["it does not take 'an__order' as the name of a binding"]),
        ("f", "größe", ["it does not take 'größe' as the name of a binding"]),
    ],
)
def test_names_that_the_host_does_not_take_are_named(
    function: str, binding: str, reasons: list[str], settings: Callable[..., Settings]
) -> None:
    app = func.FunctionApp()
    app.function_name(function)(app.timer_trigger(arg_name=binding, schedule="0 0 9 * * *")(named(binding)))
    why = [f"Function '{function}': Azure's host does not load it, because {each}." for each in reasons]
    assert sentences([described(app)], settings()) == why


def test_requests_as_streams_are_named(monkeypatch: pytest.MonkeyPatch, settings: Callable[..., Settings]) -> None:
    app = func.FunctionApp()
    app.route()(named("req"))
    base = SimpleNamespace(HttpV2FeatureChecker=SimpleNamespace(http_v2_enabled=lambda: True))
    monkeypatch.setitem(sys.modules, "azurefunctions.extensions.base", base)
    (sentence,) = sentences([described(app)], settings())
    assert "devhost does not serve requests as streams" in sentence


@pytest.mark.parametrize(
    ("provider", "wanted"),
    [
        ("{}", []),
        ('{"type": "azurestorage", "connectionName": "AzureWebJobsStorage", "partitionCount": 2}', []),
        (
            '{"type": "azureManaged", "connectionStringName": "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"}',
            ["host.json asks for the storage provider azureManaged; devhost keeps the hub in AzureWebJobsStorage."],
        ),
        (
            '{"TYPE": "mssql", "connectionStringName": "SQLDB_Connection"}',
            ["host.json asks for the storage provider mssql; devhost keeps the hub in AzureWebJobsStorage."],
        ),
        (
            '{"connectionName": "Other", "trackingStoreConnectionName": "Third"}',
            [
                "host.json asks for the storage of Other (connectionName); devhost keeps the hub in "
                "AzureWebJobsStorage.",
                "host.json asks for a tracking store in Third (trackingStoreConnectionName); devhost keeps the hub in "
                "AzureWebJobsStorage.",
            ],
        ),
    ],
)
def test_another_storage_provider_is_named(tmp_path: Path, provider: str, wanted: list[str]) -> None:
    write_host_json(tmp_path, storageProvider=json.loads(provider))
    assert list(load(tmp_path, STORAGE).unserved) == wanted


def write_host_json(folder: Path, **durable: Any) -> None:
    (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"durableTask": durable}}))


def test_settings_that_are_not_followed_are_named(tmp_path: Path) -> None:
    write_host_json(
        tmp_path, versionMatchStrategy="Strict", notifications={"eventGrid": {}}, storageProvider={"type": "mssql"}
    )
    local = {"IsEncrypted": False, "Host": {"LocalHttpPort": 7072, "CORS": "*"}}
    (tmp_path / "local.settings.json").write_text(json.dumps(local))
    assert list(load(tmp_path, STORAGE).unserved) == [
        "host.json asks for the storage provider mssql; devhost keeps the hub in AzureWebJobsStorage.",
        "host.json asks for notifications; devhost sends none.",
        "host.json asks for a versionMatchStrategy; devhost runs the instances of every version.",
        "local.settings.json sets LocalHttpPort, CORS under Host, which devhost does not follow.",
    ]


def test_a_strategy_that_runs_every_version_is_followed(tmp_path: Path) -> None:
    write_host_json(tmp_path, versionMatchStrategy="none", defaultVersion="1.0")
    assert load(tmp_path, STORAGE).unserved == ()


def test_a_hub_name_that_fits_another_provider_is_refused_with_the_way_out(tmp_path: Path) -> None:
    write_host_json(tmp_path, hubName="MY_HUB", storageProvider={"type": "azureManaged"})
    way_out = "AzureFunctionsJobHost__extensions__durableTask__hubName"
    with pytest.raises(BadSettings, match=f"'MY_HUB' must be .* AzureWebJobsStorage; {way_out}, .* overrides it"):
        load(tmp_path, STORAGE)
    assert load(tmp_path, {**STORAGE, way_out: "MyHub"}).hub == "MyHub"


def test_an_app_is_served_whose_host_json_has_comments(new_host: Hosts, tmp_path: Path) -> None:
    app = shutil.copytree(APP, tmp_path / "app")
    text = (app / "host.json").read_text()
    (app / "host.json").write_text(f"// the hub of the shop\n{text[: text.rindex('}')]},}} /* the end */")
    (app / "local.settings.json").write_text('{"IsEncrypted": false, /* plain */ "Values": {"A": "1",},}')
    host = new_host(app=app).start()
    assert host.get("/api/to_queue").status == 500


def test_what_is_not_served_is_logged_once_also_when_the_code_is_loaded_again(new_host: Hosts, tmp_path: Path) -> None:
    app = shutil.copytree(APP, tmp_path / "app")
    host = new_host(app=app, arguments=("--watch",), settings={"WEBSITE_TIME_ZONE": "Asia/Tokyo"}).start()
    names = ["from_queue", "to_queue", "retried", "at_nine", "elsewhere", "never_awaited"]
    logged = [
        line.split("Function '")[1].split("'")[0] for line in host.log.splitlines() if "devhost: Function '" in line
    ]
    assert sorted(logged) == sorted(names)
    assert "host.json asks for the storage provider azureManaged; devhost keeps the hub" in host.log
    assert host.get("/api/to_queue").status == 500
    assert "devhost does not serve the output 'out' (queue) of this function" in host.log
    (app / "function_app.py").write_text((app / "function_app.py").read_text() + "\n# another\n")
    until(lambda: "the worker has been replaced" in host.log)
    assert host.log.count("devhost: Function '") == len(names)
