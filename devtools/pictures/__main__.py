"""`python -m devtools.pictures`: what `python3 dev.py pictures` runs. Needs Chromium (`apt install chromium`).

It starts a product of its own, places orders, takes pictures of the pages and the terminal, and stops the product.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from devtools.pictures.arguments import parse
from devtools.pictures.camera import take
from devtools.pictures.scene import SETTINGS, set_the_scene
from devtools.product.own import product_of_its_own
from devtools.trouble import Trouble


def main(words: list[str]) -> int:
    out = parse(words).out
    try:
        with tempfile.TemporaryDirectory() as folder, product_of_its_own(Path(folder), **SETTINGS) as urls:
            for name in take(urls["host"], set_the_scene(urls), out):
                print(out / name, flush=True)
    except Trouble as trouble:
        print(f"pictures: {trouble}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
