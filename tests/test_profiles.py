"Profiles of a simulated screen, with pycytominer and copairs themselves: pip install 'microvae[profiles]'."

import numpy as np
import pandas as pd
import pytest
from command import here
from typer.testing import CliRunner

import microvae as mv
from microvae.app.cli import app

TREATMENT = ["--treatment", "drug", "--treatment", "dose", "--control", "drug=DMSO"]


def screen(cells=10):
    "Codes of two plates: drug a shifts them in proportion to its dose, drug b does not, each plate shifts all."
    rng = np.random.default_rng(0)
    wells = [("DMSO", 0.0)] * 8 + [(drug, dose) for drug in "ab" for dose in (1.0, 5.0) for _ in range(3)]
    rows = []
    for plate in range(2):
        for number, (drug, dose) in enumerate(wells, start=1):
            for code in rng.normal(size=(cells, 4)):
                code[0] += dose * (drug == "a")
                code += 4 * plate
                about = {"Metadata_Plate": f"P{plate}", "Metadata_Well": f"B{number:02d}", "drug": drug, "dose": dose}
                rows.append(about | {f"latent_{k + 1}": value for k, value in enumerate(code)})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("screen")
    screen().to_csv(folder / "codes.csv", index=False)
    return folder


def test_the_command_writes_wells_without_any_extra(place):
    done = here("profile", "codes.csv", "plain.parquet", *TREATMENT, "--no-precision", "--sphere", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "40 wells of 2 plates, 400 cells, 4 features; 10 to 10 cells a well" in done.stdout
    wells = pd.read_parquet(place / "plain.parquet")
    assert wells.columns[:5].tolist() == [
        *("Metadata_Plate", "Metadata_Well", "Metadata_drug", "Metadata_dose"),
        "Metadata_Object_Count",
    ]
    treatments = pd.read_parquet(place / "plain_treatments.parquet")
    assert treatments.Metadata_Well_Count.tolist() == [16, 6, 6, 6, 6]
    shift = treatments.set_index(["Metadata_drug", "Metadata_dose"]).Cells_sphered_1
    assert shift["a", 5.0] > shift["a", 1.0] + 2
    again = here("profile", "codes.csv", "plain.parquet", cwd=place)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr


def test_the_command_measures_precision(place):
    pytest.importorskip("copairs")
    done = here("profile", "codes.csv", "all.csv", *TREATMENT, "--sphere", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "differ from controls" in done.stdout
    found = pd.read_csv(place / "all_precision.csv").set_index(["Metadata_drug", "Metadata_dose", "against"])
    assert found.mean_average_precision["a", 5.0, "controls"] == 1
    assert found.different["a", 5.0, "controls"]
    assert not found.different["b", 5.0, "controls"]
    assert (place / "all_precision.png").stat().st_size > 5000


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--well", "position"], "has no column 'position' of wells or plates"),
        (["--treatment", "compound"], "has no column 'compound' of treatments"),
        (["--control", "drug=water", "--sphere"], "no cell has 'water' in the column 'drug', which has DMSO, a, b"),
        (["--sphere"], "name controls with --control COLUMN=VALUE"),
        (["--average", "mode"], "there is no average named 'mode'"),
    ],
)
def test_what_is_wrong_is_one_sentence(place, words, sentence):
    done = CliRunner().invoke(app, ["profile", str(place / "codes.csv"), str(place / "never.csv"), *words])
    assert isinstance(done.exception, mv.MicroVAEError)
    assert sentence in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (place / "never.csv").exists()


def test_pycytominer_reads_what_is_written(place):
    pycytominer = pytest.importorskip("pycytominer")
    made = mv.profile(place / "codes.csv", ("drug", "dose"), precision=False)
    made.write(place / "read.parquet")
    normal = pycytominer.normalize(str(place / "read.parquet"), samples="Metadata_drug == 'DMSO'", method="standardize")
    assert [name for name in normal if not name.startswith("Metadata_")] == [f"Cells_latent_{k}" for k in range(1, 5)]
    assert normal[normal.Metadata_drug == "DMSO"].Cells_latent_1.mean() == pytest.approx(0, abs=1e-9)
    selected = pycytominer.feature_select(normal, operation=["variance_threshold"])
    assert "Cells_latent_1" in selected
    averaged = pycytominer.consensus(made.wells, replicate_columns=["Metadata_drug", "Metadata_dose"])
    pd.testing.assert_frame_equal(
        averaged.filter(like="Cells_"), made.treatments.filter(like="Cells_"), check_exact=False
    )


def test_normalising_is_that_of_pycytominer_plate_by_plate(place):
    pycytominer = pytest.importorskip("pycytominer")
    wells = mv.profile(place / "codes.csv", control="drug=DMSO").wells
    ours = mv.profile(place / "codes.csv", control="drug=DMSO", normalise="standard").wells
    for plate, part in wells.groupby("Metadata_Plate"):
        theirs = pycytominer.normalize(part, samples="Metadata_drug == 'DMSO'", method="standardize")
        mine = ours[ours.Metadata_Plate == plate].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine.filter(like="Cells_"), theirs.filter(like="Cells_").reset_index(drop=True))


def test_tables_of_cellprofiler_are_read(tmp_path):
    pytest.importorskip("copairs")
    table = screen().rename(columns=lambda name: name.replace("latent_", "Nuclei_AreaShape_"))
    table.rename(columns={"drug": "Metadata_drug"}).to_parquet(tmp_path / "cytotable.parquet")
    made = mv.profile(tmp_path / "cytotable.parquet", "Metadata_drug", "Metadata_drug=DMSO", sphere=True)
    assert made.precision.set_index(["Metadata_drug", "against"]).different["a", "controls"]


def test_a_screen_of_files_has_its_wells(tmp_path):
    "From files, by names of the microscope and a plate map, to counts of cells."
    folder = mv.simulate_screen(tmp_path / "screen", plates=1)
    files = sorted((folder / "P1").glob("P1_A0[12]_*.TIF"))
    patterns = {"DNA": "*_w1.TIF", "actin": "*_w2.TIF"}
    known = {"table": folder / "platemap.csv", "part": True, "plate_columns": True}
    cells = mv.crop_fields(files, 40, patterns, progress=False, workers=1, **known)
    codes = cells.table.assign(latent_1=cells.table.area, latent_2=cells.table["mean DNA"])
    made = mv.profile(codes, "drug", precision=False)
    assert made.wells.Metadata_Well.tolist() == ["A01", "A02"]
    assert made.wells.Metadata_Object_Count.sum() == len(cells)
    layout = pd.read_csv(folder / "platemap.csv").set_index("well").drug
    assert made.wells.Metadata_drug.tolist() == layout[["A01", "A02"]].tolist()
