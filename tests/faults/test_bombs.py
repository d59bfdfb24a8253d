"Files that are made to run code, to start a program, to fill the memory or to take for ever end in a sentence; large files that are well packed do not."

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import microvae as mv
from microvae.data.readers import open_image

HERE = Path(__file__).parent


def came_of(what: str) -> dict[str, str]:
    "What came of each file, read in a process of its own with no more than 12 GB of addresses."
    done = subprocess.run(
        ["bash", "-c", f"ulimit -v 12000000; exec {sys.executable} bombs.py {what}"],
        cwd=HERE,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("what", ["images", "tables", "zarr", "objects", "models"])
def test_each_is_refused(what):
    "Within 10 seconds and a gigabyte, with no program started and no code run."
    found = came_of(what)
    wrong = {name: outcome for name, outcome in found.items() if outcome != "refused"}
    assert wrong == {}
    assert len(found) >= 8


def test_sound_files_are_read():
    "Within the same limits: an outline of a tissue with a hundred thousand corners, a well that is listed often."
    found = came_of("sound")
    assert found == {"an outline with many corners": "read", "a well that is listed often": "read"}


def test_the_largest_label_is_a_label():
    "Tables of counts are as long as there are labels, not as long as the largest number."
    labels = np.zeros((64, 64), np.uint32)
    labels[20:40, 20:40] = 2**31 - 1
    cells = mv.crop_cells(np.random.default_rng(0).random((1, 64, 64), np.float32), 16, labels)
    assert cells.table.label.tolist() == [2**31 - 1]


def test_regular_files_only():
    "No reader waits for a pipe or reads a device, whichever of its files it stands for."
    found = came_of("irregular")
    # what Zarr does not need is not looked at
    wrong = {name: outcome for name, outcome in found.items() if outcome != "refused" and ".zgroup" not in name}
    assert wrong == {}
    assert len(found) >= 60


def test_constant_images_are_read(tmp_path):
    "A black image of 16 bits is packed a thousand to one, and is an image all the same."
    Image.fromarray(np.full((2048, 2048), 700, np.uint16)).save(tmp_path / "a.png")
    assert np.ptp(open_image(tmp_path / "a.png").read()) == 0
    tifffile.imwrite(tmp_path / "a.tif", np.full((2048, 2048), 700, np.uint16), compression="zlib")
    assert open_image(tmp_path / "a.tif").read().max() == 700
    np.savez_compressed(tmp_path / "a.npz", np.full((2048, 2048), 700, np.uint16))
    assert open_image(tmp_path / "a.npz").read().max() == 700


def test_long_constant_stacks_are_read_by_pages(tmp_path):
    "Of a stack that is larger than what any file may promise, a frame is read."
    pages = (np.full((1500, 1500), k, np.uint16) for k in range(30))
    tifffile.imwrite(tmp_path / "long.tif", pages, shape=(30, 1500, 1500), dtype="uint16", compression="zlib")
    opened = open_image(tmp_path / "long.tif")
    assert opened.frames == 30
    assert opened.read(7).tolist() == np.full((1, 1500, 1500), 7).tolist()


def test_images_that_do_not_fit_into_memory(tmp_path, monkeypatch):
    "What would be too much as a whole is refused before it is read, in the terms of memory."
    monkeypatch.setattr("microvae.data.images.free_memory", lambda: 10**6)
    np.save(tmp_path / "a.npy", np.zeros((50, 100, 100), np.uint8))
    with pytest.raises(mv.ImageError, match="microvae crop"):
        mv.load_images(tmp_path / "a.npy", axes="TYX")


@pytest.mark.parametrize(
    "settings",
    [
        {"compressor": {"id": "zlib", "level": 1}},
        {"compressor": {"id": "gzip", "level": 1}},
        {"compressor": {"id": "bz2", "level": 1}},
        {"compressor": {"id": "lzma"}},
        {"compressor": {"id": "zstd", "level": 1}},
        {"compressor": {"id": "lz4"}},
        {"compressor": {"id": "blosc", "cname": "zstd"}},
        {"filters": [{"id": "delta", "dtype": "<u2"}], "compressor": {"id": "zlib"}},
        {"filters": [{"id": "shuffle", "elementsize": 2}], "compressor": {"id": "zstd"}},
    ],
)
def test_codecs_of_numbers_are_read(tmp_path, settings):
    "What microscopes' programs write; the chunk is large enough to be looked at as a whole."
    import numcodecs
    from bombs import zarr_2

    pixels = np.random.default_rng(0).integers(0, 2**16, (700, 700)).astype(np.uint16)
    packed = pixels
    for codec in [*settings.get("filters", []), settings["compressor"]]:
        packed = numcodecs.get_codec(codec).encode(packed)
    shape = {"shape": [700, 700], "chunks": [700, 700], "dtype": "<u2"}
    folder = zarr_2(tmp_path / "a.zarr", shape | settings, bytes(packed))
    assert np.array_equal(open_image(folder).read()[0], pixels)


def test_shards_are_read(tmp_path):
    "Zarr 3 with shards, whole and in part."
    zarr = pytest.importorskip("zarr", minversion="3")
    from bombs import grid, zarr_3

    pixels = np.random.default_rng(0).integers(0, 2**16, (3, 64, 64)).astype(np.uint16)
    folder = zarr_3(tmp_path / "a.zarr", {"shape": [3, 64, 64]} | grid(3, 64, 64), axes="tyx")
    made = zarr.create_array(
        folder / "0", shape=pixels.shape, chunks=(1, 16, 16), shards=(2, 32, 32), dtype="uint16", overwrite=True
    )
    made[:] = pixels
    for frame in range(3):
        assert np.array_equal(open_image(folder).read(frame)[0], pixels[frame])
