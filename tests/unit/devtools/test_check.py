"""`dev.py check`: every check runs, what failed is shown, and what to do about it comes last."""

from collections.abc import Callable

import pytest

from devtools.processes import signals
from devtools.testing import check

Checked = Callable[..., tuple[int, str]]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Checked:
    """Runs `check` with checks of a test's own, each a line of Python; its exit status and what it said."""

    def run(**lines: str) -> tuple[int, str]:
        monkeypatch.setattr(signals, "listen", lambda: None)
        monkeypatch.setattr(check, "STYLE", ())
        monkeypatch.setattr(check, "TESTS", tuple((name, ("-c", line)) for name, line in lines.items()))
        return check.main([]), capsys.readouterr().out

    return run


def test_checks_that_pass_are_a_line_each(checked: Checked) -> None:
    status, output = checked(format="print('550 files')", types="pass")
    assert status == 0
    assert {"format: 550 files", "types: as it should be"} <= set(output.splitlines())
    assert "\nAll checks passed in " in output


def test_a_check_that_fails_is_shown_whole_and_the_others_run_too(checked: Checked) -> None:
    status, output = checked(
        lint="print('line 1'); print('line 2'); exit(1)", types="import time; time.sleep(0.3); print('no issue')"
    )
    assert status == 1
    assert "lint: failed\nline 1\nline 2\n" in output
    assert "types: no issue\n" in output
    assert output.endswith("s: lint.\n")


def test_what_to_do_stands_at_the_end(checked: Checked) -> None:
    _, output = checked(stored="print('What to do: raise SAGA_VERSION'); print('1 failed'); exit(1)")
    assert output.splitlines()[-2] == "What to do: raise SAGA_VERSION"
