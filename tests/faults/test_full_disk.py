"A disk that is full, or that nobody may write to: one sentence, what was there is there, and with room the job ends as it would have."

import subprocess

import jobs
import numpy as np
import pytest
from harness import contents, record, run, small_disk, so_many, unfinished

import microvae as mv

NAMES = ("training", "crop", "to_zarr")


@pytest.fixture(scope="module")
def all_jobs(tmp_path_factory, root):
    return jobs.single(jobs.plate(tmp_path_factory.mktemp("plate") / "fields"), root / "nbs")


def half_written(folder) -> list[str]:
    "Unfinished files, but for those of a crop job, which are kept to go on with."
    return [name for name in unfinished(folder) if ".cells.part" not in name]


@pytest.mark.parametrize("name", NAMES)
def test_full_disk(name, all_jobs, tmp_path):
    job = all_jobs[name]
    run(job, tmp_path / "whole")
    expected = contents(tmp_path / "whole")
    need = int(subprocess.run(["du", "-sk", tmp_path / "whole"], capture_output=True, text=True).stdout.split()[0])
    sizes = np.linspace(8, 2 * need, so_many(40, 4)).astype(int)
    refused = 0
    for number, kilobytes in enumerate(sizes):
        with small_disk(tmp_path / f"disk{number}", kilobytes) as change:
            folder = tmp_path / f"disk{number}" / "work"
            _, _, error = run(job, folder)
            if error is not None:
                refused += 1
                assert error.startswith("FileError: "), error
                assert "cannot be written: No space left on device" in error, error
                assert not half_written(folder)
                change("size=64m")
                _, _, error = run(job, folder)
            assert error is None, error
            assert contents(folder) == expected
            assert not unfinished(folder)
    assert 0 < refused
    record(f"full_disk_{name}", disks=len(sizes), refused=refused, kilobytes=need)


@pytest.mark.parametrize("name", NAMES)
def test_disk_that_nobody_may_write_to(name, all_jobs, tmp_path):
    with small_disk(tmp_path / "disk", 65536) as change:
        folder = tmp_path / "disk" / "work"
        run(jobs.to_zarr, folder)
        before = contents(folder)
        change("ro")
        target = folder / "new" if name != "to_zarr" else folder
        _, _, error = run(all_jobs[name], target) if name != "to_zarr" else run(append_one, target)
        assert error.startswith("FileError: "), error
        assert "cannot be written: Read-only file system" in error, error
        change("rw")
        assert contents(folder) == before


def append_one(folder):
    jobs.CELLS[:1].to_zarr(folder / "set.zarr", append=True)


def test_what_was_there_stays_when_its_successor_does_not_fit(tmp_path):
    "Saving over a file or a folder on a full disk leaves the old one."
    few = mv.lung_fret(5)
    many = mv.lung_fret(2000)
    with small_disk(tmp_path / "disk", 200):
        file = few.save(tmp_path / "disk" / "cells.npz")
        for save in (
            lambda: many.save(file),
            lambda: many.to_zarr(tmp_path / "disk" / "new.zarr"),
            lambda: many.to_zarr(kept, append=True),
        ):
            kept = tmp_path / "disk" / "kept.zarr"
            if not kept.exists():
                few.to_zarr(kept)
            with pytest.raises(mv.FileError, match="No space left"):
                save()
            assert len(mv.CellImages.load(file)) == len(mv.CellImages.load(kept)) == 5
            assert not unfinished(tmp_path / "disk")
