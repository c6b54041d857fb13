"""The examples in docstrings run as they stand, with nothing imported before."""

import doctest
import importlib
from pathlib import Path

import pytest
import torch

import prunebook as pb

SOURCE = Path(pb.__file__).parent
FILES = [
    SOURCE / "__init__.py",
    *(p for part in ("weights", "units", "coresets", "delivery") for p in (SOURCE / part).rglob("*.py")),
]
WITH_EXAMPLES = sorted(
    ".".join(("prunebook", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for path in FILES
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_run_as_they_stand(module):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = doctest.testmod(importlib.import_module(module), globs={})
    assert found.attempted > 0
    assert found.failed == 0


def test_no_example_is_left_out():
    assert len(WITH_EXAMPLES) >= 10
    assert not [path for path in FILES if "doctest: +SKIP" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", [name for name in pb.__all__ if name != "__version__"])
def test_each_of_the_first_calls_has_an_example(name):
    assert f"{name}(" in getattr(pb, name).__doc__.partition(">>> ")[2]
