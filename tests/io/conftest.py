"""Builders of files in the layout of each format, written independently of the readers."""

import importlib.util
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

LI6_WINDOW = (6.015, 5.99, 6.04)
LI7_WINDOW = (7.016, 6.99, 7.04)


def _bif6(images, windows, *, ids=None):
    """BIF6 by struct alone, one number after the other."""
    images = np.asarray(images)
    n, ny, nx = images.shape
    out = b"\x00\x00" + b"BIF6" + struct.pack("<HHH", n, nx, ny)
    for i in range(n):
        out += struct.pack("<i", i if ids is None else ids[i])
        out += struct.pack("<fff", *windows[i])
        for row in range(ny):
            out += struct.pack(f"<{nx}I", *(int(v) for v in images[i, row]))
    return out


def _ascii_image(image, *, header=("# made by a test",), newline="\r\n", fmt="{}"):
    """``X Y I``, or ``X Y scan I`` for three dimensions (frame, y, x); X fastest."""
    image = np.asarray(image)
    lines = list(header)
    lines += [
        " ".join([*(str(i) for i in _xy_first(index)), fmt.format(image[index])])
        for index in np.ndindex(image.shape)
    ]
    return (newline.join(lines) + newline).encode()


def _xy_first(index):
    *frame, y, x = index
    return (x, y, *frame)


@pytest.fixture(scope="session")
def make_bif6():
    return _bif6


@pytest.fixture(scope="session")
def make_ascii():
    return _ascii_image


@pytest.fixture(scope="session")
def counts():
    """Two species, 5 rows, 7 columns; every number different, so that any mix-up shows."""
    return np.arange(70, dtype=np.int64).reshape(2, 5, 7) + 3


@pytest.fixture(scope="module")
def fuzz(request):
    """The fuzzer of scripts/ that the module of tests names, ``FUZZER``, as a module."""
    path = Path(__file__).parents[2] / "scripts" / f"{request.module.FUZZER}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def lithium_bif6(tmp_path, counts):
    path = tmp_path / "lithium.bif6"
    path.write_bytes(_bif6(counts, [LI6_WINDOW, LI7_WINDOW]))
    return path


@pytest.fixture
def lithium_folder(tmp_path, counts):
    folder = tmp_path / "images"
    folder.mkdir()
    for ion, image in zip(("^6Li+", "Li+"), counts, strict=True):
        (folder / f"LLTO 59 h - {ion}.txt").write_bytes(_ascii_image(image))
    return folder
