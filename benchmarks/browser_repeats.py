"""Run the browser tests again and again, several at once, and say which of them flake.

    python benchmarks/browser_repeats.py 20 [--at-once 2] [pytest's own arguments]

Each run has a server, a browser, ports and folders of its own. Writes results/browser_repeats.md
after every run; what a run with a failure said stays in build/browser_repeats/. Ends with 1 if
anything failed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "browser_repeats.md"
SAID = ROOT / "build" / "browser_repeats"


def one_run(number, extra, home):
    """Run the suite once: seconds by test, and the names of those that failed."""
    folder = Path(home) / str(number)
    folder.mkdir()
    report, said = folder / "report.xml", SAID / f"run-{number}.txt"
    command = [sys.executable, "-m", "pytest", "-p", "no:nbval", "-p", "no:cacheprovider", "-q"]
    command += [f"--basetemp={folder / 'tmp'}", f"--junitxml={report}", *extra]
    env = {**os.environ, "LLISO_CI": "1", "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    with open(said, "w", encoding="utf-8") as log:
        code = subprocess.call(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
    seconds, failed = {}, set()
    if report.exists():
        for case in ET.parse(report).iter("testcase"):
            name = f"{case.get('classname').split('.')[-1]}::{case.get('name')}"
            seconds[name] = seconds.get(name, 0.0) + float(case.get("time"))
            if any(case.find(kind) is not None for kind in ("failure", "error", "skipped")):
                failed.add(name)
    if code and not failed:
        failed.add("(the run itself)")
    if not failed:
        said.unlink()
    print(f"run {number}: {len(seconds)} tests, {', '.join(sorted(failed)) or 'all passed'}")
    sys.stdout.flush()
    return seconds, failed


def written(runs, args, spent, load):
    """The report, one line per test, those that failed first."""
    times, bad = defaultdict(list), defaultdict(int)
    for seconds, failed in runs:
        for name, value in seconds.items():
            times[name].append(value)
        for name in failed:
            bad[name] += 1
    commit = ["git", "rev-parse", "--short", "HEAD"]
    state = subprocess.run(commit, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    about = (
        f"Written by `benchmarks/browser_repeats.py` at {state.strip()}: {len(runs)} runs, "
        f"{args.at_once} at once, in {spent / 60:.0f} min on {os.cpu_count()} cores; load average "
        f"{load[0]:.1f} before, {load[1]:.1f} after. {len(times)} tests; {sum(bad.values())} "
        "failures."
    )
    lines = [
        "# The browser tests, run again and again",
        "",
        about,
        "",
        "| test | runs | failed | median, s | longest, s |",
        "|---|---|---|---|---|",
    ]
    for name in sorted({*times, *bad}, key=lambda n: (-bad[n], n)):
        took = times[name] or [0.0]
        numbers = f"{bad[name]} | {statistics.median(took):.1f} | {max(took):.1f}"
        lines.append(f"| {name} | {len(times[name])} | {numbers} |")
    return "\n".join(lines) + "\n", sum(bad.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=int)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--report", type=Path, default=RESULTS)
    args, extra = parser.parse_known_args()
    if not any(not a.startswith("-") for a in extra):
        extra = ["tests/browser", *extra]
    SAID.mkdir(parents=True, exist_ok=True)
    before, begun, runs = os.getloadavg()[0], time.monotonic(), []
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(args.at_once) as pool:
        for run in pool.map(lambda n: one_run(n, extra, home), range(1, args.runs + 1)):
            runs.append(run)
            load = before, os.getloadavg()[0]
            text, failures = written(runs, args, time.monotonic() - begun, load)
            args.report.write_text(text, encoding="utf-8")
    print(text)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
