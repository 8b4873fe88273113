"""A JupyterLab of our own, driven in Debian's Chromium through its own front-end objects.

Nothing here sleeps: every wait is for a state of JupyterLab, of the kernel or of the view. The
server, its folders and its settings are made for one test run and removed after it.
"""

import ast
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "build" / "screenshots"
DOCS = ROOT / "docs" / "images" / "apps"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
WAIT = 60_000  # ms; a loaded machine may need it, an idle one never comes near
POLL = 40  # ms; asked at every frame, the page would draw frames for nothing


def missing():
    """Why the browser cannot be driven here, or None."""
    try:
        import anywidget  # noqa: F401
        import jupyterlab  # noqa: F401
        import playwright  # noqa: F401
    except ModuleNotFoundError as err:
        return f"{err.name} is not installed (pip install 'lliso[lab,browser]')"
    if chromium() is None:
        return f"no Chromium at {CHROMIUM} or on PATH (apt install chromium)"
    return None


def chromium():
    return CHROMIUM if Path(CHROMIUM).exists() else shutil.which("chromium")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def _possible():
    reason = missing()
    if reason and os.environ.get("LLISO_CI") == "1":
        pytest.fail(f"the browser tests must run here: {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)


class Server:
    """A running JupyterLab: where it listens, its token and the folder it shows."""

    def __init__(self, process, port, token, folder):
        self.process, self.port, self.token, self.folder = process, port, token, folder

    def url(self, path, query=""):
        return f"http://127.0.0.1:{self.port}/{path}?token={self.token}{query}"

    def notebook(self, name, *cells):
        """Write a notebook of these code cells; its name again."""
        import nbformat
        from nbformat import v4

        nb = v4.new_notebook(cells=[v4.new_code_cell(source) for source in cells])
        nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(nb, self.folder / name)
        return name


@pytest.fixture(scope="session")
def server(_possible, tmp_path_factory):
    folders = tmp_path_factory.mktemp("jupyter"), tmp_path_factory.mktemp("lab")
    with jupyterlab(*folders) as found:
        yield found


@contextlib.contextmanager
def jupyterlab(home, folder):
    """Run a JupyterLab that shows `folder` and keeps everything else in `home`."""
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"checkForUpdates": False, "doNotDisturbMode": True, "fetchNews": "false"}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    paths = {"CONFIG": "config", "RUNTIME": "runtime", "DATA": "data"}
    env = {
        **os.environ,
        **{f"JUPYTER_{k}_DIR": str(home / v) for k, v in paths.items()},
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
    }
    env.pop("MPLBACKEND", None)  # a notebook shows its figures
    command = [
        *[sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"],
        *["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"],
        *["--expose-app-in-browser", f"--ServerApp.root_dir={folder}", "--LabApp.news_url="],
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
        *[f"--LabApp.user_settings_dir={home / 'settings'}"],
        *[f"--LabApp.workspaces_dir={home / 'workspaces'}"],
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    with open(home / "log.txt", "w") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, cwd=home)
    try:
        found = Server(process, port, token, folder)
        _answers(found, home / "log.txt")
        yield found
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _answers(server, log):
    end = time.monotonic() + WAIT / 1000
    while time.monotonic() < end:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(server.url("api/status")) as r:
            if r.status == 200:
                return
        time.sleep(0.1)  # between two attempts to connect
    pytest.fail(f"JupyterLab did not answer:\n{log.read_text()[-3000:]}", pytrace=False)


@pytest.fixture(scope="module")
def browser(_possible):
    # Per module, not per session: Playwright's own event loop must not be there for other tests.
    with chromium_running() as found:
        yield found


@contextlib.contextmanager
def chromium_running():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


# A screen holds typed arrays, NaN among them; JSON holds neither.
PLAIN = """() => { const plain = (v) => ArrayBuffer.isView(v)
  ? Array.from(v, (x) => (x === x ? x : null))
  : Array.isArray(v) ? v.map(plain)
  : v && typeof v === 'object'
  ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)])) : v; return """

PANEL = """() => {
  const app = window.jupyterapp;
  return [...app.shell.widgets('main')].find((w) => w.context && w.content && w.content.widgets);
}"""


class Notebook:
    """One notebook open in JupyterLab."""

    def __init__(self, server, page):
        self.server, self.page = server, page
        self.said = []  # errors of the browser's console
        page.on("pageerror", self._hear)

    def _hear(self, error):
        self.said.append(str(error))

    def js(self, body, arg=None):
        """Evaluate `body` in the page with `panel` (the notebook) and `arg` at hand."""
        return self.page.evaluate(f"async (arg) => {{ const panel = ({PANEL})(); {body} }}", arg)

    def wait(self, condition, arg=None):
        code = f"(arg) => {{ const panel = ({PANEL})(); return {condition}; }}"
        self.page.wait_for_function(code, arg=arg, timeout=WAIT, polling=POLL)

    def open(self, name):
        space = secrets.token_hex(4)
        self.page.goto(self.server.url(f"doc/workspaces/{space}/tree/{name}", "&reset"))
        self.page.wait_for_function("() => window.jupyterapp", timeout=WAIT, polling=POLL)
        self.page.evaluate("() => window.jupyterapp.restored")
        return self._ready()

    def open_next(self, name):
        """Open a notebook in the JupyterLab that is on the page: three seconds less than `open`."""
        self.js("await window.jupyterapp.commands.execute('docmanager:open', { path: arg });", name)
        return self._ready()

    def _ready(self):
        self.wait("panel && panel.context.isReady && panel.sessionContext.isReady")
        self.idle()
        return self

    def idle(self):
        self.wait("panel.sessionContext.session?.kernel?.status === 'idle'")

    def run_all(self):
        self.js("await window.jupyterapp.commands.execute('notebook:run-all-cells');")
        self.idle()
        return self

    def restart_and_run_all(self):
        self.js("await panel.sessionContext.restartKernel();")
        self.idle()
        return self.run_all()

    def run_cell(self, index):
        self.js("panel.content.activeCellIndex = arg;", index)
        self.js("await window.jupyterapp.commands.execute('notebook:run-cell');")
        self.idle()

    def errors(self):
        """Errors and texts on stderr in the outputs."""
        return self.js(
            """return panel.content.widgets.flatMap((c) => c.model.outputs
              ? c.model.outputs.toJSON().filter((o) => o.output_type === 'error'
                || (o.output_type === 'stream' && o.name === 'stderr')) : [])"""
        )

    def cells(self):
        return self.js("return panel.content.widgets.length;")

    def ask(self, expression):
        """Value of a Python expression in the kernel (anything JSON can hold)."""
        code = f"__import__('json').dumps({expression})"
        reply = self.js(
            """const kernel = panel.sessionContext.session.kernel;
            const request = { code: '', silent: true, store_history: false,
                              user_expressions: { r: arg } };
            const future = kernel.requestExecute(request);
            const reply = await future.done;
            return reply.content.user_expressions.r;""",
            code,
        )
        if reply["status"] != "ok":
            raise AssertionError(f"{expression}: {reply}")
        return json.loads(ast.literal_eval(reply["data"]["text/plain"]))

    def do(self, code):
        """Run Python statements in the kernel."""
        self.ask(f"exec({code!r}, globals())")

    # the view ---------------------------------------------------------------------------------
    def view(self):
        """Bring the view to the top of the window and wait until it is drawn."""
        self.js(  # JupyterLab keeps cells that are off the screen out of the page
            """const type = 'application/vnd.jupyter.widget-view+json';
            const at = panel.content.widgets.findIndex((c) => c.model.outputs &&
              c.model.outputs.toJSON().some((o) => o.data && type in o.data));
            panel.content.activeCellIndex = at;
            await panel.content.scrollToItem(at, 'start');"""
        )
        self.wait(
            """[...document.querySelectorAll('.lliso-panel canvas')].some((c) => {
              if (!c.width || !c.height) return false; // curves are all on the upper canvas
              const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
              return d.some((v, i) => i % 4 === 3 && v === 255); })"""
        )
        self.settled()
        self.page.evaluate(
            "() => document.querySelector('.lliso-bar').scrollIntoView({block: 'start'})"
        )
        return self

    def settled(self):
        """Wait until the kernel has answered everything that was sent."""
        self.wait(
            """(() => { const v = document.querySelector('.lliso-app').view;
              return !v.inflight && !v.finals.length && !v.motion && !v.writing; })()"""
        )

    def shown(self):
        """The screen that is drawn now."""
        return self.page.evaluate(
            PLAIN + "plain(document.querySelector('.lliso-app').view.screen); }"
        )

    def committed(self):
        return self.page.evaluate(
            PLAIN + "plain(document.querySelector('.lliso-app').view.committed); }"
        )

    def on_panel(self, name, x, y):
        """Position in the window of a place of any panel, in the units of its axes."""
        return self.page.evaluate(
            """([name, x, y]) => { const v = document.querySelector('.lliso-app').view.panels[name];
              const r = v.top.getBoundingClientRect(), q = v.point(x, y);
              return [r.left + q[0], r.top + q[1]]; }""",
            [name, x, y],
        )

    def on_map(self, x, y):
        """Position in the window of a point of the map."""
        return self.page.evaluate(
            """(p) => { const v = document.querySelector('.lliso-app').view.panels.map;
              const r = v.top.getBoundingClientRect(), q = v.mapPoint(p);
              return [r.left + q[0], r.top + q[1]]; }""",
            [x, y],
        )

    def on_profile(self, distance, height=0.3):
        """Position in the window of a distance on the profile, `height` of the way down."""
        return self.page.evaluate(
            """([d, h]) => { const v = document.querySelector('.lliso-app').view.panels.profile;
              const r = v.top.getBoundingClientRect(), box = v.frame;
              return [r.left + v.X(d), r.top + box.y + h * box.h]; }""",
            [distance, height],
        )

    def cross(self, panel):
        """Position in the window of the × on the selected boundary's label."""
        return self.page.evaluate(
            """(panel) => { const v = document.querySelector('.lliso-app').view.panels[panel];
              const { cross } = v.pins.find((p) => p.cross);
              const r = v.top.getBoundingClientRect();
              return [r.left + cross.x + cross.w / 2, r.top + cross.y + cross.h / 2]; }""",
            panel,
        )

    def width_handle(self):
        return self.page.evaluate(
            """() => { const { view } = document.querySelector('.lliso-app');
              const v = view.panels.map.interactors[0], g = v.cut();
              const d = [g.end[0] - g.start[0], g.end[1] - g.start[1]], l = Math.hypot(...d);
              return v.widthHandle(g, { n: [-d[1] / l, d[0] / l] }); }"""
        )

    def drag(self, start, end, steps=8):
        """Press at `start`, move to `end`, release; wait for the kernel's answer."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(*end, steps=steps)
        mouse.up()
        self.settled()

    def click(self, at, button="left", key=None):
        with contextlib.ExitStack() as held:
            if key is not None:
                self.page.keyboard.down(key)
                held.callback(self.page.keyboard.up, key)
            self.page.mouse.click(*at, button=button)
        self.settled()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        self.settled()

    def focus(self):
        self.page.locator(".lliso-stage").focus()

    def rows(self):
        """The table as a list of lists of texts, header first."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll('.lliso-app table tr')].map((tr) =>
              [...tr.children].map((c) => c.innerText.replace(/\\s+/g, ' ').trim()))"""
        )

    def status(self):
        return self.page.locator(".lliso-app [role=status]").inner_text()

    def shoot(self, name):
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def picture(self, name):
        """Take a picture of the app for the docs; written there if LLISO_DOCS is set."""
        self.page.mouse.move(5, 5)
        folder = DOCS if os.environ.get("LLISO_DOCS") else SHOTS
        folder.mkdir(parents=True, exist_ok=True)
        self.page.set_viewport_size({"width": 1280, "height": 1100})  # the table is seen too
        self.view()
        self.page.locator(".lliso-app").first.screenshot(path=folder / f"{name}.png")

    def end(self):
        """Shut the kernel down; what its view says went wrong on our side."""
        failures = self.ask("globals()['app'].widget.failures if 'app' in globals() else []")
        self.js("await panel.sessionContext.shutdown();")
        return failures

    def leave(self):
        """Close the notebook after `end`; whether the page is fit for the next one."""
        self.js("panel.dispose(); await new Promise((done) => setTimeout(done));")
        self.page.remove_listener("pageerror", self._hear)
        return not self.said and self.page.evaluate(
            "() => !document.querySelector('.lliso-app, .jp-Notebook, .jp-Dialog')"
        )


class Desk:
    """A page with a JupyterLab that the tests of a module use in turn, as a person does all day."""

    SIZE = (1280, 800)

    def __init__(self, browser):
        self.browser, self.context, self.page, self.free = browser, None, None, True

    def take(self, server, name):
        """Open a notebook on the page; a new page if there is none."""
        self.free = False
        try:
            if self.context is not None:
                self.page.set_viewport_size({"width": self.SIZE[0], "height": self.SIZE[1]})
                return Notebook(server, self.page).open_next(name)
            self.context = new_context(self.browser, self.SIZE)
            self.page = self.context.new_page()
            return Notebook(server, self.page).open(name)
        except BaseException:
            self.give_back(False)
            raise

    def give_back(self, fit):
        """The notebook is closed. An unfit page is thrown away: the next test gets a new one."""
        if not fit:
            if self.context is not None:
                self.context.close()
            self.context = self.page = None
        else:
            self.context.clear_permissions()
            self.page.mouse.move(5, 5)
        self.free = True


def new_context(browser, size, ratio=1):
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, device_scale_factor=ratio
    )
    context.set_default_timeout(WAIT)
    return context


@pytest.fixture(scope="module")
def desk(browser):
    return Desk(browser)


@pytest.fixture
def lab(server, browser, desk, request):
    """Open notebooks, on the module's page, or in a browser context of their own."""
    opened, failed_before = [], request.session.testsfailed

    def start(name, size=Desk.SIZE, ratio=1, alone=False):
        if desk.free and (size, ratio, alone) == (Desk.SIZE, 1, False):
            opened.append((None, desk.take(server, name)))
        else:
            context = new_context(browser, size, ratio)
            opened.append((context, Notebook(server, context.new_page())))
            opened[-1][1].open(name)
        return opened[-1][1]

    yield start
    said, fit = [], request.session.testsfailed == failed_before
    for context, notebook in opened:
        left = False
        try:
            said += notebook.end()
            left = context is None and fit and not said and notebook.leave()
        finally:
            said += notebook.said
            if context is None:
                desk.give_back(left)
            else:
                context.close()
    assert said == [], "errors in the browser, or callbacks that failed"
