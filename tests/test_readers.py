"Each file is opened once and its pixels are read once; a new format is one module and nothing else."

import sys
from collections import Counter
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

import microvae as mv
import microvae.data
from microvae.data.readers import readers

OPENED: Counter = Counter()
WATCHED: list[str] = []


def count_opening(event, arguments):
    if event == "open" and WATCHED and str(arguments[0]).startswith(tuple(WATCHED)):
        OPENED[Path(arguments[0]).name] += 1


sys.addaudithook(count_opening)  # it cannot be removed, and does nothing while nothing is watched


@pytest.fixture
def opened(tmp_path):
    OPENED.clear()
    WATCHED[:] = [f"{tmp_path}/"]
    yield OPENED
    WATCHED.clear()


def write(folder, ending, count=20, side=400):
    random = np.random.default_rng(0)
    for i in range(count):
        pixels = random.integers(0, 60_000, (side, side)).astype(np.uint16)
        path = folder / f"{i:02d}.{ending}"
        if ending == "npy":
            np.save(path, pixels)
        elif ending == "npz":
            np.savez(path, pixels)
        elif ending == "tif":
            tifffile.imwrite(path, pixels)
        else:
            imageio.imwrite(path, pixels if ending == "png" else (pixels >> 8).astype(np.uint8))
    return sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize("ending", ["tif", "png", "npy", "npz", "jpg", "bmp"])
def test_twenty_files_are_opened_twenty_times(tmp_path, opened, ending):
    write(tmp_path, ending, side=40)
    opened.clear()
    mv.load_images(tmp_path)
    assert len(opened) == 20
    assert set(opened.values()) == {1}


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts the bytes that a process reads")
@pytest.mark.parametrize("ending", ["tif", "png", "npz", "jpg"])
def test_pixels_are_read_once(tmp_path, ending):
    (tmp_path / "first").mkdir()
    write(tmp_path / "first", ending, 1)
    mv.load_images(tmp_path / "first")  # what is imported on the way is read here
    (tmp_path / "all").mkdir()
    size = write(tmp_path / "all", ending)
    before = bytes_read()
    mv.load_images(tmp_path / "all")
    assert bytes_read() - before < 1.3 * size


def bytes_read():
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])


def test_files_of_channels_and_frames_are_opened_once(tmp_path, opened):
    for well in ("A01", "A02"):
        for channel in range(6):
            stack = np.full((3, 20, 20), 1000 + channel, np.uint16)
            tifffile.imwrite(tmp_path / f"{well}_Ch{channel}.tif", stack, imagej=True, metadata={"axes": "TYX"})
    opened.clear()
    cells = mv.load_images(tmp_path, channels={f"Ch{c}": f"*_Ch{c}.tif" for c in range(6)})
    assert cells.shape == (6, 6, 20, 20)
    assert len(opened) == 12
    assert set(opened.values()) == {1}


def test_a_file_that_was_replaced_is_read_again(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((9, 9), 7, np.uint16))
    assert mv.open_image(tmp_path / "a.tif").read().max() == 7
    tifffile.imwrite(tmp_path / "a.tif", np.full((9, 12), 9, np.uint16))
    assert mv.open_image(tmp_path / "a.tif").read().max() == 9


TOY = """
import numpy as np
from microvae.data.readers import FileReader, ImageFile

class ToyReader(FileReader):
    endings = (".toy",)

    def open(self, path, level):
        return ImageFile(path, np.loadtxt(path, np.uint8, ndmin=2), "YX", ("DNA",), pixel_size=(0.5, 0.5))

READER = ToyReader()
"""


def test_a_format_is_one_module(tmp_path, monkeypatch):
    (tmp_path / "format_toy.py").write_text(TOY)
    (tmp_path / "images").mkdir()
    np.savetxt(tmp_path / "images" / "a.toy", np.full((8, 8), 51), "%d")
    monkeypatch.setattr(microvae.data, "__path__", [*microvae.data.__path__, str(tmp_path)])
    readers.cache_clear()
    try:
        cells = mv.load_images(tmp_path / "images")
        assert np.allclose(cells.images, 0.2)
        assert cells.channels == ("DNA",)
        assert mv.open_image(tmp_path / "images" / "a.toy").pixel_size == (0.5, 0.5)
    finally:
        readers.cache_clear()
        sys.modules.pop("microvae.data.format_toy", None)


SCENES = """
import numpy as np
from dataclasses import replace
from microvae.data.readers import FileReader, ImageFile, Site

class SceneReader(FileReader):
    endings = (".scenes",)

    def open(self, path, level):
        whole = np.loadtxt(path, np.uint8, ndmin=2)
        middle = whole.shape[1] // 2
        halves = {"left": whole[:, :middle], "right": whole[:, middle:]}
        scenes = [
            ImageFile(path, half, "YX", scene=name, site=Site("P7", "B02", name)) for name, half in halves.items()
        ]
        return replace(scenes[0], scenes=tuple(scenes))

READER = SceneReader()
"""


@pytest.fixture
def offered(tmp_path, monkeypatch):
    "A package that offers a reader, as an installed one does."
    package = tmp_path / "installed"
    (package / "lab_reader-1.dist-info").mkdir(parents=True)
    (package / "lab_reader-1.dist-info" / "METADATA").write_text("Name: lab-reader\nVersion: 1\n")
    (package / "lab_reader-1.dist-info" / "entry_points.txt").write_text(
        "[microvae.readers]\nlab = lab_reader:READER\n"
    )
    (package / "lab_reader.py").write_text(SCENES)
    monkeypatch.syspath_prepend(package)
    readers.cache_clear()
    yield
    readers.cache_clear()
    sys.modules.pop("lab_reader", None)


def test_an_installed_package_adds_a_format(tmp_path, offered):
    np.savetxt(tmp_path / "a.scenes", np.repeat([[51, 204]], 4, 1).repeat(4, 0), "%d")
    cells = mv.load_images(tmp_path / "a.scenes")
    assert cells.table.file.tolist() == ["a.scenes", "a.scenes"]
    assert cells.table.scene.tolist() == ["left", "right"]
    assert np.allclose(cells.images.mean((1, 2, 3)), [0.2, 0.8])
    assert cells.table.plate.tolist() == ["P7", "P7"]


def test_each_scene_is_cut_on_its_own(tmp_path, offered):
    pixels = np.zeros((60, 120), int)
    pixels[25:35, 85:95] = 200
    np.savetxt(tmp_path / "a.scenes", pixels, "%d")
    cells = mv.crop_fields(tmp_path / "a.scenes", 20, progress=False, segmentation=mv.Segmentation(method="threshold"))
    assert cells.table.scene.tolist() == ["right"]
    assert [failure["file"] for failure in cells.about["failed"]] == ["a.scenes, left"]


def test_fields_are_opened_once_to_be_cut(tmp_path, opened):
    "Counting frames, finding cells and cutting them share one opening of each field, and of each label image."
    random = np.random.default_rng(0)
    (tmp_path / "masks").mkdir()
    for i in range(6):
        plane = random.integers(0, 500, (160, 160)).astype(np.uint16)
        labels = np.zeros((160, 160), np.uint16)
        for number, (row, column) in enumerate([(40, 40), (40, 110), (110, 40)], 1):
            labels[row - 8 : row + 8, column - 8 : column + 8] = number
        tifffile.imwrite(tmp_path / f"f{i}.tif", plane + 2000 * (labels > 0).astype(np.uint16))
        tifffile.imwrite(tmp_path / "masks" / f"f{i}_mask.tif", labels)
    opened.clear()
    cells = mv.crop_fields(tmp_path, 32, labels="masks", workers=1, progress=False)
    assert len(cells) == 18
    assert opened == {name: 1 for i in range(6) for name in (f"f{i}.tif", f"f{i}_mask.tif")}


def spotted(folder, count):
    "Fields of four cells."
    random = np.random.default_rng(0)
    for i in range(count):
        plane = random.integers(0, 500, (100, 100)).astype(np.uint16)
        for row, column in ((30, 30), (30, 70), (70, 30), (70, 70)):
            plane[row - 8 : row + 8, column - 8 : column + 8] += 2000
        tifffile.imwrite(folder / f"f{i:02d}.tif", plane)


@pytest.mark.parametrize("scale", [None, [mv.Scale(3000)]])
def test_fields_that_are_not_kept_are_opened_to_find_the_scale_and_to_be_cut(tmp_path, opened, scale):
    "More files than are kept open: once for all that has to be known before the first is cut, once to cut."
    spotted(tmp_path, 70)
    opened.clear()
    cells = mv.crop_fields(tmp_path, 32, preprocessing=scale, workers=1, progress=False)
    assert len(cells) == 280
    assert max(opened.values()) == 2


def test_fields_of_a_relative_path_are_opened_once(tmp_path, opened, monkeypatch):
    (tmp_path / "plate").mkdir()
    spotted(tmp_path / "plate", 6)
    monkeypatch.chdir(tmp_path)
    WATCHED[:] = ["plate", f"{tmp_path}/"]
    opened.clear()
    assert len(mv.crop_fields("plate/*.tif", 32, workers=1, progress=False)) == 24
    assert {name: count for name, count in opened.items() if name.endswith(".tif")} == {
        f"f{i:02d}.tif": 1 for i in range(6)
    }
