"""The Arrhenius app without a browser: its session, its file, its view through messages."""

import json

import numpy as np
import pytest
import xarray as xr

import lliso
from lliso.errors import FormatError, PicksMismatch
from lliso.fit.arrhenius_choices import ArrheniusChoices, fit_laws
from lliso.fit.arrhenius_series import read_series
from lliso.sessions.arrhenius.screen import point_name
from lliso.sessions.arrhenius.session import ArrheniusSession
from lliso.sessions.parts import packed

K = 8.617333262e-5
T = np.array([295.15, 323.15, 373.15, 423.15, 473.15, 523.15, 573.15])
PARTS = {"l·P": ("total", "bulk"), "l·P charge": ("charge", "charge bulk")}


@pytest.fixture(scope="module")
def measured():
    rng = np.random.default_rng(7)

    def law(prefactor, energy, also=np.inf):
        true = 1.0 / (1.0 / (prefactor * np.exp(-energy / (K * T))) + 1.0 / also)
        value = true * np.exp(0.04 * rng.standard_normal(T.size))
        return T, value, 0.04 * value

    bulk = 0.0246 * np.exp(-0.35 / (K * T))
    return {
        "total": law(0.048, 0.43, bulk),
        "bulk": law(0.0246, 0.35),
        "charge": law(0.20, 0.43, bulk),
        "charge bulk": law(0.0246, 0.35),
    }


@pytest.fixture
def session(measured, tmp_path):
    return ArrheniusSession(read_series(measured, PARTS), tmp_path / "laws.json")


def row(screen, name):
    return next(r for r in screen["rows"] if r["series"] == name)


def series_marks(screen):
    return {m["legend"]: m for m in screen["panels"]["plot"]["marks"] if "legend" in m}


def test_it_opens_on_all_points_and_writes_nothing(session, measured):
    screen = session.screen()
    json.dumps(packed(screen, []), allow_nan=False)
    assert not session.path.exists()
    for name, given in measured.items():
        assert session.laws.fits[name].energy == lliso.fit_arrhenius(*given).energy
        assert row(screen, name)["points"] == "7 of 7"
    total, bulk = measured["total"], measured["bulk"]
    law = lliso.fit_boundary_law(T, total[1], bulk[1], total[2], bulk[2])
    assert session.laws.fits["l·P"].energy == law.energy
    assert screen["panels"]["haven"] == {"hidden": True}
    assert not any(np.any(m["off"]) for m in series_marks(screen).values())


def test_a_point_is_toggled_and_what_is_made_of_it_follows(session, measured):
    before = session.laws.fits
    screen = session.gesture("toggle", name=point_name("total", T[2]))
    left = [np.delete(v, 2) for v in measured["total"]]
    assert session.laws.fits["total"].energy == lliso.fit_arrhenius(*left).energy
    assert session.laws.fits["l·P"].energy != before["l·P"].energy
    assert session.laws.fits["bulk"].energy == before["bulk"].energy
    off = {name: list(np.flatnonzero(m["off"])) for name, m in series_marks(screen).items()}
    assert off == {"total": [2], "l·P": [2], "bulk": [], "charge": [], "charge bulk": [],
                   "l·P charge": []}  # fmt: skip
    assert ArrheniusChoices.load(session.path).off == (("total", T[2]),)
    session.gesture("undo")
    assert session.choices.off == ()


def test_ranges_are_drawn_dragged_and_typed(session):
    x = 1e3 / T
    session.gesture("range", x0=x[-1] - 0.01, x1=x[-2] + 0.01, y0=0.0, y1=1.0)
    assert {t for _, t in session.choices.off} == set(T[-2:])
    session.gesture("range", x0=x[-1] - 0.01, x1=x[-2] + 0.01, y0=0.0, y1=1.0)
    assert session.choices.off == ()
    preview = session.gesture("limit", final=False, name="high", x=1e3 / 450.0)
    assert row(preview, "bulk")["points"] == "4 of 7"
    assert session.choices.window is None
    session.gesture("limit", name="high", celsius=177.0)
    assert session.choices.high == pytest.approx(450.15)
    assert row(session.screen(), "bulk")["points"] == "4 of 7"
    with pytest.raises(ValueError, match="lower temperature must be below the upper"):
        session.gesture("limit", name="low", celsius=300.0)
    session.gesture("all_points")
    assert session.choices.window is None
    session.gesture("limit", name="at", celsius=-110.0)
    screen = session.screen()
    assert "extrapolated by" in row(screen, "bulk")["remarks"]
    at = session.laws.fits["bulk"].predict(163.15)
    assert row(screen, "bulk")["sort"]["value"] == at.value.item()


def test_one_energy_is_that_of_the_function(session, measured):
    for name in ("bulk", "charge bulk"):
        session.gesture("show", name=name, value=False)
    screen = session.gesture("toggle_shared")
    both = lliso.fit_arrhenius_shared({n: measured[n] for n in ("total", "charge")})
    assert session.laws.shared.energy == both.energy
    assert session.laws.fits["total"].energy == both.energy
    assert f"{both.energy:.3f}"[:4] in screen["panels"]["plot"]["result"]
    assert row(screen, "bulk")["remarks"] == "not shown, not fitted"
    screen = session.gesture("show", name="charge", value=False)
    assert "at least two series" in screen["message"]
    assert screen["level"] == "warning"


def test_the_haven_ratio_is_that_of_the_laws(session):
    session.gesture("haven", name="tracer", value="l·P")
    screen = session.gesture("haven", name="charge", value="l·P charge")
    fits = session.laws.fits
    ratio = lliso.haven_ratio(fits["l·P"], fits["l·P charge"], 295.15)
    assert session.laws.haven.ratio == ratio.ratio
    assert abs(ratio.ratio - 0.24) < 4 * ratio.ratio_std
    assert screen["panels"]["haven"]["hidden"] is False
    assert row(screen, "Haven ratio")["value"].startswith(f"{float(ratio.ratio):.1f}")
    json.dumps(packed(screen, []), allow_nan=False)
    # With one energy the ratio is that of the prefactors, at every temperature.
    session.gesture("haven", name="tracer", value="total")
    session.gesture("haven", name="charge", value="charge")
    apart = session.laws.haven
    session.gesture("shared", value=True)
    wanted = session.laws.shared.prefactor_ratio("total", "charge")
    haven = session.laws.haven
    assert (float(haven.ratio), float(haven.ratio_std)) == pytest.approx(wanted)
    assert haven.ratio_std < apart.ratio_std
    assert "prefactor_ratio('total', 'charge')" in session.code()
    screen = session.gesture("haven", name="charge", value="total")
    assert "two series, got 'total' twice" in screen["message"]


def test_the_keys_go_through_points(session):
    session.gesture("select", name="bulk")
    session.gesture("step", by=1)
    assert session.state.selected == point_name("bulk", T[0])
    session.gesture("step", by=-1)
    session.gesture("toggle_selected")
    series, _, at = str(session.state.selected).rpartition("|")
    assert session.choices.off == ((series, float(at)),)
    session.gesture("toggle_shown")
    assert session.choices.hidden == (series,)


def test_the_code_gives_what_is_shown(session, capsys):
    session.gesture("haven", name="tracer", value="l·P")
    session.gesture("haven", name="charge", value="l·P charge")
    session.gesture("toggle", name=point_name("total", T[1]))
    session.gesture("shared", value=True)
    space = {}
    exec(session.code(), space)
    for name, fit in session.laws.fits.items():
        assert space["laws"][name].energy == pytest.approx(fit.energy, rel=1e-6)
    assert "H_R = " in capsys.readouterr().out


def test_a_series_that_cannot_be_fitted_leaves_the_others(session):
    for t in T[:-1]:
        session.gesture("toggle", name=point_name("bulk", t))
    screen = session.screen()
    assert "at least two temperatures, got 1" in row(screen, "bulk")["remarks"]
    assert screen["level"] == "warning"
    assert "total" in session.laws.fits
    json.dumps(packed(screen, []), allow_nan=False)
    compile(session.code(), "shown", "exec")


def test_what_cannot_be_done_is_said(session):
    state = session.state
    for match, gesture in {
        "the series must be one of": {"kind": "show", "name": "x", "value": False},
        "select a point first": {"kind": "toggle", "name": "total"},
        "a limit must be low, high or at": {"kind": "limit", "name": "up", "x": 2.0},
        "1000/T must be positive": {"kind": "limit", "name": "low", "x": -1.0},
        "must be a number, got none": {"kind": "limit", "name": "at", "celsius": None},
        "is of tracer and charge": {"kind": "haven", "name": "x", "value": "total"},
    }.items():
        with pytest.raises(ValueError, match=match):
            session.gesture(**gesture)
        assert session.state == state
    for name in list(session.series)[1:]:
        session.gesture("show", name=name, value=False)
    with pytest.raises(ValueError, match="at least one series must be shown"):
        session.gesture("show", name="total", value=False)


def test_the_file_brings_it_back_and_other_series_refuse_it(session, measured, tmp_path):
    session.gesture("toggle", name=point_name("charge", T[3]))
    again = ArrheniusSession(read_series(measured, PARTS), session.path)
    assert again.choices == session.choices
    alone = fit_laws(read_series(measured, PARTS), ArrheniusChoices.load(session.path))
    assert alone.fits["charge"].energy == session.laws.fits["charge"].energy
    with pytest.raises(PicksMismatch, match="must be about total, got 'charge'"):
        ArrheniusSession(read_series({"total": measured["total"]}), session.path)
    shifted = {**measured, "charge": (T + 1.0, *measured["charge"][1:])}
    with pytest.raises(PicksMismatch, match="a point left out must be of 'charge', got none at"):
        ArrheniusSession(read_series(shifted), session.path)
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(FormatError, match="must be 'lliso arrhenius choices', got 'list'"):
        session.gesture("open_file", path=str(tmp_path / "bad.json"))


def test_series_that_make_no_sense_are_refused(measured):
    with pytest.raises(ValueError, match="at least one series, got none"):
        read_series({})
    with pytest.raises(ValueError, match="must be made of two of"):
        read_series(measured, {"l·P": ("total", "grain")})
    with pytest.raises(ValueError, match="must be of the same temperatures"):
        read_series({**measured, "bulk": (T + 5.0, *measured["bulk"][1:])}, PARTS)
    with pytest.raises(ValueError, match="needs the errors of total and bulk"):
        read_series({"total": measured["total"][:2], "bulk": measured["bulk"]},
                    {"l·P": ("total", "bulk")})  # fmt: skip


def test_errors_from_the_scatter_do(measured):
    session = ArrheniusSession(read_series({"total": measured["total"][:2]}))
    screen = session.screen()
    assert "estimated from the scatter" in row(screen, "total")["remarks"]
    json.dumps(packed(screen, []), allow_nan=False)
    compile(session.code(), "shown", "exec")
    assert session.export("csv").data.startswith(b"series,unit,energy_eV")


def test_figures_and_tables_are_handed_over(session):
    session.gesture("haven", name="tracer", value="l·P")
    session.gesture("haven", name="charge", value="l·P charge")
    session.gesture("toggle", name=point_name("total", T[1]))
    assert session.export("svg").data.startswith(b"<?xml")  # the other kinds: see the profiles
    text = session.export("csv").data.decode()
    assert len(text.splitlines()) == 8  # a head, six laws, the ratio


def test_the_view_opens_takes_a_gesture_and_closes(measured, tmp_path):
    pytest.importorskip("anywidget")
    named = {n: ("temperature", v[1], {"units": "cm2/s"}) for n, v in measured.items()}
    named |= {f"{n}_std": ("temperature", v[2]) for n, v in measured.items()}
    ds = xr.Dataset(named, {"temperature": T}, {"simulated": 1})
    app = lliso.explore_arrhenius(ds, tmp_path / "c.json", boundaries=PARTS)
    assert "simulated" in app.session.screen()["title"]
    sent = []
    app.widget.send = lambda content, *_: sent.append(content)
    message = {"type": "gesture", "view": "v", "n": 1, "kind": "shared", "final": True}
    app.widget._handle_custom_msg({**message, "args": {"value": True}}, [])
    assert sent[-1]["type"] == "answer"
    assert app.laws.shared is not None
    assert app.choices.shared is True
    assert "laws of total" in repr(app)
    assert app.widget.failures == []
    app.close()
