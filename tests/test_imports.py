"""`import lliso` and `lliso --help` stay cheap, and every public name is really there."""

import json
import subprocess
import sys

import pytest

import lliso

HEAVY = {
    "anywidget",
    "h5netcdf",
    "h5py",
    "ipywidgets",
    "IPython",
    "lmfit",
    "matplotlib",
    "numpy",
    "pandas",
    "pint",
    "pydantic",
    "scipy",
    "uncertainties",
    "xarray",
}


def heavy_after(code: str) -> set[str]:
    """Return the heavy packages that a fresh interpreter holds after running `code`."""
    report = "import json, sys; print(); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return HEAVY & {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_check_sees_a_heavy_import() -> None:
    assert "numpy" in heavy_after("import numpy")


def test_import_loads_nothing_heavy() -> None:
    assert heavy_after("import lliso") == set()


@pytest.mark.parametrize("command", [[], ["lab"], ["info"], ["convert"], ["fit"]])
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    code = f"""
import contextlib
from lliso.cli import main
try:
    main({[*command, "--help"]!r})
except SystemExit as end:
    if end.code:
        raise
"""
    assert heavy_after(code) == set()


@pytest.mark.parametrize("name", lliso.__all__)
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(lliso, name)
    if name != "__version__":
        assert (value.__doc__ or "").strip(), f"lliso.{name} needs a docstring"


def test_dir_lists_the_public_names_and_nothing_else() -> None:
    assert dir(lliso) == sorted(lliso.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'lliso' has no attribute 'no_such_name'"):
        _ = lliso.no_such_name  # type: ignore[attr-defined]
