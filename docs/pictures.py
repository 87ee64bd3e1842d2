"""Makes the pictures that the README shows: `make pictures`.

A page of nncli in a browser, and what a command prints on a terminal with colours.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.browser.conftest import chromium

PICTURES = Path(__file__).parent / "pictures"
SPEC = "configs/two-two-two.yaml"
COLUMNS = 80


def terminal() -> None:
    """`explain`'s screen of the Hadamard product, as an SVG."""
    printed = on_a_terminal("explain", SPEC, "--format", "table")
    part = re.search(r"^\S*5\s.*?(?=^\S*6\s)", printed, re.M | re.S)
    assert part is not None, printed
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text.from_ansi(part[0].rstrip()))
    drawn = console.export_svg(title=f"nncli explain {SPEC}")
    # The font is asked for from elsewhere; any of the reader's own will do.
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.S)
    (PICTURES / "terminal.svg").write_text(drawn, encoding="utf-8")


def on_a_terminal(*arguments: str) -> str:
    """What a command prints where it believes to be on a terminal, escapes included."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "nncli", *arguments]
    with subprocess.Popen(command, stdout=theirs, stdin=subprocess.DEVNULL, env=environment):
        os.close(theirs)
        printed = b""
        while True:
            try:
                some = os.read(ours, 1 << 16)
            except OSError:  # what Linux says at the end
                break
            if not some:
                break
            printed += some
    os.close(ours)
    return printed.decode().replace("\r\n", "\n")


def page() -> None:
    """The interactive page of the same step, as a PNG."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder, "step.html")
        command = [sys.executable, "-m", "nncli", "inspect-grad", SPEC, "-o", str(file)]
        subprocess.run(command, check=True)
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1000, "height": 720}, color_scheme="light")
        shown.goto(file.as_uri())
        following = shown.get_by_role("button", name="next", exact=True)
        while not shown.get_by_text("(Hadamard product)").is_visible():
            following.click()
        shown.get_by_role("tab", name="Hadamard").click()
        top = shown.get_by_role("heading", name="The network, and the error")
        top.evaluate("heading => scrollTo(0, heading.offsetTop - 10)")
        shown.screenshot(path=PICTURES / "page.png")
        browser.close()


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    terminal()
    page()
