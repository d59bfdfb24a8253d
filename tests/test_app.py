"The command and the estimator as the README shows them, and what they say when something is wrong."

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from command import COMMAND, here
from command import microvae as own_process

import microvae as mv
from microvae.training.model import read_card

README = (Path(__file__).parents[1] / "README.md").read_text()
ALONE = README[README.index("## A first map") : README.index("The functions behind the estimator")]


def microvae(*words, cwd, **settings):
    return own_process(
        *words, cwd=cwd, env=os.environ | {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": ""} | settings
    )


def said(done, *words):
    "Bad input: exit code 2, one sentence, no traceback."
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("microvae: ")]
    assert len(told) == 1, done.stderr
    for word in words:
        assert str(word) in told[0], told[0]


def write_tiffs(folder, cells):
    folder.mkdir()
    for i, image in enumerate(cells.images):
        tifffile.imwrite(folder / f"cell{i:03d}.tif", (image[0] * 4095).astype(np.uint16))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    "A folder as the README has it: my_crops/, and treated/ in which every third cell is noise."
    place = tmp_path_factory.mktemp("newcomer")
    write_tiffs(place / "my_crops", mv.lung_fret(60))
    treated = mv.lung_fret(30, seed=5)
    treated.images[::3] = np.random.default_rng(0).random(treated.images[::3].shape)
    write_tiffs(place / "treated", treated)
    return place


@pytest.fixture(scope="module")
def trained(place):
    "A run of the README's first command."
    done = microvae("train", "my_crops/", "--epochs", 3, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_readmes_eight_lines(place):
    "From a folder of TIFFs to a picture of the map."
    code = re.search(r"```python\n(.*?)```", ALONE, re.S).group(1)
    assert len(code.strip().splitlines()) == 8
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=900,
        env=os.environ | {"MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr
    assert "explains" in done.stdout
    assert tifffile.imread(place / "my_crops" / "cell000.tif").shape == (20, 20)
    import imageio.v3 as imageio

    assert imageio.imread(place / "map.png").std() > 10
    assert (place / "map.html").stat().st_size > 1_000_000
    assert mv.MicroVAE.load(place / "my_model").transform(mv.load_images(place / "my_crops")).shape == (60, 32)


def test_the_readmes_commands(place, trained):
    "Each line of the README's terminal block works as it stands, in that folder."
    lines = [
        line.split("#")[0].split() for line in re.search(r"```sh\n(microvae.*?)```", ALONE, re.S).group(1).splitlines()
    ]
    assert [line[1] for line in lines] == ["train", "explore", "report", "embed", "detect", "export"]
    for line in lines[1:]:
        done = here(*[word for word in line[1:] if word != "--serve"], cwd=place)
        assert done.returncode == 0, (line, done.stderr)
        if line[1] == "detect":
            assert "brighter" in done.stderr, "treated cells are brighter than any for training, and that is told"
            found = place / line[3]
    outliers = pd.read_csv(found)
    assert set(outliers.file[:10].str.extract(r"(\d+)")[0].astype(int)) == set(range(0, 30, 3)), "noise scores highest"
    assert outliers.outlier[:10].all()
    assert found.with_suffix(".png").exists()
    import anndata

    codes = anndata.read_h5ad(place / "codes.h5ad")
    assert codes.obsm["X_microvae"].shape == (60, 32)
    assert codes.obs.file.nunique() == 60
    assert json.loads(codes.uns["microvae"]["card"])["run"] == Path(trained["folder"]).name
    import onnxruntime

    images = mv.load_images(place / "my_crops").images
    mean = onnxruntime.InferenceSession(str(place / "onnx" / "encoder.onnx")).run(["mean"], {"images": images})[0]
    # what an exported graph is held to when it is written (TOLERANCE in app/export)
    assert np.allclose(mean, codes.obsm["X_microvae"], rtol=1e-4, atol=1e-4)


def test_json_is_one_object_and_nothing_else(place, trained):
    for words in (
        ("embed", "runs", "j.csv"),
        ("reconstruct", "runs", "j.tif"),
        ("detect", "runs", "j2.csv"),
        ("report", "runs", "j.html"),
        ("explore", "runs", "j2.html", "--decoder", "atlas"),
        ("export", "runs", "torch", "j_torch"),
        ("data", "lung_fret", "j.npz", "--n", 5),
        ("models",),
        ("doctor",),
    ):
        done = here(*words, "--json", cwd=place)
        assert done.returncode == 0, (words, done)
        assert isinstance(json.loads(done.stdout), dict), (words, done)
    stack = tifffile.imread(place / "j.tif")
    assert stack.shape[0] == 60
    assert stack.shape[-2:] == (20, 20)


def test_a_log_has_lines_and_no_bars(place, trained):
    "What goes to a file can be read in it."
    done = microvae("train", "my_crops/", "--epochs", 4, cwd=place)
    assert "\r" not in done.stderr
    assert "%|" not in done.stderr
    assert done.stdout.startswith("runs/")


@pytest.mark.posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_a_program_without_streams_works(tmp_path, closed):
    command = f"{COMMAND} train lung_fret --n 60 --epochs 1 --device cpu {closed}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("runs/*/model.safetensors"))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_terminal_with_few_characters_shows_question_marks(encoding):
    given = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([COMMAND, "models"], env=given, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"adaptable" in done.stdout


@pytest.mark.posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_keep_what_was_trained(tmp_path, number):
    "The same command resumes, and nothing trained is lost."
    words = ["train", "lung_fret", "--n", "600", "--epochs", "4000", "--device", "cpu"]
    process = subprocess.Popen(
        [COMMAND, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # a shell's background jobs are deaf to it
    until = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/config.json")) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(12)  # several epochs, on a busy machine too
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "resumes from there" in stderr, stderr
    assert "Traceback" not in stderr, stderr
    done = here(*words, "--time-budget", 0, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["epochs"] > 2
    assert not json.loads(done.stdout)["finished"]


def test_help_has_examples_and_completion_can_be_had(place):
    names = re.findall(r"^│ (\w+) ", microvae("--help", cwd=place, COLUMNS="100", NO_COLOR="1").stdout, re.M)
    assert {
        "data",
        "crop",
        "train",
        "embed",
        "reconstruct",
        "detect",
        "search",
        "study",
        "bench",
        "explore",
        "export",
        "report",
        "doctor",
        "pull",
    } <= set(names)
    for name in names:
        assert "Example: microvae " + name in " ".join(
            re.sub(r"\x1b\[[0-9;]*m", "", here(name, "--help", cwd=place).stdout).split()
        ), name
    assert "completion" in microvae("--help", cwd=place).stdout


def test_what_cannot_work_costs_a_sentence(place, trained, tmp_path):
    home = place / trained["folder"]
    mv.memory_b(6, size=20).save(tmp_path / "two.npz")
    said(here("embed", home, "x.csv", "--images", tmp_path / "two.npz", cwd=tmp_path), "2 channels", "trained on 1")
    said(here("embed", home, "x.csv", "--images", "no/where", cwd=tmp_path), "no/where")
    said(here("embed", "nothing", "x.csv", cwd=tmp_path), "there is no folder nothing")
    other = json.loads(
        here("train", place / "my_crops", "--epochs", 1, "--latent-dim", 3, "--json", cwd=tmp_path).stdout
    )["folder"]
    assert here("embed", other, "codes.csv", cwd=tmp_path).returncode == 0
    said(here("explore", home, "--codes", "codes.csv", cwd=tmp_path), "codes.csv", Path(other).name, home.name)
    said(here("embed", other, "codes.csv", cwd=tmp_path), "codes.csv", "--overwrite")
    card = tmp_path / other / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"format": 99}))
    said(here("report", other, cwd=tmp_path), "card.json", "format 99", "newer")
    card.write_text("{")
    said(here("report", other, cwd=tmp_path), "card.json", "no model card")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said(
            here("explore", home, "--serve", "--port", taken.getsockname()[1], "--decoder", "atlas", cwd=tmp_path),
            f"port {taken.getsockname()[1]}",
        )
    (tmp_path / "mine").mkdir()
    said(here("export", home, "onnx", "mine", "--overwrite", cwd=tmp_path), "something else")
    said(here("export", home, "hub", tmp_path / "hub", cwd=tmp_path), "--name OWNER/NAME")
    said(here("train", place / "my_crops", "--log", "tensorbord", cwd=tmp_path), "tensorboard")
    assert not (tmp_path / "x.csv").exists()
    assert not list(tmp_path.glob("**/*.part*"))
    wrong = microvae("embed", home, cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Missing argument" in wrong.stderr
    said(microvae("embed", home, "x.txt", cwd=tmp_path), "x.txt", ".h5ad")


def test_the_source_of_a_run_that_has_gone(tmp_path):
    "Images that were moved are asked for, by the option that takes them."
    write_tiffs(tmp_path / "crops", mv.lung_fret(12))
    assert here("train", "crops", "--epochs", 1, cwd=tmp_path).returncode == 0
    (tmp_path / "crops").rename(tmp_path / "moved")
    said(here("embed", "runs", "codes.csv", cwd=tmp_path), "crops", "not at")
    assert here("embed", "runs", "codes.csv", "--images", "moved", cwd=tmp_path).returncode == 0
    assert len(pd.read_csv(tmp_path / "codes.csv")) == 12


def test_a_saved_model_is_a_run_and_a_hub_is_a_folder(tmp_path):
    "One folder for the estimator, the commands and the hub; and no file in it is pickle."
    vae = mv.MicroVAE(2, epochs=2, random_state=0, verbose=False, device="cpu").fit(mv.lung_fret(40))
    home = vae.save(tmp_path / "model")
    mv.lung_fret(9).save(tmp_path / "cells.npz")
    assert here("embed", home, "codes.csv", "--images", "cells.npz", cwd=tmp_path).returncode == 0
    assert here("export", home, "hub", "hub", "--name", "lab/lung", cwd=tmp_path).returncode == 0
    pulled = here("pull", "lab/lung", "--hub", "hub", cwd=tmp_path).stdout.strip()
    again = mv.MicroVAE.load(pulled, device="cpu")
    assert np.array_equal(again.transform(mv.lung_fret(9)), vae.transform(mv.lung_fret(9)))
    assert read_card(pulled) == read_card(home)
    for file in home.iterdir():
        assert file.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK"), file
    said(here("pull", "lab/nothing", "--hub", "hub", cwd=tmp_path), "lab/nothing")


def test_a_search_goes_on(tmp_path):
    pytest.importorskip("optuna")
    words = [
        "search",
        "lung_fret",
        "--n",
        60,
        "--epochs",
        1,
        "--try",
        "learning_rate=1e-4..1e-2",
        "--try",
        "latent_dim=2,3",
        "--device",
        "cpu",
        "--json",
    ]
    first = json.loads(here(*words, "--trials", 2, cwd=tmp_path).stdout)
    more = json.loads(here(*words, "--trials", 6, cwd=tmp_path).stdout)
    assert first["trials"] in (2, 3)
    assert more["trials"] in (6, 7)
    assert more["value"] <= first["value"]
    assert set(more["best"]) == {"learning_rate", "latent_dim"}
    said(here("search", "lung_fret", "--try", "latent_dims=2..4", cwd=tmp_path), "latent_dims")
