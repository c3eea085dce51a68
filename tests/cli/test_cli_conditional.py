"""One model that all classes share, and all four models, through every command."""

import json
from pathlib import Path

import pytest
from cli_runs import (
    Command,
    leftovers,
    read_image_folder,
    read_log,
    run_for_real,
    same_bytes,
    write_digits,
)

import riemaug.run.stages
from riemaug.serialization import load_generators

SHARED = ("--preset", "conditional", "--sharing", "always", "--max-epochs", 4, "--seed", 3)


@pytest.fixture(scope="module")
def shared(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one run with a shared model; only to be read."""
    out = tmp_path_factory.mktemp("shared") / "out"
    done = run_for_real("augment", digits, out, *SHARED, "--per-class", 8, "--jobs", 1)
    assert done.code == 0, done.err
    return out


def run_json(out: Path) -> dict:
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


def test_all_classes_share_one_model(shared: Path) -> None:
    generators = load_generators(shared)
    first, second = generators.classes
    assert first.model is second.model
    assert first.model.config.network == "conv"
    assert (first.group, second.group) == (0, 1)
    assert [len(item.sources) for item in generators.classes] == [12, 14]
    found = run_json(shared)["sharing"]
    assert found["shared"]
    assert found["shared_nats"] is None
    classes, samples = read_image_folder(shared)
    assert classes == ["none", "one"]
    assert len(samples) == 16
    assert leftovers(shared) == []


def test_the_report_and_the_log_tell_of_the_shared_model(shared: Path) -> None:
    note = "All classes share one model: one model of all classes was asked for."
    assert note in run_json(shared)["notes"]
    assert note in (shared / "report.html").read_text(encoding="utf-8")
    (fitted,) = [record for record in read_log(shared) if "epochs" in record["fields"]]
    assert fitted["class"] == "the model of 2 classes"
    assert fitted["fields"]["epochs"] == 4


def test_each_class_answers_for_its_part_of_the_time(shared: Path) -> None:
    told = run_json(shared)["classes"]
    whole = load_generators(shared).classes[0].history.seconds
    assert sum(item["fit_seconds"] for item in told) == pytest.approx(whole)


@pytest.mark.slow
def test_jobs_and_batches_change_no_byte(digits: Path, shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--per-class", 8, "--jobs", 2, "--batch-size", 3)
    done = run_for_real("augment", digits, out, *SHARED, *options)
    assert done.code == 0, done.err
    assert same_bytes(out) == same_bytes(shared)


def test_fit_and_sample_equal_augment(cli: Command, digits: Path, shared: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    assert cli("fit", digits, model, *SHARED, "-q").code == 0
    assert (model / "model.safetensors").read_bytes() == (shared / "model.safetensors").read_bytes()
    assert cli("sample", model, out, "--per-class", 8, "--seed", 3, "-q").code == 0
    made = {name: digest for name, digest in same_bytes(shared).items() if name.endswith(".png")}
    assert {name: digest for name, digest in same_bytes(out).items() if name.endswith(".png")} == made


def test_inspect_and_interpolate_take_it(cli: Command, shared: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("model.json", "model.safetensors"):
        (model / name).write_bytes((shared / name).read_bytes())
    told = cli("inspect", model, "--json").document
    assert told["model"] == "rhvae, d = 8, D = 64, conv networks, one model that 2 classes share"
    assert [item["trained on"] for item in told["classes"]] == [12, 14]
    done = cli("interpolate", model, "one:0", "one:5", tmp_path / "path", "--steps", 3, "--json")
    assert done.code == 0
    assert done.document["class"] == "one"


def test_a_dry_run_says_who_shares_what(cli: Command, digits: Path, tmp_path: Path) -> None:
    told = cli("augment", digits, tmp_path / "out", "--preset", "conditional", "--dry-run").err
    assert "weights that all classes share on" in told
    assert "first it is measured on a part of the data" in told
    assert "training takes a fixed number of steps" in told
    assert "stops by itself" not in told
    assert not (tmp_path / "out").exists()


MEASURED = ("--preset", "conditional", "--model", "vae", "--max-epochs", 3, "--per-class", 2, "--jobs", 1)


def test_what_was_measured_is_recorded_and_not_measured_again(
    cli: Command, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    jobs = riemaug.run.stages.Stages._class_jobs

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.stages.Stages, "_class_jobs", stop)
        assert cli("augment", digits, out, *MEASURED, "-q").code == 130
    decided = json.loads((out / ".riemaug" / "sharing.json").read_text(encoding="utf-8"))
    assert not (out / ".riemaug" / "rehearsal").exists()
    assert jobs is riemaug.run.stages.Stages._class_jobs
    monkeypatch.setattr(riemaug.run.stages, "run_rehearsal", stop)
    assert cli("augment", digits, out, *MEASURED, "-q", "--resume").code == 0
    found = run_json(out)["sharing"]
    assert found == decided
    assert found["shared"] == (found["shared_nats"] >= found["separate_nats"])
    assert found["num_held_out"] == 2 + 3
    assert found["measured_classes"] == ["none", "one"]


def test_a_class_alone_has_nothing_to_share(cli: Command, tmp_path: Path) -> None:
    data, out = write_digits(tmp_path / "data", {"only": 6}), tmp_path / "out"
    done = cli("augment", data, out, *MEASURED)
    assert done.code == 0
    assert "one class alone" in done.err
    assert not run_json(out)["sharing"]["shared"]
    assert load_generators(out).classes[0].group is None


@pytest.mark.parametrize("model", ["vae", "vamp", "hvae", "rhvae"])
@pytest.mark.parametrize("preset", ["paper", "conditional"])
def test_every_model_goes_through_fit_sample_and_inspect(
    cli: Command, digits: Path, tmp_path: Path, model: str, preset: str
) -> None:
    folder, out = tmp_path / "model", tmp_path / "out"
    sharing = ("--sharing", "always") if preset == "conditional" else ()
    options = ("--preset", preset, *sharing, "--max-epochs", 2, "--jobs", 1, "-q")
    assert cli("fit", digits, folder, "--model", model, *options).code == 0
    assert cli("sample", folder, out, "--per-class", 3, "-q").code == 0
    assert len(read_image_folder(out)[1]) == 6
    assert cli("inspect", folder, "--json").document["model"].startswith(f"{model}, d = ")


def test_a_vamp_says_that_it_holds_what_began_as_samples(cli: Command, digits: Path, tmp_path: Path) -> None:
    assert cli("fit", digits, tmp_path / "model", "--model", "vamp", "--max-epochs", 1, "-q").code == 0
    assert "pseudo-inputs" in cli("inspect", tmp_path / "model", "--json").document["reveals"]


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous-bernoulli", "gaussian", "gaussian-learned"])
def test_every_likelihood_goes_through(cli: Command, digits: Path, tmp_path: Path, likelihood: str) -> None:
    out = tmp_path / "out"
    options = ("--model", "vae", "--max-epochs", 2, "--per-class", 2, "--jobs", 1, "-q")
    assert cli("augment", digits, out, "--likelihood", likelihood, *options).code == 0
    assert {item.model.config.likelihood for item in load_generators(out).classes} == {likelihood}


def test_training_options_reach_the_training(cli: Command, digits: Path, tmp_path: Path) -> None:
    options = {
        "network": "conv",
        "learning-rate": 0.01,
        "patience": 7,
        "training-batch-size": 5,
        "validation-fraction": 0.25,
        "warmup-epochs": 1,
        "precision": "bfloat16",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    told = cli("fit", digits, tmp_path / "model", *arguments, "--dry-run", "--json").document
    training = told["training"]
    assert told["model"]["network"] == "conv"
    assert (training["learning_rate"], training["patience"], training["batch_size"]) == (0.01, 7, 5)
    assert (training["monitor"], training["validation_fraction"]) == ("validation", 0.25)
    assert (training["warmup_epochs"], training["precision"]) == (1, "bfloat16")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--model", "vamp", "--sampler", "walk"),
            "sampler walk needs a learned metric, model vamp has none",
        ),
        (("--network", "custom"), "--network: input should be 'mlp' or 'conv', got 'custom'"),
        (("--sharing", "never"), "--sharing never is of --preset conditional"),
        (("--preset", "paper", "--sharing", "always"), "--sharing always is of --preset conditional"),
        (("--model", "vae", "--bandwidth", 2), "--bandwidth is of the metric of --model rhvae"),
        (("--model", "hvae", "--regularization", 0.1), "--regularization is of the metric"),
        (("--precision", "float16", "--device", "cpu"), "--precision float16 needs a CUDA device"),
        (("--validation-fraction", 0.01), "0.01 of the 12 samples of class 'none' is none"),
        (("--tune", 2, "--sampler", "walk-paper"), "that of --sampler walk-paper is not known"),
        (("--sharing", "perhaps"), "--sharing: input should be 'measured', 'always' or 'never'"),
        (("--warmup-epochs", 5, "--max-epochs", 5), "warmup_epochs must be below max_epochs"),
    ],
)
def test_what_does_not_go_together_is_refused(
    cli: Command, digits: Path, tmp_path: Path, options: tuple, words: str
) -> None:
    refused = cli("augment", digits, tmp_path / "out", *options)
    assert refused.code == 2
    assert words in refused.message
    assert not (tmp_path / "out").exists()
