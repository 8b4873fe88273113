"""Line analyses in netCDF, as a simulation writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

import lliso
from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis


def test_a_simulated_line_analysis_comes_back(tmp_path: Path) -> None:
    profile = simulate_line_analysis(LineAnalysis(), seed=4)[0][1]
    path = tmp_path / "line.nc"
    profile.to_netcdf(path, engine="h5netcdf")
    back = lliso.read_profile(path)
    assert back.equals(profile)
    assert back.attrs == profile.attrs
    assert back.attrs["simulated"] == 1


def test_a_damaged_or_other_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "line.nc"
    simulate_line_analysis(LineAnalysis(), seed=4)[1].to_netcdf(path, engine="h5netcdf")
    with pytest.raises(lliso.FormatError, match=r"needs counts\(species, distance\), got fraction"):
        lliso.read_profile(path)
    with pytest.raises(ValueError, match="positions, sputter_time and intervals must be"):
        lliso.read_profile(path, positions=[1.0])
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(lliso.FormatError):
        lliso.read_profile(path)
