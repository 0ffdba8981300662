"""Write docs/openapi.json: `.venv/bin/python -m devtools.api_document`, after a change of a route or a model."""

from __future__ import annotations

from pathlib import Path

from function_app import api_document

FILE = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"


def main() -> None:
    FILE.write_text(api_document() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
