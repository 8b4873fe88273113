"""What stays behind when the cell of an app is run again and again, measured in the browser.

Opens the boundary app in JupyterLab, runs its cell 20 times to warm up and then 200 times more, and
prints before, after and the difference of: widgets, sessions and observers alive in the kernel, its
memory; models of widgets, views, listeners, nodes and heap in the page, after a garbage collection.

    python benchmarks/app_reruns.py [RUNS]
"""

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from app_latency import harness

MAP = """
import gc, os
import numpy as np
from ipywidgets.widgets.widget import _instances
from lliso import make_map
from lliso.apps.boundaries import pick_boundaries
from lliso.apps.session import Session
rng = np.random.default_rng(1)
x, y = (np.arange(512) + 0.5) * 500 / 512, (np.arange(206) + 0.5) * 200 / 206
truth = np.broadcast_to((0.9 - 0.0012 * y - 0.1 * (y > 45))[:, None], (206, 512))
light = rng.binomial(60, truth)
ds = make_map([light, 60 - light], ["6Li", "7Li"], x=x, y=y, attrs={"simulated": 1})

def alive():
    gc.collect()
    rss = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "widgets": len(_instances),
        "sessions": sum(isinstance(o, Session) for o in gc.get_objects()),
        "observers": sum(len(w._trait_notifiers) for w in _instances.values()),
        "kernel MB": round(rss / 1e6, 1),
    }
"""
OPEN = 'app = pick_boundaries(ds, d_bulk="2.6e-8 cm^2/s")\napp'

# One cell after the other without looking at the page between them, as a person would who holds
# Ctrl+Enter; each run waits for the reply of the kernel.
RUNS = """panel.content.activeCellIndex = 1;
for (let i = 0; i < arg; i++) await window.jupyterapp.commands.execute('notebook:run-cell');"""


def measured(nb, devtools):
    nb.view()
    devtools.send("HeapProfiler.collectGarbage")
    found = {m["name"]: m["value"] for m in devtools.send("Performance.getMetrics")["metrics"]}
    page = {
        "views": nb.page.locator(".lliso-app").count(),
        "listeners": int(found["JSEventListeners"]),
        "nodes": int(found["Nodes"]),
        "heap MB": round(found["JSHeapUsedSize"] / 1e6, 1),
    }
    return nb.ask("alive()") | page


def main(runs=200):
    driver = harness()
    with tempfile.TemporaryDirectory() as home:
        folders = [Path(home) / name for name in ("jupyter", "lab")]
        for folder in folders:
            folder.mkdir()
        with driver.jupyterlab(*folders) as server, driver.chromium_running() as browser:
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.set_default_timeout(driver.WAIT)
            nb = driver.Notebook(server, page).open(server.notebook("reruns.ipynb", MAP, OPEN))
            devtools = page.context.new_cdp_session(page)
            devtools.send("Performance.enable")
            nb.run_all().view()
            nb.js(RUNS, 20)
            before, begun = measured(nb, devtools), time.monotonic()
            nb.js(RUNS, runs)
            spent = time.monotonic() - begun
            after = measured(nb, devtools)
            print(f"{runs} runs in {spent:.0f} s; load {os.getloadavg()[0]:.1f}")
            for name, value in before.items():
                print(f"{name:>10} {value:10} {after[name]:10} {after[name] - value:+10.1f}")
            nb.js("await panel.sessionContext.shutdown();")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
