"""The mutants: rules broken on purpose, one a patch, to see whether the proof turns red. A proof that stays green for
one of them proves nothing about its rule.

A patch (`mutants/<name>.patch`) begins with what it breaks and what is to see it, the cheapest first:

    # Breaks: An undo is registered before its do.
    # Killer: tests/proof/model/test_model.py
    # Killer: tests/proof/crashes/test_crash_matrix.py -k "release or refund"

A killer is what pytest is given. It may be the model, the crash matrix, the late effects, the concurrency run or the
chaos run: they judge what orders do to the world. A test of the very line would only repeat the line.

Each mutant is a copy of the working tree with its patch applied, beside the same environment. It is dead when a killer
*fails a test* there and passes in an unchanged copy. So a mutant that cannot be imported, a patch that no longer
applies, a killer that finds no tests or that is out of time all count as red, and are named.

    python -m tests.proof.mutants                       all of them
    python -m tests.proof.mutants refusal_retried …     some of them
    python -m tests.proof.mutants --jobs 2 --json FILE

Most are left to the model, which is the quickest; a few go to each of the other judges, to see that these can turn red
too.

Rejected: a tool that mutates every line. It makes thousands of changes of which most break nothing that a customer
could see, and none of them is the mistake that a person would make.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from devtools.testing.tree_copy import copied

ROOT = Path(__file__).resolve().parent.parent.parent
PATCHES = Path(__file__).resolve().parent / "mutants"
MODEL = "tests/proof/model/test_model.py"
JUDGING = (
    *("model/test_model", "model/test_sweep_in_memory"),
    *("crashes/test_edge_crashes", "crashes/test_crash_matrix", "crashes/test_concurrency"),
    *("crashes/test_late_effects", "crashes/test_chaos"),
)
JUDGES = frozenset(f"tests/proof/{name}.py" for name in JUDGING)
TIMEOUT_S = 240.0
# What pytest's exit status says: https://docs.pytest.org/en/stable/reference/exit-codes.html
PASSED, FAILED = 0, 1
FIRST_FAILURE = re.compile(r"^FAILED [^\n]*?::(.+?)(?: - .*)?$", re.MULTILINE)


class Unfit(Exception):
    """A mutant, or a killer, that cannot prove anything. The message says why."""


@dataclass(frozen=True)
class Mutant:
    """One patch. `killers`: what pytest is given, the cheapest first."""

    name: str
    breaks: str
    killers: tuple[str, ...]
    patch: str

    @property
    def changed_lines(self) -> list[str]:
        lines = self.patch.splitlines()
        return [line for line in lines if line[:1] in {"+", "-"} and line[:4] not in {"+++ ", "--- "}]

    @property
    def files(self) -> list[str]:
        return [line.removeprefix("+++ b/") for line in self.patch.splitlines() if line.startswith("+++ ")]


@dataclass(frozen=True)
class Verdict:
    """`killed_by` is empty for a mutant that lives, or that proved nothing: then `problem` says what was wrong."""

    name: str
    killed_by: str
    seconds: float
    problem: str = ""


def read(path: Path) -> Mutant:
    text = path.read_text(encoding="utf-8")
    headers = re.findall(r"^# (Breaks|Killer): (.+)$", text, re.MULTILINE)
    breaks = [header for word, header in headers if word == "Breaks"]
    return Mutant(path.stem, " ".join(breaks), tuple(header for word, header in headers if word == "Killer"), text)


def all_mutants() -> list[Mutant]:
    return [read(path) for path in sorted(PATCHES.glob("*.patch"))]


def chosen(names: Sequence[str]) -> list[Mutant]:
    """Those of these names; all without names. Raises Unfit for a name that there is not."""
    mutants = {mutant.name: mutant for mutant in all_mutants()}
    unknown = [name for name in names if name not in mutants]
    if unknown:
        raise Unfit(f"there is no mutant {', '.join(unknown)}; there are {', '.join(mutants)}")
    return [mutants[name] for name in names] if names else list(mutants.values())


# ------------------------------------------------------------------------------------------------------------- trees


def check_patch(mutant: Mutant, tree: Path) -> None:
    """Raises Unfit when the patch does not fit the tree exactly. Changes nothing."""
    _apply(mutant, tree, "--check")


def apply(mutant: Mutant, tree: Path) -> None:
    """Raises Unfit when the patch does not fit the tree exactly, or leaves something that cannot be imported."""
    _apply(mutant, tree)
    if all((tree / path).read_bytes() == (ROOT / path).read_bytes() for path in mutant.files):
        raise Unfit("the patch changed nothing")
    command = [sys.executable, "-c", "import function_app"]
    imported = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    if imported.returncode:
        raise Unfit(f"the mutated app cannot be imported: {imported.stderr.strip().splitlines()[-1]}")


def _apply(mutant: Mutant, tree: Path, *options: str) -> None:
    done = _git(tree, "apply", "--whitespace=nowarn", *options, "-", input_=mutant.patch)
    if done.returncode:
        raise Unfit(f"the patch no longer applies: {done.stderr.strip().splitlines()[0]}")


def _git(where: Path, *arguments: str, input_: str | None = None) -> subprocess.CompletedProcess[str]:
    # Without the variables of a git that runs us (in a hook, say), and without a repository above a copy.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_CEILING_DIRECTORIES"] = str(where.parent)
    return subprocess.run(
        ["git", *arguments], cwd=where, env=environment, input=input_, capture_output=True, text=True, check=False
    )


# ----------------------------------------------------------------------------------------------------------- killing


@dataclass(frozen=True)
class KillerRun:
    """How a killer went: pytest's exit status (None: out of time), the first test that failed, the last words."""

    status: int | None
    failed: str
    words: str


def run_killer(killer: str, tree: Path, timeout_s: float = TIMEOUT_S) -> KillerRun:
    """One killer in one tree, until its first failure."""
    command = [sys.executable, "-m", "pytest", *shlex.split(killer), "-x", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PROOF_MUTANT": "1"}
    environment.pop("PYTEST_CURRENT_TEST", None)
    with subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.terminate()  # pytest ends its fixtures, and so the servers that it started
            output, _ = process.communicate()
            return KillerRun(None, "", output[-500:])
    failure = FIRST_FAILURE.search(output)
    return KillerRun(process.returncode, failure.group(1) if failure else "", output[-500:])


def kill(mutant: Mutant, timeout_s: float = TIMEOUT_S) -> Verdict:
    """Try the killers in turn on one copy."""
    began = time.monotonic()
    took = partial(_since, began)
    try:
        with copied(ROOT) as tree:
            apply(mutant, tree)
            for killer in mutant.killers:
                ran = run_killer(killer, tree, timeout_s)
                if ran.status == FAILED and ran.failed:
                    return Verdict(mutant.name, f"{_short(killer)}: {ran.failed}", took())
                if ran.status != PASSED:
                    raise Unfit(f"{_short(killer)} gave no verdict ({_status(ran)}): {ran.words}")
    except Unfit as unfit:
        return Verdict(mutant.name, "", took(), str(unfit))
    return Verdict(mutant.name, "", took(), "it survived")


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)


def _short(killer: str) -> str:
    return Path(shlex.split(killer)[0].split("::")[0]).stem.removeprefix("test_").replace("_", " ")


def _status(ran: KillerRun) -> str:
    return "out of time" if ran.status is None else f"pytest ended with {ran.status}"


def red_without_a_mutant(killers: Sequence[str], timeout_s: float = TIMEOUT_S) -> dict[str, str]:
    """Killers that do not pass in an unchanged copy, and why: what they say about mutants is worth nothing."""
    red = {}
    with copied(ROOT) as tree:
        for killer in killers:
            ran = run_killer(killer, tree, timeout_s)
            if ran.status != PASSED:
                red[killer] = f"{_status(ran)}: {ran.failed or ran.words}"
    return red


def judge(mutants: Sequence[Mutant], jobs: int = 1) -> Iterator[Verdict]:
    """A verdict a mutant, in their order. Killers are first seen to pass where nothing is broken."""
    killers = list(dict.fromkeys(killer for mutant in mutants for killer in mutant.killers))
    red = red_without_a_mutant(killers)
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(partial(_judge_one, red), mutants)


def _judge_one(red: dict[str, str], mutant: Mutant) -> Verdict:
    for killer in mutant.killers:
        if killer in red:
            return Verdict(mutant.name, "", 0.0, f"{killer} is red without it ({red[killer]})")
    return kill(mutant)


# ------------------------------------------------------------------------------------------------------------ report


def line(verdict: Verdict) -> str:
    fate = verdict.killed_by or "ALIVE: " + verdict.problem.strip().replace("\n", "\n" + " " * 8)
    return f"{verdict.name:48} {verdict.seconds:6.1f} s  {fate}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0: all dead."""
    options = _arguments(arguments)
    try:
        mutants = chosen(options.names)
        verdicts = []
        for verdict in judge(mutants, options.jobs):
            print(line(verdict), flush=True)
            verdicts.append(verdict)
    except Unfit as unfit:
        print(f"mutants: {unfit}", file=sys.stderr)
        return 2
    killed = sum(bool(verdict.killed_by) for verdict in verdicts)
    print(f"{killed} of {len(verdicts)} mutants killed")
    if options.json:
        options.json.write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=2), encoding="utf-8")
    return 0 if killed == len(verdicts) else 1


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.proof.mutants", description="Break rules; see the proof turn red."
    )
    parser.add_argument("names", nargs="*", help="mutants; all of them without a name")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    parser.add_argument("--json", type=Path, help="write the verdicts there as JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
