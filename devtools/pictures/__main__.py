"""`python -m devtools.pictures`: what `python3 dev.py pictures` runs. Needs Chromium (`apt install chromium`).

It starts a product of its own, places orders, takes pictures of what there is to see, and stops the product.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from devtools.trouble import Trouble

ROOT = Path(__file__).resolve().parents[2]


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="dev.py pictures", description="Make the pictures of the documents again, of a product that really runs."
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs/pictures", metavar="DIR", help="default: docs/pictures"
    )
    out = parser.parse_args(words).out
    # What needs the environment of `.venv` is imported only now: `--help` works without one.
    from devtools.pictures.camera import take  # noqa: PLC0415
    from devtools.pictures.scene import product, set_the_scene  # noqa: PLC0415

    try:
        with tempfile.TemporaryDirectory() as folder, product(ROOT, Path(folder)) as urls:
            for name in take(urls["host"], set_the_scene(urls), out):
                print(out / name, flush=True)
    except Trouble as trouble:
        print(f"pictures: {trouble}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
