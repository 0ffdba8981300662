"""What cannot go on fails with a sentence; what goes on raises no alarm; a context has all its members."""

import re
from collections.abc import Iterator

import pytest

from tests.devhost.support.hosts import APPS, Devhost, until
from tests.support.servers import Azurite, FreePorts

APP = APPS / "dead_ends"
ODD = "list tuple str int bool dict generator FunctionBuilder datetime EntityId method type Odd".split()
NO_TASK = (
    ", which is no task: yield what a method of the context returns, such as context.call_activity(...), and several "
    "of these as context.task_all([...])."
)
TRACE_PARENT = r"00-[0-9a-f]{32}-[0-9a-f]{16}-00"
SENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module", params=[(), ("--full-replays",)], ids=["warm", "full replays"])
def host(
    azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Devhost]:
    folder = tmp_path_factory.mktemp("dead_ends")
    shared = Devhost(azurite.connection_string, ports(), folder, app=APP, arguments=request.param)
    try:
        yield shared.start()
        assert "Non-Deterministic" not in shared.log
        assert "would not run like this in Azure" not in shared.log
    finally:
        shared.kill()


def failure(host: Devhost, instance: str, name: str) -> str:
    ended = host.finished(instance, 20)
    assert ended["runtimeStatus"] == "Failed", ended
    return str(ended["output"].removeprefix(f"Orchestrator function '{name}' failed: "))


@pytest.mark.parametrize(("name", "step"), [("at_once", 1), ("later", 3)])
def test_a_yield_of_what_is_no_task_fails_with_a_sentence(host: Devhost, name: str, step: int) -> None:
    kinds = {"None": "None", **{kind: f"a value of the type {kind}" for kind in ODD}}
    inputs = {kind: "function" if kind == "method" else kind for kind in kinds}
    begun = {kind: host.begin_over_http(name, inputs[kind]) for kind in kinds}
    failures = {kind: failure(host, instance, name) for kind, instance in begun.items()}
    assert failures == {kind: f"step {step} yielded {value}{NO_TASK}" for kind, value in kinds.items()}
    assert "_is_scheduled" not in host.log


def test_a_yield_of_a_signal_fails_because_nothing_would_answer_it(host: Devhost) -> None:
    words = "it waits for a signal to an entity, which nothing answers: call context.signal_entity without a yield."
    for name in ("yields_a_signal", "yields_signals_among_others"):
        assert failure(host, host.begin_over_http(name), name) == words
    assert host.finished(host.begin_over_http("signals_and_wins", "again"))["output"] == "won"


def test_an_address_in_a_failure_is_not_blamed_on_the_author(host: Devhost) -> None:
    text = failure(host, host.begin_over_http("raises_an_address"), "raises_an_address")
    assert re.fullmatch("<object object at 0x[0-9a-f]+> is none of ours", text)


def test_a_recursion_of_the_sdk_is_reported_with_its_cause(host: Devhost) -> None:
    instance = host.begin_over_http("drains")
    until(lambda: host.status(instance)["runtimeStatus"] == "Running")
    assert host.event(instance, "order", "first").status == 202
    text = failure(host, instance, "drains")
    assert text.startswith("RecursionError: maximum recursion depth exceeded")
    assert "because the event 'order' came before its wait, and the SDK gives such an event to every later wait" in text
    text = failure(host, host.begin_over_http("yields_one_task_for_ever"), "yields_one_task_for_ever")
    assert text.startswith("RecursionError: maximum recursion depth exceeded")
    assert "because the orchestrator yields too many tasks that have ended already" in text


def test_a_recursion_of_the_orchestrator_is_its_own(host: Devhost) -> None:
    text = failure(host, host.begin_over_http("without_end"), "without_end")
    assert text.startswith("RecursionError: maximum recursion depth exceeded")
    assert "SDK" not in text
    assert "in again" in host.log


def test_a_signal_before_a_call_raises_no_alarm(host: Devhost) -> None:
    assert host.finished(host.begin_over_http("counts"))["output"] == 1
    assert "would not run like this" not in host.log


def test_a_context_has_the_members_of_the_real_one(host: Devhost) -> None:
    assert host.get("/api/trace", traceparent=SENT, tracestate="a=1").text == f"{SENT} a=1 {{}}"
    assert re.fullmatch(f"{TRACE_PARENT}  {{}}", host.get("/api/trace").text)
    assert re.fullmatch(f"{TRACE_PARENT}  {{}}", host.get("/api/trace", traceparent="no trace").text)
    assert host.get("/api/tries").text == "0 0 None None"
    assert host.get("/api/ids").text == f"ids {APP}"
    assert re.fullmatch(TRACE_PARENT, host.finished(host.begin_over_http("traces"))["output"])
