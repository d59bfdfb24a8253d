"A time-lapse from files to mean courses at division, with the commands, compared with the tracks that were simulated."

import pandas as pd
import pytest
from test_app import here, said

import microvae as mv

pytest.importorskip("laptrack")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "A simulated time-lapse, cropped by the command."
    place = tmp_path_factory.mktemp("timelapse")
    mv.simulate_timelapse(place / "movie", frames=24, founders=10)
    words = ["--size", 24, "--diameter", 16, "--maximum", 4095, "--border", "pad", "--out", "cells.zarr"]
    assert here("crop", "movie", *words, cwd=place).returncode == 0
    return place


@pytest.fixture(scope="module")
def codes(place):
    "Codes of the tracked cells."
    assert here("track", "cells.zarr", "tracked.zarr", "--search-range", 12, cwd=place).returncode == 0
    done = here("train", "tracked.zarr", "--model", "MP2_64", "--epochs", 1, "--device", "cpu", cwd=place)
    assert done.returncode == 0
    assert here("embed", "runs", "codes.csv", cwd=place).returncode == 0
    return place / "codes.csv"


def test_tracks_are_those_that_were_simulated(place, codes):
    found = pd.read_csv(codes)
    truth = pd.read_csv(place / "movie" / "truth.csv")
    true = truth.parent[truth.parent >= 0].nunique()
    divisions = found.parent[found.parent >= 0].nunique()
    assert abs(divisions - true) <= 0.2 * true
    assert 1 <= found.generation.max() <= 2
    assert (place / "tracked_tracks.png").exists()


def test_the_area_is_halved_at_division(place, codes):
    words = ["--out", "divisions", "--event", "division", "--column", "area", "--before", 4, "--after", 4]
    assert here("trajectory", "codes.csv", *words, cwd=place).returncode == 0
    names = {file.name for file in (place / "divisions").iterdir()}
    assert {"trajectories.csv", "tracks.csv", "aligned.csv", "aligned.png", "lineages.png"} <= names
    area = pd.read_csv(place / "divisions" / "aligned.csv").set_index("relative_time")
    assert 0.4 < area["mean"][0] / area["mean"][-1] < 0.65
    assert area.high[0] < area.low[-1]


def test_what_is_wrong_is_named(place, codes):
    said(here("track", "cells.zarr", "other.zarr", "--search-range", 0, cwd=place), "above 0 pixels")
    said(here("track", "cells.zarr", "other.zarr", "--search-range", 900, cwd=place), "candidates in the next frame")
    said(here("trajectory", "codes.csv", "--column", "area", cwd=place), "--event")
    said(here("trajectory", "codes.csv", "--event", "death", cwd=place), "division, birth, end")
    said(here("trajectory", "codes.csv", "--event", "division", "--column", "size", cwd=place), "no column 'size'")
    mv.lung_fret(20).table.assign(latent_1=0.5).to_csv(place / "hours.csv", index=False)
    said(here("trajectory", "hours.csv", cwd=place), "no column 'time'", "--time")
    assert not (place / "trajectories").exists()
