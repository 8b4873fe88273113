"""`lliso app` in the browser: the page that Voilà serves, used with the mouse."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from lliso import Picks

ROOT = Path(__file__).resolve().parents[2]
MAP = ROOT / "data" / "samples" / "simulated_llto_59h.nc"
WAIT = 90_000  # ms
READY = """() => { const apps = [...document.querySelectorAll('.lliso-app')];
  return apps.length === 2 && apps.every((a) => { const c = a.querySelector('canvas');
    return c.width && c.getContext('2d').getImageData(0, 0, c.width, c.height).data
      .some((v, i) => i % 4 === 3 && v === 255); }); }"""
VIEW = "[...document.querySelectorAll('.lliso-app')].at(-1).view"


@contextlib.contextmanager
def serving(tmp_path, before=""):
    """A page with a map: its process, its address and its picks file."""
    home = tmp_path / "home"
    names = {"CONFIG": "config", "RUNTIME": "runtime", "DATA": "data"}
    env = {**os.environ, **{f"JUPYTER_{k}_DIR": str(home / v) for k, v in names.items()}}
    env |= {"IPYTHONDIR": str(home / "ipython"), "OMP_NUM_THREADS": "1"}
    env["TMPDIR"] = str(tmp_path)
    file = tmp_path / "picks.json"
    program = f"{before}from lliso.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "app", str(MAP), "--picks", str(file)]
    process = subprocess.Popen(
        [*command, "--no-browser"],
        env=env,
        cwd=tmp_path,
        text=True,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+/\S*", line)
            if found:
                break
        else:
            pytest.fail(f"the server did not start:\n{''.join(said)}")
        yield process, found[0], file
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
        process.stderr.close()


@pytest.fixture
def served(_possible, tmp_path):
    """The address of a page with a map, and its picks file."""
    pytest.importorskip("voila")
    with serving(tmp_path) as (process, address, file):
        yield address, file
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl C in a terminal: to lliso and the server
        assert process.wait(30) == 0


@pytest.mark.usefixtures("_possible")
def test_told_to_end_it_leaves_nothing_running(tmp_path):
    pytest.importorskip("voila")
    psutil = pytest.importorskip("psutil")
    # as in the background of a script, where Ctrl C's signal is ignored
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    with serving(tmp_path, ignoring) as (process, address, _):
        with urllib.request.urlopen(address, timeout=WAIT / 1000) as reply:
            assert reply.status == 200
            reply.read()  # the notebook was run: there is a kernel
        below = psutil.Process(process.pid).children(recursive=True)
        assert any("ipykernel" in " ".join(p.cmdline()) for p in below)
        assert len(below) >= 2  # the server and the kernel
        process.send_signal(signal.SIGTERM)  # to lliso alone, as a service manager does
        assert process.wait(30) == 0
        _, alive = psutil.wait_procs(below, timeout=10)
        assert alive == []
    assert list(tmp_path.glob("lliso-app-*")) == []


def test_a_colleague_picks_a_boundary_on_the_page(served, browser):
    address, file = served
    assert "token=" in address
    with urllib.request.urlopen(address.split("?")[0]) as reply:  # nobody gets in without it
        assert "/login" in reply.url
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address, timeout=WAIT)
        page.wait_for_function(READY, timeout=WAIT)
        assert page.locator("h1").inner_text() == MAP.name
        assert "pick_boundaries" not in page.content()  # the code is not shown
        settled = f"() => {{ const v = {VIEW}; return !v.inflight && !v.finals.length; }}"
        page.evaluate(f"{VIEW}.root.scrollIntoView()")
        at = page.evaluate(
            f"""() => {{ const p = {VIEW}.panels.profile, r = p.top.getBoundingClientRect();
              const far = p.xAxis.range[1];
              return [r.left + p.X(0.5 * far), r.top + p.frame.y + 0.3 * p.frame.h]; }}"""
        )
        page.mouse.click(*at)
        page.wait_for_function(f"() => {VIEW}.committed.boundaries.length === 1", timeout=WAIT)
        page.wait_for_function(settled, timeout=WAIT)
        (pick,) = Picks.load(file).boundaries
        handle = page.evaluate(
            f"""() => {{ const p = {VIEW}.panels.profile, r = p.top.getBoundingClientRect();
              return [r.left + p.X({pick.position}), r.top + p.frame.y + 0.6 * p.frame.h,
                p.X(10) - p.X(0)]; }}"""
        )
        page.mouse.move(handle[0], handle[1])
        page.mouse.down()
        page.mouse.move(handle[0] + handle[2], handle[1], steps=6)
        page.mouse.up()
        page.wait_for_function(
            f"() => Math.abs({VIEW}.committed.boundaries[0].position - {pick.position}) > 5",
            timeout=WAIT,
        )
        page.wait_for_function(settled, timeout=WAIT)
        moved = Picks.load(file).boundaries[0].position
        assert moved == pytest.approx(pick.position + 10, abs=1.0)
        row = page.locator(".lliso-app").last.locator("tbody tr")
        assert row.count() == 1
        folder = ROOT / (
            "docs/images/apps" if os.environ.get("LLISO_DOCS") else "build/screenshots"
        )
        folder.mkdir(parents=True, exist_ok=True)
        page.mouse.move(5, 5)
        page.evaluate("document.querySelector('h1').scrollIntoView()")
        page.screenshot(path=folder / "page.png", full_page=True)
        assert wrong == []
    finally:
        context.close()
