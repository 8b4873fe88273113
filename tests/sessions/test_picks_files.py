"""Two apps on one picks file, and what is left of an app that was replaced."""

import numpy as np
import pytest

from lliso import Picks, make_map
from lliso.sessions.boundaries.session import BoundarySession

D_BULK = "2.6e-8 cm^2/s"
EDGES = (30.2, 62.5, 95.0)


@pytest.fixture
def ds(rng):
    x = (np.arange(60) + 0.5) * 0.977
    y = (np.arange(130) + 0.5) * 0.971
    steps = sum((y > at).astype(float) for at in EDGES)
    n6 = rng.binomial(2000, np.broadcast_to((0.6 - 1.1e-4 * y - 0.04 * steps)[:, None], (130, 60)))
    return make_map([n6, 2000 - n6], ["6Li", "7Li"], x=x, y=y, attrs={"simulated": 1})


@pytest.fixture
def session(ds, tmp_path):
    return BoundarySession(ds, tmp_path / "picks.json", d_bulk=D_BULK)


def test_two_apps_on_one_file_lose_nothing_of_either(session, tmp_path, ds):
    session.gesture("add_at_distance", distance=56.0)
    other = BoundarySession(ds, session.path, d_bulk=D_BULK)  # as in another tab of the browser
    other.gesture("boundary_move", name="1", distance=50.0)
    theirs = session.path.read_bytes()

    session.gesture("select", name="1")
    screen = session.gesture("note", value="seen in the micrograph")
    assert (screen["level"], screen["path"]) == ("warning", str(tmp_path / "picks.2.json"))
    assert "picks.json was changed elsewhere since it was read here" in screen["message"]
    assert "saved in picks.2.json from now on" in screen["message"]
    assert "open picks.json" in screen["message"]
    assert (tmp_path / "picks.json").read_bytes() == theirs
    (mine,) = Picks.load(tmp_path / "picks.2.json").boundaries
    assert mine == session.picks.boundaries[0]
    assert (mine.note, mine.position) != ("", Picks.loads(theirs.decode()).boundaries[0].position)

    assert session.gesture("undo")["message"] == ""  # said once
    assert Picks.load(tmp_path / "picks.2.json").boundaries[0].note == ""
    other.gesture("remove", name="1")  # it goes on in the file that is its own
    assert Picks.load(tmp_path / "picks.json").boundaries == ()
    screen = session.gesture("open_file", path=str(tmp_path / "picks.json"))
    assert screen["boundaries"] == []
    session.gesture("add_at_distance", distance=56.0)
    assert sorted(p.name for p in tmp_path.glob("*.json")) == ["picks.2.json", "picks.json"]
    assert len(Picks.load(tmp_path / "picks.json").boundaries) == 1


def test_a_file_made_by_another_since_it_was_opened_is_left_alone(session, ds):
    assert not session.path.exists()
    first = session.path
    Picks().anchored_to(ds).save(first)
    theirs = first.read_bytes()
    assert session.gesture("add_at_distance", distance=56.0)["path"].endswith("picks.2.json")
    assert first.read_bytes() == theirs


def test_a_file_that_was_removed_is_written_again(session):
    session.gesture("add_at_distance", distance=56.0)
    session.path.unlink()
    screen = session.gesture("add_at_distance", distance=86.0)
    assert (screen["level"], screen["path"]) == ("info", str(session.path))
    assert len(Picks.load(session.path).boundaries) == 2


def test_the_same_said_twice_is_no_conflict(session, ds):
    session.gesture("add_at_distance", distance=56.0)
    session.picks.save(session.path)  # a cell saves what the app saved
    assert session.gesture("undo")["path"] == str(session.path)


def test_what_was_replaced_lets_go_of_all_but_the_picks(session):
    session.gesture("add_at_distance", distance=56.0)
    picks = session.picks
    session.forget()
    assert session.picks == picks
    assert "ds" not in vars(session)
    with pytest.raises(AttributeError, match=r"ds is gone with its app.*was run again"):
        session.ds  # noqa: B018


def test_names_that_a_session_never_had_are_called_so(session):
    with pytest.raises(AttributeError, match="'BoundarySession' has no attribute 'nothing'"):
        session.nothing  # noqa: B018
