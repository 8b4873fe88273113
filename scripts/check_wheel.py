"""Build the wheel, look into it, and use it as a person would who has no checkout.

    python scripts/check_wheel.py

Needs pip and network access: to the build backend, and to what a clean environment of its own
installs (within a minute if pip has it cached). Writes to build/wheel only.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "wheel"
PINS = ROOT / "constraints" / "lab-test.txt"
FIRST = "notebooks/start_here.ipynb"
MUST_HOLD = (
    "lliso/__init__.py",
    "lliso/py.typed",
    "lliso/labconfig/default_setting_overrides.json",
    "lliso/_share/notebooks/start_here.ipynb",
    "lliso/_share/notebooks/picks/start_here.json",
    "lliso/_share/data/samples/simulated_llto_59h.nc",
    "lliso/_share/tests/published.toml",  # the ledger, which a notebook reads
)
MUST_NOT_HOLD = (".ipynb_checkpoints", "__pycache__", "tests/", "results/")
SAMPLE = "data/samples/simulated_llto_59h.nc"
OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "JUPYTER_CONFIG_PATH")


def main() -> int:
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", BUILD, ROOT], check=True
    )
    (wheel,) = BUILD.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    missing = [name for name in MUST_HOLD if name not in names]
    # What a package of ours needs besides its modules: the scripts and styles of the apps.
    beside = [p for p in (ROOT / "lliso" / "apps").iterdir() if p.suffix in (".js", ".css")]
    missing += [p.name for p in beside if f"lliso/apps/{p.name}" not in names]
    surplus = [
        name
        for name in names
        if name not in MUST_HOLD and any(part in name for part in MUST_NOT_HOLD)
    ]
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(names)} files")
    if missing or surplus:
        print(f"missing: {missing}\nnot wanted: {surplus}")
        return 1
    use(wheel)
    return 0


def use(wheel: Path) -> None:
    """Install the wheel where nothing else is, and do there what the README says."""
    person = BUILD / "person"
    person.mkdir()
    env = {name: value for name, value in os.environ.items() if name not in OURS}
    venv = BUILD / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], env=env, check=True)
    scripts = venv / ("Scripts" if os.name == "nt" else "bin")
    python, lliso = scripts / "python", scripts / "lliso"
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", PINS]
    subprocess.run([*pip, f"lliso[lab] @ {wheel.as_uri()}"], env=env, check=True)

    def says(*command: object) -> str:
        done = subprocess.run(
            command, cwd=person, env=env, check=True, capture_output=True, text=True
        )
        return done.stdout

    code = "import lliso, lliso.lab; print(lliso.lab.checkout(), lliso.__file__)"
    assert says(python, "-c", code).startswith("None "), "a checkout was used, not the wheel"
    assert "simulate" in says(lliso, "--help")
    lab(lliso, person, env)
    assert "512 x 206 pixels" in says(lliso, "info", Path("lliso-lab") / SAMPLE)
    print(f"installed, `lliso lab` answered, {SAMPLE} read")
    shutil.rmtree(venv)


def lab(lliso: Path, person: Path, env: dict[str, str]) -> None:
    """Start `lliso lab` as a person does, until the copy is there and JupyterLab shows it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**env, "JUPYTER_PORT": str(port), "JUPYTER_TOKEN": "wheel"}
    env["JUPYTER_RUNTIME_DIR"] = str(person / "runtime")
    with open(person / "log.txt", "w") as log:
        server = subprocess.Popen(
            [lliso, "lab", "--no-browser"], cwd=person, env=env, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}/api/contents/{FIRST}?content=0&token=wheel"
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(url) as answer:
                    assert answer.status == 200
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > end:
                    print((person / "log.txt").read_text(), file=sys.stderr)
                    raise
                time.sleep(0.2)  # between two attempts to connect
        assert (person / "lliso-lab" / FIRST).is_file()
    finally:
        # JupyterLab is a child of lliso: it ends itself when asked, and lliso with it.
        ask = f"http://127.0.0.1:{port}/api/shutdown?token=wheel"
        with contextlib.suppress(OSError):
            urllib.request.urlopen(urllib.request.Request(ask, method="POST")).close()
            server.wait(30)
        server.kill()


if __name__ == "__main__":
    sys.exit(main())
