"""Measure how dense the exported code is, and compare it with the project's limits.

python .ci/density.py           the figures; exit code 1 where a limit is passed
python .ci/density.py --list    the places as well
"""

import ast
import json
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {
    "packed assignments per 1,000 lines": 2,
    "definitions a cell": 1.5,
    "median lines a cell": 15,
    "lines of JavaScript over 120 characters": 0,
    "lines of exported code": 17_000,
}
PROSE = 1  # words of prose per line of code, in every folder but `app`


def exported_cells(notebook: Path) -> list[str]:
    "Sources of the cells that a notebook exports, without their directives."
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [
        re.sub(r"^#\|.*\n", "", source, flags=re.M).strip("\n") for source in sources if source.startswith("#| export")
    ]


def prose(notebook: Path) -> int:
    "Words in the Markdown cells of a notebook."
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return sum(len("".join(cell["source"]).split()) for cell in cells if cell["cell_type"] == "markdown")


def is_packed(node: ast.AST) -> bool:
    "Whether a statement assigns several values that are computed apart; a swap is none."
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
        return False
    targets = node.targets[0]
    if not isinstance(targets, ast.Tuple):
        return False
    return {ast.dump(target) for target in targets.elts} != {
        ast.dump(value).replace("Load()", "Store()") for value in node.value.elts
    }


def main():
    code: dict[str, int] = defaultdict(int)
    words: dict[str, int] = defaultdict(int)
    definitions: list[int] = []
    lengths: list[int] = []
    packed: list[str] = []
    for notebook in sorted((ROOT / "nbs").rglob("*.ipynb")):
        cells = exported_cells(notebook)
        folder = notebook.relative_to(ROOT / "nbs").parts[0]
        if cells:
            words[folder] += prose(notebook)
        for cell in cells:
            lines = cell.splitlines()
            tree = ast.parse(cell)
            code[folder] += len([line for line in lines if line.strip()])
            lengths.append(len(lines))
            defined = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
            if defined:
                definitions.append(len(defined))
            packed += [f"{notebook.name}: {ast.unparse(node)[:100]}" for node in ast.walk(tree) if is_packed(node)]
    exported = [path for path in (ROOT / "microvae").rglob("*.py") if path.name not in ("_modidx.py", "__init__.py")]
    total = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in exported)
    wide = [
        f"{path.name}:{number}"
        for path in sorted((ROOT / "microvae").rglob("*.js"))
        if ".min." not in path.name
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120
    ]
    found = {
        "packed assignments per 1,000 lines": 1000 * len(packed) / sum(code.values()),
        "definitions a cell": statistics.mean(definitions),
        "median lines a cell": statistics.median(lengths),
        "lines of JavaScript over 120 characters": len(wide),
        "lines of exported code": total,
    }
    passed = {name: value > LIMITS[name] for name, value in found.items()}
    for name, value in found.items():
        print(f"{name}: {value:,.4g} (at most {LIMITS[name]:,}){'  <- too many' if passed[name] else ''}")
    for folder in code:
        ratio = words[folder] / code[folder]
        passed[folder] = folder != "app" and ratio < PROSE
        print(f"words of prose per line of code in {folder}: {ratio:.2f}{'  <- too few' if passed[folder] else ''}")
    if "--list" in sys.argv:
        print(*packed, *wide, sep="\n")
    sys.exit(any(passed.values()))


if __name__ == "__main__":
    main()
