"A mistake costs one sentence, not an afternoon: every message names what was given and what would be right."

import numpy as np
import pytest
import tifffile
import torch

import microvae as mv
from microvae.training.config import Model, Training


@pytest.fixture
def cells():
    return mv.lung_fret(40)


def short(epochs=1, **training):
    return mv.RunConfig(training=Training(epochs=epochs, **training))


def says(error, *words):
    text = str(error.value)
    assert "\n" not in text and len(text) < 400, text
    for word in words:
        assert word in text, text


def test_wrong_number_of_channels(cells):
    with pytest.raises(mv.MicroVAEError) as error:
        mv.fit(mv.build("adaptable", (2, 20, 20)), cells, short(), progress=False)
    says(error, "(1, 20, 20)", "(2, 20, 20)")


@pytest.mark.parametrize("value, word", [(np.nan, "NaN"), (1.5, "[0, 1]"), (-0.1, "[0, 1]")])
def test_pixels_that_cannot_be(value, word):
    images = np.random.default_rng(0).random((4, 1, 20, 20))
    images[2, 0, 3, 3] = value
    with pytest.raises(mv.MicroVAEError) as error:
        mv.CellImages(images, name="plate3.npy")
    says(error, "plate3.npy", word)


def test_empty_folder(tmp_path):
    with pytest.raises(mv.MicroVAEError) as error:
        mv.load_images(tmp_path)
    says(error, str(tmp_path), ".tif")


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.npy", "a.npz"])
def test_truncated_file(tmp_path, name):
    path = tmp_path / name
    image = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    if name.endswith("tif"):
        tifffile.imwrite(path, image)
    elif name.endswith("npy"):
        np.save(path, image)
    elif name.endswith("npz"):
        mv.lung_fret(5).save(path)
    else:
        import imageio.v3 as imageio

        imageio.imwrite(path, image)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(mv.MicroVAEError) as error:
        mv.load_images(path)
    says(error, str(path))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: mv.build("MP5", (1, 20, 20)), ["'MP5'", "MP2"]),
        (lambda: mv.build("adaptabel", (1, 20, 20)), ["adaptable"]),
        (lambda: mv.build("MP2", (1, 20, 20), latent_dim=0), ["latent_dim is 0", "at least 1"]),
        (lambda: mv.build("MP4", (1, 12, 12)), ["16 pixels"]),
        (lambda: mv.build("MP4", (20, 20)), ["(channels, height, width)"]),
        (lambda: mv.interpolated_depth(1, 20), ["1×20"]),
        (lambda: mv.Objective(likelihood="l2"), ["'l2'", "'mse' or 'bce'"]),
        (lambda: mv.empirical_kl(torch.zeros(1, 2)), ["(1, 2)", "two rows"]),
        (lambda: mv.psnr(np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 4, 5))), ["(1, 1, 4, 4)", "(1, 1, 4, 5)"]),
        (lambda: mv.memory_b(0), ["n is 0"]),
    ],
)
def test_one_sentence(call, words):
    with pytest.raises(mv.MicroVAEError) as error:
        call()
    says(error, *words)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_where_there_is_none(cells):
    with pytest.raises(mv.MicroVAEError) as error:
        mv.fit("adaptable", cells, short(), device="cuda", progress=False)
    says(error, "'cuda'", "cpu")


def test_latent_size_of_zero_before_anything_is_written(tmp_path, cells):
    with pytest.raises(mv.MicroVAEError):
        mv.fit(None, cells, mv.RunConfig(model=Model(latent_dim=0)), folder=tmp_path, progress=False)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_divergence_names_the_epoch_and_keeps_the_last_good_state(tmp_path, cells):
    "Whoever left a run over night finds out when it broke, and what is left of it."
    from microvae.training.checkpoint import load_tensors

    def poison(rows):
        if len(rows) == 2:
            for group in optimizers[-1].param_groups:
                group["params"][0].data.fill_(float("inf"))

    optimizers, original = [], torch.optim.Adam

    class Seen(original):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            optimizers.append(self)

    torch.optim.Adam = Seen
    try:
        with pytest.raises(mv.DivergenceError) as error:
            mv.fit("adaptable", cells, short(epochs=6), folder=tmp_path, progress=False, device="cpu", on_epoch=poison)
    finally:
        torch.optim.Adam = original
    says(error, "epoch 2: the loss of batch 0 of")
    [checkpoint] = tmp_path.rglob("state.safetensors")
    tensors, about = load_tensors(checkpoint)
    assert len(about["history"]) == 2 and all(t.isfinite().all() for t in tensors.values())
    assert not list(tmp_path.rglob("model.safetensors"))
