"""The fixture of hostile inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.setting import Setting


@pytest.fixture(scope="module")
def setting() -> Setting:
    made = Setting(Path())
    # Made before the first try, whose time is limited.
    assert all(one.sizes for one in (made.grid, made.captured, made.swept))
    assert made.vector_file.is_file() and made.image_file.is_file()
    return made
