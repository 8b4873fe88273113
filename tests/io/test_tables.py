"""Tables of conductivities with units in their header, and the values of the literature."""

import numpy as np
import pytest

import lliso
from lliso.errors import FormatError
from lliso.io.tables import read_conductivities, read_literature

TABLE = """# material: LLTO
# simulated: yes
T (°C), σ_bulk (mS/cm), sigma_bulk_std (%), sigma_total (S/m), d_nmr (m2/s)
22, 0.82, 4, 0.0212, 2.6e-12
200, 27.4, 4, , 1.4e-10
"""


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "sigma.csv"

    def write(text):
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_columns_come_in_the_house_units(table):
    found = read_conductivities(table(TABLE))
    np.testing.assert_allclose(found.temperature, [295.15, 473.15])
    np.testing.assert_allclose(found.sigma_bulk, [0.82e-3, 27.4e-3], rtol=1e-12)
    np.testing.assert_allclose(found.sigma_bulk_std, [0.04 * 0.82e-3, 0.04 * 27.4e-3], rtol=1e-12)
    np.testing.assert_allclose(found.sigma_total, [2.12e-4, np.nan])
    np.testing.assert_allclose(found.d_nmr, [2.6e-8, 1.4e-6])
    units = {name: found[name].attrs["units"] for name in found}
    assert units["sigma_bulk_std"] == units["sigma_total"] == "S/cm"
    assert units["d_nmr"] == "cm2/s"
    assert found.attrs["material"] == "LLTO"


def test_semicolons_with_decimal_commas_and_kelvin(table):
    found = read_conductivities(table("temperature [K];sigma_total [S/cm]\n295,15;2,1e-4\n"))
    assert float(found.temperature[0]) == 295.15
    assert float(found.sigma_total[0]) == 2.1e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sigma (S/cm)\n1\n", "a column must be the temperature"),
        ("T (°C),sigma\n22,1\n", "the column 'sigma' must state its unit"),
        ("T (F),sigma (S/cm)\n22,1\n", "a temperature must be in °C or K, got 'F'"),
        ("T (°C),sigma (kg)\n22,1\n", "the unit of 'sigma' must be like"),
        ("T (°C),sigma (S/cm)\n-300,1\n", "temperatures must be above 0 K, got -26.85"),
        ("T (°C),sigma (S/cm)\n22,-1\n", "sigma must be positive, got -1"),
        ("T (°C),sigma (S/cm)\n22,one\n", "a cell must be a number or empty, got 'one'"),
        ("T (°C),sigma (S/cm)\n22\n", "every row must have 2 cells, got 1"),
        ("T (°C),sigma (S/cm)\n", "must hold at least one row"),
        ("# nothing\n", "must begin with a line of names"),
        ("T (°C),a (S/cm),A (S/cm)\n22,1,1\n", "two 'a'"),
        ("T (°C),b_std (%)\n22,1\n", "needs a column 'b'"),
        ("T (°C),(S/cm)\n22,1\n", "a column must be named like"),
    ],
)
def test_what_cannot_be_meant_is_a_format_error(table, text, message):
    with pytest.raises(FormatError, match=message):
        read_conductivities(table(text))


def test_the_papers_values_are_those_of_its_text():
    found = read_literature()
    paper = found[found.file == "hasegawa2024.csv"].set_index("quantity")
    assert paper.stated.all()
    assert paper.doi.eq("10.1039/d3ta05012b").all()
    ratio = paper.value["prefactor_boundary_tracer"] / paper.value["prefactor_boundary_charge"]
    assert ratio == pytest.approx(paper.value["haven_ratio_boundary"])
    assert set(paper.value["d_eff"]) >= {8.0e-9, 3.0e-9, 6.6e-7}
    assert paper.temperature["d_eff"].min() == pytest.approx(163.15)


def test_every_value_has_a_source_a_unit_and_a_word_on_its_uncertainty():
    found = read_literature()
    assert len(found) > 20
    for column in ("material", "quantity", "unit", "method", "uncertainty", "source"):
        assert found[column].str.len().gt(0).all(), column
    assert found.value.notna().all()
    assert found.value.gt(0).all()


def test_own_tables_are_read_and_damaged_ones_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no table of literature values"):
        read_literature(tmp_path)
    file = tmp_path / "own.csv"
    file.write_text("material,quantity\nLLTO,d_bulk\n")
    with pytest.raises(FormatError, match="must have the column 'value'"):
        read_literature(file)
    names = (
        "material,quantity,value,std,unit,temperature_C,method,uncertainty,stated,source,doi,note"
    )
    file.write_text(f"{names}\nA,d_bulk,many,,cm2/s,22,NMR,none,yes,me,,\n")
    with pytest.raises(FormatError, match="value must be numbers"):
        read_literature(tmp_path)
    file.write_text(f"{names}\nA,d_bulk,2e-8,1e-9,cm2/s,22,NMR,none,no,me,,\n")
    own = read_literature(file)
    assert float(own["std"].iloc[0]) == 1e-9
    assert not own.stated.iloc[0]


def test_the_public_names_are_these_functions():
    assert lliso.read_conductivities is read_conductivities
    assert lliso.read_literature is read_literature
