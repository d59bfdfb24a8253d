"""Arrays that public functions take and give have the shapes that their documentation names.

Each function stands here once more with its shapes as type hints: n images, c channels, h and w pixels, d latent dimensions. A letter must mean one number within a call; what stands in braces is computed from the arguments.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from beartype import beartype
from jaxtyping import Float, Int, TypeCheckError, jaxtyped
from numpy import ndarray
from torch import Tensor

import microvae as mv
from microvae.models.autoencoders import Autoencoder, Output

with_shapes = jaxtyped(typechecker=beartype)


@with_shapes
def forward(
    network: Autoencoder, images: Float[Tensor, "n c h w"]
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n {network.latent_dim}"]]:
    output = network(images)
    return output.reconstruction, output.latent


@with_shapes
def posterior(
    network: Autoencoder, images: Float[Tensor, "n c h w"]
) -> tuple[Float[Tensor, "n {network.latent_dim}"], Float[Tensor, "n {network.latent_dim}"]]:
    return network.posterior(images)


@with_shapes
def encode_and_decode(network: Autoencoder, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    return network.decode(network.encode(images), network.pose(images))


@with_shapes
def sample(network: Autoencoder, n: int) -> Float[Tensor, "{n} {network.image_shape[0]} h w"]:
    return network.sample(n)


@with_shapes
def elbo_terms(output: Output, images: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    terms = mv.elbo_terms(output, images)
    return terms.reconstruction, terms.kl


@with_shapes
def augment(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    generator = torch.Generator().manual_seed(0)
    return mv.Augmentation(rotate=True, flip=True, shift=1)(images, generator)


@with_shapes
def as_tensor(cells: mv.CellImages) -> Float[Tensor, "{len(cells)} {cells.image_shape[0]} h w"]:
    return mv.as_tensor(cells)


@with_shapes
def embed(network: Autoencoder, cells: mv.CellImages) -> Float[ndarray, "{len(cells)} {network.latent_dim}"]:
    return mv.embed(network, cells)


@with_shapes
def reconstruct(
    network: Autoencoder, images: Float[ndarray, "n c h w"]
) -> tuple[
    Float[ndarray, "n c h w"], Float[ndarray, "n {network.latent_dim}"], Float[ndarray, "n {network.latent_dim}"]
]:
    made = mv.reconstruct(network, mv.CellImages(images))
    return made["reconstruction"], made["mean"], made["log_variance"]


@with_shapes
def quality(
    first: Float[ndarray, "n c h w"], second: Float[ndarray, "n c h w"]
) -> tuple[Float[ndarray, "n"], Float[ndarray, "n"]]:
    return mv.psnr(first, second), mv.ssim(first, second)


@with_shapes
def anomaly_scores(network: Autoencoder, cells: mv.CellImages, kind: str) -> Float[ndarray, "{len(cells)}"]:
    return mv.anomaly_scores(network, cells, kind, normal=cells)


@with_shapes
def interpolate(
    network: Autoencoder, start: Float[ndarray, "n c h w"], end: Float[ndarray, "n c h w"], steps: int
) -> Float[ndarray, "n {steps} c h w"]:
    return mv.interpolate(network, start, end, steps)


@with_shapes
def traversals(
    network: Autoencoder, steps: int
) -> Float[ndarray, "{network.latent_dim} {steps} {network.image_shape[0]} h w"]:
    return mv.traversals(network, steps)


@with_shapes
def activations(network: Autoencoder, images: Float[ndarray, "n c h w"]) -> dict[str, Float[ndarray, "n _ _ _"]]:
    return mv.activations(network, images)


@with_shapes
def empirical_kl(latents: Float[Tensor, "n d"]) -> Float[Tensor, "d"]:
    return mv.empirical_kl(latents)


@with_shapes
def project(codes: Float[ndarray, "n d"]) -> Float[ndarray, "n 2"]:
    return mv.project(codes)


@with_shapes
def importance(codes: Float[ndarray, "n d"], factors: pd.DataFrame) -> Float[ndarray, "d {factors.shape[1]}"]:
    return mv.dci(codes, factors)[1]


@with_shapes
def segment_cells(field: Float[ndarray, "c h w"]) -> Int[ndarray, "h w"]:
    return mv.segment_cells(field)


@with_shapes
def crop_cells(
    field: Float[ndarray, "c h w"], labels: Int[ndarray, "h w"], size: int
) -> Float[ndarray, "{labels.max()} c {size} {size}"]:
    return mv.crop_cells(field, size, labels).images


@pytest.fixture(scope="module", params=[(1, 1, 8, 8, 1), (2, 2, 17, 30, 2), (5, 3, 33, 9, 4)], ids=str)
def case(request) -> tuple[Autoencoder, mv.CellImages]:
    "A network, and images for it: one of the smallest, and some of odd and oblong ones."
    n, *image_shape, latent_dim = request.param
    network = mv.build("adaptable", tuple(image_shape), latent_dim).eval()
    return network, mv.CellImages(np.random.default_rng(0).random((n, *image_shape), np.float32))


@torch.no_grad()
def test_networks_and_losses(case):
    network, cells = case
    images = as_tensor(cells)
    forward(network, images)
    posterior(network, images)
    encode_and_decode(network, images)
    sample(network, 3)
    elbo_terms(network(images), images)
    augment(images)


def test_what_is_made_of_images(case):
    network, cells = case
    embed(network, cells)
    made, _, _ = reconstruct(network, cells.images)
    quality(cells.images, made)
    interpolate(network, cells.images, made, 4)
    traversals(network, 5)
    activations(network, cells.images)
    for kind in ("error", "elbo"):
        anomaly_scores(network, cells, kind)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_what_is_made_of_codes(d):
    codes = np.random.default_rng(0).normal(size=(40, d))
    empirical_kl(torch.from_numpy(codes))
    project(codes)
    importance(codes, pd.DataFrame({"first": codes[:, 0], "other": np.arange(40.0)}))


def test_fields_of_view():
    y, x = np.mgrid[:60, :90]
    centres = [(20, 20), (20, 60), (42, 40)]
    plane = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 20) for a, b in centres)
    field = np.stack([plane, plane / 2]).clip(0, 1)
    labels = segment_cells(field)
    assert labels.max() == len(centres)
    assert crop_cells(field, labels, 24).shape == (3, 2, 24, 24)


def test_a_wrong_shape_is_noticed(case):
    "Of an argument, and of a result: here codes are said to have a column an image."

    @with_shapes
    def wrong(network: Autoencoder, cells: mv.CellImages) -> Float[ndarray, "{network.latent_dim + 1} {len(cells)}"]:
        return mv.embed(network, cells)

    network, cells = case
    with pytest.raises(TypeCheckError, match="type-check"):
        wrong(network, cells)
    with pytest.raises(TypeCheckError, match="type-check"):
        quality(cells.images, cells.images[:, :, 1:])
