"""Every file that dev.py reads or writes: empty, damaged, a folder in its place, on a full or a read-only disk.

Each is one sentence that names the file and the way out, or no trouble at all; none is a traceback, and none ends
a process that is not ours. `/dev/full` is a disk that is full.
"""

import ctypes
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import services.seed
from devtools import api_client, trouble
from devtools.places import ROOT
from devtools.printing import say
from devtools.processes import signals
from devtools.processes.files import last_line, replace_text
from devtools.processes.identity import start_time
from devtools.processes.ports import Ports
from devtools.processes.programs import end, launch
from devtools.product import children as children_of_start
from devtools.product import start as start_verb
from devtools.product import surroundings
from devtools.product.children import Children
from devtools.product.surroundings import environment_of_the_app
from devtools.set_up.steps import Step
from devtools.trouble import Trouble, sentence_of
from services import storage

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[Path], str]]:
    """`dev.py start` up to the moment at which it would start processes; what it said on both channels."""
    monkeypatch.setattr(signals, "listen", lambda: None)
    monkeypatch.setattr(start_verb, "refuse_wrong_settings", lambda environment: None)
    monkeypatch.setattr(start_verb, "refuse_taken_ports", lambda wanted: None)
    monkeypatch.setattr(start_verb, "_serve", lambda *arguments: say("it would start"))
    umask = os.umask(0o022)

    def run(data: Path) -> str:
        status = trouble.exit_status_of(lambda: start_verb.main(["--data", str(data)]))
        captured = capsys.readouterr()
        assert (status == 0) == ("it would start" in captured.out), captured
        assert "Traceback" not in captured.err
        return captured.out + captured.err

    yield run
    os.umask(umask)


def test_a_data_folder_that_is_a_file_is_named(tmp_path: Path, start: Callable[[Path], str]) -> None:
    (tmp_path / "data").write_text("")
    assert f"{tmp_path}/data is a file where a folder is needed: move it away" in start(tmp_path / "data")
    assert f"{tmp_path}/data/below cannot be used, because a part of its path is a file" in start(
        tmp_path / "data/below"
    )


@pytest.mark.parametrize("name", ["start.lock", "urls.json", "processes.json"])
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path, start: Callable[[Path], str], name: str) -> None:
    (tmp_path / name).mkdir()
    output = start(tmp_path)
    assert f"{tmp_path}/{name} is a folder where a file is needed: move it away" in output or (
        f"{tmp_path}/{name} cannot be changed" in output  # macOS answers EPERM to the unlink of a folder
    )


DAMAGED_NOTES = [
    *("", "{", "null", "7", "{}", '"azurite"', "[7]", "[[]]", '[["azurite"]]', '[["azurite", 2]]', "\x00\x00"),
    *('[["azurite", "PID", SINCE]]', '[["azurite", -1, SINCE]]', '[["azurite", 1, SINCE]]'),
    *('[["azurite", true, SINCE]]', '[["azurite", PID.0, SINCE]]', '[["azurite", PID, SINCE], 7]'),
    *(
        '[["azurite", PID, SINCE]',
        "[[7, PID, SINCE]]",
        '[["azurite", PID, 7]]',
        '[["azurite", PID, "SINCE"]]',
        "[" * 100_000,
    ),
]


@pytest.mark.parametrize("note", DAMAGED_NOTES, ids=lambda note: note[:30] or "empty")
def test_a_damaged_note_of_processes_ends_nothing_and_start_goes_on(
    tmp_path: Path, start: Callable[[Path], str], note: str
) -> None:
    """Each of them would be a process of ours, were it whole."""
    process = subprocess.Popen(SLEEP)
    try:
        text = note.replace("PID", str(process.pid)).replace("SINCE", str(start_time(process.pid)))
        (tmp_path / "processes.json").write_text(text)
        output = start(tmp_path)
        assert process.poll() is None
        assert "it would start" in output
        assert f"{tmp_path}/processes.json is damaged" in output
        assert not (tmp_path / "processes.json").exists()
    finally:
        process.kill()
        process.wait()


def test_a_note_that_is_no_text_is_damaged_too(tmp_path: Path, start: Callable[[Path], str]) -> None:
    (tmp_path / "processes.json").write_bytes(b"\xff\xfe[")
    assert "processes.json is damaged" in start(tmp_path)


def test_an_empty_note_of_no_processes_is_no_damage(tmp_path: Path, start: Callable[[Path], str]) -> None:
    (tmp_path / "processes.json").write_text("[]")
    assert "damaged" not in start(tmp_path)


@pytest.mark.parametrize("file", ["local.settings.json", "local.settings.json.example"])
def test_settings_that_are_a_folder_or_no_text_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr(surroundings, "ROOT", tmp_path)
    (tmp_path / file).write_bytes(b"\xff\xfe")
    with pytest.raises(Trouble, match=f"{file} is not JSON"):
        environment_of_the_app(Ports())
    (tmp_path / file).write_text("[" * 100_000)
    with pytest.raises(Trouble, match=f"{file} is not JSON"):
        environment_of_the_app(Ports())
    (tmp_path / file).unlink()
    (tmp_path / file).mkdir()
    with pytest.raises(IsADirectoryError) as fault:
        environment_of_the_app(Ports())
    assert sentence_of(fault.value) == (
        f"{tmp_path / file} is a folder where a file is needed: move it away, and run this again."
    )


@pytest.mark.parametrize("content", [b"", b"\xff", b"another fingerprint", None])
def test_a_stamp_that_says_nothing_has_its_step_done_again(tmp_path: Path, content: bytes | None) -> None:
    stamp = tmp_path / "stamp"
    stamp.mkdir() if content is None else stamp.write_bytes(content)
    assert not Step("a", stamp.parent / "log", stamp, lambda: "1", lambda: None).is_done()


def test_a_log_that_is_a_folder_is_named_and_has_no_last_line(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "mail.log"
    log.mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as fault:
        launch(SLEEP, log)
    assert str(sentence_of(fault.value)).startswith(f"{log} is a folder where a file is needed")
    assert last_line(log) == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "urls.json.new").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as fault:
        replace_text(tmp_path / "urls.json", "{}")
    assert sentence_of(fault.value) == (
        f"{tmp_path / 'urls.json.new'} cannot be written, because the disk is full: free some space on it, "
        "and run this again."
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_on_a_full_disk_everything_is_still_stopped_in_order(tmp_path: Path) -> None:
    children = Children(tmp_path)
    order: list[str] = []
    for name in ("azurite", "mail", "devhost"):
        script = f"import atexit, time; atexit.register(print, '{name}'); time.sleep(60)"
        children.start(name, [sys.executable, "-c", script], {}, death=9)
    pids = list(children.pids().values())
    (tmp_path / "processes.json.new").unlink(missing_ok=True)
    (tmp_path / "processes.json.new").symlink_to("/dev/full")
    real = end

    def noted(process: "subprocess.Popen[bytes]", patience: float) -> bool:
        order.append(next(name for name, pid in children.pids().items() if pid == process.pid))
        return real(process, patience)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(children_of_start, "end", noted)
        children.stop()
    assert order == ["devhost", "mail", "azurite"]
    assert [pid for pid in pids if start_time(pid)] == []


@pytest.mark.parametrize("number", sorted(trouble.FAULTS))
def test_each_fault_of_a_file_names_it_and_the_way_out(number: int) -> None:
    sentence = sentence_of(OSError(number, os.strerror(number), "/data/urls.json"))
    assert sentence is not None
    assert sentence.startswith("/data/urls.json ")
    assert ": " in sentence
    assert sentence.endswith(", and run this again.")


def test_a_fault_that_is_not_about_a_file_has_no_sentence() -> None:
    assert sentence_of(ConnectionRefusedError(errno.ECONNREFUSED, "refused")) is None


GOOD_ROW = '{"sku": "A", "on_hand": 1, "price_minor": 100, "currency": "gbp"}'


@pytest.mark.parametrize("text", ["", "{", "{}", "7", "null", "[7]", "[{}]", '[{"sku": "A"}]', f"[{GOOD_ROW}, {{}}]"])
def test_a_catalogue_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    catalogue = tmp_path / "catalogue.json"
    catalogue.write_text(text)
    assert _seeded(catalogue, monkeypatch) == 1
    assert f"{catalogue} is no catalogue: a JSON array of sku, on_hand" in capsys.readouterr().err


def test_the_row_of_a_catalogue_that_a_put_would_refuse_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = tmp_path / "catalogue.json"
    catalogue.write_text(f"[{GOOD_ROW}, {GOOD_ROW.replace('gbp', 'xyz').replace('A', 'OAK-SHELF')}]")
    assert _seeded(catalogue, monkeypatch) == 1
    error = capsys.readouterr().err
    assert f"{catalogue} is no catalogue" in error
    assert "The row of OAK-SHELF is wrong: currency must be a currency that Stripe charges" in error


def test_a_catalogue_that_is_a_folder_or_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _seeded(tmp_path, monkeypatch) == 1
    assert f"{tmp_path} cannot be read (Is a directory): put the catalogue back." in capsys.readouterr().err
    assert _seeded(tmp_path / "none.json", monkeypatch) == 1
    assert "none.json cannot be read (No such file or directory)" in capsys.readouterr().err


class EmptyStock:
    """A shelf of `services.seed` that has nothing yet."""

    def is_empty(self) -> bool:
        return True

    def put(self, sku: str, update: object) -> None:
        """Nothing that is no catalogue may come here."""
        raise AssertionError(sku)


def _seeded(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["seed", str(catalogue)])
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")
    monkeypatch.setattr(services.seed, "TableStock", lambda table: EmptyStock())
    monkeypatch.setattr(storage, "open_table", lambda account, name: None)
    return services.seed.main()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '{"host": 7}', '{"host": null}', "[" * 100_000])
def test_a_client_names_a_damaged_note_of_addresses(tmp_path: Path, text: str) -> None:
    (tmp_path / "urls.json").write_text(text)
    with pytest.raises(Trouble, match=r"urls.json is damaged: start the product again, or name it with --url"):
        api_client.started(tmp_path)


def test_a_client_names_a_note_of_addresses_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "urls.json").mkdir()
    with pytest.raises(Trouble, match=r"urls.json cannot be read \(Is a directory\): start the product again"):
        api_client.started(tmp_path)


STUBBED = """
import sys
from devtools import trouble
from devtools.product import start
start.refuse_wrong_settings = lambda environment: None
start.refuse_taken_ports = lambda wanted: None
start._serve = lambda *arguments: start.say("it would start")
sys.exit(trouble.exit_status_of(lambda: start.main(["--data", sys.argv[1]])))
"""


def _as_anybody() -> None:
    """Root may read and write what it likes, unless these two of its rights are dropped before a program begins."""
    if sys.platform == "linux":
        for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, right)  # PR_CAPBSET_DROP; without effect for anybody else


def started_by_anybody(data: Path) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, "-c", STUBBED, str(data)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_as_anybody,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.mark.slow
def test_a_lock_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "start.lock").touch(mode=0)
    status, output = started_by_anybody(tmp_path)
    assert status == 1
    assert output == (
        f"dev.py: {tmp_path}/start.lock cannot be used, because you have no right to it: change its owner or its mode "
        "(`ls -ld` shows both), and run this again.\n"
    )


@pytest.mark.slow
def test_a_note_of_processes_that_may_not_be_read_ends_nothing_and_start_goes_on(tmp_path: Path) -> None:
    (tmp_path / "processes.json").touch(mode=0)
    status, output = started_by_anybody(tmp_path)
    assert status == 0
    assert f"Warning: {tmp_path}/processes.json is damaged" in output
    assert "it would start" in output


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["", "azurite", "sandbox", "logs"])
def test_a_folder_that_may_not_be_written_is_named_before_anything_is_started(tmp_path: Path, folder: str) -> None:
    data = tmp_path / "data"
    (data / folder).mkdir(parents=True)
    (data / folder).chmod(0o500)
    try:
        status, output = started_by_anybody(data)
    finally:
        (data / folder).chmod(0o700)
    assert status == 1
    assert output.startswith(f"dev.py: {data / folder}")
    assert "would start" not in output
    assert len(output.splitlines()) == 1


@pytest.mark.slow
def test_a_data_folder_that_may_not_be_made_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        status, output = started_by_anybody(tmp_path / "data")
    finally:
        tmp_path.chmod(0o700)
    assert (status, output.split(" cannot be used, because you have no right to it")[0]) == (
        1,
        f"dev.py: {tmp_path}/data",
    )
