"A killed run is not a lost run."

import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
import torch

import microvae as mv

SCRIPT = """
import sys, torch, microvae as mv
from microvae.training.config import Training
torch.set_num_threads(1)
config = mv.RunConfig(training=Training(epochs=12, batch_size=16, seed=4))
mv.fit("MP2_64", mv.lung_fret(300), config, folder=sys.argv[1], device="cpu", checkpoint_every=0, progress=False, on_epoch=lambda rows: print(len(rows), flush=True))
"""


@pytest.mark.posix
def test_kill_9_in_the_middle_changes_no_number(tmp_path):
    "Power cut, out of memory, closed laptop: the run goes on and ends bit for bit where it would have."
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "killed")], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if int(line) == 4:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    assert not list((tmp_path / "killed").rglob("model.safetensors"))
    again = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "killed")], check=True, capture_output=True, text=True
    )
    assert int(again.stdout.split()[0]) > 1, "it started from scratch"
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "whole")], check=True, capture_output=True)
    [killed], [whole] = (list((tmp_path / name).iterdir()) for name in ("killed", "whole"))
    assert killed.name == whole.name
    pd.testing.assert_frame_equal(mv.load_model(killed).history, mv.load_model(whole).history, check_exact=True)
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_simulators_are_exact_and_nested():
    "The same seed gives the same cells, and every donor belongs to one cohort."
    first = mv.memory_b(150)
    assert (first.images[:30] == mv.memory_b(30).images).all()
    assert first.table.donor.nunique() == 12
    assert first.table.groupby("donor").cohort.nunique().max() == 1


def test_parts_of_the_objective_agree_with_torch():
    "Losses are per image and in the units that the docs state."
    model = mv.build("MP2_64", (1, 20, 20))
    images = torch.rand(5, 1, 20, 20)
    out = model(images)
    terms = mv.elbo_terms(out, images)
    expected = torch.nn.functional.mse_loss(out.reconstruction, images, reduction="sum") / 5
    torch.testing.assert_close(terms.reconstruction.mean(), expected)
    assert terms.total(2.0).shape == (5,)
