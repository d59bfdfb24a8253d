"What somebody meets who uses the library for the first time, without having read its documentation."

import warnings
from functools import cache
from inspect import isfunction, signature
from types import UnionType
from typing import get_args, get_type_hints
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from test_app import here, said, write_tiffs

import microvae as mv
from microvae.app.card import images_for, train_model
from microvae.core.errors import fits_hint
from microvae.core.public import PUBLIC


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "A folder of 16-bit TIFFs, a run trained on them, and the same cells stored with other preprocessing."
    place = tmp_path_factory.mktemp("preprocessing")
    write_tiffs(place / "crops", mv.lung_fret(24))
    assert here("train", "crops", "--epochs", 1, "--device", "cpu", cwd=place).returncode == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, steps in OTHERS.items():
            cells = mv.load_images(place / "crops", preprocessing=steps)
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
def test_a_command_refuses_images_that_were_preprocessed_otherwise(place, command):
    done = here(command, "runs", COMMANDS[command], "--images", "stretched.zarr", cwd=place)
    said(done, "Percentile", "Scale(maximum=", "give the image files themselves")
    assert "mv." not in done.stderr
    assert not (place / COMMANDS[command]).exists()


@pytest.mark.parametrize("name", ["stretched", "flat", "smooth"])
@pytest.mark.parametrize("call", ["transform", "reconstruct", "score_samples", "embed", "plot_map"])
def test_the_estimator_refuses_images_that_were_preprocessed_otherwise(place, name, call):
    vae = mv.MicroVAE.load(place / "runs", device="cpu")
    cells = mv.load_images(place / f"{name}.npz")
    with pytest.raises(mv.ConfigError, match=r"Scale\(maximum=.*preprocessing=mv.Preprocessing.from_list"):
        getattr(vae, call)(cells)


def test_codes_of_a_run_are_not_made_of_images_that_were_preprocessed_otherwise(place):
    run = mv.load_model(place / "runs")
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
    with pytest.warns(UserWarning, match="the steps of .* are not known"):
        vae.transform(mv.lung_fret(4))


def test_what_a_plate_has_learned_may_differ(tmp_path):
    "Every plate has its own percentiles; the preprocessing is the same."
    for number in (1, 2):
        write_tiffs(tmp_path / f"plate{number}", mv.lung_fret(12, seed=number))
    first, second = (
        mv.load_images(tmp_path / f"plate{number}", preprocessing=[mv.Percentile(over="plate")]) for number in (1, 2)
    )
    assert first.about["preprocessing"] != second.about["preprocessing"]
    run = train_model(first, mv.RunConfig(training=mv.Training(1)), progress=False, device="cpu")
    second.save(tmp_path / "second")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(images_for(run, tmp_path / "second.npz")) == 12


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


@pytest.mark.parametrize("call", [mv.load_model, mv.MicroVAE.load])
def test_a_paused_run_says_so_in_python(waiting, call):
    (home,) = (waiting / "runs").iterdir()
    with pytest.raises(mv.ConfigError, match="paused at epoch 1 of 3"):
        call(home)


def test_a_paused_run_is_not_trained_longer():
    cells = mv.lung_fret(20)
    run = mv.fit(None, cells, mv.RunConfig(training=mv.Training(3)), time_budget=0, progress=False, device="cpu")
    with pytest.raises(mv.ConfigError, match="paused at epoch 1 of 3"):
        mv.train_longer(run, cells, 2)


@pytest.fixture(scope="module")
def cells():
    return mv.lung_fret(12)


@pytest.fixture(scope="module")
def run(cells):
    return mv.fit("MP2_64", cells, mv.RunConfig(training=mv.Training(1)), progress=False, device="cpu")


def functions() -> list[str]:
    "The public functions some of whose arguments have types."
    names = [name for part in PUBLIC.values() for name in part]
    found = [name for name in names if isfunction(getattr(mv, name)) and signature(getattr(mv, name)).parameters]
    return [name for name in found if get_type_hints(getattr(mv, name)).keys() - {"return"}]


@pytest.mark.parametrize("name", functions())
def test_an_argument_of_another_type_costs_a_sentence(name):
    "Each argument with a type is named, by each public function, before anything is computed."
    function = getattr(mv, name)
    hints = get_type_hints(function)
    parameters = signature(function).parameters.values()
    single = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    needed = {p.name: None for p in single if p.default is p.empty}
    wrong = object()
    for parameter in single:
        if parameter.name not in hints or fits_hint(wrong, hints[parameter.name]):
            continue
        given = {other: wanted(hints.get(other)) for other in needed}
        with pytest.raises(mv.ConfigError, match="is an object; it must be") as error:
            function(**given | {parameter.name: wrong})
        assert "\n" not in str(error.value)


@cache
def samples() -> list:
    "Some value of each type that arguments have."
    return [None, 1, 0.5, "", [], {}, np.zeros(2), mv.lung_fret(2), mv.RunConfig(), pd.DataFrame()]


def wanted(hint):
    "Something of a type, so that another argument is the first that is wrong."
    found = [value for value in samples() if hint is None or fits_hint(value, hint)]
    if found:
        return found[0]
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return Mock(spec=kinds[0])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda cells, run: mv.fit(mv.RunConfig(), cells), ["model is a RunConfig", "mv.fit(None, cells, config)"]),
        (lambda cells, run: mv.fit(cells, "thesis"), ["cells is the text 'thesis'", "mv.load_images"]),
        (lambda cells, run: mv.fit("thesis", cells.images), ["an array of shape (12, 1, 20, 20)", "mv.CellImages"]),
        (lambda cells, run: mv.fit("thesis", cells, mv.Training(1)), ["config is a Training", "mv.RunConfig("]),
        (lambda cells, run: mv.fit("thesis", cells, validation=0), ["hold out 0"]),
        (lambda cells, run: mv.sweep(mv.RunConfig(), cells), ["configs is a RunConfig", "a list"]),
        (lambda cells, run: mv.search(mv.RunConfig(), cells, {"beta": [1.0]}, 20), ["trials=20"]),
        (lambda cells, run: mv.grid(beta=1.0), ["beta is 1.0", "beta=[1.0]"]),
        (lambda cells, run: mv.RunConfig(model="MP2"), ["model is the text 'MP2'", "a ModelConfig"]),
        (lambda cells, run: mv.Training(learning_rate="1e-3"), ["learning_rate is the text '1e-3'", "a number"]),
        (lambda cells, run: mv.embed(run.config, cells), ["model is a RunConfig", "mv.build", "mv.load_model"]),
        (lambda cells, run: mv.embed(run, cells.images), ["cells is an array", "mv.CellImages"]),
        (
            lambda cells, run: mv.crop_cells(cells.images[0, 0], np.zeros((20, 20), int)),
            ["size is an array", "(20, 20)"],
        ),
        (lambda cells, run: mv.CellImages([np.zeros((1, 4, 4)), np.zeros((1, 5, 4))]), ["different shapes"]),
        (lambda cells, run: mv.CellImages(cells.images, {"dose": [1]}), ["table is a dict", "DataFrame"]),
        (lambda cells, run: mv.load_images(cells.images), ["source is an array", "a path"]),
        (lambda cells, run: mv.load_model(run), ["path is a Model", "a path"]),
        (lambda cells, run: mv.MicroVAE().fit("no/where"), ["no/where"]),
        (lambda cells, run: mv.MicroVAE().transform(cells), ["not trained", "fit(images)"]),
        (lambda cells, run: mv.MicroVAE("2").fit(cells), ["latent_dim is the text '2'"]),
        (lambda cells, run: mv.MicroVAE().fit([np.zeros((4, 4)), np.zeros((5, 4))]), ["(4, 4) and (5, 4)"]),
    ],
)
def test_a_slip_in_a_call_costs_a_sentence(cells, run, call, words):
    with pytest.raises(mv.MicroVAEError) as error:
        call(cells, run)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_what_is_printed_fits_a_line(cells, run):
    for thing in (cells, run, run.config, mv.RunConfig()):
        assert len(repr(thing)) < 250
        assert "\n" not in repr(thing)
        assert repr(thing) in repr([thing, thing])
    assert repr(mv.RunConfig()) == "RunConfig()"


def test_numbers_of_numpy_are_numbers():
    "They come from tables and arrays; the config of a run, and so its folder's name, is the same."
    mine = mv.RunConfig(model=mv.ModelConfig("MP2_64", 3), training=mv.Training(epochs=2, seed=7))
    theirs = mv.RunConfig(
        model=mv.ModelConfig("MP2_64", np.int32(3)), training=mv.Training(epochs=np.int64(2), seed=np.uint64(7))
    )
    assert theirs.identity() == mine.identity()
    assert len(mv.lung_fret(np.int64(5), seed=np.uint32(2**31))) == 5
    vae = mv.MicroVAE(np.int16(2), epochs=np.int64(1), verbose=False, device="cpu").fit(mv.lung_fret(20))
    assert len(vae.model_.history) == 1
    assert mv.RunConfig(training=mv.Training(seed=2**63)).identity() != mine.identity()
