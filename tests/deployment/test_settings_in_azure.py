"""The app settings, roles and names in infra/ are those of the app and of the documents."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from devtools.azure_types.templates import alternatives, resources, templates, texts
from services.settings import SETTINGS, faults
from tests.deployment.test_infrastructure import parameters_file
from tests.support.documents import ROOT, rows, text_of

TABLE = {setting.name: setting for setting in SETTINGS}
API = templates()["app/api.bicep"]
GIVEN, WITH_A_SCHEDULER = API.variables["settings"], API.variables["schedulerSettings"]
STORAGE = "AzureWebJobsStorage"
# What the host and its extensions read, and the app does not.
OF_THE_HOST = {"APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"}
# Names of the plan, which sets it itself.
OF_THE_PLAN = "FUNCTIONS_WORKER_RUNTIME"
REFERENCE = r"@Microsoft\.KeyVault\(SecretUri=\$\{vaultUri\}secrets/([a-z-]+)\)"


# What makes a deployment safe, by the type of the resource: a person who loosens one of these says so here.
SAFE: dict[str, dict[str, Any]] = {
    "Microsoft.Web/sites": {"httpsOnly": True, "siteConfig": {"minTlsVersion": "1.2"}},
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"allow": False},
    "Microsoft.Storage/storageAccounts": {
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
    },
    "Microsoft.KeyVault/vaults": {"enableRbacAuthorization": True},
}


@pytest.mark.parametrize("kind", SAFE)
def test_what_makes_a_deployment_safe_is_set(kind: str) -> None:
    declared = [each.body["properties"] for each in resources() if each.type == kind and not each.existing]
    assert declared and all({name: each[name] for name in SAFE[kind]} == SAFE[kind] for each in declared)


def references() -> dict[str, str]:
    """The secret of each setting that is one."""
    texts = {name: [each for each in alternatives(value) if each] for name, value in GIVEN.items()}
    found = {name: re.fullmatch(REFERENCE, str(each)) for name, (each, *_) in texts.items()}
    return {name: match[1] for name, match in found.items() if match}


def test_each_setting_is_one_of_the_table() -> None:
    own = {name for name in GIVEN if not name.startswith(f"{STORAGE}__")}
    assert own - OF_THE_HOST <= set(TABLE) - {OF_THE_PLAN}


def test_each_setting_that_must_be_set_is() -> None:
    """The app finds nothing wrong with them. A secret, and what is known at run time, is taken from the example."""
    made = {
        f"{STORAGE}__{kind}ServiceUri": f"https://shop.{kind}.core.windows.net/" for kind in ("blob", "queue", "table")
    }
    env = {name: made.get(name) or TABLE[name].example if name in {*made, *TABLE} else "text" for name in GIVEN}
    assert faults(env) == []
    for name in [name for name, setting in TABLE.items() if setting.default is None and name != STORAGE]:
        assert faults({key: value for key, value in env.items() if key != name}) != []


def test_the_number_of_threads_is_the_one_of_the_documents() -> None:
    assert GIVEN["PYTHON_THREADPOOL_THREAD_COUNT"] == TABLE["PYTHON_THREADPOOL_THREAD_COUNT"].example


def test_each_secret_is_read_from_the_vault_under_the_name_of_its_setting() -> None:
    secrets = {"STRIPE_API_KEY", "SMTP_URL", "STRIPE_WEBHOOK_SECRET", "PUSH_CONNECTION", "TRACKING_SECRET"}
    assert references() == {name: name.lower().replace("_", "-") for name in {*secrets, "ALERT_WEBHOOK_SECRET"}}


def test_each_secret_is_put_into_the_vault_from_a_secure_parameter() -> None:
    vault, main, file = templates()["app/vault.bicep"], templates()["main.bicep"], parameters_file()
    stored = {
        each.body["name"]: each.body["properties"]["value"]
        for each in vault.resources
        if each.type == "Microsoft.KeyVault/vaults/secrets"
    }
    assert set(stored) == set(references().values())
    for secret, parameter in stored.items():
        for template in (vault, main):
            assert {"type": "secure"} in template.parameters[parameter]["decorators"]
        assert file[parameter] == "${" + secret.upper().replace("-", "_") + "}"


def test_an_optional_secret_is_referred_to_only_where_it_is_stored() -> None:
    main, vault = texts()["main.bicep"], texts()["app/vault.bicep"]
    flags = {"webhooksAreSigned": "stripeWebhookSecret", "linksAreSigned": "trackingSecret"}
    for flag, parameter in {**flags, "pushIsSet": "pushConnection", "alertsAreSigned": "alertWebhookSecret"}.items():
        assert f"{flag}: !empty({parameter})" in main
        assert f"= if (!empty({parameter}))" in vault


def test_further_settings_of_the_file_are_settings() -> None:
    assert set(parameters_file()["furtherSettings"]) <= set(TABLE) - set(GIVEN)


def test_the_roles_are_those_of_the_document() -> None:
    ids = r"'([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'"
    in_bicep = {found for text in texts().values() for found in re.findall(ids, text)}
    told = {identifier.strip("`"): role for role, identifier, _ in rows("docs/deploy.md", "Role | Id")}
    assert in_bicep == set(told)
    names = dict(re.findall(rf"(\w+)(?:: | = ){ids}", "\n".join(texts().values())))
    assert {name.lower(): identifier for name, identifier in names.items()} == {
        role.lower().replace(" ", ""): identifier for identifier, role in told.items()
    }


def host(name: str) -> dict[str, object]:
    settings: dict[str, object] = json.loads((ROOT / name).read_text(encoding="utf-8"))["extensions"]["durableTask"]
    return settings


def test_the_hub_of_the_scheduler_is_named_as_the_one_in_storage() -> None:
    assert templates()["main.bicep"].variables["taskHubName"] == host("host.json")["hubName"]
    assert f"'{WITH_A_SCHEDULER['TASKHUB_NAME']}'" == "'taskHubName'"


def test_the_settings_of_the_scheduler_are_those_that_its_host_file_reads() -> None:
    told = host("host.dts.json")
    provider = told["storageProvider"]
    assert isinstance(provider, dict)
    assert set(WITH_A_SCHEDULER) == {str(told["hubName"]).strip("%"), provider["connectionStringName"]}


@pytest.mark.parametrize("parameter", templates()["main.bicep"].parameters)
def test_each_parameter_is_told(parameter: str) -> None:
    kinds = {each["type"] for each in templates()["main.bicep"].parameters[parameter]["decorators"]}
    assert "description" in kinds
    assert f"`{parameter}`" in text_of("docs/deploy.md")
