"""Every call of a function is answered, whatever it raises, and the next call finds the worker as it was.

Each kind of exception is raised more often than the worker has threads of a kind: one that took its thread along would
leave none.
"""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from devhost.history.failures import error_of, stack_of
from tests.devhost.apps.raising.function_app import RAISES
from tests.devhost.support.hosts import APPS, Devhost
from tests.support.servers import Azurite, FreePorts

RAISING = APPS / "raising"
KINDS = [kind for kind in RAISES if kind != "nothing"]
THREADS = 2


@pytest.fixture(scope="module")
def host(azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devhost]:
    """A devhost whose worker has two threads for what is sync, and four for orchestrators."""
    settings = {"PYTHON_THREADPOOL_THREAD_COUNT": str(THREADS)}
    folder = tmp_path_factory.mktemp("raising")
    shared = Devhost(azurite.connection_string, ports(), folder, app=RAISING, settings=settings)
    try:
        yield shared.start()
        assert "The worker ended by itself" not in shared.log
        assert "Exception in thread" not in shared.log
    finally:
        shared.kill()


@pytest.mark.parametrize("kind", ["sync", "async", "task"])
def test_an_http_function_that_raises_is_a_500_and_the_next_one_is_served(host: Devhost, kind: str) -> None:
    answered = {raised: host.get(f"/api/{kind}/{quote(raised)}").status for raised in KINDS}
    assert answered == dict.fromkeys(KINDS, 500)
    assert host.get(f"/api/{kind}/nothing").text == "served"


def test_a_status_that_no_client_takes_is_a_500(host: Devhost) -> None:
    kinds = ("0", "-1", "99", "100", "1000", "abc", "")
    answered = {status: host.get(f"/api/answer/status%20{status}").status for status in kinds}
    assert answered == dict.fromkeys(kinds, 500)
    assert [host.get(f"/api/answer/status%20{status}").status for status in ("299", "599", "999")] == [299, 599, 999]


def test_an_answer_that_cannot_be_sent_is_a_500(host: Devhost) -> None:
    kinds = ("a status that is no number", "a header that is no text", "a body that is no text", "an object")
    answered = {raised: host.get(f"/api/answer/{quote(raised)}").status for raised in (*kinds, "half an emoji")}
    assert set(answered.values()) == {500}, answered


@pytest.mark.parametrize("activity", ["in_activity", "in_async_activity"])
def test_an_activity_that_raises_fails_with_the_name_of_what_it_raised(host: Devhost, activity: str) -> None:
    work = {"activity": activity, "raises": [*KINDS, "nothing"]}
    outputs = host.finished(host.begin_over_http("calls", work))["output"]
    assert outputs[-1] == "served"
    by_kind = dict(zip(KINDS, outputs, strict=False))
    assert all(text.startswith(f"Activity function '{activity}' failed:  ") for text in by_kind.values()), by_kind
    assert (
        by_kind["no text"]
        .strip()
        .endswith("NoText: (the text of this exception cannot be made: its __str__ raised AttributeError)")
    )
    assert by_kind["recursion without end"].strip().endswith("RecursionError: maximum recursion depth exceeded")
    assert by_kind["sys.exit"].strip().endswith("SystemExit: 3")


def test_an_activity_whose_result_is_no_json_fails(host: Devhost) -> None:
    work = {"activity": "in_activity", "raises": ["result"]}
    assert host.finished(host.begin_over_http("calls", work))["output"][0].startswith("Activity function 'in_activity'")


@pytest.mark.parametrize("orchestrator", ["raises_at_once", "raises_later"])
def test_an_orchestrator_that_raises_fails(host: Devhost, orchestrator: str) -> None:
    instances = {raised: host.begin_over_http(orchestrator, raised) for raised in KINDS}
    ended = {raised: host.finished(instance)["runtimeStatus"] for raised, instance in instances.items()}
    assert ended == dict.fromkeys(KINDS, "Failed")
    assert host.finished(host.begin_over_http(orchestrator, "nothing"))["runtimeStatus"] == "Completed"


def test_an_operation_that_raises_fails_alone(host: Devhost) -> None:
    outputs = host.finished(host.begin_over_http("asks", [*KINDS, "nothing"]))["output"]
    assert outputs[-1] == "served"
    assert "served" not in outputs[:-1]
    assert (
        outputs[KINDS.index("no text at all")]
        == "(the text of this exception cannot be made: its __str__ raised NoTextAtAll)"
    )


@pytest.mark.parametrize("raised", KINDS)
def test_whatever_is_raised_has_a_type_a_text_and_a_stack(raised: str) -> None:
    with pytest.raises(BaseException) as caught:
        RAISES[raised]()  # type: ignore[no-untyped-call]
    assert error_of(caught.value).startswith(f"{type(caught.value).__name__}: ")
    assert type(caught.value).__name__ in stack_of(caught.value)
