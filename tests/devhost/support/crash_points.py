"""A devhost whose table requests pass a proxy, so that a test stops it at a write."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from tests.devhost.support.hosts import FINISHED, Devhost, until
from tests.support.storage_proxy import Fault, Rule, StorageProxy

WRITES = "^(POST|PUT|MERGE|PATCH) .*"


@dataclass
class ProxiedDevhost:
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
    """Whether a request waits at the write of the rule."""
    return (rule.done if rule.fault == "hold_answer" else rule.seen).is_set()


def has_ended(host: Devhost, instance: str) -> bool:
    status = host.status(instance)
    return bool(status) and status["runtimeStatus"] in FINISHED


def crash_at(
    proxied: ProxiedDevhost, fault: Fault, points: Mapping[str, int], orchestrator: str, value: Any
) -> set[str]:
    """Start an instance for each point, and kill devhost when each instance stands at its write or has ended.

    `points`: the number of the write, by instance. Returns the instances that stood at their write.
    """
    with ThreadPoolExecutor(len(points)) as starters, ExitStack() as faults:
        rules: dict[str, Rule] = {}
        for name, number in points.items():
            held = proxied.tables.failing(WRITES + name, fault, times=1, spared=number - 1)
            rules[name] = faults.enter_context(held)
            starters.submit(begin_unless_cut_off, proxied.host, orchestrator, value, name)
        for name, rule in rules.items():
            until(lambda name=name, rule=rule: stands(rule) or has_ended(proxied.host, name))  # type: ignore[misc]
        proxied.host.kill()
        return {name for name, rule in rules.items() if stands(rule)}


def begin_unless_cut_off(host: Devhost, orchestrator: str, value: Any, instance: str) -> None:
    with suppress(OSError):
        host.begin(orchestrator, value, instance)
