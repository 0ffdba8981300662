"""A devhost whose table requests pass a proxy, so that a test stops it at a write."""

from collections import Counter
from dataclasses import dataclass

from tests.devhost.support.hosts import FINISHED, Devhost
from tests.support.storage_proxy import Rule, StorageProxy

WRITES = "^(POST|PUT|MERGE|PATCH) .*"


@dataclass
class Stage:
    """A devhost whose table requests pass a proxy, and the text of each request that was answered to it."""

    host: Devhost
    tables: StorageProxy
    answered: list[str]

    def writes(self, instance: str) -> list[str]:
        """What devhost knows to be written of an instance and its child."""
        return [text for text in self.answered if not text.startswith("GET") and instance in text]

    def scheduled(self, instance: str) -> int:
        return sum(text.count('"EventType":"TaskScheduled"') for text in self.writes(instance))

    def runs(self, instance: str) -> Counter[str]:
        """How often each activity of an instance and its child has begun, by its step."""
        return Counter(line.split()[2] for line in self.host.notes if line.startswith(f"mark {instance}"))


def stands(rule: Rule) -> bool:
    return (rule.done if rule.fault == "hold_answer" else rule.seen).is_set()


def has_ended(host: Devhost, instance: str) -> bool:
    status = host.status(instance)
    return bool(status) and status["runtimeStatus"] in FINISHED
