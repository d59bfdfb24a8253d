"""Compares simulated with real cells by statistics that need no network, and keeps them in results/realism.

Example: .ci/realism.py ~/public_sets
"""

import argparse
from pathlib import Path
from time import perf_counter

import pandas as pd

from microvae.core.files import write_json
from microvae.data.catalogue import load
from microvae.evaluation.realism import set_statistics
from microvae.study.results import provenance

#: Images of each set; the number of components grows with it, so it is the same for all.
IMAGES = 200

#: Images that simulators draw, of which `IMAGES` are taken, so that few images are of one track.
DRAWN = 2000

#: kind, set, folder below that of the public sets, side in pixels; simulators draw at that side
SETS = [
    ("simulated", "memory_b", "", 40),
    ("real", "kc167_cells", "kc167_three_channel", 40),
    ("simulated", "memory_b", "", 140),
    ("real, interpolated", "kc167_cells", "kc167_three_channel", 140),
    ("simulated", "lung_fret", "", 20),
    ("real", "dsb2018_nuclei", "dsb2018_nuclei", 20),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="a folder of public sets")
    real = parser.parse_args().real
    start = perf_counter()
    rows = []
    for kind, name, folder, side in SETS:
        drawn = DRAWN if not folder else IMAGES
        cells = load(name, drawn, side, data_folder=str(real / folder) if folder else None, rendered=True)
        cells = cells.sample(IMAGES)
        numbers = set_statistics(cells.images[:])
        rows.append(
            dict(set=name, kind=kind, images=len(cells), pixels="×".join(map(str, cells.image_shape))) | numbers
        )
        print(rows[-1])
    out = Path("results/realism")
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(out / "statistics.csv", index=False, float_format="%.6g")
    names = ", ".join(dict.fromkeys(name for _, name, _, _ in SETS))
    write_json(out / "provenance.json", provenance("standard", names, "cpu", perf_counter() - start))


if __name__ == "__main__":
    main()
