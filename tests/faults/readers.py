"Every reader, with good files of its kind, and ways in which files are bad."

import json
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pandas as pd
import tifffile

import microvae as mv
from microvae.app.card import train_model
from microvae.app.outputs import embedding, read_embedding, write_embedding
from microvae.core.files import read_json, read_pictures, write_pictures
from microvae.training.checkpoint import load_tensors
from microvae.training.config import ModelConfig, Training
from microvae.training.model import load_model, read_card, readme_of, summary

#: A folder with files of Zeiss, Leica and Nikon, as for tests/test_formats.py, and what reads them.
SAMPLES = Path(os.environ.get("MICROVAE_VENDOR_SAMPLES", "samples"))
VENDOR_FILES = {"multiple_images.czi": "czifile", "two_channel_xz.lif": "liffile", "cluster.nd2": "nd2"}


@dataclass(frozen=True)
class Reader:
    "A file, which may lie in a folder that is read as a whole, and what reads it."

    file: Path
    read: Callable[[], object]
    kind: str  # bytes, json, xml, elements or numbers: how it is changed


def images_of(path: Path) -> mv.CellImages:
    "Images as a user loads them; what comes must be images."
    cells = mv.load_images(path)
    images = cells.images[:]
    assert np.isfinite(images).all()
    assert 0 <= images.min()
    assert images.max() <= 1
    assert len(cells.table) == len(images)
    return cells


def card_of(folder: Path) -> str:
    "A card, as a page shows it."
    card = read_card(folder)
    return summary(card) + readme_of(card)


def config_of(path: Path) -> mv.RunConfig:
    "A config; its identity is its hash, also after another trip."
    config = mv.RunConfig.from_dict(read_json(path))
    assert mv.RunConfig.from_dict(json.loads(json.dumps(config.as_dict()))).identity() == config.identity()
    return config


def ome_zarr(folder: Path, path: str = "0") -> Path:
    "An OME-Zarr 0.4 of two channels, written by hand as the specification says; `path` is what it calls its array."
    (folder / "0").mkdir(parents=True, exist_ok=True)
    planes = np.random.default_rng(0).integers(0, 999, (2, 16, 16), dtype=np.uint16)
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    attributes = {
        "multiscales": [
            {"version": "0.4", "axes": axes, "datasets": [{"path": path, "coordinateTransformations": scale}]}
        ],
        "omero": {"channels": [{"label": "DNA"}, {"label": "actin"}]},
    }
    array = {
        "zarr_format": 2,
        "shape": [2, 16, 16],
        "chunks": [1, 16, 16],
        "dtype": "<u2",
        "compressor": {"id": "zlib", "level": 1},
        "fill_value": 0,
        "filters": None,
        "order": "C",
    }
    for name, content in {".zgroup": {"zarr_format": 2}, ".zattrs": attributes, "0/.zarray": array}.items():
        (folder / name).write_text(json.dumps(content))
    for k, plane in enumerate(planes):
        (folder / "0" / f"{k}.0.0").write_bytes(zlib.compress(plane.tobytes()))
    return folder


def harmony_index(folder: Path) -> Path:
    "The index of one field of two channels, as Harmony writes it beside its TIFFs."
    folder.mkdir(parents=True, exist_ok=True)
    images = ""
    for channel in (1, 2):
        name = f"r02c03f01p01-ch{channel}sk1fk1fl1.tiff"
        tifffile.imwrite(folder / name, np.full((16, 16), 1000 * channel, np.uint16))
        images += f"<Image><URL>{name}</URL><Row>2</Row><Col>3</Col><FieldID>1</FieldID><PlaneID>1</PlaneID>"
        images += f"<ChannelID>{channel}</ChannelID><ChannelName>DNA {channel}</ChannelName></Image>"
    (folder / "Index.xml").write_text(f"<EvaluationInputData><Images>{images}</Images></EvaluationInputData>")
    return folder / "Index.xml"


def ome_plate(folder: Path) -> Path:
    "An OME-Zarr plate of one well with one field."
    ome_zarr(folder / "B" / "3" / "0")
    for place, content in {
        "": {"plate": {"wells": [{"path": "B/3"}]}},
        "B/3": {"well": {"images": [{"path": "0"}]}},
    }.items():
        (folder / place / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
        (folder / place / ".zattrs").write_text(json.dumps(content))
    return folder


def readers(root: Path) -> dict[str, Reader]:
    "All readers, with their files below a folder."
    root.mkdir(parents=True, exist_ok=True)
    planes = (np.random.default_rng(0).random((2, 24, 24)) * 60000).astype(np.uint16)
    cells = mv.lung_fret(12)
    found: dict[str, Reader] = {}

    def add(name: str, file: Path, read: Callable, kind: str = "bytes"):
        found[name] = Reader(file, read, kind)

    for name, settings in {
        "plain": {},
        "zlib": {"compression": "zlib"},
        "tiled": {"tile": (16, 16)},
        "imagej": {"imagej": True, "metadata": {"axes": "CYX", "Labels": ["DNA", "actin"]}},
        "ome": {"ome": True, "metadata": {"axes": "CYX", "Channel": {"Name": ["DNA", "actin"]}}},
    }.items():
        file = root / f"{name}.tif"
        tifffile.imwrite(file, planes, **settings)
        add(f"tiff {name}", file, lambda file=file: images_of(file))
    add("OME-XML", root / "ome.tif", lambda: images_of(root / "ome.tif"), "xml")
    add("ImageJ's text", root / "imagej.tif", lambda: images_of(root / "imagej.tif"), "numbers")
    for ending in ("png", "jpg", "bmp"):
        imageio.imwrite(root / f"a.{ending}", (planes[0] >> 8).astype(np.uint8))
        add(ending, root / f"a.{ending}", lambda ending=ending: images_of(root / f"a.{ending}"))
    np.save(root / "a.npy", planes[0])
    np.savez(root / "a.npz", planes[0])
    cells.save(root / "cells.npz")
    for name in ("a.npy", "a.npz", "cells.npz"):
        add(name, root / name, lambda name=name: images_of(root / name))
    stored = cells.to_zarr(root / "set.zarr")
    for file in sorted(path for path in stored.rglob("*") if path.is_file()):
        kind = "json" if file.suffix == ".json" or file.name in (".zattrs", ".zarray", ".zgroup") else "bytes"
        add(f"set {file.relative_to(stored)}", file, lambda: images_of(stored), kind)
    scene = ome_zarr(root / "scene.zarr")
    for file in sorted(path for path in scene.rglob("*") if path.is_file()):
        kind = "json" if file.name in (".zattrs", ".zarray", ".zgroup") else "bytes"
        add(f"OME-Zarr {file.relative_to(scene)}", file, lambda: images_of(scene), kind)
    plate = ome_plate(root / "plate.zarr")
    for place in (".zattrs", "B/3/.zattrs"):
        add(f"OME-Zarr plate {place}", plate / place, lambda: images_of(plate), "json")
    index = harmony_index(root / "harmony")
    add("Harmony's index", index, lambda: images_of(index), "elements")
    add("Harmony's TIFF", index.with_name("r02c03f01p01-ch2sk1fk1fl1.tiff"), lambda: images_of(index))
    for name in VENDOR_FILES:
        if (SAMPLES / name).exists() and find_spec(VENDOR_FILES[name]):
            file = root / name
            file.write_bytes((SAMPLES / name).read_bytes())
            add(file.suffix.strip("."), file, lambda file=file: images_of(file))
    table = pd.DataFrame(
        {"file": [f"w{i}.tif" for i in range(6)], "dose": np.linspace(0, 1, 6), "kind": list("ababab")}
    )
    table.to_csv(root / "table.csv", index=False)
    table.to_csv(root / "table.tsv", index=False, sep="\t")
    table.to_parquet(root / "table.parquet")
    for ending in ("csv", "tsv", "parquet"):
        add(
            f"table {ending}",
            root / f"table.{ending}",
            lambda ending=ending: mv.join_table(table[["file"]], root / f"table.{ending}"),
        )
    model = train_model(
        cells, mv.RunConfig(model=ModelConfig("MP2_64", 2), training=Training(1)), folder=root / "runs", progress=False
    )
    home = model.folder
    add("safetensors", home / "model.safetensors", lambda: load_model(home / "model.safetensors"))
    add(
        "state",
        home / "checkpoint" / "state.safetensors",
        lambda: load_tensors(home / "checkpoint" / "state.safetensors"),
    )
    add("history", home / "history.parquet", lambda: load_model(home))
    add("config.json", home / "config.json", lambda: config_of(home / "config.json"), "json")
    add("card.json", home / "card.json", lambda: card_of(home), "json")
    codes = embedding(model, cells)
    for ending in ("csv", "parquet"):
        write_embedding(codes, root / f"codes.{ending}", model)
        add(
            f"codes {ending}",
            root / f"codes.{ending}",
            lambda ending=ending: read_embedding(root / f"codes.{ending}", model, cells),
        )
    write_pictures(root / "pictures.npz", {"a": cells.images})
    add("pictures", root / "pictures.npz", lambda: read_pictures(root / "pictures.npz"))
    return found
