"""The help of every app lists its keys, all of them and no others."""

import re

import pytest

from lliso.fit.arrhenius_series import read_series
from lliso.sessions.arrhenius.layout import arrhenius_layout
from lliso.sessions.boundaries.layout import boundary_layout
from lliso.sessions.explorer.layout import explorer_layout
from lliso.sessions.network.layout import network_layout
from lliso.sessions.profiles.layout import profile_layout
from lliso.sessions.registration.layout import registration_layout

#: what every view does by itself, and what its interactors do
ALWAYS = {"Ctrl Z", "Ctrl Y", "Esc", "?"}
ZOOM = {"Home", "Page"}
LAYOUTS = {
    "explorer": (explorer_layout(["a", "b"], overlay=True), ALWAYS | ZOOM),
    "boundaries": (boundary_layout(), ALWAYS | ZOOM | {"[", "]", "N", "+", "−"}),
    "network": (network_layout(), ALWAYS | ZOOM),
    "registration": (registration_layout(), ALWAYS | ZOOM),
    "profiles": (profile_layout(), ALWAYS),
    "arrhenius": (arrhenius_layout(read_series({"D": ([300.0, 400.0], [1e-9, 1e-8])})), ALWAYS),
}
WORD = r"Ctrl [ZY]|Esc|Enter|Delete|Backspace|Home|Page|F2|[\[\]+−?]"


def said(layout):
    """Keys that the help names: words of keyboards, single capitals, and marks that stand alone."""
    found = set()
    for what, does in layout["help"]:
        text = re.sub(r" \+ (?=\w)|C ±|to A\b|in C\b", " ", f"{what} | {does}")
        found |= set(re.findall(WORD, text))
        alone = re.sub(r"drag [A-Z]( or [A-Z])?|Ctrl [ZY]", "", text)
        found |= set(re.findall(r"(?<![\w₀-₉])[A-Z](?![\w₀-₉])", alone))
        found |= set(re.findall(r"(?<!\S)[,.](?= and| go|$)|(?<=and )\.", text.replace("(,", " ,")))
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_help_lists_every_key_and_no_other(name):
    layout, more = LAYOUTS[name]
    keys = {spec["key"] for spec in layout["keys"]}
    bound = {k.upper() if len(k) == 1 else k for k in keys}
    assert said(layout) == bound | more


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_button_names_the_key_that_does_the_same(name):
    layout, _ = LAYOUTS[name]
    by_gesture = {
        spec["gesture"]: spec["key"]
        for spec in layout["keys"]
        if "gesture" in spec and len(spec["key"]) == 1 and not spec.get("args")
    }
    for button in layout["buttons"]:
        key = by_gesture.get(button["gesture"])
        if key is not None:
            assert button["title"].startswith(f"{key.upper()}: ")
