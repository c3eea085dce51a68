import json

import pytest
from cli_runs import everything_in, leftovers, run_for_real

import riemaug.run.tasks
from riemaug.data import read_dataset


def test_demo_refuses_before_it_writes(cli, tmp_path):
    for options, named in (
        (["--per-class", 1], "--per-class"),
        (["--train-per-class", 1], "--train-per-class"),
        (["--train-per-class", 200], "--train-per-class"),
        (["--jobs", 0], "--jobs"),
        (["--seed", -1], "--seed"),
    ):
        refused = cli("demo", tmp_path / "out", *options)
        assert refused.code == 2
        assert named in refused.err
        assert not (tmp_path / "out").exists()


def test_demo_stopped_in_its_first_class_resumes(cli, tmp_path, monkeypatch):
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    command = ["demo", tmp_path / "out", "--per-class", 2, "--train-per-class", 2, "--jobs", 1]
    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.tasks, "_fitted", stop)
        interrupted = cli(*command, "-q")
    assert interrupted.code == 130
    assert "--resume" in interrupted.message
    before = everything_in(tmp_path / "out" / "digits")
    assert len(before) == 20
    refused = cli(*command)
    assert refused.code == 2
    assert "new or empty" in refused.message
    for options in (["--train-per-class", 3], ["--train-per-class", 1], ["--seed", 1], ["--per-class", 3]):
        assert cli(*command, "--resume", *options).code == 2
    assert everything_in(tmp_path / "out" / "digits").keys() == before.keys()
    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.tasks, "_fitted", stop)
        assert cli(*command, "--resume", "-q").code == 130  # it would go on


@pytest.mark.slow
def test_demo_leaves_digits_augmented_and_scores(tmp_path):
    out = tmp_path / "out"
    command = ["demo", out, "--per-class", 5, "--train-per-class", 6, "--json"]
    done = run_for_real(*command, timeout=600)
    assert done.code == 0, done.err
    assert {path.name for path in out.iterdir()} == {"digits", "augmented", "scores.json"}
    assert read_dataset(out / "digits").counts == (6,) * 10
    assert read_dataset(out / "augmented").counts == (5,) * 10
    assert (out / "augmented" / "report.html").is_file()
    scores = json.loads((out / "scores.json").read_text())
    assert scores["trained_on"] == {"real": 60, "synthetic": 50, "real and synthetic": 110}
    assert scores["accuracy"] == done.document["accuracy"]
    assert done.document["samples"] == 50
    # far above one in ten, with six digits of each class
    assert scores["accuracy"]["real"] > 0.6
    assert scores["accuracy"]["synthetic"] > 0.4
    assert leftovers(out) == []
    again = run_for_real(*command, "--resume", timeout=600)
    assert again.document["already_done"] is True
    assert again.document["accuracy"] == scores["accuracy"]
