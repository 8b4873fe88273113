"""Build the wheel, look into it, and use it as a person would who has no checkout.

    python scripts/check_wheel.py

Needs pip and network access to the build backend. Writes to build/wheel only.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "wheel"
MUST_HOLD = (
    "lliso/__init__.py",
    "lliso/py.typed",
    "lliso/labconfig/default_setting_overrides.json",
    "lliso/_share/notebooks/explore_grain_boundaries.ipynb",
    "lliso/_share/notebooks/picks/explore_grain_boundaries.json",
    "lliso/_share/data/samples/simulated_llto_59h.nc",
)
MUST_NOT_HOLD = (".ipynb_checkpoints", "__pycache__", "tests/", "results/")
USE = """
import lliso, lliso.lab as lab
from pathlib import Path
assert lab.checkout() is None, lliso.__file__
print(lab.lay_out("lliso-lab"))
assert Path("lliso-lab", lab.FIRST_NOTEBOOK).is_file()
print(lliso.read_map("lliso-lab/data/samples/simulated_llto_59h.nc").sizes)
"""


def main() -> int:
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", BUILD, ROOT], check=True
    )
    (wheel,) = BUILD.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(BUILD / "installed")
    missing = [name for name in MUST_HOLD if name not in names]
    # What a package of ours needs besides its modules: the scripts and styles of the apps.
    beside = [p for p in (ROOT / "lliso" / "apps").iterdir() if p.suffix in (".js", ".css")]
    missing += [p.name for p in beside if f"lliso/apps/{p.name}" not in names]
    surplus = [name for name in names if any(part in name for part in MUST_NOT_HOLD)]
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(names)} files")
    if missing or surplus:
        print(f"missing: {missing}\nnot wanted: {surplus}")
        return 1
    # The unpacked wheel comes before the checkout that this interpreter may know.
    env = {**os.environ, "PYTHONPATH": str(BUILD / "installed")}
    return subprocess.run([sys.executable, "-c", USE], cwd=BUILD, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
