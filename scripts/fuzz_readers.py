"""Coverage-guided fuzzing of lliso's own readers: ``python scripts/fuzz_readers.py bif6 600``.

A reader is given bytes that libFuzzer (atheris, the extra ``fuzz``) makes up from small valid
files. What must hold is in `check`: a clear error, or a map that is the same when it is read again
and that an independent look at the bytes confirms; never another exception, never more than five
seconds or one gigabyte. The first violation stops the run and is written to build/fuzz/; put it
into tests/io/finds/READER/ when it is mended. The tests run those files again, without atheris.
"""

from __future__ import annotations

import importlib.util
import io
import itertools
import struct
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports(include=["lliso.io", "zipfile"]):
        import lliso.io
        import lliso.io.ebsd
        import lliso.io.imagej
        import lliso.io.impedance_text
        import lliso.io.tables

import lliso.io
import lliso.io.ebsd
import lliso.io.impedance_text
import lliso.io.tables
from lliso.errors import FormatError, LlisoWarning
from lliso.io import read_map
from lliso.schema import check_map, make_map

SECONDS, MEGABYTES = 5, 1024
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Target:
    """One reader: its file name, valid files to start from, and what its maps must agree with."""

    file: str
    seeds: Callable[[], list[bytes]]
    agrees: Callable[[bytes, Any], bool] | None = None
    options: tuple[dict[str, Any], ...] = ({"fov": (10, 10)},)
    build: Callable[[bytes, Path], bool] | None = None
    format: str = ""
    read: Callable[[Path], Any] | None = None
    changes: bool = False
    least: int = 0
    most: int = 2048


def check(name: str, data: bytes, folder: Path) -> str:
    """Give `data` to a reader; return what came of it, or raise on what must not happen."""
    target = TARGETS[name]
    path = folder / target.file
    must_fail = False
    if target.build is None:
        path.write_bytes(data)
    else:
        must_fail = target.build(data, path)
        if target.changes and not must_fail:
            return "read"  # the file as it was: the tests read that
    outcome = "refused"
    if target.read is not None:
        return _check_no_map(target.read, path)
    for partial, options in itertools.product((False, True), target.options):
        keywords = {"format": target.format or name, "partial": partial, **options}
        try:
            ds = _read(path, keywords)
        except FormatError:
            continue
        if must_fail:
            raise AssertionError("a file that was changed was read")
        check_map(ds)
        if not np.isfinite(ds.counts.values).all():
            raise AssertionError("counts are not finite")
        if not _read(path, keywords).identical(ds):
            raise AssertionError("read twice, it is another map")
        cut = partial and ds.attrs.get("partial")
        if target.agrees and not cut and not target.agrees(path.read_bytes(), ds):
            raise AssertionError("the map is not what the bytes say")
        outcome = "read"
    return outcome


def _read(path: Path, keywords: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", LlisoWarning)
        return read_map(path, **keywords)


def _check_no_map(read: Callable[[Path], Any], path: Path) -> str:
    """Check what is read as a table."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", LlisoWarning)
        try:
            ds = read(path)
        except FormatError:
            return "refused"
        if "counts" in ds and not (ds.counts.values >= 0).all():
            raise AssertionError("counts are negative or no numbers")
        if not read(path).identical(ds):
            raise AssertionError("read twice, it is another table")
    return "read"


# --- valid files to start from, and independent looks at the bytes ---


def _bif6_seeds() -> list[bytes]:
    def one(n: int, nx: int, ny: int, masses: tuple[float, ...]) -> bytes:
        out = b"\0\0BIF6" + struct.pack("<3H", n, nx, ny)
        for i, m in enumerate(masses):
            out += struct.pack("<i3f", i, m, m - 0.02, m + 0.02)
            out += np.arange(nx * ny, dtype="<u4").tobytes()
        return out

    return [one(1, 2, 2, (7.016,)), one(2, 3, 2, (6.015, 7.016)), one(3, 2, 1, (6.015, 7.016, 23))]


def _bif6_agrees(data: bytes, ds: Any) -> bool:
    out = data[:12]
    for i in range(ds.sizes["species"]):
        at = len(out)
        mz = [float(ds[n].values[i]) for n in ("mass", "mass_lower", "mass_upper")]
        out += data[at : at + 4] + struct.pack("<3f", *mz)
        out += ds.counts.values[i].astype("<u4").tobytes()
    # -0.0 and 0.0 are the same mass
    return out == data or out.replace(b"\0\0\0\x80", b"\0" * 4) == data.replace(
        b"\0\0\0\x80", b"\0" * 4
    )


def _ascii_seeds(frames: bool) -> list[bytes]:
    header = "# Field of View: 0.5 x 0.2 mm\r\n# Deadtime Correction: on\r\n"
    if frames:
        rows = [f"{x} {y} {s} {x + 2 * y + s}" for s in (0, 1) for y in (0, 1) for x in (0, 1, 2)]
    else:
        rows = [f"{x} {y} {x + 2 * y}" for y in (0, 1, 2) for x in (0, 1)]
    text = "\r\n".join(rows) + "\r\n"
    return [text.encode(), (header + text).encode(), text.replace(" ", "\t").encode("latin-1")]


def _ascii_agrees(data: bytes, ds: Any) -> bool:
    """Add the last numbers of all rows up, the plain way."""
    text = data.decode("latin-1").removeprefix("\xef\xbb\xbf")
    cells = [line.split("#")[0].split() for line in io.StringIO(text)]
    cells = [row for row in cells if row]
    total = sum(float(row[-1]) for row in cells)
    return len(cells) == ds.counts.size and bool(np.isclose(total, float(ds.counts.sum())))


def _npz_seeds() -> list[bytes]:
    def one(compressed: bool = False, **arrays: Any) -> bytes:
        out = io.BytesIO()
        (np.savez_compressed if compressed else np.savez)(out, **arrays)
        return out.getvalue()

    n = np.arange(6, dtype="i4").reshape(2, 3)
    axes = {"x": np.arange(3.0), "y": np.arange(2.0)}
    return [
        one(**{"6Li": n.astype("u1")}),
        one(**{"6Li": n, "7Li": n + 1}, **axes),
        one(True, **{"7Li": np.stack([n, n]).astype("f8")}),
    ]


def _npz_agrees(data: bytes, ds: Any) -> bool:
    with np.load(io.BytesIO(data)) as arrays:
        return all(np.array_equal(ds.counts.sel(species=s), arrays[s]) for s in ds.species.values)


_SEALED: list[bytes] = []


def _sealed_map() -> bytes:
    if not _SEALED:
        from lliso.io import write_map

        counts = np.arange(24, dtype="i4").reshape(2, 3, 4)
        ds = make_map(counts, ["6Li", "7Li"], x=np.arange(4.0), y=np.arange(3.0))
        with tempfile.TemporaryDirectory() as folder:
            _SEALED.append(write_map(ds, Path(folder) / "map.nc").read_bytes())
    return _SEALED[0]


def _edit_sealed(data: bytes, path: Path) -> bool:
    """Take `data` as changes of a sealed map: 2 bytes position, 1 byte value, again and again."""
    whole = bytearray(_sealed_map())
    for at in range(0, len(data) - 2, 3):
        where, value = struct.unpack_from("<HB", data, at)
        whole[where % len(whole)] ^= value
    path.write_bytes(whole)
    return bytes(whole) != _sealed_map()


def _of_the_tests(module: str) -> Any:
    """Return a module of the tests, for the files that it builds."""
    path = ROOT / "tests" / "io" / f"{module}.py"
    spec = importlib.util.spec_from_file_location(module, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def _ita_seeds() -> list[bytes]:
    tests = _of_the_tests("test_ita_files")
    images = np.arange(8).reshape(2, 2, 2)
    intervals = [(2, (6.015, 5.99, 6.04), "^6Li+", ""), (3, (7.016, 6.99, 7.04), "", "")]
    tree = tests._tree(images, intervals)
    later = tests._tree(images, intervals, later=True, stack_size=False)
    return [tests._file(tree), tests._file(later), tests._file(tree, "SI Image")]


def _cameca_seeds() -> list[bytes]:
    tests = _of_the_tests("test_cameca_images")
    planes = np.arange(12, dtype="u2").reshape(2, 3, 1, 2)
    return [
        tests._im(planes, tests.MASSES),
        tests._im(planes.astype("u4")[:, :1], tests.MASSES[:1], order="<", version=4108),
    ]


def _cameca_agrees(data: bytes, ds: Any) -> bool:
    """All counts lie at the end of the file, plane after plane, mass after mass, row after row."""
    planes = ds.counts.values[..., ::-1, :].swapaxes(0, 1)
    forms = [f"{order}u{size}" for order in "<>" for size in (2, 4)]
    return any(data.endswith(planes.astype(form).tobytes()) for form in forms)


def _imzml_seeds() -> list[bytes]:
    tests = _of_the_tests("test_imzml_files")
    with tempfile.TemporaryDirectory() as folder:
        path = tests._write(Path(folder), tests.SPECTRA[1:])
        _BINARY.append(path.with_suffix(".ibd").read_bytes())
        return [path.read_bytes()]


_BINARY: list[bytes] = []


def _beside_numbers(data: bytes, path: Path) -> bool:
    """Write `data` as the XML of numbers that are in order."""
    path.write_bytes(data)
    if not _BINARY:
        _imzml_seeds()
    path.with_suffix(".ibd").write_bytes(_BINARY[0])
    return False


def _csv_seeds() -> list[bytes]:
    return [
        b"1,2,3\n4,5,6\n",
        b"# Field of View: 0.5 mm x 200 um\n1;2\n3;4\n",
        b"y/x (um)\t1\t2\n0,5\t7\t8\n1,5\t9\t10\n",
    ]


def _line_seeds() -> list[bytes]:
    return [
        b"position (um);6Li;7Li\n0;5210;3190\n120;4876;3514\n240;4500;3600\n",
        b"# Deadtime Correction: off\ndistance (mm),7Li\n0,5\n0.1,6\n",
    ]


def _depth_seeds() -> list[bytes]:
    return [
        (
            b"# Profile Smoothing is Disabled\r\n#\t\t\t\ttotal\t^6Li+\tLi+\t\r\n"
            b"#\t\t\t\tN/A\t6.015\t7.016\t\r\n#Data Point #\tSputter Time (s)\tDose (ions)\t"
            b"Fluence (ions/cm^2)\tIntensity\tIntensity\tIntensity\t\r\n"
            b"1\t1.5\t1e6\t1e12\t30\t10.5\t19.5\t\r\n2\t3.0\t2e6\t2e12\t31\t11\t20\t\r\n"
        )
    ]


def _spectrum_seeds() -> list[bytes]:
    return [
        (
            b"# Binning: 200 channels\r\n# Deadtime Correction: on\r\nChannel\tm/z\tIntensity\r\n"
            b"100\t0.01\t0\r\n300\t0.09\t12\r\n500\t0.25\t3\r\n"
        )
    ]


def _interval_seeds() -> list[bytes]:
    return [
        (
            b"No.\tCenter Mass (u)\tLower Mass (u)\tUpper Mass (u)\tAssignment\tArea\t"
            b"Uncorrected Area\r\n1\t6.015\t5.99\t6.04\t^6Li+\t110\t100\r\n"
            b"2\t7.016\t6.99\t7.04\tLi+\t230\t200\r\n"
        )
    ]


def _tiff_seeds() -> list[bytes]:
    import tifffile

    made = []
    for keywords in ({}, {"compression": "zlib"}, {"imagej": True, "resolution": (2.0, 2.0)}):
        out = io.BytesIO()
        tifffile.imwrite(out, np.arange(30, dtype="u2").reshape(2, 3, 5), **keywords)
        made.append(out.getvalue())
    return made


def _nrrd_seeds() -> list[bytes]:
    header = (
        "NRRD0001\ntype: unsigned short\ndimension: 4\nsizes: 2 3 2 2\nendian: big\n"
        "encoding: raw\nMims_mass_numbers:=6.015 7.016\nMims_mass_symbols:=6Li 7Li\n"
        "Mims_pixel_width:=500.0\n\n"
    )
    return [header.encode() + np.arange(24, dtype=">u2").tobytes()]


def _ebsd_seeds(kind: str) -> list[bytes]:
    tests = _of_the_tests("test_ebsd_files")
    if kind == "ctf":
        return [tests.ctf().encode()]
    return [tests.ang().encode(), tests.ang(hexagonal=True).encode()]


def _impedance_seeds() -> list[bytes]:
    """The first rows of each layout: more rows teach the fuzzer nothing."""
    tests = _of_the_tests("test_impedance_text")
    whole = [tests.zplot(), tests.gamry(), tests.biologic(), tests.biologic(",")]
    kept = [text.splitlines(keepends=True) for text in whole]
    cut = ["".join(lines[:14]) for lines in kept]
    return [*(text.encode("latin-1") for text in cut), b"1e3,100,-5\n1e4,90,-12\n"]


def _imagej_seeds() -> list[bytes]:
    tests = _of_the_tests("test_imagej_lines")
    line = tests._line(10, 5, 10, 25, width=3, name=b"boundary 1")
    made = [line]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("a.roi", line)
            archive.writestr("b.roi", tests._line(0, 0, 5, 5, kind=7))
        made.append(out.getvalue())
    return made


def _read_imagej(path: Path) -> Any:
    """Return the lines as a table, as the other readers here give one."""
    from lliso.io.imagej import read_lines

    lines, others = read_lines(path)
    ends = [[*line[1], line[2]] for line in lines]
    if not np.isfinite(ends).all():
        raise AssertionError("a line is not finite")
    return xr.Dataset(
        {"ends": (("line", "number"), ends), "others": ("other", np.array(others, dtype=object))},
        {"line": [line[0] for line in lines]},
    )


def _table_seeds() -> list[bytes]:
    return [
        "# material: LLTO\nT (°C), σ_bulk (mS/cm), sigma_bulk_std (%), d_nmr (m2/s)\n"
        "22, 0.82, 4, 2.6e-12\n200, 27.4, 4, \n".encode(),
        b"T (K);sigma_total (S/m)\n300;1,5\n",
    ]


TARGETS = {
    "ang": Target("map.ang", lambda: _ebsd_seeds("ang"), read=lliso.io.ebsd.read_ebsd),
    "ctf": Target("map.ctf", lambda: _ebsd_seeds("ctf"), read=lliso.io.ebsd.read_ebsd),
    "impedance": Target("cell.txt", _impedance_seeds, read=lliso.io.impedance_text.read_impedance),
    "imagej": Target("RoiSet.zip", _imagej_seeds, read=_read_imagej),
    "table": Target("sigma.csv", _table_seeds, read=lliso.io.tables.read_conductivities),
    "csv": Target("sample_7Li.csv", _csv_seeds),
    "tiff": Target("sample_7Li.tif", _tiff_seeds, most=4096),
    "nrrd": Target("sample.nrrd", _nrrd_seeds),
    "line": Target("line.csv", _line_seeds, read=lliso.io.read_profile),
    "depth": Target("depth.txt", _depth_seeds, read=lliso.io.read_depth_profile),
    "spectrum": Target("spectrum.txt", _spectrum_seeds, read=lliso.io.read_spectrum),
    "intervals": Target("i.txt", _interval_seeds, read=lliso.io.read_mass_intervals),
    "imzml": Target("map.imzML", _imzml_seeds, build=_beside_numbers, most=4096),
    "ita": Target("map.ita", _ita_seeds, most=8192),
    "cameca-im": Target("map.im", _cameca_seeds, _cameca_agrees, most=8192),
    "bif6": Target("map.bif6", _bif6_seeds, _bif6_agrees),
    "iontof-ascii": Target("sample - 7Li+.txt", lambda: _ascii_seeds(False), _ascii_agrees),
    "iontof-ascii-3d": Target(
        "sample - 6Li+.txt", lambda: _ascii_seeds(True), _ascii_agrees, format="iontof-ascii"
    ),
    "npz": Target("map.npz", _npz_seeds, _npz_agrees, options=({}, {"fov": (10, 10)})),
    "netcdf": Target(
        "map.nc",
        lambda: [b"", b"\x10\0\1", b"\0\x20\xff\5\0\1"],
        options=({},),
        build=_edit_sealed,
        least=3,
    ),
}


def main(name: str, seconds: int) -> None:
    """Fuzz one reader until something breaks or the time is over."""
    target = TARGETS[name]
    out = ROOT / "build" / "fuzz" / name
    (out / "corpus").mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(target.seeds()):
        (out / "corpus" / f"seed{i}").write_bytes(seed)
    folder = Path(tempfile.mkdtemp(prefix="lliso-fuzz-", dir=_memory()))

    for seed in target.seeds():  # what a first reading imports is not its time
        check(name, seed, folder)

    def one(data: bytes) -> None:
        if len(data) >= target.least:
            check(name, data, folder)

    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-artifact_prefix={out}/",
        f"-max_len={target.most}",
        "-len_control=20",
        "-use_value_profile=1",
        "-print_final_stats=1",
        str(out / "corpus"),
        *[str(p) for p in [ROOT / "tests" / "io" / "finds" / name] if p.is_dir()],
    ]
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def _memory() -> str | None:
    """A file system in memory, where there is one: each input is written to a file."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: fuzz_readers.py {{{','.join(TARGETS)}}} SECONDS")
    main(sys.argv[1], int(sys.argv[2]))
