"The formulas are what the papers say: gradients against differences, closed forms against sampling, measures against other libraries, shapes for any size."

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tolerance import UNIT, likely_rounding_of_sum
from torch import nn
from torch.distributions import MultivariateNormal, Normal

import microvae as mv
from microvae.chapters.memory_b import MEMORISED, NETWORKS
from microvae.chapters.memory_b import claims as memory_b_claims
from microvae.core import geometry
from microvae.core.errors import MicroVAEError
from microvae.models import bottlenecks, losses, measures, pose
from microvae.models.autoencoders import Output
from microvae.models.bottlenecks import Posterior
from microvae.models.catalogue import REPORTS, THESIS
from microvae.study.results import Results

few = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def double(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.mark.numerics
@pytest.mark.parametrize(
    "name, call, shapes",
    [
        ("kl_from_prior", bottlenecks.kl_from_prior, [(3, 4), (3, 4)]),
        ("free bits", lambda m, v: bottlenecks.kl_from_prior(m, v, free_bits=0.3), [(3, 4), (3, 4)]),
        ("total correlation", bottlenecks.total_correlation_of, [(5, 3), (5, 3), (5, 3)]),
        ("kl_between", lambda a, b, c, d: bottlenecks.kl_between((a, b), (c, d)), [(3, 2)] * 4),
        ("squared error", losses.squared_error, [(2, 1, 4, 4)] * 2),
        ("cross entropy", lambda a, b: losses.cross_entropy(a.sigmoid(), b.sigmoid()), [(2, 1, 4, 4)] * 2),
        ("normalise_pose", lambda x, p: pose.normalise_pose(x, p * 0.3), [(2, 1, 7, 9), (2, 3)]),
        ("restore_pose", lambda x, p: pose.restore_pose(x, p * 0.3), [(2, 2, 8, 6), (2, 3)]),
        ("rotated", lambda x, a: geometry.rotated(x, 30 * a), [(2, 1, 7, 7), (2,)]),
    ],
)
def test_gradients(name, call, shapes):
    inputs = tuple(double(*shape, seed=k) for k, shape in enumerate(shapes))
    assert torch.autograd.gradcheck(call, inputs, eps=1e-6, atol=1e-5)


@pytest.mark.numerics
@pytest.mark.parametrize(
    "settings_of",
    [{}, {"likelihood": "bce"}, {"free_bits": 0.2}, {"total_correlation": 3.0}, {"capacity": 2.0}, {"mask_channel": 0}],
)
def test_gradients_of_the_whole_objective(settings_of):
    "Through encoder, sampling and decoder of a small network, to every weight and to the image."
    torch.manual_seed(0)
    model = mv.build("MP2_64", (1, 8, 8), 2).double().eval()
    images = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    noise = torch.randn(3, 2, dtype=torch.float64)
    random = torch.Generator().manual_seed(1)

    def objective():
        mean, log_variance = model.posterior(images)
        latent = mean + noise * (0.5 * log_variance).exp()
        return (
            losses.elbo_terms(
                Output(model.decode(latent), Posterior(latent, mean, log_variance)), images, **settings_of
            )
            .total(0.5)
            .sum()
        )

    objective().backward()
    for name, weight in model.named_parameters():
        at = tuple(int(torch.randint(side, (1,), generator=random)) for side in weight.shape)
        step = 1e-6
        ends = []
        before = weight.data[at].item()
        for there in (before + step, before - step):
            weight.data[at] = there
            ends.append(objective().item())
        weight.data[at] = before
        assert math.isclose(weight.grad[at].item(), (ends[0] - ends[1]) / (2 * step), rel_tol=2e-4, abs_tol=2e-5), name


@pytest.mark.numerics
def test_kl_against_sampling():
    "The closed form is the mean of log q - log p over samples, within four standard errors."
    torch.manual_seed(0)
    mean = torch.randn(5, 3, dtype=torch.float64)
    log_variance = torch.randn(5, 3, dtype=torch.float64)
    q = Normal(mean, (log_variance / 2).exp())
    samples = q.sample((200_000,))
    ratios = (q.log_prob(samples) - Normal(0.0, 1.0).log_prob(samples)).sum(2)
    error = ratios.std(0) / math.sqrt(len(ratios))
    assert ((bottlenecks.kl_from_prior(mean, log_variance) - ratios.mean(0)).abs() < 4 * error).all()


@pytest.mark.numerics
def test_elbo_of_a_linear_model_is_the_likelihood():
    "A linear decoder with Gaussian noise of variance 1/2 has a known likelihood: the ELBO equals it at the true posterior, and is below it by the KL elsewhere."
    torch.manual_seed(0)
    d = 2
    pixels = 9
    variance = 0.5  # with which the squared error is -log p but for a constant
    images = torch.rand(6, pixels, dtype=torch.float64)
    offset = torch.randn(pixels, dtype=torch.float64)
    # weights whose columns are orthogonal have posteriors with independent dimensions, as a VAE's are
    weight = torch.linalg.qr(torch.randn(pixels, d, dtype=torch.float64))[0] * torch.tensor(
        [1.5, 0.7], dtype=torch.float64
    )
    exact = MultivariateNormal(offset, weight @ weight.T + variance * torch.eye(pixels, dtype=torch.float64)).log_prob(
        images
    )
    precision = torch.diagonal(torch.eye(d, dtype=torch.float64) + weight.T @ weight / variance)
    true_mean = (images - offset) @ weight / variance / precision
    true_log = -precision.log().expand(6, d)
    constant = 0.5 * pixels * math.log(2 * math.pi * variance)

    def bound(mean, log_variance):
        "Expected squared error in closed form, and the library's KL."
        expected = losses.squared_error((mean @ weight.T + offset)[:, :, None], images[:, :, None]) + (
            log_variance.exp() * weight.square().sum(0)
        ).sum(1)
        return -(expected + bottlenecks.kl_from_prior(mean, log_variance)) - constant

    torch.testing.assert_close(bound(true_mean, true_log), exact)
    other_mean = true_mean + 0.3
    other_log = true_log - 0.4
    gap = bottlenecks.kl_between((other_mean, other_log), (true_mean, true_log))
    torch.testing.assert_close(exact - bound(other_mean, other_log), gap)


@pytest.mark.numerics
def test_measures_against_scikit_image():
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    rng = np.random.default_rng(0)
    for shape in ((3, 1, 20, 20), (2, 2, 33, 47), (1, 3, 7, 7)):
        a = rng.random(shape)
        b = np.clip(a + rng.normal(0, 0.1, shape), 0, 1)
        expected = [peak_signal_noise_ratio(x, y, data_range=1) for x, y in zip(a, b)]
        np.testing.assert_allclose(mv.psnr(a, b), expected, rtol=1e-6)
        expected = [np.mean([structural_similarity(p, q, data_range=1) for p, q in zip(x, y)]) for x, y in zip(a, b)]
        np.testing.assert_allclose(mv.ssim(a, b), expected, atol=1e-5)
    assert measures.psnr(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.1)).item() == pytest.approx(20, abs=1e-4)


def test_scores_against_scikit_learn():
    "The area under the ROC with ties, and F1 of cells found and missed, as another library computes them."
    from sklearn.metrics import f1_score, roc_auc_score

    from microvae.evaluation.prediction import _mann_whitney

    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.3
    scores = rng.normal(size=200).round(1) + truth
    assert _mann_whitney(scores, truth) == pytest.approx(roc_auc_score(truth, scores))
    for hits, extra, missed in rng.integers(0, 9, (20, 3)) + [1, 0, 0]:
        cells = np.array([(1, 1)] * hits + [(0, 1)] * extra + [(1, 0)] * missed)
        assert mv.f1_scores([(hits, extra, missed)])[0] == pytest.approx(f1_score(*cells.T))


@few
@given(
    height=st.integers(2, 90),
    width=st.integers(2, 90),
    channels=st.integers(1, 5),
    latent=st.integers(1, 9),
    n=st.integers(1, 3),
)
def test_the_adaptable_network_takes_any_size(height, width, channels, latent, n):
    model = mv.build("thesis", (channels, height, width), latent).eval()
    images = torch.rand(n, channels, height, width)
    with torch.no_grad():
        out = model(images)
    assert out.reconstruction.shape == images.shape
    assert out.mean.shape == out.log_variance.shape == (n, latent)
    assert 0 <= out.reconstruction.min()
    assert out.reconstruction.max() <= 1
    assert out.mean.isfinite().all()
    assert 1 <= model.architecture.depth <= max(1, int(math.log2(max(height, width))))
    assert mv.interpolated_depth(height, width) >= 1


@few
@given(
    name=st.sampled_from([*THESIS, *REPORTS]),
    height=st.integers(4, 70),
    width=st.integers(4, 70),
    channels=st.integers(1, 3),
    depth=st.integers(1, 6),
)
def test_every_network_fits_or_says_why_not(name, height, width, channels, depth):
    for called in (name, f"depth{depth}"):
        try:
            model = mv.build(called, (channels, height, width)).eval()
        except MicroVAEError as error:
            assert "\n" not in str(error)
            continue
        with torch.no_grad():
            assert model(torch.rand(2, channels, height, width)).reconstruction.shape == (2, channels, height, width)


@pytest.mark.numerics
def test_a_step_is_pytorch_s_own():
    "One epoch of the engine is a plain loop of PyTorch over the same batches: the engine's speed changes no number."
    from microvae.training.engine import prepare, start_or_resume

    cells = mv.lung_fret(64)
    rate = 1e-4
    # Adam's first step has the size of the learning rate whatever the gradient is, so that the sign of a gradient that
    # is nothing but rounding would count; SGD's step is the gradient. notebook training/05_step compares Adam in float64
    training = mv.Training(
        epochs=1, batch_size=64, precision="float32", seed=5, optimizer="sgd", momentum=0.0, learning_rate=rate
    )
    run = mv.fit("MP2_64", cells, mv.RunConfig(training=training), None, device="cpu", progress=False)

    config = prepare("MP2_64", cells, None, run.config)
    loop, _ = start_or_resume(None, cells, config, None, torch.device("cpu"))
    model = loop.model
    images = torch.from_numpy(cells.images)
    noise = loop.sampler.noise(images)
    batch = images[loop.sampler.order(images)]
    mean, log_variance = model.posterior(batch)
    made = model.decode(mean + noise * (0.5 * log_variance).exp())
    loss = (
        nn.functional.mse_loss(made, batch, reduction="sum") / 64
        + (0.5 * (mean.square() + log_variance.exp() - log_variance - 1)).sum(1).mean()
    )
    gradients = torch.autograd.grad(loss, list(model.parameters()))

    # loss and gradients are sums over at most all pixels of all images
    rounding = likely_rounding_of_sum(batch.numel())
    assert run.history.total.iloc[0] == pytest.approx(loss.item(), rel=rounding)
    after = dict(run.network.named_parameters())
    for (name, before), gradient in zip(model.named_parameters(), gradients):
        step = rate * gradient
        allowed = rounding * step.abs().max().item() + UNIT["float32"] * before.abs().max().item()
        assert step.abs().max() > 10 * allowed, f"{name}: the step is too small to be seen"
        torch.testing.assert_close(after[name], before - step, rtol=0, atol=2 * allowed, msg=name)


def test_networks_without_a_difference_are_announced_in_at_most_5_percent_of_chapters():
    "Pure noise through all claims of the first chapter: orders, smallest values, margins and limits, with five seeds."
    random = np.random.default_rng(0)
    rows = [
        dict(experiment="architectures", latent_dim=d, model=m, beta=1.0, seed=s)
        for d in (2, 10, 20)
        for m in NETWORKS
        for s in range(5)
    ]
    betas = (0.1, 0.5, 0.8, 1.0, 1.5, 4.0, 10.0)
    rows += [dict(experiment="beta", latent_dim=2, model="MP4", beta=b, seed=s) for b in betas for s in range(5)]
    # as many cells as 10 nats can name, so that claims on memorising, too, are neither true nor false
    runs = pd.DataFrame(rows).assign(epochs=20, images=np.exp(10))
    measured = ["reconstruction", "validation_reconstruction", "kl", "total", "weighted_kl", "ssim"]
    measured += ["empirical_kl_means_1", "empirical_kl_means_2"]
    epochs = pd.DataFrame(
        [dict(experiment=e, run=e, seed=0, epoch=i, total=1.0) for e in ("architectures", "beta") for i in range(20)]
    )
    announced = 0
    chapters = 60
    for _ in range(chapters):
        noise = 10 + random.normal(size=(len(runs), len(measured)))
        noise[:, 1] *= MEMORISED  # held-out cells at the limit of one claim
        noise[:, -2:] = 0.44 + 0.1 * random.normal(size=(len(runs), 2))  # the limit of one claim, so that it is neither
        results = Results({"runs": runs.join(pd.DataFrame(noise, columns=measured)), "history": epochs}, {}, {})
        table = memory_b_claims(results)
        asked = table[table.why != "arithmetic"]
        assert len(asked) >= 20
        announced += asked.verdict.isin(["supported", "contradicted"]).any()
    assert announced <= chapters * 0.05 + 2 * (chapters * 0.05 * 0.95) ** 0.5
