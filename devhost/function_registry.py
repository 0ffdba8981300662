"""The functions of the loaded app, found by trigger and by durable name (which compares without case)."""

from typing import Any


class FunctionRegistry:
    """`described` is the worker's answer to `load`: one dict a function, see app_functions.Function.describe."""

    def __init__(self, described: list[dict[str, Any]], environment: dict[str, str]) -> None:
        self._environment = environment
        self.replace(described)

    def replace(self, described: list[dict[str, Any]]) -> None:
        """Take the functions of newer code; holders of this object see the new ones."""
        self.all = [each for each in described if not _disabled(each["name"], self._environment)]
        self._orchestrators = self._by_name("orchestrationTrigger")
        self._activities = self._by_name("activityTrigger")
        self._entities = self._by_name("entityTrigger")

    def orchestrator(self, name: str) -> str | None:
        """The function of an orchestrator's name."""
        return self._orchestrators.get(name.lower())

    def activity(self, name: str) -> str | None:
        """The function of an activity's name."""
        return self._activities.get(name.lower())

    def entity(self, name: str) -> str | None:
        """The function of an entity's name."""
        return self._entities.get(name.lower())

    def with_trigger(self, trigger: str) -> list[dict[str, Any]]:
        return [each for each in self.all if each["trigger"] == trigger]

    def no_orchestrator(self, name: str) -> str:
        return self._missing(name, "an orchestrator", "orchestrator", "orchestrationTrigger")

    def no_activity(self, name: str) -> str:
        return self._missing(name, "an activity", "activity", "activityTrigger")

    def no_entity(self, name: str) -> str:
        return self._missing(name, "an entity", "entity", "entityTrigger")

    def _missing(self, name: str, article: str, kind: str, trigger: str) -> str:
        known = ", ".join(f"'{each['durable_name']}'" for each in self.with_trigger(trigger))
        return (
            f"The function '{name}' doesn't exist, is disabled, or is not {article} function. "
            f"Additional info: The following are the known {kind} functions: {known}."
        )

    def _by_name(self, trigger: str) -> dict[str, str]:
        return {each["durable_name"].lower(): each["name"] for each in self.with_trigger(trigger)}


def _disabled(name: str, environment: dict[str, str]) -> bool:
    return environment.get(f"AzureWebJobs.{name}.Disabled", "").lower() in ("true", "1")
