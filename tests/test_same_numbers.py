"The same numbers tomorrow: bit for bit on one machine with one number of threads and one instruction set, elsewhere and with other versions of PyTorch within what rounding does."

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from golden import KEPT, SIMULATED, configs, of_simulation, of_training
from tolerance import likely_rounding_of_sum

import microvae as mv
from microvae.study.results import compare_results

#: Trainings that run again in each setting: a plain network, the one that amplifies most, and pose-normalised images.
IN_EACH_SETTING = ("MP2_64", "BN2", "pose_normalised")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.numerics if name in IN_EACH_SETTING else ()) for name in configs()]
)
def test_golden_values(name):
    """Another processor or PyTorch gives the same history, and puts a cell where it was.

    A training amplifies roundings: `spread` is what one rounding of the weights that it starts from comes to. Another processor rounds otherwise at every step, so that as many spreads are allowed as there are steps; and the sums over pixels that a loss is are rounded themselves.
    """
    kept = json.loads(KEPT.read_text())
    cells, config = configs()[name]
    steps = config.training.epochs * math.ceil(len(cells) / config.training.batch_size)
    of_sums = likely_rounding_of_sum(cells.images[:].size)
    found = of_training(name)
    for part, expected in kept["numbers"][name].items():
        expected = np.asarray(expected)
        spread = np.asarray(kept["spread"][name][part])
        scale = np.abs(expected).max() if part == "codes" else np.abs(expected)
        off = np.abs(np.asarray(found[part]) - expected) / (steps * spread + of_sums * scale + 1e-9)
        assert (off <= 1).all(), (
            f"{part}: {off.max():.2g} times what is allowed, with torch {torch.__version__} instead of {kept['torch']}: {found[part]}"
        )


@pytest.mark.parametrize("name", SIMULATED)
def test_simulated_images_are_where_they_were(name):
    "No sum is in float32 here; what is allowed is for other versions of NumPy, SciPy and scikit-image."
    expected = json.loads(KEPT.read_text())["numbers"][f"simulated {name}"]
    found = of_simulation(name)
    for part in expected:
        np.testing.assert_allclose(found[part], expected[part], rtol=5e-3, atol=1e-4, err_msg=part)


def test_twice_the_same_bits(tmp_path):
    "Two processes on one machine with one number of threads and one instruction set, one seed: weights, history and codes are the same files."
    script = "import sys; sys.path.insert(0, sys.argv[2]); import microvae as mv; from golden import configs\nfor name, (cells, config) in configs().items(): mv.fit(None, cells, config, folder=sys.argv[1] + '/' + name, device='cpu', progress=False)"
    for name in ("first", "second"):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / name), str(KEPT.parents[1])], check=True)
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
    assert len(files) == 5 * len(configs())
    assert files == sorted(
        path.relative_to(tmp_path / "second") for path in (tmp_path / "second").rglob("*") if path.is_file()
    )
    for file in files:
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes(), file


def test_another_seed_is_another_run():
    "The first epoch already differs by more than rounding could make of it anywhere."
    cells, config = configs()["MP2_64"]
    config = replace(config, training=replace(config.training, epochs=1, seed=4))
    other = mv.fit(None, cells, config, device="cpu", progress=False).history.reconstruction[0]
    kept = json.loads(KEPT.read_text())["numbers"]["MP2_64"]["reconstruction"][0]
    assert abs(other / kept - 1) > 10 * likely_rounding_of_sum(cells.images[:].size)


def test_the_environment_is_written_into_each_run(tmp_path):
    cells, config = configs()["MP2_64"]
    run = mv.fit(None, cells, config, folder=tmp_path, device="cpu", progress=False)
    [told] = json.loads((run.folder / "environment.json").read_text())["environments"]
    assert told["first_epoch"] == 1
    assert told["threads"] == torch.get_num_threads()
    assert told["instruction_set"]
    assert told["torch"] == torch.__version__.split("+")[0]
    assert told["numpy"] == np.__version__
    assert told["python"] == sys.version.split()[0]
    assert told["device"] == "cpu"
    assert told["system"]


#: What must be the same for two computers to round in the same way.
ROUNDING = ("hardware", "instructions", "threads", "torch", "device")


@pytest.mark.parametrize("chapter", ["memory_b", "lung_cells", "image_size"])
def test_recorded_tables_can_be_made_again(root, chapter):
    "What `make study` has just made is what was recorded: to a thousandth where roundings are the same, elsewhere the same tables of the same runs, since long training amplifies a rounding without a limit."
    made = root / "build" / "quick" / chapter / "results"
    recorded = root / "results" / "quick" / chapter
    if not made.exists():
        pytest.skip("make study has not been run here")
    here, then = (json.loads((folder / "provenance.json").read_text()) for folder in (made, recorded))
    found = compare_results(recorded, made)
    assert len(found) > 20
    # what was recorded before all of these were written down is of a computer that is not known
    same = all(name in then and here[name] == then[name] for name in ROUNDING)
    off = found[found.difference > (1e-3 if same else np.inf)]
    assert off.empty, off.to_string()
    words = found[found.column.isin(["experiment", "model", "latent_dim", "beta", "seed", "epochs", "parameters"])]
    assert (words.difference == 0).all(), words.to_string()
