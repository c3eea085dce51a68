"""The code of docs/evaluation.md runs."""

import re
from pathlib import Path

import pytest


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[3] / "docs" / "evaluation.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    namespace: dict[str, object] = {"__name__": "evaluation"}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)
    assert "near copies of a training sample" in capsys.readouterr().out
