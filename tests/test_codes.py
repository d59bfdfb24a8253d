"What the default model promises of its codes: no setting for brightness, no collapse, no pose."

import warnings

import numpy as np
import pytest

import microvae as mv
from microvae.data.augment import INVARIANT
from microvae.evaluation.invariance import code_movement
from microvae.models.autoencoders import INVARIANCES

SHORT = dict(epochs=12, random_state=0, verbose=False, device="cpu")


@pytest.fixture(scope="module")
def cells():
    "Simulated cells as floats, in which no pixel is brighter than half of the scale."
    return 0.5 * mv.lung_fret(400, seed=1).images


@pytest.fixture(scope="module")
def vae(cells):
    return mv.MicroVAE(8, **SHORT).fit(cells)


def difference(first, second) -> float:
    "Root mean square difference of codes, as a share of their spread."
    return float(np.sqrt(np.square(first - second).mean()) / first.std())


@pytest.mark.parametrize("factor", [0.1, 1 / 3, 10.0])
def test_codes_do_not_depend_on_the_unit_of_brightness(cells, vae, factor):
    "A hundredth of the spread of the codes: training multiplies rounding errors, and with another unit they are others."
    scaled = cells * np.float32(factor)
    other = mv.MicroVAE(8, **SHORT).fit(scaled)
    assert difference(vae.transform(cells), other.transform(scaled)) < 1e-2
    assert difference(vae.score_samples(cells), other.score_samples(scaled)) < 1e-2


def test_one_saturated_pixel_does_not_change_the_map(cells, vae):
    "One image in 400 is another, and every other one a hundredth as bright on the scale of the set."
    spoilt = cells.copy()
    spoilt[0, 0, 10, 10] = 50.0
    other = mv.MicroVAE(8, **SHORT).fit(spoilt)
    # neighbours in one map are neighbours in the other: codes may be rotated, distances may not change much
    first, second = (
        np.linalg.norm(c[1:, None] - c[None, 1:], axis=2) for c in (vae.transform(cells), other.transform(spoilt))
    )
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.9


def test_a_rotated_or_mirrored_cell_has_the_same_code(cells, vae):
    codes = vae.transform(cells)
    for moved in (np.rot90(cells, 1, (2, 3)), cells[..., ::-1], cells[..., ::-1, :]):
        assert difference(codes, vae.transform(np.ascontiguousarray(moved))) < 1e-3
    angles = code_movement(vae.model_, mv.CellImages(cells))
    assert angles.moved.max() < 0.2


def test_codes_may_depend_on_the_pose(cells):
    oriented = mv.MicroVAE(8, invariant_to=(), **SHORT).fit(cells)
    codes = oriented.transform(cells)
    assert difference(codes, oriented.transform(np.ascontiguousarray(np.rot90(cells, 1, (2, 3))))) > 0.1


def test_every_channel_counts(cells):
    "The second channel is a thousand times dimmer, and its reconstruction is as good."
    both = np.concatenate([cells, np.roll(cells, 7, 0) / 1000], 1)
    vae = mv.MicroVAE(16, **SHORT | dict(epochs=30)).fit(both)
    made = vae.reconstruct(both)
    explained = [1 - np.square(made - both)[:, c].mean() / both[:, c].var() for c in (0, 1)]
    assert min(explained) > 0.3
    assert abs(explained[0] - explained[1]) < 0.15


def test_a_collapsing_run_is_noticed_and_mended(cells):
    "A squared error of few pixels against β = 1 is the case that ended in equal codes."
    config = mv.RunConfig(
        objective=mv.Objective("mse", avoid_collapse=True), training=mv.Training(60, learning_rate=2e-3)
    )
    dim = mv.CellImages(cells)
    with pytest.warns(UserWarning, match="beta is lowered to [0-9.e-]+, and rises to it over 10 epochs"):
        mended = mv.fit("MP2_64", dim, config, progress=False, device="cpu")
    left = mv.fit("MP2_64", dim, mv.RunConfig(training=config.training), progress=False, device="cpu")
    assert left.history.kl.iloc[-1] < 0.1
    assert mended.history.kl.iloc[-1] > 0.5
    assert mended.history.beta.iloc[-1] < 1


def test_a_default_run_is_not_said_to_collapse(cells):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mv.fit("adaptable", mv.CellImages(cells[:64]), progress=False, device="cpu", validation=0.2)


def test_an_autoencoder_without_a_posterior_is_not_said_to_collapse(cells):
    config = mv.RunConfig(objective=mv.Objective(avoid_collapse=True), training=mv.Training(30))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = mv.fit("conv_ae", mv.CellImages(cells[:64]), config, progress=False, device="cpu")
    assert (run.history.beta == 1).all()


def test_words_of_invariance_are_the_same_everywhere():
    assert tuple(INVARIANT) == INVARIANCES


def test_fit_and_estimator_train_alike(cells):
    config = mv.MicroVAE(random_state=0).config(400)
    assert config == mv.RunConfig(
        model=mv.ModelConfig(latent_dim=32),
        objective=mv.Objective(avoid_collapse=True),
        training=mv.Training(77, 32, 4e-3, schedule="cosine", early_stopping=25, keep_best=True),
    )
    one_epoch = dict(progress=False, device="cpu", time_budget=0)
    run = mv.fit("adaptable", mv.CellImages(cells), **one_epoch)
    assert not run.finished
    assert (run.config.training, run.config.objective) == (config.training, config.objective)


def plates() -> mv.CellImages:
    "Cells of three plates with another lamp and another background each; the radius of a cell has nothing to do with its plate."
    drawn = mv.memory_b(500, seed=0, size=24)
    plate = np.random.default_rng(0).integers(0, 3, 500)
    gain = np.array([[1, 1], [0.6, 0.8], [0.8, 0.6]])[plate]
    background = np.array([[0, 0], [0.1, 0.05], [0.05, 0.15]])[plate]
    images = drawn.images * gain[:, :, None, None] + background[:, :, None, None]
    size = np.digitize(drawn.table.radius, np.quantile(drawn.table.radius, [1 / 3, 2 / 3]))
    table = drawn.table[["radius"]].assign(plate=[f"plate {number}" for number in plate], size=size)
    return mv.CellImages(images.clip(0, 1).astype(np.float32), table, channels=drawn.channels)


def test_a_conditional_decoder_mixes_plates_and_keeps_biology():
    pytest.importorskip("scib_metrics")
    cells = plates()
    scores = []
    for batch in (None, "plate"):
        vae = mv.MicroVAE(8, batch=batch, epochs=30, random_state=0, device="cpu", verbose=False).fit(cells)
        scores.append(mv.batch_scores(vae.transform(cells), cells.table.plate, cells.table["size"]))
    plain, conditional = scores
    assert conditional["mixing"] > plain["mixing"] + 0.05
    assert conditional["biology"] > plain["biology"] - 0.05
    # a plate that was not there in training has codes as well, and is drawn as the mean of those that were
    other = mv.CellImages(cells.images[:5], cells.table[:5].assign(plate="plate 9"), channels=cells.channels)
    np.testing.assert_allclose(vae.transform(other), vae.transform(cells[:5]), atol=1e-5)
    assert vae.reconstruct(other).shape == other.images.shape


def test_sphering_on_controls_mixes_plates():
    pytest.importorskip("scib_metrics")
    cells = plates()
    vae = mv.MicroVAE(8, epochs=10, random_state=0, device="cpu", verbose=False).fit(cells)
    codes = vae.embed(cells)
    control = np.where(np.arange(len(cells)) % 3 == 0, "DMSO", "drug")
    sphered = mv.with_sphered_codes(codes.assign(treatment=control), "treatment=DMSO", "plate")
    names = [name for name in sphered if name.startswith("sphered_")]
    before = mv.batch_scores(vae.transform(cells), cells.table.plate, cells.table["size"])
    after = mv.batch_scores(sphered[names].to_numpy(), cells.table.plate, cells.table["size"])
    assert after["mixing"] > before["mixing"] + 0.2
