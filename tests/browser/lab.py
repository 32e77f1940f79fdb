"""Drive a real JupyterLab: a server of its own, notebooks made of cells, and a page that shows them."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "screenshots"
"""Folder of the pictures that tests take, for a person to look at."""
FLAGS = [
    "--headless",
    "--disable-gpu",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BUSY = """import pathlib, time
pathlib.Path("busy").touch()
while pathlib.Path("busy").exists():
    time.sleep(0.05)"""
"""A cell that keeps the kernel busy until its file is gone."""
NUMBERED = re.compile(r"^\[\d+\]:$")
"""Prompt of a cell that has run."""
_RUN = """index => {
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  window.jupyterapp.commands.execute('notebook:run-cell');
}"""
"""In one piece: a widget that takes the focus between the two would have its own cell run."""
_READY = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  return panel?.sessionContext?.session?.kernel?.status === 'idle' && document.querySelector('.jp-Notebook .jp-Cell');
}"""

_HAS_RUN = """([index, before]) => {
  const cell = document.querySelectorAll('.jp-Notebook .jp-Cell')[index];
  const prompt = cell.querySelector('.jp-InputPrompt').textContent;
  return /\\[\\d+\\]/.test(prompt) && prompt !== before;
}"""
"""A cell's number is another one than before."""
_NAMELESS = """(within) => [...document.querySelectorAll(within)].flatMap((e) => [...e.querySelectorAll(
    'input, select, button, textarea, canvas, [role=option]')])
  .filter((e) => !(e.ariaHidden || e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()))
  .map((e) => e.outerHTML)"""
_CUT_OFF = """([across, down]) => [[across, 'Width'], [down, 'Height']].flatMap(([parts, size]) =>
  (parts ? [...document.querySelectorAll(parts)] : []).filter((e) => e[`scroll${size}`] > e[`client${size}`] + 1)
    .map((e) => `${size} of ${e.className}: ${e[`scroll${size}`]} > ${e[`client${size}`]}`))"""
_MOVE = """(values) => { const range = document.querySelector('[data-testid=strength]');
  for (const value of values) { range.value = value; range.dispatchEvent(new Event('input', { bubbles: true })); } }"""
_KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
_SILENCE = f"""() => {{ window.__sent = 0; window.__send = {_KERNEL}._sendMessage;
  {_KERNEL}._sendMessage = () => {{ window.__sent += 1; }}; }}"""
_SPEAK = f"() => {{ {_KERNEL}._sendMessage = window.__send; return window.__sent; }}"
_SAY = """async (code) => {
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  const future = kernel.requestExecute({ code, store_history: false });
  let [text, error] = ["", ""];
  future.onIOPub = ({ header, content }) => {
    if (header.msg_type === "stream" && content.name === "stdout") text += content.text;
    if (header.msg_type === "error") error = `${content.ename}: ${content.evalue}`;
  };
  await future.done;
  return [text, error];
}"""


def launch(playwright: Playwright) -> Browser:
    """Start the Chromium of the path, else Playwright's own."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return playwright.chromium.launch(executable_path=found, args=FLAGS)


SETTINGS: dict[str, dict[str, Any]] = {
    "kernels-settings": {"commsOverSubshells": "perCommTarget"},
    "themes": {"theme": "JupyterLab Light"},
}
"""Settings of JupyterLab with which each file of tests begins, by plugin of ``@jupyterlab/apputils-extension``."""


WARM_UP = """from pathlib import Path as _Path
if _Path("warm").exists():
    _Path("warm").unlink()
    import mllm_probe as _mp
    _mp.load, _mp.sweep, _mp.generate, _mp.SteeringPanel, _mp.explore
"""
"""What a kernel runs when it starts: one that is asked to imports the package while the page is loaded."""


@contextmanager
def server(folder: Path, settings: dict[str, dict[str, Any]] = SETTINGS) -> Iterator[str]:
    """Run JupyterLab in ``folder`` as `make lab` does, with settings of its own besides; yields its address."""
    plugins = folder / "settings" / "@jupyterlab" / "apputils-extension"
    plugins.mkdir(parents=True)
    for plugin, values in settings.items():
        (plugins / f"{plugin}.jupyterlab-settings").write_text(json.dumps(values))
    shutil.copytree(ROOT / "binder" / "jupyter" / "workspaces", folder / "workspaces")
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "warm_up.py").write_text(WARM_UP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    places["JUPYTER_CONFIG_PATH"] = str(ROOT / "binder" / "jupyter")  # as `make lab` has it
    environment = (
        os.environ
        | places
        | {
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
            "IPYTHONDIR": str(folder / "ipython"),
            "OMP_NUM_THREADS": "1",
        }
    )
    options = ["--allow-root", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token="]
    options += ["--ServerApp.disable_check_xsrf=True", "--LabApp.expose_app_in_browser=True"]
    with (folder / "server.log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={folder}"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            _answers(port, process, folder)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _answers(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{(folder / 'server.log').read_text()[-2000:]}")


def notebook(folder: Path, name: str, *cells: str) -> None:
    """Write a notebook of code cells."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, folder / name)


def open_notebook(page: Page, address: str, name: str) -> None:
    """Open a notebook alone on the page, with the kernel ready."""
    page.goto(f"{address}/lab/tree/{name}?reset")
    notebook_ready(page)
    page.evaluate("() => { window.jupyterapp.shell.collapseLeft(); }")


def notebook_ready(page: Page) -> None:
    """Wait until the notebook on the page has its cells and a kernel."""
    page.wait_for_function(_READY, timeout=90_000)


@dataclass(frozen=True)
class Desk:
    """A folder of notebooks, the JupyterLab that serves it, and the browser that opens them."""

    browser: BrowserContext
    address: str
    root: Path
    """Folder of the server."""
    name: str = ""
    """Path of this desk's folder within the server's."""

    @property
    def folder(self) -> Path:
        """Where the notebooks are and their kernels run."""
        return self.root / self.name

    def within(self, name: str) -> Desk:
        """A new folder on the same server."""
        made = replace(self, name=name)
        made.folder.mkdir()
        return made

    def notebook(self, name: str, *cells: str) -> None:
        """Write a notebook of code cells."""
        notebook(self.folder, name, *cells)

    def page(self, width: int, height: int) -> Page:
        """A new page, with the patience that a busy machine needs."""
        page = self.browser.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.set_default_timeout(90_000)
        return page

    def open(self, page: Page, name: str) -> None:
        """Open a notebook alone on the page, with the kernel ready; it starts while the page loads."""
        path = f"{self.name}/{name}".lstrip("/")
        (self.folder / "warm").touch()
        session = {"path": path, "name": name, "type": "notebook", "kernel": {"name": "python3"}}
        self._ask("POST", "api/sessions", session)
        open_notebook(page, self.address, path)

    @contextmanager
    def opened(self, name: str, width: int, height: int) -> Iterator[Page]:
        """Open a notebook on a new page and run its first cell; no error may have come when the page is closed."""
        page = self.page(width, height)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        self.open(page, name)
        run_cell(page, 0)
        yield page
        wrong += page.locator(".jp-OutputArea-output[data-mime-type*='vnd.jupyter.error']").all_text_contents()
        page.close()
        assert not wrong, wrong

    @contextmanager
    def busy(self, page: Page, index: int) -> Iterator[None]:
        """Keep the kernel busy with the cell ``BUSY``; ends it and waits for its end."""
        run_cell(page, index)
        prompt = page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-InputPrompt")
        begun = self.folder / "busy"
        wait_for_file(page, begun)
        expect(prompt).to_have_text("[*]:")
        yield
        assert prompt.text_content() == "[*]:"
        begun.unlink()
        expect(prompt).to_have_text(NUMBERED)

    def set_up(self, plugin: str, **values: Any) -> None:
        """Replace the settings of one of JupyterLab's plugins; a page that is opened later has them."""
        self._ask("PUT", f"lab/api/settings/@jupyterlab/apputils-extension:{plugin}", {"raw": json.dumps(values)})

    def end_kernels(self) -> None:
        """Shut down every kernel of this folder's notebooks."""
        for session in self._ask("GET", "api/sessions"):
            if Path(session["path"]).parent == Path(self.name):
                self._ask("DELETE", f"api/sessions/{session['id']}")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self.address}/{path}", data, headers, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def running(folder: Path) -> Iterator[Desk]:
    """Run JupyterLab in ``folder``, and a browser."""
    SHOTS.mkdir(exist_ok=True)
    expect.set_options(timeout=60_000)
    with server(folder) as address, sync_playwright() as playwright:
        browser = launch(playwright)
        yield Desk(browser.new_context(), address, folder)
        browser.close()


def command(page: Page, name: str, **arguments: Any) -> None:
    """Execute one of JupyterLab's commands without waiting for what it starts."""
    execute = "([name, given]) => { void window.jupyterapp.commands.execute(name, given); }"
    page.evaluate(execute, [name, arguments])


def set_theme(page: Page, theme: str) -> None:
    """Change to one of JupyterLab's themes and wait until it is there."""
    command(page, "apputils:change-theme", theme=theme)
    page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
    page.wait_for_selector("#jupyterlab-splash", state="detached")


def drawn(page: Page) -> None:
    """Wait until what changed is laid out and drawn: observers of sizes run in a frame, and draw in the next."""
    page.evaluate("async () => { for (let k = 0; k < 4; k++) await new Promise(requestAnimationFrame); }")


def nameless(page: Page, within: str = ".mp") -> list[str]:
    """Controls that a screen reader has no name for."""
    return list(page.evaluate(_NAMELESS, within))


def cut_off(page: Page, across: str, down: str = "") -> list[str]:
    """Parts that are larger than their place once the page has settled; observers of sizes may run late under load."""
    found: list[str] = []
    for _ in range(50):
        drawn(page)
        found = page.evaluate(_CUT_OFF, [across, down])
        if not found:
            break
        page.wait_for_timeout(100)
    return found


def in_cell(canvas: Locator, row: int, column: int) -> Any:
    """Middle of a cell of a map's first category, in page pixels from the canvas's corner."""
    place = canvas.evaluate("canvas => ({ ...canvas.dataset })")
    left, top, width, height = (float(place[name]) for name in ("left", "top", "cellWidth", "rowHeight"))
    return {"x": left + (column + 0.5) * width, "y": top + (row + 0.5) * height}


def on_page(part: Locator, place: Any) -> tuple[float, float]:
    """Where a place of a part stands on the page."""
    box = part.bounding_box()
    assert box is not None
    return box["x"] + place["x"], box["y"] + place["y"]


def drag(part: Locator, *places: Any) -> None:
    """Draw the mouse with its button down from the first of some places of a part to the last."""
    part.scroll_into_view_if_needed()
    mouse = part.page.mouse
    mouse.move(*on_page(part, places[0]))
    mouse.down()
    for place in places[1:]:
        mouse.move(*on_page(part, place), steps=4)
    mouse.up()


def move(page: Page, *values: str) -> None:
    """Move the panel's slider through these values, each before the one before is answered."""
    page.evaluate(_MOVE, values)


@contextmanager
def silenced(page: Page) -> Iterator[list[int]]:
    """Let no message reach the kernel; gives how many there were, once it is over."""
    page.evaluate(_SILENCE)
    sent: list[int] = []
    yield sent
    sent.append(page.evaluate(_SPEAK))


def save(page: Page) -> None:
    """Save the open notebook."""
    context = "window.jupyterapp.shell.currentWidget.context"
    page.evaluate(f"() => {context}.save()")
    page.wait_for_function(f"!{context}.model.dirty")


def wait_for_file(page: Page, file: Path) -> None:
    """Wait until a cell has made a file."""
    for _ in range(600):
        if file.exists():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"there is no {file.name}")


def run_cell(page: Page, index: int) -> None:
    """Run one cell, without waiting for it."""
    page.evaluate(_RUN, index)


def finish_cell(page: Page, index: int, timeout: float = 300_000) -> Locator:
    """Run one cell to its end and give what it put out, wherever the notebook has been run before."""
    prompt = page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-InputPrompt").first
    before = prompt.text_content() or ""
    run_cell(page, index)
    page.wait_for_function(_HAS_RUN, arg=[index, before], timeout=timeout)
    return page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-OutputArea").first


def said(page: Page, code: str) -> str:
    """Run code in the notebook's kernel and give what it printed, once it has finished; no cell is touched."""
    text, error = page.evaluate(_SAY, code.strip())
    if error:
        raise AssertionError(error)
    return str(text)


def until_said(page: Page, code: str, wanted: str, tries: int = 100) -> None:
    """Run code until what it prints begins with ``wanted``.

    What a widget was told may reach the kernel after code that was sent later: the two do not share a queue.
    """
    heard = ""
    for _ in range(tries):
        heard = said(page, code)
        if heard.startswith(wanted):
            return
        drawn(page)
    raise AssertionError(f"expected the kernel to print '{wanted}…'; it last printed '{heard}'")


def repainted(canvas: Locator, seen: list[str]) -> str:
    """Wait until a canvas shows something that is not in ``seen``, and give it."""
    differs = "([canvas, seen]) => !seen.includes(canvas.toDataURL())"
    canvas.page.wait_for_function(differs, arg=[canvas.element_handle(), seen])
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))
