"A mistake costs one sentence, not an afternoon: every message names what was given and what would be right."

import warnings

import numpy as np
import pytest
import tifffile
import torch

import microvae as mv
from microvae.training.config import ModelConfig, Training


@pytest.fixture
def cells():
    return mv.lung_fret(40)


def short(epochs=1, **training):
    return mv.RunConfig(training=Training(epochs=epochs, **training))


def says(error, *words):
    text = str(error.value)
    assert "\n" not in text, text
    assert len(text) < 400, text
    for word in words:
        assert word in text, text


def test_wrong_number_of_channels(cells):
    with pytest.raises(mv.MicroVAEError) as error:
        mv.fit(mv.build("thesis", (2, 20, 20)), cells, short(), progress=False)
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
        mv.fit("thesis", cells, short(), device="cuda", progress=False)
    says(error, "'cuda'", "cpu")


def test_latent_size_of_zero_before_anything_is_written(tmp_path, cells):
    with pytest.raises(mv.MicroVAEError):
        mv.fit(None, cells, mv.RunConfig(model=ModelConfig(latent_dim=0)), folder=tmp_path, progress=False)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_divergence_names_the_epoch_and_keeps_the_last_good_state(tmp_path, cells):
    "Whoever left a run over night finds out when it broke, and what is left of it."
    from microvae.training.checkpoint import load_tensors

    def poison(rows):
        if len(rows) == 2:
            for group in optimizers[-1].param_groups:
                group["params"][0].data.fill_(float("inf"))

    optimizers = []
    original = torch.optim.Adam

    class Seen(original):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            optimizers.append(self)

    torch.optim.Adam = Seen
    try:
        with pytest.raises(mv.DivergenceError) as error:
            mv.fit("thesis", cells, short(epochs=6), folder=tmp_path, progress=False, device="cpu", on_epoch=poison)
    finally:
        torch.optim.Adam = original
    says(error, "epoch 2: the loss of batch 0 of")
    [checkpoint] = tmp_path.rglob("state.safetensors")
    tensors, about = load_tensors(checkpoint)
    assert len(about["history"]) == 2
    assert all(t.isfinite().all() for t in tensors.values())
    assert not list(tmp_path.rglob("model.safetensors"))


def lost(given, images) -> float:
    "Share of neighbouring grey values that are told apart in what was given, and no longer in the images."
    given = given.ravel()
    images = images.ravel()
    order = np.argsort(given)
    apart = np.diff(given[order].astype(float)) > 0
    return float((np.diff(images[order].astype(float))[apart] <= 0).mean())


@pytest.mark.parametrize("kind, channels", [(np.int8, 1), (np.int16, 2), (np.int32, 1)])
def test_negative_integers_keep_their_values(kind, channels, tmp_path):
    "As arrays, rows, TIFF, NPY and crops: from the smallest to the largest value of each channel."
    top = np.iinfo(kind).max // 2
    rng = np.random.default_rng(0)
    given = rng.integers(-top, top // 2, (12, channels, 16, 16)).astype(kind)
    for number, image in enumerate(given):
        tifffile.imwrite(tmp_path / f"{number:02d}.tif", image, photometric="minisblack", metadata={"axes": "CYX"})
        np.save(tmp_path / f"{number:02d}.npy", image)
    found = {
        "images": mv.MicroVAE(depth=1, epochs=1, verbose=False).fit(given)._cells(given).images,
        "tif": mv.load_images(str(tmp_path / "*.tif")).images,
        "npy": mv.load_images(str(tmp_path / "*.npy"), axes="CYX").images,
    }
    scaled = given.astype(float)
    low = scaled.min((0, 2, 3), keepdims=True)
    high = scaled.max((0, 2, 3), keepdims=True)
    for name, images in found.items():
        assert np.allclose(images, (scaled - low) / (high - low), atol=1e-5), name
    rows = given.reshape(len(given), -1)
    as_rows = mv.MicroVAE(depth=1, epochs=1, verbose=False, image_shape=(channels, 16, 16)).fit(rows)._cells(rows)
    assert np.allclose(as_rows.images, found["images"], atol=1e-6)
    stored = mv.load_images(mv.load_images(str(tmp_path / "*.tif")).to_zarr(tmp_path / "set.zarr"))
    assert lost(given[:, 0], stored.images[:, 0]) < 0.01 or kind == np.int32
    with pytest.raises(mv.MicroVAEError) as error:
        mv.CellImages(given, name="scan.npy")
    says(error, "scan.npy", str(given.dtype), "[0, 1]")


def test_images_outside_the_range_of_training_give_a_warning(tmp_path):
    "Arrays and files, with signed integers and with floats, below and above; images like those of training give none."
    given = (np.random.default_rng(0).random((12, 1, 16, 16)) * 2000 - 1000).astype(np.int16)
    for kind in (np.int16, np.float32, np.uint16):
        shift = 1000 if kind == np.uint16 else 0
        vae = mv.MicroVAE(depth=1, epochs=1, verbose=False).fit((given + shift).astype(kind))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            vae.transform((given + shift).astype(kind))
        for other in (given - 1500, given + 1500):
            with pytest.warns(UserWarning, match="outside the range of the training images"):
                vae.transform(other)
        np.save(tmp_path / "other.npy", given[0, 0] - 1500)
        with pytest.warns(UserWarning, match="outside the range of the images that the preprocessing was learned from"):
            vae.transform(str(tmp_path / "*.npy"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_crops_of_floats_that_are_no_numbers(value, tmp_path):
    "One such field is reported, also where the preprocessing learns from all fields; the others give their cells."
    y, x = np.mgrid[:64, :64]
    field = sum(((y - r) ** 2 + (x - c) ** 2 < 40) * 0.8 for r in (16, 48) for c in (16, 48)).astype(np.float32) - 0.3
    for number in range(3):
        tifffile.imwrite(tmp_path / f"f{number}.tif", field)
    field[3, 3] = value
    tifffile.imwrite(tmp_path / "f3.tif", field)
    preprocessing = [mv.Percentile(over="set")]
    cells = mv.crop_fields(tmp_path, 16, preprocessing=preprocessing, workers=1, progress=False)
    assert len(cells) == 12
    [failed] = cells.about["failed"]
    assert failed["file"] == "f3.tif"
    assert "NaN or infinite" in failed["reason"]
