"The same numbers tomorrow: on this machine bit for bit, on others and with other versions of PyTorch within what rounding does."

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from golden import KEPT, configs, numbers

import microvae as mv
from microvae.study.compare import compare_results


def flat(tree, name=""):
    "Name -> number, of a tree."
    if isinstance(tree, dict):
        return {key: value for part in tree for key, value in flat(tree[part], f"{name}/{part}").items()}
    if isinstance(tree, list):
        return {key: value for k, part in enumerate(tree) for key, value in flat(part, f"{name}/{k}").items()}
    return {name: tree}


def test_golden_values():
    "Whoever installs another PyTorch gets the same history; the codes of a cell are where they were, to a hundredth."
    kept = json.loads(KEPT.read_text())
    expected, found = flat(kept["numbers"]), flat(numbers())
    assert expected.keys() == found.keys()
    off = {
        name: (expected[name], found[name])
        for name in expected
        if not np.isclose(found[name], expected[name], rtol=5e-3, atol=1e-2 if "/codes/" in name else 1e-4)
    }
    assert not off, f"torch {torch.__version__} instead of {kept['torch']}: {dict(list(off.items())[:8])}"


def test_twice_the_same_bits(tmp_path):
    "Two processes, one seed: weights, history and codes are the same files."
    script = "import sys; sys.path.insert(0, sys.argv[2]); import microvae as mv; from golden import configs\nfor name, (cells, config) in configs().items(): mv.fit(None, cells, config, folder=sys.argv[1] + '/' + name, device='cpu', progress=False)"
    for name in ("first", "second"):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / name), str(KEPT.parents[1])], check=True)
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
    assert len(files) == 5 * len(configs()) and files == sorted(
        path.relative_to(tmp_path / "second") for path in (tmp_path / "second").rglob("*") if path.is_file()
    )
    for file in files:
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes(), file


def test_another_seed_is_another_run():
    cells, config = configs()["MP2_64"]
    other = mv.fit(
        "MP2_64",
        cells,
        mv.RunConfig(training=mv.Training(epochs=3, seed=4, precision="float32")),
        device="cpu",
        progress=False,
    )
    assert (
        abs(
            other.history.reconstruction.iloc[0]
            / json.loads(KEPT.read_text())["numbers"]["MP2_64"]["reconstruction"][0]
            - 1
        )
        > 1e-4
    )


def test_the_environment_is_written_into_each_run(tmp_path):
    cells, config = configs()["MP2_64"]
    run = mv.fit(None, cells, config, folder=tmp_path, device="cpu", progress=False)
    told = json.loads((run.folder / "environment.json").read_text())
    assert (
        told["torch"] == torch.__version__.split("+")[0]
        and told["numpy"] == np.__version__
        and told["python"] == sys.version.split()[0]
        and told["device"] == "cpu"
        and told["system"]
    )


@pytest.mark.parametrize("phase", ["phase1", "phase2", "phase3"])
def test_recorded_tables_can_be_made_again(root, phase):
    "What `make study` has just made is what was recorded: on the same processor and PyTorch to a thousandth, elsewhere the same tables of the same runs."
    made, recorded = root / "build" / "quick" / phase / "results", root / "results" / "quick" / phase
    if not made.exists():
        pytest.skip("make study has not been run here")
    here, then = (json.loads((folder / "provenance.json").read_text()) for folder in (made, recorded))
    found = compare_results(recorded, made)
    assert len(found) > 20
    same = all(here[name] == then[name] for name in ("hardware", "torch", "device"))
    off = found[found.difference > (1e-3 if same else np.inf)]
    assert off.empty, off.to_string()
    words = found[found.column.isin(["experiment", "model", "latent_dim", "beta", "seed", "epochs", "parameters"])]
    assert (words.difference == 0).all(), words.to_string()
