"""`dev.py doctor` against the product: what the document prints is what it says."""

from __future__ import annotations

import re
import subprocess
import sys

from devtools.places import ROOT
from tests.support.documents import text_of
from tests.support.product import Product


def test_the_print_of_the_document_is_that_of_a_product_that_is_well(shop_product: Product) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), "doctor", "--data", str(shop_product.data)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert lines(result.stdout) == lines(printed())


def printed() -> str:
    """The print in docs/operations.md."""
    found = re.search(r"```\n(http://127\.0\.0\.1:7071\nok .*?)```", text_of("docs/operations.md"), re.DOTALL)
    assert found
    return found[1]


def lines(text: str) -> list[str]:
    """The lines, but for ports, the sweep that may not have run yet, and orders that other tests leave."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:7071", text)
    return [line for line in text.splitlines() if not re.search("sweep|decisions", line)]
