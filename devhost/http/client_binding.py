"""The durableClient binding: the JSON text that the SDK builds its DurableOrchestrationClient from."""

from urllib.parse import quote

from devhost.history.events import compact_json

WEBHOOK = "/runtime/webhooks/durabletask"
RPC = "/durabletask"
CONNECTION = "Storage"


def url_query(hub: str, key: str) -> str:
    return f"taskHub={hub}&connection={CONNECTION}&code={quote(key, safe='')}"


def management_urls(base: str, instance_id: str, query: str) -> dict[str, str]:
    """The URLs that act on one instance; `{eventName}` and `{text}` stand in them literally."""
    instance = f"{base}/instances/{instance_id}"
    return {
        "id": instance_id,
        "statusQueryGetUri": f"{instance}?{query}",
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
        "rewindPostUri": f"{instance}/rewind?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{instance}?{query}",
        "restartPostUri": f"{instance}/restart?{query}",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{instance}/resume?reason={{text}}&{query}",
    }


def client_binding(port: int, hub: str, key: str, secret: str) -> str:
    """The binding's text. The SDK replaces the origin of these URLs by the origin of the request it answers.

    `secret` is the worker's: the address that its client calls contains it, and needs no key.
    """
    base, code = f"http://127.0.0.1:{port}{WEBHOOK}", quote(key, safe="")
    start = f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
    waiting = f"{start}?timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}&code={code}"
    return compact_json(
        {
            "taskHubName": hub,
            "connectionName": None,
            "creationUrls": {
                "createNewInstancePostUri": f"{start}?code={code}",
                "createAndWaitOnNewInstancePostUri": waiting,
            },
            "managementUrls": management_urls(base, "INSTANCEID", url_query(hub, key)),
            "baseUrl": base,
            "requiredQueryStringParameters": f"code={code}",
            "rpcBaseUrl": f"http://127.0.0.1:{port}{RPC}/{secret}/",
            "httpBaseUrl": None,
        }
    )
