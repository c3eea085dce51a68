"""The how-to pages are run as a reader would run them: block after block, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "howto").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
RUN_AS = {"python", "bash"}


def blocks_of(page: Path) -> list[tuple[str, str]]:
    return [(kind, code) for kind, code in BLOCK.findall(page.read_text(encoding="utf-8"))]


def run_shell(code: str, page: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        check=False,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{page.name}: {code}\n{done.stdout}\n{done.stderr}"


def test_there_are_six_and_nothing_on_them_is_left_out():
    assert len(PAGES) >= 6
    for page in PAGES:
        kinds = [kind for kind, _ in blocks_of(page)]
        assert "python" in kinds or "bash" in kinds, page.name
        assert set(kinds) <= RUN_AS | {"text"}, f"{page.name}: blocks are python, bash or, for output, text"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": page.stem}
    for kind, code in blocks_of(page):
        if kind == "bash":
            run_shell(code, page)
        elif kind == "python":
            exec(compile(code, str(page), "exec"), namespace)
