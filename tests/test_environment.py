"""pyproject.toml says what is needed, requirements.lock pins it, environment.yml repeats the pins."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def blocks():
    """The lock's entries: a requirement, and the text up to the next one."""
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)
    return [(Requirement(entry.split(" \\\n")[0]), entry) for entry in entries if entry.strip()]


def pinned(requirement):
    (clause,) = requirement.specifier
    assert clause.operator == "=="
    return Version(clause.version)


def places():
    """Environments that the lock has to serve."""
    for python in ("3.11", "3.12", "3.13"):
        for system in ("linux", "darwin"):
            yield {
                **default_environment(),
                "python_version": python,
                "python_full_version": f"{python}.9",
                "sys_platform": system,
            }


def needed():
    extras = PROJECT.get("optional-dependencies", {}).values()
    return [Requirement(text) for text in [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]]


@pytest.mark.parametrize("requirement", needed(), ids=str)
def test_the_lock_satisfies_what_the_project_needs(requirement):
    name = canonicalize_name(requirement.name)
    pins = [pin for pin, _ in blocks() if canonicalize_name(pin.name) == name]
    for place in places():
        held = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(place)]
        assert len(held) == 1, f"{name} is pinned {len(held)} times on {place['sys_platform']}"
        assert requirement.specifier.contains(pinned(held[0]), prereleases=True)


def test_every_pin_has_hashes():
    assert len(blocks()) > 100
    for pin, entry in blocks():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), f"{pin.name} has no hash"


def test_the_lock_names_no_index():
    assert not re.search(r"https?://|--(?:extra-)?index-url|--find-links", LOCK)


def test_conda_users_get_the_same_pins():
    (pip,) = [entry["pip"] for entry in ENVIRONMENT["dependencies"] if isinstance(entry, dict)]
    assert pip[-1] == "-e ."
    assert {str(Requirement(text)) for text in pip[:-1]} == {str(pin) for pin, _ in blocks()}


def test_environment_is_what_make_lock_writes():
    spec = importlib.util.spec_from_file_location("environment", ROOT / "tools" / "environment.py")
    environment = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(environment)
    assert environment.render(LOCK) == (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_the_same_oldest_python_everywhere():
    oldest = SpecifierSet(PROJECT["requires-python"])
    assert oldest.contains("3.11.0")
    assert not oldest.contains("3.10.99")
    assert "python=3.11" in ENVIRONMENT["dependencies"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "sys.version_info < (3, 11)" in makefile
    assert "--python-version 3.11" in makefile
