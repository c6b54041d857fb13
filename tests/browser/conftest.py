"""The built book in a real browser. ``make browser`` runs these tests; ``make test`` leaves them out.

The book is the folder in PRUNEBOOK_BOOK, or else ``_build/html``, or else the smoke book of the tests. The browser is
the program in PRUNEBOOK_CHROMIUM, or else the system's Chromium.
"""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from reader import Opened, book, chromium, missing, pages

HERE = Path(__file__).resolve().parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    asked = [Path(config.invocation_params.dir, argument.split("::")[0]).resolve() for argument in config.args]
    return None if any(HERE in (path, *path.parents) for path in asked) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing()
    # The hook is handed the items of the whole run, once anything beside this folder is collected too.
    for item in (item for item in items if HERE in item.path.parents):
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        # The tests of a page share what the browser has opened.
        if "address" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(item.callspec.params["address"]))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "address" in metafunc.fixturenames:
        metafunc.parametrize("address", pages(), scope="module")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The address at which a server of this process shows the book."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(book()))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def visit(browser):
    """Opens an address in a fresh context and notes what happens; all contexts are closed in the end."""
    contexts = []

    def opened(url: str, *, width: int = 1280, scheme: str = "light") -> Opened:
        # One at a time: a page with all its figures takes much memory.
        while contexts:
            contexts.pop().close()
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(60_000)
        seen = Opened(context.new_page())

        def weigh(response) -> None:
            if not response.url.startswith(("data:", "blob:")):
                seen.weights[response.url] = int(response.headers.get("content-length", 0))

        def listen(message) -> None:
            if message.type == "error":
                seen.complaints.append(f"{message.text} ({message.location.get('url', '')})")

        seen.page.on("console", listen)
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.on("requestfailed", lambda request: seen.failed.append(request.url))
        seen.page.on("request", lambda request: seen.asked.append(request.url))
        seen.page.on("response", weigh)
        seen.page.goto(url, wait_until="load")
        return seen

    yield opened
    for context in contexts:
        context.close()
