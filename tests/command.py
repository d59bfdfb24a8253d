"The command `microvae` in tests: in this process, or in one of its own where signals, limits or settings need it."

import os
import shutil
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from microvae.app.cli import main

COMMAND = shutil.which("microvae", path=Path(sys.executable).parent)


def here(*words, cwd):
    "The command in this process, which need not import everything anew."
    before = Path.cwd()
    arguments = sys.argv
    out = StringIO()
    err = StringIO()
    code = 0
    os.chdir(cwd)
    sys.argv = ["microvae", *map(str, words)]
    try:
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("always")
            main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        os.chdir(before)
        sys.argv = arguments
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def microvae(*words, cwd, **how):
    "The command in a process of its own."
    # a shell that asks for a backend without a screen must not cost the figures
    settings = dict(env=os.environ | {"MPLBACKEND": "agg"}, timeout=600) | how
    return subprocess.run([COMMAND, *map(str, words)], cwd=cwd, capture_output=True, text=True, **settings)
