"""Every plan of every scenario: `python -m tests.proof.model`. Exit status 1 when a rule was broken."""

from __future__ import annotations

import sys

from tests.proof.model.exploration import explored
from tests.proof.model.scenarios import SCENARIOS


def main() -> int:
    broken = 0
    for name, scenario in SCENARIOS.items():
        endings, violations = explored(scenario)
        ended = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items()))
        print(f"{name}: {sum(endings.values())} plans, {ended}, {len(violations)} violations", flush=True)
        print(*violations, sep="\n", end="\n" if violations else "")
        broken += len(violations)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
