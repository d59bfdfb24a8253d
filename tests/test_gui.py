"The page for those who do not use a terminal, in a browser: from a folder of images to the map, and what is refused."

import json
import re
import signal
import subprocess
import sys
from http.client import HTTPConnection
from time import sleep
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from microvae.app.access import Access
from microvae.app.card import list_runs
from microvae.training.checkpoint import paused_at

pytest.importorskip("starlette")
expect = pytest.importorskip("playwright.sync_api").expect
pytest.importorskip("uvicorn")


def field(seed: int, side: int = 330) -> np.ndarray:
    "A 12-bit field of view with round cells of different size and brightness, none of which touches another."
    random = np.random.default_rng(seed)
    image = np.zeros((side, side))
    rows, columns = np.mgrid[:side, :side]
    for row in range(45, side - 30, 60):
        for column in range(45, side - 30, 60):
            centre = random.integers(-6, 7, 2) + (row, column)
            inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < random.uniform(7, 12) ** 2
            image[inside] = random.uniform(1000, 3500)
    return np.clip(gaussian_filter(image, 1.5) + random.normal(200, 20, image.shape), 0, 4095).astype(np.uint16)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "Folders as a newcomer has them: fields of view, and one without images."
    place = tmp_path_factory.mktemp("gui")
    for name in ("fields", "notes"):
        (place / name).mkdir()
    for k in range(3):
        tifffile.imwrite(place / "fields" / f"field_{k}.tif", field(k))
    (place / "notes" / "plan.txt").write_text("buy pipettes")
    return place


@pytest.fixture(scope="module")
def window(place):
    "`microvae gui`, which prints its address; the last test ends it."
    # a shell lets processes in the background ignore Ctrl-C, which those that they start inherit
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heard}; from microvae.app.cli import main; main()"
    words = ("gui", place, "--no-browser", "--port", "0")
    with subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True) as server:
        port, token = re.fullmatch(r"open http://127.0.0.1:(\d+)/\?token=(\S+)\n", server.stdout.readline()).groups()
        yield SimpleNamespace(access=Access(int(port), token), server=server)
        server.terminate()


@pytest.fixture
def open_page(browser, window):
    "Opens the page; at the end nothing may have complained, and no other host been asked."
    opened = []

    def go(**settings):
        page = browser.new_page(**{"viewport": {"width": 1100, "height": 900}} | settings)
        page.said = []
        page.foreign = []
        page.on("console", lambda message: message.type == "error" and page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((f"http://127.0.0.1:{window.access.port}/", "data:", "blob:"))
                or page.foreign.append(request.url)
            ),
        )
        opened.append(page)
        page.goto(window.access.address)
        page.wait_for_selector("html[data-ready=yes]")
        page.wait_for_selector("#folders li")
        return page

    yield go
    for page in opened:
        # a request that is refused is listed by Chromium too
        assert [text for text in page.said if "status of 400" not in text] == []
        assert page.foreign == []
        page.close()


def done(page, action):
    "Begin a job, and wait until it has ended."
    before = page.get_attribute("html", "data-job")
    action()
    page.wait_for_selector(f"html[data-running=no]:not([data-job='{before}'])", timeout=120_000)


def choose(page, folder):
    "Step 1."
    page.fill("#path", str(folder))
    done(page, lambda: page.click("#choose"))


def violations(page) -> list[str]:
    "What axe finds."
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    return [f"{found['id']}: {found['nodes'][0]['html']}" for found in axe.run(page).response["violations"]]


def test_from_a_folder_of_fields_to_the_map(place, open_page):
    "By clicks alone; and what lies on the disk is what the command line makes."
    page = open_page()
    page.click("#folders button:has-text('fields')")
    expect(page.locator("#path")).to_have_value(re.compile("fields$"))
    assert "3 images here" in page.inner_text("#holds")
    done(page, lambda: page.click("#choose"))
    assert page.inner_text("#found-title") == "3 images in 3 files"
    assert page.inner_text("#found-text") == "330×330 pixels, 1 channel (channel 1), 16-bit"
    assert page.locator("#found-pictures img").count() == 3
    assert page.is_checked("input[value=fields]")
    page.fill("#diameter", "20")
    done(page, lambda: page.click("#cut"))
    cells = int(page.inner_text("#cells-title").split(" cells")[0])
    assert 60 <= cells <= 75
    assert page.locator("#cells-pictures img").count() == 2
    assert page.evaluate("[...document.querySelectorAll('img')].every(image => image.naturalWidth > 0)")
    assert violations(page) == []
    page.fill("#epochs", "2")
    done(page, lambda: page.click("#train"))
    assert page.inner_text("#trained-title") == "The model is trained"
    with page.context.expect_page() as opening:
        page.click("#runs a:has-text('open the map')")
    opening.value.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    assert opening.value.inner_text("#count") == f"{cells} of {cells} cells"
    opening.value.close()
    with page.expect_download() as download:
        page.click("#runs a:has-text('CSV')")
    assert "latent_32" in pd.read_csv(download.value.path())
    assert list_runs(place / "runs").finished.tolist() == [True]
    assert (place / "fields.zarr").is_dir()


def test_stop_keeps_the_model(place, open_page):
    "And the page shows the running job again after it was loaded anew."
    page = open_page()
    choose(page, place / "fields")
    choose(page, place / "fields.zarr")
    widths = page.evaluate("[...document.querySelectorAll('#found-pictures img')].map(image => image.naturalWidth)")
    assert max(widths) < 100, "the page shows pictures of the folder before"
    page.fill("#epochs", "5000")
    page.fill("#latent-dim", "2")
    page.click("#train")
    expect(page.locator("#curve-text")).to_contain_text("passes", timeout=60_000)
    page.reload()
    page.wait_for_selector("#curve", state="visible")
    assert page.inner_text("#job-left").endswith(" left")
    page.click("#stop")
    page.wait_for_selector("html[data-running=no]", timeout=60_000)
    assert "the model so far is kept" in page.inner_text("#trained-title")
    runs = list_runs(place / "runs")
    assert runs.run[runs.finished].str.contains("_after_").sum() == 1
    [paused] = runs.run[~runs.finished]
    assert paused_at(place / "runs" / paused)[1] == 5000
    assert page.locator("#runs a:has-text('open the map')").count() >= 1


def test_a_folder_without_images_is_a_sentence(place, open_page):
    page = open_page()
    choose(page, place / "notes")
    assert "notes holds no images" in page.inner_text("#message")
    assert "--" not in page.inner_text("#message")
    assert page.is_hidden("#step-3")
    page.fill("#path", str(place / "nowhere"))
    page.click("#enter")
    expect(page.locator("#message")).to_contain_text("there is no folder")


def test_on_a_phone(place, open_page):
    "Nothing is wider than the screen, in light and dark, and everything has a name."
    page = open_page(viewport={"width": 390, "height": 780})
    choose(page, place / "fields")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click("#theme")
    assert violations(page) == []


def asked(window, method: str, path: str, body: str | None = None, **changes) -> tuple[int, str]:
    "Status and content of a request that has all that it needs, but for the changes."
    host = f"127.0.0.1:{window.access.port}"
    headers = {
        "Host": host,
        "Origin": f"http://{host}",
        "Cookie": f"{window.access.cookie}={window.access.token}",
        "Content-Type": "application/json",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    connection = HTTPConnection(host)
    connection.request(method, path, body, {name: value for name, value in headers.items() if value is not None})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace")


def started(window, action: str, **form) -> dict:
    "The state after a job has ended."
    assert asked(window, "POST", f"/api/{action}", json.dumps(form))[0] == 200
    while (state := json.loads(asked(window, "GET", "/api/state")[1]))["job"]["running"]:
        sleep(0.2)
    return state


@pytest.mark.parametrize("path", ["/", "/api/state", "/api/folders?path=/", "/static/gui.js", "/runs/x/map"])
def test_nothing_without_the_token(window, path):
    assert asked(window, "GET", path, Cookie=None)[0] == 403
    assert asked(window, "GET", path, Cookie=f"{window.access.cookie}=guess")[0] == 403
    assert asked(window, "GET", path, Host=f"evil.example:{window.access.port}")[0] == 403


def test_other_pages_start_nothing(window):
    form = json.dumps(dict(path="/"))
    assert asked(window, "POST", "/api/choose", form, Origin="http://evil.example")[0] == 403
    assert asked(window, "POST", "/api/choose", form, Origin=None)[0] == 403
    assert asked(window, "POST", "/api/choose", form, Content_Type="text/plain")[0] == 415
    assert asked(window, "GET", "/api/choose")[0] == 405


def test_a_link_out_of_the_folder_is_not_read(window, place):
    "Neither an image nor the page of a run."
    (place / "linked").mkdir()
    tifffile.imwrite(place / "secret.tif", field(9, 80))
    (place / "linked" / "a.tif").symlink_to(place / "secret.tif")
    state = started(window, "choose", path=str(place / "linked"))
    assert "outside of the chosen folder" in state["job"]["error"]
    for run in ("..", ".", "%2e%2e", "..%2f..%2fnotes", "other"):
        status, content = asked(window, "GET", f"/runs/{run}/map")
        assert status in (400, 404), content


@pytest.mark.posix
def test_ctrl_c_keeps_what_was_trained(window, place):
    "The last test: the job is interrupted, and the command ends as one that was stopped."
    started(window, "choose", path=str(place / "fields.zarr"))
    form = dict(cut=False, ignore=[], epochs=100_000, latent_dim=2)
    assert asked(window, "POST", "/api/train", json.dumps(form))[0] == 200
    while len(json.loads(asked(window, "GET", "/api/state")[1])["job"]["curve"] or []) < 3:
        sleep(0.2)
    window.server.send_signal(signal.SIGINT)
    assert window.server.wait(60) == 130
    runs = list_runs(place / "runs")
    [run] = runs.run[runs.epochs == 100_000]
    assert paused_at(place / "runs" / run)[0] >= 3
