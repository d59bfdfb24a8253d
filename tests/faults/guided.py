"""Bad files for one reader, guided by coverage: python guided.py READER RUNS [SEED]. Ends with an error and the file where something other than a MicroVAEError comes out.

Needs atheris, which `make faults` installs where it can be had.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["microvae", "tifffile", "safetensors", "imageio"]):
    from fuzzing import Watch
    from readers import readers

    import microvae as mv

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    name = sys.argv[1]
    runs = sys.argv[2]
    root = Path(tempfile.mkdtemp())
    reader = readers(root / "files")[name]
    (root / "corpus").mkdir()
    (root / "corpus" / "good").write_bytes(reader.file.read_bytes())
    reader.read()
    watch = Watch(root)
    counts = {"read": 0, "refused": 0}

    def attempt(data: bytes):
        reader.file.write_bytes(data)
        watch.on = True
        try:
            reader.read()
            counts["read"] += 1
        except mv.MicroVAEError:
            counts["refused"] += 1
        finally:
            watch.on = False
        assert not watch.seen, watch.seen
        if sum(counts.values()) in (int(runs), int(runs) - 1):
            (root / "counts.json").write_text(json.dumps(counts))
            print("COUNTS", json.dumps(counts), flush=True)

    atheris.Setup(
        [
            sys.argv[0],
            f"-runs={runs}",
            "-timeout=10",
            "-rss_limit_mb=3000",
            f"-max_len={4 * reader.file.stat().st_size}",
            f"-artifact_prefix={root}/",
            "-print_final_stats=0",
            "-verbosity=0",
            f"-seed={sys.argv[3] if len(sys.argv) > 3 else 1}",
            str(root / "corpus"),
        ],
        attempt,
    )
    atheris.Fuzz()
