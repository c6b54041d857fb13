"""The tests in ``tests/browser`` need a browser and a built book, so they are not part of this run."""

import pytest


def test_pages_in_a_real_browser():
    pytest.skip("the browser tests look at the built book: make browser")
