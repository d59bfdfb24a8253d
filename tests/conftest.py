import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHROME = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def kept(tmp_path) -> tuple:
    "Words of a study's command: the notebooks of this tree, and all that it makes in the test's own folder."
    return ("--notebooks", ROOT / "nbs", "--out", tmp_path / "out", "--runs", tmp_path / "runs")


@pytest.fixture(scope="session")
def browser():
    if CHROME is None:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chrome = play.chromium.launch(executable_path=CHROME, args=FLAGS)
        yield chrome
        chrome.close()
