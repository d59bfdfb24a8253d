"Plates as microscopes leave them: every field keeps its well, and a plate map gives each cell the dose of its well."

from uuid import UUID

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from command import here

import microvae as mv

DOSES = {"A01": 5.0, "B12": 7.0}
COLUMNS = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]


def disks(brightness):
    "Nine cells of one brightness."
    y, x = np.mgrid[:120, :120]
    cells = sum((y - r) ** 2 + (x - c) ** 2 < 64 for r in (30, 60, 90) for c in (30, 60, 90))
    noise = np.random.default_rng(0).normal(0, 20, y.shape)
    return (cells * brightness + 200 + noise).clip(0, 65535).astype(np.uint16)


def metaxpress(folder):
    "Two wells, two sites, two wavelengths, each with its thumbnail."
    folder.mkdir()
    number = 0
    for well in DOSES:
        for site in (1, 2):
            for wavelength in (1, 2):
                for small in ("", "_thumb"):
                    number += 1
                    unique = str(UUID(int=number * 10**30)).upper()
                    pixels = disks(400 * DOSES[well])[:: 4 if small else 1, :: 4 if small else 1]
                    tifffile.imwrite(folder / f"P1_{well}_s{site}_w{wavelength}{small}{unique}.TIF", pixels)
    return folder


def ome_zarr(folder):
    "The same wells as a plate of OME-Zarr 0.4."
    zarr.open_group(str(folder), mode="w", zarr_format=2).attrs["plate"] = {
        "name": "P1",
        "wells": [{"path": f"{well[0]}/{int(well[1:])}"} for well in DOSES],
    }
    for well, dose in DOSES.items():
        place = folder / well[0] / str(int(well[1:]))
        group = zarr.open_group(str(place), mode="w", zarr_format=2)
        group.attrs["well"] = {"images": [{"path": "0"}, {"path": "1"}]}
        for site in ("0", "1"):
            image = zarr.open_group(str(place / site), mode="w", zarr_format=2)
            axes = [{"name": letter} for letter in "cyx"]
            image.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
            array = image.create_array("0", shape=(2, 120, 120), chunks=(1, 120, 120), dtype="uint16")
            array[:] = np.stack([disks(400 * dose)] * 2)
    return folder


def harmony(folder):
    "The same wells as Harmony exports them."
    (folder / "Images").mkdir(parents=True)
    images = ""
    for well, dose in DOSES.items():
        row = ord(well[0]) - 64
        column = int(well[1:])
        for site in (1, 2):
            for channel in (1, 2):
                name = f"r{row:02d}c{column:02d}f{site:02d}p01-ch{channel}sk1fk1fl1.tiff"
                tifffile.imwrite(folder / "Images" / name, disks(400 * dose))
                images += f"<Image><URL>{name}</URL><Row>{row}</Row><Col>{column}</Col><FieldID>{site}</FieldID>"
                images += (
                    f"<PlaneID>1</PlaneID><ChannelID>{channel}</ChannelID><ChannelName>c{channel}</ChannelName></Image>"
                )
    plates = "<Plates><Plate><PlateID>P1</PlateID></Plate></Plates>"
    namespace = "http://www.perkinelmer.com/PEHH/HarmonyV6"
    text = f'<EvaluationInputData xmlns="{namespace}">{plates}<Images>{images}</Images></EvaluationInputData>'
    (folder / "Images" / "Index.idx.xml").write_text(text)
    return folder


SCREENS = {"metaxpress": metaxpress, "ome_zarr": ome_zarr, "harmony": harmony}
PATTERNS = {"metaxpress": {"channels": {"DNA": "*_w1.TIF", "actin": "*_w2.TIF"}}}


def plate_map(folder, kind):
    "What is in the two wells, as a list or as a grid."
    if kind == "grid":
        grid = pd.DataFrame(index=list("ABCDEFGH"), columns=range(1, 13), dtype=float)
        grid.loc["A", 1] = DOSES["A01"]
        grid.loc["B", 12] = DOSES["B12"]
        grid.to_excel(folder / "dose.xlsx")
        return folder / "dose.xlsx"
    pd.DataFrame({"plate": "P1", "well": ["B12", "A1"], "dose": [7.0, 5.0]}).to_csv(folder / "map.csv", index=False)
    return folder / "map.csv"


@pytest.mark.parametrize("kind", ["list", "grid"])
@pytest.mark.parametrize("screen", SCREENS)
def test_cells_get_the_dose_of_their_well(tmp_path, screen, kind):
    if kind == "grid":
        pytest.importorskip("openpyxl")
    folder = SCREENS[screen](tmp_path / "plate.zarr" if screen == "ome_zarr" else tmp_path / "plate")
    given = {"table": plate_map(tmp_path, kind), "plate_columns": True} | PATTERNS.get(screen, {})
    cells = mv.crop_fields(folder, 24, progress=False, workers=1, **given)
    assert len(cells) == 4 * 9
    counts = cells.table.groupby([*COLUMNS[:2], "dose"]).size()
    assert counts.to_dict() == {("P1", "A01", 5.0): 18, ("P1", "B12", 7.0): 18}
    assert cells.table.groupby("Metadata_Well").Metadata_Site.nunique().tolist() == [2, 2]
    bright = cells.images.max((1, 2, 3))
    assert bright[cells.table.dose == 5].max() < bright[cells.table.dose == 7].min()


@pytest.mark.parametrize("screen", SCREENS)
def test_images_have_plate_columns_on_request(tmp_path, screen):
    folder = SCREENS[screen](tmp_path / "plate.zarr" if screen == "ome_zarr" else tmp_path / "plate")
    given = PATTERNS.get(screen, {})
    plain = mv.load_images(folder, **given)
    assert not set(COLUMNS) & set(plain.table)
    cells = mv.load_images(folder, plate_columns=True, **given)
    assert cells.shape == (4, 2, 120, 120)
    assert cells.table.Metadata_Well.tolist() == ["A01", "A01", "B12", "B12"]
    assert set(cells.table.Metadata_Plate) == {"P1"}


def test_names_without_a_well_are_named(tmp_path):
    tifffile.imwrite(tmp_path / "cell.tif", disks(900))
    with pytest.raises(mv.MicroVAEError, match="cell.tif shows no well"):
        mv.load_images(tmp_path, plate_columns=True)


def test_a_plate_is_drawn_from_a_stored_set(tmp_path):
    metaxpress(tmp_path / "plate")
    words = ["--channel", "DNA=*_w1.TIF", "--channel", "actin=*_w2.TIF", "--size", 24, "--workers", 1]
    done = here("crop", "plate", *words, "--plate-columns", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    drawn = here("plate", "plate.zarr", "--table", plate_map(tmp_path, "list"), "--colour", "dose", cwd=tmp_path)
    assert drawn.stdout.strip() == "plate.png: 2 wells of 1 plate", drawn.stderr[-2000:]
    assert (tmp_path / "plate.png").stat().st_size > 5000
    wrong = here("plate", "plate.zarr", "x.png", "--colour", "age", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "there is no column 'age' to colour by" in wrong.stderr
