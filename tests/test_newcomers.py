"What people stumbled over with data of their own, from the command line: each kind once, with made-up data."

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from test_app import here

import microvae as mv

PHASES = ("G1", "S", "M")


def done(*words, cwd):
    "A command that must work."
    made = here(*words, cwd=cwd)
    assert made.returncode == 0, made.stderr
    return made


def refused(*words, cwd):
    "The one sentence of a command that cannot work."
    made = here(*words, cwd=cwd)
    assert made.returncode == 2, made
    [sentence] = [line for line in made.stderr.splitlines() if line.startswith("microvae: ") and "note:" not in line]
    return sentence


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "Cells in folders of their class, in one folder with a table, and with one file a channel."
    place = tmp_path_factory.mktemp("newcomer")
    rows = []
    for i, image in enumerate((mv.lung_fret(36).images[:, 0] * 4095).astype(np.uint16)):
        phase = PHASES[i % 3]
        for name in (f"classes/phase_{phase}/{i:03d}.tif", f"flat/{i:03d}.tif"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(place / name, image)
        (place / "channels").mkdir(exist_ok=True)
        for channel in (3, 4):
            tifffile.imwrite(place / "channels" / f"{i:03d}_Ch{channel}.tif", image // channel)
        rows.append(dict(file=f"{i:03d}.tif", phase=phase))
    pd.DataFrame(rows).to_csv(place / "phases.csv", index=False)
    done("train", "flat", "--epochs", 1, "--table", "phases.csv", "--device", "cpu", cwd=place)
    return place


def test_a_table_is_joined_wherever_images_are_given(place, tmp_path):
    "Once at training, and from then on; or later, for a run that knew none."
    done("data", "flat", tmp_path / "cells.npz", "--table", "phases.csv", cwd=place)
    assert mv.load_images(tmp_path / "cells.npz").table.phase.nunique() == 3
    done("embed", "runs", tmp_path / "own.csv", cwd=place)
    assert pd.read_csv(tmp_path / "own.csv").phase.value_counts().tolist() == [12, 12, 12]
    done("train", "classes", "--epochs", 1, "--out", tmp_path / "runs", cwd=place)
    pd.read_csv(place / "phases.csv").rename(columns={"file": "picture"}).to_excel(tmp_path / "t.xlsx", index=False)
    joined = ("--table", tmp_path / "t.xlsx", "--on", "picture")
    colour = ("--colour", "phase", *joined)
    done("explore", tmp_path / "runs", tmp_path / "map.html", "--decoder", "atlas", *colour, cwd=place)
    done("report", tmp_path / "runs", tmp_path / "report.html", *colour, cwd=place)
    assert '"phase"' in (tmp_path / "map.html").read_text()
    done("detect", tmp_path / "runs", tmp_path / "outliers.csv", *joined, cwd=place)
    assert "phase" in pd.read_csv(tmp_path / "outliers.csv")


def test_a_table_that_has_gone_is_told(place, tmp_path):
    (tmp_path / "t.csv").write_text((place / "phases.csv").read_text())
    done("train", "flat", "--epochs", 1, "--table", tmp_path / "t.csv", "--out", tmp_path / "runs", cwd=place)
    (tmp_path / "t.csv").unlink()
    made = done("embed", tmp_path / "runs", tmp_path / "codes.csv", cwd=place)
    assert "t.csv any more" in made.stderr
    assert "--table" in made.stderr


def test_a_table_of_more_than_the_images(place, tmp_path):
    (tmp_path / "some").mkdir()
    for file in sorted((place / "flat").iterdir())[:12]:
        (tmp_path / "some" / file.name).write_bytes(file.read_bytes())
    words = ("data", "some", "cells.npz", "--table", place / "phases.csv")
    assert "give --part" in refused(*words, cwd=tmp_path)
    done(*words, "--part", cwd=tmp_path)
    assert mv.load_images(tmp_path / "cells.npz").table.phase.notna().all()


def test_a_column_that_is_not_there_says_which_are(place):
    assert "there are file, phase, and a table with more" in refused(
        "explore", "runs", "x.html", "--colour", "cohort", cwd=place
    )
    assert "--table FILE" in refused("report", "runs", "x.html", "--colour", "cohort", cwd=place)
    assert not (place / "x.html").exists()


def test_folders_are_plates_where_they_are_named_so(place, tmp_path):
    assert mv.load_images(place / "classes").table.folder.value_counts().to_dict() == {f"phase_{p}": 12 for p in PHASES}
    for plate in ("plate_1", "plate_2"):
        (tmp_path / plate).mkdir()
        tifffile.imwrite(tmp_path / plate / "A01.tif", np.eye(8, dtype=np.uint8))
    assert mv.load_images(tmp_path).table.plate.tolist() == ["plate_1", "plate_2"]


def test_one_file_a_channel_is_noticed_and_joined(place, tmp_path):
    alone = done("data", "channels", tmp_path / "alone.npz", cwd=place)
    options = ["--channel", "Ch3=*_Ch3.tif", "--channel", "Ch4=*_Ch4.tif"]
    assert "72 files are taken as 72 images of their own; joined they are 36 images of 2 channels" in alone.stderr
    assert '--channel "Ch3=*_Ch3.tif" --channel "Ch4=*_Ch4.tif"' in alone.stderr
    joined = done("train", "channels", "--epochs", 1, "--out", tmp_path / "runs", *options, "--json", cwd=place)
    assert "note: names show" not in joined.stderr
    done("embed", tmp_path / "runs", tmp_path / "own.csv", cwd=place)
    done("embed", tmp_path / "runs", tmp_path / "again.csv", "--images", "channels", cwd=place)
    own, again = (pd.read_csv(tmp_path / name) for name in ("own.csv", "again.csv"))
    assert len(own) == 36
    assert np.allclose(own.latent_1, again.latent_1, atol=1e-4)


def test_runs_are_listed_in_lines(place, tmp_path):
    "Whatever pandas adds a list and a column to."
    lines = done("runs", cwd=place).stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].split()[:3] == ["run", "model", "latent_dim"]
    assert "adaptable" in lines[1]
    broken = tmp_path / "runs" / "broken"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text("{half")
    assert "config.json cannot be read" in done("runs", tmp_path / "runs", cwd=place).stdout


def field(side=160, radius=9, places=((30, 30), (30, 80), (80, 50), (120, 120), (2, 100))):
    y, x = np.mgrid[:side, :side]
    truth = np.zeros((side, side), np.uint16)
    for i, (row, column) in enumerate(places, 1):
        truth[(y - row) ** 2 + (x - column) ** 2 < radius**2] = i
    return gaussian_filter((truth > 0) * 1.0, 1), truth


def test_label_images_in_a_folder_beside(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    plane, truth = field()
    tifffile.imwrite(tmp_path / "images" / "x.tif", (200 * plane).astype(np.uint8))
    tifffile.imwrite(tmp_path / "masks" / "x_mask.tif", truth)
    for source, labels in ((".", "masks"), (".", "masks/*.tif"), ("images", "masks"), (".", "*_mask.tif")):
        words = ("--labels", labels, "--size", 24, "--out", "a.zarr", "--overwrite", "--json")
        made = done("crop", source, *words, cwd=tmp_path)
        assert json.loads(made.stdout)["cells"] == 4, (source, labels)
    assert "--labels " in refused("crop", "images", "--labels", "*_seg.tif", cwd=tmp_path)


def test_windows_beyond_the_field_are_counted_and_can_be_kept(tmp_path):
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "x.tif", (200 * field()[0]).astype(np.uint8))
    dropped = done("crop", "images", "--size", 24, "--out", "a.zarr", cwd=tmp_path).stdout
    assert "dropped, of 5 cells: 1 window extends beyond the field of view; --border pad keeps" in dropped
    kept = done("crop", "images", "--size", 24, "--out", "b.zarr", "--border", "pad", "--json", cwd=tmp_path).stdout
    assert json.loads(kept)["cells"] == 5
    assert "'drop' or 'pad'" in refused("crop", "images", "--out", "c.zarr", "--border", "pat", cwd=tmp_path)


def test_floats_beyond_one_name_their_range(tmp_path):
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "x.tif", (2000 * field()[0]).astype(np.float32))
    for command in (("crop", "images", "--out", "a.zarr"), ("data", "images", "a.npz"), ("train", "images")):
        sentence = refused(*command, cwd=tmp_path)
        assert "x.tif ranges from 0 to 2000, and pixels must end in [0, 1]" in sentence, command
        assert "--maximum 2000" in sentence, command
        assert "--stretch set" in sentence, command
    done("crop", "images", "--out", "a.zarr", "--maximum", 2000, cwd=tmp_path)
    done("data", "images", "a.npz", "--stretch", "set", cwd=tmp_path)
    sentence = refused("train", "a.zarr", "--stretch", "set", cwd=tmp_path)
    assert "a.zarr lie in [0, 1] already" in sentence


def test_few_large_cells_are_not_divided_without_a_word(tmp_path):
    (tmp_path / "images").mkdir()
    plane, _ = field(400, 75, ((100, 100), (100, 300), (300, 100), (300, 300)))
    grain = 1 + 0.8 * gaussian_filter(np.random.default_rng(0).normal(0, 1, plane.shape), 4)
    noisy = plane * grain + 0.1 + np.random.default_rng(1).normal(0, 0.02, plane.shape)
    tifffile.imwrite(tmp_path / "images" / "x.tif", (2000 * noisy.clip(0)).astype(np.uint16))
    told = done("crop", "images", "--out", "a.zarr", cwd=tmp_path).stderr
    assert "what was found are pieces of even objects" in told
    diameter = told.split("--diameter ")[1].split()[0]
    words = ("crop", "images", "--out", "b.zarr", "--border", "pad", "--diameter", diameter)
    whole = done(*words, cwd=tmp_path)
    assert "pieces" not in whole.stderr
    assert whole.stdout.startswith("b.zarr: 4 cells")


def test_training_says_first_what_it_found_and_chose(place, tmp_path):
    made = done("train", "flat", "--epochs", 1, "--out", tmp_path / "runs", "--threads", 1, cwd=place)
    heads = [line.split(":")[0] for line in made.stderr.splitlines()]
    for head in ("Images", "Scaling", "Network", "Weight of the KL", "Epochs"):
        assert head in heads, made.stderr
    assert "uint16 pixels from" in made.stderr
    assert "Images" not in made.stdout
    quiet = done("train", "flat", "--epochs", 1, "--out", tmp_path / "runs", "--json", cwd=place)
    assert json.loads(quiet.stdout)["epochs"] == 1
    assert "Scaling:" not in quiet.stderr
    assert "--threads is 0" in refused("train", "flat", "--threads", 0, cwd=place)


def test_advice_is_relative_to_the_weight_that_was_used(place, tmp_path):
    words = ("train", "flat", "--epochs", 1, "--beta", 1e6, "--out", tmp_path / "runs", "--device", "cpu")
    text = done(*words, cwd=place).stdout
    assert "uses 0 of 32" in text
    assert "with --kl-warmup 10, or train with a tenth of this β, --beta 100000, or with both" in text
    assert "kl_warmup=" not in text
    assert mv.MicroVAE(beta=2, kl_warmup=10).config(40).objective.kl_warmup == 10
