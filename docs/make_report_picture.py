"""Make the pictures of docs/report.md: parts of a real report, on a wide screen and on a phone.

riemaug demo riemaug-demo --per-class 100
python docs/make_report_picture.py --demo riemaug-demo

Measures with riemaug evaluate what the demonstration's synthetic digits are worth to logistic regression on
all digits that the generator has not seen, makes the report anew, and opens it in Chromium.
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from riemaug.data import SampleFormat, write_class_files
from riemaug.demonstration import AUGMENTED_NAME, DIGITS_NAME, split_digits

WIDE, PHONE = 1120, 375
MAP_CLASS = "3"
GAP = 14
PHONE_HEIGHT = 760
COLOURS = 256  # of the written pictures


def riemaug(*arguments: object) -> None:
    """Run the command line."""
    subprocess.run([sys.executable, "-m", "riemaug", *map(str, arguments)], check=True)


def prepare(demo: Path) -> Path:
    """Return the report of the demonstration, with what an evaluation of it found."""
    held_out, augmented = demo / "held-out", demo / AUGMENTED_NAME
    asked = json.loads((augmented / "run.json").read_text(encoding="utf-8"))
    learnt = max(asked["data"]["classes"].values())
    split = split_digits(learnt, asked["request"]["generator"]["seed"])
    fmt = SampleFormat("folder", (8, 8), "uint8", ".png", None, False)
    held_out.mkdir(exist_ok=True)
    for digit in range(10):
        write_class_files(held_out, str(digit), split.test_images[split.test_labels == digit], fmt)
    riemaug(
        "evaluate", demo / DIGITS_NAME, augmented, "--test", held_out, "--classifier", "logistic", "--jobs", 1
    )
    riemaug("report", augmented, "--real", demo / DIGITS_NAME)
    return augmented / "report.html"


def picture(page: Page, selector: str) -> Image.Image:
    """Return what an element looks like."""
    return Image.open(io.BytesIO(page.locator(selector).first.screenshot())).convert("RGB")


def stacked(parts: list[Image.Image], background: str = "#f4f6f9") -> Image.Image:
    """Return pictures above each other."""
    width = max(part.width for part in parts) + 2 * GAP
    sheet = Image.new("RGB", (width, sum(part.height + GAP for part in parts) + GAP), background)
    top = GAP
    for part in parts:
        sheet.paste(part, (GAP, top))
        top += part.height + GAP
    return sheet


def beside(parts: list[Image.Image]) -> Image.Image:
    """Return pictures side by side."""
    sheet = Image.new("RGB", (sum(part.width + GAP for part in parts) - GAP, parts[0].height), "white")
    left = 0
    for part in parts:
        sheet.paste(part, (left, 0))
        left += part.width + GAP
    return sheet


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG of few colours."""
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, f"{path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Write docs/images/report.png and docs/images/report_phone.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, default=Path("riemaug-demo"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    arguments = parser.parse_args()
    address = prepare(arguments.demo).absolute().as_uri()
    index = sorted(path.name for path in (arguments.demo / DIGITS_NAME).iterdir()).index(MAP_CLASS)
    body = f"#class-{index} .body"
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDE, "height": 1000})
        page.goto(f"{address}#class-{index}")
        # of the many triplets the first row is enough
        page.add_style_tag(content=".pair:nth-child(n+10) { display: none }")
        parts = [
            picture(page, name) for name in ("#verdict", f"{body} > div", f"{body} .latent", "#gain .card")
        ]
        save(stacked(parts, "#ffffff"), arguments.out / "report.png")
        phone = browser.new_page(
            viewport={"width": PHONE, "height": PHONE_HEIGHT}, device_scale_factor=1.5, has_touch=True
        )
        phone.goto(f"{address}#class-{index}")
        screens = []
        for place in ("h1", f"{body} .grid", f"{body} .latent"):
            phone.locator(place).first.evaluate("item => item.scrollIntoView({behavior: 'instant'})")
            screens.append(Image.open(io.BytesIO(phone.screenshot())).convert("RGB"))
        save(beside(screens), arguments.out / "report_phone.png")
        browser.close()


if __name__ == "__main__":
    main()
