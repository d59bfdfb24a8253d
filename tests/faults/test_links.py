"An output that is a link: results go where it points, the link stays, and what leads nowhere is refused before the work."

import os
from functools import partial
from pathlib import Path

import jobs
import numpy as np
import pandas as pd
import pytest
from harness import contents

import microvae as mv
from microvae.core.files import check_replaceable, write_json, write_pictures, write_table
from microvae.core.style import write_figure
from microvae.study.runner import run_chapter

CELLS = mv.CellImages(np.random.default_rng(0).random((24, 1, 16, 16), np.float32))


@pytest.fixture(scope="module")
def vae():
    return mv.MicroVAE(depth=1, epochs=1, verbose=False, random_state=0).fit(CELLS)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return jobs.plate(tmp_path_factory.mktemp("plate") / "fields")


@pytest.fixture(scope="module")
def writers(vae, source):
    "What writes an output of each kind to a place, which it replaces."
    from matplotlib.figure import Figure

    cells = CELLS[:5]
    table = pd.DataFrame({"a": [1]})
    return {
        "table.csv": lambda place: write_table(place, table),
        "table.parquet": lambda place: write_table(place, table),
        "a.json": lambda place: write_json(place, {"a": 1}),
        "pictures.npz": lambda place: write_pictures(place, {"a": np.zeros((1, 1, 4, 4))}),
        "figure.png": lambda place: write_figure(place, Figure()),
        "cells.npz": lambda place: cells.save(place),
        "report.html": lambda place: vae.report(place, cells, overwrite=True),
        "explorer.html": lambda place: vae.explore(place, cells, overwrite=True),
        "model": lambda place: vae.save(place, overwrite=True),
        "cells.zarr": partial(mv.crop_fields, source, 20, workers=1, progress=False, overwrite=True),
        "more.zarr": lambda place: cells.to_zarr(place, append=True),
    }


NAMES = (
    "table.csv",
    "table.parquet",
    "a.json",
    "pictures.npz",
    "figure.png",
    "cells.npz",
    "report.html",
    "explorer.html",
    "model",
    "cells.zarr",
    "more.zarr",
)


def write(writers: dict, name: str, place: Path):
    writers[name](out=place) if name == "cells.zarr" else writers[name](place)


@pytest.mark.parametrize("name", NAMES)
def test_link_stays_and_its_target_is_replaced(name, writers, tmp_path):
    "First to a target that is not there yet, then to the one that is; nothing else is touched."
    disk = tmp_path / "disk"
    link = tmp_path / name
    disk.mkdir()
    (disk / "precious").write_text("mine")
    link.symlink_to(disk / name)
    for _ in range(2):
        write(writers, name, link)
        assert link.is_symlink()
        assert sorted(os.listdir(disk)) == sorted(["precious", name])
        assert sorted(os.listdir(tmp_path)) == sorted(["disk", name])
    assert (disk / "precious").read_text() == "mine"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["broken", "loop", "within"])
def test_link_that_leads_nowhere_is_refused(name, kind, writers, tmp_path):
    "Also where it is a folder on the way to the output."
    link = tmp_path / (name if kind != "within" else "folder")
    link.symlink_to(link if kind == "loop" else tmp_path / "no" / "such")
    with pytest.raises(mv.FileError, match="which leads nowhere"):
        write(writers, name, link if kind != "within" else link / name)
    assert link.is_symlink()
    assert os.listdir(tmp_path) == [link.name]


def test_folder_behind_a_link_on_the_way(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    write_json(tmp_path / "link" / "deep" / "a.json", {})
    assert (tmp_path / "disk" / "deep" / "a.json").exists()


def test_output_of_the_wrong_kind_behind_a_link(vae, tmp_path):
    "A link to a file where a folder is written, and the other way round: what it points to stays."
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").write_text("mine")
    (tmp_path / "model").symlink_to(tmp_path / "file")
    (tmp_path / "report.html").symlink_to(tmp_path / "folder")
    (tmp_path / "cells.zarr").symlink_to(tmp_path / "folder")
    before = contents(tmp_path)
    for call in (
        lambda: vae.save(tmp_path / "model", overwrite=True),
        lambda: vae.report(tmp_path / "report.html", CELLS[:5], overwrite=True),
        lambda: mv.crop_fields("none", out=tmp_path / "cells.zarr", overwrite=True),
        lambda: CELLS[:5].to_zarr(tmp_path / "cells.zarr", append=True),
    ):
        with pytest.raises(mv.MicroVAEError):
            call()
        assert contents(tmp_path) == before


def test_pipes_and_devices_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("pipe.json", "null.json"):
        if name == "null.json":
            (tmp_path / name).symlink_to(os.devnull)
        with pytest.raises(mv.FileError, match="neither a file nor a folder"):
            check_replaceable(tmp_path / name, overwrite=True)
        with pytest.raises(mv.FileError, match="neither a file nor a folder"):
            write_json(tmp_path / name, {})


def test_runs_and_study_behind_links(tmp_path, root):
    config = mv.RunConfig(training=mv.Training(epochs=1))
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    run = mv.fit(None, CELLS, config, folder=tmp_path / "runs", progress=False)
    assert (tmp_path / "disk" / run.folder.name / "model.safetensors").exists()
    (tmp_path / "gone").symlink_to(tmp_path / "no" / "such")
    with pytest.raises(mv.FileError, match="which leads nowhere"):
        mv.fit(None, CELLS, config, folder=tmp_path / "gone", progress=False)
    for places in (
        dict(out=tmp_path / "gone", runs=tmp_path / "runs"),
        dict(out=tmp_path / "out", runs=tmp_path / "gone"),
    ):
        with pytest.raises(mv.FileError, match="which leads nowhere"):
            run_chapter("lung_cells", notebooks=root / "nbs", device="cpu", **places)
    assert not (tmp_path / "out").exists()


def test_lock_that_is_a_link_touches_nothing(tmp_path):
    "A link, or a second name of a file, at the place of a run's lock: the file is not emptied, and one sentence says so."
    config = mv.RunConfig(training=mv.Training(epochs=1))
    run = mv.fit(None, CELLS, config, folder=tmp_path / "runs", progress=False)
    victim = tmp_path / "victim"
    for number, place in enumerate([lambda lock: lock.symlink_to(victim), lambda lock: os.link(victim, lock)]):
        victim.write_text("precious")
        home = tmp_path / f"other{number}" / run.folder.name
        home.mkdir(parents=True)
        place(home / ".lock")
        with pytest.raises(mv.FileError, match="cannot be used as a lock"):
            mv.fit(None, CELLS, config, folder=home.parent, progress=False)
        assert victim.read_text() == "precious"


@pytest.mark.parametrize("part", ["images", "table", "images/c", "table/000000000.parquet"])
def test_links_in_a_set_lead_nowhere(tmp_path, part):
    "A set that somebody else made, with a link in it: what it points to is not read, written or deleted."
    path = CELLS[:5].to_zarr(tmp_path / "set.zarr")
    if not (path / part).exists():
        pytest.skip("this version of Zarr stores chunks elsewhere")
    outside = tmp_path / "outside"
    (path / part).rename(outside)
    (path / part).symlink_to(outside)
    if outside.is_dir():
        (outside / ".bashrc").write_text("mine")
        # numbered like a part of a table that a killed writer has left
        (outside / "000000005.parquet").write_text("mine")
    files = lambda: {file: file.read_bytes() for file in [outside, *outside.rglob("*")] if file.is_file()}
    before = files()
    with pytest.raises(mv.ImageError, match="it is not read"):
        mv.load_images(path)
    with pytest.raises(mv.FileError, match="is a link"):
        CELLS[:5].to_zarr(path, append=True)
    assert files() == before
