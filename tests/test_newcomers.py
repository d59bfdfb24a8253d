"What somebody meets who uses the library for the first time, without having read its documentation."

import warnings

import numpy as np
import pytest
from test_app import here, said, write_tiffs

import microvae as mv
from microvae.app.card import images_for, train_with_card


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "A folder of 16-bit TIFFs, a run trained on them, and the same cells stored with other treatments."
    place = tmp_path_factory.mktemp("treatments")
    write_tiffs(place / "crops", mv.lung_fret(24))
    assert here("train", "crops", "--epochs", 1, "--device", "cpu", cwd=place).returncode == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, steps in OTHERS.items():
            cells = mv.load_images(place / "crops", treatment=steps)
            cells.to_zarr(place / f"{name}.zarr")
            cells.save(place / f"{name}.npz")
    return place


OTHERS = {
    "stretched": [mv.Percentile()],
    "flat": [mv.FlatField(), mv.Scale(65535)],
    "smooth": [mv.Denoise("tv"), mv.Scale(65535)],
    "darker": [mv.Scale(65535)],
}
COMMANDS = {
    "embed": "out.csv",
    "detect": "out2.csv",
    "explore": "out.html",
    "report": "out2.html",
    "reconstruct": "out.tif",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_refuses_images_that_were_treated_otherwise(place, command):
    done = here(command, "runs", COMMANDS[command], "--images", "stretched.zarr", cwd=place)
    said(done, "Percentile", "Scale(maximum=", "give the image files themselves")
    assert "mv." not in done.stderr
    assert not (place / COMMANDS[command]).exists()


@pytest.mark.parametrize("name", ["stretched", "flat", "smooth"])
@pytest.mark.parametrize("call", ["transform", "reconstruct", "score_samples", "embed", "plot_map"])
def test_the_estimator_refuses_images_that_were_treated_otherwise(place, name, call):
    vae = mv.MicroVAE.load(place / "runs", device="cpu")
    cells = mv.load_images(place / f"{name}.npz")
    with pytest.raises(mv.ConfigError, match=r"Scale\(maximum=.*treatment=mv.Treatment.from_list"):
        getattr(vae, call)(cells)


def test_codes_of_a_run_are_not_made_of_images_that_were_treated_otherwise(place):
    run, _ = mv.open_run(place / "runs")
    with pytest.raises(mv.ConfigError, match="Percentile"):
        mv.embedding(run, mv.load_images(place / "stretched.npz"))


@pytest.mark.parametrize("ending", ["npz", "zarr"])
def test_images_that_were_divided_by_another_value_are_rescaled(place, ending):
    vae = mv.MicroVAE.load(place / "runs", device="cpu")
    expected = vae.transform(place / "crops")
    with pytest.warns(UserWarning, match="divided by 65535"):
        found = vae.transform(mv.load_images(place / f"darker.{ending}"))
    assert np.abs(found - expected).max() < 1e-3


def test_what_is_not_known_is_said(place):
    vae = mv.MicroVAE.load(place / "runs", device="cpu")
    with pytest.warns(UserWarning, match="it is not known by what"):
        vae.transform(mv.lung_fret(4))


def test_what_a_plate_has_learned_may_differ(tmp_path):
    "Every plate has its own percentiles; the treatment is the same."
    for number in (1, 2):
        write_tiffs(tmp_path / f"plate{number}", mv.lung_fret(12, seed=number))
    first, second = (
        mv.load_images(tmp_path / f"plate{number}", treatment=[mv.Percentile(over="plate")]) for number in (1, 2)
    )
    assert first.about["treatment"] != second.about["treatment"]
    run, card = train_with_card(first, mv.RunConfig(training=mv.Training(1)), progress=False, device="cpu")
    second.save(tmp_path / "second")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(images_for(run, card, tmp_path / "second.npz")) == 12


@pytest.fixture(scope="module")
def waiting(tmp_path_factory):
    "A folder with one run, which is paused."
    place = tmp_path_factory.mktemp("paused")
    done = here("train", "lung_fret", "--n", 20, "--epochs", 3, "--time-budget", 0, "--device", "cpu", cwd=place)
    assert done.returncode == 0
    return place


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "c.csv"),
        ("detect", "d.csv"),
        ("explore", "e.html"),
        ("report", "r.html"),
        ("reconstruct", "t.tif"),
        ("export", "onnx"),
        ("export", "omezarr"),
        ("export", "hub", "hub", "--name", "lab/lung"),
    ],
    ids="-".join,
)
def test_a_paused_run_says_so(waiting, words):
    done = here(words[0], "runs", *words[1:], cwd=waiting)
    said(done, "paused at epoch 1 of 3", "same `microvae train` command")


@pytest.mark.parametrize("call", [mv.load_run, mv.open_run, mv.MicroVAE.load])
def test_a_paused_run_says_so_in_python(waiting, call):
    (home,) = (waiting / "runs").iterdir()
    with pytest.raises(mv.ConfigError, match="paused at epoch 1 of 3"):
        call(home)


def test_a_paused_run_is_not_trained_longer():
    cells = mv.lung_fret(20)
    run = mv.fit(None, cells, mv.RunConfig(training=mv.Training(3)), time_budget=0, progress=False, device="cpu")
    with pytest.raises(mv.ConfigError, match="paused at epoch 1 of 3"):
        mv.train_longer(run, cells, 2)
