"""The cells that open each app on simulated samples, for the measurements in the browser.

Each case is two cells: what is read, and the cell that opens the app. `CONTROLS` are cells without
lliso that show what JupyterLab and ipywidgets cost by themselves.
"""

from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "samples"

PATTERN = """
import numpy as np
from lliso import explore_map, make_map, pick_boundaries
rng = np.random.default_rng(1)
x, y = (np.arange(512) + 0.5) * 500 / 512, (np.arange(206) + 0.5) * 200 / 206
Y = np.broadcast_to(y[:, None], (206, 512))
truth = 0.9 - 0.0012 * Y - 0.1 * (Y > 45) - 0.06 * (Y > 110)
total = rng.poisson(60, truth.shape)
light = rng.binomial(total, truth)
ds = make_map([light, total - light], ["6Li", "7Li"], x=x, y=y, attrs={"simulated": 1})
"""

REGISTRATION = f"""
import numpy as np, xarray as xr
from pathlib import Path
import lliso
SAMPLES = Path({str(SAMPLES)!r})
ds = lliso.read_map(SAMPLES / "simulated_llto_59h.nc")
with xr.open_dataset(SAMPLES / "simulated_llto_micrograph.nc") as file:
    image, facts = file["image"].load(), dict(file.attrs)
"""

FEW_GRAINS = "x=slice(0, 140), y=slice(0, 120)"
MANY_GRAINS = "x=slice(0, 260), y=slice(0, 206)"
NETWORK = f"""
import xarray as xr
from pathlib import Path
import lliso
SAMPLES = Path({str(SAMPLES)!r})
part = dict({FEW_GRAINS})
ds = lliso.read_map(SAMPLES / "simulated_llto_59h.nc").isel(part)
with xr.open_dataset(SAMPLES / "simulated_llto_truth.nc") as file:
    label = file["label"].isel(part).astype(int).load()
grains = label.to_dataset().assign_attrs(map_id=ds.map_id, found_from="the simulation's truth")
"""

PROFILES = f"""
import lliso
folder = {str(SAMPLES)!r} + "/simulated_fig4a_"
stages = ("exchange", "storage_1", "storage_2")
profiles = {{s.replace("_", " "): lliso.read_profile(folder + s + ".nc") for s in stages}}
facts = dict(exchange="110 h", storage=["14 d", "28 d"], ends=("-1 mm", "9 mm"))
"""

ARRHENIUS = """
import numpy as np, xarray as xr
import lliso
T, rng = np.array([300.0, 330, 360, 400, 450, 500]), np.random.default_rng(2)
def law(d0, energy):
    d = d0 * np.exp(-energy / 8.617333e-5 / T) * np.exp(0.05 * rng.standard_normal(T.size))
    return ("temperature", d), ("temperature", 0.05 * d)
table = xr.Dataset(coords={"temperature": T}, attrs={"simulated": 1})
for name, (d0, energy) in {"bulk": (1e-3, 0.33), "boundary": (5e-4, 0.42)}.items():
    table[name], table[name + "_std"] = law(d0, energy)
"""

#: what is read, and the cell that opens the app
APPS = {
    "boundaries": (PATTERN, 'app = pick_boundaries(ds, {file}, d_bulk="2.6e-8 cm^2/s")\napp'),
    "explorer": (PATTERN, 'app = explore_map({{"59 h": ds, "16 d": ds}})\napp'),
    "registration": (REGISTRATION, "app = lliso.register_image(ds, image, {file})\napp"),
    "network": (
        NETWORK,
        'app = lliso.explore_network(ds, {file}, grains=grains, d_bulk="2.6e-8 cm^2/s")\napp',
    ),
    "profiles": (PROFILES, "app = lliso.explore_profiles(profiles, {file}, **facts)\napp"),
    "Arrhenius": (ARRHENIUS, "app = lliso.explore_arrhenius(table, {file})\napp"),
}

#: size of the picture beside the view of the boundaries
PICTURE_BYTES = 120_000
#: the same number of elements by other means, closed before the cell makes them anew
CONTROLS = {
    "a cell with text": ("", "1 + 1"),
    # as large as the picture beside the view of the boundaries, and another one every time
    "a cell with a picture": (
        "import os\nfrom IPython.display import Image",
        f"Image(data=os.urandom({PICTURE_BYTES}), format='png')",
    ),
    "VBox of ipywidgets": (
        """
import ipywidgets as W
box = None
def made(controls=45):
    global box
    if box is not None:
        for w in (*box.children, box):
            for part in (w, w.layout, getattr(w, "style", None)):
                if part is not None:
                    part.close()
    kinds = (W.FloatText, W.Dropdown, W.Button, W.Checkbox, W.Text)
    box = W.VBox([kinds[i % len(kinds)](description=str(i)) for i in range(controls)])
    return box
""",
        "made()",
    ),
    "plain anywidget": (
        '''
import anywidget
class Plain(anywidget.AnyWidget):
    _esm = """export default { render({ el }) {
      el = el.appendChild(document.createElement("div")); el.className = "plain";
      for (let i = 0; i < 430; i++) { const b = document.createElement("button");
        b.textContent = i; el.append(b); } } };"""
box = None
def made():
    global box
    if box is not None:
        layout = box.layout
        box.close()
        layout.close()
    box = Plain()
    return box
''',
        "made()",
    ),
}


def cells(name, file=None, *, large=False):
    """The two cells of an app, saving to `file`, or of a control; a network of many grains."""
    if name in CONTROLS:
        return CONTROLS[name]
    read, opened = APPS[name]
    if large:
        read = read.replace(FEW_GRAINS, MANY_GRAINS)
    return read, opened.format(file=repr(file))
