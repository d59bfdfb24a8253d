"The checks of those notebooks that compare numbers at little cost, for numerics.py, which runs them in each of its settings; the site executes them once anyway."

import pytest

NOTEBOOKS = (
    "data/16_augment",
    "evaluation/00_reconstruction",
    "evaluation/01_latent",
    "evaluation/06_anomaly",
    "evaluation/15_quality",
    "core/08_geometry",
    "models/03_bottlenecks",
    "models/06_losses",
    "models/07_measures",
)


@pytest.mark.numerics
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_checks_of_a_notebook(root, name):
    from nbdev.test import test_nb

    passed, _ = test_nb(root / "nbs" / f"{name}.ipynb", basepath=root)
    assert passed, "what failed stands above"
