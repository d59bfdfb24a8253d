import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Names of the browser on the path, and the places where it is installed without being there.
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
)
CHROME = next(filter(None, map(shutil.which, NAMES)), None)
#: What the tests of faults are made of, signals, pipes and limits of a process, is not there on Windows.
collect_ignore_glob = ["faults/*"] if os.name == "nt" else []
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_report_header():
    return (
        "tests of faults are left out: Windows has neither signals nor limits of a process" if os.name == "nt" else []
    )


#: Files whose tests take long begin first, so that no core waits for one of them at the end.
SLOW = ("test_killed", "test_questions", "test_reports", "test_load", "test_fuzz", "test_full_disk", "test_training")


def pytest_collection_modifyitems(items):
    "Slow files come first; a test marked `posix` is skipped on Windows."
    place = {name: k for k, name in enumerate(SLOW)}
    items.sort(key=lambda item: place.get(item.path.stem, len(SLOW)))
    missing = pytest.mark.skip(reason="Windows has neither signals nor limits of a process")
    for item in items:
        if os.name == "nt" and item.get_closest_marker("posix"):
            item.add_marker(missing)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def kept(tmp_path) -> tuple:
    "Words of a study's command: the notebooks of this tree, and all that it makes in the test's own folder."
    return ("--notebooks", ROOT / "nbs", "--out", tmp_path / "out", "--runs", tmp_path / "runs")


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as play:
        try:
            # without a path, playwright takes the browser that `playwright install` has fetched
            chrome = play.chromium.launch(executable_path=CHROME, args=FLAGS)
        except Error as error:
            if CHROME is not None:
                raise
            pytest.skip(f"Chromium is not installed ({str(error).splitlines()[0]})")
        yield chrome
        chrome.close()


if __name__ == "__main__":  # whether there is a browser
    sys.exit(CHROME is None)
