"""Runs chapters of the study and keeps their results under results/PROFILE.

With --real FOLDER, public sets below it take the place of simulated ones in the chapters that name them here, and the thesis' three chapters are run on real cells as well, into results/real.

With --thesis, chapter memory_b is run at the thesis' 4,000 epochs on few cells with one seed, into results/thesis; it takes a day on one core, and resumes. With --epochs it ends earlier, and a later call with more goes on from there.

Example: .ci/results.py --profile standard memory_b depth_rule
Example: .ci/results.py --real ~/public_sets
Example: .ci/results.py --thesis --epochs 500
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from microvae.study.chapter import chapters

#: chapter -> data sets and the folders below FOLDER where they lie; an empty one for a simulated set
REAL = {
    "depth_rule": {"memory_b": "", "lung_fret": "", "blood_cells": "bccd_blood_cells"},
    "prediction": {
        "memory_b": "",
        "lung_fret": "",
        "blood_cells": "bccd_blood_cells",
        "dsb2018_kinds": "dsb2018_nuclei",
    },
    "modalities": {
        "memory_b": "",
        "phase_contrast": "",
        "stained_nuclei": "",
        "dsb2018_stained": "dsb2018_nuclei",
        "blood_cells": "bccd_blood_cells",
        "kc167_three": "kc167_three_channel",
        "ht29_cells": "ht29_three_channel",
        "hela_patches": "hela_three_channel",
    },
    "surfaces": {"lipss_sem": "lipss_sem"},
}

#: chapter of the thesis -> set of real cells, its folder, cells and epochs
REAL_CELLS = {
    "memory_b": ("kc167_cells", "kc167_three_channel", 200, 8),
    "lung_cells": ("dsb2018_nuclei", "dsb2018_nuclei", 3000, 15),
    "image_size": ("dsb2018_nuclei", "dsb2018_nuclei", 1200, 8),
}


#: words of the command for the thesis' epochs on few cells: 64 are trained on
AT_LENGTH = ["--profile", "paper", "--cells", 80, "--set", "seeds=[0]", "--set", "latent_dims=[2,20]"]
AT_LENGTH += ["--set", "keep_state=true"]


def study(*words):
    subprocess.run([Path(sys.executable).parent / "microvae", "study", *map(str, words)], check=True)


def keep(name: str, made: Path, kept: Path):
    shutil.rmtree(kept / name, ignore_errors=True)
    shutil.copytree(made / name / "results", kept / name)


def real_sets(name: str, real: Path) -> list:
    "Words of the command that give a chapter its public sets."
    if name == "faces_and_digits":
        return ["--set", "digits=mnist", "--set", f"digits_folder={real / 'mnist_t10k'}"]
    sets = REAL.get(name, {})
    folders = ",".join(str(real / folder) if folder else "" for folder in sets.values())
    return ["--data", ",".join(sets), "--data-folder", folders] if sets else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="chapters; all if none is named")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--real", type=Path, help="a folder of public sets")
    parser.add_argument("--thesis", action="store_true", help="the thesis' epochs on few cells")
    parser.add_argument("--epochs", type=int, default=4000, help="of --thesis")
    given = parser.parse_args()
    if given.thesis:
        study("memory_b", *AT_LENGTH, "--epochs", given.epochs, "--out", "build/thesis")
        keep("memory_b", Path("build/thesis"), Path("results/thesis"))
        sys.exit()
    for name in given.names or chapters():
        study(name, "--profile", given.profile, *(real_sets(name, given.real) if given.real else []))
        keep(name, Path("build") / given.profile, Path("results") / given.profile)
        if given.real and name in REAL_CELLS:
            data, folder, cells, epochs = REAL_CELLS[name]
            words = ["--data", data, "--data-folder", given.real / folder, "--cells", cells, "--epochs", epochs]
            study(name, *words, "--out", "build/real")
            keep(name, Path("build/real"), Path("results/real"))
