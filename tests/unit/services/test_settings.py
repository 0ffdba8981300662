"""The settings table: what is missing or wrong is said in one sentence each, and no value is repeated."""

from __future__ import annotations

import json

import pytest

from devtools.places import ROOT
from services import storage
from services.settings import SETTINGS, faults, kind_of_stripe_key

GOOD = {setting.name: setting.example for setting in SETTINGS}
AZURE = {name: value for name, value in GOOD.items() if name != "AzureWebJobsStorage"} | {
    "AzureWebJobsStorage__accountName": "shopstorage"
}


def test_the_example_is_whole() -> None:
    assert faults(GOOD) == []


def test_an_identity_instead_of_a_connection_string_is_whole_too() -> None:
    assert faults(AZURE) == []


def test_nothing_set_names_every_setting_that_must_be() -> None:
    named = [fault.split()[0] for fault in faults({})]
    assert named == [
        "AzureWebJobsStorage",
        "STRIPE_API_KEY",
        "SMTP_URL",
        "MAIL_FROM",
        "SHIPS_TO",
        "SWEEP_SCHEDULE",
    ]


WRONG = [
    ("AzureWebJobsStorage", "hunter2"),
    ("AzureWebJobsStorage", "AccountName=shop"),
    ("AzureWebJobsStorage", "AccountName=;AccountKey=aHVudGVyMg=="),
    ("AzureWebJobsStorage", "AccountName=shop;AccountKey=hunter2;hunter2"),
    ("AzureWebJobsStorage", "AccountName=shop;AccountKey=hunter2!"),
    ("AzureWebJobsStorage", "AccountKey=aHVudGVyMg=="),
    ("STRIPE_API_KEY", "pk_test_hunter2"),
    ("STRIPE_API_KEY", "sk_test_hunter2\n"),
    ("STRIPE_API_KEY", "sk_test_hünter2"),
    ("STRIPE_API_BASE", "stripe.com/hunter2"),
    ("SMTP_URL", "http://hunter2"),
    ("MAIL_FROM", "hunter2"),
    ("MAIL_FROM", "hunter2@"),
    ("PUSH_CONNECTION", "Endpoint=sb://hub;SharedAccessKey=hunter2"),
    ("PUSH_CONNECTION", "Endpoint=sb://hub;SharedAccessKeyName=all;SharedAccessKey=hunter2;EntityPath=bücher"),
    ("PUSH_CONNECTION", "Endpoint=sb://hub;SharedAccessKeyName=all;SharedAccessKey=hunter2;EntityPath=a/b"),
    ("SHIPS_TO", "GB,ZZ"),
    ("SHIPS_TO", ","),
    ("CONFIRMATION_FAILURE", "hunter2"),
    ("STEP_RETRY_SECONDS", "hunter2"),
    ("UNDO_RETRY_SECONDS", "-1"),
    ("UNDO_RETRY_SECONDS", "nan"),
    ("UNDO_RETRY_SECONDS", "inf"),
    ("APPROVAL_THRESHOLD_MINOR", "hunter2"),
    ("APPROVAL_THRESHOLD_MINOR", "-1"),
    ("APPROVAL_DEADLINE", "hunter2"),
    ("APPROVAL_DEADLINE", "518401"),
    ("SWEEP_SCHEDULE", "* * * * hunter2"),
    ("TRACKING_SECRET", "hunter2"),
    ("TRACKING_SECRET", "long enough to be one,hunter2"),
    ("ALERT_WEBHOOK_URL", "http://shop.example/hunter2"),
    ("ALERT_WEBHOOK_SECRET", "hunter2"),
    ("PYTHON_THREADPOOL_THREAD_COUNT", "hunter2"),
    ("PYTHON_THREADPOOL_THREAD_COUNT", "0"),
    ("TRACKING_DAYS", "hunter2"),
    ("TRACKING_DAYS", "0"),
    ("TRACKING_DAYS", "nan"),
    ("PUBLIC_URL", "shop.example/hunter2"),
    ("PUBLIC_URL", "http://shop.example/hunter2"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_one_sentence_that_names_the_setting_and_not_the_value(name: str, value: str) -> None:
    (fault,) = faults({**GOOD, name: value})
    assert fault.startswith(name)
    assert fault.endswith(".")
    assert "hunter2" not in fault


@pytest.mark.parametrize(
    "connection",
    [
        "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net",
        "accountname=shop;accountkey=c2VjcmV0",
        "AccountName=shop;SharedAccessSignature=sv=2024-01-01&sig=c2VjcmV0",
    ],
)
def test_what_counts_as_a_connection_string_makes_clients(connection: str) -> None:
    env = {**GOOD, "AzureWebJobsStorage": connection}
    assert faults(env) == []
    assert storage.connect(env).tables.account_name == "shop"


def test_push_is_optional() -> None:
    assert faults({**GOOD, "PUSH_CONNECTION": ""}) == []


def test_the_example_file_is_json_that_local_tools_read() -> None:
    file = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))
    assert all(isinstance(value, str) for value in file["Values"].values())


@pytest.mark.parametrize(
    ("key", "kind"),
    [("sk_test_abc", "test"), ("rk_test_abc", "test"), ("sk_live_abc", "live"), ("sk_abc", "live"), ("", "none")],
)
def test_a_key_that_is_not_marked_as_a_test_key_counts_as_live(key: str, kind: str) -> None:
    assert kind_of_stripe_key({"STRIPE_API_KEY": key}) == kind
