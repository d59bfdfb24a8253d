"Classes for all cells from those of a few, in the terminal: what is written, what goes back to the images, and what cannot be used."

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

import microvae as mv
from microvae.app.cli import app

LATENT = ["latent_1", "latent_2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "Four fields of view of 16 cells each, a table of their codes, and the classes of some cells."
    place = tmp_path_factory.mktemp("classes")
    (place / "images").mkdir()
    labels = np.kron(np.arange(1, 17).reshape(4, 4), np.pad(np.ones((4, 4)), 2)).astype(np.uint16)
    for name in "abcd":
        tifffile.imwrite(place / "images" / f"{name}.tif", labels)
        tifffile.imwrite(place / "images" / f"{name}_mask.tif", labels)
    random = np.random.default_rng(0)
    truth = np.tile(["flat", "round"], 32)
    codes = pd.DataFrame(
        {
            "file": np.repeat([f"{name}.tif" for name in "abcd"], 16),
            "frame": 0,
            "label": np.tile(np.arange(1, 17), 4),
            "row": np.tile(np.repeat([4.0, 12, 20, 28], 4), 4),
            "column": np.tile([4.0, 12, 20, 28], 16),
            "donor": np.repeat(["D1", "D2", "D3", "D4"], 16),
            "truth": truth,
        }
    )
    codes[LATENT] = random.normal(size=(64, 2)) + 3 * (truth == "round")[:, None]
    codes["model"] = "0123456789ab"
    codes.to_csv(place / "codes.csv", index=False)
    given = codes[["file", "frame", "label"]].assign(class_given=truth)[codes.label <= 8]
    given.to_csv(place / "classes.csv", index=False)
    return place


def classify(*words):
    done = CliRunner().invoke(app, ["classify", *map(str, words)])
    assert done.exit_code == 0, (done, done.exception)
    return done.stdout


def test_every_cell_gets_a_class(place):
    "The table keeps its rows and columns; given classes stay, and others are those of scikit-learn."
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    said = classify(place / "codes.csv", place / "made.csv", "--labels", place / "classes.csv", "--group", "donor")
    assert "32 of 64 cells have a given class" in said
    assert "balanced accuracy on 32 labelled cells of 4 groups, held out as a whole" in said
    codes = pd.read_csv(place / "codes.csv")
    made = pd.read_csv(place / "made.csv")
    assert list(made) == [*codes, "class_given", "class", "probability", "doubt", "next"]
    pd.testing.assert_frame_equal(made[list(codes)], codes)
    known = codes.label <= 8
    assert made.class_given[known].tolist() == codes.truth[known].tolist()
    assert made.class_given[~known].isna().all()
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", tol=1e-8))
    model.fit(codes[known][LATENT].to_numpy(), codes.truth[known])
    probability = model.predict_proba(codes[LATENT].to_numpy())
    assert made["class"][~known].tolist() == model.classes_[probability.argmax(1)][~known].tolist()
    assert np.allclose(made.doubt, 1 - probability.max(1))


def test_json_has_the_numbers_of_python(place):
    words = place / "codes.csv", place / "made.parquet", "--labels", place / "classes.csv", "--json"
    said = json.loads(classify(*words))
    codes = pd.read_csv(place / "codes.csv")
    made = mv.classify_cells(codes, mv.join_classes(codes, place / "classes.csv"))
    assert said["labelled"] == 32
    assert said["balanced_accuracy"]["mean"] == pytest.approx(made.accuracy.mean)
    assert said["calibration_error"] == pytest.approx(made.calibration_error)
    assert said["confusion"] == made.confusion.to_dict("index")
    assert sum(said["classes"].values()) == 64


def test_a_column_of_the_table_gives_the_classes(place):
    "It may be called `class`; and the table that was written is a table to go on from."
    codes = pd.read_csv(place / "codes.csv")
    codes["class"] = codes.truth.where(codes.label <= 4)
    codes.to_csv(place / "own.csv", index=False)
    classify(place / "own.csv", place / "first.csv", "--label", "class")
    first = pd.read_csv(place / "first.csv")
    assert first.class_given.notna().sum() == 16
    classify(place / "first.csv", place / "second.csv")
    pd.testing.assert_frame_equal(pd.read_csv(place / "second.csv"), first)


def test_anndata_in_and_out(place):
    anndata = pytest.importorskip("anndata")
    codes = pd.read_csv(place / "codes.csv", dtype={"model": str})
    mv.write_embedding(codes, place / "codes.h5ad")
    classify(place / "codes.h5ad", place / "made.h5ad", "--label", "truth")
    assert anndata.read_h5ad(place / "made.h5ad").obs["class"].tolist() == codes.truth.tolist()


@pytest.mark.parametrize("kind", ["tif", "geojson"])
def test_classes_go_back_to_the_images(place, kind):
    classify(place / "codes.csv", place / f"{kind}.csv", "--labels", place / "classes.csv")
    made = pd.read_csv(place / f"{kind}.csv")
    words = "annotate", place / f"{kind}.csv", place / kind, "--kind", kind, "--by", "class"
    done = CliRunner().invoke(app, [*map(str, words), "--images", str(place / "images"), "--labels", "*_mask.tif"])
    assert done.exit_code == 0, done.exception
    rows = made[made.file == "c.tif"]
    if kind == "geojson":
        features = json.loads((place / kind / "c.geojson").read_text())["features"]
        names = [feature["properties"]["classification"]["name"] for feature in features]
        assert names == [f"class: {name}" for name in rows["class"]]
        return
    numbers = pd.read_csv(place / kind / "classes.csv").set_index("class").number
    image = tifffile.imread(place / kind / "c.tif")
    mask = tifffile.imread(place / "images" / "c_mask.tif")
    for label, name in zip(rows.label, rows["class"]):
        assert (image[mask == label] == numbers[name]).all()


@pytest.mark.parametrize(
    ("change", "words", "sentence"),
    [
        (lambda t: t, ["--label", "phase"], "has no column 'phase' of classes; name one with --label"),
        (lambda t: t.assign(truth="flat"), ["--label", "truth"], "all 64 labelled cells are 'flat'"),
        (lambda t: t.assign(truth=""), ["--label", "truth"], "no cell has a class"),
        (lambda t: t[:4], ["--label", "truth"], "4 cells have a class, which cannot be cut into 5 folds"),
        (lambda t: t.assign(latent_1=1, latent_2=2), ["--label", "truth"], "all features are constant"),
        (lambda t: t.assign(next=0), ["--label", "truth"], "has a column 'next' already; rename it"),
        (lambda t: t, ["--label", "truth", "--group", "day"], "has no column 'day' of groups"),
        (lambda t: t[t.file != "c.tif"], ["--labels", "classes.csv"], "8 cells that are not among the 48"),
        (lambda t: t, ["--labels", "codes.csv"], "has no column 'class_given' of classes"),
        (lambda t: t.drop(columns=LATENT), ["--label", "truth"], "holds no codes"),
    ],
)
def test_what_cannot_be_used(place, tmp_path, monkeypatch, change, words, sentence):
    "One sentence, and no file."
    monkeypatch.chdir(place)
    change(pd.read_csv(place / "codes.csv", dtype={"model": str})).to_csv(tmp_path / "bad.csv", index=False)
    done = CliRunner().invoke(app, ["classify", str(tmp_path / "bad.csv"), str(tmp_path / "never.csv"), *words])
    assert isinstance(done.exception, mv.MicroVAEError)
    assert sentence in str(done.exception)
    assert not (tmp_path / "never.csv").exists()


def test_too_few_labels_are_said_to_be_too_few(place):
    codes = pd.read_csv(place / "codes.csv")
    codes["some"] = codes.truth.where(codes.index < 8)
    codes.to_csv(place / "few.csv", index=False)
    said = classify(place / "few.csv", place / "few_made.csv", "--label", "some")
    assert "Too few labels to say how good the classes are: class 'flat' has 4 labelled cells" in said
    assert "balanced accuracy" not in said
