import html as markup
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from riemaug.report import write_report

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
        if (found := shutil.which(name))
    ),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium binary is installed")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--virtual-time-budget=10000",
)


def chromium(tmp_path, page, *options):
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def measure(tmp_path, page, width, expression):
    """Evaluate an expression on the page in a frame of a given width; the page itself stays untouched."""
    frame = tmp_path / f"frame{width}.html"
    frame.write_text(
        f'<iframe srcdoc="{markup.escape(page.read_text(encoding="utf-8"))}" width={width} height=800 '
        'style="border:0"></iframe><script>const frame = document.querySelector("iframe");'
        "frame.onload = () => { const page = frame.contentDocument;"
        f"document.title = 'measured ' + ({expression}); }};</script>",
        encoding="utf-8",
    )
    found = re.search(r"<title>measured (.*?)</title>", chromium(tmp_path, frame, "--dump-dom"))
    assert found, "the page did not load"
    return found[1]


@pytest.fixture
def page(report, tmp_path):
    path = tmp_path / "report.html"
    write_report(report, path)
    return path


@pytest.mark.parametrize("width", [1280, 375])
def test_page_does_not_scroll_sideways(page, tmp_path, width):
    everything = "(page.querySelectorAll('details').forEach(item => item.open = true), "
    assert int(measure(tmp_path, page, width, everything + "page.documentElement.scrollWidth)")) <= width


def test_hostile_names_do_not_run(page, tmp_path):
    assert measure(tmp_path, page, 800, "page.title + page.querySelectorAll('script').length") == "A report1"


def test_own_script_passes_the_policy(page, tmp_path):
    assert measure(tmp_path, page, 800, "page.getElementById('toggle').hidden") == "false"


def test_tiles_show_their_pixels(report, image_class, tmp_path):
    white = replace(image_class, synthetic=np.full((6, 8, 8), 255, np.uint8))
    path = tmp_path / "white.html"
    write_report(replace(report, classes=(white,)), path)
    shot = tmp_path / "shot.png"
    chromium(tmp_path, path, f"--screenshot={shot}", "--window-size=1280,3000")
    picture = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert picture.shape[:2] == (3000, 1280)
    # A tile of 8 pixels enlarged twelve times: a white square on the page, inside its blue frame.
    blue = (np.abs(picture - [26, 86, 176]).max(axis=-1) < 6).any(axis=1).nonzero()[0]
    assert len(blue)
    rows = [
        row for row in blue if (picture[row : row + 90, :] == 255).all(axis=-1).all(axis=0).sum() > 5 * 90
    ]
    assert rows
