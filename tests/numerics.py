"""Whether the checks of numbers hold on other machines: they run again with other numbers of threads, instructions and precisions, each in a process of its own.

python tests/numerics.py            a few settings in which every two values of two choices meet once
python tests/numerics.py --short    three of them, in which every value is there once
python tests/numerics.py --full     all of them
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, product
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

HERE = Path(__file__).parent

#: What another machine may have another of; an empty value leaves the choice to the library.
CHOICES = {
    "OMP_NUM_THREADS": ("1", "2"),
    "ATEN_CPU_CAPABILITY": ("default", "avx2"),  # instructions of PyTorch's own kernels
    "ONEDNN_MAX_CPU_ISA": ("SSE41", "AVX2", ""),  # ... and of its convolutions
    "MICROVAE_PRECISION": ("float32", "bfloat16"),  # what "auto" becomes
}

#: threads, PyTorch, oneDNN, precision: every two values of two choices are together in one of these.
COVERING = (
    ("1", "default", "SSE41", "bfloat16"),
    ("2", "avx2", "SSE41", "float32"),
    ("1", "avx2", "AVX2", "float32"),
    ("2", "default", "AVX2", "bfloat16"),
    ("1", "default", "", "float32"),
    ("2", "avx2", "", "bfloat16"),
)


def name_of(values: tuple[str, ...]) -> str:
    "A setting in words: `1 thread, default, SSE41, bfloat16`."
    threads, *rest = values
    return ", ".join([f"{threads} thread{'s' * (threads != '1')}", *(value or "oneDNN's choice" for value in rest)])


def environment_of(values: tuple[str, ...]) -> dict[str, str]:
    "Environment variables of a setting; a choice that is left to the library is not set."
    chosen = {choice: value for choice, value in zip(CHOICES, values) if value}
    # a thread that waits leaves its core to the process beside it
    return chosen | {"OMP_WAIT_POLICY": "PASSIVE"}


#: Every value of every choice is in one of these.
SHORT = (COVERING[0], COVERING[2], COVERING[5])


def settings_of(rows) -> dict[str, dict[str, str]]:
    "Name of a setting -> its environment."
    return {name_of(values): environment_of(values) for values in rows}


#: What is asked for at the command line -> settings.
SETTINGS = {"": settings_of(COVERING), "--short": settings_of(SHORT), "--full": settings_of(product(*CHOICES.values()))}


def pairs_of(settings) -> set:
    "Every two values of two choices that meet in one of some settings."
    return {pair for values in settings for pair in combinations(zip(CHOICES, values), 2)}


assert pairs_of(COVERING) == pairs_of(product(*CHOICES.values()))
assert all(set(CHOICES[choice]) == set(column) for choice, column in zip(CHOICES, zip(*SHORT)))


def outcomes(report: Path) -> dict[str, list[str]]:
    "Check -> names of its cases that failed, of a report of pytest."
    found: dict[str, list[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        check = f"{case.get('classname', '').split('.')[-1]}: {case.get('name', '').split('[')[0]}"
        failures = found.setdefault(check, [])
        if case.find("failure") is not None or case.find("error") is not None:
            failures.append(case.get("name", ""))
    return found


def files_of_numbers() -> list[Path]:
    "Files with checks of numbers: the others need not be imported."
    tests = [path for path in sorted(HERE.glob("test_*.py")) if "mark.numerics" in path.read_text()]
    return [*tests, HERE / "notebook_checks.py"]


def run_in(environment: dict[str, str]) -> tuple[dict[str, list[str]], str]:
    "The checks of numbers in one setting: what failed, and what pytest wrote."
    plain = {name: value for name, value in os.environ.items() if name not in CHOICES}
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "numerics", "-p", "no:cacheprovider", f"--junitxml={report}"]
            + [*map(str, files_of_numbers())],
            cwd=HERE.parent,
            env=plain | environment,
            capture_output=True,
            text=True,
        )
        # 0: all passed, 1: some failed; anything else is no answer
        if done.returncode > 1 or not report.exists():
            return {"pytest": ["it did not run"]}, done.stdout + done.stderr
        return outcomes(report), done.stdout


def table_of(found: dict[str, dict[str, list[str]]]) -> str:
    "Checks × settings, passed or the number of cases that failed."
    checks = sorted({check for results in found.values() for check in results})
    heads = [f"{chr(65 + i)}: {setting}" for i, setting in enumerate(found)]
    width = max(map(len, checks), default=0)
    lines = [" " * width + "  " + "  ".join(chr(65 + i).ljust(6) for i in range(len(found)))]
    for check in checks:
        cells = []
        for results in found.values():
            failed = results.get(check)
            cells.append(("none" if failed is None else f"{len(failed)} bad" if failed else "passed").ljust(6))
        lines.append(check.ljust(width) + "  " + "  ".join(cells))
    return "\n".join([*heads, *lines])


def main(wanted: str) -> int:
    settings = SETTINGS[wanted]
    start = perf_counter()
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(settings, pool.map(run_in, settings.values())))
    found = {setting: results for setting, (results, _) in answers.items()}
    print(table_of(found))
    bad = [setting for setting, results in found.items() if any(results.values())]
    for setting in bad:
        print(f"\n== {setting}\n{answers[setting][1][-6000:]}")
    print(f"{len(settings)} settings, {len(bad)} of them with failures, {perf_counter() - start:.0f} s")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main("".join(sys.argv[1:])))
