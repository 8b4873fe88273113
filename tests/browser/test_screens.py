"""What every app looks like in a window of 1280 × 800, at the device scales people have.

The pictures are in `build/screenshots/screen_*.png`: look at them when a layout changed.
"""

import base64
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "samples"
SHOTS = ROOT / "build" / "screenshots"
RATIOS = (1, 1.25, 2)
SETUP = f"""
import lliso
import xarray as xr

SAMPLES = {str(SAMPLES)!r}
D_BULK = "2.6e-8 cm^2/s"

def read(name):
    return lliso.read_map(f"{{SAMPLES}}/simulated_llto_{{name}}.nc")

def opened(name):
    return xr.load_dataset(f"{{SAMPLES}}/simulated_{{name}}.nc")
"""
#: how an app is opened
OPENED = {
    "explorer": "app = lliso.explore_map({'59 h': read('59h'), '59 h + 16 d': read('59h_16d')})",
    "picker": """
app = lliso.pick_boundaries(read('59h'), d_bulk=D_BULK, stages={'16 d': read('59h_16d')})
""",
    "registration": """
image = opened('llto_micrograph')['image']
app = lliso.register_image(read('59h'), image)
""",
    "network": """
part = dict(x=slice(0, 260), y=slice(0, 206))
ds, label = read('59h').isel(part), opened('llto_truth')['label'].isel(part).astype(int)
grains = label.to_dataset().assign_attrs(map_id=ds.map_id, found_from='the truth')
app = lliso.explore_network(ds, grains=grains, d_bulk=D_BULK)
""",
    "profiles": """
stages = {'exchange': 'exchange', 'storage 1': 'storage_1', 'storage 2': 'storage_2'}
profiles = {k: lliso.read_profile(f'{SAMPLES}/simulated_fig4a_{s}.nc') for k, s in stages.items()}
facts = dict(exchange='110 h', storage=['14 d', '28 d'], ends=('-1 mm', '9 mm'))
app = lliso.explore_profiles(profiles, **facts)
""",
    "arrhenius": """
ds = opened('fig5')
T = ds.temperature.values
series = {'D_eff': (T, ds.d_eff, ds.d_eff_std), 'D_bulk': (T, ds.d_bulk, ds.d_bulk_std)}
for name in ('total', 'bulk'):
    sigma = (ds[f'sigma_{name}'].values, ds[f'sigma_{name}_std'].values)
    series[f'Dσ {name}'] = (T, *lliso.nernst_einstein(T, *sigma, density=5.0e21))
parts = {'l·P tracer': ('D_eff', 'D_bulk'), 'l·P charge': ('Dσ total', 'Dσ bulk')}
app = lliso.explore_arrhenius(series, boundaries=parts)
""",
}
#: what is done in it before it is looked at a second time
USED = {
    "explorer": "do('set', key='difference', value=True)",
    "picker": """
do('cut_width', width=40.0)
do('propose')
do('accept_all')
do('select', name='3')
""",
    "registration": """
facts = opened('llto_micrograph').attrs
for u, v in ((60.0, 330.0), (430.0, 320.0), (400.0, 450.0), (80.0, 460.0)):
    turned = [facts[f'to_map_{a}x'] * u + facts[f'to_map_{a}y'] * v for a in 'xy']
    x, y = (t + facts[f'to_map_{a}0'] for t, a in zip(turned, 'xy'))
    do('place', side='map', x=x + 0.01 * v - 4, y=y)
    do('place', side='image', x=u, y=v)
""",
    "network": "do('select', name=str(app.table.boundary.values[3]))",
    "profiles": "do('hold', name='x0', value=0.0)",
    "arrhenius": """
do('haven', name='tracer', value='l·P tracer')
do('haven', name='charge', value='l·P charge')
""",
}
SHARP = """[...document.querySelectorAll('.lliso-app canvas')].every((c) => !c.offsetParent ||
  Math.abs(c.width - c.getBoundingClientRect().width * arg) < 0.51)"""
#: what is wrong with the page, in words; nothing, when all is well
WRONG = """(ratio) => {
  const root = document.querySelector('.lliso-app'), found = [];
  const area = root.getBoundingClientRect();
  const words = (e) => `${e.tagName.toLowerCase()} "${e.ariaLabel || e.textContent.slice(0, 30)}"`;
  const shown = (q) => [...root.querySelectorAll(q)].filter((e) => e.offsetParent);
  const controls = shown(':not(td, th) > :is(button, select, input)');
  const boxes = controls.map((e) => e.getBoundingClientRect());
  if (root.scrollWidth > root.clientWidth) found.push('the app scrolls sideways');
  const outer = root.closest('.jp-WindowedPanel-outer');
  if (outer && outer.scrollWidth > outer.clientWidth) found.push('the notebook scrolls sideways');
  for (const box of shown('.lliso-scroll'))
    if (box.scrollWidth > box.clientWidth) found.push('the table scrolls sideways');
  controls.forEach((e, i) => {
    const b = boxes[i];
    const outside = b.left < area.left - 0.5 || b.right > area.right + 0.5;
    if (outside) found.push(`${words(e)} is outside`);
    if (e.matches('button') && e.scrollWidth > e.clientWidth) found.push(`${words(e)} is cut off`);
    boxes.slice(i + 1).forEach((c, k) => {
      const [w, h] = [Math.min(b.right, c.right) - Math.max(b.left, c.left),
        Math.min(b.bottom, c.bottom) - Math.max(b.top, c.top)];
      if (w > 0.5 && h > 0.5) found.push(`${words(e)} and ${words(controls[i + k + 1])} overlap`);
    });
  });
  for (const e of shown('.lliso-title, .lliso-head > *, .lliso-status span, .lliso-saved'))
    if (e.scrollWidth > e.clientWidth) found.push(`${e.className} "${e.textContent}" is cut off`);
  for (const c of shown('canvas')) {
    const { width, height } = c.getBoundingClientRect();
    if (Math.abs(c.width - width * ratio) > 0.51 || Math.abs(c.height - height * ratio) > 0.51)
      found.push(`${c.className}: ${c.width} × ${c.height} for ${width} × ${height} at ${ratio}`);
  }
  return found; }"""


def scaled(nb, screen, ratio):
    """Give the window a device scale; Chromium tells the page of it with a new size only."""
    for height in (801, 800):
        window = {"width": 1280, "height": height, "deviceScaleFactor": ratio, "mobile": False}
        screen.send("Emulation.setDeviceMetricsOverride", window)
        nb.wait("innerHeight === arg[0] && devicePixelRatio === arg[1]", [height, ratio])


def shoot(screen, name):
    seen = screen.send("Page.captureScreenshot", {"format": "png"})
    SHOTS.mkdir(parents=True, exist_ok=True)
    (SHOTS / f"screen_{name}.png").write_bytes(base64.b64decode(seen["data"]))


@pytest.mark.parametrize("name", OPENED)
def test_it_fits_and_is_sharp_at_every_device_scale(lab, server, name):
    notebook = server.notebook(f"screen_{name}.ipynb", SETUP, f"{OPENED[name]}\napp")
    nb = lab(notebook, alone=True).run_all()
    assert nb.errors() == []
    screen = nb.page.context.new_cdp_session(nb.page)
    for state in ("opened", "used"):
        if state == "used":
            nb.do(f"do = app.session.gesture\n{USED[name]}\napp.widget.refresh()")
        for ratio in RATIOS:
            scaled(nb, screen, ratio)
            nb.view()
            nb.wait(SHARP, ratio)
            assert nb.page.evaluate(WRONG, ratio) == []
            shoot(screen, f"{name}_{state}_{ratio}")
    keys_do_what_the_layout_says(nb)
    if nb.page.locator(".lliso-map, [class^='lliso-map:']").count():
        maps_are_moved_and_read_with_keys(nb, reads=name == "explorer")
    assert nb.cells() == 2


def keys_do_what_the_layout_says(nb):
    """Every key of the layout sends its gesture (held back here: only the key is tried)."""
    nb.page.evaluate(
        """() => { const { view } = document.querySelector('.lliso-app');
          view.sent = []; view.send = (kind, final, args) => { view.sent.push(kind); return 0; };
          view.screen = { ...view.screen, selected: view.screen.selected ?? 'something' }; }"""
    )
    sent = "() => document.querySelector('.lliso-app').view.sent.splice(0)"
    for spec in nb.ask("app.session.layout()['keys']"):
        nb.focus()
        nb.page.keyboard.press(spec["key"])
        if "focus" in spec:
            assert nb.page.evaluate("() => document.activeElement.dataset.key") == spec["focus"]
        else:
            assert nb.page.evaluate(sent) == [spec["gesture"]]
    nb.focus()
    nb.page.keyboard.press("?")
    assert nb.page.locator(".lliso-help").is_visible()
    nb.page.keyboard.press("Escape")
    assert nb.page.locator(".lliso-help").is_hidden()


def maps_are_moved_and_read_with_keys(nb, reads):
    shown = """() => { const { view } = document.querySelector('.lliso-app');
      return view.shownPanels.filter((p) => p.range).map((p) => p.range.x0 ?? null); }"""
    whole = nb.page.evaluate(shown)
    nb.focus()
    nb.page.keyboard.press("PageUp")
    zoomed = nb.page.evaluate(shown)
    assert zoomed[0] > whole[0]
    nb.page.keyboard.press("Control+ArrowLeft")
    assert nb.page.evaluate(shown)[0] < zoomed[0]
    nb.page.keyboard.press("Home")
    assert nb.page.evaluate(shown) == whole
    if not reads:
        return
    nb.page.keyboard.press("ArrowRight")
    nb.page.keyboard.press("Shift+ArrowRight")
    x, y, c, std = nb.ask(
        "(lambda ds, i, j: [float(ds.x[i]), float(ds.y[j]), *(float(v[j, i]) for v in ("
        "lambda f: (f.fraction, f.fraction_std))(lliso.isotope_fraction(ds)))])"
        "(app.session.maps['59 h'], 266, 103)"
    )
    heads = nb.page.locator(".lliso-readout").all_inner_texts()
    assert heads[0].startswith(f"x {x:.1f} µm   y {y:.1f} µm   C {c:.3f} ± {std:.3f}")
    assert heads[1].startswith(f"x {x:.1f} µm   y {y:.1f} µm   C ")
    assert nb.status() == " ".join(heads[0].split())
