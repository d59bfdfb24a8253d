"""Make a release: check that version, changelog and citation agree, build wheel and sdist, and try the wheel in an empty environment.

python .ci/release.py 0.1.0 dist
"""

import re
import shutil
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

from wheels import ROOT, build, try_in


def notes_of(version: str) -> str:
    "What the changelog says of a version; ends with what is wrong where version, changelog and citation do not agree."
    settings = ConfigParser(delimiters=["="], interpolation=None)
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)[1]
    for file, found in (("settings.ini", settings["DEFAULT"]["version"]), ("CITATION.cff", cited)):
        if found != version:
            raise SystemExit(f"{file} has version {found}, the release is to be {version}; change one of them")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    written = re.search(rf"^## {re.escape(version)}\n(.+?)(?=^## |\Z)", changes, re.M | re.S)
    if not written:
        raise SystemExit(f"CHANGELOG.md has no section  ## {version}; write what has changed")
    return written[1].strip() + "\n"


if __name__ == "__main__":
    version = sys.argv[1]
    out = Path(sys.argv[2])
    notes = notes_of(version)
    with tempfile.TemporaryDirectory() as folder:
        built = build(Path(folder))
        try_in(sys.executable, built[0], Path(folder))
        out.mkdir(parents=True, exist_ok=True)
        for package in built:
            shutil.copy(package, out)
    (out / "NOTES.md").write_text(notes, encoding="utf-8")
    print(f"{out}: {', '.join(package.name for package in built)}")
