"""Coverage-guided fuzzing of HDF5 and zarr: ``python scripts/fuzz_stores.py hdf5 600``.

SIMS-H5, netCDF-4 without lliso's seal, and zarr stores without one. Their libraries, written in C,
may crash or never come back on damaged bytes, which libFuzzer within one process (fuzz_readers.py)
does not survive. Here each input is read in a forked child, with limits on its processor time and
memory; the child tells which lines of lliso.io it ran and what came of it, and inputs that led
somewhere new are changed further. An input is a small valid file with a list of changes, of bytes
or of whole numbers, and most of them aim at the structure rather than at the values.

What must hold: a `FormatError`, or a map; no other exception, no crash of the reading process, at
most `SECONDS` of processor time and `MEGABYTES` beyond the start; read twice, the same.
(The look at a foreign HDF5 file beforehand, `lliso.io._hdf5.check_walk`, may crash or hang: that
is what it is for. It runs in a fork of the child here instead of a new Python.)

A map must have the counts of the file that was changed, or else

- ``values``: the map has just the numbers that the values' bytes, as they are now, mean in the file
  as it was. No reader can know better: these values are stored without a checksum;
- ``told``: the structure was changed, and the map says other numbers in another type or shape
  that the file as it is describes just as consistently. No reader can know better either;
- ``silent``: the structure was changed, type and shape are those of before, but the numbers are
  not. These are what one wants to see; how many of them could have been seen is then a question
  for a person: the first of each kind is kept in build/fuzz/.

The finds that were mended are in tests/io/finds/, as files.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr

import lliso.io
from lliso.errors import FormatError, LlisoWarning
from lliso.io import _hdf5, read_map
from lliso.schema import make_map

SECONDS, MEGABYTES = 5, 1024
ROOT = Path(__file__).resolve().parent.parent
INSIDE = str(Path(lliso.io.__file__).parent)
#: numbers that sizes, offsets and flags are likely to go wrong with
NUMBERS = (0, 1, 2, 3, 4, 8, 16, 127, 128, 255, 256, 4096, 65535, 65536, 2**31 - 1, 2**31)
WIDE = (*NUMBERS, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)

Files = dict[str, bytes]
Change = tuple[str, str, int, int]  # file, kind, position, value


@dataclass
class Seed:
    """A valid store: its files by name ("" is a single file) and where values lie in them."""

    files: Files
    values: dict[str, list[range]] = field(default_factory=dict)
    expected: Any = None


@dataclass(frozen=True)
class Outcome:
    """What came of an input, and which lines were run on the way."""

    kind: str
    detail: str
    lines: frozenset[str]


# --- valid stores ---


def _map(frames: int = 0) -> Any:
    n = np.arange(24, dtype="i4").reshape(2, 3, 4) * 37 % 101
    counts = np.stack([n + k for k in range(frames)], axis=1) if frames else n
    ds = make_map(counts, ["6Li", "7Li"], x=np.arange(4.0), y=np.arange(3.0))
    return ds.assign_attrs(history="made for a test")


def _hdf5_seed(path: Path) -> Seed:
    """A file, and where HDF5 keeps values."""
    plain: list[range] = []

    def look(_: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or item.size is None:
            return
        if item.id.get_offset() is not None:
            plain.append(range(item.id.get_offset(), item.id.get_offset() + item.nbytes))
        elif item.chunks is not None:
            infos = [item.id.get_chunk_info(i) for i in range(item.id.get_num_chunks())]
            plain.extend(range(i.byte_offset, i.byte_offset + i.size) for i in infos)

    with h5py.File(path, "r") as file:
        file.visititems(look)
    return Seed({"": path.read_bytes()}, {"": plain})


def _netcdf_seeds(folder: Path) -> Iterator[Seed]:
    path = folder / "map.nc"
    for frames, encoding in (
        (0, {}),
        (2, {"chunksizes": (1, 1, 3, 4)}),
        (0, {"zlib": True, "shuffle": True, "fletcher32": True}),
        (2, {"zlib": True, "chunksizes": (2, 1, 2, 4)}),
    ):
        for old_layout in (True, True, False):  # the newer one has checksums: little to find
            ds = _map(frames).drop_encoding()
            ds.to_netcdf(path, engine="h5netcdf", encoding={"counts": encoding})
            if old_layout:
                _rewritten(path)
            yield _hdf5_seed(path)


def _rewritten(path: Path) -> None:
    """Copy a file into HDF5's older layout, as other programs write it: without checksums."""
    aside = path.with_suffix(".old")
    with h5py.File(path, "r") as source, h5py.File(aside, "w", libver="earliest") as new:
        for name, value in source.attrs.items():
            new.attrs[name] = value
        scales = {}
        for name, item in source.items():
            keywords = {k: getattr(item, k) for k in ("chunks", "compression", "fletcher32")}
            made = new.create_dataset(name, data=item[()], dtype=item.dtype, **keywords)
            for key, value in item.attrs.items():
                if key not in ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST"):
                    made.attrs[key] = value
            if h5py.h5ds.is_scale(item.id):
                made.make_scale(name)
                scales[name] = made
        for name, item in source.items():
            for axis, dimension in enumerate(item.dims):
                for scale in dimension.values():
                    new[name].dims[axis].attach_scale(scales[scale.name.strip("/")])
    os.replace(aside, path)


def _simsh5_seeds(folder: Path) -> Iterator[Seed]:
    import hdf5plugin

    tests = _of_the_tests("test_simsh5_files")
    path = folder / "map.h5"
    for filters in ({}, {"chunks": (3,), **hdf5plugin.Bitshuffle(cname="zstd")}):
        tests._write(path, tests.HITS, large=True)
        if filters:
            with h5py.File(path, "r+") as file:
                rows = file["data/mass_csr"]
                for name in ("mass_bin", "indptr", "pixel_id", "count"):
                    values = rows[name][:]
                    del rows[name]
                    rows.create_dataset(name, data=values, **filters)
        yield _hdf5_seed(path)


def _zarr_seeds(folder: Path) -> Iterator[Seed]:
    path = folder / "map.zarr"
    blosc: dict[str, Any] = {"compressors": zarr.codecs.BloscCodec()}
    for version, frames, consolidated, packed, sharded in (
        (2, 0, True, {}, False),
        (2, 2, False, {"compressors": None}, False),
        (3, 0, False, {}, False),
        (3, 2, True, {"compressors": None}, False),
        (3, 0, False, blosc, True),
    ):
        shutil.rmtree(path, ignore_errors=True)
        encoding: dict[str, Any] = {"_FillValue": None, **packed}
        shape = (1, *([1] if frames else []), 3, 4)
        chunks = {"chunks": (1, 3, 2), "shards": shape} if sharded else {"chunks": shape}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _map(frames).drop_encoding().to_zarr(
                path,
                mode="w",
                zarr_format=version,
                consolidated=consolidated,
                encoding={"counts": {**encoding, **chunks}, "x": encoding, "y": encoding},
            )
        files = {
            p.relative_to(path).as_posix(): p.read_bytes()
            for p in sorted(path.rglob("*"))
            if p.is_file()
        }
        chunks_of = [n for n in files if "/" in n and not n.endswith((".json", *_MARKS))]
        yield Seed(files, {n: [range(len(files[n]))] for n in chunks_of})


_MARKS = (".zarray", ".zattrs", ".zgroup", ".zmetadata")


def _of_the_tests(module: str) -> Any:
    path = ROOT / "tests" / "io" / f"{module}.py"
    spec = importlib.util.spec_from_file_location(module, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


TARGETS: dict[str, tuple[str, str, Callable[[Path], Iterator[Seed]]]] = {
    "simsh5": ("map.h5", "simsh5", _simsh5_seeds),
    "hdf5": ("map.nc", "netcdf", _netcdf_seeds),
    "zarr": ("map.zarr", "zarr", _zarr_seeds),
}


# --- changes ---


def changed(seed: Seed, changes: list[Change]) -> Files:
    """Apply changes to a store."""
    files = {name: bytearray(data) for name, data in seed.files.items()}
    for name, kind, at, value in changes:
        if name not in files:
            continue
        data = files[name]
        at = min(at, len(data))
        if kind == "flip" and at < len(data):
            data[at] ^= value
        elif kind in ("B", "H", "I", "Q"):
            raw = struct.pack(f"<{kind}", value % 2 ** (8 * struct.calcsize(kind)))
            data[at : at + len(raw)] = raw[: max(len(data) - at, 0)]
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = bytes(value)
        elif kind == "digits":  # a number in a text becomes another
            data[:] = _other_number(bytes(data), at, value)
        elif kind == "copy":
            data[at : at + 8] = data[value : value + 8]
        elif kind == "lose":
            del files[name]
    return {name: bytes(data) for name, data in files.items()}


def _other_number(text: bytes, at: int, value: int) -> bytes:
    found = list(re.finditer(rb"-?\d+", text))
    if not found:
        return text
    match = found[at % len(found)]
    return text[: match.start()] + str(value).encode() + text[match.end() :]


def mutated(rng: random.Random, seed: Seed, changes: list[Change]) -> list[Change]:
    """Return the changes with one more, one less or another one."""
    changes = list(changes)
    if changes and rng.random() < 0.3:
        changes.pop(rng.randrange(len(changes)))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        changes.append(_change(rng, seed))
    return changes[-8:]


def _change(rng: random.Random, seed: Seed) -> Change:
    name = rng.choice(list(seed.files))
    size = max(len(seed.files[name]), 1)
    at = rng.randrange(size)
    for _ in range(20):  # mostly the structure
        if rng.random() < 0.1 or not any(at in r for r in seed.values.get(name, ())):
            break
        at = rng.randrange(size)
    text = name.endswith((".json", *_MARKS))
    if text and rng.random() < 0.4:
        return name, "digits", rng.randrange(64), rng.choice((-1, *WIDE, rng.randrange(100)))
    draw = rng.random()
    if draw < 0.4:
        return name, "flip", at, rng.choice((1, 2, 4, 8, 16, 32, 64, 128, rng.randrange(1, 256)))
    if draw < 0.9:
        kind = rng.choice("BHIQ")
        aligned = at - at % struct.calcsize(kind) if rng.random() < 0.7 else at
        value = rng.choice((*WIDE, rng.randrange(size), rng.randrange(64)))
        return name, kind, aligned, value
    if draw < 0.94:
        return name, "copy", at, rng.randrange(size)
    if draw < 0.97:
        return name, "cut", at, 0
    return (name, "insert", at, rng.choice((1, 2, 8))) if "" in seed.files else (name, "lose", 0, 0)


# --- one input ---


def written(files: Files, path: Path) -> None:
    """Write a store."""
    if "" in files:
        path.write_bytes(files[""])
        return
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def read(path: Path, format: str) -> Any:  # noqa: A002
    """Read a map as the library does; warnings of others are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LlisoWarning)
        return read_map(path, format=format)


@contextlib.contextmanager
def unwalked() -> Iterator[None]:
    """Leave the walk through HDF5 files out."""
    walk = _hdf5.check_walk
    _hdf5.check_walk = lambda _: None
    yield
    _hdf5.check_walk = walk


def judged(path: Path, format: str, seed: Seed, files: Files) -> tuple[str, str]:  # noqa: A002
    """Read an input; return the kind of outcome and what there is to tell."""
    try:
        ds = read(path, format)
    except FormatError as err:
        return "refused", re.sub(r"\d+|'[^']*'|0x[0-9a-f]+", "#", str(err.reason))[:90]
    was = seed.expected
    with unwalked():  # it was walked through already
        expected = _with_these_values(path, format, seed, files)
        same = _alike(ds, expected)
        if same and expected is was:
            kept = ds.drop_attrs().identical(was.drop_attrs())
            return ("same", "") if kept else ("other labels", "")
        if not read(path, format).identical(ds):
            return "BROKEN", "read twice, it is another map"
    if not np.isfinite(ds.counts.values).all():
        return "BROKEN", "counts are not finite"
    if same:
        return "values", ""
    if ds.counts.shape != was.counts.shape:
        return "told", f"shape {ds.counts.shape}"
    if ds.counts.dtype != was.counts.dtype:
        return "told", f"type {ds.counts.dtype}"
    if "read as zeros" in str(ds.attrs.get("history", "")):
        return "told", "missing chunks"
    if expected is None:
        return "silent", "where the values alone would be refused"
    wrong = ds.counts.values != expected.counts.values
    return "silent", f"{wrong.sum()} differ, {(ds.counts.values[wrong] == 0).sum()} of them zero"


def _alike(ds: Any, other: Any) -> bool:
    """Tell whether two maps have the same counts."""
    return other is not None and np.array_equal(ds.counts.values, other.counts.values)


def _with_these_values(path: Path, format: str, seed: Seed, files: Files) -> Any:  # noqa: A002
    """Read the store as it was, but for the bytes that hold plain values."""
    merged = {name: bytearray(data) for name, data in seed.files.items()}
    for name, ranges in seed.values.items():
        if len(files.get(name, b"")) == len(merged[name]):
            for r in ranges:
                merged[name][r.start : r.stop] = files[name][r.start : r.stop]
    clean = {name: bytes(data) for name, data in merged.items()}
    if clean == seed.files:
        return seed.expected
    other = path.with_name(f"values{path.suffix}")
    written(clean, other)
    try:
        return read(other, format)
    except FormatError:
        return None


def in_a_child(work: Callable[[], tuple[str, str]]) -> Outcome:
    """Run `work` in a fork, within limits, with a record of the lines of lliso.io that it runs."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _child(work, send)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        answer = pipe.read()
    status = os.waitpid(child, 0)[1]
    if answer:
        kind, detail, lines = json.loads(answer)
        return Outcome(kind, detail, frozenset(lines))
    code = os.waitstatus_to_exitcode(status)
    if -code in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL):
        return Outcome("HANG", f"signal {-code}", frozenset(["hang"]))
    return Outcome("CRASH", f"exit {code}", frozenset([f"crash {code}"]))


def _child(work: Callable[[], tuple[str, str]], send: int) -> None:
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.alarm(20 * SECONDS)
    lines: set[str] = set()

    def trace(frame: Any, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(INSIDE):
            return None
        lines.add(f"{name[len(INSIDE) :]}:{frame.f_lineno}")
        return trace

    sys.settrace(trace)
    try:
        kind, detail = work()
    except BaseException as err:  # noqa: BLE001 - that is what is looked for
        kind = "BROKEN"
        last = traceback.extract_tb(err.__traceback__)[-1]
        detail = f"{type(err).__name__} at {Path(last.filename).name}:{last.lineno}: {err}"[:300]
    sys.settrace(None)
    lines.add(f"{kind} {detail}"[:80])
    os.write(send, json.dumps([kind, detail, sorted(lines)]).encode()[:60000])
    os._exit(0)


def fork_instead(args: list[str], **_: Any) -> Any:
    """Do what `subprocess.run` would with a Python text: in a fork, which is there at once."""
    child = os.fork()
    if child == 0:
        sys.settrace(None)
        sys.argv = ["-c", *args[4:]]
        signal.alarm(0)
        status = 0
        try:
            exec(args[3], {"__name__": "__main__"})
        except BaseException:  # noqa: BLE001
            status = 1
        os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return _Done(code)


@dataclass
class _Done:
    returncode: int


# --- the run ---


def main(name: str, seconds: float, number: int) -> None:
    """Fuzz one kind of store; what must not be is written to build/fuzz/ as it comes."""
    file, format_, make_seeds = TARGETS[name]
    out = ROOT / "build" / "fuzz" / name
    out.mkdir(parents=True, exist_ok=True)
    _hdf5.subprocess.run = fork_instead  # type: ignore[assignment]
    _hdf5.WALK_SECONDS = 1.0
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="lliso-fuzz-", dir=memory) as folder:
        path = Path(folder) / file
        seeds = list(make_seeds(Path(folder)))
        for seed in seeds:
            written(seed.files, path)
            seed.expected = read(path, format_)
        rng = random.Random(number)
        corpus: list[tuple[Seed, list[Change]]] = [(seed, []) for seed in seeds]
        seen: set[str] = set()
        kinds: Counter[str] = Counter()
        details: Counter[str] = Counter()
        gc.collect()
        gc.freeze()  # what is there is not written to by a child, and so not copied
        gc.disable()
        end, told, runs = time.monotonic() + seconds, time.monotonic(), 0
        while time.monotonic() < end:
            recent = rng.random() < 0.4
            seed, changes = rng.choice(corpus[-20:] if recent else corpus)
            changes = mutated(rng, seed, changes)
            files = changed(seed, changes)
            written(files, path)
            outcome = in_a_child(lambda s=seed, f=files: judged(path, format_, s, f))
            runs += 1
            kinds[outcome.kind] += 1
            details[f"{outcome.kind}: {outcome.detail}"] += 1
            if not outcome.lines <= seen:
                seen |= outcome.lines
                corpus.append((seed, changes))
                if outcome.kind in ("silent", "BROKEN", "CRASH", "HANG", "told"):
                    _keep(out, outcome, files, (seeds.index(seed), changes))
            if time.monotonic() > told + 60:
                told = time.monotonic()
                print(f"{runs} runs, corpus {len(corpus)}, seen {len(seen)}, {dict(kinds)}")
                sys.stdout.flush()
        print(f"{name}, {seconds:g} s: {runs} runs, corpus {len(corpus)}, {dict(kinds)}")
        for line, count in details.most_common(60):
            print(f"{count:8d} {line}")


def _keep(out: Path, outcome: Outcome, files: Files, record: Any) -> None:
    stem = f"{outcome.kind}-{len(list(out.glob('*.json'))):03d}"
    (out / f"{stem}.json").write_text(json.dumps([outcome.kind, outcome.detail, record]))
    if "" in files:
        (out / stem).write_bytes(files[""])
        return
    with zipfile.ZipFile(out / f"{stem}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: fuzz_stores.py {{{','.join(TARGETS)}}} SECONDS [NUMBER]")
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 1)
