"""One JupyterLab and one browser for all files: a start costs longer than most of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import lab


@pytest.fixture(scope="session")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Desk]:
    """The running JupyterLab."""
    with lab.running(tmp_path_factory.mktemp("jupyterlab")) as made:
        yield made


@pytest.fixture(scope="module")
def desk(shared_desk: lab.Desk, request: pytest.FixtureRequest) -> Iterator[lab.Desk]:
    """A folder of the test file's own, with JupyterLab's settings as at first; its kernels end with it."""
    for plugin, values in lab.SETTINGS.items():
        shared_desk.set_up(plugin, **values)
    made = shared_desk.within(request.path.stem)
    yield made
    made.end_kernels()


@pytest.fixture(scope="session")
def browser(shared_desk: lab.Desk) -> Browser:
    """The running browser, for pages that have nothing to do with JupyterLab."""
    made = shared_desk.browser.browser
    assert made is not None
    return made
