"""The patterns of the documentation, each an app of its own that devhost serves as it stands."""

from collections.abc import Callable

from tests.devhost.support.hosts import APPS, Devhost, until

Hosts = Callable[..., Devhost]


def serving(new_host: Hosts, name: str) -> Devhost:
    return new_host(app=APPS / name).start()


def test_function_chaining(new_host: Hosts) -> None:
    host = serving(new_host, "chaining")
    started = host.post("/api/orchestrators/hello_orchestrator")
    assert started.status == 202
    assert host.finished(started.json()["id"])["output"] == ["Hello Seattle", "Hello Tokyo", "Hello London"]


def test_fan_out_and_fan_in(new_host: Hosts) -> None:
    host = serving(new_host, "fan_out")
    texts = [" a b c", "d e", "", "f"] * 10
    answer = host.post("/api/count", texts)
    assert (answer.status, answer.json()) == (200, 60)


def test_human_interaction_with_a_time_out(new_host: Hosts) -> None:
    host = serving(new_host, "approval")
    answered, forgotten = (
        host.post("/api/requests", {"item": item, "seconds": seconds}).json()["id"]
        for item, seconds in (("a chair", 600), ("a table", 0.2))
    )
    assert host.post(f"/api/requests/{answered}/answer", {"by": "Grace"}).status == 202
    assert host.finished(answered)["output"] == '{"by": "Grace"}'
    assert host.finished(forgotten)["output"] == "a table was escalated"


def test_a_monitor_goes_on_from_generation_to_generation_also_after_a_kill(new_host: Hosts) -> None:
    host = serving(new_host, "monitor")
    monitor = host.post("/api/monitors").json()["id"]
    until(lambda: "2" in str(host.status(monitor)["input"]))
    host.kill()
    host.start()
    host.notes_file.write_text("ready\n", encoding="utf-8")
    assert host.finished(monitor)["output"]["looks"] >= 2


def test_a_saga_books_all_or_nothing(new_host: Hosts) -> None:
    host = serving(new_host, "saga")
    trips = [host.post("/api/trips", {"sold_out": sold_out}).json()["id"] for sold_out in ("nothing", "car")]
    assert [host.finished(trip)["output"] for trip in trips] == ["booked", "cancelled"]
    undone = [line for line in host.notes if line.startswith("cancelled")]
    assert undone == ["cancelled car", "cancelled hotel", "cancelled flight"]


def test_the_counter_entity_adds_and_resets_also_after_a_kill(new_host: Hosts) -> None:
    host = serving(new_host, "counter")
    assert host.get("/api/counters/visits").status == 404
    for amount in (2, 3):
        assert host.post("/api/counters/visits/add", amount).status == 202
    host.kill()
    host.start()
    until(lambda: host.get("/api/counters/visits").body == b"5")
    added = host.post("/api/transfers", {"key": "visits", "limit": 10, "amount": 7}).json()["id"]
    assert host.finished(added)["output"] == 5
    until(lambda: host.get("/api/counters/visits").body == b"12")
    assert host.post("/api/counters/visits/reset").status == 202
    until(lambda: host.get("/api/counters/visits").body == b"0")
