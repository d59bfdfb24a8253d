"""Files that are made to run something, to fill the memory, or to take for ever, read in a process of its own: python bombs.py.

Prints JSON: what came of each: `refused`, `read`, or what went wrong.
"""

import bz2
import gzip
import importlib
import io
import json
import lzma
import os
import pickle
import shutil
import signal
import socket
import struct
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from fuzzing import Hang, Watch, read
from readers import Reader, ome_plate, ome_zarr, readers

import microvae as mv
from microvae.app.card import train_model
from microvae.app.outputs import read_embedding
from microvae.core.files import read_json, read_pictures, read_table
from microvae.data.objects import read_objects
from microvae.training.checkpoint import load_tensors, paused_at
from microvae.training.config import ModelConfig, Training

GB = 10**9
MULTISCALES = {
    "multiscales": [
        {"version": "0.4", "axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]},
    ]
}
ARRAY_2 = {
    "zarr_format": 2,
    "shape": [16, 16],
    "chunks": [16, 16],
    "dtype": "|u1",
    "compressor": None,
    "fill_value": 0,
    "filters": None,
    "order": "C",
}
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
ARRAY_3 = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [16, 16],
    "data_type": "uint8",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [16, 16]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "fill_value": 0,
    "codecs": [BYTES],
}


OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels '
    'ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="8" SizeY="8" SizeC="1" SizeZ="1" SizeT="1"><Channel '
    'ID="Channel:0:0"/><TiffData IFD="0" PlaneCount="1"/>{}</Pixels></Image></OME>'
)


class Bomb:
    "An object that, unpickled, makes a folder."

    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def with_axes(letters: str) -> dict:
    scales = MULTISCALES["multiscales"][0] | {"axes": [{"name": letter} for letter in letters]}
    return {"multiscales": [scales]}


def zarr_2(folder: Path, change: dict, chunk: bytes | None = None, axes: str = "yx") -> Path:
    "An OME-Zarr 0.4 whose array says other things of itself."
    (folder / "0").mkdir(parents=True)
    array = ARRAY_2 | change
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text(json.dumps(with_axes(axes)))
    (folder / "0" / ".zarray").write_text(json.dumps(array))
    if chunk is not None:
        (folder / "0" / ".".join("0" * len(array["shape"]))).write_bytes(chunk)
    return folder


def zarr_3(folder: Path, change: dict, chunk: bytes | None = None, axes: str = "yx") -> Path:
    "An OME-Zarr 0.5 of the same kind."
    file = folder.joinpath("0", "c", *"0" * len((ARRAY_3 | change)["shape"]))
    file.parent.mkdir(parents=True)
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": with_axes(axes)}}
    (folder / "zarr.json").write_text(json.dumps(group))
    (folder / "0" / "zarr.json").write_text(json.dumps(ARRAY_3 | change))
    if chunk is not None:
        file.write_bytes(chunk)
    return folder


def grid(*shape: int) -> dict:
    return {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shape)}}}


def deflated_zeros(length: int) -> bytes:
    "So many zeros as one stream of zlib, whose checksum at the end is wrong."
    stream = zlib.compressobj(9)
    stream.compress(b"")
    head = stream.flush(zlib.Z_FULL_FLUSH)
    block = stream.compress(bytes(10**7)) + stream.flush(zlib.Z_FULL_FLUSH)
    return head + block * (length // 10**7) + stream.flush()


def png(side: int) -> bytes:
    "A black PNG."

    def part(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = deflated_zeros(side * (side + 1))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", pixels) + part(b"IEND", b"")


def npz(path: Path, arrays: dict[str, tuple[str, tuple]], others: Path | None = None, way=zipfile.ZIP_DEFLATED) -> Path:
    "An archive with arrays of zeros, of a type and a shape, and with what another one holds besides."
    with zipfile.ZipFile(path, "w", way) as archive:
        for name, (dtype, shape) in arrays.items():
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(head, {"descr": dtype, "fortran_order": False, "shape": shape})
            left = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(head.getvalue())
                while left > 0:
                    member.write(bytes(min(left, 10**7)))
                    left -= 10**7
        if others is not None:
            with zipfile.ZipFile(others) as good:
                for name in set(good.namelist()) - {f"{name}.npy" for name in arrays}:
                    archive.writestr(name, good.read(name))
    return path


def excel(path: Path, sheet: str) -> Path:
    "An Excel file with this sheet."
    import openpyxl

    openpyxl.Workbook().save(path)
    content = {name: zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist()}
    content["xl/worksheets/sheet1.xml"] = sheet.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return path


SHEET = '<?xml version="1.0"?>{}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'


def workbook(path: Path, member: str, change: Callable[[str], str]) -> Path:
    "An Excel file of which one member is changed."
    import openpyxl

    openpyxl.Workbook().save(path)
    content = {name: zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist()}
    content[member] = change(content[member].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return path


def ifd(tags: list[tuple], after: int) -> bytes:
    "A page of a TIFF: tags (number, type, count, value), and where the next page begins."
    return (
        struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + struct.pack("<I", after)
    )


def plain_tiff(path: Path, more: list[tuple] = (), content: bytes = b"", pages: int = 1, change: dict | None = None):
    "A TIFF of 16 by 16 pixels, with more tags, with other values of some, with content after its pixels, or with empty pages."
    known = {256: (4, 1, 16), 257: (4, 1, 16), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8)}
    known |= {277: (3, 1, 1), 278: (4, 1, 16), 279: (4, 1, 256)} | (change or {}) | {tag[0]: tag[1:] for tag in more}
    tags = [(number, *known[number]) for number in sorted(known)]
    at = 264 + len(content)
    length = 6 + 12 * len(tags)
    with open(path, "wb") as file:
        file.write(b"II*\0" + struct.pack("<I", at) + bytes(256) + content)
        for page in range(pages):
            file.write(ifd(tags, at + (page + 1) * length if page + 1 < pages else 0))


def sparse(path: Path, length: int, begins: bytes = b"") -> Path:
    "A file that is a hole."
    with open(path, "wb") as file:
        file.write(begins)
        file.truncate(length)
    return path


def jpeg_with_two_heads(side: int) -> bytes:
    "A JPEG whose head says one size, and a segment before it, which looks like a head, another."
    from PIL import Image

    made = io.BytesIO()
    Image.new("L", (16, 16)).save(made, "jpeg")
    content = bytearray(made.getvalue())
    at = content.index(b"\xff\xc0")
    head = bytes(content[at : at + 13])
    content[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(content[:2]) + b"\xff\xe5" + struct.pack(">H", len(head) + 2) + head + bytes(content[2:])


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n0 0 40 40 rectfill\nshowpage\n%%EOF\n"


def of_zarr(root: Path) -> dict[str, Callable]:
    "What Zarr metadata and chunks can be made to do."
    ran = root / "ran"
    gone = pickle.dumps(Bomb(ran))
    shard = {
        "name": "sharding_indexed",
        "configuration": {"chunk_shape": [4, 4], "codecs": [BYTES], "index_codecs": [BYTES, {"name": "crc32c"}]},
    }
    gigabytes = {
        "zlib": deflated_zeros(4 * GB),
        "gzip": gzip.compress(bytes(10**7)) * 400,
        "bz2": bz2.compress(bytes(2 * 10**7)) * 200,
        "lzma": lzma.compress(bytes(2 * 10**7)) * 200,
        "blosc": b"\x02\x01\x21\x01" + struct.pack("<III", 2**31 - 1, 2**20, 32) + bytes(16),
        "lz4": struct.pack("<I", 2**31 - 1) + bytes(20),
        # a frame that says 8 GB of itself, and one that does not tell, of blocks that repeat a byte
        "zstd": b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 8 * GB) + bytes.fromhex("02001000") * 65536,
        "zstd untold": b"\x28\xb5\x2f\xfd\x00\x58" + bytes.fromhex("02001000") * 65536,
    }
    made = {
        "2 filter pickle": lambda f: zarr_2(f, {"filters": [{"id": "pickle", "protocol": 4}]}, gone),
        "2 compressor pickle": lambda f: zarr_2(f, {"compressor": {"id": "pickle"}}, gone),
        "2 second filter": lambda f: zarr_2(f, {"filters": [{"id": "shuffle"}, {"id": "pickle"}]}, gone),
        "2 objects": lambda f: zarr_2(f, {"dtype": "|O", "filters": [{"id": "pickle"}]}, gone),
        "2 objects in JSON": lambda f: zarr_2(f, {"dtype": "|O", "filters": [{"id": "json2"}]}, b"[]"),
        "2 texts": lambda f: zarr_2(f, {"dtype": "|O", "filters": [{"id": "vlen-utf8"}]}, b"x"),
        "2 records": lambda f: zarr_2(f, {"dtype": [["a", "|O"]], "filters": [{"id": "pickle"}]}, gone),
        "2 astype": lambda f: zarr_2(
            f, {"filters": [{"id": "astype", "encode_dtype": "|u1", "decode_dtype": "|O"}]}, bytes(256)
        ),
        "2 very long text": lambda f: zarr_2(f, {"dtype": f"|S{10**9}"}),
        "2 wide": lambda f: zarr_2(f, {"shape": [40_000, 40_000], "chunks": [1000, 1000]}),
        "2 frames": lambda f: zarr_2(f, {"shape": [10**8, 16, 16], "chunks": [1, 16, 16]}, axes="tyx"),
        "2 some frames": lambda f: zarr_2(f, {"shape": [10**5, 16, 16], "chunks": [1, 16, 16]}, axes="tyx"),
        "2 slices": lambda f: zarr_2(f, {"shape": [10**7, 1, 1], "chunks": [1, 1, 1]}, axes="zyx"),
        "2 channels": lambda f: zarr_2(f, {"shape": [10**7, 4, 4], "chunks": [1, 4, 4]}, axes="cyx"),
        "2 small chunks": lambda f: zarr_2(f, {"shape": [4000, 4000], "chunks": [1, 1]}),
        "2 large chunk": lambda f: zarr_2(f, {"chunks": [10**5, 10**5]}),
        "2 large packed chunk": lambda f: zarr_2(
            f, {"chunks": [60_000, 60_000], "compressor": {"id": "zlib"}}, gigabytes["zlib"]
        ),
        "3 codec pickle": lambda f: zarr_3(f, {"codecs": [{"name": "numcodecs.pickle"}]}, gone),
        "3 second codec": lambda f: zarr_3(f, {"codecs": [BYTES, {"name": "numcodecs.pickle"}]}, gone),
        "3 unknown codec": lambda f: zarr_3(f, {"codecs": [BYTES, {"name": "os.system"}]}, gone),
        "3 codec in shards": lambda f: zarr_3(
            f,
            {
                "codecs": [
                    shard | {"configuration": shard["configuration"] | {"codecs": [{"name": "numcodecs.pickle"}]}}
                ]
            },
        ),
        "3 codec of an index": lambda f: zarr_3(
            f,
            {"codecs": [shard | {"configuration": shard["configuration"] | {"index_codecs": [{"name": "gzip"}]}}]},
        ),
        "3 texts": lambda f: zarr_3(f, {"data_type": "string", "codecs": [{"name": "vlen-utf8"}]}),
        "3 wide": lambda f: zarr_3(f, {"shape": [40_000, 40_000]} | grid(1000, 1000)),
        "3 frames": lambda f: zarr_3(f, {"shape": [10**8, 16, 16]} | grid(1, 16, 16), axes="tyx"),
        "3 small parts": lambda f: zarr_3(
            f,
            {
                "shape": [4000, 4000],
                "codecs": [shard | {"configuration": shard["configuration"] | {"chunk_shape": [1, 1]}}],
            }
            | grid(4000, 4000),
        ),
        "3 large chunk": lambda f: zarr_3(f, grid(10**5, 10**5)),
    }
    for kind, chunk in gigabytes.items():
        name = kind.split()[0]
        made[f"2 {kind} of gigabytes"] = lambda f, chunk=chunk, name=name: zarr_2(
            f, {"compressor": {"id": name}}, chunk
        )
        if name in ("gzip", "zstd", "blosc"):
            settings = {"blosc": {"typesize": 1, "cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "blocksize": 0}}
            codec = {"name": name, "configuration": settings.get(name, {"level": 1})}
            packed = shard | {"configuration": shard["configuration"] | {"codecs": [BYTES, codec]}}
            index = struct.pack("<QQ", 0, len(chunk)) + b"\xff" * 240
            made[f"3 {kind} of gigabytes"] = lambda f, chunk=chunk, codec=codec: zarr_3(
                f, {"codecs": [BYTES, codec]}, chunk
            )
            made[f"3 {kind} in a shard"] = lambda f, chunk=chunk + index + bytes(4), codecs=packed: zarr_3(
                f, {"codecs": [codecs]}, chunk
            )
    found = {}
    for name, make in made.items():
        folder = root / f"{name.replace(' ', '_')}.zarr"
        make(folder)
        found[f"Zarr {name}"] = lambda folder=folder: mv.load_images(folder)
    # what consolidated metadata and the other version of the format say besides
    both = zarr_2(root / "both.zarr", {})
    (both / "0" / "zarr.json").write_text(json.dumps(ARRAY_3 | {"codecs": ["numcodecs.pickle"]}))
    found["Zarr described twice"] = lambda: mv.load_images(both)
    return found


def of_pictures(root: Path) -> dict[str, Callable]:
    "What files of images can be made to do."
    from PIL import Image

    files = {f"postscript.{ending}": POSTSCRIPT for ending in ("png", "jpg", "jpeg", "bmp", "tif")}
    files["black.png"] = png(32_000)
    header = io.BytesIO()
    Image.new("L", (8, 8)).save(header, "jpeg")
    jpeg = bytearray(header.getvalue())
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    files["wide.jpg"] = bytes(jpeg)
    scans = io.BytesIO()
    Image.new("L", (2000, 2000)).save(scans, "jpeg", progressive=True)
    start = scans.getvalue().index(b"\xff\xda")
    files["scans.jpg"] = scans.getvalue()[:-2] + scans.getvalue()[start:-2] * 200 + b"\xff\xd9"
    files["wide.bmp"] = (
        b"BM"
        + struct.pack("<IHHI", 100, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    gif = io.BytesIO()
    Image.new("L", (8, 8)).save(gif, "gif")
    files["gif.png"] = gif.getvalue()
    frames = io.BytesIO()
    Image.new("L", (8, 8)).save(frames, "png", save_all=True, append_images=[Image.new("L", (8, 8), 9)])
    files["animated.png"] = frames.getvalue()
    for name, content in files.items():
        (root / name).write_bytes(content)
    # a strip of zeros that becomes gigabytes, of an image of 16 pixels' side
    for name, packed in {"adobe_deflate": deflated_zeros(2 * GB), "lzma": lzma.compress(bytes(10**7)) * 200}.items():
        large = root / f"{name}.tif"
        tifffile.imwrite(large, np.zeros((16, 16), np.uint8), compression=name)
        with tifffile.TiffFile(large) as tiff:
            tags = {tag: tiff.pages[0].tags[tag] for tag in ("StripOffsets", "StripByteCounts")}
            places = {tag: found.offset for tag, found in tags.items()}
        content = bytearray(large.read_bytes())
        for tag, value in {"StripOffsets": len(content), "StripByteCounts": len(packed)}.items():
            content[places[tag] : places[tag] + 12] = struct.pack(
                "<HHII", 273 if tag == "StripOffsets" else 279, 4, 1, value
            )
        large.write_bytes(content + packed)
        files[large.name] = b""
    # tiles that are larger than the image
    tifffile.imwrite(root / "tile.tif", np.zeros((16, 16), np.uint8), tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(root / "tile.tif", mode="r+") as tiff:
        for tag in ("TileWidth", "TileLength"):
            tiff.pages[0].tags[tag].overwrite(2**16 - 16)
    files["tile.tif"] = b""
    plain_tiff(root / "pages.tif", pages=100_000)
    plain_tiff(root / "sub_pages.tif", [(330, 4, 10**6, 264)], struct.pack("<I", 264) * 10**6)
    plain_tiff(root / "tags.tif", [(273, 4, 2**31, 8), (320, 3, 2**30, 8)])
    plain_tiff(root / "strips.tif", change={257: (4, 1, 10**8), 273: (4, 10**8, 1000), 279: (4, 10**8, 1000)})
    os.truncate(root / "strips.tif", 450_000_000)
    two = jpeg_with_two_heads(65_500)
    plain_tiff(root / "two_heads.tif", change={259: (3, 1, 7), 273: (4, 1, 264), 279: (4, 1, len(two))}, content=two)
    for name, text in {
        "objects.tif": '{"shape": [8, 8], "a": [' + '{"":0},' * 4_000_000 + "0]}",
        "elements.tif": OME.format("<a/>" * 4_000_000),
        "attributes.tif": OME.format("<a " + " ".join(f'a{i}=""' for i in range(1_000_000)) + "/>"),
    }.items():
        tifffile.imwrite(root / name, np.zeros((8, 8), np.uint16), description=text.encode(), metadata=None)
    passes = io.BytesIO()
    Image.new("L", (7000, 7000)).save(passes, "jpeg", progressive=True)
    last = passes.getvalue().rindex(b"\xff\xda")
    (root / "passes.jpg").write_bytes(passes.getvalue()[:-2] + passes.getvalue()[last:-2] * 90 + b"\xff\xd9")
    sparse(root / "head.npy", 5 * GB, b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 10))
    with zipfile.ZipFile(root / "members.npz", "w") as archive:
        for number in range(60_000):
            archive.writestr(zipfile.ZipInfo(str(number)), b"")
    names = ("pages.tif", "sub_pages.tif", "tags.tif", "strips.tif", "two_heads.tif", "objects.tif", "elements.tif")
    files |= dict.fromkeys((*names, "attributes.tif", "passes.jpg", "head.npy", "members.npz"), b"")
    npz(root / "zeros.npz", {"a": ("|u1", (1, 12_000, 12_000))})
    npz(root / "bzip.npz", {"a": ("|u1", (1, 3000, 3000))}, way=zipfile.ZIP_BZIP2)
    npz(root / "many.npz", {"a": ("|u1", (2 * 10**7, 1, 1))})
    npz(root / "objects.npz", {"a": ("|O", (0,))})
    files |= {name: b"" for name in ("zeros.npz", "bzip.npz", "many.npz", "objects.npz")}
    with open(root / "holes.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (50_000, 50_000)})
        file.truncate(file.tell() + 50_000**2)
    shutil.copy(root / "zeros.npz", root / "archive.npy")
    files |= {"holes.npy": b"", "archive.npy": b""}
    return {name: lambda name=name: mv.load_images(root / name) for name in files}


def varint(value: int, length: int = 1) -> bytes:
    "A number as Thrift writes it, with leading zeros up to a length."
    digits = []
    while value or len(digits) < length:
        digits.append(value & 0x7F)
        value >>= 7
    return bytes([digit | 0x80 for digit in digits[:-1]] + digits[-1:])


def of_tables(root: Path) -> dict[str, Callable]:
    "What tables, settings and weights can be made to do."
    import h5py
    import pyarrow as pa
    import pyarrow.parquet as pq

    (root / "short_rows.csv").write_text("a" + "," * 15_000 + "\n" + "1\n" * 100_000)
    (root / "wide.csv").write_text("a" + "," * 10**6 + "\n")
    (root / "wide_row.tsv").write_text("a\n" + "\t" * 10**6 + "\n")
    with open(root / "holes.csv", "wb") as file:
        file.truncate(10 * GB)
    (root / "named.csv").write_bytes(gzip.compress(b"a,b\n" * 100))
    same = pa.table({"a": pa.array(np.zeros(10**8, np.int8))})
    pq.write_table(same, root / "same.parquet", compression="gzip")
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**5, np.int32)), pa.array(["x" * 10**6]))
    pq.write_table(pa.table({"a": texts}), root / "text.parquet", compression="zstd", store_schema=False)
    long = pa.table({"a": pa.array([f"{i:06}" + "x" * 10**6 for i in range(600)])})
    pq.write_table(long, root / "lies.parquet", use_dictionary=False, compression="zstd", data_page_size=2**30)
    raw = (root / "lies.parquet").read_bytes()
    stated = pq.ParquetFile(root / "lies.parquet").metadata.row_group(0).total_byte_size
    # the footer states 100 bytes, in as many digits
    raw = raw.replace(varint(2 * stated), varint(200, len(varint(2 * stated))))
    (root / "lies.parquet").write_bytes(raw)
    assert pq.ParquetFile(root / "lies.parquet").metadata.row_group(0).total_byte_size == 100
    lists = pa.array([np.zeros(10**7, np.int8)], pa.list_(pa.int8()))
    pq.write_table(pa.table({"a": lists}), root / "lists.parquet", compression="zstd")
    cell = '<row r="{0}"><c r="{1}{0}"><v>1</v></c></row>'
    excel(root / "far.xlsx", SHEET.format("", cell.format(1, "XFD") + cell.format(1_048_576, "A")))
    excel(root / "deep.xlsx", SHEET.format("", " " * 50_000_000))
    entity = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi"))
    excel(root / "laughs.xlsx", SHEET.format(f'<!DOCTYPE x [<!ENTITY a "ha">{entity}]>', "&i;"))
    workbook(
        root / "styles.xlsx", "xl/styles.xml", lambda text: text.replace("</cellXfs>", "<xf/>" * 10**6 + "</cellXfs>")
    )
    comment = "<!--" + "<c " * 3_000_000 + "--><sheetData"
    workbook(root / "comment.xlsx", "xl/worksheets/sheet1.xml", lambda text: text.replace("<sheetData", comment))
    sheets = "".join(f'<sheet name="s{i}" sheetId="{i + 9}" state="visible" r:id="rId1"/>' for i in range(2_000))
    workbook(root / "sheets.xlsx", "xl/workbook.xml", lambda text: text.replace("</sheets>", sheets + "</sheets>"))
    names = ("short_rows.csv", "wide.csv", "wide_row.tsv", "holes.csv", "named.csv", "same.parquet", "text.parquet")
    found = {
        name: lambda name=name: read_table(root / name)
        for name in (
            *names,
            "lies.parquet",
            "styles.xlsx",
            "comment.xlsx",
            "sheets.xlsx",
            "lists.parquet",
            "far.xlsx",
            "deep.xlsx",
            "laughs.xlsx",
        )
    }
    (root / "deep.json").write_text("[" * 10**6)
    (root / "objects.json").write_text('{"a": [' + '{"":0},' * 4_000_000 + "0]}")
    with open(root / "holes.json", "wb") as file:
        file.truncate(10 * GB)
    found |= {
        f"{name}.json": lambda name=name: read_json(root / f"{name}.json") for name in ("deep", "objects", "holes")
    }
    npz(root / "pictures.npz", {"a": ("|u1", (200, 1, 1000, 1000))})
    found["pictures.npz"] = lambda: read_pictures(root / "pictures.npz")
    good = mv.lung_fret(5).save(root / "good.npz")
    for name, shape in {"cells": (100, 1, 1000, 1000), "few_cells": (1, 1, 10_000, 10_000)}.items():
        npz(root / f"{name}.npz", {"images": ("<u2", shape)}, good)
        found[f"{name}.npz"] = lambda name=name: mv.load_images(root / f"{name}.npz")
    head = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (10 * GB, 10 * GB)
    (root / "long.safetensors").write_bytes(struct.pack("<Q", 90_000_000) + b"{" + b" " * 90_000_000)
    with open(root / "holes.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + 10 * GB)
    found |= {
        f"{name}.safetensors": lambda name=name: load_tensors(root / f"{name}.safetensors")
        for name in ("long", "holes")
    }
    with h5py.File(root / "elsewhere.h5ad", "w") as file:
        file["obs"] = h5py.ExternalLink("other.h5", "/obs")
    with h5py.File(root / "outside.h5ad", "w") as file:
        file.create_dataset("X", (100,), "u1", external=[(str(root / "good.npz"), 0, 100)])
    with h5py.File(root / "virtual.h5ad", "w") as file:
        layout = h5py.VirtualLayout((10,), "u1")
        layout[:] = h5py.VirtualSource(str(root / "other.h5"), "x", (10,))
        file.create_virtual_dataset("X", layout)
    with h5py.File(root / "zeros.h5ad", "w") as file:
        file.create_dataset("obsm/X_microvae", (10**6, 10**4), "f4", chunks=(1000, 1000), compression="gzip")
    with h5py.File(root / "same_text.h5ad", "w") as file:
        texts = file.create_dataset("obs/_index", (10_000,), h5py.string_dtype())
        texts[0] = "x" * 10**6
        at = texts.id.get_offset()
    raw = bytearray((root / "same_text.h5ad").read_bytes())
    raw[at : at + 160_000] = raw[at : at + 16] * 10_000  # each is a reference to the first
    (root / "same_text.h5ad").write_bytes(raw)
    with h5py.File(root / "same_array.h5ad", "w") as file:
        file.create_dataset("uns/a", (4 * 10**7,), "u1", chunks=(10**6,), compression="gzip")
        for number in range(300):
            file[f"uns/{number}"] = file["uns/a"]
    with h5py.File(root / "circle.h5ad", "w") as file:
        file.create_group("uns")["uns"] = h5py.SoftLink("/uns")
    for name in ("elsewhere", "outside", "virtual", "zeros", "same_text", "same_array", "circle"):
        found[f"{name}.h5ad"] = lambda name=name: read_embedding(root / f"{name}.h5ad")
    return found


def pickled(path: Path, code: bytes) -> Path:
    "A file as Cellpose writes it, with this pickle."
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": ()})
    path.write_bytes(head.getvalue() + b"\x80\x04" + code + b".")
    return path


def of_objects(root: Path) -> dict[str, Callable]:
    "What objects of other programs can be made to do."
    import roifile

    long = b"X" + struct.pack("<I", 10**7) + b"x" * 10**7
    # pairs of pairs of ..., 40 deep, and lists of ten lists, 9 deep
    pairs = b")q\x000" + b"".join(b"h%ch%c\x86q%c0" % (i, i, i + 1) for i in range(40))
    lists = b"X\1\0\0\0yq\0" + b"".join(b"](" + b"h%c" % i * 10 + b"eq%c" % (i + 1) for i in range(9))
    for name, code in {
        "join": b"cpathlib\nPosixPath\n(" + long + b"q\0" + b"h\0" * 400 + b"tR",
        "text": b"cnumpy\ndtype\n(" + lists + b"tR",
        "key": pairs + b"}h(K\1s",
        "set": pairs + b"\x8f(h(\x90",
    }.items():
        pickled(root / f"{name}_seg.npy", code)
    sparse(root / "head_seg.npy", 5 * GB, b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 10))
    sparse(root / "holes.geojson", 10 * GB)
    sparse(root / "holes.roi", 10 * GB, b"Iout")
    saw = [[corner % 2 * 2000, corner % 2 * 2000] for corner in range(300_000)]
    far = [[-1e308, -1e308], [1e308, -1e308], [1e308, 1e308]]
    for name, ring in {"saw": saw, "far": far}.items():
        feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
        (root / f"{name}.geojson").write_text(json.dumps({"features": [feature]}))
    (root / "deep.geojson").write_text("[" * 10**6)
    region = roifile.ImagejRoi.frompoints(np.array([[1, 1], [5, 1], [5, 5]])).tobytes()
    (root / "points.roi").write_bytes(region[:16] + b"\0\0" + struct.pack(">i", 2**31 - 1) + region[22:])
    with zipfile.ZipFile(root / "zeros.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(30):
            archive.writestr(f"{number}.roi", b"Iout" + bytes(10**7))
    names = [f"{name}_seg.npy" for name in ("join", "text", "key", "set", "head")]
    names += [f"{name}.geojson" for name in ("holes", "saw", "far", "deep")] + ["holes.roi", "points.roi", "zeros.zip"]
    return {name: lambda name=name: read_objects(root / name, (2048, 2048)) for name in names}


def of_models(root: Path) -> dict[str, Callable]:
    "What a run's files can be made to do."
    import pyarrow as pa
    import pyarrow.parquet as pq

    run = train_model(
        mv.lung_fret(12),
        mv.RunConfig(model=ModelConfig("MP2_64", 2), training=Training(1)),
        folder=root,
        progress=False,
    )
    tree = run.config.as_dict()
    found = {}
    for name, (part, change) in {
        "epochs": ("training", {"epochs": 10**400}),
        "seed": ("training", {"seed": -(10**400)}),
        "latent_dim": ("model", {"latent_dim": 10**4000}),
    }.items():
        (root / f"{name}.json").write_text(json.dumps(tree | {part: tree[part] | change}))
        found[f"config {name}"] = lambda name=name: mv.RunConfig.from_dict(read_json(root / f"{name}.json"))
    for name, about in {"objects": '{"history":[' + '{"":0},' * 4_000_000 + "0]}", "deep": "[" * 10**6}.items():
        folder = root / name
        (folder / "checkpoint").mkdir(parents=True)
        shutil.copy(run.home / "config.json", folder)
        head = json.dumps({"__metadata__": {"about": about}}).encode()
        (folder / "checkpoint" / "state.safetensors").write_bytes(struct.pack("<Q", len(head)) + head)
        found[f"state {name}"] = lambda folder=folder: paused_at(folder)
    zeros = pa.table({"a": pa.array(np.zeros(10**8, np.int8))})
    for name in ("history.parquet", "map.safetensors"):
        folder = root / f"of {name}"
        shutil.copytree(run.home, folder)
        if name == "history.parquet":
            pq.write_table(zeros, folder / name, compression="gzip")
        else:
            sparse(folder / name, 10 * GB, struct.pack("<Q", 90_000_000) + b"{")
        found[name] = lambda folder=folder: mv.load_model(folder)
    for name in ("a", "b"):
        (root / "circle.zarr").mkdir(exist_ok=True)
        (root / "circle.zarr" / name).symlink_to(".")
    (root / "circle.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    wells = {"plate": {"wells": [{"path": "a"}, {"path": "b"}]}}
    (root / "circle.zarr" / ".zattrs").write_text(json.dumps(wells))
    found["plate in a circle"] = lambda: mv.load_images(root / "circle.zarr")
    return found


def sound(root: Path) -> dict[str, Callable]:
    "What is unusual, and is read all the same, in no more time and memory."
    angles = np.linspace(0, 2 * np.pi, 100_000)
    ring = np.stack([1024 + 1000 * np.cos(angles), 1024 + 1000 * np.sin(angles)], 1).round(2).tolist()
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (root / "tissue.geojson").write_text(json.dumps({"features": [feature]}))
    plate = ome_plate(root / "plate.zarr")
    (plate / ".zattrs").write_text(json.dumps({"plate": {"wells": [{"path": "B/3"}] * 300_000}}))
    return {
        "an outline with many corners": lambda: read_objects(root / "tissue.geojson", (2048, 2048)),
        "a well that is listed often": lambda: mv.load_images(plate),
    }


KINDS = {
    "images": of_pictures,
    "tables": of_tables,
    "zarr": of_zarr,
    "objects": of_objects,
    "models": of_models,
    "sound": sound,
}


IRREGULAR = ("pipe", "endless device", "link to a pipe", "link to itself", "folder", "socket")


def put(kind: str, file: Path, pipe: Path):
    "Something that is no regular file, in the place of one."
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(file.parent)  # names of sockets must be short
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(file.name)
        os.chdir(here)
    else:
        file.symlink_to({"link to a pipe": pipe, "endless device": "/dev/zero", "link to itself": file}[kind])


def main(what: str):
    warnings.simplefilter("ignore")

    def too_long(*_):
        raise Hang

    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, too_long)
    found = {}
    with tempfile.TemporaryDirectory() as holder:
        root = Path(holder)
        watch = Watch(root)
        if what == "irregular":
            known = readers(root / "files")
            os.mkfifo(root / "pipe")
            for reader in known.values():
                reader.read()  # what is loaded on the way is no code of a file
            for name, reader in known.items():
                good = reader.file.read_bytes()
                for kind in IRREGULAR if os.environ.get("MICROVAE_FAULTS") == "full" else IRREGULAR[:2]:
                    reader.file.unlink()
                    put(kind, reader.file, root / "pipe")
                    found[f"{name}: {kind}"] = read(reader, watch)
                    reader.file.rmdir() if kind == "folder" else reader.file.unlink()
                    reader.file.write_bytes(good)
        else:
            for module in ("anndata", "h5py", "numcodecs", "openpyxl", "pyarrow.parquet", "roifile", "zarr"):
                importlib.import_module(module)
            mv.load_images(ome_zarr(root / "good.zarr"))  # what is loaded on the way is no code of a file
            for name, call in KINDS[what](root).items():
                found[name] = read(Reader(root, call, "bytes"), watch)
            if (root / "ran").exists():
                found["code"] = "code of a file ran"
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
