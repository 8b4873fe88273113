"""environment.yml, the pins and pyproject.toml say the same."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FORMATS = EXTRAS["formats"][0].removeprefix("lliso[").removesuffix("]").split(",")
CONDA = {"matplotlib": "matplotlib-base"}  # conda's matplotlib brings a window system


def named(requirements: list[str]) -> dict[str, str]:
    """Return name -> bound for "name>=1.2" and "name[extra]>=1.2"."""
    found = (re.fullmatch(r"([\w.-]+)(?:\[.*\])?(.*)", each.strip()) for each in requirements)
    return {match[1].lower(): match[2] for match in found if match}


def test_conda_asks_for_the_same_as_pip() -> None:
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    entries = [line.strip().removeprefix("- ") for line in lines if line.lstrip().startswith("- ")]
    assert entries[:2] == ["conda-forge", "nodefaults"]
    assert entries[-3:] == ["pip", "pip:", "-e .[formats]"]
    packages = entries[2:-3]
    wanted = named(PROJECT["dependencies"] + EXTRAS["lab"] + EXTRAS["test"])
    wanted = {CONDA.get(name, name): bound for name, bound in wanted.items()}
    assert named(packages) == {"python": PROJECT["requires-python"], **wanted}


@pytest.mark.parametrize("extra", ["", "lab", "test", "browser", "oracles", "dev", *FORMATS])
def test_every_requirement_is_pinned(extra: str) -> None:
    pins = (ROOT / "constraints" / "lab-test.txt").read_text(encoding="utf-8")
    pinned = {line.partition("==")[0] for line in pins.splitlines()}
    assert set(named(EXTRAS[extra] if extra else PROJECT["dependencies"])) <= pinned


@pytest.mark.parametrize("name", ["lab-test.txt", "floors.txt"])
def test_pins_name_no_host(name: str) -> None:
    for line in (ROOT / "constraints" / name).read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"(#.*|[a-z0-9.-]+==[\w.!+]+( ; .+)?)", line), line
        assert "://" not in line


def test_the_floors_are_those_of_the_project() -> None:
    lines = (ROOT / "constraints" / "floors.txt").read_text(encoding="utf-8").splitlines()
    floors = dict(line.split("==") for line in lines if not line.startswith("#"))
    wanted = named(PROJECT["dependencies"] + EXTRAS["lab"] + EXTRAS["test"])
    for extra in FORMATS:
        wanted |= named(EXTRAS[extra])
    for name, bound in wanted.items():
        floor, tried = bound.removeprefix(">=").split("."), floors[name].split(".")
        assert tried[: len(floor)] == floor, f"{name}{bound} was tried as {floors[name]}"
