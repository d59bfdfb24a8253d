"A file that was only to be read runs nothing, names no file to be opened, and brings no script into a page."

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from copy import deepcopy
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from readers import ome_zarr

import microvae as mv
from microvae.app.card import train_model
from microvae.app.explorer import explorer_page
from microvae.app.outputs import embedding
from microvae.app.report import write_report
from microvae.core.files import read_pictures, read_table
from microvae.training.checkpoint import load_tensors
from microvae.training.config import ModelConfig, RunConfig, Training
from microvae.training.model import load_model, read_card, write_card


class Bomb:
    "An object that, unpickled, writes a file."

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope="module")
def trained():
    cells = mv.memory_b(40, size=20)
    return cells, train_model(cells, RunConfig(model=ModelConfig("MP2_64", 2), training=Training(1)), progress=False)


def refused(call):
    with pytest.raises(mv.MicroVAEError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_no_pickle_is_loaded(tmp_path, trained):
    "Weights as torch.save writes them, arrays of objects, tables that are pickles: all are refused, and none does anything."
    gone = tmp_path / "ran"
    bomb = np.array([Bomb(gone)], dtype=object)
    np.save(tmp_path / "a.npy", bomb, allow_pickle=True)
    np.savez(tmp_path / "a.npz", bomb)
    np.savez(tmp_path / "cells.npz", images=bomb, table=bomb, meta=bomb)
    torch.save({"model": Bomb(gone)}, tmp_path / "model.safetensors")
    for ending in ("csv", "parquet", "png", "tif"):
        (tmp_path / f"p.{ending}").write_bytes(pickle.dumps(Bomb(gone)))
    for call in (
        lambda: mv.load_images(tmp_path / "a.npy"),
        lambda: mv.load_images(tmp_path / "a.npz"),
        lambda: mv.CellImages.load(tmp_path / "cells.npz"),
        lambda: read_pictures(tmp_path / "a.npz"),
        lambda: load_model(tmp_path / "model.safetensors"),
        lambda: load_tensors(tmp_path / "model.safetensors"),
        lambda: read_table(tmp_path / "p.parquet"),
        lambda: mv.load_images(tmp_path / "p.png"),
        lambda: mv.load_images(tmp_path / "p.tif"),
    ):
        refused(call)
    try:
        read_table(tmp_path / "p.csv")
    except mv.MicroVAEError:
        pass
    assert not gone.exists()


def test_no_source_loads_pickles(root):
    "Nor is there a call in the library that could."
    for file in sorted((root / "microvae").rglob("*.py")):
        text = file.read_text()
        for word in (
            "torch.load(",
            "pickle.load",
            "read_pickle",
            "joblib.load",
            "allow_pickle=True",
            "yaml.load(",
            "yaml.unsafe_load",
            "shell=True",
            "os.system",
        ):
            assert word not in text, f"{file.name} has {word}"


def ome(path: Path, xml: str) -> Path:
    "A TIFF with these OME metadata."
    tifffile.imwrite(path, np.zeros((8, 8), np.uint16), description=xml.encode(), metadata=None)
    return path


OME = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="8" SizeY="8" SizeC="1" SizeZ="1" SizeT="1"><Channel ID="Channel:0:0" Name="{name}"/><TiffData IFD="0" PlaneCount="1">{uuid}</TiffData></Pixels></Image></OME>'


def test_xml_without_entities(tmp_path):
    "Neither a file of this machine nor a billion laughs come in by way of metadata."
    (tmp_path / "secret.txt").write_text("secret")
    outside = f'<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY x SYSTEM "file://{tmp_path}/secret.txt">]>' + OME.format(
        name="&x;", uuid=""
    )
    laughs = (
        '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "ha">'
        + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghij", "bcdefghijk"))
        + "]>"
        + OME.format(name="&k;", uuid="")
    )
    for xml in (outside, laughs):
        said = refused(lambda: mv.load_images(ome(tmp_path / "a.tif", xml)))
        assert "document type" in said
        assert "secret" not in said
    assert mv.load_images(ome(tmp_path / "good.tif", OME.format(name="DNA", uuid=""))).channels == ("DNA",)


@pytest.mark.parametrize(
    "name", ["../other.tif", "/etc/passwd", "..\\\\other.tif", "//host/share/a.tif", "sub/other.tif"]
)
def test_metadata_open_no_other_folder(tmp_path, name):
    "An OME-TIFF may go on in a file beside it, and nowhere else."
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "other.tif", np.full((8, 8), 999, np.uint16))
    xml = OME.format(name="DNA", uuid=f'<UUID FileName="{name}">urn:uuid:00000000-0000-0000-0000-000000000000</UUID>')
    assert "not in its folder" in refused(lambda: mv.load_images(ome(tmp_path / "in" / "a.tif", xml)))


def test_metadata_open_no_link_to_another_folder(tmp_path):
    "Nor does a link in the folder lead there: not from an OME-TIFF, nor from the index of a screen."
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(tmp_path / "other.tif", np.full((8, 8), 999, np.uint16))
    (folder / "other.tif").symlink_to(tmp_path / "other.tif")
    uuid = '<UUID FileName="other.tif">urn:uuid:00000000-0000-0000-0000-000000000000</UUID>'
    xml = OME.format(name="DNA", uuid=uuid)
    assert "it is not read" in refused(lambda: mv.load_images(ome(folder / "a.tif", xml)))
    index = "<EvaluationInputData><Images><Image><URL>other.tif</URL></Image></Images></EvaluationInputData>"
    (folder / "Index.xml").write_text(index)
    assert "it is not read" in refused(lambda: mv.open_image(folder / "Index.xml"))


def test_a_link_to_a_whole_folder_is_followed(tmp_path):
    "Files that belong together may be reached by a link each, as long as they lie in one folder."
    folder = tmp_path / "in"
    folder.mkdir()
    uuid = '<UUID FileName="b.tif">urn:uuid:00000000-0000-0000-0000-000000000000</UUID>'
    second = f'</TiffData><TiffData FirstC="1" IFD="0" PlaneCount="1">{uuid}</TiffData>'
    xml = OME.format(name="DNA", uuid="").replace("</TiffData>", second).replace('SizeC="1"', 'SizeC="2"')
    ome(tmp_path / "a.tif", xml)
    tifffile.imwrite(tmp_path / "b.tif", np.full((8, 8), 999, np.uint16))
    for name in ("a.tif", "b.tif"):
        (folder / name).symlink_to(tmp_path / name)
    assert mv.open_image(folder / "a.tif").read().max() == 999


@pytest.mark.parametrize("kind", ["external", "soft", "stored elsewhere", "virtual"])
def test_codes_open_no_other_file(tmp_path, kind):
    "HDF5 may refer to other files, in four ways; a soft link does so by way of an external one."
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("anndata")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.arange(4.0)
    with h5py.File(tmp_path / "codes.h5ad", "w") as file:
        if kind == "stored elsewhere":
            file.create_dataset("a", (4,), "f8", external=[(tmp_path / "other.h5", 0, 32)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((4,), "f8")
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", (4,))
            file.create_virtual_dataset("a", layout)
        else:
            file["z/x"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
            if kind == "soft":
                file["a"] = h5py.SoftLink("/z/x")
    (tmp_path / "other.h5").unlink()
    os.mkfifo(tmp_path / "other.h5")  # whoever opens it waits for ever
    refused(lambda: mv.read_embedding(tmp_path / "codes.h5ad"))


def test_a_folder_is_no_address(tmp_path):
    "Zarr takes a name with two colons for an address; here it is a folder."
    for name in ("simplecache::a.zarr", "memory::b.zarr"):
        path = mv.lung_fret(4).to_zarr(tmp_path / name)
        assert len(mv.load_images(path)) == 4
    assert len(os.listdir(tmp_path)) == 2


def test_no_other_program_is_started(tmp_path):
    "From reading to a report; what PyTorch does when it is imported is not counted."
    script = """
import sys
import torch
started = []
events = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.spawn")
sys.addaudithook(lambda event, words: started.append((event, words[:2])) if event in events else None)
import microvae as mv
mv.lung_fret(60).to_zarr(sys.argv[1] + "/a.zarr")
cells = mv.load_images(sys.argv[1] + "/a.zarr")
vae = mv.MicroVAE(epochs=1, verbose=False, device="cpu", folder=sys.argv[1] + "/runs").fit(cells)
vae.save(sys.argv[1] + "/model"); vae = mv.MicroVAE.load(sys.argv[1] + "/model")
vae.report(sys.argv[1] + "/report.html", cells); vae.explore(sys.argv[1] + "/map.html", cells, decoder="atlas")
print(started)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_paths_in_zarr_stay_inside(tmp_path):
    ome_zarr(tmp_path / "other.zarr")
    assert len(mv.load_images(ome_zarr(tmp_path / "a.zarr"))) == 1
    for path in ("../other.zarr/0", "/etc", "a/../../other.zarr/0", "..", "", str(tmp_path / "other.zarr" / "0")):
        refused(lambda: mv.load_images(ome_zarr(tmp_path / "a.zarr", path)))


def test_names_never_become_paths_or_code(tmp_path, trained):
    "A network by the name of a file or of a call is no network; a model on a hub is called owner/name."
    _, run = trained
    tree = run.config.as_dict()
    for name in ("../../evil", "/etc/passwd", "os.system", "__import__('os').mkdir('x')", "build"):
        refused(
            lambda: mv.RunConfig.from_dict(tree | {"model": tree["model"] | {"name": name}}).model.network((1, 20, 20))
        )
        refused(lambda: mv.push(run, name, tmp_path / "hub"))
    for step in ("os.system", "Preprocessing", "__class__", "../Scale"):
        refused(lambda: mv.Preprocessing.from_list([{"step": step, "maximum": 1.0}]))
    assert not list(tmp_path.iterdir())


def test_archives_write_nothing_outside(tmp_path, monkeypatch):
    "A fetched archive whose members climb out of their folder."
    pytest.importorskip("pooch")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        good = io.BytesIO()
        tifffile.imwrite(good, np.zeros((8, 8), np.uint8))
        archive.writestr("a.tif", good.getvalue())
        archive.writestr("../../climbed.txt", "x")
        archive.writestr(str(tmp_path / "absolute.txt"), "x")
    cache = tmp_path / "cache" / "deep"
    monkeypatch.setenv("MICROVAE_DATA", str(cache))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path))
    Thread(target=server.serve_forever, daemon=True).start()
    folder = mv.fetch_images(f"http://127.0.0.1:{server.server_port}/set.zip")
    server.shutdown()
    server.server_close()
    assert cache in Path(folder).parents
    assert not (tmp_path / "absolute.txt").exists()
    assert all(cache in path.parents for path in tmp_path.rglob("climbed.txt"))


def test_headers_that_promise_too_much(tmp_path):
    "A hundred gigabytes in a file of some kilobytes, or pages without end, are refused at once, and no memory is taken for them."
    side = 2**17
    script = "import sys, resource, microvae as mv\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\ntry: mv.load_images(sys.argv[1])\nexcept mv.MicroVAEError as error: print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)"
    for name, settings in {
        "plain.tif": {},
        "packed.tif": {"compression": "zlib"},
        "big.tif": {"bigtiff": True, "compression": "zlib", "tile": (16, 16)},
    }.items():
        tifffile.imwrite(tmp_path / name, np.zeros((48, 48), np.uint16), **settings)
        with tifffile.TiffFile(tmp_path / name, mode="r+") as tiff:
            for tag in ("ImageWidth", "ImageLength"):
                tiff.pages[0].tags[tag].overwrite(side, dtype="I")
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, 1), np.float32)) | {"shape": (side, 4 * side)}
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"\0" * 100)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.write(tmp_path / "a.npy", "arr_0.npy")
    np.savez(tmp_path / "lies.npz", np.zeros((8, 8)))
    packed = bytearray((tmp_path / "lies.npz").read_bytes())
    directory = packed.index(b"PK\x01\x02")
    packed[directory + 24 : directory + 28] = (2**32 - 16).to_bytes(4, "little")  # the size of the member, unpacked
    (tmp_path / "lies.npz").write_bytes(packed)
    os.mkfifo(tmp_path / "pipe.tif")
    for name, old, new in (
        ("planes.tif", 'SizeZ="1"', f'SizeZ="{10**9}"'),
        ("count.tif", 'PlaneCount="1"', f'PlaneCount="{2**31}"'),
        ("lines.tif", 'SizeY="8"', f'SizeY="{10**10}"'),
    ):
        ome(tmp_path / name, OME.format(name="DNA", uuid="").replace(old, new))
    tifffile.imwrite(tmp_path / "circle.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(tmp_path / "circle.tif") as tiff:
        offsets = [page.offset for page in tiff.pages]
        count = len(tiff.pages[2].tags)
    with open(tmp_path / "circle.tif", "r+b") as file:
        file.seek(offsets[2] + 2 + 12 * count)  # where the last page tells the next
        file.write(offsets[0].to_bytes(4, "little"))
    for name in (
        "plain.tif",
        "packed.tif",
        "big.tif",
        "a.npy",
        "a.npz",
        "lies.npz",
        "pipe.tif",
        "planes.tif",
        "count.tif",
        "lines.tif",
        "circle.tif",
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, tmp_path / name], capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stdout + done.stderr[-2000:]
        assert done.stdout.count("\n") == 1, done.stdout + done.stderr[-2000:]
        taken, said = done.stdout.split(" ", 1)
        assert int(taken) < 300, done.stdout
        assert name in said, done.stdout


def test_a_config_that_promises_too_much(trained, tmp_path):
    "A network of a billion latent dimensions, in a file of some kilobytes, is not built."
    from safetensors.torch import save_file

    _, run = trained
    tree = run.config.as_dict()
    for change in (
        {"model": tree["model"] | {"latent_dim": 10**10}},
        {"data": tree["data"] | {"image_shape": [2, 10**6, 10**6]}},
    ):
        save_file(
            {name: tensor.contiguous() for name, tensor in run.network.state_dict().items()},
            tmp_path / "model.safetensors",
            {"about": json.dumps({"config": tree | change})},
        )
        assert "holds no model" in refused(lambda: load_model(tmp_path / "model.safetensors"))


EVIL = [
    "<script>window.ran = 1</script>",
    '"><img src=x onerror="window.ran=1">',
    "</script><script>window.ran=1</script>",
    "<!--",
    "{{ 7 * 7 }}",
    "javascript:window.ran=1",
    "'-alert(1)-'",
]


def test_pages_show_metadata_as_text(trained, tmp_path, browser):
    "Names, channels, columns and values that are markup stay words, in the explorer, the report, and the card."
    cells, model = trained
    card = deepcopy(model.card)
    card["data"]["name"] = EVIL[0]
    card["model"] |= {"name": EVIL[1], "channels": EVIL[:2]}
    model = replace(model)
    model.card = card
    table = pd.DataFrame({name: [EVIL[(i + k) % len(EVIL)] for i in range(len(cells))] for k, name in enumerate(EVIL)})
    hostile = mv.CellImages(cells.images, table, tuple(EVIL[:2]), EVIL[0])
    codes = embedding(model, hostile)
    (tmp_path / "map.html").write_text(explorer_page(model, hostile, codes, decoder="atlas", title=EVIL[2]))
    write_report(tmp_path / "report.html", model, hostile, codes, colour=EVIL[1])
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    for name in ("map.html", "report.html"):
        page = browser.new_page()
        asked = []
        page.on(
            "request", lambda request: request.url.startswith(("file:", "data:", "blob:")) or asked.append(request.url)
        )
        page.goto((tmp_path / name).as_uri())
        page.wait_for_timeout(1500)
        if name == "map.html":
            for column in range(page.locator("#colour option").count()):
                page.select_option("#colour", index=column)
            page.evaluate("window.microvae.pick(3)")
            page.wait_for_timeout(300)
        assert page.evaluate("window.ran") is None
        assert page.locator("img[src=x]").count() == 0
        assert asked == []
        assert "49" not in page.title()
        assert "<script>" in page.inner_text("body")
        page.close()


def test_the_library_asks_nobody(tmp_path):
    "From reading to a report: no address is looked up, and no connection made."
    script = """
import sys
asked = []
sys.addaudithook(lambda event, words: asked.append((event, words)) if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto") else None)
import microvae as mv
cells = mv.lung_fret(60)
vae = mv.MicroVAE(epochs=1, verbose=False).fit(cells)
vae.save(sys.argv[1] + "/model"); vae = mv.MicroVAE.load(sys.argv[1] + "/model")
vae.report(sys.argv[1] + "/report.html", cells); vae.explore(sys.argv[1] + "/map.html", cells, decoder="atlas")
print(asked)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_files_that_may_not_be_read_by_others_stay_so(tmp_path):
    "A file that is written anew is as open as the system makes new files, not more."
    before = os.umask(0o077)
    try:
        file = mv.lung_fret(4).save(tmp_path / "a.npz")
        assert file.stat().st_mode & 0o077 == 0
    finally:
        os.umask(before)
    shutil.rmtree(tmp_path)
