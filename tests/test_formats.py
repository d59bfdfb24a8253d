"Microscopes' own formats, by files that these programs wrote; names and numbers are those that other readers give."

import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest

import microvae as mv
from microvae.data.readers import readers

#: A folder with files of Zeiss, Leica and Nikon
SAMPLES = Path(os.environ.get("MICROVAE_VENDOR_SAMPLES", "samples"))


def sample(name, package):
    library = pytest.importorskip(package)
    if not (SAMPLES / name).exists():
        pytest.skip(f"MICROVAE_VENDOR_SAMPLES is no folder with {name}")
    return library, SAMPLES / name


def test_scenes_of_a_czi():
    czifile, path = sample("multiple_images.czi", "czifile")
    opened = mv.open_image(path)
    assert len(opened.scenes) == 2
    assert opened.names == ("ChA",)
    assert opened.size("Z") == 2
    assert np.allclose(opened.pixel_size, 0.195644376)
    with czifile.CziFile(path) as file:
        for number, scene in enumerate(opened.scenes):
            expected = [entry for entry in file.subblock_directory if entry_scene(entry) == number]
            for z, entry in enumerate(expected):
                assert np.array_equal(scene.read(z=z), pixels_of(file, entry).reshape(1, 251, 251))
    assert len(mv.load_images(path)) == 2


@pytest.mark.parametrize("split", [False, True])
def test_a_czi_packed_with_zstandard(tmp_path, split):
    "The same pixels as of the file whose tiles are packed: in place, as packed tiles are shorter."
    _, path = sample("multiple_images.czi", "czifile")
    imagecodecs = pytest.importorskip("imagecodecs")
    content = bytearray(path.read_bytes())
    segments = [found.start() for found in re.finditer(b"ZISRAWSUBBLOCK\0\0", content)]
    for start in segments:
        metadata, _, length = struct.unpack_from("<iiq", content, start + 32)
        dimensions = struct.unpack_from("<i", content, start + 32 + 16 + 28)[0]
        data = start + 32 + 16 + max(240, 32 + 20 * dimensions) + metadata
        pixels = np.frombuffer(content, np.uint8, length, data)
        split_pixels = pixels.reshape(-1, 2).T if split else pixels
        packed = (b"\3\1\1" if split else b"") + imagecodecs.zstd_encode(split_pixels.tobytes(), level=19)
        assert len(packed) < length
        content[data : data + len(packed)] = packed
        struct.pack_into("<q", content, start + 32 + 8, len(packed))
    # the compression in every entry, of the tiles and of the file's directory
    for found in re.finditer(b"DV", bytes(content)):
        position = struct.unpack_from("<q", content, found.start() + 6)[0] if found.start() + 30 < len(content) else -1
        if position in segments or found.start() - 48 in segments:
            struct.pack_into("<i", content, found.start() + 18, 6 if split else 5)
    (tmp_path / "a.czi").write_bytes(content)
    packed_scenes = mv.open_image(tmp_path / "a.czi").scenes
    for scene, packed_scene in zip(mv.open_image(path).scenes, packed_scenes, strict=True):
        assert np.array_equal(scene.read(), packed_scene.read())


def entry_scene(entry):
    if hasattr(entry, "scene_index"):
        return entry.scene_index
    return next(part.start for part in entry.dimension_entries if part.dimension == "S")


def pixels_of(file, entry):
    segment = entry.read_segment_data(file) if hasattr(entry, "read_segment_data") else entry.data_segment()
    return segment.data()


def test_frames_and_slices_of_an_nd2():
    nd2, path = sample("cluster.nd2", "nd2")
    opened = mv.open_image(path)
    assert opened.axes == "TCZYX"
    assert opened.names == ("5-FAM/pH 9.0", "FM 4-64/2% CHAPS")
    assert opened.maximum == 4095
    assert np.allclose(opened.pixel_size, 0.167808983)
    expected = nd2.imread(path)  # T Z C Y X
    assert np.array_equal(opened.read(2), expected[2].max(0))
    assert np.array_equal(opened.read(1, z=7), expected[1, 7])
    assert mv.load_images(path).table.frame.tolist() == [0, 1, 2]


def test_images_of_a_lif():
    liffile, path = sample("two_channel_xz.lif", "liffile")
    opened = mv.open_image(path)
    assert [scene.scene for scene in opened.scenes] == ["xzt", "xzy", "xz"]
    assert [scene.frames for scene in opened.scenes] == [20, 1, 1]
    assert opened.names == ("Green", "Red")
    assert np.allclose(opened.pixel_size, 0.140278740, rtol=1e-5)
    with liffile.LifFile(path) as file:
        sections, volume, _ = (image.asarray() for image in file.images)
    assert np.array_equal(opened.read(5), sections[5])
    assert np.array_equal(opened.at("xzy").read(), volume.max(2).transpose(1, 0, 2))


@pytest.mark.parametrize(
    "name, package, program",
    [("a.czi", "czifile", "ZEN"), ("a.lif", "liffile", "LAS X"), ("a.nd2", "nd2", "NIS-Elements")],
)
@pytest.mark.parametrize("installed", [True, False])
def test_a_file_that_cannot_be_read_says_which_program_exports_it(
    tmp_path, monkeypatch, name, package, program, installed
):
    if installed:
        pytest.importorskip(package)
    else:
        monkeypatch.setitem(__import__("sys").modules, package, None)
    (tmp_path / name).write_bytes(b"ZISRAWFILE" + bytes(500))
    with pytest.raises(mv.MicroVAEError) as caught:
        mv.open_image(tmp_path / name)
    assert str(caught.value).endswith(f"or export it as OME-TIFF (.ome.tif) with {program}")
    assert ("pip install" in str(caught.value)) != installed


BIOIO = """
import numpy as np
import dask.array
from collections import namedtuple

Sizes = namedtuple("Sizes", "Z Y X")
Dims = namedtuple("Dims", "order")

class Reader:
    scenes = ("one", "two")
    channel_names = ["DNA", "actin"]
    physical_pixel_sizes = Sizes(1.0, 0.5, 0.25)
    dims = Dims("TCZYX")

    def __init__(self, path):
        self.factor = 1

    def set_scene(self, name):
        self.factor = 1 + self.scenes.index(name)

    @property
    def shape(self):
        return (3, 2, 1, 4, 5)

    def get_image_dask_data(self, axes):
        return dask.array.from_array(np.full(self.shape, 10 * self.factor, np.uint8))

class ReaderMetadata:
    @staticmethod
    def get_supported_extensions():
        return ["lab", "tif"]

    @staticmethod
    def get_reader():
        return Reader
"""


def test_an_installed_reader_of_bioio_is_used(tmp_path, monkeypatch):
    pytest.importorskip("dask.array")
    package = tmp_path / "installed"
    (package / "bioio_lab-1.dist-info").mkdir(parents=True)
    (package / "bioio_lab-1.dist-info" / "METADATA").write_text("Name: bioio-lab\nVersion: 1\n")
    (package / "bioio_lab-1.dist-info" / "entry_points.txt").write_text("[bioio.readers]\nlab = bioio_lab\n")
    (package / "bioio_lab.py").write_text(BIOIO)
    monkeypatch.syspath_prepend(package)
    from microvae.data import format_bioio

    own = type(readers()[".tif"])
    monkeypatch.setattr(format_bioio, "READER", format_bioio.BioioReader())
    readers.cache_clear()
    try:
        (tmp_path / "a.lab").write_text("pixels")
        opened = mv.open_image(tmp_path / "a.lab")
        assert opened.pixel_size == (0.5, 0.25)
        cells = mv.load_images(tmp_path / "a.lab")
        assert cells.channels == ("DNA", "actin")
        assert cells.table.scene.tolist() == ["one"] * 3 + ["two"] * 3
        assert np.allclose(cells.images[[0, 3], 0, 0, 0] * 255, [10, 20])
        assert type(readers()[".tif"]) is own
    finally:
        readers.cache_clear()
