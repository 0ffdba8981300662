"""How dev.py looks after the processes it starts, with real ones."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.places import LOOPBACK, ROOT
from devtools.processes import ports as ports_of_this_machine
from devtools.processes.files import last_line
from devtools.processes.identity import start_time
from devtools.processes.lock import lock
from devtools.processes.ports import PORTS_IN_A_ROW, Ports, block_of_ports
from devtools.processes.programs import end, launch
from devtools.product import left_overs
from devtools.product.children import Children
from devtools.product.left_overs import stop_left_overs
from devtools.product.surroundings import refuse_taken_ports, wanted_ports
from devtools.trouble import Trouble
from tests.support.outside_view import wait_for
from tests.support.servers import FreePorts

pytestmark = pytest.mark.slow

SLEEP = [sys.executable, "-c", "import time; print('asleep', flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "child.log"


@pytest.fixture
def sleeper(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = launch(SLEEP, log)
    yield process
    process.kill()
    process.wait()


def left_over(data: Path, pid: int, since: float | None) -> None:
    (data / "processes.json").write_text(json.dumps([["azurite", pid, since]]))


def test_a_process_that_a_killed_start_left_is_stopped(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_overs, "TIME_TO_DIE_WITH_US", 0.1)
    left_over(tmp_path, sleeper.pid, start_time(sleeper.pid))
    stop_left_overs(tmp_path)
    assert sleeper.wait(5) == -signal.SIGTERM
    assert not (tmp_path / "processes.json").exists()


def test_a_process_that_only_has_the_number_of_a_left_over_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    left_over(tmp_path, sleeper.pid, (start_time(sleeper.pid) or 0) - 60)
    stop_left_overs(tmp_path)
    assert sleeper.poll() is None


def test_a_process_that_does_not_exist_has_no_beginning(sleeper: subprocess.Popen[bytes]) -> None:
    assert start_time(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert start_time(sleeper.pid) is None


def test_a_child_that_does_not_listen_is_killed(log: Path) -> None:
    process = launch(DEAF, log)
    wait_for(lambda: last_line(log) == "deaf", 60, "word from the child")
    assert end(process, patience=0.2) is False
    assert process.returncode == -signal.SIGKILL


def test_what_a_child_started_ends_with_it(log: Path) -> None:
    parent = f"import subprocess; print(subprocess.Popen({SLEEP!r}).pid, flush=True); input()"
    process = launch([sys.executable, "-c", f"import time\n{parent.replace('input()', 'time.sleep(60)')}"], log)
    # Either of the two may write first.
    wait_for(lambda: len(log.read_text().split()) == 2, 60, "word from both")
    grandchild = int(next(word for word in log.read_text().split() if word != "asleep"))
    end(process, patience=5)
    wait_for(lambda: start_time(grandchild) is None, 60, "end of the grandchild")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to the life of its parent")
def test_a_child_dies_with_a_killed_parent(tmp_path: Path, log: Path) -> None:
    script = "import pathlib, time; from devtools.processes.programs import launch; "
    script += f"launch({SLEEP!r}, pathlib.Path({str(log)!r})); time.sleep(60)"
    parent = launch([sys.executable, "-c", f"{script}"], tmp_path / "parent.log")
    wait_for(lambda: last_line(log) == "asleep", 60, "word from the child")
    child = next(pid for pid in _children_of(parent.pid))
    parent.kill()
    parent.wait()
    wait_for(lambda: start_time(child) is None, 60, "end of the child")


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_child_that_ends_by_itself_is_named_with_its_last_line(tmp_path: Path) -> None:
    children = Children(tmp_path)
    children.start("mail", [sys.executable, "-c", "print('first'); print('the disk is full'); exit(3)"], {}, death=9)
    with pytest.raises(Trouble, match=r"mail ended by itself \(exit status 3\).* the disk is full "):
        children.watch()
    children.stop()


def test_the_last_line_of_an_earlier_run_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mail.log").write_text("an old sorrow\n")
    children = Children(tmp_path)
    children.start("mail", [sys.executable, "-c", "exit(3)"], {}, death=9)
    with pytest.raises(Trouble, match="Its last line: none"):
        children.watch()
    children.stop()


def test_a_child_that_is_never_ready_is_named(tmp_path: Path) -> None:
    children = Children(tmp_path)
    children.start("mail", SLEEP, {}, death=9)
    with pytest.raises(Trouble, match="mail was not ready after 0 s"):
        children.wait_for("mail", lambda: False, patience=0.2)
    children.stop()
    assert json.loads((tmp_path / "processes.json").read_text()) == []


def test_a_lock_is_had_by_one_at_a_time_and_goes_with_its_holder(tmp_path: Path, log: Path) -> None:
    path = str(tmp_path / "l")
    holding = f"with lock(pathlib.Path({path!r})) as mine: print(mine, flush=True); time.sleep(60)"
    script = f"import pathlib, time; from devtools.processes.lock import lock\n{holding}"
    holder = launch([sys.executable, "-c", script], log)
    wait_for(lambda: last_line(log) == "True", 60, "lock in the other process")
    with lock(tmp_path / "l") as mine:
        assert not mine
    holder.kill()
    holder.wait()
    with lock(tmp_path / "l") as mine:
        assert mine


def test_a_hang_up_that_is_ignored_stays_ignored_and_an_interrupt_does_not(log: Path) -> None:
    """As under nohup, and as a shell's `&` has it; both are inherited."""
    script = (
        "import signal; from devtools.processes.signals import listen; listen(); "
        "told = map(signal.getsignal, (signal.SIGHUP, signal.SIGINT)); "
    )
    script += "print([each is signal.SIG_IGN for each in told], flush=True)"
    ignoring = ["sh", "-c", 'trap "" HUP INT; exec "$@"', "sh", sys.executable, "-c", script]
    process = launch(ignoring, log)
    process.wait(60)
    assert last_line(log) == "[True, False]"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_verb_that_knows_only_ctrl_c_hears_each_signal_as_one(log: Path, name: str) -> None:
    script = "import signal, time; from devtools.processes import signals; signals.listen(); "
    script += "signals.hear_each_as_ctrl_c()\n"
    script += (
        f"try: signal.raise_signal(signal.{name}); time.sleep(60)\nexcept KeyboardInterrupt: print('stopped in order')"
    )
    launch([sys.executable, "-c", script], log).wait(60)
    assert last_line(log) == "stopped in order"


def test_a_block_of_ports_has_one_owner_among_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that looked for free ports alone could be given those that another one has found and not yet taken."""
    block = block_of_ports()
    only = range(block.start - 1, block.stop, len(block) + 1)
    monkeypatch.setattr(ports_of_this_machine, "BLOCKS", only)
    with pytest.raises(Trouble, match="No block of free ports"):
        block_of_ports()
    script = f"from devtools.processes import ports; ports.BLOCKS = {only}; ports.block_of_ports()"
    another = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "No block of free ports" in another.stderr


def test_every_taken_port_is_in_one_sentence(ports: FreePorts) -> None:
    numbers = Ports.counted_from(ports(PORTS_IN_A_ROW))
    with (
        socket.create_server((LOOPBACK, numbers.smtp)),
        socket.create_server((LOOPBACK, numbers.blob)),
        pytest.raises(Trouble) as trouble,
    ):
        refuse_taken_ports(wanted_ports(numbers, with_host=True))
    sentence = f"Ports {numbers.smtp} (SMTP), {numbers.blob} (Azurite's blob) are in use by another program"
    assert str(trouble.value).startswith(sentence)
