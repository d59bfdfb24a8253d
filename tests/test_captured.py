"A GPU does what a CPU does: every kind of run through an emulated capture and replay, without a GPU."

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from capture import CaptureError, OnlyOn, emulated
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import microvae as mv
from microvae.models.blocks import Dropout
from microvae.models.catalogue import REPORTS, THESIS
from microvae.training.config import ModelConfig, Objective, RunConfig, Training
from microvae.training.step import CAPTURES, Batch, CapturedGradient, Step

CELLS = mv.lung_fret(44)
LARGE = mv.CellImages(np.random.default_rng(0).random((11, 1, 32, 32), dtype=np.float32))
MASKED = mv.CellImages(np.concatenate([CELLS.images, (CELLS.images[:, :1] > 0.3).astype(np.float32)], 1))
RGB = mv.CellImages(np.random.default_rng(1).random((11, 3, 17, 23), dtype=np.float32))


def config(name="MP2_64", latent_dim=None, objective=None, augmentation=None, changes=(), **training) -> RunConfig:
    "A run of two epochs whose last batch is smaller than the others."
    training = dict(epochs=2, batch_size=16, precision="float32") | training
    return RunConfig(
        model=ModelConfig(name, latent_dim, changes=changes),
        objective=Objective(**objective or {}),
        training=Training(**training),
        augmentation=augmentation or mv.Augmentation(),
    )


SMALL = dict(batch_size=4)
EVERYTHING = mv.Augmentation(
    flip=True, rotation=180, shift=0.1, crop=0.9, brightness=0.2, contrast=0.2, blur=1.0, gaussian_noise=0.02
)
RUNS = {
    **{name: (LARGE, config(name, **SMALL)) for name in (*THESIS, *REPORTS)},
    "odd shape": (RGB, config("thesis", 5, **SMALL)),
    "pose-normalised": (CELLS, config("thesis", changes={"pose_normalised": True})),
    "bfloat16": (CELLS, config(precision="bfloat16")),
    "bce": (CELLS, config(objective=dict(likelihood="bce"))),
    "inside masks": (MASKED, config(objective=dict(mask_channel=MASKED.image_shape[0] - 1))),
    "free bits": (CELLS, config(latent_dim=4, objective=dict(free_bits=0.5))),
    "total correlation": (CELLS, config(latent_dim=4, objective=dict(total_correlation=6.0))),
    "capacity": (CELLS, config(latent_dim=4, objective=dict(capacity=5.0))),
    "warm-up and cosine": (CELLS, config(objective=dict(kl_warmup=2), schedule="cosine")),
    "cycles and plateau": (CELLS, config(objective=dict(kl_cycles=1), schedule="plateau")),
    "clipped, SGD": (CELLS, config(optimizer="sgd", momentum=0.9, gradient_clip=10.0, learning_rate=1e-5)),
    "decay and quality": (CELLS, config(weight_decay=1e-4, quality=True)),
    "augmented": (CELLS, config(augmentation=EVERYTHING)),
    "photon noise": (CELLS, config(augmentation=mv.Augmentation(poisson_photons=200.0))),
    "spectra": (CELLS, config(augmentation=mv.Augmentation(fourier_magnitude=True))),
    "channel dropout": (RGB, config("thesis", 5, augmentation=mv.Augmentation(channel_dropout=0.3), **SMALL)),
    "channel dropout and pose": (
        RGB,
        config("adaptable", 4, augmentation=mv.Augmentation(channel_dropout=0.3), **SMALL),
    ),
    "alignment": (CELLS, config(objective=dict(alignment=1.0), augmentation=mv.Augmentation(rotation=180))),
    "dropout": (LARGE, config("dlip_vae", **SMALL)),
    "dropout and alignment": (
        LARGE,
        config("dlip_vae", objective=dict(alignment=1.0), augmentation=mv.Augmentation(flip=True), **SMALL),
    ),
}


@pytest.fixture
def captured(monkeypatch):
    "From here on, gradients are captured and replayed."
    return lambda capture=emulated: monkeypatch.setitem(CAPTURES, "cpu", capture)


def trained(cells, run, **settings):
    return mv.fit(None, cells, run, device="cpu", progress=False, **settings)


def assert_same(one, other):
    "Both runs have the same history and weights, bit for bit."
    pd.testing.assert_frame_equal(one.history, other.history, check_exact=True)
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, other.network.state_dict()[name]), name


def assert_close(one, other, precision="float32"):
    """Both runs have the same history but for rounding.

    Adam moves a weight by up to the learning rate however small its gradient is, so also one whose gradient is nothing
    but rounding: differences of 10⁻⁷ in a gradient became up to 3·10⁻³ of a loss within 27 steps on a CPU. Other random
    numbers or another order change it by more than a tenth. (Notebooks compare the same in float64, to 10⁻⁹.) The KL is
    a difference of terms near 1, so its rounding is that of 1.
    """
    tolerance = {"float32": 1e-2, "bfloat16": 5e-2}[precision]
    pd.testing.assert_frame_equal(one.history, other.history, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", RUNS)
def test_a_captured_run_equals_a_plain_one(name, captured):
    "The same operations on the same machine: bit for bit, whatever the network, the objective and the last batch."
    plain = trained(*RUNS[name])
    captured()
    assert_same(trained(*RUNS[name]), plain)


@pytest.mark.parametrize("name", ["dropout", "BN2", "augmented", "MP2_64"])
def test_a_captured_run_resumes(name, captured, tmp_path):
    "Each piece captures anew; the numbers are those of a run without pauses."
    captured()
    whole = trained(*RUNS[name])
    piece = trained(*RUNS[name], folder=tmp_path, time_budget=0.0)
    assert not piece.finished
    while not piece.finished:
        piece = trained(*RUNS[name], folder=tmp_path, time_budget=0.0)
    assert_same(piece, whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", RUNS)
def test_a_gpu_has_the_curve_of_a_cpu(name):
    """Epoch by epoch, augmentation and dropout included: the random numbers are the same. (Seen on an H200: 6·10⁻⁷ without
    batch norm, 3·10⁻³ with it, which divides by what may be near 0.)
    """
    cells, run = RUNS[name]
    gpu = mv.fit(None, cells, run, device="cuda", progress=False)
    assert_close(gpu, trained(cells, run), run.training.precision)


STACKS = {
    "latent sizes": (dict(), dict(latent_dim=[2, 3], beta=[0.5, 2.0])),
    "clipped": (dict(gradient_clip=5.0), dict(seed=range(3))),
    "bfloat16": (dict(precision="bfloat16"), dict(seed=range(2))),
    "free bits": (dict(objective=dict(free_bits=0.1)), dict(seed=range(2))),
    "total correlation": (dict(objective=dict(total_correlation=4.0)), dict(seed=range(2))),
    "capacity": (dict(objective=dict(capacity=5.0)), dict(seed=range(2))),
    "bce": (dict(objective=dict(likelihood="bce")), dict(seed=range(2))),
    "pose-normalised": (dict(name="thesis", changes={"pose_normalised": True}), dict(seed=range(2))),
}


def swept(name, folder, **settings):
    base, values = STACKS[name]
    configs = mv.grid(config(**base), **values)
    return mv.sweep(configs, CELLS, folder=folder, device="cpu", progress=False, **settings)


@pytest.mark.parametrize("name", STACKS)
def test_a_captured_stack_equals_runs_trained_alone(name, captured, tmp_path):
    "Runs that share their steps differ from runs trained alone by the rounding of other kernels."
    alone = swept(name, tmp_path / "alone", workers=1)
    captured()
    together = swept(name, tmp_path / "together", stacked=True)
    for one, other in zip(together, alone):
        assert_close(one, other, one.config.training.precision)


def short_of_memory():
    "A capture that finds no memory the first time."
    tried = []

    def capture(call):
        if tried:
            return emulated(call)
        tried.append(call)
        raise torch.OutOfMemoryError("CUDA out of memory")

    return capture


@pytest.mark.parametrize("name", ["MP2_64", "dropout", "alignment"])
def test_short_memory_takes_a_batch_in_parts(name, captured):
    "Dropout drops the same values, since they belong to the image and not to the batch; sums are rounded otherwise."
    plain = trained(*RUNS[name])
    captured(short_of_memory())
    # batch norm sees the parts of a batch, so its networks get other numbers and are only finite
    with pytest.warns(UserWarning, match="same result up to rounding"):
        parts = trained(*RUNS[name])
    if any(isinstance(layer, nn.BatchNorm2d) for layer in parts.network.modules()):
        assert np.isfinite(parts.history.total).all()
    else:
        assert_close(parts, plain)


def test_short_memory_halves_a_stack(captured, tmp_path):
    alone = swept("latent sizes", tmp_path / "alone", workers=1)
    captured(short_of_memory())
    with pytest.warns(UserWarning, match="in two parts"):
        halves = swept("latent sizes", tmp_path / "halves", stacked=True)
    for one, other in zip(halves, alone):
        assert_close(one, other)


FAULTS = {
    "a list as index": (lambda x: x[:, [1, 0]].sum(), "constant"),
    "a tensor made of numbers": (lambda x: (x * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum(), "constant"),
    "a number asked of the device": (lambda x: x * x.sum().item(), "waits"),
    "a condition on values": (lambda x: x if x.sum() > 0 else -x, "waits"),
    "as many as there are": (lambda x: x[x > 0], "waits"),
    "random numbers": (lambda x: x + torch.randn_like(x), "random"),
    "PyTorch's dropout": (nn.Dropout(0.5), "random"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_captured_is_refused(name):
    function, word = FAULTS[name]
    with pytest.raises(CaptureError, match=word):
        emulated(lambda: function(torch.ones(3, 4)))


def test_a_replay_repeats_what_was_captured_and_nothing_else():
    "A number of the host is frozen, and an input of another shape does not fit: the emulation sees what a GPU would."
    factor = [2.0]
    place = torch.ones(3)
    replay, found = emulated(lambda: place * factor[0])
    factor[0] = 5.0
    place.copy_(torch.arange(3.0))
    replay()
    assert found.tolist() == [0.0, 2.0, 4.0]
    with pytest.raises(RuntimeError, match="size of tensor"):
        place.copy_(torch.ones(4))


def test_each_set_of_shapes_has_a_graph_of_its_own():
    "A stack of runs has as many rows in its last batch as in the others, but fewer images."
    graphs = CapturedGradient(lambda images: images.sum((1, 2)), nn.Linear(1, 1), torch.zeros(1), emulated)
    for width in (5, 3, 5):
        assert graphs(torch.ones(2, width, 4)).tolist() == [4.0 * width] * 2
    assert len(graphs.captured) == 2


def on_device(model: nn.Module, device: str) -> nn.Module:
    "A model whose weights lie on a device that is not there."
    for layer in model.modules():
        for name, weight in layer._parameters.items():
            if weight is not None:
                place = torch.empty_strided(weight.shape, weight.stride(), dtype=weight.dtype, device=device)
                layer._parameters[name] = nn.Parameter(place)
        for name, buffer in layer._buffers.items():
            layer._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device=device)
    return model


# a step in bfloat16 is for a GPU that is not there; only the devices of its tensors are looked at
@pytest.mark.filterwarnings("ignore:CUDA is not available or torch_xla is imported:UserWarning")
@pytest.mark.parametrize("name", RUNS)
def test_a_step_touches_only_its_device(name, monkeypatch):
    """The objective of every run with tensors that say they are on a GPU: shapes and devices are checked, nothing is
    computed. float64, which Apple's devices lack, does not occur.
    """
    cells, run = RUNS[name]
    device = "cuda"
    monkeypatch.delitem(CAPTURES, device)
    logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)
    with torch.device("meta"):
        network = run.model.network(cells.image_shape)
    width = network.latent_dim if network.probabilistic else 0
    dtype = torch.bfloat16 if run.training.precision == "bfloat16" else torch.float32
    with FakeTensorMode():
        step = Step(on_device(network, device), run, dtype)
        images = torch.empty(4, *cells.image_shape, device=device)
        noise = torch.empty(4, width, device=device)
        seeds = torch.empty(4, dtype=torch.int64, device=device)
        capacity = torch.empty((), device=device)
        second_view = images if run.objective.alignment else None
        with OnlyOn(device):
            terms = step.loss(Batch(images, noise, seeds, second_view), capacity)
            total = terms.total(capacity)
    assert total.device.type == device
    assert step.drops == any(isinstance(layer, Dropout) for layer in network.modules())
