"Objects of other programs give crops that carry the object's name, so that results find their way back."

import json
from zipfile import ZipFile

import imageio.v3 as imageio
import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image
from test_newcomers import done, refused
from torch.distributions import Normal

import microvae as mv
from microvae.training.config import ModelConfig

SIDE = 64
# left, top, right and bottom of three cells, in corners of pixels
BOXES = {"a": (8, 10, 20, 22), "b": (30, 12, 44, 28), "c": (24, 40, 40, 52)}


@pytest.fixture
def images(tmp_path):
    "Two images of bright rectangles, and what each program writes of the rectangles."
    for file in ("one", "two"):
        plane = np.full((SIDE, SIDE), 100, np.uint8)
        for left, top, right, bottom in BOXES.values():
            plane[top:bottom, left:right] = 200
        (tmp_path / "images").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "images" / f"{file}.tif", plane)
    return tmp_path / "images"


def rings(corner):
    "Closed rings (x, y) of the boxes, where the corner of the first pixel has this coordinate."
    for left, top, right, bottom in BOXES.values():
        yield np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]) + corner


def label_image():
    labels = np.zeros((SIDE, SIDE), np.uint16)
    for number, (left, top, right, bottom) in enumerate(BOXES.values(), 1):
        labels[top:bottom, left:right] = number
    return labels


def write_cellpose(folder):
    for file in ("one", "two"):
        np.save(folder / f"{file}_seg.npy", {"masks": label_image(), "filename": f"{file}.tif"})
    return "*_seg.npy", None


def write_imagej(folder):
    roifile = pytest.importorskip("roifile")
    for file in ("one", "two"):
        with ZipFile(folder / f"{file}_rois.zip", "w") as archive:
            for name, ring in zip(BOXES, rings(0)):
                archive.writestr(f"{name}.roi", roifile.ImagejRoi.frompoints(ring[:-1], name=name).tobytes())
    return "*_rois.zip", list(BOXES)


def write_qupath(folder):
    for file in ("one", "two"):
        features = [
            {
                "type": "Feature",
                "id": f"{file}-{name}",
                "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
                "properties": {"objectType": "detection"},
            }
            for name, ring in zip(BOXES, rings(0))
        ]
        (folder / f"{file}.tif.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return "*.geojson", [f"one-{name}" for name in BOXES]


def write_napari(folder):
    for file in ("one", "two"):
        rows = [
            {"index": k, "shape-type": "polygon", "vertex-index": i, "axis-0": y, "axis-1": x}
            for k, ring in enumerate(rings(-0.5))
            for i, (x, y) in enumerate(ring[:-1])
        ]
        pd.DataFrame(rows).to_csv(folder / f"{file}.csv", index=False)
    return "*.csv", ["0", "1", "2"]


PROGRAMS = [write_cellpose, write_imagej, write_qupath, write_napari]


@pytest.mark.parametrize("write", PROGRAMS)
def test_outlines_of_a_program_give_the_pixels_that_it_drew(images, write):
    labels, names = write(images)
    cells = mv.crop_fields(images, 24, labels=labels, workers=1, progress=False, masked=True)
    assert len(cells) == 6
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in BOXES.values()]
    assert cells.table.area.tolist() == areas * 2
    assert [(image > 0).sum() for image in cells.images] == areas * 2
    assert np.allclose(cells.images[cells.images > 0], 200 / 255, atol=1e-4)
    if names is not None:
        assert cells.table.object.tolist()[:3] == names


def test_a_table_of_cellprofiler_serves_all_images(images, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    pd.DataFrame({"ImageNumber": [1, 2], "FileName_DNA": ["one.tif", "two.tif"]}).to_csv(
        out / "MyExpt_Image.csv", index=False
    )
    rows = [
        {
            "ImageNumber": image,
            "ObjectNumber": number,
            "Location_Center_X": (left + right - 1) / 2,
            "Location_Center_Y": (top + bottom - 1) / 2,
        }
        for image in (1, 2)
        for number, (left, top, right, bottom) in enumerate(BOXES.values(), 1)
    ]
    table = out / "MyExpt_Nuclei.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    cells = mv.crop_fields(images, 24, labels=str(table), workers=1, progress=False)
    assert cells.table[["ImageNumber", "ObjectNumber"]].to_numpy().tolist() == [
        [i, n] for i in (1, 2) for n in (1, 2, 3)
    ]
    assert "give the side of the window with --size" in refused("crop", images, "--labels", table, cwd=tmp_path)
    sentence = refused("crop", images, "--labels", table, "--size", 24, "--mask", "add", cwd=tmp_path)
    assert "has no outlines of its objects" in sentence
    (out / "MyExpt_Image.csv").unlink()
    assert "table of images" in refused("crop", images, "--labels", table, "--size", 24, cwd=tmp_path)


def test_objects_that_overlap_are_all_cut(images):
    ring = next(rings(0))
    features = [
        {"type": "Feature", "id": name, "geometry": {"type": "Polygon", "coordinates": [(ring + shift).tolist()]}}
        for name, shift in (("x", 0), ("y", 4), ("far", 500))
    ]
    for file in ("one", "two"):
        (images / f"{file}.geojson").write_text(json.dumps(features))
    cells = mv.crop_fields(images, 16, labels="*.geojson", workers=1, progress=False, mask="only")
    assert cells.table.object.tolist() == ["x", "y"] * 2
    assert cells.images.sum((1, 2, 3)).tolist() == [144.0] * 4
    assert cells.about["dropped"]["object"] == ["far"] * 2
    assert cells.about["dropped"]["reason"] == ["covers no pixel of the field of view"] * 2


def test_a_pickle_that_names_code_is_refused(images, tmp_path):
    class Code:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    for file in ("one", "two"):
        np.save(images / f"{file}_seg.npy", {"masks": label_image(), "more": Code()})
    sentence = refused("crop", images, "--labels", "*_seg.npy", "--size", 24, cwd=tmp_path)
    assert "names io.open, which is not read" in sentence
    assert not (tmp_path / "ran").exists()


def test_what_cellpose_found_is_no_image(images, tmp_path):
    write_cellpose(images)
    assert "--labels '*_seg.npy'" in refused("data", images, tmp_path / "x.npz", cwd=tmp_path)


def test_masks_of_labels_that_differ_in_each_frame(tmp_path):
    movie = np.full((6, SIDE, SIDE), 50, np.uint8)
    labels = np.zeros((6, SIDE, SIDE), np.uint8)
    for frame in range(6):
        labels[frame, 20:30, 10 + 4 * frame : 20 + 4 * frame] = 7
    movie[labels > 0] = 250
    tifffile.imwrite(tmp_path / "a.tif", movie, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "a_mask.tif", labels, imagej=True, metadata={"axes": "TYX"})
    cells = mv.crop_fields(tmp_path, 16, labels="*_mask.tif", workers=1, progress=False, masked=True)
    assert cells.table.column.tolist() == [14.5 + 4 * frame for frame in range(6)]
    assert cells.table.label.tolist() == [7] * 6


def test_masks_at_the_command_line(images, tmp_path):
    write_imagej(images)
    done("crop", images, "--labels", "*_rois.zip", "--mask", "add", "--neighbours", "blank", "--size", 24, cwd=tmp_path)
    cells = mv.load_images(tmp_path / "images.zarr")
    assert cells.channels == ("channel 1", "mask")
    assert cells.table.object.tolist() == list(BOXES) * 2


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_labels_with_a_palette_are_its_numbers(images, ending):
    colours = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint8)
    colours[:, 3] = colours[:, 1]  # two labels of one colour
    (images.parent / "labels").mkdir()
    for file in ("one", "two"):
        path = images.parent / "labels" / f"{file}.{ending}"
        if ending == "tif":
            table = colours.astype(np.uint16) * 257
            tifffile.imwrite(path, label_image().astype(np.uint8), photometric="palette", colormap=table)
        else:
            picture = Image.fromarray(label_image().astype(np.uint8), "P")
            picture.putpalette(colours.T.tobytes())
            picture.save(path)
    cells = mv.crop_fields(images, 24, labels=str(images.parent / "labels"), workers=1, progress=False)
    assert cells.table.label.tolist() == [1, 2, 3] * 2
    np.testing.assert_array_equal(mv.open_image(path).read(), colours[:, label_image()])


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_labels_in_colours_are_refused_and_in_grey_are_read(images, ending):
    folder = images.parent / "labels"
    folder.mkdir()
    for file in ("one", "two"):
        grey = np.stack([label_image().astype(np.uint8)] * 3, -1)
        imageio.imwrite(folder / f"{file}.{ending}", grey)
    cells = mv.crop_fields(images, 24, labels=str(folder), workers=1, progress=False)
    assert cells.table.label.tolist() == [1, 2, 3] * 2
    for file in ("one", "two"):
        imageio.imwrite(folder / f"{file}.{ending}", grey * np.array([1, 7, 50], np.uint8))
    with pytest.raises(mv.MicroVAEError, match="is a colour picture, and labels are one whole number a pixel"):
        mv.crop_fields(images, 24, labels=str(folder), workers=1, progress=False)


def masked_cells(channels=("DNA", "actin", "mask")):
    "Ellipses of two channels in noise, and their masks, as `crop --mask add` keeps them."
    random = np.random.default_rng(0)
    images = random.random((24, 3, 24, 24), np.float32)
    rows, columns = np.mgrid[-12:12, -12:12]
    for image in images:
        across, along = random.uniform(3, 9, 2)
        image[2] = (rows / across) ** 2 + (columns / along) ** 2 < 1
    return mv.CellImages(images, channels=channels)


@pytest.mark.parametrize("name", ["thesis", "adaptable"])
def test_the_error_outside_a_mask_is_not_counted(name):
    "The recorded loss is that of pixels in the mask, and of the mask; with `adaptable` in the canonical pose."
    cells = masked_cells()
    objective = mv.Objective(mask_channel="mask")
    training = mv.Training(epochs=1, learning_rate=1e-30, precision="float32")
    config = mv.RunConfig(model=ModelConfig(name, 4, "deterministic"), objective=objective, training=training)
    model = mv.fit(None, cells, config, validation=cells, device="cpu", progress=False)
    assert model.config.objective.mask_channel == 2
    images = torch.from_numpy(cells.images)
    network = model.network.eval()
    with torch.no_grad():
        images = network.canonical(images)
        output = network(images)
        target = network.target(images)
    noise = Normal(output.reconstruction, torch.ones(3, 1, 1) if output.scale is None else output.scale[:, None, None])
    error = (output.reconstruction - target) ** 2 if output.scale is None else -noise.log_prob(target)
    inside = (target[:, 2:] >= 0.5).expand(-1, 2, -1, -1)
    expected = error[:, 2].sum() + error[:, :2][inside].sum()
    assert float(model.history.validation_reconstruction[0]) == pytest.approx(float(expected) / len(images), rel=1e-4)


def test_outliers_inside_masks_do_not_depend_on_what_is_outside():
    cells = masked_cells()
    training = mv.Training(epochs=1, precision="float32")
    config = mv.RunConfig(model=ModelConfig("thesis", 2), objective=mv.Objective(mask_channel=2), training=training)
    model = mv.fit(None, cells, config, device="cpu", progress=False)
    found = mv.reconstruct(model, cells)["reconstruction"]
    error = (found - cells.images) ** 2
    expected = error[:, 2].sum((1, 2)) + (error[:, :2] * cells.images[:, 2:]).sum((1, 2, 3))
    np.testing.assert_allclose(mv.anomaly_scores(model, cells), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "channels, named, sentence",
    [
        (("DNA", "actin", "ER"), "mask", "has no channel 'mask' with a mask, only DNA, actin, ER"),
        (("DNA", "actin", "mask"), 3, "has no channel 3 with a mask"),
        (("DNA", "actin", "mask"), "DNA", "channel 'DNA' of cells is no mask"),
    ],
)
def test_a_channel_that_is_no_mask_is_refused(channels, named, sentence):
    config = mv.RunConfig(objective=mv.Objective(mask_channel=named))
    with pytest.raises(mv.MicroVAEError, match=sentence):
        mv.fit("thesis", masked_cells(channels), config, progress=False)


def test_a_mask_alone_and_changed_values_are_refused():
    shapes = mv.CellImages(masked_cells().images[:, 2:], channels=("mask",))
    config = mv.RunConfig(objective=mv.Objective(mask_channel="mask"))
    with pytest.raises(mv.MicroVAEError, match="no other channel"):
        mv.fit("thesis", shapes, config, progress=False)
    with pytest.raises(mv.MicroVAEError, match="would change the mask too"):
        mv.RunConfig(objective=config.objective, augmentation=mv.Augmentation(brightness=0.1))
    mv.RunConfig(objective=config.objective, augmentation=mv.Augmentation(rotation=180, flip=True))


def test_training_inside_masks_at_the_command_line(tmp_path):
    masked_cells().to_zarr(tmp_path / "cells.zarr")
    settings = ("--model", "thesis", "--epochs", 1, "--mask-channel")
    done("train", "cells.zarr", *settings, "mask", cwd=tmp_path)
    assert mv.load_model(tmp_path / "runs").config.objective.mask_channel == 2
    assert "has no channel 'ER'" in refused("train", "cells.zarr", *settings, "ER", cwd=tmp_path)


def test_clusters_find_their_way_back_to_qupath(images, tmp_path):
    "A table of cells of QuPath's objects gives the same objects, with their own ids and outlines."
    write_qupath(images)
    done("crop", images, "--labels", "*.geojson", "--size", 24, cwd=tmp_path)
    cells = mv.load_images(tmp_path / "images.zarr")
    table = cells.table.assign(cluster=["x", "y", "x"] * 2, latent_1=0.5)
    table.to_csv(tmp_path / "codes.csv", index=False)
    where = ("--images", images, "--labels", "*.geojson")
    done("annotate", "codes.csv", "back", "--kind", "geojson", "--by", "cluster", *where, cwd=tmp_path)
    before = json.loads((images / "two.tif.geojson").read_text())["features"]
    after = json.loads((tmp_path / "back" / "two.geojson").read_text())["features"]
    assert [feature["id"] for feature in after] == [feature["id"] for feature in before]
    assert [feature["geometry"] for feature in after] == [feature["geometry"] for feature in before]
    names = [feature["properties"]["classification"]["name"] for feature in after]
    assert names == ["cluster: x", "cluster: y", "cluster: x"]
    assert "exists" in refused("annotate", "codes.csv", "back", *where, cwd=tmp_path)
