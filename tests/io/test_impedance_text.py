"""Text exports of impedance spectra: layouts written here, and read by impedance.py too."""

import numpy as np
import pytest

import lliso
from lliso.diffusion.impedance import polycrystal_impedance
from lliso.errors import FormatError
from lliso.io.impedance_text import LAYOUTS, read_impedance

F = np.geomspace(1e6, 1.0, 25)
Z = polycrystal_impedance(F, 200.0, 1800.0, 1e-8, 0.9, 1e-9, 0.95, 1e-5, 0.8)


def zplot() -> str:
    rows = [
        f"{f:.6E}\t1.0E-02\t0.0E+00\t{k:.3E}\t{z.real:.6E}\t{z.imag:.6E}\t0.0E+00\t0\t3"
        for k, (f, z) in enumerate(zip(F, Z, strict=True))
    ]
    return "\n".join(
        [
            "ZPLOT2 ASCII",
            "  Date:                       10-12-2018",
            f"  Data Points:                {F.size}",
            "  Freq(Hz)\tAmpl\tBias\tTime(Sec)\tZ'(a)\tZ''(b)\tGD\tErr\tRange",
            "End Comments",
            *rows,
            "",
        ]
    )


def gamry() -> str:
    rows = [
        f"\t{k}\t{k}\t{f:.6E}\t{z.real:.6E}\t{z.imag:.6E}\t1\t{abs(z):.6E}\t"
        f"{np.angle(z, deg=True):.5f}\t-5.8E-006\t-0.34\t9"
        for k, (f, z) in enumerate(zip(F, Z, strict=True))
    ]
    return "\r\n".join(
        [
            "EXPLAIN",
            "TAG\tEISPOT",
            "TITLE\tLABEL\tPotentiostatic EIS\tTest &Identifier",
            "OCVCURVE\tTABLE\t1",
            "\tPt\tT\tVf",
            "\t#\ts\tV",
            "\t0\t0.25\t-0.34",
            "ZCURVE\tTABLE",
            "\tPt\tTime\tFreq\tZreal\tZimag\tZsig\tZmod\tZphz\tIdc\tVdc\tIERange",
            "\t#\ts\tHz\tohm\tohm\tV\tohm\t°\tA\tV\t#",
            *rows,
            "EXPERIMENTABORTED\tTOGGLE\tF\tExperiment Aborted",
            "",
        ]
    )


def biologic(decimal: str = ".") -> str:
    rows = [
        "\t".join(f"{v:.7E}" for v in (f, z.real, -z.imag, abs(z), np.angle(z, deg=True))) + "\t"
        for f, z in zip(F, Z, strict=True)
    ]
    rows = [row.replace(".", decimal) for row in rows]
    head = [
        "EC-Lab ASCII FILE",
        "Nb header lines : 6                         ",
        "",
        "Potentio Electrochemical Impedance Spectroscopy",
        "",
        "freq/Hz\tRe(Z)/Ohm\t-Im(Z)/Ohm\t|Z|/Ohm\tPhase(Z)/deg\t",
    ]
    return "\n".join([*head, *rows, ""])


def generic(names: str = "freq (Hz),Z' (ohm),Z'' (ohm)", sign: float = 1.0) -> str:
    rows = [f"{f:.7g},{z.real:.7g},{sign * z.imag:.7g}" for f, z in zip(F, Z, strict=True)]
    return "\n".join([names, *rows, ""])


FILES = {
    "zplot": ("a.z", zplot()),
    "gamry": ("a.DTA", gamry()),
    "biologic": ("a.mpt", biologic()),
    "csv": ("a.csv", generic()),
}


def test_there_is_a_test_of_every_layout():
    assert set(FILES) == set(LAYOUTS)


@pytest.mark.parametrize("layout", FILES)
def test_every_layout_gives_the_spectrum(tmp_path, layout):
    name, text = FILES[layout]
    file = tmp_path / name
    file.write_bytes(text.encode("latin-1"))
    found = read_impedance(file)
    assert found.attrs["layout"] == layout
    np.testing.assert_allclose(found.frequency, F, rtol=1e-5)
    np.testing.assert_allclose(found.z_real, Z.real, rtol=1e-5)
    np.testing.assert_allclose(found.z_imag, Z.imag, rtol=1e-5)
    assert found.z_real.attrs["units"] == "ohm"


@pytest.mark.parametrize("layout", ["zplot", "gamry", "biologic"])
def test_impedance_py_reads_the_same_numbers(tmp_path, layout):
    preprocessing = pytest.importorskip("impedance.preprocessing")
    name, text = FILES[layout]
    file = tmp_path / name
    file.write_bytes(text.encode("latin-1"))
    f, z = preprocessing.readFile(str(file), instrument=layout)
    found = read_impedance(file)
    np.testing.assert_array_equal(found.frequency, f)
    np.testing.assert_array_equal(found.z_real, z.real)
    np.testing.assert_array_equal(found.z_imag, z.imag)


@pytest.mark.parametrize(
    ("names", "sign", "factor"),
    [
        ("Frequency/Hz,Re(Z)/Ohm,-Im(Z)/Ohm", -1.0, 1.0),
        ("f [kHz],Zreal [kΩ],Zimag [kΩ]", 1.0, 1e3),
        ("freq (mHz),Z' (mohm),-Z'' (mohm)", -1.0, 1e-3),
        ("Freq (MHz),Z' (Mohm),Z'' (Mohm)", 1.0, 1e6),
    ],
)
def test_headers_state_sign_and_unit(tmp_path, names, sign, factor):
    file = tmp_path / "a.csv"
    file.write_text(generic(names, sign), encoding="utf-8")
    found = read_impedance(file)
    np.testing.assert_allclose(found.frequency, factor * F, rtol=1e-5)
    np.testing.assert_allclose(found.z_imag, factor * Z.imag, rtol=1e-5)


def test_three_bare_columns_and_decimal_commas(tmp_path):
    bare = tmp_path / "bare.txt"
    bare.write_text(generic().split("\n", 1)[1].replace(",", " "))
    np.testing.assert_allclose(read_impedance(bare).z_imag, Z.imag, rtol=1e-5)
    comma = tmp_path / "comma.mpt"
    comma.write_text(biologic(","))
    found = read_impedance(comma)
    np.testing.assert_allclose(found.z_imag, Z.imag, rtol=1e-6)
    assert found.attrs["decimal_comma"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("hello\nworld\n", "got no row of 3 numbers"),
        ("freq,modulus,phase\n1,2,3\n", "a column must be Z'"),
        ("freq,Z',Z''\n1,2,3\n1,2\n", "every row must have 3 cells, got 2"),
        ("freq,Z',Z''\n1,2,3\n1,x,3\n", "must be numbers in every row"),
        ("freq,Z',Z''\n-1,2,3\n", "frequencies must be positive"),
        ("EXPLAIN\nTAG\tEISPOT\n", "must hold a ZCURVE table"),
        ("ZPLOT2 ASCII\nData Points: 3\n", "must hold End Comments"),
        ("EC-Lab ASCII FILE\nNb header lines : 99\n", "number of header lines must be in the file"),
        (zplot().split("End Comments")[0] + "End Comments\n", "got no rows of numbers"),
    ],
)
def test_damaged_files_are_format_errors(tmp_path, text, message):
    file = tmp_path / "bad.txt"
    file.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_impedance(file)


def test_what_is_not_there_and_unknown_layouts(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_impedance(tmp_path / "none.csv")
    file = tmp_path / "a.csv"
    file.write_text(generic())
    with pytest.raises(ValueError, match="layout must be one of zplot, gamry, biologic, csv"):
        read_impedance(file, layout="ivium")
    assert lliso.read_impedance is read_impedance
