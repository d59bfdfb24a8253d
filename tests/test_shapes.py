"No image size is ever the user's problem."

import random

import pytest
import torch

import microvae as mv
from microvae.models.depth import deepest

SHAPES = [(1, 8, 8), (2, 8, 1024), (1, 1024, 1024), (4, 33, 47), (3, 255, 257), (2, 140, 140), (1, 9, 8), (6, 17, 500)]


@pytest.mark.parametrize("name", ["adaptable", "thesis"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_adaptable_gives_back_the_size_it_was_given(shape, name):
    model = mv.build(name, shape).eval()
    with torch.no_grad():
        assert model(torch.rand(1, *shape)).reconstruction.shape == (1, *shape)


def test_adaptable_for_random_shapes():
    "Odd, oblong, many channels: 40 shapes that nobody chose."
    choose = random.Random(0)
    for _ in range(40):
        shape = (choose.randint(1, 6), choose.randint(8, 200), choose.randint(8, 200))
        with torch.no_grad():
            for name in ("adaptable", "thesis"):
                assert mv.build(name, shape).eval()(torch.rand(1, *shape)).reconstruction.shape == (1, *shape), shape


def test_rule_stays_within_what_a_side_allows():
    for height in range(8, 1025, 13):
        for width in range(8, 1025, 17):
            depth = mv.interpolated_depth(height, width)
            assert 1 <= depth <= deepest(height, width)
            assert min(height, width) >> depth >= 1


def test_rule_is_the_printed_one_at_the_sizes_of_the_thesis():
    from math import log2

    for side in (20, 80, 140):
        assert mv.interpolated_depth(side, side) == round(2 + 0.356 * (log2(side * side) - 8.64))
