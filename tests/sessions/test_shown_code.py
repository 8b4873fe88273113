"""The lines that every app shows are run as they stand, and their numbers are those of the app.

What came from a file is read from it again, without the app; what was made in the notebook has no
such file, and the lines say where it is.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

import lliso
from lliso.sessions.boundaries.session import BoundarySession
from lliso.sessions.explorer.session import ExplorerSession
from lliso.sessions.network.session import NetworkSession
from lliso.sessions.reading import read_map_line
from lliso.sessions.registration.session import RegistrationSession

D_BULK = 2.6e-8
EDGES = (20.0, 45.0)


@pytest.fixture(scope="module")
def made():
    """A map made in the notebook, with two steps."""
    rng = np.random.default_rng(12)
    x, y = np.arange(60) + 0.5, np.arange(70) + 0.5
    truth = np.broadcast_to(0.9 - 0.001 * y[:, None], (70, 60)).copy()
    for edge in EDGES:
        truth[y > edge] -= 0.1
    total = rng.poisson(120, truth.shape)
    light = rng.binomial(total, truth)
    return lliso.make_map([light, total - light], ["6Li", "7Li"], x=x, y=y)


@pytest.fixture
def read(made, tmp_path, monkeypatch):
    """The same map, read from a file in the folder of the notebook."""
    monkeypatch.chdir(tmp_path)
    lliso.write_map(made, "map.nc")
    return lliso.read_map("map.nc")


def run(session, **names):
    found = dict(names)
    exec(session.code(), found)
    plt.close("all")
    return found


def picked(ds):
    session = BoundarySession(ds, "picks.json", d_bulk=D_BULK)
    session.gesture("propose")
    session.gesture("accept_all")
    assert len(session.picks.boundaries) == len(EDGES)
    return session


def test_a_picker_on_a_file_shows_lines_that_need_nothing_else(read):
    session = picked(read)
    assert "ds = lliso.read_map('map.nc')" in session.code()
    found = run(session)
    for name, row in session.rows.items():
        for key in ("step", "permeability", "d_gb"):
            np.testing.assert_equal(float(found["table"][key].sel(boundary=name)), row[key])


@pytest.mark.parametrize("change", ["made", "cut", "corrected"])
def test_what_no_file_gives_is_taken_from_the_app(made, read, change):
    ds = {
        "made": made,
        "cut": read.isel(x=slice(0, 40)),
        "corrected": read.assign(counts=read.counts + 1),
    }[change]
    session = picked(ds)
    assert "read_map(" not in session.code()
    found = run(session, app=SimpleNamespace(session=session))
    xr.testing.assert_equal(found["ds"], ds)
    for name, row in session.rows.items():
        assert float(found["table"]["step"].sel(boundary=name)) == row["step"]


def test_a_file_that_is_gone_or_damaged_is_not_named(read, tmp_path):
    assert read_map_line(read) == "lliso.read_map('map.nc')"
    (tmp_path / "map.nc").write_bytes(b"not a map")
    assert read_map_line(read) is None
    (tmp_path / "map.nc").unlink()
    assert read_map_line(read) is None


def test_an_explorer_on_files_shows_lines_that_need_nothing_else(read):
    session = ExplorerSession({"59 h": read, "16 d": read})
    session.gesture("set", key="smooth", value=2.0)
    found = run(session)
    for stage in ("59 h", "16 d"):
        np.testing.assert_array_equal(found["images"][stage], session.values()[stage])


def test_a_network_on_a_file_shows_lines_that_need_nothing_else(read):
    session = NetworkSession(read, "edits.json", d_bulk=D_BULK)
    found = run(session)
    xr.testing.assert_identical(found["table"], session.table)


def test_a_registration_on_a_file_names_the_image_that_the_app_holds(read):
    u, v = np.arange(80) + 0.5, np.arange(90) + 0.5
    image = xr.DataArray(np.ones((90, 80)), {"v": v, "u": u}, dims=("v", "u"))
    session = RegistrationSession(read, image, "picks.json")
    for place in ((10.0, 12.0), (50.0, 20.0), (30.0, 60.0)):
        for side in ("map", "image"):
            session.gesture("place", side=side, x=place[0], y=place[1])
    found = run(session, app=SimpleNamespace(session=session))
    assert "ds = lliso.read_map('map.nc')" in session.code()
    np.testing.assert_array_equal(found["registration"].matrix, session.registration.matrix)
