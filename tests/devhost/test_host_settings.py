"""What devhost reads from host.json, local.settings.json and the environment, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.settings import BadSettings, hub_name, load, loads_with_comments, resolve


def write(folder: Path, host: object, local: object | None = None) -> Path:
    """The files of an app; a host.json that says nothing of its version has the right one."""
    (folder / "host.json").write_text(json.dumps({"version": "2.0", **host} if isinstance(host, dict) else host))
    if local is not None:
        (folder / "local.settings.json").write_text(json.dumps(local))
    return folder


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{\n  // the hub of the shop\n  "a": [1, 2,],\n}', {"a": [1, 2]}),
        ('/* before */ {"a": /* in */ 1 /* , */ , // after\n} // the end', {"a": 1}),
        (
            '{"a": "// no /* comment */ ,}", "b": "\\\\", "c": "\\" // ,]",}',
            {"a": "// no /* comment */ ,}", "b": "\\", "c": '" // ,]'},
        ),
        ('["a", // ,\n ]', ["a"]),
        ('{"a": {}, "b": [[],],}', {"a": {}, "b": [[]]}),
        ("1 //", 1),
        ("/**/[]/***/", []),
        ('{"a": 1}\r\n// CRLF\r\n', {"a": 1}),
    ],
)
def test_settings_are_read_with_comments_and_last_commas(text: str, value: Any) -> None:
    assert loads_with_comments(text) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_what_is_json_is_read_as_json(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert loads_with_comments(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "{,}",
        "[,]",
        "[1,,]",
        "[1,,2]",
        '{"a":,}',
        '{"a": 1}}',
        "[1 2]",
        "/* no end",
        '{"a": "no end // }',
        "# no",
        ",",
        "[1],",
    ],
)
def test_what_is_broken_stays_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d+ column \d+"):
        loads_with_comments(text)


def test_a_fault_is_found_on_its_line() -> None:
    with pytest.raises(ValueError, match="line 4 column 8"):
        loads_with_comments('{ // one\n /* two\n three */\n  "a": x\n}')


@pytest.mark.parametrize(
    ("given_name", "environment", "hub"),
    [
        (None, {}, "TestHubName"),
        ("MyHub", {}, "MyHub"),
        ("%HUB%", {"HUB": "FromSetting"}, "FromSetting"),
        (None, {"WEBSITE_SITE_NAME": "1-my site"}, "t1mysite"),
        (None, {"WEBSITE_SITE_NAME": "a"}, "aHub"),
        (None, {"WEBSITE_SITE_NAME": "--"}, "DefaultTaskHub"),
    ],
)
def test_the_hub_is_named_by_host_json_or_by_the_site(
    given_name: str | None, environment: dict[str, str], hub: str
) -> None:
    assert hub_name(given_name, environment) == hub


@pytest.mark.parametrize("name", ["ab", "1hub", "my-hub", "x" * 46])
def test_a_hub_name_that_tables_refuse_is_refused_first(name: str) -> None:
    with pytest.raises(BadSettings, match="letters and digits"):
        hub_name(name, {})


def test_a_slot_needs_a_hub_of_its_own() -> None:
    with pytest.raises(BadSettings, match="In the slot 'staging'"):
        hub_name(None, {"WEBSITE_SLOT_NAME": "staging"})
    assert hub_name(None, {"WEBSITE_SLOT_NAME": "Production"}) == "TestHubName"
    assert hub_name("MyHub", {"WEBSITE_SLOT_NAME": "staging"}) == "MyHub"


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(BadSettings, match="the setting CRON is missing"):
        resolve("%CRON%", {})


def test_the_environment_wins_over_both_files(tmp_path: Path) -> None:
    host = {"version": "2.0", "extensions": {"durableTask": {"hubName": "Filed"}, "http": {"routePrefix": "v1"}}}
    values = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "A": "file", "B": "file"}
    app = write(tmp_path, host, {"IsEncrypted": False, "Values": values, "ConnectionStrings": {"Sql": "c"}})
    environment = {
        "B": "environment",
        "AzureFunctionsJobHost__extensions__durableTask__hubName": "Overridden",
        "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions": "3",
    }
    settings = load(app, environment)
    assert (settings.hub, settings.route_prefix, settings.max_activities) == ("Overridden", "v1", 3)
    assert (settings.environment["A"], settings.environment["B"]) == ("file", "environment")
    assert settings.environment["ConnectionStrings:Sql"] == "c"
    assert settings.account.table_endpoint == "http://127.0.0.1:10002/devstoreaccount1"


@pytest.mark.parametrize(
    ("host", "local", "words"),
    [
        ({"version": "2.0"}, {"Values": {}}, "encrypted"),
        ({"version": "2.0"}, {"IsEncrypted": False, "Values": {"A": {"b": 1}}}, "must be a string"),
        ({"version": "2.0"}, {"IsEncrypted": False, "Values": {"AzureWebJobsStorage": "x"}}, "connection string"),
        ({"extensions": {"durableTask": {"maxConcurrentActivityFunctions": 0}}}, None, "whole number from 1"),
        ({"extensions": {"durableTask": {"storageProvider": {"partitionCount": 17}}}}, None, "16 at most"),
        ([], None, "must hold a JSON object"),
        ({"version": "2.0"}, {"IsEncrypted": False, "Values": ["A"]}, "Values must be a JSON object"),
        ({"version": "2.0"}, {"IsEncrypted": False, "ConnectionStrings": "A"}, "ConnectionStrings must be a JSON obj"),
        ({"version": "2.0"}, {"IsEncrypted": False, "Host": "A"}, "Host must be a JSON object"),
        ({"version": "3.0"}, None, r'host.json must have "version": "2.0"; without it Azure.s host does not start'),
        ({"version": 2.0}, None, r'host.json must have "version": "2.0"'),
        ({"version": None}, None, r'host.json must have "version": "2.0"'),
        ({"extensions": ["durableTask"]}, None, "host.json: extensions must be a JSON object"),
        ({"extensions": {"durableTask": "x"}}, None, "host.json: durableTask must be a JSON object"),
        ({"extensions": {"http": 7}}, None, "host.json: http must be a JSON object"),
        ({"extensions": {"durableTask": {"storageProvider": "x"}}}, None, "storageProvider must be a JSON object"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, host: object, local: object, words: str) -> None:
    with pytest.raises(BadSettings, match=words):
        load(write(tmp_path, host, local), {} if local else {"AzureWebJobsStorage": "UseDevelopmentStorage=true"})


def test_an_empty_host_json_is_one_of_version_2(tmp_path: Path) -> None:
    """As for Azure's host, which writes the version into it."""
    (tmp_path / "host.json").write_text("{}")
    assert load(tmp_path, {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}).hub == "TestHubName"


def test_names_of_host_json_have_no_case(tmp_path: Path) -> None:
    host = {"EXTENSIONS": {"HTTP": {"ROUTEPREFIX": "v1"}, "DurableTASK": {"StorageProvider": {"PARTITIONCOUNT": 7}}}}
    environment = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "AzureFunctionsJobHost__FunctionTimeout": "-1"}
    settings = load(write(tmp_path, host), environment)
    assert (settings.route_prefix, settings.partitions, settings.function_timeout_s) == ("v1", 7, None)


@pytest.mark.parametrize("name", ["host.json", "local.settings.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"{}{}", None])
def test_a_damaged_file_is_named_in_one_sentence(tmp_path: Path, name: str, content: bytes | None) -> None:
    """None: a folder stands in its place."""
    write(tmp_path, {"version": "2.0"})
    file = tmp_path / name
    file.unlink(missing_ok=True)
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(BadSettings) as refused:
        load(tmp_path, {"AzureWebJobsStorage": "UseDevelopmentStorage=true"})
    assert str(refused.value).startswith(f"{file} ")
    assert str(refused.value).count("\n") == 0


def test_an_override_of_what_is_no_object_is_refused(tmp_path: Path) -> None:
    environment = {"AzureFunctionsJobHost__version__a": "1", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    with pytest.raises(BadSettings, match=r"host.json: version must be a JSON object"):
        load(write(tmp_path, {"version": "2.0"}), environment)


@pytest.mark.parametrize(
    ("given_timeout", "seconds"),
    [(None, 1800), ("-1", None), (-1, None), ("00:00:02", 2), ("01:30:00", 5400), ("1.00:00:00", 86400)],
)
def test_a_function_may_take_as_long_as_host_json_says(
    tmp_path: Path, given_timeout: object, seconds: float | None
) -> None:
    host = {"version": "2.0"} if given_timeout is None else {"functionTimeout": given_timeout}
    settings = load(write(tmp_path, host), {"AzureWebJobsStorage": "UseDevelopmentStorage=true"})
    assert settings.function_timeout_s == seconds


@pytest.mark.parametrize(("given_count", "count"), [(None, 1), ("", 1), ("1", 1), ("3", 3), ("10", 10)])
def test_there_are_as_many_workers_as_a_setting_says(tmp_path: Path, given_count: str | None, count: int) -> None:
    values = {} if given_count is None else {"FUNCTIONS_WORKER_PROCESS_COUNT": given_count}
    app = write(tmp_path, {"version": "2.0"}, {"IsEncrypted": False, "Values": values})
    assert load(app, {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}).worker_processes == count


@pytest.mark.parametrize("given_count", ["0", "11", "-1", "2.5", "two", " 2", "٣", "1e1", "9" * 40])
def test_a_number_of_workers_that_azure_does_not_take_is_refused(tmp_path: Path, given_count: str) -> None:
    environment = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "FUNCTIONS_WORKER_PROCESS_COUNT": given_count}
    with pytest.raises(BadSettings) as refused:
        load(write(tmp_path, {"version": "2.0"}), environment)
    reason = f"must be a whole number from 1 to 10; it is '{given_count}'."
    assert str(refused.value) == f"FUNCTIONS_WORKER_PROCESS_COUNT {reason}"


@pytest.mark.parametrize("given_timeout", ["", "5", "00:00:00", "soon", 30])
def test_a_function_timeout_that_makes_no_sense_is_refused(tmp_path: Path, given_timeout: object) -> None:
    with pytest.raises(BadSettings, match="functionTimeout must be"):
        load(write(tmp_path, {"functionTimeout": given_timeout}), {"AzureWebJobsStorage": "UseDevelopmentStorage=true"})


@pytest.mark.parametrize("name", ["accountName", "blobServiceUri", "tableServiceUri"])
def test_storage_by_an_identity_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadSettings, match=r"signs with an account.s key: set AzureWebJobsStorage"):
        load(write(tmp_path, {"version": "2.0"}), {f"AzureWebJobsStorage__{name}": "x"})
