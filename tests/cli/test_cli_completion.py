"""The shell completes commands, options and their values; misspelt ones are guessed."""

import os
import select
import shutil
import subprocess
import sys
import time
from typing import get_args

import pytest
from cli_runs import EXECUTABLE, run_for_real

from riemaug.cli.choices import VALUES
from riemaug.config import GeneratorConfig, SamplerName, Sharing
from riemaug.evaluation.classifiers import CLASSIFIERS
from riemaug.evaluation.set_names import TRAINED_ON
from riemaug.evaluation.settings import EvaluationConfig
from riemaug.importing.layout import OUTPUTS
from riemaug.models.config import LikelihoodName, ModelKind, NetworkKind
from riemaug.run.request import AugmentRequest, ReadOptions, RunOptions, SampleRequest
from riemaug.run.split import SplitRequest
from riemaug.study.cells import READINGS
from riemaug.study.download import DOWNLOADS
from riemaug.study.showing import TABLES
from riemaug.training.config import PrecisionName


def values_of(model, field):
    """Return the strings that a field may be."""
    annotation = model.model_fields[field].annotation
    parts = [annotation, *get_args(annotation)]
    return {value for part in parts for value in get_args(part) if isinstance(value, str)}


def test_the_values_written_out_are_those_that_are_taken():
    taken = {
        "preset": values_of(GeneratorConfig, "preset"),
        "sharing": set(get_args(Sharing)),
        "model": set(get_args(ModelKind)),
        "network": set(get_args(NetworkKind)) - {"custom"},  # that one is for Python
        "likelihood": set(get_args(LikelihoodName)),
        "precision": set(get_args(PrecisionName)),
        "sampler": set(get_args(SamplerName)),
        "include_real": values_of(AugmentRequest, "include_real"),
        "layout": values_of(ReadOptions, "layout"),
        "log_level": values_of(RunOptions, "log_level"),
        "shards": values_of(SampleRequest, "shards"),
        "classifier": set(CLASSIFIERS),
        "trained_on": set(TRAINED_ON),
        "classic": values_of(EvaluationConfig, "classic"),
        "features": values_of(EvaluationConfig, "features"),
        "near duplicates of a test set": values_of(EvaluationConfig, "near_duplicates"),
        "near duplicates of a split": values_of(SplitRequest, "near_duplicates"),
        "imported": set(OUTPUTS),
        "data set of the study": set(DOWNLOADS),
        "reading": set(READINGS),
        "table or figure of the study": {*TABLES, "fig1", "fig2", "fig3", "fig4"},
    }
    assert {name: set(values) for name, values in VALUES.items() if name != "device"} == taken


def completed(*words):
    """Return what bash is offered for the last word."""
    line = " ".join(["riemaug", *words])
    return run_for_real(
        env={
            **os.environ,
            "_RIEMAUG_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words)),
        }
    ).out.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["augm"], ["augment"]),
        (["sample", "m", "o", "--dry"], ["--dry-run"]),
        (["augment", "d", "o", "--sampler", "wal"], ["walk", "walk-paper", "walk-paper-code"]),
        (["study", "show", "fig"], ["fig1", "fig2", "fig3", "fig4"]),
        (["import", "--as", "p"], ["png"]),
    ],
)
def test_bash_completes(words, offered):
    assert completed(*words) == offered


TYPED = {
    "riemaug augm": "riemaug augment ",
    "riemaug sample m o --dry": "riemaug sample m o --dry-run ",
    "riemaug augment d o --sampler mix": "riemaug augment d o --sampler mixture ",
    "riemaug augment d o --sampler wal": "riemaug augment d o --sampler walk",  # as far as it is clear
}
"""What is typed before the tabulator, and what stands in the line after it: commands, options, choices."""
BASH = r"""
PS1=
bind 'set bell-style none'
eval "$(_RIEMAUG_COMPLETE=source_bash riemaug)"
show() { echo "<$READLINE_LINE>"; READLINE_LINE=; }
bind -x '"\C-xs": show'
echo ready
"""
ZSH = r"""
PROMPT=
autoload -Uz compinit && compinit -u -D
eval "$(_RIEMAUG_COMPLETE=source_zsh riemaug)"
show() { print -r -- "<$BUFFER>"; BUFFER= }
zle -N show
bindkey '^Xs' show
echo ready
"""
SHELLS = {"bash": (["bash", "--norc", "--noprofile", "-i"], BASH), "zsh": (["zsh", "-f", "-i"], ZSH)}
"""How a shell is started without the user's settings; what turns completion on, and makes Ctrl-X s print the
line and empty it."""


def needs(shell):
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


def shell_environment(home):
    """Return an environment in which the shell finds the command, and no settings of its own."""
    path = os.pathsep.join([str(EXECUTABLE.parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "HOME": str(home), "TERM": "dumb", "INPUTRC": os.devnull}


class Terminal:
    """A shell at a terminal of its own."""

    def __init__(self, command, home):
        import pty  # there is none on Windows

        self.end, inner = pty.openpty()
        self.process = subprocess.Popen(
            command,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=shell_environment(home),
            start_new_session=True,
        )
        os.close(inner)

    def type(self, text):
        os.write(self.end, text.encode())

    def until(self, mark, timeout=60):
        """Return all that is shown until the mark is."""
        shown, last = "", time.monotonic() + timeout
        while mark not in shown:
            assert time.monotonic() < last, shown
            if select.select([self.end], [], [], 1)[0]:
                shown += os.read(self.end, 4096).decode(errors="replace")
        return shown

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.end)


@pytest.mark.parametrize("shell", [pytest.param(name, marks=needs(name)) for name in SHELLS])
def test_a_shell_completes_what_is_typed(shell, tmp_path):
    command, setup = SHELLS[shell]
    (tmp_path / "setup").write_text(setup)
    terminal = Terminal(command, tmp_path)
    try:
        terminal.type(f". {tmp_path / 'setup'}\n")
        terminal.until("ready")
        for typed, completed_to in TYPED.items():
            terminal.type(f"{typed}\t\x18s")
            assert f"<{completed_to}>" in terminal.until(">")
    finally:
        terminal.close()


@needs("fish")
def test_fish_completes(tmp_path):
    offered = {
        "riemaug augm": ["augment"],
        "riemaug sample m o --dry": ["--dry-run"],
        "riemaug augment d o --sampler wal": ["walk", "walk-paper", "walk-paper-code"],
    }
    asked = "".join(f"complete -C '{line}'; echo end\n" for line in offered)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"_RIEMAUG_COMPLETE=source_fish riemaug | source\n{asked}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=shell_environment(tmp_path),
    )
    answers = [
        [line.split("\t")[0] for line in part.split("\n") if line] for part in done.stdout.split("end\n")
    ]
    assert answers == [*offered.values(), []]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_each_shell_can_be_shown(shell):
    done = run_for_real("--show-completion", shell)
    assert done.code == 0
    assert "_RIEMAUG_COMPLETE" in done.out


def test_completion_can_be_installed(tmp_path):
    done = run_for_real("--install-completion", "bash", env={**os.environ, "HOME": str(tmp_path)})
    assert done.code == 0
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "_RIEMAUG_COMPLETE" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


def test_completing_a_value_loads_no_heavy_library():
    code = (
        "import sys\n"
        "sys.argv = ['riemaug']\n"
        "from riemaug.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'sklearn', 'scipy', 'matplotlib', 'joblib'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    asked = {"COMP_WORDS": "riemaug augment d o --sampler mix", "COMP_CWORD": "5"}
    environment = {**os.environ, "_RIEMAUG_COMPLETE": "complete_bash", **asked}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["mixture"]
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["augment", "d", "o", "--sampler", "mixtur"], "did you mean mixture?"),
        (["augment", "d", "o", "--preset", "Papr"], "did you mean paper?"),
        (["fit", "d", "m", "--likelihood", "bernouli"], "did you mean bernoulli?"),
        (["evaluate", "d", "--cv", "3", "--classifier", "densnet"], "did you mean densenet?"),
        (["evaluate", "d", "--cv", "3", "--trained-on", "sinthetic"], "did you mean synthetic?"),
        (["split", "d", "o", "--near-duplicates", "ignor"], "did you mean ignore?"),
        (["study", "show", "tabel2"], "did you mean table2?"),
        (["study", "download", "minst", "--folder", "x"], "did you mean mnist?"),
    ],
)
def test_a_misspelt_value_is_guessed(cli, tmp_path, monkeypatch, typed, hint):
    monkeypatch.chdir(tmp_path)
    refused = cli(*typed)
    assert refused.code == 2
    assert hint in refused.message
    assert not list(tmp_path.iterdir())


def test_a_wild_value_is_not_guessed(cli, tmp_path):
    refused = cli("augment", tmp_path, tmp_path / "o", "--sampler", "zzzzz")
    assert "got 'zzzzz'" in refused.message
    assert "did you mean" not in refused.message
