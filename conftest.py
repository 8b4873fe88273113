"""In CI (``LLISO_CI=1``) a test that was skipped is a failure, whatever it was skipped for."""

from __future__ import annotations

import os
import re

import pytest

#: Skips that CI lets pass: what the report says -> why it cannot apply on Linux with Python 3.11.
ALLOWED: dict[str, str] = {}

_SKIPPED = pytest.StashKey[list[str]]()


def _says(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return where and why something was skipped."""
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    return f"{report.nodeid}: {str(why).removeprefix('Skipped: ')}"


class _Skips:
    """Collects what was skipped and turns the exit code; xfail is not a skip."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        config.stash[_SKIPPED] = []

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            said = _says(report)
            if not any(re.search(pattern, said) for pattern in ALLOWED):
                self.config.stash[_SKIPPED].append(said)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        fine = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if self.config.stash[_SKIPPED] and exitstatus in fine:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if skipped := self.config.stash[_SKIPPED]:
            terminalreporter.section("skipped, which is a failure in CI", red=True)
            for said in skipped:
                terminalreporter.line(said)


def pytest_configure(config: pytest.Config) -> None:
    """Watch for skips where all that the tests need has been installed."""
    if os.environ.get("LLISO_CI") == "1":
        config.pluginmanager.register(_Skips(config), "lliso-skips")
