"The ten networks of the thesis, held to Tables 3 to 12."

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import microvae as mv
from microvae.models.catalogue import layer_table

TABLES = json.loads((Path(__file__).parent / "reference" / "architectures.json").read_text())


@pytest.fixture(params=TABLES)
def network(request):
    row = TABLES[request.param]
    return mv.build(request.param, tuple(row["image"]), row["latent_dim"]).eval(), row


def test_totals_are_the_printed_ones(network):
    "A thesis reader gets the published network, to the last parameter and megabyte."
    model, row = network
    _, totals = layer_table(model)
    assert totals["parameters"] == row["total_parameters"]
    for column in ("mult_adds_millions", "forward_backward_mb", "params_mb", "estimated_total_mb"):
        assert round(totals[column], 2) == pytest.approx(row[column], abs=0.0101), column


def sizes_after(model, kind, image_shape):
    "Heights that come out of every layer of a kind."
    seen = []
    hooks = [
        m.register_forward_hook(lambda _, __, out: seen.append(out.shape[-2]))
        for m in model.modules()
        if isinstance(m, kind)
    ]
    model(torch.rand(1, *image_shape))
    for hook in hooks:
        hook.remove()
    return seen


def test_every_size_kernel_and_padding(network):
    "Every encoder and decoder map has the printed size."
    model, row = network
    encoder_kind = nn.MaxPool2d if "maxpool" in row["block"] else nn.Conv2d
    ups = [m for m in model.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert sizes_after(model, encoder_kind, row["image"]) == row["encoder_sizes"]
    assert sizes_after(model, nn.ConvTranspose2d, row["image"]) == row["decoder_sizes"]
    assert [up.kernel_size[0] for up in ups] == row["decoder_kernel"]
    assert [up.output_padding[0] for up in ups] == row["decoder_output_padding"]
    assert [block[0].out_channels for block in model.encoder] == row["channels"]
