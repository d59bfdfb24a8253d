"""How far two results of one computation may be apart: bounds that follow from how numbers are rounded, not from what was seen.

Another processor adds the terms of a sum in another order and multiplies and adds in one or in two roundings; so does another number of threads, and another version of PyTorch. Notation: u is the unit roundoff, half the distance from 1 to the next number.
"""

import numpy as np

#: Unit roundoff of each precision: 24, 53 and 8 bits of a number are kept.
UNIT = {"float32": 2.0**-24, "float64": 2.0**-53, "bfloat16": 2.0**-8}


def rounding_of_sum(terms: int, precision: str = "float32") -> float:
    """The largest error of a sum of products, as a share of the sum of its terms' magnitudes, in whatever order it is added up.

    Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1: n·u / (1 − n·u).
    """
    together = terms * UNIT[precision]
    return together / (1 - together)


def likely_rounding_of_sum(terms: int, precision: str = "float32") -> float:
    """The same where roundings go up as often as down: 8·√n·u, which is exceeded with a probability below 2n·exp(−8²/2).

    Source: Higham and Mary 2019, A new approach to probabilistic rounding error analysis, theorem 2.4.
    """
    return 8 * terms**0.5 * UNIT[precision]


def assert_one_rounding(found, expected, name: str = ""):
    """Two arrays of float32 that were computed in float64 and rounded once are equal, or neighbours where float64's own rounding crosses the middle between two float32 numbers.

    Neighbours are at most 2⁻²³ of themselves apart. A number that is the small difference of large ones has their rounding: 2⁻²³ of the largest of the array is allowed too.
    """
    found, expected = (np.asarray(part, np.float64) for part in (found, expected))
    assert found.shape == expected.shape, f"{name}: shapes {found.shape} and {expected.shape}"
    allowed = 2 * UNIT["float32"] * (np.abs(expected) + np.abs(expected).max(initial=0))
    off = np.abs(found - expected) / np.maximum(allowed, np.finfo(float).tiny)
    assert (off <= 1).all(), (
        f"{name}: {(off > 1).sum()} of {off.size} numbers differ by up to {off.max():.3g} roundings"
    )
