"""Every file opens right, or one sentence says why not: what a file states decides, and what it leaves open is told or asked.

Expected pixels are those that were drawn, or that Pillow makes of the same file.
"""

import json
import re
import struct
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import tifffile
from command import here
from PIL import Image

import microvae as mv
from microvae.app.card import train_model
from microvae.core.files import read_table
from microvae.training.config import ModelConfig, Training

RNG = np.random.default_rng(0)
OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def stored(path, **options) -> np.ndarray:
    "The pixels of all images of a file, without a scale."
    cells = mv.load_images(path, **options)
    [step] = cells.about["preprocessing"]
    return cells.images[:] * step["maximum"]


def heard(call):
    "What a call returns, and the notices that it gave."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [str(notice.message) for notice in caught if notice.category is UserWarning]


def refused(call) -> str:
    "The sentence that a call ends in."
    with pytest.raises(mv.MicroVAEError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def noise(*shape, top=4000, dtype=np.uint16):
    return RNG.integers(0, top, shape).astype(dtype)


# 1: series, pages, positions and endings


@pytest.mark.parametrize("frames", [1, 2])
def test_every_image_of_an_ome_tiff_is_read(tmp_path, frames):
    images = noise(3, frames, 2, 16, 20)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        for number, image in enumerate(images):
            tiff.write(image, photometric="minisblack", metadata={"axes": "TCYX", "Name": f"well {number}"})
    cells = mv.load_images(tmp_path / "a.ome.tif")
    assert cells.table.scene.tolist() == [f"well {number}" for number in range(3) for _ in range(frames)]
    np.testing.assert_allclose(stored(tmp_path / "a.ome.tif"), images.reshape(-1, 2, 16, 20), atol=0.01)


def test_pages_of_other_sizes_are_images_and_reduced_copies_are_none(tmp_path):
    first = noise(16, 20)
    second = noise(24, 12)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(first, metadata=None)
        tiff.write(second, metadata=None)
        tiff.write(first[::4, ::4], subfiletype=1, metadata=None)
    opened = mv.open_image(tmp_path / "a.tif")
    assert [image.shape for image in opened.scenes] == [(16, 20), (24, 12)]
    np.testing.assert_array_equal(opened.scenes[1].read()[0], second)
    np.testing.assert_array_equal(opened.scenes[0].read()[0], first)


def test_pages_that_ome_metadata_do_not_name_are_told(tmp_path):
    xml = f'<?xml version="1.0"?><OME {OME}><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="20" SizeY="16" SizeC="1" SizeZ="1" SizeT="2"><TiffData IFD="0" PlaneCount="2"/></Pixels></Image></OME>'
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        for number in range(3):
            tiff.write(noise(16, 20), metadata=None, description=xml if number == 0 else None)
    cells, told = heard(lambda: mv.load_images(tmp_path / "a.ome.tif"))
    assert len(cells) == 2
    assert "3 pages, of which its OME metadata do not name 1" in told[0]


@pytest.mark.parametrize(
    "held, right", [(4, (2, 2, 16, 20)), (2, (1, 2, 16, 20)), (3, "describes 6"), (1, "describes 6")]
)
def test_a_description_of_more_planes_than_there_are(tmp_path, held, right):
    planes = noise(held, 16, 20)
    about = "ImageJ=1.53c\nimages=6\nchannels=2\nframes=3\nhyperstack=true\n"
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for number, plane in enumerate(planes):
            tiff.write(plane, metadata=None, description=about if number == 0 else None, software="")
    if isinstance(right, str):
        assert right in refused(lambda: mv.load_images(tmp_path / "a.tif"))
        return
    pixels, told = heard(lambda: stored(tmp_path / "a.tif"))
    np.testing.assert_allclose(pixels, planes.reshape(right), atol=0.01)
    assert f"3 frames and holds {held // 2}" in told[0]


def metamorph(path, planes):
    "A stack of MetaMorph: one page, whose planes follow one another, and tags that say how many they are."
    count = len(planes)
    numbers = {33628: [1, 1] * count, 33629: [value for i in range(count) for value in (i, 1, 0, 0, 0, 0)]}
    extratags = [(tag, 4, len(values), values, True) for tag, values in numbers.items()]
    tifffile.imwrite(path, planes[0], metadata=None, rowsperstrip=planes.shape[1], extratags=extratags)
    content = path.read_bytes()
    for tag, values in numbers.items():  # fractions, of which tifffile writes no such number
        content = content.replace(struct.pack("<HHI", tag, 4, len(values)), struct.pack("<HHI", tag, 5, count))
    path.write_bytes(content + planes[1:].tobytes())


def imagej(path, planes, about):
    "A stack as ImageJ saves a large one: one page, whose planes follow one another, and a text that says what they are."
    description = f"ImageJ=1.53c\nimages={len(planes)}\n{about}\nloop=false\n"
    tifffile.imwrite(path, planes[0], metadata=None, description=description, software="")
    with open(path, "ab") as file:
        file.write(planes[1:].tobytes())


def cut(path, share):
    "Leave a share of a file."
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


WRITERS = {
    "metamorph": metamorph,
    "imagej": lambda path, planes: imagej(path, planes, f"frames={len(planes)}\nhyperstack=true"),
    "fiji": lambda path, planes: tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "TYX"}),
    "pages": lambda path, planes: tifffile.imwrite(path, planes, metadata={"axes": "TYX"}),
    "one page": lambda path, planes: tifffile.imwrite(path, planes, truncate=True, metadata={"axes": "TYX"}),
    "ome": lambda path, planes: tifffile.imwrite(path, planes, ome=True, metadata={"axes": "TYX"}),
    "plain": lambda path, planes: tifffile.imwrite(path, planes, metadata=None),
}


@pytest.mark.parametrize("share", [1, 0.9, 0.5, 0.25])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_stack_that_was_cut_off_is_no_shorter_stack(tmp_path, writer, share):
    planes = noise(8, 64, 64)
    path = tmp_path / "a.tif"
    WRITERS[writer](path, planes)
    cut(path, share)
    if share == 1:
        np.testing.assert_allclose(heard(lambda: stored(path))[0], planes[:, None], atol=0.01)
        return
    sentence = refused(lambda: mv.load_images(path))
    assert str(path) in sentence
    assert "truncated" in sentence or "cut off" in sentence


@pytest.mark.parametrize("about, read", [("slices=6", "6 slices"), ("", None)])
def test_planes_that_a_program_names_whatever_they_are_are_told(tmp_path, about, read):
    "ImageJ calls the planes of any plain stack slices; MetaMorph has planes, which are frames or slices."
    planes = noise(6, 16, 20)
    if read:
        imagej(tmp_path / "a.tif", planes, about)
    else:
        metamorph(tmp_path / "a.tif", planes)
    pixels, told = heard(lambda: stored(tmp_path / "a.tif"))
    np.testing.assert_allclose(pixels, planes.max(0)[None, None] if read else planes[:, None], atol=0.01)
    other = "TYX" if read else "ZYX"
    assert f"is read as {read or '6 frames'} of 16×20; for another reading give --axes {other}" in told[0]
    assert heard(lambda: mv.load_images(tmp_path / "a.tif", axes=other))[1] == []


def test_pictures_that_a_slide_scanner_adds_are_no_images(tmp_path):
    slide = noise(64, 80, 3, top=255, dtype=np.uint8)
    about = "Aperio Image Library v11.2.1\r\n"
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for pixels, words, kind in [
            (slide, "80x64 [0,0 80x64] (240x240) JPEG/RGB Q=70|AppMag = 20", 0),
            (slide[::4, ::4], "80x64 -> 20x16 - |AppMag = 20", 0),
            (slide[::2, ::2], "80x64 -> 40x32", 0),
            (slide[:10, :12], "label 12x10", 1),
            (slide[:10, :30], "macro 30x10", 9),
        ]:
            tile = (16, 16) if len(pixels) in (64, 32) else None
            options = {"subfiletype": kind, "description": about + words, "tile": tile}
            tiff.write(pixels, photometric="rgb", metadata=None, **options)
    np.testing.assert_allclose(stored(tmp_path / "a.tif"), slide.transpose(2, 0, 1)[None], atol=0.01)


def test_an_image_of_another_program_may_be_called_like_a_picture_of_a_slide(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tiff:
        for name in ("cells", "label"):
            tiff.write(noise(20, 24), metadata={"axes": "YX", "Name": name})
    assert [scene.scene for scene in mv.open_image(tmp_path / "a.ome.tif").scenes] == ["cells", "label"]


def test_a_pixel_of_a_smaller_copy_is_larger(tmp_path):
    plane = noise(64, 80)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        about = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
        tiff.write(plane, subifds=1, tile=(16, 16), metadata=about)
        tiff.write(plane[::4, ::4], subfiletype=1, tile=(16, 16))
    assert mv.open_image(tmp_path / "a.ome.tif").pixel_size == (0.25, 0.5)
    small = mv.open_image(tmp_path / "a.ome.tif", level=1)
    assert small.pixel_size == (1, 2)
    np.testing.assert_array_equal(small.read()[0], plane[::4, ::4])


def test_parts_without_pixels_are_told(tmp_path):
    "Programs leave out tiles that hold background; so do some that were stopped."
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(64, 80), tile=(16, 16), metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tags = tiff.pages[0].tags
        for name in ("TileOffsets", "TileByteCounts"):
            tags[name].overwrite([0, *tags[name].value[1:]])
    images, told = heard(lambda: mv.load_images(path).images)
    assert images[0, 0, :16, :16].max() == 0
    assert "has parts without pixels, which are read as 0" in told[0]


@pytest.mark.parametrize(
    "name", ["a.svs", "a.ndpi", "a.scn", "a.qptiff", "a.gif", "a.webp", "a.jp2", "a.heic", "a.mrc", "a.mp4", "a.oib"]
)
def test_other_formats_beside_images_are_named(tmp_path, name):
    tifffile.imwrite(tmp_path / "b.tif", noise(16, 20))
    (tmp_path / name).write_bytes(b"123")
    _, told = heard(lambda: mv.load_images(tmp_path))
    assert f"{name} is a" in told[0]
    assert "export it as OME-TIFF" in told[0]


def slices_in_folders(folder, planes):
    "A z-stack of two channels as MetaXpress writes it."
    for z, pair in enumerate(planes, 1):
        place = folder / "P7" / "TimePoint_1" / f"ZStep_{z}"
        place.mkdir(parents=True)
        for channel, plane in enumerate(pair, 1):
            unique = f"{z:08X}-0000-0000-0000-{channel:012X}"
            tifffile.imwrite(place / f"P7_B03_s2_w{channel}{unique}.TIF", plane)


@pytest.mark.parametrize("z", ["max", "focus", 10])
def test_slices_in_folders_of_their_own_are_one_stack(tmp_path, z):
    planes = noise(12, 2, 16, 20)
    planes[3] *= 3  # the most detail
    slices_in_folders(tmp_path, planes)
    channels = {"DNA": "*_w1.TIF", "actin": "*_w2.TIF"}
    right = {"max": planes.max(0), "focus": planes[3]}.get(z, planes[10])
    cells = mv.load_images(tmp_path, channels=channels, z=z, maximum=12_000, plate_columns=True)
    np.testing.assert_allclose(cells.images[0] * 12_000, right, atol=0.1)
    assert cells.table.loc[0, "Metadata_Well"] == "B03"
    sentence = refused(lambda: mv.crop_fields(tmp_path, 8, channels=channels, z=z, progress=False, workers=1))
    assert "no field gave a cell" in sentence


def test_slices_that_are_not_of_one_stack_are_refused(tmp_path):
    slices_in_folders(tmp_path, noise(3, 2, 16, 20))
    [last] = tmp_path.rglob("ZStep_3/*_w2*.TIF")
    tifffile.imwrite(last, noise(20, 16))
    channels = {"DNA": "*_w1.TIF", "actin": "*_w2.TIF"}
    assert "cannot be a slice of the stack" in refused(lambda: mv.load_images(tmp_path, channels=channels))
    last.unlink()
    assert "another number of slices" in refused(lambda: mv.load_images(tmp_path, channels=channels))


def in_parts(folder, planes, companion="Z0.ome.tif"):
    "A stack of one slice a file, which the first file describes."
    data = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="Z{z}.ome.tif">urn:uuid:{z}</UUID></TiffData>'
        for z in range(len(planes))
    )
    master = f'<?xml version="1.0"?><OME {OME} UUID="urn:uuid:0"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="20" SizeY="16" SizeC="1" SizeZ="{len(planes)}" SizeT="1">{data}</Pixels></Image></OME>'
    for z, plane in enumerate(planes):
        part = f'<?xml version="1.0"?><OME {OME} UUID="urn:uuid:{z}"><BinaryOnly MetadataFile="{companion}" UUID="urn:uuid:0"/></OME>'
        tifffile.imwrite(folder / f"Z{z}.ome.tif", plane, metadata=None, description=part if z else master)


def test_an_image_in_several_files_is_read_once(tmp_path):
    planes = noise(3, 16, 20)
    in_parts(tmp_path, planes)
    np.testing.assert_allclose(stored(tmp_path), planes.max(0)[None, None], atol=0.01)
    assert "begins in" in refused(lambda: mv.load_images(tmp_path / "Z1.ome.tif"))
    assert "begins in" in refused(lambda: mv.crop_fields(tmp_path / "Z1.ome.tif", progress=False))


def test_a_part_without_its_first_file_is_refused(tmp_path):
    in_parts(tmp_path, noise(3, 16, 20))
    (tmp_path / "Z0.ome.tif").unlink()
    assert "Z0.ome.tif describes, which is not beside it" in refused(lambda: mv.load_images(tmp_path))


def test_a_companion_that_is_no_tiff_is_named(tmp_path):
    in_parts(tmp_path, noise(2, 16, 20), "a.companion.ome")
    (tmp_path / "a.companion.ome").touch()
    assert "a.companion.ome describes, which is not read" in refused(lambda: mv.load_images(tmp_path / "Z1.ome.tif"))


@pytest.mark.parametrize(
    "ending", ["tif", "TIF", "Tiff", "btf", "lsm", "STK", "png", "PNG", "JPG", "bmp", "npy", "NPY"]
)
def test_endings_in_any_case(tmp_path, ending):
    pixels = np.full((16, 20), 100, np.uint8)
    path = tmp_path / f"a.{ending}"
    if ending.lower() == "npy":
        with open(path, "wb") as file:
            np.save(file, pixels)
    elif ending.lower() in ("png", "jpg", "bmp"):
        Image.fromarray(pixels).save(path, {"png": "PNG", "jpg": "JPEG", "bmp": "BMP"}[ending.lower()])
    else:
        tifffile.imwrite(path, pixels)
    assert np.abs(stored(tmp_path) - 100).max() < 1.5
    assert len(mv.load_images(str(tmp_path / f"*.{ending.swapcase()}"))) == 1


@pytest.mark.parametrize(
    "pattern, count",
    [
        ("set[1]/*.tif", 2),
        ("set[1]/a?.tif", 2),
        ("set[1]/a[2].tif", 1),
        ("set[1]/a[12].TIF", 2),
        ("*/*.tif", 3),
        ("**/*.tif", 3),
    ],
)
def test_patterns_beside_names_with_brackets(tmp_path, pattern, count):
    for name in ("set[1]/a1.tif", "set[1]/a2.tif", "set1/a1.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / name, noise(16, 20))
    cells = mv.load_images(str(tmp_path / pattern))
    assert len(cells) == cells.table.file.nunique() == count


def test_links_to_files_without_endings_and_to_folders(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "set").mkdir()
    (tmp_path / "other").mkdir()
    tifffile.imwrite(tmp_path / "store" / "0123abcd.tif", noise(16, 20))
    (tmp_path / "store" / "0123abcd.tif").rename(tmp_path / "store" / "0123abcd")
    (tmp_path / "set" / "a.tif").symlink_to(tmp_path / "store" / "0123abcd")
    tifffile.imwrite(tmp_path / "other" / "b.tif", noise(16, 20))
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "other")
    (tmp_path / "set" / "round").symlink_to(tmp_path / "set")
    assert mv.load_images(tmp_path / "set").table.file.tolist() == ["a.tif", "linked/b.tif"]
    reasons = refused(lambda: mv.crop_fields(tmp_path / "set", 8, progress=False, workers=1))
    assert "must end in" not in reasons


# 2: a stated range


@pytest.mark.parametrize(
    "dtype, bits, top, scale",
    [
        (np.uint16, 12, 4000, 4095),
        (np.uint16, 16, 4000, None),
        (np.uint32, 32, 4000, None),
        (np.uint32, 20, 900_000, 2**20 - 1),
        (np.float32, 32, 1, 1),
        (np.uint8, 8, 100, 255),
    ],
)
def test_significant_bits_count_where_they_say_something(tmp_path, dtype, bits, top, scale):
    pixels = (RNG.random((16, 20)) * top).astype(dtype)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "YX", "SignificantBits": bits})
    images = mv.load_images(tmp_path / "a.ome.tif").images
    np.testing.assert_allclose(images[0, 0], pixels / (scale or pixels.max()), rtol=1e-5)


def test_a_stated_range_that_pixels_exceed_is_not_used(tmp_path):
    pixels = noise(16, 20)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "YX", "SignificantBits": 8})
    images, told = heard(lambda: mv.load_images(tmp_path / "a.ome.tif").images)
    assert "no pixel is above 255, and some are" in told[0]
    np.testing.assert_allclose(images[0, 0], pixels / pixels.max(), rtol=1e-5)
    assert "255 is to become 1" in refused(lambda: mv.crop_fields(tmp_path, 8, progress=False, workers=1))


@pytest.mark.parametrize("dtype, top", [(np.float32, 3239.4543), (np.float64, 1e7 / 3), (np.uint32, 1_234_564)])
@pytest.mark.parametrize("given", [None, 100])
def test_the_maximum_that_is_advised_is_enough(tmp_path, dtype, top, given):
    "Advice is in the units of the file, with all digits."
    pixels = (RNG.random((16, 20)) * top / 2).astype(dtype)
    pixels[0, 0] = top
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    if given is None and dtype == np.uint32:
        return  # the largest value of the set becomes 1
    sentence = refused(lambda: mv.load_images(tmp_path / "a.tif", maximum=given))
    advised = float(re.search(r"--maximum ([\d.]+)", sentence)[1])
    images = mv.load_images(tmp_path / "a.tif", maximum=advised).images
    np.testing.assert_allclose(images[0, 0], pixels / top, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("other", [np.uint8, np.float32, bool])
def test_types_that_one_value_does_not_scale_are_refused(tmp_path, other):
    tifffile.imwrite(tmp_path / "a.tif", noise(16, 20))
    tifffile.imwrite(tmp_path / "b.tif", (RNG.random((16, 20)) * 2).astype(other))
    for read in (mv.load_images, lambda folder: mv.crop_fields(folder, 8, progress=False, workers=1)):
        sentence = refused(lambda read=read: read(tmp_path))
        assert "a.tif has pixels of type uint16" in sentence
        assert f"b.tif of {np.dtype(other).name}" in sentence
    assert len(mv.load_images(tmp_path, preprocessing=[mv.Percentile()])) == 2


# 3: axes, samples, colours

COLOURS = np.zeros((16, 20, 3), np.uint8)
COLOURS[:, :10] = (250, 20, 20)
COLOURS[:, 10:] = (230, 240, 250)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("samples", [2, 3, 4, 5, 7])
def test_samples_of_grey_are_channels(tmp_path, planar, samples):
    pixels = noise(16, 20, samples)
    given = pixels if planar == "contig" else pixels.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", given, photometric="minisblack", planarconfig=planar, metadata=None)
    np.testing.assert_allclose(stored(tmp_path / "a.tif")[0], pixels.transpose(2, 0, 1), atol=0.01)
    assert mv.load_images(tmp_path / "a.tif").channels[0] == "channel 1"


@pytest.mark.parametrize(
    "colours, extra, kind, channels",
    [
        ("rgb", "unassalpha", 4, 3),
        ("rgb", "assocalpha", 4, 3),
        ("rgb", "unspecified", 4, 4),
        ("minisblack", "unassalpha", 2, 1),
        ("minisblack", "unspecified", 2, 2),
    ],
)
def test_opacity_is_no_channel_and_other_extra_samples_are(tmp_path, colours, extra, kind, channels):
    pixels = noise(16, 20, kind, top=255, dtype=np.uint8)
    options = {"photometric": colours, "planarconfig": "contig", "extrasamples": [extra], "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    np.testing.assert_allclose(stored(tmp_path / "a.tif")[0], pixels.transpose(2, 0, 1)[:channels], atol=0.01)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.bmp", "a.jpg"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "CMYK", "1"])
def test_modes_of_pictures_become_grey_or_colours(tmp_path, name, mode):
    kind = {"a.tif": "TIFF", "a.png": "PNG", "a.bmp": "BMP", "a.jpg": "JPEG"}[name]
    picture = Image.fromarray(COLOURS).convert(mode)
    try:
        picture.save(tmp_path / name, kind, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {}))
    except OSError:
        pytest.skip(f"no {kind} holds {mode}")
    plain = {"1": "L", "LA": "L"}.get(mode, mode)
    right = np.atleast_3d(np.array(Image.open(tmp_path / name).convert("L" if plain == "L" else "RGB")))
    found = stored(tmp_path / name)[0]
    found = found * (255 if mode == "1" and found.max() <= 1 else 1)
    assert np.abs(found - right.transpose(2, 0, 1)).max() <= 12


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool])
def test_inverted_grey_is_turned_round(tmp_path, dtype):
    pixels = RNG.integers(0, 2 if dtype is bool else np.iinfo(dtype).max, (16, 20)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite", metadata=None)
    found = mv.open_image(tmp_path / "a.tif").read()[0]
    np.testing.assert_array_equal(found, ~pixels)


def test_a_palette_that_shows_numbers_in_imagej_is_not_applied(tmp_path):
    pixels = noise(16, 20, top=255, dtype=np.uint8)
    table = np.zeros((3, 256), np.uint8)
    table[1] = np.arange(256)
    tifffile.imwrite(tmp_path / "ij.tif", pixels, imagej=True, colormap=table.astype(np.uint16) * 257)
    np.testing.assert_array_equal(mv.open_image(tmp_path / "ij.tif").read()[0], pixels)
    tifffile.imwrite(tmp_path / "plain.tif", pixels, photometric="palette", colormap=table.astype(np.uint16) * 257)
    np.testing.assert_array_equal(mv.open_image(tmp_path / "plain.tif").read(), table[:, pixels])


@pytest.mark.parametrize("kind", ["cielab", "cfa", "logluv"])
def test_other_colour_spaces_are_refused_by_name(tmp_path, kind):
    shape = (16, 20) if kind == "cfa" else (16, 20, 3)
    tifffile.imwrite(
        tmp_path / "a.tif",
        noise(*shape, top=255, dtype=np.uint8),
        photometric="rgb" if len(shape) == 3 else "minisblack",
        metadata=None,
    )
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tiff:
        tiff.pages[0].tags["PhotometricInterpretation"].overwrite(tifffile.PHOTOMETRIC[kind.upper()])
    sentence = refused(lambda: mv.load_images(tmp_path / "a.tif"))
    assert kind.upper() in sentence
    assert "damaged" not in sentence


def packed(path, planes, bits):
    "A TIFF whose numbers have so many bits, one behind the other."
    rows = ["".join(f"{value:0{bits}b}" for value in row) for row in planes]
    content = np.array([[int(row[i : i + 8], 2) for i in range(0, len(row), 8)] for row in rows], np.uint8)
    tifffile.imwrite(path, content, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags["BitsPerSample"].overwrite(bits)
        tiff.pages[0].tags["ImageWidth"].overwrite(planes.shape[1])


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
def test_numbers_of_any_bits_end_at_one(tmp_path, bits):
    pytest.importorskip("imagecodecs")
    plane = noise(16, 24, top=2**bits)
    packed(tmp_path / "a.tif", plane, bits)
    np.testing.assert_allclose(mv.load_images(tmp_path / "a.tif").images[0, 0], plane / (2**bits - 1), rtol=1e-5)


@pytest.mark.parametrize("samples, opacity", [(2, True), (3, False)])
def test_inverted_grey_of_several_samples(tmp_path, samples, opacity):
    pixels = noise(16, 20, samples, top=255, dtype=np.uint8)
    extra = {"extrasamples": ["unassalpha"]} if opacity else {}
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="miniswhite", planarconfig="contig", metadata=None, **extra
    )
    right = 255 - pixels.transpose(2, 0, 1)[: 1 if opacity else samples]
    np.testing.assert_array_equal(mv.open_image(tmp_path / "a.tif").read(), right)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_inverted_grey_whose_white_is_unknown_is_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", noise(16, 20).astype(dtype), photometric="miniswhite", metadata=None)
    assert "inverted grey of type" in refused(lambda: mv.load_images(tmp_path / "a.tif"))


def test_opacity_beside_inks_is_left_out(tmp_path):
    pixels = noise(16, 20, 5, top=255, dtype=np.uint8)
    options = {"photometric": "separated", "extrasamples": ["unassalpha"], "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    right = np.array(Image.fromarray(np.ascontiguousarray(pixels[..., :4]), "CMYK").convert("RGB"))
    assert np.abs(stored(tmp_path / "a.tif")[0] - right.transpose(2, 0, 1)).max() < 2


@pytest.mark.parametrize("samples, colours", [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_pngs_of_sixteen_bits_keep_them(tmp_path, samples, colours):
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = noise(16, 20, samples)
    if samples in (2, 4):
        pixels[..., -1] = 65535
        pixels[0, 0, -1] = 0
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels[..., 0] if samples == 1 else pixels))
    found, told = heard(lambda: stored(tmp_path / "a.png"))
    np.testing.assert_allclose(found[0], pixels.transpose(2, 0, 1)[:colours], atol=0.01)
    assert ["transparent" in notice for notice in told] == [True] * (samples in (2, 4))


def test_transparent_colours_of_a_palette_are_told_and_a_grey_palette_is_grey(tmp_path):
    numbers = noise(16, 20, top=4, dtype=np.uint8)
    for name, palette in {"colours": [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9], "grey": [0] * 3 + [80] * 3}.items():
        picture = Image.fromarray(numbers % (len(palette) // 3), "P")
        picture.putpalette(palette)
        picture.save(tmp_path / f"{name}.png", **({"transparency": 3} if name == "colours" else {}))
    _, told = heard(lambda: mv.load_images(tmp_path / "colours.png"))
    assert "transparent" in told[0]
    np.testing.assert_allclose(stored(tmp_path / "grey.png")[0, 0], numbers % 2 * 80, atol=0.01)


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg"])
def test_a_stated_orientation_is_followed_and_told(tmp_path, name, orientation):
    pixels = np.zeros((16, 24), np.uint8)
    pixels[:8, :8] = 250
    pixels[8:, :8] = 120
    if name == "a.tif":
        tag = (274, 3, 1, orientation, True)
        tifffile.imwrite(tmp_path / name, pixels, metadata=None, extratags=[tag])
    else:
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(pixels).save(tmp_path / name, exif=exif, **({"quality": 100} if name == "a.jpg" else {}))
    turns = [0, 2, 3, 4, 5, 6, 7, 8]
    shown = Image.fromarray(pixels)
    if orientation in turns[1:]:
        kinds = [Image.Transpose(k) for k in (0, 3, 1, 5, 4, 6, 2)]
        shown = shown.transpose(kinds[turns.index(orientation) - 1])
    found, told = heard(lambda: stored(tmp_path / name)[0, 0])
    assert found.shape == np.array(shown).shape
    assert np.abs(found - np.array(shown)).max() < 4
    assert [("states that it is shown" in notice) for notice in told] == [True] * (orientation > 1)


@pytest.mark.parametrize(
    "array, said",
    [
        (np.zeros(20), "is not that of an image"),
        (np.zeros((2, 2, 2, 2, 16, 20), np.uint8), "is not that of an image"),
        (np.full((16, 20), "a"), "must be real numbers"),
        (np.ones((16, 20), complex), "must be real numbers"),
        (np.array([np.ones(3), np.ones(4)], object), "its type is object"),
    ],
)
def test_arrays_that_are_no_images_are_refused(tmp_path, array, said):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    sentence = refused(lambda: mv.load_images(tmp_path / "a.npy"))
    assert said in sentence
    assert "damaged" not in sentence


def test_letters_of_axes_may_be_small(tmp_path):
    np.save(tmp_path / "a.npy", noise(4, 16, 20))
    assert len(mv.load_images(tmp_path / "a.npy", axes="tyx")) == 4


@pytest.mark.parametrize("axes", ["TTYX", "YXYX", "TCY", "ABYX"])
def test_axes_that_fit_no_array_are_refused(tmp_path, axes):
    np.save(tmp_path / "a.npy", noise(2, 3, 16, 20))
    assert "--axes" in refused(lambda: mv.load_images(tmp_path / "a.npy", axes=axes))


def test_axes_of_an_ome_zarr_are_known_by_type(tmp_path):
    zarr = pytest.importorskip("zarr")
    pixels = noise(3, 2, 16, 20)
    folder = tmp_path / "a.zarr"
    group = zarr.open_group(str(folder), mode="w")
    for path in ("0", "1"):
        zarr.save_array(str(folder / path), pixels)
    axes = [{"name": "Zeit", "type": "time"}, {"name": "Kanal", "type": "channel"}]
    axes += [{"name": name, "type": "space"} for name in "yx"]
    scales = [{"axes": axes, "datasets": [{"path": path}], "name": f"image {path}"} for path in ("0", "1")]
    group.attrs["multiscales"] = scales
    found, told = heard(lambda: stored(folder))
    np.testing.assert_allclose(found, pixels, atol=0.01)
    assert "the first is read, and not image 1" in told[0]


@pytest.mark.parametrize(
    "shape, axes, read",
    [
        ((3, 16, 20), "CYX", "3 channels"),
        ((9, 16, 20), "TYX", "9 frames"),
        ((16, 20, 3), "YXC", "3 channels"),
        ((6, 2, 16, 20), "TCYX", "6 frames, 2 channels"),
    ],
)
@pytest.mark.parametrize("name", ["a.npy", "a.tif"])
def test_axes_that_a_file_leaves_open_are_told(tmp_path, name, shape, axes, read):
    pixels = noise(*shape)
    if name == "a.npy":
        np.save(tmp_path / name, pixels)
    elif shape == (16, 20, 3):
        return  # a TIFF says where its samples are
    else:
        tifffile.imwrite(tmp_path / name, pixels, photometric="minisblack")
    _, told = heard(lambda: mv.load_images(tmp_path / name))
    assert f"is read as {read} of 16×20" in told[0]
    assert f"{axes.replace('C', 'Z') if 'C' in axes else 'ZYX'}" in told[0]
    assert "slices of a z-stack" in told[0]
    assert heard(lambda: mv.load_images(tmp_path / name, axes=axes))[1] == []


def test_a_stack_is_read_by_the_option_that_the_notice_gives(tmp_path):
    pixels = noise(4, 16, 20)
    np.save(tmp_path / "a.npy", pixels)
    _, told = heard(lambda: mv.load_images(tmp_path / "a.npy"))
    option = re.search(r"--axes (\w+) \(axes='\w+'\) for 4 slices of a z-stack", told[0])[1]
    cells = mv.load_images(tmp_path / "a.npy", axes=option, maximum=4000)
    np.testing.assert_allclose(cells.images[0, 0], pixels.max(0) / 4000, atol=1e-6)


@pytest.mark.parametrize("first", [2, 9])
@pytest.mark.parametrize("count", [2, 5, 6, 30, 200])
@pytest.mark.parametrize("name", ["a.npy", "a.tif"])
def test_slices_are_not_read_as_channels(tmp_path, name, first, count):
    "Of an axis that nobody names up to five planes are channels; more are asked about."
    pixels = noise(first, count, 16, 20)
    if name == "a.npy":
        np.save(tmp_path / name, pixels)
    else:
        tifffile.imwrite(tmp_path / name, pixels, photometric="minisblack")
    if count <= 5:
        assert heard(lambda: mv.load_images(tmp_path / name))[0].image_shape == (count, 16, 20)
        return
    sentence = refused(lambda: mv.load_images(tmp_path / name))
    assert f"{count} slices of a z-stack; give --axes TZYX" in sentence
    assert len(mv.load_images(tmp_path / name, axes="TZYX")) == first
    assert mv.load_images(tmp_path / name, axes="TCYX").image_shape == (count, 16, 20)


@pytest.mark.parametrize("shape, option", [((64, 64, 7), "YXC"), ((64, 48, 12), "YXC"), ((3, 64, 64, 6), "TYXC")])
def test_a_short_last_axis_is_asked_about(tmp_path, shape, option):
    np.save(tmp_path / "a.npy", noise(*shape))
    tifffile.imwrite(tmp_path / "a.tif", noise(*shape), photometric="minisblack")
    for name in ("a.npy", "a.tif"):
        assert f"--axes {option}" in refused(lambda: mv.load_images(tmp_path / name))
    assert mv.load_images(tmp_path / "a.npy", axes=option).image_shape == (shape[-1], *shape[-3:-1])


def test_channels_of_one_name_are_numbered(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.ome.tif", noise(2, 16, 20), metadata={"axes": "CYX", "Channel": {"Name": ["GFP", "GFP"]}}
    )
    assert mv.load_images(tmp_path / "a.ome.tif").channels == ("GFP (1)", "GFP (2)")
    assert "a name of its own" in refused(lambda: mv.load_images(tmp_path / "a.ome.tif", channels=("a", "a")))


def cells_and_labels(folder, labels, name):
    "A field of three cells, and a label image beside it."
    numbers = np.zeros((80, 100), np.uint8)
    for number, column in enumerate((20, 50, 80), 1):
        numbers[32:48, column - 8 : column + 8] = number
    tifffile.imwrite(folder / "a.tif", noise(80, 100, top=500) + 3000 * (numbers > 0).astype(np.uint16))
    Image.fromarray(labels(numbers)).save(folder / f"a_mask.{name}")
    return lambda: mv.crop_fields(folder, 24, labels="*_mask.*", progress=False, workers=1)


@pytest.mark.parametrize("value", [1, 255, True])
def test_a_mask_is_no_label_image(tmp_path, value):
    labels = lambda numbers: numbers > 0 if value is True else (numbers > 0) * np.uint8(value)
    assert f"are one number, {int(value)}, in 3 places" in refused(cells_and_labels(tmp_path, labels, "png"))


def test_a_cell_with_a_chip_is_one_cell(tmp_path):
    def labels(numbers):
        numbers = (numbers == 2).astype(np.uint8)
        numbers[20:22, 50:52] = 1
        return numbers

    assert cells_and_labels(tmp_path, labels, "png")().table.area.tolist() == [260]


def test_labels_in_a_jpeg_are_refused(tmp_path):
    assert "changes numbers" in refused(cells_and_labels(tmp_path, lambda numbers: numbers * 80, "jpg"))


# 4: four sentences

CODECS = ["lzw", "packbits", "deflate", "lzma", "zstd", "jpeg"]


@pytest.mark.parametrize("codec", CODECS)
def test_compressions_are_read(tmp_path, codec):
    pytest.importorskip("imagecodecs")
    pixels = np.tile(np.arange(20, dtype=np.uint8) * 10, (16, 1))
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=codec, metadata=None)
    assert np.abs(stored(tmp_path / "a.tif")[0, 0] - pixels).max() < (6 if codec == "jpeg" else 0.01)


@pytest.mark.parametrize("codec", ["webp", "jpegxl", "png"])
def test_other_compressions_are_named(tmp_path, codec):
    pytest.importorskip("imagecodecs")
    tifffile.imwrite(tmp_path / "a.tif", COLOURS, photometric="rgb", compression=codec, metadata=None)
    sentence = refused(lambda: mv.load_images(tmp_path / "a.tif"))
    assert f"compressed by {codec.upper()}, which is not read" in sentence
    assert "damaged" not in sentence


def test_a_missing_codec_says_what_to_install(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(COLOURS[..., 0]).save(path, compression="tiff_lzw")
    program = f"import sys; sys.modules['imagecodecs'] = None; import microvae as mv; mv.load_images({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    sentence = done.stderr.strip().splitlines()[-1]
    assert "pip install imagecodecs" in sentence
    assert "damaged" not in sentence


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy", "a.jpg", "t.xlsx", "t.parquet"])
@pytest.mark.parametrize(
    "content, kind",
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"PK\3\4", "a ZIP archive"),
        (b"II*\0", "a TIFF"),
    ],
)
def test_another_format_under_a_wrong_name(tmp_path, name, content, kind):
    path = tmp_path / name
    path.write_bytes(content + bytes(300))
    endings = {"a PNG": ".png", "a TIFF": ".tif", "a ZIP archive": ".xlsx"}
    sentence = refused(lambda: read_table(path) if name.startswith("t") else mv.load_images(path))
    assert (kind in sentence) or path.suffix == endings.get(kind)


@pytest.mark.parametrize("cut", [0, 20, 300, -3])
@pytest.mark.parametrize(
    "codec", ["", "Blosc", "Blosc zstd", "Blosc noise", "Zstd", "LZ4", "Zlib", "GZip", "BZ2", "LZMA"]
)
def test_a_chunk_that_was_cut_off_is_no_chunk(tmp_path, codec, cut):
    "Blosc reads on behind the end of its chunk, and makes pixels of what lies in memory there."
    numcodecs = pytest.importorskip("numcodecs")
    name, _, kind = codec.partition(" ")
    packer = getattr(numcodecs, name)(*[kind] * (kind == "zstd")) if codec else None
    planes = noise(2, 64, 64, top=65535 if kind == "noise" else 4000)
    array = {"zarr_format": 2, "shape": [2, 64, 64], "chunks": [1, 64, 64], "dtype": "<u2", "fill_value": 0}
    array |= {"compressor": packer.get_config() if packer else None, "filters": None, "order": "C"}
    scales = [{"axes": list("cyx"), "datasets": [{"path": "0"}]}]
    folder = tmp_path / "a.zarr"
    for place, content in {
        ".zgroup": {"zarr_format": 2},
        ".zattrs": {"multiscales": scales},
        "0/.zarray": array,
    }.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(json.dumps(content))
    packed = [bytes(packer.encode(plane.tobytes())) if packer else plane.tobytes() for plane in planes]
    for number, chunk in enumerate(packed):
        (folder / "0" / f"{number}.0.0").write_bytes(chunk)
    np.testing.assert_allclose(stored(folder)[0], planes, atol=0.1)
    (folder / "0" / "1.0.0").write_bytes(packed[1][:cut])
    assert str(folder) in refused(lambda: mv.load_images(folder))


def test_a_decoder_without_end_in_a_tiff_is_refused(tmp_path):
    pytest.importorskip("imagecodecs")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLOURS[..., 0], compression="jpeg", metadata=None)
    content = bytearray(path.read_bytes())
    head = content.index(b"\xff\xc0")
    content[head + 5 : head + 9] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert "promises more than" in refused(lambda: mv.load_images(path))


# 5: tables of users


def written(path, table: pd.DataFrame):
    "A table as a person saves it."
    if path.suffix == ".xlsx":
        table.to_excel(path, index=False)
    elif path.suffix == ".parquet":
        table.astype(str).to_parquet(path)
    else:
        separator = {"semicolon": ";", "tab": "\t"}.get(path.stem, ",")
        encoding = "utf-16" if path.stem == "tab" else "utf-8-sig"
        table.to_csv(path, index=False, sep=separator, encoding=encoding)
    return path


@pytest.mark.parametrize("name", ["a.csv", "semicolon.csv", "tab.csv", "a.tsv", "a.xlsx", "a.parquet"])
def test_names_and_types_of_a_table_are_kept(tmp_path, name):
    given = pd.DataFrame(
        {
            "file": ["001", "002", "003"],
            "donor": ["007", "008", "010"],
            "drug": ["None", "NA", "x µM"],
            "plate id": ["1E5", "2E3", "9"],
        }
    )
    read = read_table(written(tmp_path / name, given))
    if name == "a.tsv":
        assert read.columns.tolist() == given.columns.tolist()
    pd.testing.assert_frame_equal(read.astype(object), given.astype(object))


@pytest.mark.parametrize("decimal", [".", ","])
def test_numbers_of_a_table_are_numbers(tmp_path, decimal):
    text = "file;dose;n;flag\na;0,5;3;True\nb;1,25;;False\n".replace(",", decimal)
    (tmp_path / "t.csv").write_text(text)
    read = read_table(tmp_path / "t.csv")
    assert read.dose.tolist() == [0.5, 1.25]
    assert read.n.isna().tolist() == [False, True]
    assert read.flag.tolist() == [True, False]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "mac_roman"])
def test_another_encoding_is_named_and_not_guessed(tmp_path, encoding):
    (tmp_path / "t.csv").write_bytes("file,dose µM\na,1\n".encode(encoding))
    sentence = refused(lambda: read_table(tmp_path / "t.csv"))
    assert "UTF-8" in sentence
    assert "damaged" not in sentence


def test_utf_16_without_its_mark_is_named(tmp_path):
    (tmp_path / "t.csv").write_bytes("file,dose\na,1\n".encode("utf-16-le"))
    assert "not encoded in UTF-8" in refused(lambda: read_table(tmp_path / "t.csv"))


@pytest.mark.parametrize("text", ["dose,file\n1,5,a\n2,5,b\n", "file,dose\na,1\nb,2,5\n", "file,dose\n1,a,5\n2,b,6\n"])
def test_cells_without_a_name_do_not_move_the_others(tmp_path, text):
    "A decimal comma in a table with commas, or names of rows without a name of their own."
    (tmp_path / "t.csv").write_text(text)
    sentence = refused(lambda: read_table(tmp_path / "t.csv"))
    assert "3 cells in line" in sentence
    assert "damaged" not in sentence


@pytest.mark.parametrize(
    "text", ["file,dose\na,1,\nb,2,,\n", "sep=;\nfile;dose\na;1\nb;2\n", '"sep=,"\nfile,dose\na,1\nb,2\n']
)
def test_what_programs_add_to_a_table_is_no_data(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    read = read_table(tmp_path / "t.csv")
    assert read.to_dict("list") == {"file": ["a", "b"], "dose": [1, 2]}


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_table_is_called_empty(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    assert "is empty" in refused(lambda: read_table(tmp_path / "t.csv"))


@pytest.mark.parametrize(
    "rows, merged, said",
    [
        ([["file", "drug"], ["a", "x"], ["b", None]], "B2:B3", "merged cells (B2:B3)"),
        ([["file", "drug", None], ["a", "x", 1]], "B1:C1", "merged cells (B1:C1)"),
        ([["file", "dose"], ["a", "=1+1"], ["b", 2]], None, "a formula without a result in B2"),
    ],
)
def test_cells_of_excel_that_show_what_the_file_does_not_have(tmp_path, rows, merged, said):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if merged:
        book.active.merge_cells(merged)
    book.save(tmp_path / "t.xlsx")
    assert said in refused(lambda: read_table(tmp_path / "t.xlsx"))


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx"])
def test_two_columns_of_one_name_are_refused(tmp_path, name):
    table = pd.DataFrame([["a", 1, 2]], columns=["file", "dose", "dose"])
    assert "two columns named 'dose'" in refused(lambda: read_table(written(tmp_path / name, table)))


def test_other_sheets_are_named(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        for sheet in ("plate 1", "plate 2"):
            pd.DataFrame({"file": ["a"]}).to_excel(book, sheet_name=sheet, index=False)
    _, told = heard(lambda: read_table(tmp_path / "t.xlsx"))
    assert "plate 1 is read, and not plate 2" in told[0]


@pytest.mark.parametrize("kind", [str, int])
def test_file_names_are_matched_as_text(tmp_path, kind):
    names = ["001", "002", "003"] if kind is str else [1, 2, 3]
    for name in names:
        tifffile.imwrite(tmp_path / f"{name}.tif", noise(16, 20))
    table = pd.DataFrame({"file": names[::-1], "dose": ["DMSO", 1, 2.5]})
    cells, told = heard(lambda: mv.load_images(tmp_path, table=written(tmp_path / "t.xlsx", table)))
    assert "numbers and words in column 'dose', such as 2.5 and DMSO; all are kept as text" in told[0]
    assert cells.table.dose.tolist() == ["2.5", "1", "DMSO"]
    assert mv.load_images(cells.to_zarr(tmp_path / "cells.zarr")).table.dose.tolist() == ["2.5", "1", "DMSO"]


def test_tables_of_windows_and_nested_folders(tmp_path):
    for plate in ("p1", "p2"):
        (tmp_path / plate).mkdir()
        for well in ("A01", "A02"):
            tifffile.imwrite(tmp_path / plate / f"{well}.tif", noise(16, 20))
    files = [f"{plate}\\{well}.tif" for plate in ("p1", "p2") for well in ("A01", "A02")]
    table = pd.DataFrame({"file": files, "dose": range(4)})
    for source in (tmp_path, str(tmp_path / "*" / "*.tif"), sorted(tmp_path.rglob("*.tif"))):
        assert mv.load_images(source, table=table).table.dose.tolist() == [0, 1, 2, 3]


def test_columns_whose_names_are_taken_are_kept_under_others(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(16, 20))
    table = pd.DataFrame({"file": ["a"], "frame": ["early"], "folder": ["mine"], "dose": [1]})
    cells, told = heard(lambda: mv.load_images(tmp_path, table=table))
    assert "'frame (table)'" in told[0]
    assert cells.table.loc[0, ["frame (table)", "folder", "dose"]].tolist() == ["early", "mine", 1]
    again, told = heard(lambda: mv.load_images(tmp_path, table=cells.table))
    assert again.table.equals(cells.table)
    assert told == []


# 6: the terms of the interface


def test_advice_at_the_command_line_is_in_options(tmp_path):
    tifffile.imwrite(tmp_path / "bright.tif", (noise(16, 20) / 16).astype(np.float32))
    np.save(tmp_path / "narrow.npy", noise(64, 64, 7))
    tifffile.imwrite(tmp_path / "a.tif", noise(16, 20))
    (tmp_path / "t.csv").write_text("name,dose\nb,1\na,2\n")
    (tmp_path / "u.csv").write_text("x,dose\nb,1\n")
    for words, option in [
        (("data", "bright.tif", "x.npz"), "--maximum"),
        (("data", "narrow.npy", "x.npz"), "--axes YXC"),
        (("data", "a.tif", "x.npz", "--axes", "TCYX"), "--axes"),
        (("data", "a.tif", "x.npz", "--table", "t.csv"), "--part"),
        (("data", "a.tif", "x.npz", "--table", "u.csv"), "--on"),
    ]:
        done = here(*words, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert option in done.stderr
        assert not re.search(r"\b[a-z_]+=", done.stderr), done.stderr


def test_the_output_of_a_pattern_has_no_star_and_replaces_nothing(tmp_path):
    (tmp_path / "plate").mkdir()
    y, x = np.mgrid[:60, :60]
    plane = sum(((y - r) ** 2 + (x - c) ** 2 < 40) * 3000 for r in (20, 42) for c in (20, 42))
    tifffile.imwrite(tmp_path / "plate" / "a.tif", (plane + RNG.normal(200, 20, y.shape)).astype(np.uint16))
    (tmp_path / "plate_cells.png").write_text("mine")
    kept = here("crop", "plate/*.tif", "--size", 16, cwd=tmp_path)
    assert "plate_cells.png exists" in kept.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plate", "plate_cells.png"]
    (tmp_path / "plate_cells.png").unlink()
    assert here("crop", "plate/*.tif", "--size", 16, cwd=tmp_path).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "plate",
        "plate.zarr",
        "plate_cells.png",
        "plate_quality.png",
    ]


# 6: stacks that are larger than memory


STACK = """
import resource, sys
import numpy as np
import microvae as mv
from microvae.data.fields import list_fields
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
fields = list_fields(sys.argv[1], axes="TYX")
cells = mv.crop_cells(fields[0], 32, sys.argv[2])
before = peak()
brightest = [int(field.read().max()) for field in fields[::6]]
print(len(fields), len(cells), brightest[0], brightest[-1], sum(brightest), peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs sparse files and the module resource")
@pytest.mark.parametrize("ending", ["npy", "tif"])
def test_a_stack_of_two_gigabytes_is_read_by_frames_in_flat_memory(tmp_path, ending):
    "44 of its 260 frames, 370 MB, are read in the memory of a few; most of the file is a hole."
    path = tmp_path / f"a.{ending}"
    shape = (260, 2048, 2048)
    if ending == "npy":
        stack = np.lib.format.open_memmap(path, "w+", np.uint16, shape)
    else:
        settings = dict(bigtiff=True, metadata={"axes": "TYX"}, photometric="minisblack")
        stack = tifffile.memmap(path, shape=shape, dtype=np.uint16, **settings)
    for frame, value in ((0, 3000), (6, 700), (258, 1000)):
        stack[frame] = noise(2048, 2048, top=value)
        stack[frame, 0, 0] = value
    stack.flush()
    del stack
    assert path.stat().st_size > 2e9
    labels = np.zeros(shape[1:], np.uint8)
    labels[100:120, 100:120] = 1
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    command = [sys.executable, "-W", "ignore", "-c", STACK, path, tmp_path / "labels.tif"]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-2000:]
    *read, grown = map(int, made.stdout.split())
    assert read == [260, 1, 3000, 1000, 4700]
    assert grown < 100


def as_npy(path, frames):
    np.save(path, frames)


def as_tiff(path, frames):
    tifffile.imwrite(path, frames, photometric="minisblack", metadata={"axes": "TCYX" if frames.ndim == 4 else "TYX"})


def as_zarr(path, frames):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="w")
    zarr.save_array(str(path / "0"), frames)
    group.attrs["multiscales"] = [{"axes": [*"tcyx"], "datasets": [{"path": "0"}]}]


LARGE = [("a.npy", as_npy, "TYX"), ("b.npy", as_npy, "TCYX"), ("a.tif", as_tiff, None), ("a.zarr", as_zarr, None)]


@pytest.mark.parametrize("name, write, axes", LARGE)
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint8, np.float32])
def test_a_stack_that_is_not_loaded_has_the_same_images(tmp_path, monkeypatch, name, write, axes, dtype):
    frames = noise(40, 2, 16, 20) if axes != "TYX" else noise(40, 16, 20)
    frames = {np.uint8: frames >> 4, np.float32: frames / 4000, np.int16: frames.astype(int) - 700}.get(dtype, frames)
    write(tmp_path / name, frames.astype(dtype))
    loaded = mv.load_images(tmp_path / name, axes=axes)
    monkeypatch.setattr("microvae.data.images.IN_MEMORY", 10_000)
    cells = mv.load_images(tmp_path / name, axes=axes)
    assert cells.stored
    assert not loaded.stored
    assert cells.about == loaded.about
    assert cells.table.equals(loaded.table)
    np.testing.assert_allclose(cells.images[:], loaded.images, atol=1e-5)
    np.testing.assert_allclose(
        cells[[7, 3]].images[:], loaded.images[[3, 7] if cells[[7, 3]].stored else [7, 3]], atol=1e-5
    )
    passed = np.concatenate(list(cells.images.batches(8, seed=0)))
    np.testing.assert_allclose(np.sort(passed.sum((1, 2, 3))), np.sort(loaded.images.sum((1, 2, 3))), rtol=1e-4)


def test_a_stack_that_is_not_loaded_trains(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", noise(60, 16, 20))
    monkeypatch.setattr("microvae.data.images.IN_MEMORY", 10_000)
    cells = mv.load_images(tmp_path / "a.npy", axes="TYX")
    config = mv.RunConfig(model=ModelConfig("MP2_64", 2), training=Training(1))
    model = train_model(cells, config, folder=tmp_path / "runs", progress=False)
    assert mv.embed(model, cells).shape == (60, 2)


def test_what_a_stack_states_and_lacks_is_seen_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr("microvae.data.images.IN_MEMORY", 10_000)
    frames = noise(20, 16, 20).astype(np.float32) / 4000
    frames[13, 4, 4] = np.nan
    np.save(tmp_path / "a.npy", frames)
    assert "NaN" in refused(lambda: mv.load_images(tmp_path / "a.npy", axes="TYX"))
    about = {"axes": "TYX", "SignificantBits": 8}
    tifffile.imwrite(tmp_path / "a.ome.tif", noise(20, 16, 20), photometric="minisblack", metadata=about)
    cells, told = heard(lambda: mv.load_images(tmp_path / "a.ome.tif"))
    assert len(told) == 1
    assert "no pixel is above 255, and some are" in told[0]
    assert cells.images[:].max() == 1


STREAM = """
import resource, sys
import numpy as np
import microvae as mv, microvae.data.images
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
microvae.data.images.IN_MEMORY = 50_000_000
mv.load_images(sys.argv[1])
np.save(sys.argv[2], np.zeros((2, 64, 64), np.uint16))
mv.load_images(sys.argv[2], axes="TYX")
before = peak()
cells = mv.load_images(sys.argv[3], axes="TYX")
brightest = [float(batch.max()) for batch in cells.images.batches(2, seed=0, mixed=2)]
print(len(cells), round(1000 * sum(brightest)), peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs sparse files and the module resource")
def test_a_stack_is_streamed_in_flat_memory(tmp_path):
    "420 MB of frames, most of which is a hole, in the memory of a few."
    stack = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint16, (50, 2048, 2048))
    for frame, value in ((0, 1000), (25, 500), (49, 250)):
        stack[frame] = noise(2048, 2048, top=value)
        stack[frame, 0, 0] = value
    stack.flush()
    del stack
    tifffile.imwrite(tmp_path / "small.tif", noise(64, 64))
    paths = [tmp_path / name for name in ("small.tif", "small.npy", "a.npy")]
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", STREAM, *paths], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr[-2000:]
    frames, brightness, grown = map(int, made.stdout.split())
    assert frames == 50
    assert 1250 <= brightness <= 1750
    assert grown < 350
