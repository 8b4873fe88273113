"""Sealed files are read without xarray's engine, and come out as with it."""

import h5py
import numpy as np
import pytest
import xarray as xr

from lliso.io import _own_netcdf, netcdf, read_map, write_map
from lliso.io._reader import Options
from lliso.schema import make_map

RNG = np.random.default_rng(1)


def _map(frames=None, dtype="i4"):
    shape = (2, 5, 7) if frames is None else (2, frames, 5, 7)
    counts = RNG.integers(0, 99, shape).astype(dtype)
    attrs = {"note": "µm", "empty": "", "blur": 0.1, "n": 3}
    return make_map(
        counts, ["6Li", "7Li"], x=np.arange(7) * 0.1, y=np.arange(5.0), attrs=attrs
    ).assign_coords(mass=("species", [6.015, 7.016], {"units": "m/z"}))


MAPS = {
    "plain": _map(),
    "frames": _map(3),
    "floats": _map(dtype="f4"),
    "variance and shots": (lambda m: m.assign(variance=m.counts * 1.5, shots=((), 1234)))(_map()),
    "flags and texts": _map().assign(
        seen=(("y", "x"), RNG.random((5, 7)) > 0.5), who=("species", ["^6Li+", "µ"]), one=((), "a")
    ),
    "sizes without coordinates": _map(2).assign(
        drift=(("frame", "axis"), np.array([[0.1, np.nan], [1.0, 2.0]])), c=("term", [1, 2, 3])
    ),
    "coordinates of two dimensions": _map().assign_coords(far=(("y", "x"), RNG.random((5, 7)))),
    "seconds are no dates": _map().assign_coords(
        dead_time=("species", [1e-8, 2e-8], {"units": "s"})
    ),
}


@pytest.mark.parametrize("name", MAPS)
def test_a_sealed_file_is_read_as_xarray_reads_it(tmp_path, name, monkeypatch):
    path = write_map(MAPS[name], tmp_path / "map.nc")
    with monkeypatch.context() as patch:
        patch.setattr(netcdf, "_open", None)  # it is not needed
        own = read_map(path)
    theirs = netcdf._open(path, Options())
    xr.testing.assert_identical(own, theirs)
    xr.testing.assert_identical(own, MAPS[name])
    for key, variable in theirs.variables.items():
        assert own[key].dtype == variable.dtype
    assert {k: type(v) for k, v in own.attrs.items()} == {
        k: type(v) for k, v in MAPS[name].attrs.items()
    }
    assert not any(v.encoding for v in own.variables.values())


def test_what_is_not_simple_is_left_to_xarray(tmp_path):
    path = tmp_path / "other.nc"
    with h5py.File(path, "w") as file:
        file.create_group("inside")
    assert _own_netcdf.read(path) is None
    with h5py.File(path, "w") as file:
        file["x"] = np.ones((2, 3))
        file["x"].make_scale("x")
    assert _own_netcdf.read(path) is None
