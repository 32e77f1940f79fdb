"""One JupyterLab and one browser for all files: a start costs longer than most of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest
from playwright.sync_api import Browser

from tests.browser import lab, pages


@pytest.fixture(scope="package")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Desk]:
    """The running JupyterLab.

    It ends with the tests of this folder: while Playwright runs, no other test can start an event loop.
    """
    with lab.running(tmp_path_factory.mktemp("jupyterlab")) as made:
        yield made


@pytest.fixture(scope="package")
def endings(shared_desk: lab.Desk) -> Iterator[list[Thread]]:
    """Ends of kernels under way: a server that is asked to end meanwhile never does."""
    made: list[Thread] = []
    yield made
    for ending in made:
        ending.join()


@pytest.fixture(scope="module")
def desk(shared_desk: lab.Desk, endings: list[Thread], request: pytest.FixtureRequest) -> Iterator[lab.Desk]:
    """A folder of the test file's own, with JupyterLab's settings as at first; its kernels end with it."""
    for plugin, values in lab.SETTINGS.items():
        shared_desk.set_up(plugin, **values)
    made = shared_desk.within(request.path.stem)
    yield made
    ending = Thread(target=made.end_kernels)  # a server takes two seconds to end one
    ending.start()
    endings.append(ending)


@pytest.fixture(scope="package")
def browser(shared_desk: lab.Desk) -> Browser:
    """The running browser, for pages that have nothing to do with JupyterLab."""
    made = shared_desk.browser.browser
    assert made is not None
    return made


@pytest.fixture
def offline(browser: Browser) -> Iterator[pages.Offline]:
    """A page that must have asked for nothing and complained about nothing when the test is over."""
    made = pages.Offline(browser.new_page(viewport={"width": 1200, "height": 1000}))
    made.page.set_default_timeout(60_000)
    yield made
    found = made.refused(), made.said, made.page.evaluate("window.__owned ?? null")
    made.page.close()
    assert found == ([], [], None)
