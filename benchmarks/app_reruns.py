"""What stays behind when the cell of an app is run again and again, measured in the browser.

Opens each app in JupyterLab, runs its cell 20 times to warm up and then many times more, and says
what grew: widgets, sessions and observers alive in the kernel, its memory; models of widgets,
views, listeners, nodes and heap in the page, after a garbage collection. Cells without lliso are
run in the same way: what grows there is JupyterLab's and ipywidgets' own.

    python benchmarks/app_reruns.py [--runs 200] [--others 40] [CASE ...]

Writes results/app_reruns.md.
"""

import argparse
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
    kind = getattr(sys.modules.get("lliso.sessions.session"), "Session", ())
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
  '.jp-OutputArea-output .plain, .jp-OutputArea-output pre, .jp-OutputArea-output img')].at(-1);
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
    file = server.notebook(
        "".join(c for c in f"reruns_{name}.ipynb" if c != " "), ALIVE + setup, opened
    )
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


def row(name, runs, before, after):
    """One line of the table: what grew per run of the cell."""
    grown = {key: (after[key] - before[key]) / runs for key in before}
    listed = [f"{name} | {runs} | {after['widgets']} | {after['views']}"]
    listed += [f"{grown[key]:+.2f}" for key in ("widgets", "observers", "sessions", "listeners")]
    listed += [f"{grown['nodes']:+.1f}"]
    listed += [f"{1000 * grown[key]:+.0f}" for key in ("heap MB", "buffers MB", "kernel MB")]
    return f"| {' | '.join(listed)} |"


HEAD = """# What an app leaves behind when its cell is run again

Written by `benchmarks/app_reruns.py`: each cell run {warm} times to warm up, then as often as the
table says, in JupyterLab {lab} with ipywidgets {widgets}, anywidget {any} and ipykernel {kernel};
growth **per run**, after garbage collection in the kernel and in the page. The last four rows are
cells without lliso: what IPython, JupyterLab, ipywidgets and anywidget keep by themselves.

*Nodes* are elements and texts of the page, shown or not. JupyterLab keeps every comm that a widget
ever had until the kernel ends (its `CommHandler` listens to the kernel's status and is never taken
off), with it the model and the element of the widget: lliso empties both when a view closes.
*Sessions* are kept by IPython, which keeps whatever a cell showed (`Out`): one that was replaced
holds its picks and nothing else. Memory of the kernel is what the system counts, in steps; most of
its growth is the picture beside the view (160 kB as text for the boundaries), which IPython keeps
with every output it ever sent; the cell with a picture sends one of that size.

| cell | runs | widgets alive | views | widgets | observers | sessions | listeners | nodes |\
 heap, kB | buffers, kB | kernel, kB |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def write(rows):
    names = {"lab": "jupyterlab", "widgets": "ipywidgets", "any": "anywidget"}
    versions = {key: version(name) for key, name in names.items()}
    head = HEAD.replace("\\\n", "").format(warm=WARM, kernel=version("ipykernel"), **versions)
    RESULTS.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


def main():
    names = [*app_cases.APPS, *app_cases.CONTROLS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--runs", type=int, default=200, help="of the boundary app")
    parser.add_argument("--others", type=int, default=40, help="of the other apps and cells")
    args = parser.parse_args()
    if unknown := set(args.cases) - set(names):
        parser.error(f"cases must be of {', '.join(names)}, got {', '.join(sorted(unknown))}")
    driver = harness()
    if reason := driver.missing():
        sys.exit(reason)
    rows = []
    with tempfile.TemporaryDirectory() as home:
        folders = [Path(home) / name for name in ("jupyter", "lab")]
        for folder in folders:
            folder.mkdir()
        with driver.jupyterlab(*folders) as server, driver.chromium_running() as browser:
            for name in args.cases or names:
                runs = args.runs if name == "boundaries" else args.others
                before, after, spent = one_case(driver, server, browser, name, runs)
                print(f"{name}: {runs} runs in {spent:.0f} s", flush=True)
                for key, value in before.items():
                    grown = after[key] - value
                    line = f"{key:>15} {value:10} {after[key]:10} {grown:+10.1f}"
                    print(line, f"{grown / runs:+8.2f}", flush=True)
                rows.append(row(name, runs, before, after))
    if not args.cases:
        write(rows)


if __name__ == "__main__":
    main()
