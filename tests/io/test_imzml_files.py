import hashlib
import random
import re
import uuid
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

from lliso.errors import FormatError, LlisoWarning
from lliso.io import describe, read_map

SAMPLE = Path(__file__).parents[2] / "data/samples/simulated_imzml/iontof_sparse.imzML"
ID = uuid.UUID("fc37f303-a9c0-4cd3-a28e-1d18e523c269")
WINDOWS = {"6Li": (5.9, 6.1), "7Li": (6.9, 7.1)}
SPECTRA = [
    ((1, 1), [6.0, 6.05, 7.0, 23.0], [1, 2, 5, 9]),
    ((3, 1), [5.0, 7.016], [4, 8]),
    ((2, 2), [6.0], [11]),
]


def _param(accession, value="", unit=""):
    unit = f' unitAccession="{unit}"' if unit else ""
    return f'<cvParam cvRef="x" accession="{accession}" name="n" value="{value}"{unit}/>'


def _write(
    folder,
    spectra=SPECTRA,
    *,
    continuous=False,
    packed=False,
    types=("<f8", "<f4"),
    about="",
    raster=("IMS:1000042", 3, "IMS:1000043", 2),
    pitch=("2.5", "UO:0000017"),
    name="x",
):
    """Write both files of imzML; arrays in the order of the spectra."""
    terms = {"<f8": "MS:1000523", "<f4": "MS:1000521", "<i4": "IMS:1000141", "<i8": "IMS:1000142"}
    data = bytearray(ID.bytes)
    body = []
    shared = None

    def put(values, dtype):
        raw = np.asarray(values, dtype).tobytes()
        raw = zlib.compress(raw) if packed else raw
        data.extend(raw)
        return (
            _param("IMS:1000103", len(values))
            + _param("IMS:1000102", len(data) - len(raw))
            + _param("IMS:1000104", len(raw))
        )

    for (x, y), mz, intensity in spectra:
        if shared is None or not continuous:
            shared = put(mz, types[0])
        arrays = (("mz", shared), ("int", put(intensity, types[1])))
        body.append(
            "<spectrum><scanList><scan>"
            + _param("IMS:1000050", x)
            + _param("IMS:1000051", y)
            + "</scan></scanList><binaryDataArrayList>"
            + "".join(
                f'<binaryDataArray><referenceableParamGroupRef ref="{k}"/>{a}</binaryDataArray>'
                for k, a in arrays
            )
            + "</binaryDataArrayList></spectrum>"
        )
    groups = "".join(
        f'<referenceableParamGroup id="{k}">{_param(kind)}{_param(terms[t])}'
        f"{_param('MS:1000574') if packed else ''}</referenceableParamGroup>"
        for k, kind, t in (("mz", "MS:1000514", types[0]), ("int", "MS:1000515", types[1]))
    )
    about = about or _param("IMS:1000080", f"{{{str(ID).upper()}}}")
    settings = "".join(_param(raster[i], raster[i + 1]) for i in range(0, len(raster), 2))
    settings += _param("IMS:1000046", *pitch) if pitch else ""
    path = folder / f"{name}.imzML"
    path.write_text(
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<mzML xmlns="http://psi.hupo.org/ms/mzml">'
        f"<fileDescription><fileContent>{about}</fileContent></fileDescription>"
        f"<referenceableParamGroupList>{groups}</referenceableParamGroupList>"
        f"<scanSettingsList><scanSettings>{settings}</scanSettings></scanSettingsList>"
        f"<run><spectrumList>\n{chr(10).join(body)}\n</spectrumList></run></mzML>",
        encoding="latin-1",
    )
    (folder / f"{name}.ibd").write_bytes(data)
    return path


def _expected():
    """Row 1 is on top: the last row of the map."""
    return [[[0, 11, 0], [3, 0, 0]], [[0, 0, 0], [5, 0, 8]]]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("types", [("<f8", "<f4"), ("<f4", "<i4"), ("<f8", "<i8")])
def test_sums_over_windows(tmp_path, packed, types):
    ds = read_map(_write(tmp_path, packed=packed, types=types), windows=WINDOWS)
    assert ds.species.values.tolist() == ["6Li", "7Li"]
    np.testing.assert_array_equal(ds.counts, _expected())
    assert ds.counts.dtype == np.int32
    np.testing.assert_allclose(ds.x, [1.25, 3.75, 6.25])
    assert ds.attrs["pixels_without_spectrum"] == 3
    assert "3 of 6 pixels have no spectrum" in ds.attrs["history"]
    np.testing.assert_array_equal(ds.mass_lower, [5.9, 6.9])


def test_the_lithium_windows_are_the_default(tmp_path):
    ds = read_map(_write(tmp_path))
    np.testing.assert_array_equal(ds.counts, _expected())


def test_continuous_mode_shares_the_masses(tmp_path):
    mz = [6.0, 7.0]
    spectra = [((1, 1), mz, [1, 2]), ((2, 1), mz, [3, 4])]
    path = _write(tmp_path, spectra, continuous=True, raster=())
    np.testing.assert_array_equal(read_map(path).counts, [[[1, 3]], [[2, 4]]])


def test_size_of_a_pixel(tmp_path):
    path = _write(tmp_path, pitch=("2500", "UO:0000018"))  # nm
    assert read_map(path).x.values[0] == pytest.approx(1.25)
    assert "7.5 x 5 um, overruled by fov" in read_map(path, fov=(1, 1)).attrs["history"]
    with pytest.raises(FormatError, match="pass the field of view"):
        read_map(_write(tmp_path, pitch=None))
    with pytest.raises(FormatError, match="pass the field of view"):
        read_map(_write(tmp_path, pitch=("wide", "")))


def test_fractions_of_counts_are_kept_with_a_warning(tmp_path):
    path = _write(tmp_path, [((1, 1), [6.0], [1.5])], raster=())
    with pytest.warns(LlisoWarning, match="are not whole numbers"):
        assert float(read_map(path).counts.sum()) == 1.5


def test_the_sample_that_imitates_surfacelab():
    ds = read_map(SAMPLE, windows={"a": (99, 101), "b": (199, 501)})
    image = ds.counts.values
    assert ds.sizes == {"species": 2, "y": 4, "x": 4}
    assert ds.attrs["pixels_without_spectrum"] == 10
    assert image[0, 3, 0] == 10  # position (1, 1) is the upper left
    assert ds.x.values[0] == pytest.approx(4.40625 / 2)
    assert "imzml" in describe(SAMPLE)


def test_the_package_pyimzml_finds_the_same():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = pytest.importorskip("pyimzml.ImzMLParser").ImzMLParser(
            str(SAMPLE), parse_lib="ElementTree"
        )
    with other:
        windows = {str(m): (m - 0.5, m + 0.5) for m in (100, 200, 300, 400, 500)}
        ds = read_map(SAMPLE, windows=windows)
        found = np.zeros(ds.counts.shape)
        for i, (x, y, _) in enumerate(other.coordinates):
            for mz, n in zip(*other.getspectrum(i), strict=True):
                k = next((k for k, (lo, hi) in enumerate(windows.values()) if lo <= mz < hi), None)
                if k is not None:
                    found[k, 4 - y, x - 1] += n
    assert found.sum() > 0
    np.testing.assert_array_equal(ds.counts, found)


def test_files_that_do_not_belong_together(tmp_path):
    path = _write(tmp_path)
    ibd = tmp_path / "x.ibd"
    ibd.write_bytes(b"\0" + ibd.read_bytes()[1:])
    with pytest.raises(FormatError, match="do not belong together"):
        read_map(path)
    ibd.unlink()
    with pytest.raises(FormatError, match=re.escape("the file 'x.ibd' must lie beside it")):
        read_map(path)


@pytest.mark.parametrize(("term", "name"), [("IMS:1000091", "sha1"), ("IMS:1000090", "md5")])
def test_checksums(tmp_path, term, name):
    path = _write(tmp_path)
    data = (tmp_path / "x.ibd").read_bytes()
    path = _write(tmp_path, about=_param(term, hashlib.new(name, data).hexdigest().upper()))
    read_map(path)
    (tmp_path / "x.ibd").write_bytes(data[:-1] + b"\1")
    with pytest.raises(FormatError, match=f"its {name} is not that of the .imzML"):
        read_map(path)


def test_cut_off_numbers(tmp_path):
    path = _write(tmp_path)
    ibd = tmp_path / "x.ibd"
    data = ibd.read_bytes()
    ibd.write_bytes(data[:-1])
    with pytest.raises(FormatError, match="partial=True reads the 2 whole spectra"):
        read_map(path)
    ds = read_map(path, partial=True)
    assert ds.attrs["partial"] == 1
    assert ds.attrs["pixels_without_spectrum"] == 4
    rng = random.Random(2)
    for size in (1, 15, 16, *(rng.randrange(len(data)) for _ in range(10))):
        ibd.write_bytes(data[:size])
        with pytest.raises(FormatError):
            read_map(path)


def test_cut_off_xml(tmp_path):
    path = _write(tmp_path)
    xml = path.read_bytes()
    rng = random.Random(3)
    for size in (1, 40, len(xml) - 1, *(rng.randrange(1, len(xml)) for _ in range(40))):
        path.write_bytes(xml[:size])
        with pytest.raises(FormatError):
            read_map(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"IMS:1000051" name="n" value="1"', '"IMS:1000051" name="n" value="9"', "must lie within"),
        ('"IMS:1000050" name="n" value="3"', '"IMS:1000050" name="n" value="1"', "occurs again"),
        ('"IMS:1000050" name="n" value="3"', '"IMS:1000050" name="n" value="b"', "XML is damaged"),
        ('"IMS:1000042" name="n" value="3"', '"IMS:1000042" name="n" value="?"', "whole numbers"),
        ('"IMS:1000042" name="n" value="3"', '"IMS:1000042" name="n" value="99999"', "too many"),
        ("MS:1000514", "MS:1", "masses and intensities, got less"),
        ("MS:1000523", "MS:1", "must have a type"),
        ("IMS:1000102", "IMS:1", "must have a type, a place"),
        ('"IMS:1000103" name="n" value="4"', '"IMS:1000103" name="n" value="-4"', "negative place"),
        ("</scan>", _param("IMS:1000052", 2) + "</scan>", "only one plane"),
        ("<spectrum>", "<chromatogram>", "XML is damaged"),
    ],
)
def test_damaged_xml(tmp_path, old, new, message):
    path = _write(tmp_path)
    xml = path.read_text(encoding="latin-1")
    assert old in xml
    path.write_text(xml.replace(old, new), encoding="latin-1")
    with pytest.raises(FormatError, match=message):
        read_map(path)


def test_lengths_that_differ(tmp_path):
    path = _write(tmp_path)
    xml = path.read_text(encoding="latin-1")
    part = '"IMS:1000103" name="n" value="4"'
    path.write_text(xml.replace(part, part.replace("4", "3"), 1), encoding="latin-1")
    with pytest.raises(FormatError, match="as many intensities as masses, got 4 and 3"):
        read_map(path)


@pytest.mark.parametrize(
    ("spectra", "message"),
    [
        ([((1, 1), [7.0, 6.0], [1, 1])], "masses must grow"),
        ([((1, 1), [6.0], [-1])], "finite and not negative"),
        ([((1, 1), [6.0], [np.nan])], "finite and not negative"),
        ([((1, 1), [6.0], [1e20])], "at most 2147483647 counts"),
        ([], "must hold spectra"),
    ],
)
def test_damaged_numbers(tmp_path, spectra, message):
    with pytest.raises(FormatError, match=message):
        read_map(_write(tmp_path, spectra, raster=()))


def test_packed_numbers_of_another_length(tmp_path):
    path = _write(tmp_path, packed=True)
    xml = path.read_text(encoding="latin-1")
    longer = xml.replace('"IMS:1000103" name="n" value="1"', '"IMS:1000103" name="n" value="2"')
    path.write_text(longer, encoding="latin-1")
    with pytest.raises(FormatError, match="must have 16 bytes, got 8"):
        read_map(path)
    path.write_text(xml.replace(_param("IMS:1000102", 16), _param("IMS:1000102", 17)))
    with pytest.raises(FormatError, match="cannot be decompressed"):
        read_map(path)


def test_a_million_laughs_are_refused(tmp_path):
    path = _write(tmp_path)
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 20}">' for i in range(1, 9))
    xml = path.read_text(encoding="latin-1").split("?>", 1)[1]
    xml = xml.replace("<fileContent>", "<fileContent>&l8;")
    path.write_text(f'<?xml version="1.0"?><!DOCTYPE mzML [<!ENTITY l0 "ha">{laughs}]>{xml}')
    with pytest.raises(FormatError, match="XML is damaged"):
        read_map(path)
