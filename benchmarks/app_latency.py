"""How fast the apps follow the mouse, measured in the browser they run in.

Drags and clicks with the mouse, 180 motions, 60 a second where the page takes them as fast, and
30 clicks, on maps of 512 x 206 pixels (the network: 260 x 206), and writes
results/app_latency.md, in ms:

- handle: from the browser's handling of a motion to the handle drawn where the mouse is
- result: from the motion or the release itself (its time stamp) to the drawing that it gives; the
  words of table and headings follow within 80 ms
- lag: from the release to the last answer on the screen
- kernel: CPU time of the kernel for one update, in all

Run it on a machine at rest (five minutes)::

    python benchmarks/app_latency.py [CASE ...]
"""

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import app_cases

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "app_latency.md"
SECONDS = 3
HZ = 60
CLICKS = 30

#: what is on the screen before it is measured
PREPARED = {
    "boundaries": """
app.session.gesture("add_at_distance", True, distance=35)
app.session.gesture("add_at_distance", True, distance=100)
app.widget.refresh()
""",
    "registration": """
for (x, y), (u, v) in zip([(60, 330), (430, 340), (400, 460)], [(60, 330), (430, 320), (400, 450)]):
    app.session.gesture("place", True, side="map", x=x, y=y)
    app.session.gesture("place", True, side="image", x=u, y=v)
app.session.gesture("select", True, name=None)
app.widget.refresh()
""",
}

SPY = """() => {
  const v = document.querySelector('.lliso-app').view, send = v.send.bind(v);
  const times = {}, log = (window.log = { handle: [], result: [], sent: 0 });
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
    if (times[n] !== undefined) log.result.push(performance.now() - times[n]);
  }).observe(v.root, { attributes: true, attributeFilter: ['data-answered'] });
}"""
EMPTY = "() => Object.assign(window.log, { handle: [], result: [], sent: 0 })"


def harness():
    """The driver of JupyterLab that the browser tests use."""
    spec = importlib.util.spec_from_file_location("harness", ROOT / "tests/browser/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.POLL = "raf"  # what is waited for is timed here
    return module


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


def drag(nb, start, end):
    """Drag there and back along a line at an even pace; the lag after the release in ms."""
    mouse, steps = nb.page.mouse, SECONDS * HZ
    mouse.move(*start)
    mouse.down()
    begun = time.monotonic()
    for i in range(steps):
        t = 1 - abs(2 * (i + 1) / steps - 1)
        mouse.move(*(a + t * (b - a) for a, b in zip(start, end, strict=True)))
        # asked of the page, the time would cost a round trip, and the pace
        time.sleep(max(0.0, begun + (i + 1) / HZ - time.monotonic()))
    mouse.move(*end)
    mouse.up()
    begun = nb.page.evaluate("() => performance.now()")
    nb.settled()
    return nb.page.evaluate("() => performance.now()") - begun


def clicks(nb, places):
    """Click the places in turn, each when the one before is answered; the longest wait in ms."""
    longest = 0.0
    for i in range(CLICKS):
        begun = nb.page.evaluate("() => performance.now()")
        nb.click(places[i % len(places)])
        longest = max(longest, nb.page.evaluate("() => performance.now()") - begun)
    return longest


def cut(share, end):
    """Drag a place of the cut."""

    def gesture(nb):
        line = nb.shown()["cut"]
        start = [a + share * (b - a) for a, b in zip(line["start"], line["end"], strict=True)]
        return drag(nb, nb.on_map(*start), nb.on_map(*end))

    return gesture


def landmark(nb):
    return drag(nb, nb.on_panel("map", 430, 340), nb.on_panel("map", 380, 390))


def boundary(nb):
    places = nb.ask(
        "(lambda t: [[float(t.x[i]), float(t.y[i])] for i in t.length.values.argsort()[-6:]])"
        "(app.table)"
    )
    return clicks(nb, [nb.on_panel("map", *at) for at in places])


def level(nb):
    x0 = nb.ask("float(app.table['value'].sel(param='x0'))")
    return drag(nb, nb.on_panel("profile", x0, 0.7), nb.on_panel("profile", x0 + 900, 0.7))


def range_end(nb):
    at = nb.page.evaluate(
        "() => document.querySelector('.lliso-app').view.panels.plot.interactors[0].value('high')"
    )
    d = nb.ask("float(table['bulk'][0])")
    return drag(nb, nb.on_panel("plot", at, d), nb.on_panel("plot", 1e3 / 400.0, d))


def points(nb):
    places = nb.ask("[[1e3 / float(T[i]), float(table['bulk'][i])] for i in (1, 3)]")
    return clicks(nb, [nb.on_panel("plot", *at) for at in places])


GESTURES = {
    "boundaries": {
        "end of the cut dragged": cut(1.0, [310, 170]),
        "whole cut dragged": cut(0.3, [330, 85]),
    },
    "registration": {"landmark dragged": landmark},
    "network": {"boundary clicked": boundary},
    "profiles": {"liquid level x₀ dragged": level},
    "Arrhenius": {"end of the range dragged": range_end, "point clicked": points},
}


def measured(lab, server, browser, case):
    """Yield a line of the table for each gesture of an app."""
    setup, opened = app_cases.cells(case, large=True)
    opened, shown = opened.rsplit("\n", 1)
    opened = f"import time\n{opened}\n{PREPARED.get(case, '')}\n{shown}"
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    nb = lab.Notebook(server, context.new_page())
    nb.page.set_default_timeout(2 * lab.WAIT)
    nb.open(server.notebook(f"latency_{case}.ipynb", setup, opened)).run_all()
    if errors := nb.errors():
        sys.exit(str(errors))
    nb.view()
    nb.page.evaluate(SPY)
    for name, gesture in GESTURES[case].items():
        nb.page.evaluate(EMPTY)
        before = nb.ask("time.process_time()")
        lag = gesture(nb)
        spent = 1000 * (nb.ask("time.process_time()") - before)
        yield name, nb.page.evaluate("() => window.log"), lag, spent
    nb.end()
    context.close()


def line(case, name, log, lag, spent):
    """A row of the table."""

    def both(values, digits):
        if not values:
            return "–"
        return f"{statistics.median(values):.{digits}f} / {percentile(values, 0.95):.{digits}f}"

    cells = [case, name, str(len(log["handle"]) or CLICKS), str(len(log["result"]))]
    cells += [both(log["handle"], 2), both(log["result"], 0), f"{lag:.0f}"]
    cells.append(f"{spent / log['sent']:.1f}")
    return f"| {' | '.join(cells)} |"


HEAD = """# How fast the apps follow the mouse

Written by `benchmarks/app_latency.py` on {cores} cores; load average before it {before:.1f}, after
it {after:.1f}; JupyterLab {lab}, ipykernel {kernel}, Chromium {chromium}; simulated samples.
Times in ms, median / 95th percentile. *Handle*: from the browser's handling of a motion to the
handle drawn where the mouse is. *Result*: from the motion or the release to what it gives on the
screen. *Lag*: from the release to the last answer on the screen (clicks: the longest of all, with
the driver's own time). *Kernel*: CPU time of the kernel for one update, in all. Motion that comes
faster than the answers is dropped: *updates* counts the answers. The words of table and headings
follow up to 80 ms later.

| app | gesture | motions or clicks | updates | handle | result | lag | kernel |
|---|---|---|---|---|---|---|---|
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(GESTURES)}; default: all")
    args = parser.parse_args()
    if unknown := set(args.cases) - set(GESTURES):
        parser.error(f"cases must be of {', '.join(GESTURES)}, got {', '.join(sorted(unknown))}")
    lab = harness()
    if reason := lab.missing():
        sys.exit(reason)
    before, rows = os.getloadavg()[0], []
    print(f"load {before:.1f} on {os.cpu_count()} cores", flush=True)
    with (
        tempfile.TemporaryDirectory() as home,
        tempfile.TemporaryDirectory() as folder,
        lab.jupyterlab(Path(home), Path(folder)) as server,
        lab.chromium_running() as browser,
    ):
        for case in args.cases or GESTURES:
            for found in measured(lab, server, browser, case):
                rows.append(line(case, *found))
                print(rows[-1], flush=True)
        facts = {"chromium": browser.version, "lab": version("jupyterlab")}
    if not args.cases:
        facts |= {"before": before, "after": os.getloadavg()[0], "cores": os.cpu_count()}
        text = HEAD.format(kernel=version("ipykernel"), **facts) + "\n".join(rows) + "\n"
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
