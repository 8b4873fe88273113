"""Set lliso up in its own folder and start it; needs nothing but Python 3.11 or newer.

python3 start.py         opens your copy of the notebooks, lliso-lab/   (Windows: py start.py)
python3 start.py test    passes all tests
python3 start.py run     analyses the sample without a screen and writes results/
"""

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV, PINS = ROOT / ".venv", ROOT / "constraints" / "lab-test.txt"
STAMP = VENV / "lliso-start"  # folder, hash and extras of the last set-up that came to its end
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
HARMFUL = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_CONSTRAINT")
FIT = """fit data/samples/simulated_llto_59h.nc --d-bulk 2.6e-8cm^2/s -o results
    --picks notebooks/picks/explore_grain_boundaries.json""".split()


def call(*command: object) -> int:
    """Run a command in this folder; Ctrl-C is for the command, which has received it too."""
    env = {name: os.environ[name] for name in os.environ if name not in HARMFUL}
    env["PYTHONUTF8"] = "1"  # our tables have signs that a Windows code page lacks
    process = subprocess.Popen(list(map(str, command)), cwd=str(ROOT), env=env)
    signal.signal(signal.SIGINT, lambda *_: None)
    return process.wait()


def refuse_what_cannot_work() -> None:
    """End with words instead of a traceback where this machine lacks something."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python does read this file
        sys.exit(
            f"lliso needs Python 3.11 or newer, got {sys.version.split()[0]}; start it with one"
        )
    if not importlib.util.find_spec("ensurepip"):
        sys.exit(
            "Python needs its venv module, got none; sudo apt install python3-venv, then again"
        )
    if os.name == "nt" and len(str(VENV)) + 156 > 259:  # the longest path in .venv has 155
        sys.exit(f"Windows needs a shorter path than {ROOT}; move the folder, say to C:\\lliso")
    if VENV.exists() and not STAMP.is_file():
        sys.exit(f"{VENV} was not made by start.py; move it away, or use it: lliso lab")


def set_up(extras: "set[str]") -> None:
    """Make `.venv` hold what the project asks for; do nothing where it does already."""
    refuse_what_cannot_work()
    asked = (ROOT / "pyproject.toml").read_bytes() + PINS.read_bytes()
    digest = hashlib.sha256(asked).hexdigest()
    last = STAMP.read_text(encoding="utf-8").splitlines() if STAMP.is_file() else []
    sound = last[:1] == [str(ROOT)] and PYTHON.exists() and call(PYTHON, "-c", "import pip") == 0
    have = set(last[2].split(",")) if sound else set()
    if sound and last[1] == digest and extras <= have:
        return
    print(f"Setting up {VENV}: once, some minutes, about 1,050 MB on disk", flush=True)
    VENV.mkdir(exist_ok=True)
    STAMP.write_text("unfinished\n", encoding="utf-8")
    if not sound:  # nothing there, an interrupted set-up, a moved folder, another Python
        for left in VENV.iterdir():
            if left.is_dir():
                shutil.rmtree(str(left), ignore_errors=True)
        if call(sys.executable, "-m", "venv", VENV):
            sys.exit("The environment could not be made (see above)")
    named = ",".join(sorted(extras | have))
    if call(PYTHON, "-m", "pip", "install", "-c", PINS, "-e", f"{ROOT}[{named}]"):
        sys.exit("Installing did not come to its end (see above); the same command tries again")
    STAMP.write_text(f"{ROOT}\n{digest}\n{named}\n", encoding="utf-8")


def test() -> int:
    """Pass the notebooks, the tests and the doctests; the summary says what could not run."""
    set_up({"lab", "test", "browser", "formats", "oracles"})
    if not shutil.which("chromium") and shutil.which("apt-get") and os.geteuid() == 0:
        call("apt-get", "update", "-q")  # elsewhere the tests take the Chrome or Edge they find
        call("apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium")
    lax = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120"]
    failed = call(PYTHON, "-m", "pytest", "-p", "no:python", *lax, "notebooks")
    return call(PYTHON, "-m", "pytest", "-p", "no:nbval") or failed


def main() -> int:
    what = sys.argv[1] if len(sys.argv) > 1 else "lab"
    if what not in ("lab", "test", "run") or len(sys.argv) > 2:
        sys.exit(__doc__)
    if what == "test":
        return test()
    set_up({"lab", "test", "formats"})
    lliso = [PYTHON, "-c", "import sys; from lliso.cli import main; sys.exit(main())"]
    return call(*lliso, *(FIT if what == "run" else ["lab"]))


if __name__ == "__main__":
    sys.exit(main())
