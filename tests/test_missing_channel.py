"Images that lack a channel of the training images: a sentence, or codes if the model was trained with channel dropout."

import numpy as np
import pandas as pd
import pytest
from test_app import here, said

import microvae as mv


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "Cells with both channels and with one of them, and a model trained with channel dropout and one without."
    place = tmp_path_factory.mktemp("channels")
    cells = mv.memory_b(40, size=20)
    cells.to_zarr(place / "both.zarr")
    cells.with_channels(("membrane",)).to_zarr(place / "membrane.zarr")
    words = ["train", "both.zarr", "--model", "MP2_64", "--epochs", 1, "--device", "cpu"]
    assert here(*words, "--out", "plain", cwd=place).returncode == 0
    assert here(*words, "--out", "dropped", "--channel-dropout", 0.3, cwd=place).returncode == 0
    return place


def test_without_channel_dropout_a_missing_channel_is_named(place):
    done = here("embed", "plain", "codes.csv", "--images", "membrane.zarr", cwd=place)
    said(done, "protein is missing", "--channel-dropout")
    assert "mv." not in done.stderr


def test_with_channel_dropout_cells_have_codes_without_it(place):
    done = here("embed", "dropped", "codes.csv", "--images", "membrane.zarr", cwd=place)
    assert done.returncode == 0
    assert "lacks protein" in done.stderr
    assert len(pd.read_csv(place / "codes.csv")) == 40


def test_the_reconstruction_has_all_channels(place):
    assert here("reconstruct", "dropped", "made.npz", "--images", "membrane.zarr", cwd=place).returncode == 0
    assert mv.CellImages.load(place / "made.npz").channels == ("protein", "membrane")


def test_the_estimator_does_the_same(place):
    alone = mv.load_images(place / "membrane.zarr")
    with pytest.warns(UserWarning, match="lacks protein"):
        codes = mv.MicroVAE.load(place / "dropped", device="cpu").transform(alone)
    filled = alone.with_channels(("protein", "membrane"), fill=True)
    assert np.allclose(codes, mv.MicroVAE.load(place / "dropped", device="cpu").transform(filled))
    with pytest.raises(mv.ConfigError, match="protein is missing"):
        mv.MicroVAE.load(place / "plain", device="cpu").transform(alone)


def test_one_channel_cannot_be_dropped():
    config = mv.RunConfig(augmentation=mv.Augmentation(channel_dropout=0.2))
    with pytest.raises(mv.ConfigError, match="has one channel"):
        mv.fit("MP2_64", mv.lung_fret(10), config, progress=False)
