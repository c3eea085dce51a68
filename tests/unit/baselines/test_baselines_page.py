"""The code of docs/baselines.md runs, and its tables are complete."""

import re
from pathlib import Path

import pytest

from riemaug.baselines.deep import LAWS
from riemaug.baselines.registry import BASELINES, TRANSFORMS

PAGE = Path(__file__).parents[3] / "docs" / "baselines.md"


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    namespace: dict[str, object] = {"__name__": "baselines"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), namespace)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "(250, 8, 8) (100, 100, 50)"
    assert printed[1:3] == ["prior (20, 20, 20)", "latent-gaussian-mixture (20, 20, 20)"]
    assert printed[3] == "(30, 3)"


def test_every_name_is_told() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE) == list(BASELINES)
    for name in (*LAWS, *TRANSFORMS):
        assert f"`{name}`" in text
