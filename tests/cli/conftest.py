import sys
from pathlib import Path

import pytest
from cli_runs import QUICK, Command, Finished, run_for_real, write_digits

from riemaug.cli.main import main


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 12 and 14 real digits."""
    return write_digits(tmp_path_factory.mktemp("digits") / "digits", {"none": 12, "one": 14})


@pytest.fixture(scope="session")
def finished(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one uninterrupted run on `digits` with seed 3; only to be read."""
    out = tmp_path_factory.mktemp("finished") / "out"
    done = run_for_real("augment", digits, out, "--per-class", 10, "--seed", 3, *QUICK)
    assert done.code == 0, done.err
    return out


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line in this process, as the console script does."""

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["riemaug", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return Finished(code if isinstance(code, int) else 0, out, err)

    return run
