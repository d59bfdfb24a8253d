"""Write requirements.lock: every package that the project installs for its checks, with version and hash, for the Python and system that run this.

    python .ci/lock.py EXTRA,EXTRA,...

pip resolves as it would install; its report tells what it would take.
"""

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def resolved(extras: str) -> list[dict]:
    "What pip would install into an empty environment."
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--dry-run",
                "--ignore-installed",
                "--report",
                report,
                f"{HERE.parent}[{extras}]",
            ],
            check=True,
        )
        return json.loads(report.read_text())["install"]


def line_of(package: dict) -> str:
    "A requirement with its hash."
    about = package["metadata"]
    archive = package["download_info"].get("archive_info", {})
    digest = archive.get("hashes", {}).get("sha256") or archive.get("hash", "=").split("=")[1]
    return f"{about['name'].lower()}=={about['version']} --hash=sha256:{digest}"


if __name__ == "__main__":
    lines = sorted(line_of(package) for package in resolved(sys.argv[1]) if package["metadata"]["name"] != "microvae")
    head = f"# {len(lines)} packages for Python {sys.version_info.major}.{sys.version_info.minor} on {platform.system()} {platform.machine()}; written by `make lock`\n"
    (HERE / "requirements.lock").write_text(head + "\n".join(lines) + "\n")
    print(HERE / "requirements.lock", len(lines), "packages")
