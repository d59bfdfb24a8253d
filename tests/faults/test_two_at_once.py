"Two processes at one place: writers take turns, readers see one version of a set, and nothing that was acknowledged is lost."

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jobs
import numpy as np
import pandas as pd
import pytest
from harness import context, record, run, so_many, unfinished

import microvae as mv
from microvae.core.files import MarkerLock, exclusive_lock, move_into_place, temporary_path
from microvae.data.storage import read_stored, write_stored
from microvae.training.search import open_study

BLOCKS = so_many(40, 4)


def cells_of(value: float, n: int = 7) -> mv.CellImages:
    "Images of one grey, which their rows tell."
    images = np.full((n, 1, 16, 16), value, np.float32)
    return mv.CellImages(images, pd.DataFrame({"value": [value] * n}), ("grey",), "set")


def append(path: Path, start: int, go: Path):
    "Append blocks once the file `go` is there."
    while not go.exists():
        time.sleep(0.001)
    for number in range(start, start + BLOCKS):
        cells_of(number / 1000).to_zarr(path, append=True)


def replace(place: Path, values: range):
    "Replace a set by others, one after the other, as a folder is replaced."
    for value in values:
        part = place.with_name(f"next{value}.zarr")
        images = np.full((40, 1, 16, 16), value / 1000, np.float32)
        write_stored(part, images, pd.DataFrame({"value": [value / 1000] * 40}), cells_of(0)._meta())
        move_into_place(part, place)
        shutil.rmtree(part)


def without_locks(job, *words):
    "Do a job as on a file system that has no locks."

    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    fcntl.flock = flock
    job(*words)


def started_with(locks: bool, job, *words):
    return started(job, *words) if locks else started(without_locks, job, *words)


def count(counter: Path, times: int):
    "Read, wait and write: the number is right only where nobody else does so meanwhile."
    for _ in range(times):
        with exclusive_lock(counter.with_name(".lock"), "counts"):
            found = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(found + 1))


def end_while_locked(lock: Path):
    "End like a process that is killed, without releasing what is held."
    with exclusive_lock(lock, "ends"):
        os.kill(os.getpid(), signal.SIGKILL)


def end_in_the_middle(path: Path):
    "End while a block is appended, with the lock and half of the pixels."
    from microvae.data import storage

    storage.write_table = lambda *words: os.kill(os.getpid(), signal.SIGKILL)
    cells_of(0.9).to_zarr(path, append=True)


def started(job, *words):
    process = context.Process(target=job, args=words)
    process.start()
    return process


def ended(*processes, seconds: float = 120):
    for process in processes:
        process.join(seconds)
        assert process.exitcode is not None, "a process hangs"


def mixed(cells) -> int:
    "How many images are not those of their rows."
    return int((np.abs(cells.images[:].mean((1, 2, 3)) - cells.table.value.to_numpy()) > 1e-3).sum())


@pytest.mark.parametrize("there, locks", [(True, True), (False, True), (True, False)])
def test_two_processes_append(tmp_path, there, locks):
    "To a set that is there, and to one that both would make; a reader that opened it before sees what it was."
    path = tmp_path / "set.zarr"
    go = tmp_path / "go"
    if there:
        cells_of(0.999, 3).to_zarr(path)
        first, _, _ = read_stored(path)
    writers = [started_with(locks, append, path, start, go) for start in (0, 500)]
    go.touch()
    versions = []
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            found = mv.load_images(path)
            assert mixed(found) == 0
            versions.append(len(found))
    ended(*writers)
    assert versions == sorted(versions)
    cells = mv.load_images(path)
    assert len(cells) == 3 * there + 2 * 7 * BLOCKS
    record(f"two_at_once_append_{there:d}_{locks:d}", tried=2 * BLOCKS + len(versions))
    assert mixed(cells) == 0
    assert not unfinished(tmp_path)
    if there:
        assert len(first) == 3
        assert np.abs(first[:] - 0.999).max() < 1e-3


def test_a_reader_never_sees_two_sets(tmp_path):
    "Where the set is replaced, a reader that is loading gets one of them whole, and one that streams is told."
    path = tmp_path / "set.zarr"
    cells_of(0, 40).to_zarr(path)
    streamed, _, _ = read_stored(path)
    writer = started(replace, path, range(1, so_many(60, 12)))
    loaded = 0
    while writer.is_alive():
        cells = mv.load_images(path)
        assert len(cells) == 40
        assert mixed(cells) == 0
        loaded += 1
    ended(writer)
    record("two_at_once_sets", tried=loaded)
    with pytest.raises(mv.ImageError, match="was replaced or taken away while it was read; load it again"):
        streamed[:]


def append_one(path: Path):
    cells_of(0.2).to_zarr(path, append=True)


def lock_and_release(lock: Path):
    with exclusive_lock(lock, "works"):
        pass


@pytest.mark.parametrize("locks", [True, False])
def test_a_writer_that_is_killed_blocks_nobody(tmp_path, locks):
    "Also where the file system has no locks."
    path = cells_of(0.1).to_zarr(tmp_path / "set.zarr")
    ended(started_with(locks, end_in_the_middle, path))
    assert len(mv.load_images(path)) == 7
    ended(started_with(locks, append_one, path))
    cells = mv.load_images(path)
    assert len(cells) == 14
    assert mixed(cells) == 0
    ended(started_with(locks, end_while_locked, tmp_path / ".lock"))
    ended(started_with(locks, lock_and_release, tmp_path / ".lock"))
    assert os.listdir(tmp_path) == ["set.zarr"]


#: A process of a container: is it kept from a lock, and does it keep a file, of a living process that it cannot see?
IN_A_CONTAINER = """
import sys
from pathlib import Path
from filelock import Timeout
from microvae.core.files import MarkerLock, write_json
folder = Path(sys.argv[1])
try:
    MarkerLock(folder / ".lock").acquire(timeout=0.3)
except Timeout:
    print("excluded")
write_json(folder / "a.json", {})
"""


def test_a_container_sees_no_dead_process_where_one_lives(tmp_path):
    "In another PID namespace, of the same host name, numbers of processes mean others."
    container = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*container, "true"], capture_output=True).returncode:
        pytest.skip("no PID namespace can be made here")
    held = MarkerLock(tmp_path / ".lock")
    held.acquire()
    with temporary_path(tmp_path / "a.json") as part:
        part.write_text("{}")
        command = [*container, sys.executable, "-c", IN_A_CONTAINER, tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.stdout.strip() == "excluded", done.stderr[-2000:]
        assert part.exists()
    held.release()
    assert os.listdir(tmp_path) == ["a.json"]


def save_in_turn(place: Path, folders: list[Path], times: int):
    "Replace a saved model by others, one after the other."
    models = [mv.MicroVAE.load(folder) for folder in folders]
    for number in range(times):
        models[number % len(models)].save(place, overwrite=True)


def test_a_reader_never_sees_two_models(tmp_path):
    "Weights, card and map are of one model, while a folder is replaced by another's."
    cells = mv.lung_fret(40)
    folders = []
    for seed in (0, 1):
        model = mv.MicroVAE(latent_dim=3, depth=1, epochs=1, verbose=False, random_state=seed).fit(cells)
        folders.append(model.save(tmp_path / str(seed)))
    place = tmp_path / "model"
    shutil.copytree(folders[0], place)
    writer = started(save_in_turn, place, folders, so_many(60, 6))
    loaded = 0
    while writer.is_alive():
        found = mv.load_model(place)
        assert found.card["run"] == found.config.identity()
        loaded += 1
    ended(writer)
    record("two_at_once_models", tried=loaded)


def take_part(folder: Path, trials: int):
    "Take part in a search."
    space = {"beta": [0.1, 0.3, 1.0, 3.0], "latent_dim": [2, 3]}
    config = mv.RunConfig(training=mv.Training(epochs=1))
    cells = mv.lung_fret(40)
    mv.search(config, cells, space, folder=folder, device="cpu", trials=trials, workers=1, progress=False)


def test_a_search_goes_on_after_half_a_line(tmp_path):
    "Two processes search together; a third was killed while it wrote."
    pytest.importorskip("optuna")
    trials = so_many(8, 3)
    ended(*[started(take_part, tmp_path, trials) for _ in range(2)])
    with open(tmp_path / "search.journal", "ab") as journal:
        journal.write(b'{"op_code": 5, "wor')
    ended(started_with(False, take_part, tmp_path, trials + 1))
    study = open_study(str(tmp_path / "search.journal"), "search")
    states = [trial.state.name for trial in study.get_trials(deepcopy=False) if not trial.user_attrs.get("repeated")]
    assert states.count("COMPLETE") + states.count("PRUNED") >= trials + 1
    assert not unfinished(tmp_path)


@pytest.mark.parametrize("locks", [True, False])
def test_a_lock_excludes_processes(tmp_path, locks):
    "Also where the file system has no locks."
    counter = tmp_path / "counter"
    times = so_many(150, 25)
    counter.write_text("0")
    ended(*[started_with(locks, count, counter, times) for _ in range(4)])
    assert counter.read_text() == str(4 * times)
    record(f"two_at_once_locks_{locks:d}", tried=4 * times)
    assert os.listdir(tmp_path) == ["counter"]


def test_two_crop_jobs_write_one_set(tmp_path):
    "The second waits, finds the set, and says so; the set is that of one job."
    source = jobs.plate(tmp_path / "fields")
    expected = mv.crop_fields(source, 20, workers=1, progress=False)
    out = tmp_path / "cells.zarr"
    cut = partial(mv.crop_fields, source, 20, out=out, workers=1, progress=False)
    other = started(cut)
    while not (tmp_path / ".cells.part.lock").exists() and other.is_alive():
        time.sleep(0.001)
    try:
        cut()
    except mv.FileError as error:
        assert "exists already" in str(error)
    ended(other)
    cells = mv.load_images(out)
    assert cells.table.equals(expected.table)
    assert np.abs(cells.images - expected.images).max() < 1e-4
    assert not unfinished(tmp_path)


def test_a_crop_job_does_not_replace_what_came_meanwhile(tmp_path):
    "Somebody else writes a set to the same place while a crop job runs: it stays, and so do the cells of the job."
    source = jobs.plate(tmp_path / "fields")
    work = tmp_path / "work"
    other = cells_of(0.5).to_zarr(tmp_path / "other.zarr")
    crop = partial(jobs.crop, source=source)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, crop, work)
        while not (work / ".cells.part.zarr").exists():
            time.sleep(0.001)
        other.rename(work / "cells.zarr")
        _, _, error = job.result()
    assert "exists already" in error
    assert len(mv.load_images(work / "cells.zarr")) == 7
    (work / "cells.zarr").rename(other)
    taken = len(read_stored(work / ".cells.part.zarr")[1])
    _, _, error = run(crop, work)
    assert error is None
    assert 7 < taken <= len(mv.load_images(work / "cells.zarr"))
    assert not unfinished(work)
