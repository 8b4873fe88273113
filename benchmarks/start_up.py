"""CPU time of `import lliso` and `lliso --help`, beside a bare Python and the libraries below.

    python benchmarks/start_up.py

Each is a fresh interpreter; the smallest of seven runs counts, less that of a bare interpreter.
The aim is below 0.1 s for the first two.
"""

import json
import subprocess
import sys

RUNS = 7
CASES = {
    "import lliso": "import lliso",
    "lliso --help": "from lliso.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    "import numpy": "import numpy",
    "import xarray": "import xarray",
    "import lmfit": "import lmfit",
    "import matplotlib.pyplot": "import matplotlib.pyplot",
}
REPORT = "\nimport json, time\nprint()\nprint(json.dumps(time.process_time()))"


def cpu_seconds(code: str) -> float:
    """Return the smallest CPU time of a fresh interpreter that runs `code`."""
    times = []
    for _ in range(RUNS):
        done = subprocess.run(
            [sys.executable, "-c", code + REPORT], capture_output=True, text=True, check=True
        )
        times.append(json.loads(done.stdout.splitlines()[-1]))
    return min(times)


def main() -> None:
    bare = cpu_seconds("")
    print(f"{'bare interpreter':26s} {bare:6.3f} s")
    for name, code in CASES.items():
        print(f"{name:26s} {cpu_seconds(code) - bare:6.3f} s more")


if __name__ == "__main__":
    main()
