"""The small pure parts: routes, schedules, keys, settings, events and their shapes."""

import importlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.durable_functions.models.history.HistoryEvent import dt_parse
from hypothesis import given
from hypothesis import strategies as st

from devhost.execution.actions import SUB_ORCHESTRATION, Task
from devhost.execution.instance import Execution
from devhost.history.builders import Parent, execution_started
from devhost.history.events import Event, compact_json, from_row, iso_time, to_row, to_sdk
from devhost.http import routing
from devhost.orchestration.recovery import is_called_by
from devhost.settings import BadSettings, hub_name, load, loads_with_comments, resolve
from devhost.storage.account import parse_connection_string
from devhost.storage.history_table import History
from devhost.storage.keys import escape_key, row_key, unescape_key
from devhost.storage.tables import parse_time
from devhost.triggers import cron
from devhost.worker.sdk_patches import PATCHES, quick_parse


def route(template: str, *methods: str, prefix: str = "api") -> routing.Route:
    return routing.compile_route(prefix, {"name": "f", "route": template, "methods": list(methods)})


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("orders/{id}", "/api/orders/7", {"id": "7"}),
        ("orders/{id}", "/API/Orders/7/", {"id": "7"}),
        ("orders/{id}", "/api/orders", None),
        ("orders/{id?}", "/api/orders", {}),
        ("orders/{id=all}", "/api/orders", {"id": "all"}),
        ("orders/{id:int}", "/api/orders/x", None),
        ("orders/{id:int}", "/api/orders/99999999999", None),
        ("orders/{id:long}", "/api/orders/99999999999", {"id": "99999999999"}),
        (
            "orders/{id:guid}",
            "/api/orders/0f8fad5b-d9cb-469f-a165-70867728950e",
            {"id": "0f8fad5b-d9cb-469f-a165-70867728950e"},
        ),
        ("orders/{id:length(2,3)}", "/api/orders/abcd", None),
        ("orders/{id:range(1,5)}", "/api/orders/5", {"id": "5"}),
        ("orders/{id:min(1):max(5)}", "/api/orders/6", None),
        ("orders/{id:alpha:minlength(2)}", "/api/orders/ab", {"id": "ab"}),
        ("orders/{id:regex(^a{{1}}b$)}", "/api/orders/ab", {"id": "ab"}),
        ("orders/{id:bool}", "/api/orders/TRUE", {"id": "TRUE"}),
        ("orders/{id:datetime}", "/api/orders/2026-01-01", {"id": "2026-01-01"}),
        ("orders/{id:float}", "/api/orders/-1.5e3", {"id": "-1.5e3"}),
        ("orders/{id:decimal}", "/api/orders/1_000", None),
        ("orders/{id:decimal}", "/api/orders/nan", None),
        ("orders/{id:guid}", "/api/orders/urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e", None),
        (
            "orders/{id:guid}",
            "/api/orders/0f8fad5bd9cb469fa16570867728950e",
            {"id": "0f8fad5bd9cb469fa16570867728950e"},
        ),
        ("a-{x}.{y}", "/api/a-one.two", {"x": "one", "y": "two"}),
        ("{*rest}", "/api/a/b", {"rest": "a/b"}),
        ("{**rest}", "/api", {}),
        ("orders/{id}", "/api/orders/%C5%81%20x", {"id": "Ł x"}),
    ],
)
def test_a_template_takes_what_asp_net_would_take(template: str, path: str, values: dict[str, str] | None) -> None:
    assert route(template).match("GET", path) == values


def test_a_wrong_verb_is_no_match_and_no_verbs_are_all() -> None:
    assert route("x", "GET", "POST").match("PUT", "/api/x") is None
    assert route("x").match("OPTIONS", "/api/x") == {}


def test_an_empty_prefix_leaves_the_route_alone() -> None:
    assert route("x", prefix="").match("GET", "/x") == {}


def described(name: str, template: str, *methods: str) -> dict[str, Any]:
    return {"name": name, "route": template, "methods": list(methods)}


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


def test_routes_are_tried_in_the_order_of_their_functions_names_case_aside() -> None:
    names = ["search", "Any_user", "anyuser", "latest", "b", "Az", "aa", "a1"]
    routes = routing.build("api", [described(name, f"{{{name}}}") for name in names])
    # As .NET compares: in upper case, where an underscore comes after the letters and digits before them.
    assert [each.function["name"] for each in routes] == [
        "a1",
        "aa",
        "anyuser",
        "Any_user",
        "Az",
        "b",
        "latest",
        "search",
    ]


def test_the_first_function_by_name_wins_whatever_was_declared_first() -> None:
    functions = [described(name, template) for name, template in (("one", "orders/{id}"), ("latest", "orders/latest"))]
    for each in (functions, functions[::-1]):
        found = routing.find(routing.build("api", each), "GET", "/api/orders/latest")
        assert found and found[0].function["name"] == "latest"


def test_one_template_may_serve_two_verbs_but_not_one_verb_twice() -> None:
    assert len(routing.build("api", [described("a", "x", "GET"), described("b", "x", "POST")])) == 2
    with pytest.raises(routing.BadRoute, match="conflicts with the route defined by function 'a'"):
        routing.build("api", [described("a", "x", "GET"), described("b", "X", "GET", "PUT")])


@given(st.datetimes(min_value=datetime(1970, 1, 1)))
def test_a_quick_time_is_the_sdks(moment: datetime) -> None:
    text = iso_time(moment.replace(tzinfo=UTC))
    found, wanted = quick_parse(dt_parse)(text), dt_parse(text)
    assert (found, repr(found)) == (wanted, repr(wanted))


@pytest.mark.parametrize(("module", "name"), [patch[:2] for patch in PATCHES])
def test_each_patch_of_the_sdk_finds_its_place(module: str, name: str) -> None:
    assert callable(getattr(importlib.import_module(module), name))


def test_other_times_are_left_to_the_sdks_parser() -> None:
    for text in ("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00+02:00", "2026-01-01"):
        assert repr(quick_parse(dt_parse)(text)) == repr(dt_parse(text))


def test_an_unknown_constraint_is_refused() -> None:
    with pytest.raises(routing.BadRoute, match="'colour' is not known"):
        route("x/{y:colour}")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("schedule", "moment", "following"),
    [
        ("0 */5 * * * *", "2026-01-01 00:03:07", "2026-01-01 00:05:00"),
        ("*/15 * * * * *", "2026-01-01 00:00:15", "2026-01-01 00:00:30"),
        ("30 0 9 * * Mon-Fri", "2026-01-02 09:00:30", "2026-01-05 09:00:30"),
        ("0 0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 12 * JAN,december 0", "2026-02-01 00:00:00", "2026-12-06 12:00:00"),
        ("0 0 0 31 * *", "2026-04-01 00:00:00", "2026-05-31 00:00:00"),
        ("*/10 * * * *", "2026-01-01 00:00:00", "2026-01-01 00:10:00"),
        ("0 5/20 * * * *", "2026-01-01 00:26:00", "2026-01-01 00:45:00"),
        ("0 0 0 * * 7", "2026-01-01 00:00:00", "2026-01-04 00:00:00"),
        ("00:00:30", "2026-01-01 00:00:00", "2026-01-01 00:00:30"),
        ("1.00:00:00", "2026-01-01 00:00:00", "2026-01-02 00:00:00"),
    ],
)
def test_a_schedule_finds_its_next_time(schedule: str, moment: str, following: str) -> None:
    assert cron.parse(schedule).next_after(at(moment)) == at(following)


def test_a_date_that_never_comes_has_no_next_time() -> None:
    assert cron.parse("0 0 0 30 2 *").next_after(at("2026-01-01")) is None


@pytest.mark.parametrize("schedule", ["", "* * *", "61 * * * * *", "0 0 0 * * Foo", "0 0 5-3 * * *", "0 */0 * * * *"])
def test_a_schedule_that_makes_no_sense_is_refused(schedule: str) -> None:
    with pytest.raises(cron.BadSchedule):
        cron.parse(schedule)


@given(st.text(max_size=40).filter(str.isprintable) | st.text(alphabet="^/\\#?\x00\x1f\x7f\x9fa'ż", max_size=20))
def test_a_key_holds_no_forbidden_character_and_gives_its_id_back(instance_id: str) -> None:
    key = escape_key(instance_id)
    assert set(key) & FORBIDDEN_IN_KEYS == set()
    assert unescape_key(key) == instance_id


# https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model, "Characters
# disallowed in key fields": four of them, and the control characters of both blocks.
STAND_INS = {"/": "0", "\\": "1", "#": "2", "?": "3"}  # of the provider's KeySanitation.cs, as is the shift by 0xC0
FORBIDDEN_IN_KEYS = {*"/\\#?", *map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))}


@pytest.mark.parametrize("character", sorted(FORBIDDEN_IN_KEYS), ids=lambda character: f"U+{ord(character):04X}")
def test_each_forbidden_character_is_written_as_two_that_are_allowed(character: str) -> None:
    key = escape_key(f"a{character}b")
    assert key == f"a^{STAND_INS.get(character) or chr(0xC0 + ord(character))}b"
    assert key[2] not in FORBIDDEN_IN_KEYS
    assert unescape_key(key) == f"a{character}b"


def test_no_two_ids_share_a_key() -> None:
    written = [escape_key(character) for character in [*FORBIDDEN_IN_KEYS, "^", "^0", "^^", "a"]]
    assert len(set(written)) == len(written)


def test_row_keys_are_sixteen_hex_digits() -> None:
    assert (row_key(0), row_key(26)) == ("0000000000000000", "000000000000001A")


def test_an_event_survives_its_row() -> None:
    event = Event("TimerFired", datetime(2026, 1, 1, 12, 0, 0, 5, UTC), fields={"TimerId": 3, "FireAt": NOON})
    assert from_row(to_row(event)) == event
    assert to_row(event) == {
        **{"EventId": -1, "IsPlayed": False, "_Timestamp": event.at, "EventType": "TimerFired"},
        **{"TimerId": 3, "FireAt": NOON},
    }


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_sdk_reads_numbers_nulls_and_times_with_a_z() -> None:
    completed = json.loads(to_sdk(Event("TaskCompleted", NOON, fields={"TaskScheduledId": 1})))
    assert completed == {
        **{"EventType": 5, "EventId": -1, "IsPlayed": False, "Timestamp": "2026-01-01T12:00:00Z"},
        **{"TaskScheduledId": 1, "Result": None},
    }
    started = json.loads(to_sdk(Event("ExecutionStarted", NOON, fields={"Version": ""})))
    assert (started["Version"], started["ParentInstance"]) == ("", None)


def test_times_are_written_as_dot_net_writes_them() -> None:
    assert iso_time(NOON + timedelta(microseconds=120)) == "2026-01-01T12:00:00.00012Z"
    assert parse_time("2026-01-01T12:00:00.1234567Z") == NOON + timedelta(microseconds=123456)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_compact_json_is_always_utf_8_and_the_same_value(value: Any) -> None:
    text = compact_json(value)
    assert json.loads(text.encode()) == value


def test_half_a_surrogate_pair_stays_escaped() -> None:
    assert compact_json("Ł\ud800") == '"Ł\\ud800"'


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


def write(folder: Path, host: object, local: object | None = None) -> Path:
    (folder / "host.json").write_text(json.dumps(host))
    if local is not None:
        (folder / "local.settings.json").write_text(json.dumps(local))
    return folder


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
        ({"version": "2.0"}, {"IsEncrypted": False, "Values": ["A"]}, "Values and ConnectionStrings must be JSON obj"),
        ({"version": "2.0"}, {"IsEncrypted": False, "ConnectionStrings": "A"}, "must be JSON objects"),
        ({"extensions": ["durableTask"]}, None, "host.json: extensions must be a JSON object"),
        ({"extensions": {"durableTask": "x"}}, None, "host.json: durableTask must be a JSON object"),
        ({"extensions": {"http": 7}}, None, "host.json: http must be a JSON object"),
        ({"extensions": {"durableTask": {"storageProvider": "x"}}}, None, "storageProvider must be a JSON object"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, host: object, local: object, words: str) -> None:
    with pytest.raises(BadSettings, match=words):
        load(write(tmp_path, host, local), {} if local else {"AzureWebJobsStorage": "UseDevelopmentStorage=true"})


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


def test_an_account_in_azure_has_its_usual_endpoints() -> None:
    account = parse_connection_string(
        "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=a2V5;EndpointSuffix=x.y"
    )
    assert account.table_endpoint == "https://shop.table.x.y"
    assert account.blob_endpoint == "https://shop.blob.x.y"
    assert account.queue_endpoint == "https://shop.queue.x.y"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be a connection string with AccountName and AccountKey"),
        ("hello", "must be a connection string with AccountName and AccountKey"),
        ("AccountName=shop", "must be a connection string with AccountName and AccountKey"),
        ("AccountKey=a2V5", "must be a connection string with AccountName and AccountKey"),
        ("AccountName=shop;AccountKey=", "must be a connection string with AccountName and AccountKey"),
        ("AccountName=shop;AccountKey=a2V", "AccountKey is not the base64 text"),
        ("AccountName=shop;AccountKey=a2V5!", "AccountKey is not the base64 text"),
    ],
)
def test_a_connection_string_that_cannot_be_used_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        parse_connection_string(text)
    assert str(refused.value).startswith("AzureWebJobsStorage")
    assert "a2V" not in str(refused.value)


def test_an_account_that_names_no_queues_has_none() -> None:
    account = parse_connection_string("AccountName=a;AccountKey=a2V5;BlobEndpoint=http://b/a;TableEndpoint=http://t/a")
    assert account.queue_endpoint == ""


@pytest.mark.parametrize(
    ("caller", "is_its"),
    [
        (Parent("order-1", "execution 1", "saga", 3, ""), True),
        (Parent("order-1", "execution 1", "saga", 2, ""), False),  # an attempt before this one
        (Parent("order-1", "execution 0", "saga", 3, ""), False),  # a generation before this one
        (None, False),  # somebody else's instance of this id
    ],
)
def test_a_history_is_of_the_very_call_that_its_start_names(caller: Parent | None, is_its: bool) -> None:
    parent, child = (
        execution_started("order-1", "saga", None, ""),
        execution_started("ship-1", "ship", None, "", caller),
    )
    parent.fields["OrchestrationInstance"]["ExecutionId"] = "execution 1"
    history = History("execution 7", [child])
    assert is_called_by(history, Execution(parent), Task(3, SUB_ORCHESTRATION, "ship")) is is_its
