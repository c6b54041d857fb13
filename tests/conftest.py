"""A run of the whole suite in which most tests were skipped has shown nothing, and fails."""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# What `make fast` leaves out: whole runs of studies, books and notebooks, kills, pictures, and other programs.
SLOW = {
    *("test_api_reference.py", "test_book.py", "test_claims.py", "test_coresets_coverage.py", "test_datasets_real.py"),
    *("test_drift.py", "test_experiments.py", "test_faults.py", "test_figures.py", "test_figures_last_layer.py"),
    *("test_figures_units.py", "test_findings.py", "test_fingerprint_mutants.py", "test_head_to_head.py"),
    *("test_last_layer.py", "test_mean_replacement.py", "test_measurement.py", "test_own_network.py"),
    *("test_readme.py", "test_soak.py", "test_status.py", "test_studies.py", "test_theory.py", "test_verdicts.py"),
    *("test_weights_oracles.py", "test_widgets.py", "test_workflow.py", "test_cases_weights.py", "test_cases_units.py"),
}
FAST = {"fingerprint-ec-pde", "fingerprint-mr-pictures"}


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
        terminalreporter.write_line(f"{skipped} of {count} tests were skipped: this run shows nothing", red=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        group = next((mark.args[0] for mark in item.iter_markers("xdist_group")), "")
        fingerprint = group.startswith("fingerprint-") and group not in FAST
        if item.path.name in SLOW or fingerprint or item.path.suffix == ".ipynb":
            item.add_marker("slow")
