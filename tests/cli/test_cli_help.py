import os
import resource
import subprocess
import sys

import pytest
from cli_runs import EXECUTABLE, run_for_real

import riemaug
from riemaug.cli.main import app
from riemaug.cli.study import app as study

COMMANDS = sorted(
    command.name or command.callback.__name__ for command in app.registered_commands if command.callback
)
STUDY = sorted(
    command.name or command.callback.__name__ for command in study.registered_commands if command.callback
)
WITHOUT_QUIET = {"inspect"}
"""Commands that do nothing but answer."""
ONE_LINE = {**os.environ, "COLUMNS": "300"}


def test_the_commands_are_there():
    first = {"augment", "demo", "evaluate", "fit", "inspect", "interpolate", "sample", "split"}
    assert set(COMMANDS) == first | {"doctor", "import", "report"}


def test_help_takes_less_than_0_4_seconds():
    def seconds() -> float:
        # of the processor: it is one thread that waits for nothing, and the machine may be busy
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run_for_real("--help").code == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.4


def test_commands_do_not_wait_for_libraries_that_only_some_need():
    slow = ("sklearn", "scipy.stats", "pandas", "matplotlib", "numba", "nibabel", "dask", "ray", "optuna")
    code = f"""if True:
        import riemaug.cli.summaries, riemaug.run.interpolate, riemaug.run.pipeline
        import sys
        print([name for name in {slow} if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["augment", "--help"], ["demo", "-h"]])
def test_help_loads_no_heavy_library(arguments):
    code = (
        "import sys\n"
        "from riemaug.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'sklearn', 'scipy', 'matplotlib', 'joblib'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert "Usage" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example_that_it_would_take(command):
    done = run_for_real(command, "--help", env=ONE_LINE)
    assert done.code == 0
    examples = [line for line in done.out.splitlines() if "Example: " in line]
    assert len(examples) == 1
    words = examples[0].split("Example: ")[1].split()
    assert words[:2] == ["riemaug", command]
    options = [word for word in words if word.startswith("--")]
    assert all(option in done.out.replace(examples[0], "") for option in options)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_speaks_to_machines_and_can_be_quiet(cli, command):
    told = cli(command, "--help").out
    assert "--json" in told
    assert ("--quiet" in told) != (command in WITHOUT_QUIET)


@pytest.mark.parametrize("command", sorted({*STUDY} - {"download"}))
def test_every_command_of_the_study_with_a_result_speaks_to_machines(cli, command):
    assert "--json" in cli("study", command, "--help").out


@pytest.mark.parametrize("command", STUDY)
def test_every_command_of_the_study_shows_an_example(cli, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "300")
    told = cli("study", command, "--help").out
    (example,) = [line for line in told.splitlines() if "Example: " in line]
    assert f"riemaug study {command}" in example
    options = [word for word in example.split() if word.startswith("--")]
    assert all(option in told.replace(example, "") for option in options)


@pytest.mark.parametrize("command", COMMANDS)
def test_short_and_long_help_are_alike(cli, command):
    assert cli(command, "-h") == cli(command, "--help")


def test_version():
    done = run_for_real("--version")
    assert (done.code, done.out.strip()) == (0, f"riemaug {riemaug.__version__}")


def test_no_arguments_show_the_commands(cli):
    done = cli()
    assert done.code == 2
    assert all(command in done.out + done.err for command in COMMANDS)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["augmnet"], "augment"),
        (["augment", "a", "b", "--per-clas", "3"], "--per-class"),
        (["augment", "a", "b", "--per-class", "many"], "--per-class"),
        (["augment", "a"], "out"),
    ],
)
def test_a_typing_error_ends_with_2_and_a_hint(cli, typed, hint):
    done = cli(*typed)
    assert done.code == 2
    assert done.out == ""
    assert hint in done.err
    assert "Traceback" not in done.err


def test_the_module_runs_like_the_script():
    done = subprocess.run(
        [sys.executable, "-m", "riemaug", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == run_for_real("--version").out
    assert EXECUTABLE.is_file()
