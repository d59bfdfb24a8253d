"""Ask the Python Package Index when each package of settings.ini was last released (needs the network), and measure how long installation and import take.

python .ci/dependencies.py
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median
from time import perf_counter

import pandas as pd
from packaging.version import InvalidVersion, Version
from wheels import build

from microvae.book.packages import requirements_of
from microvae.study.results import provenance

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "results" / "dependencies"


def releases_of(package: str) -> dict:
    "The newest release of a package, its date, and how many there were in the last two years."
    asked = urllib.request.Request(
        f"https://pypi.org/simple/{package}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        files = json.load(answer)["files"]
    dates: dict[Version, datetime] = {}
    for file in files:
        name = file["filename"].removesuffix(".tar.gz")
        try:
            version = Version(name.split("-")[1] if name.endswith(".whl") else name.rsplit("-", 1)[-1])
        except InvalidVersion:
            continue
        uploaded = datetime.fromisoformat(file["upload-time"].replace("Z", "+00:00"))
        if not version.is_prerelease:
            dates[version] = min(uploaded, dates.get(version, uploaded))
    newest = max(dates)
    since = datetime.now(timezone.utc) - timedelta(days=730)
    recent = sum(date > since for date in dates.values())
    return dict(package=package, newest=str(newest), released=f"{dates[newest]:%Y-%m-%d}", releases=recent)


def seconds(python: Path, code: str) -> float:
    "How long a new process takes for some code, less what starting Python takes; the median of five."

    def one(code: str) -> float:
        start = perf_counter()
        subprocess.run([python, "-c", code], check=True, capture_output=True)
        return perf_counter() - start

    one(code)  # what is compiled once is not counted
    return median(one(code) for _ in range(5)) - median(one("") for _ in range(5))


def measured_times() -> dict:
    "Installation into an empty environment, and import."
    with tempfile.TemporaryDirectory() as folder:
        wheel, _ = build(Path(folder))
        env = Path(folder) / "env"
        subprocess.run([sys.executable, "-m", "venv", env], check=True)
        programs = env / ("Scripts" if os.name == "nt" else "bin")
        python = programs / "python"
        start = perf_counter()
        subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
        took = perf_counter() - start
        size = sum(file.stat().st_size for file in env.rglob("*") if file.is_file() and not file.is_symlink())
        return dict(
            hardware=provenance("", "", "cpu", 0)["hardware"],
            python=".".join(map(str, sys.version_info[:2])),
            install_seconds=round(took, 1),
            gigabytes=round(size / 1e9, 2),
            import_seconds=round(seconds(python, "import microvae"), 4),
            first_use_seconds=round(seconds(python, "import microvae as mv; mv.build"), 2),
        )


if __name__ == "__main__":
    KEPT.mkdir(parents=True, exist_ok=True)
    asked = requirements_of((ROOT / "settings.ini").read_text())
    names = list(dict.fromkeys(name for packages in asked.values() for name in packages))
    pd.DataFrame([releases_of(name) for name in names]).to_csv(KEPT / "releases.csv", index=False)
    (KEPT / "times.json").write_text(json.dumps(measured_times(), indent=1) + "\n")
    print(f"see {KEPT}")
