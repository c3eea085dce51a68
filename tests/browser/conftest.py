"""A real browser on report pages: Chromium through Playwright; what is missing is named and skipped."""

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from tests import report_records as records

from riemaug.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

AXE = "axe-core@4.14.1"
AXE_SHA512 = (
    "1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b2"
    "14d36db85a2826965edfb3a0b9d546b5"
)
"""Of the package as the registry gives it out: nothing else is run."""
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass
class Visit:
    """An open page, and what it asked for and complained of."""

    page: "playwright.Page"
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def assert_quiet(self) -> None:
        assert self.requests == []
        assert self.complaints == []


Open = Callable[..., Visit]


@pytest.fixture(scope="session")
def browser() -> Iterator["playwright.Browser"]:
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    with playwright.sync_playwright() as running:
        own = Path(running.chromium.executable_path)
        if found is None and not own.is_file():
            pytest.skip("no Chromium is installed: neither on the path nor by playwright install")
        launched = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser) -> Iterator[Open]:
    """Open a file as `visit(path, width, **context options)`; all that is no data URI is refused."""
    contexts = []

    def open_page(path: Path, width: int = 1440, **options: object) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        visited = Visit(context.new_page())
        address = path.as_uri()

        def answer(route: "playwright.Route") -> None:
            url = route.request.url
            if url == address or url.startswith("data:"):
                route.continue_()
            else:
                visited.requests.append(url)
                route.abort()

        context.route("**/*", answer)
        visited.page.on(
            "console", lambda message: visited.complaints.append(f"{message.type}: {message.text}")
        )
        visited.page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        visited.page.goto(address)
        return visited

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def report_page(tmp_path_factory) -> Path:
    """A page with hostile names, a latent map, volumes, and an evaluation."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    data = records.report(
        records.image_class(np.random.default_rng(2)),
        records.color_class(np.random.default_rng(3)),
        records.volume_class(),
        records.columns_class(np.random.default_rng(4)),
        evaluation=records.evaluation(),
    )
    write_report(data, path)
    return path


@pytest.fixture(scope="session")
def axe(request: pytest.FixtureRequest) -> str:
    """The source of axe-core: fetched once with npm, then from pytest's cache."""
    folder = request.config.cache.mkdir("axe-core")
    package = folder / "axe-core-4.14.1.tgz"
    if not package.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm, which fetches axe-core, is not installed")
        command = [npm, "pack", AXE, "--silent", "--pack-destination", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("npm did not fetch axe-core within two minutes")
        if done.returncode or not package.is_file():
            pytest.skip(f"npm did not fetch axe-core: {done.stderr.strip()[-200:]}")
    assert hashlib.sha512(package.read_bytes()).hexdigest() == AXE_SHA512, "another package than was checked"
    with tarfile.open(package) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()
