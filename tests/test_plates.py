"From a plate to a stored set: the same bytes everywhere, nothing lost with a worker, every bad file named."

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from command import microvae
from scipy.ndimage import gaussian_filter

import microvae as mv
from microvae.core.workers import map_jobs
from microvae.data import plates
from microvae.data.collection import CellImages
from microvae.data.fields import list_fields


def field(seed, cells=9):
    y, x = np.mgrid[:120, :160]
    places = np.random.default_rng(seed).permutation([(r, c) for r in (25, 60, 95) for c in (25, 60, 95, 130)])[:cells]
    plane = sum(((y - r) ** 2 + (x - c) ** 2 < 81) * 1.0 for r, c in places)
    noise = np.random.default_rng(seed).normal(0, 40, x.shape)
    return (4000 * gaussian_filter(plane, 1) + 200 + noise).clip(0, 65535).astype(np.uint16)


@pytest.fixture
def plate(tmp_path):
    folder = tmp_path / "plate"
    folder.mkdir()
    for i in range(8):
        for letter, seed in (("D", i), ("F", 100 + i)):
            tifffile.imwrite(folder / f"w{i}_{letter}.TIF", field(seed))
    return folder


CHANNELS = {"DNA": "*_D.TIF", "actin": "*_F.TIF"}


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def crop(plate, out, **how):
    return plates.crop_fields(plate, 24, CHANNELS, out=out, progress=False, **how)


def test_a_dask_cluster_gives_the_same_bytes_and_survives_the_loss_of_a_worker(plate, tmp_path):
    distributed = pytest.importorskip("distributed")
    alone = crop(plate, tmp_path / "alone.zarr", workers=1)
    assert len(alone) == 8 * 9
    assert not alone.about["failed"]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        crop(plate, tmp_path / "cluster.zarr", scheduler=cluster.scheduler_address)
        os.kill(next(iter(cluster.workers.values())).pid, 9)
        crop(plate, tmp_path / "bereft.zarr", scheduler=cluster.scheduler_address)
    assert content(tmp_path / "alone.zarr") == content(tmp_path / "cluster.zarr") == content(tmp_path / "bereft.zarr")
    with pytest.raises(mv.MicroVAEError, match="no Dask scheduler at"):
        crop(plate, tmp_path / "x.zarr", scheduler="127.0.0.1:1")


@dataclass(frozen=True)
class DiesOnce:
    "A job whose worker is killed at one field, as often as the marker says."

    marker: Path
    times: int

    def __call__(self, one):
        died = len(self.marker.read_text()) if self.marker.exists() else 0
        if one.name.startswith("w3") and died < self.times:
            self.marker.write_text("x" * (died + 1))
            os._exit(9)
        return one.name


@pytest.mark.parametrize("times, lost", [(1, 0), (99, 1)])
def test_a_worker_that_dies_costs_time_only(plate, tmp_path, times, lost):
    fields = list_fields(plate, CHANNELS)
    results = [result for _, result in map_jobs(DiesOnce(tmp_path / "died", times), fields, 2, lost=plates._lost_field)]
    assert [r for r in results if "ended its worker" not in r] == [
        f.name for i, f in enumerate(fields) if not (lost and i == 3)
    ]
    assert sum("ended its worker" in r and "w3_D.TIF" in r for r in results) == lost


def test_the_command_names_what_it_could_not_use(plate, tmp_path):
    for letter in "DF":
        (plate / f"text_{letter}.TIF").write_text("no image")
        (plate / f"zero_{letter}.TIF").touch()
        tifffile.imwrite(plate / f"even_{letter}.TIF", np.full((120, 160), 900, np.uint16))
        tifffile.imwrite(plate / f"nan_{letter}.TIF", np.full((120, 160), np.nan, np.float32))
        tifffile.imwrite(plate / f"size_{letter}.TIF", field(1)[: 90 if letter == "D" else 120])
        (plate / f"cut_{letter}.TIF").write_bytes((plate / "w1_D.TIF").read_bytes()[:20000])
    bad = ["text", "zero", "even", "nan", "size", "cut"]
    doses = pd.DataFrame({"file": [f"w{i}_D" for i in range(8)] + [f"{name}_D" for name in bad], "dose": range(14)})
    doses.to_csv(tmp_path / "doses.csv", index=False)
    done = microvae(
        "crop",
        plate,
        "--size",
        24,
        "--channel",
        "DNA=*_D.TIF",
        "--channel",
        "actin=*_F.TIF",
        "--table",
        "doses.csv",
        "--maximum",
        65535,  # since pixels are of two types
        "--workers",
        2,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert lines[0].startswith("plate.zarr: 72 cells of 8 files")
    assert "windows of 24×24 pixels" in lines[0]
    unused = {line.split("/")[-1].split("_")[0]: line for line in lines if line.startswith("not used")}
    for name, word in {
        "text": "cannot be read",
        "zero": "0 bytes",
        "even": "no cells",
        "nan": "NaN",
        "size": "one size",
        "cut": "truncated",
    }.items():
        assert word in unused[name], unused[name]
    assert sorted(unused) == sorted(bad)
    assert (tmp_path / "plate_cells.png").stat().st_size > 5000
    assert (tmp_path / "plate_quality.png").exists()
    cells = mv.load_images(tmp_path / "plate.zarr")
    assert cells.channels == ("DNA", "actin")
    assert cells.table.groupby("dose").size().tolist() == [9] * 8
    trained = microvae("train", "plate.zarr", "--epochs", 1, "--out", "runs", "--device", "cpu", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert "1 epochs" in trained.stdout, trained.stderr[-2000:]


def test_labels_must_fit_their_images(plate, tmp_path):
    only = tmp_path / "labelled"
    only.mkdir()
    tifffile.imwrite(only / "a.tif", field(0))
    tifffile.imwrite(only / "a_mask.tif", (field(0) > 2000).astype(np.uint8)[:50])
    with pytest.raises(mv.MicroVAEError, match=r"a_mask\.tif have shape \(50, 160\), the field of view \(120, 160\)"):
        mv.crop_fields(only, 24, labels="*_mask.tif", progress=False)
    tifffile.imwrite(only / "b_mask.tif", np.zeros((120, 160), np.uint8))
    with pytest.raises(mv.MicroVAEError, match=r"b_mask\.tif has labels but no image"):
        mv.crop_fields(only, 24, labels="*_mask.tif", progress=False)


def small_files():
    "No file may grow beyond 20 kB, which is what a full disk does to a writer."
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@pytest.mark.posix
@pytest.mark.parametrize(
    "words",
    [
        ("crop", "plate", "--size", 24, "--channel", "DNA=*_D.TIF", "--channel", "actin=*_F.TIF", "--workers", 1),
        ("data", "lung_fret", "cells.npz"),
    ],
)
def test_a_full_disk_leaves_nothing_half_written(plate, tmp_path, words):
    before = sorted(p.name for p in tmp_path.iterdir())
    done = microvae(
        *words,
        cwd=tmp_path,
        preexec_fn=small_files,
        env=os.environ | {"MPLCONFIGDIR": "/nowhere", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 2, done.stdout + done.stderr[-1500:]
    assert "cannot be written" in done.stderr.splitlines()[-1]
    assert "nothing was changed" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()

    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(mv.MicroVAEError, match="closed cannot be read: you have no permission"):
        mv.load_images(tmp_path / "closed")


def test_new_images_get_the_preprocessing_of_the_old(plate):
    preprocessing = [mv.FlatField(), mv.SubtractBackground(30), mv.Percentile(over="set")]
    cells = mv.crop_fields(plate, 24, CHANNELS, preprocessing=preprocessing, progress=False, workers=1)
    run = mv.fit("thesis", cells, mv.RunConfig(training=mv.Training(epochs=1)), progress=False, device="cpu")
    kept = mv.Preprocessing.from_list(run.config.data.preprocessing)
    again = mv.crop_fields(
        [plate / "w5_D.TIF", plate / "w5_F.TIF"], 24, CHANNELS, preprocessing=kept, progress=False, workers=1
    )
    np.testing.assert_array_equal(again.images, cells[(cells.table.file == "w5_D.TIF").to_numpy()].images)


def test_a_set_larger_than_the_memory_trains_from_disk(tmp_path, monkeypatch):
    cells = mv.lung_fret(600)
    monkeypatch.setattr("microvae.data.collection.IN_MEMORY", 100_000)
    stored = mv.load_images(cells.to_zarr(tmp_path / "cells.zarr"))
    assert stored.stored
    assert isinstance(stored, CellImages)
    assert stored.fingerprint() == stored.in_memory().fingerprint()
    run = mv.fit("thesis", stored, mv.RunConfig(training=mv.Training(epochs=3)), progress=False, device="cpu")
    assert run.history.total.iloc[-1] < run.history.total.iloc[0]
    assert run.history.validation_total.notna().all()


def test_a_missing_channel_costs_one_field(plate):
    "Fifteen wells of sixteen are still a plate."
    (plate / "w4_F.TIF").unlink()
    cells = mv.crop_fields(plate, 24, CHANNELS, progress=False, workers=1)
    assert len(cells) == 7 * 9
    assert [f["file"] for f in cells.about["failed"]] == ["w4_D.TIF"]
    assert "no partner for channel actin" in cells.about["failed"][0]["reason"]
    with pytest.raises(mv.MicroVAEError, match="no partner for channel actin"):
        mv.load_images(plate, channels=CHANNELS)
