"""Build wheel and sdist, and install each in an empty environment of every Python from 3.10 on that is at hand; there the library must train, save, load and report.

python .ci/wheels.py            all Pythons
python .ci/wheels.py 3.12       one
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "results" / "reliability" / "packages.json"
FIRST_USE = """
import sys
import microvae as mv
vae = mv.MicroVAE(epochs=1, verbose=False).fit(mv.lung_fret(100))
home = vae.save(sys.argv[1] + "/model")
assert mv.MicroVAE.load(home).transform(mv.lung_fret(100)).shape == (100, 2)
print(vae.report(sys.argv[1] + "/report.html", mv.lung_fret(100)).stat().st_size, vae.explore(sys.argv[1] + "/map.html", mv.lung_fret(100), decoder="atlas").stat().st_size)
"""


def pythons() -> dict[str, str]:
    "Version -> program, of the Pythons of this machine that the project supports."
    found = {}
    places = [
        *map(Path, os.environ.get("PATH", "").split(os.pathsep)),
        *sorted((Path.home() / ".pyenv" / "versions").glob("*/bin")),
    ]
    for minor in range(10, 15):
        for place in places:
            program = place / f"python3.{minor}"
            if (
                program.exists()
                and subprocess.run([program, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0
            ):
                found[f"3.{minor}"] = str(program)
    return found


def build(out: Path) -> tuple[Path, Path]:
    "Wheel and sdist of this tree."
    for command in ("bdist_wheel", "sdist"):
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import setuptools.build_meta as b, sys; (b.build_wheel if sys.argv[1] == 'bdist_wheel' else b.build_sdist)(sys.argv[2])",
                command,
                out,
            ],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def try_in(program: str, package: Path, folder: Path) -> str:
    "Install into an empty environment, and use it once; the versions that came."
    subprocess.run([program, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
    done = subprocess.run([python, "-c", FIRST_USE, folder], cwd=folder, check=True, capture_output=True, text=True)
    subprocess.run(
        [folder / "env" / "bin" / "microvae", "train", "lung_fret", "--n", "60", "--epochs", "1"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    versions = subprocess.run(
        [
            python,
            "-c",
            "import torch, numpy, zarr; print('torch', torch.__version__, 'numpy', numpy.__version__, 'zarr', zarr.__version__)",
        ],
        capture_output=True,
        text=True,
    ).stdout.strip()
    print(f"{package.name} on {program}: {versions}; report and map of {done.stdout.strip()} bytes", flush=True)
    return versions


if __name__ == "__main__":
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    tried = (
        {(one["package"], one["python"]): one for one in json.loads(KEPT.read_text())["installed"]}
        if KEPT.exists()
        else {}
    )
    with tempfile.TemporaryDirectory() as out:
        wheel, sdist = build(Path(out))
        for version, program in pythons().items():
            if sys.argv[1:] and version not in sys.argv[1:]:
                continue
            for package in (wheel, sdist) if version == "3.11" else (wheel,):
                folder = Path(tempfile.mkdtemp(dir=out))
                name = "sdist" if package is sdist else "wheel"
                tried[name, version] = dict(package=name, python=version, versions=try_in(program, package, folder))
                shutil.rmtree(folder)
                KEPT.write_text(
                    json.dumps(
                        {
                            "installed": sorted(
                                tried.values(), key=lambda one: (one["package"], float(one["python"].split(".")[1]))
                            )
                        },
                        indent=1,
                    )
                    + "\n"
                )
