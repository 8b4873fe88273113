"""What fuzzing found stays mended: every file of tests/io/finds is given to its reader again."""

from pathlib import Path

import pytest

FINDS = Path(__file__).parent / "finds"
#: the script that the fixture `fuzz` loads
FUZZER = "fuzz_readers"
FILES = sorted(path for path in FINDS.rglob("*") if path.is_file())


def test_there_are_finds():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_find_is_refused_or_read_right(fuzz, path, tmp_path):
    assert fuzz.check(path.parent.name, path.read_bytes(), tmp_path) in ("refused", "read")


def test_valid_files_are_read(fuzz, tmp_path):
    for name, target in fuzz.TARGETS.items():
        for i, seed in enumerate(target.seeds()):
            folder = tmp_path / name / str(i)
            folder.mkdir(parents=True)
            expected = "refused" if name == "netcdf" and seed else "read"
            assert fuzz.check(name, seed, folder) == expected, (name, i)


def test_a_silent_change_would_be_seen(fuzz, tmp_path, monkeypatch):
    """The check itself can fail: a reader that adds an ion is caught."""
    real = fuzz.read_map

    def wrong(*args, **options):
        ds = real(*args, **options)
        ds.counts[0, 0, 0] += 1
        return ds

    monkeypatch.setattr(fuzz, "read_map", wrong)
    for name in ("bif6", "iontof-ascii", "npz", "cameca-im"):
        with pytest.raises(AssertionError, match="not what the bytes say"):
            fuzz.check(name, fuzz.TARGETS[name].seeds()[0], tmp_path)
