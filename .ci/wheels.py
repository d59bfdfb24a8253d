"""Build wheel and sdist, and install each in an empty environment of every Python from 3.10 on that is at hand; there the README's first example must run.

python .ci/wheels.py            all Pythons
python .ci/wheels.py 3.12       one
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "results" / "reliability" / "packages.json"
CROPS = """
from pathlib import Path
import numpy as np, tifffile, microvae as mv
Path("my_crops").mkdir()
for i, cell in enumerate(mv.lung_fret(120).images): tifffile.imwrite(f"my_crops/{i:03d}.tif", np.round(cell[0] * 65535).astype(np.uint16))
"""


def readme_example() -> str:
    "The README's first lines of Python: from a folder of crops to a map and a saved model."
    return re.search(r"```python\n(.+?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)[1]


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
    return found or {f"3.{sys.version_info.minor}": sys.executable}  # Windows has no program of a version's name


def build(out: Path) -> tuple[Path, Path]:
    "Wheel and sdist of this tree."
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)  # where modules stay that are gone
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
    programs = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
    use = dict(cwd=folder, check=True, capture_output=True, text=True)
    subprocess.run([python, "-c", CROPS], **use)
    done = subprocess.run([python, "-W", "ignore", "-c", readme_example()], **use)
    for command in ("train my_crops/ --epochs 1", "explore runs", "embed runs codes.csv"):
        subprocess.run([programs / "microvae", *command.split()], **use)
    made = [
        folder / name for name in ("map.png", "map.html", "my_model/model.safetensors", "explorer.html", "codes.csv")
    ]
    if not all(file.stat().st_size for file in made):
        raise SystemExit(f"{package.name} on {program}: something that the README promises is empty")
    versions = subprocess.run(
        [
            python,
            "-c",
            "import torch, numpy, zarr; print('torch', torch.__version__, 'numpy', numpy.__version__, 'zarr', zarr.__version__)",
        ],
        capture_output=True,
        text=True,
    ).stdout.strip()
    print(f"{package.name} on {program}: {versions}; {done.stdout.strip().splitlines()[0]}", flush=True)
    return versions


if __name__ == "__main__":
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    tried = (
        {(one["package"], one["python"]): one for one in json.loads(KEPT.read_text(encoding="utf-8"))["installed"]}
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
