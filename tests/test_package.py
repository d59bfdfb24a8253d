"What is published: the wheel holds all that the library needs, the sdist builds the same wheel, the lock covers what is required, and no licence is unknown."

import ast
import csv
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser

import pytest
from packaging.version import Version

from microvae.book.reliability import licences


@pytest.fixture(scope="module")
def built(tmp_path_factory, root):
    sys.path.insert(0, str(root / ".ci"))
    from wheels import build

    return build(tmp_path_factory.mktemp("dist"))


def test_the_wheel_is_whole(built, root, tmp_path):
    wheel, _ = built
    names = zipfile.ZipFile(wheel).namelist()
    for file in (root / "microvae").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            assert str(file.relative_to(root)) in names
    assert not [name for name in names if name.startswith(("tests", "nbs", "shared", "build"))]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "here", wheel],
        check=True,
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import microvae as mv; print(mv.__file__); mv.MicroVAE(epochs=1, verbose=False).fit(mv.lung_fret(40)).explore('map.html', mv.lung_fret(40), decoder='atlas')",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "here"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert str(tmp_path) in done.stdout, done.stderr[-2000:]
    assert (tmp_path / "map.html").stat().st_size > 1e5, done.stderr[-2000:]


def test_the_sdist_builds_the_same_wheel(built, tmp_path):
    wheel, sdist = built
    tarfile.open(sdist).extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            tmp_path / "dist",
            source,
        ],
        check=True,
    )
    [again] = (tmp_path / "dist").glob("*.whl")
    first = zipfile.ZipFile(wheel)
    second = zipfile.ZipFile(again)
    assert sorted(first.namelist()) == sorted(second.namelist())
    assert all(
        first.read(name) == second.read(name) for name in first.namelist() if not name.endswith(("RECORD", "METADATA"))
    )


def test_the_lock_covers_what_is_required(root):
    lines = [line for line in (root / ".ci" / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    locked = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    assert all(re.fullmatch(r"\S+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    settings = ConfigParser(delimiters=["="], interpolation=None)
    settings.read(root / "settings.ini")
    extras = re.search(r"^EXTRAS := (\S+)", (root / "Makefile").read_text(), re.M)[1].split(",")
    wanted = (
        " ".join(settings["DEFAULT"][f"{name}_requirements"] for name in extras)
        + " "
        + settings["DEFAULT"]["requirements"]
    )
    for requirement in wanted.split():
        assert re.sub(r"[-_.]+", "-", re.split(r"[<>=!\[]", requirement)[0]).lower() in locked, requirement


def test_every_core_requirement_has_an_oldest_version(root):
    settings = ConfigParser(delimiters=["="], interpolation=None)
    settings.read(root / "settings.ini")
    assert [requirement for requirement in settings["DEFAULT"]["requirements"].split() if ">=" not in requirement] == []


def test_no_allowed_version_has_a_known_hole(root):
    "Neither the oldest version that is allowed, nor the locked one, is older than the one that mends a hole in holes.csv."
    settings = ConfigParser(delimiters=["="], interpolation=None)
    settings.read(root / "settings.ini")
    required = " ".join(value for name, value in settings["DEFAULT"].items() if name.endswith("requirements"))
    oldest = dict(re.findall(r"(?:^|\s)([\w.-]+)>=([\d.]+)", required.lower()))
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (root / ".ci" / "requirements.lock").read_text().lower(), re.M))
    for hole in csv.DictReader((root / ".ci" / "holes.csv").read_text().splitlines()):
        assert Version(oldest[hole["package"]]) >= Version(hole["fixed_in"]), hole
        assert Version(locked[hole["package"]]) >= Version(hole["fixed_in"]), hole


def test_vendored_files_are_those_that_were_published(root):
    "Each file of another project has the hash that was taken down; what is not in the list is this project's own."
    static = root / "microvae" / "app" / "static"
    listed = [line.split() for line in (static / "THIRD_PARTY.sha256").read_text().splitlines()]
    for digest, name in listed:
        assert hashlib.sha256((static / name).read_bytes()).hexdigest() == digest, name
    own = {
        "THIRD_PARTY.md",
        "THIRD_PARTY.sha256",
        "classifier.js",
        "explorer.css",
        "explorer.html",
        "explorer.js",
        "gui.css",
        "gui.html",
        "gui.js",
        "page.css",
        "report.html",
    }
    assert {file.name for file in static.iterdir()} == own | {name for _, name in listed}


def test_licences_of_the_core_are_free():
    "Whoever installs the library gets nothing that forbids use, and nothing that binds own code."
    core = licences("microvae")
    free = r"(?i)BSD|MIT|Apache|PSF|Python Software Foundation|ISC|HPND|CMU|MPL|Mozilla|Zlib|0BSD|Unlicense|CC0|Public Domain|NVIDIA|Expat|LGPL"
    unknown = core[
        ~core.licence.str.contains(free) & ~core.package.str.startswith("cuda-")
    ]  # what torch brings of NVIDIA does not always tell
    assert len(core) > 30, unknown.to_string()
    assert unknown.empty, unknown.to_string()


def test_every_requirement_has_a_reason(root):
    "No package comes along that nobody can say the purpose of, and none is praised that is gone."
    from microvae.book.packages import WHY, requirements_of

    asked = requirements_of((root / "settings.ini").read_text())
    assert {extra: sorted(names) for extra, names in asked.items()} == {
        extra: sorted(names) for extra, names in WHY.items()
    }


def workflow(root) -> dict:
    "The published workflow's jobs."
    import yaml

    return yaml.safe_load((root / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8"))["jobs"]


def test_the_whole_is_checked_on_every_kind_of_machine(root):
    "The next processor is not the first one: Linux, Windows and macOS, Intel's and Arm's."
    machines = set(workflow(root)["whole"]["strategy"]["matrix"]["machine"])
    assert machines == {"ubuntu-latest", "ubuntu-24.04-arm", "windows-latest", "macos-latest"}


def test_the_wheel_is_tried_on_every_python_that_it_says_it_is_for(root):
    settings = ConfigParser(delimiters=["="], interpolation=None)
    settings.read(root / "settings.ini", encoding="utf-8")
    pythons = workflow(root)["wheels"]["strategy"]["matrix"]["python"]
    assert pythons[0] == settings["DEFAULT"]["min_python"]
    assert pythons == [f"3.{10 + k}" for k in range(len(pythons))]


def test_oldest_and_newest_packages_are_tried_on_every_python(root):
    jobs = workflow(root)
    matrix = jobs["versions"]["strategy"]["matrix"]
    assert matrix["python"] == jobs["wheels"]["strategy"]["matrix"]["python"]
    assert matrix["packages"] == ["oldest", "newest"]
    assert "faults" in (root / ".ci" / "versions.sh").read_text()


def test_actions_are_pinned_by_commit(root):
    "What a tag of somebody else's project stands for may change."
    steps = [step for job in workflow(root).values() for step in job["steps"] if "uses" in step]
    assert len(steps) >= 6
    for step in steps:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]


#: What opens text: its encoding has to be said, since Windows takes another.
OPENERS = {"read_text", "write_text", "open"}


def test_the_encoding_of_text_is_always_said(root):
    found = []
    for file in sorted((root / "microvae").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            said = {keyword.arg for keyword in node.keywords}
            mode = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
            binary = any("b" in word for word in mode[-1:]) if name == "open" else False
            builtin = isinstance(node.func, ast.Name) or name != "open"
            if name in OPENERS and builtin and not binary and "encoding" not in said:
                found.append(f"{file.relative_to(root)}:{node.lineno}")
    assert found == []


def test_no_system_alone_is_asked_for_its_cores():
    "macOS and Windows have no `sched_getaffinity`; a study says there as well what it ran on."
    code = (
        "import os; vars(os).pop('sched_getaffinity', None)\n"
        "from microvae.study.results import provenance; print(provenance('quick', 'x', 'cpu', 0)['hardware'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().endswith(" cores"), done.stderr


def test_version_changelog_and_citation_agree(root):
    "Whoever cites a version cites the one that was installed."
    sys.path.insert(0, str(root / ".ci"))
    from release import notes_of

    settings = ConfigParser(delimiters=["="], interpolation=None)
    settings.read(root / "settings.ini", encoding="utf-8")
    assert notes_of(settings["DEFAULT"]["version"]).startswith("- ")
    with pytest.raises(SystemExit, match="9.9.9"):
        notes_of("9.9.9")
