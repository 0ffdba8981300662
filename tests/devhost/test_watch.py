"""`--watch`: what is edited is served, and nothing that is under way is lost by it."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devhost.reloader import Reloader, changes, stamps
from devhost.worker_host.failures import WorkerReplaced
from devhost.worker_host.supervisor import WorkerSupervisor
from devhost.worker_protocol import Reply
from tests.devhost.support.hosts import APPS, Devhost, until

Hosts = Callable[..., Devhost]
EDITED = APPS / "edited"
MORE = """
@app.route(route="more", methods=["GET"])
def more(req: func.HttpRequest) -> str:
    return "more"

@app.activity_trigger(input_name="value")
def thrice(value):
    return 3 * value

@app.orchestration_trigger(context_name="context")
def tripling(context):
    return (yield context.call_activity("thrice", context.get_input()))
"""


@pytest.fixture
def host(new_host: Hosts, tmp_path: Path) -> Devhost:
    """A devhost that watches a copy of the app."""
    app = shutil.copytree(EDITED, tmp_path / "app")
    return new_host(app=app, arguments=("--watch",)).start()


def write(host: Devhost, word: str) -> None:
    (host.app / "words.py").write_text(f"WORD = {word!r}\n")


def serves(host: Devhost, word: str) -> bool:
    return host.get("/api/word").text == word


def test_a_changed_file_restarts_the_worker_and_the_functions_follow(host: Devhost) -> None:
    assert serves(host, "one")
    assert host.get("/api/more").status == 404
    write(host, "two")
    with (host.app / "function_app.py").open("a", encoding="utf-8") as code:
        code.write(MORE)
    until(lambda: serves(host, "two"))
    assert host.get("/api/more").text == "more"
    assert host.finished(host.begin_over_http("tripling", 7))["output"] == 21
    assert host.log.count("function_app.py and 1 more changed: the worker has been replaced, and has 7 functions.") == 1


def test_code_that_cannot_be_loaded_leaves_the_old_one_serving_and_says_so_in_one_line(host: Devhost) -> None:
    (host.app / "words.py").write_text("WORD = \n")
    until(lambda: "cannot be served" in host.log)
    assert "(SyntaxError: invalid syntax (words.py, line 1)): the code from before is still served." in host.log
    assert "Traceback" not in host.log
    assert serves(host, "one")
    write(host, "mended")
    until(lambda: serves(host, "mended"))


def test_functions_that_the_host_refuses_leave_the_old_ones_serving(host: Devhost) -> None:
    with (host.app / "function_app.py").open("a", encoding="utf-8") as code:
        code.write(MORE.replace('route="more"', 'route="admin/x"'))
    until(lambda: "cannot be served" in host.log)
    assert serves(host, "one")
    assert host.post(host.api("/orchestrators/tripling")).status == 400


def test_an_activity_under_way_may_finish_in_the_old_worker(host: Devhost, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    instance = host.begin_over_http("passing", str(gate))
    until(lambda: "one is at the gate" in host.notes)
    write(host, "two")
    until(lambda: serves(host, "two"))
    gate.touch()
    assert host.finished(instance)["output"] == "one"
    assert host.notes == ["one is at the gate"]


def test_an_activity_that_does_not_finish_runs_again_with_the_new_code(host: Devhost, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    instance = host.begin_over_http("passing", str(gate))
    until(lambda: "one is at the gate" in host.notes)
    write(host, "two")
    until(lambda: "two is at the gate" in host.notes)
    gate.touch()
    assert host.finished(instance)["output"] == "two"
    assert "its worker died" not in host.log


def test_an_instance_that_waits_goes_on_with_the_new_code(host: Devhost, tmp_path: Path) -> None:
    instance = host.begin_over_http("waiting")
    until(lambda: host.status(instance)["runtimeStatus"] == "Running")
    write(host, "two")
    until(lambda: serves(host, "two"))
    assert host.event(instance, "gate", str(tmp_path)).status == 202
    assert host.finished(instance)["output"] == "two"


def test_changed_settings_ask_for_a_restart_and_replace_nothing(host: Devhost) -> None:
    host_json = host.app / "host.json"
    host_json.write_text(json.dumps(json.loads(host_json.read_text())))
    until(lambda: "host.json has changed. devhost reads it only at its start, so restart devhost." in host.log)
    assert "has been replaced" not in host.log


class ReplacedOften(WorkerSupervisor):
    """A worker that is replaced five times while it runs a call."""

    def __init__(self) -> None:
        super().__init__(Path(), {}, "")
        self.calls = 0

    async def call(self, kind: str, function: str, body: bytes = b"", **header: Any) -> Reply:
        self.calls += 1
        if self.calls <= 5:
            raise WorkerReplaced
        return Reply({"ok": True}, body)


def test_no_replacement_counts_as_a_death() -> None:
    worker = ReplacedOften()
    assert asyncio.run(worker.call_repeatedly("activity", "step", b"done")).body == b"done"
    assert worker.calls == 6


def test_only_files_of_the_app_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / ".funcignore").write_text("# what stays here\ntests/\n")
    left_out = ("tests/test_a.py", ".venv/b.py", "__pycache__/c.py", "node_modules/d.py", "env/lib/e.py", "notes.txt")
    for name in ("function_app.py", "steps/pay.py", "host.json", "env/pyvenv.cfg", "steps/host.json", *left_out):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert sorted(stamps(tmp_path)) == ["function_app.py", "host.json", "steps/pay.py"]


def test_a_list_of_ignored_folders_that_is_no_text_or_no_file_ignores_nothing(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").touch()
    (tmp_path / ".funcignore").write_bytes(b"\xff\xfe")
    assert sorted(stamps(tmp_path)) == ["function_app.py"]
    (tmp_path / ".funcignore").unlink()
    (tmp_path / ".funcignore").mkdir()
    assert sorted(stamps(tmp_path)) == ["function_app.py"]


def test_a_change_is_what_was_written_made_or_deleted() -> None:
    before, after = {"a.py": (1, 1), "b.py": (1, 1), "c.py": (1, 1)}, {"a.py": (1, 1), "b.py": (2, 1), "d.py": (1, 1)}
    assert changes(before, after) == ["b.py", "c.py", "d.py"]


def test_what_changed_before_the_first_look_is_followed_too(tmp_path: Path) -> None:
    watch, renewed = Reloader(tmp_path), asyncio.Event()
    (tmp_path / "function_app.py").touch()

    async def renew() -> str:
        renewed.set()
        return ""

    async def follow() -> None:
        following = asyncio.create_task(watch.follow(renew))
        await asyncio.wait_for(renewed.wait(), 20)
        following.cancel()

    asyncio.run(follow())
