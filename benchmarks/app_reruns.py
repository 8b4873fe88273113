"""What stays behind when the cell of an app is run again and again, measured in the browser.

Opens each app in JupyterLab, runs its cell 20 times to warm up and then many times more, and says
what grew: widgets, sessions and observers alive in the kernel, its memory; models of widgets,
views, listeners, nodes and heap in the page, after a garbage collection. Cells without lliso are
run in the same way: what grows there is JupyterLab's and ipywidgets' own.

    python benchmarks/app_reruns.py [--runs 200] [--others 40] [CASE ...]

Writes results/app_reruns.md.
"""

import argparse
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import app_cases
from app_latency import harness

RESULTS = Path(__file__).parent / "results" / "app_reruns.md"
WARM = 20

ALIVE = """
import gc, os, sys
from ipywidgets.widgets.widget import _instances
def alive():
    gc.collect()
    rss = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    kind = getattr(sys.modules.get("lliso.apps.session"), "Session", ())
    return {
        "widgets": len(_instances),
        "observers": sum(len(w._trait_notifiers) for w in _instances.values()),
        "sessions": sum(isinstance(o, kind) for o in gc.get_objects()),
        "kernel MB": round(rss / 1e6, 1),
    }
"""

# One cell after the other, as a person would who holds Ctrl+Enter: each run waits for the reply of
# the kernel and until what it shows is there, so that no view is skipped.
RUNS = """panel.content.activeCellIndex = 1;
const drawn = () => [...document.querySelectorAll(
  '.jp-OutputArea-output .lliso-app, .jp-OutputArea-output .widget-vbox, ' +
  '.jp-OutputArea-output .plain, .jp-OutputArea-output pre')].at(-1);
for (let i = 0; i < arg; i++) {
  const before = drawn();
  await window.jupyterapp.commands.execute('notebook:run-cell');
  while (!drawn() || drawn() === before) await new Promise(requestAnimationFrame);
}"""


def measured(nb, devtools):
    """What is alive in the kernel and in the page, by name."""
    if nb.page.locator(".lliso-app").count():
        nb.view()
    nb.idle()
    nb.page.wait_for_timeout(500)  # JupyterLab draws outputs and tool bars when it has time
    for _ in range(3):
        devtools.send("HeapProfiler.collectGarbage")
    found = {m["name"]: m["value"] for m in devtools.send("Performance.getMetrics")["metrics"]}
    heap = devtools.send("Runtime.getHeapUsage")
    shown = nb.page.evaluate("() => document.getElementsByTagName('*').length")
    page = {
        "views": nb.page.locator(".lliso-app").count(),
        "listeners": int(found["JSEventListeners"]),
        "elements shown": shown,
        "nodes": int(found["Nodes"]),
        "heap MB": round(heap["usedSize"] / 1e6, 2),
        "buffers MB": round(heap["backingStorageSize"] / 1e6, 2),
    }
    return nb.ask("alive()") | page


def one_case(driver, server, browser, name, runs):
    """What one case holds after the warm-up, and how much more per run after that."""
    setup, opened = app_cases.cells(name)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(10 * driver.WAIT)
    file = server.notebook(f"reruns_{abs(hash(name))}.ipynb", ALIVE + setup, opened)
    nb = driver.Notebook(server, page).open(file)
    devtools = context.new_cdp_session(page)
    devtools.send("Performance.enable")
    nb.run_all()
    if errors := nb.errors():
        raise RuntimeError(f"{name}: {errors}")
    nb.js(RUNS, WARM)
    before, begun = measured(nb, devtools), time.monotonic()
    nb.js(RUNS, runs)
    spent = time.monotonic() - begun
    after = measured(nb, devtools)
    nb.js("await panel.sessionContext.shutdown();")
    context.close()
    return before, after, spent


def main():
    names = [*app_cases.CONTROLS, *app_cases.APPS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[[], *names], help="default: all")
    parser.add_argument("--runs", type=int, default=200, help="of the boundary app and controls")
    parser.add_argument("--others", type=int, default=40, help="runs of the other apps")
    args = parser.parse_args()
    driver = harness()
    if reason := driver.missing():
        sys.exit(reason)
    many = {*app_cases.CONTROLS, "boundaries"}
    with tempfile.TemporaryDirectory() as home:
        folders = [Path(home) / name for name in ("jupyter", "lab")]
        for folder in folders:
            folder.mkdir()
        with driver.jupyterlab(*folders) as server, driver.chromium_running() as browser:
            for name in args.cases or names:
                runs = args.runs if name in many else args.others
                before, after, spent = one_case(driver, server, browser, name, runs)
                print(f"{name}: {runs} runs in {spent:.0f} s", flush=True)
                for key, value in before.items():
                    grown = after[key] - value
                    print(f"{key:>15} {value:10} {after[key]:10} {grown:+10.1f} {grown / runs:+8.2f}")


if __name__ == "__main__":
    main()
