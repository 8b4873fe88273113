"""How fast the boundary app follows the mouse, measured in the browser it runs in.

Drags an end and the body of the cut on a 512 x 206 map with two boundaries, 60 motions a second for
three seconds each, and prints, in ms:

- handle: from the browser's handling of a motion to the cut drawn where the mouse is
- profile: from the motion itself (its time stamp) to the new profile and fit on the screen
- lag: from the release to the last answer on the screen
- kernel: CPU time of the kernel for one update, in all

Run it on a machine at rest::

    python benchmarks/app_latency.py
"""

import importlib.util
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 3
HZ = 60

OPEN = """
import numpy as np, time
from lliso import make_map
from lliso.apps.boundaries import pick_boundaries
rng = np.random.default_rng(1)
x, y = (np.arange(512) + 0.5) * 500 / 512, (np.arange(206) + 0.5) * 200 / 206
Y = np.broadcast_to(y[:, None], (206, 512))
truth = 0.9 - 0.0012 * Y - 0.1 * (Y > 45) - 0.06 * (Y > 110)
total = rng.poisson(60, truth.shape)
light = rng.binomial(total, truth)
ds = make_map([light, total - light], ["6Li", "7Li"], x=x, y=y, attrs={"simulated": 1})
app = pick_boundaries(ds, d_bulk="2.6e-8 cm^2/s")
app.session.gesture("add_at_distance", True, distance=35)
app.session.gesture("add_at_distance", True, distance=100)
app.widget.refresh()
app
"""

SPY = """() => {
  const v = document.querySelector('.lliso-app').view, send = v.send.bind(v);
  const times = {}, log = (window.log = { handle: [], profile: [], sent: 0 });
  let begun = 0;
  v.send = (...a) => {
    times[v.n + 1] = window.event?.timeStamp ?? performance.now();
    return send(...a);
  };
  const post = v.model.send.bind(v.model);
  v.model.send = (...a) => { log.sent++; return post(...a); };
  const kinds = 'onpointerrawupdate' in window ? ['pointerrawupdate'] : ['pointermove'];
  for (const kind of kinds) {
    window.addEventListener(kind, () => { begun = performance.now(); }, true);
    window.addEventListener(kind, () => {
      if (v.drag?.moved) log.handle.push(performance.now() - begun); });
  }
  new MutationObserver(() => {
    const n = v.root.dataset.answered;
    if (times[n] !== undefined) log.profile.push(performance.now() - times[n]);
  }).observe(v.root, { attributes: true, attributeFilter: ['data-answered'] });
}"""


def harness():
    """The driver of JupyterLab that the browser tests use."""
    spec = importlib.util.spec_from_file_location("harness", ROOT / "tests/browser/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


def drag(nb, start, end):
    """Drag there and back along a line at an even pace; the lag after the release in ms."""
    mouse, steps = nb.page.mouse, SECONDS * HZ
    mouse.move(*start)
    mouse.down()
    begun = nb.page.evaluate("() => performance.now()")
    for i in range(steps):
        t = 1 - abs(2 * (i + 1) / steps - 1)
        mouse.move(*(a + t * (b - a) for a, b in zip(start, end, strict=True)))
        ahead = begun + 1000 * (i + 1) / HZ - nb.page.evaluate("() => performance.now()")
        if ahead > 0:
            nb.page.wait_for_timeout(ahead)
    mouse.move(*end)
    mouse.up()
    begun = nb.page.evaluate("() => performance.now()")
    nb.settled()
    return nb.page.evaluate("() => performance.now()") - begun


def measure(nb):
    nb.view()
    nb.page.evaluate(SPY)
    for name, share, end in (("end of the cut", 1.0, [310, 170]), ("whole cut", 0.3, [330, 85])):
        nb.page.evaluate("() => Object.assign(window.log, { handle: [], profile: [], sent: 0 })")
        cut = nb.shown()["cut"]
        start = [a + share * (b - a) for a, b in zip(cut["start"], cut["end"], strict=True)]
        before = nb.ask("time.process_time()")
        lag = drag(nb, nb.on_map(*start), nb.on_map(*end))
        spent = nb.ask("time.process_time()") - before
        log = nb.page.evaluate("() => window.log")
        yield name, log, lag, 1000 * spent / log["sent"]


def main():
    lab = harness()
    if reason := lab.missing():
        sys.exit(reason)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with (
        tempfile.TemporaryDirectory() as home,
        tempfile.TemporaryDirectory() as folder,
        lab.jupyterlab(Path(home), Path(folder)) as server,
        lab.chromium_running() as browser,
    ):
        name = server.notebook("latency.ipynb", OPEN)
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        nb = lab.Notebook(server, page).open(name).run_all()
        if errors := nb.errors():
            sys.exit(str(errors))
        for gesture, log, lag, kernel in measure(nb):
            handle, profile = log["handle"], log["profile"]
            print(
                f"{gesture}: handle {statistics.median(handle):.2f} / "
                f"{percentile(handle, 0.95):.2f}, profile {statistics.median(profile):.0f} / "
                f"{percentile(profile, 0.95):.0f} (median / 95 %), lag {lag:.0f}, "
                f"kernel {kernel:.1f}; {len(profile)} updates of {len(handle)} motions"
            )
        nb.end()


if __name__ == "__main__":
    main()
