"""A run of the whole suite in which most tests were skipped has shown nothing, and fails."""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def skipped_of(config: pytest.Config) -> tuple[int, int]:
    """How many tests were skipped, and how many there were; (0, 0) where only some were asked for."""
    asked = [Path(config.invocation_params.dir, argument).resolve() for argument in config.args]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if HERE not in asked or config.option.keyword or config.option.markexpr or reporter is None:
        return 0, 0
    skipped, passed = (len(reporter.stats.get(outcome, ())) for outcome in ("skipped", "passed"))
    return skipped, skipped + passed


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    skipped, count = skipped_of(session.config)
    if exitstatus == pytest.ExitCode.OK and skipped > count / 2:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    skipped, count = skipped_of(config)
    if skipped > count / 2:
        terminalreporter.write_line(
            f"{skipped} of {count} tests were skipped: this run shows nothing", red=True
        )
