"Packages of the BioImage Model Zoo, loaded and run by bioimageio.core: pip install 'microvae[bioimageio]'."

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import microvae as mv

core = pytest.importorskip("bioimageio.core", reason="pip install 'microvae[bioimageio]'")


@pytest.mark.parametrize("network", ["adaptable", "mnist_fc_ae"])
def test_packages_give_the_codes_and_images_of_the_model(tmp_path, network):
    from microvae.app.card import train_model
    from microvae.app.export import write_export

    cells = mv.lung_fret(40, size=28)
    config = mv.RunConfig(model=mv.ModelConfig(network), training=mv.Training(1))
    model = train_model(cells, config, progress=False, device="cpu")
    folder, off = write_export("bioimageio", model, cells, tmp_path / "zoo")
    assert max(off.values()) < 1e-4
    encoder = core.load_model_description(folder / "encoder.zip", format_version="latest")
    assert encoder.inputs[0].axes[1].channel_names == ["erk"]
    sample = core.digest_spec.create_sample_for_model(encoder, inputs={"images": cells.images[:1]})
    found = core.predict(model=encoder, inputs=sample)
    mean = found.members["mean"].data.to_numpy()
    assert np.allclose(mean, mv.embed(model, cells[:1], precision="float32"), atol=1e-4)
    assert core.test_model(folder / "decoder.zip").status == "passed"


def test_the_command_writes_both(tmp_path):
    program = shutil.which("microvae", path=Path(sys.executable).parent)
    run = lambda *words: subprocess.run([program, *words], cwd=tmp_path, capture_output=True, text=True)
    trained = run("train", "lung_fret", "--n", "60", "--epochs", "1", "--device", "cpu")
    assert trained.returncode == 0, trained.stderr
    made = run("export", "runs", "bioimageio", "zoo")
    assert made.returncode == 0, made.stderr
    assert "zoo: decoder.zip, encoder.zip; checked against PyTorch" in made.stdout
