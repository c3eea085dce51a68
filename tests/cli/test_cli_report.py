import json
import re
import shutil
from dataclasses import replace

import pytest
from cli_runs import QUICK
from tests import report_records as records

from riemaug.run.samples_hash import samples_hash
from riemaug.run.shown import shown_arrays

URI = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+")


@pytest.fixture
def out(finished, tmp_path):
    """A copy of the output of a run, 10 samples for each of two classes, without its report."""
    copy = tmp_path / "out"
    shutil.copytree(finished, copy)
    (copy / "report.html").unlink()
    return copy


def without_data(out):
    """Make the run name data that are not there."""
    run = json.loads((out / "run.json").read_text())
    run["request"]["data"] = "nowhere/digits"
    (out / "run.json").write_text(json.dumps(run))


def evaluation_of(count):
    made = records.evaluation()
    settings = dict(made.settings)
    return replace(made, settings=settings | {"samples": [settings["samples"][0] | {"synthetic": [count]}]})


def judged(evaluation, out):
    """The evaluation, of the very samples in OUT."""
    return replace(evaluation, settings={**evaluation.settings, "synthetic_sha256": samples_hash(out)})


def save(evaluation, folder):
    folder.mkdir()
    evaluation.save(folder)
    return folder


@pytest.mark.parametrize("is_named", [True, False])
def test_with_the_data_the_same_pictures_come_back(cli, out, finished, digits, is_named):
    done = cli("report", out, *(("--real", digits) if is_named else ()), "--json")
    assert done.code == 0, done.err
    page = (out / "report.html").read_text()
    assert done.document == {
        "report": str(out / "report.html"),
        "bytes": (out / "report.html").stat().st_size,
        "classes": 2,
        "samples": 20,
        "evaluation": None,
        "notes": ["no evaluation was found: riemaug evaluate measures what the samples are worth"],
    }
    before = (finished / "report.html").read_text()
    assert set(URI.findall(page)) == set(URI.findall(before))
    for pattern in (r'aria-label="Its nearest training image [^"]+', r'class="draws" d="[^"]+'):
        assert re.findall(pattern, page) == re.findall(pattern, before) != []


def test_without_the_data_no_real_picture_is_shown(cli, out):
    without_data(out)
    done = cli("report", out)
    assert done.code == 0
    told = " ".join(done.err.split())
    assert "no real pictures and no nearest ones: the data are no longer at nowhere/digits" in told
    assert "give --real DATA" in told
    page = (out / "report.html").read_text()
    assert 'class="tile synthetic"' in page
    assert 'class="tile nearest"' not in page
    assert 'class="tile real"' not in page
    assert "Not measured" in page
    assert "riemaug evaluate REAL SYNTHETIC --test TEST" in page
    assert "This report shows real training data" not in page


def test_data_that_have_changed_are_not_shown(cli, out, digits, tmp_path):
    shutil.copytree(digits, tmp_path / "nowhere" / "digits")
    without_data(out)  # they are found from a folder around OUT
    assert "no real pictures" not in cli("report", out).err
    next((tmp_path / "nowhere" / "digits" / "one").iterdir()).unlink()
    done = cli("report", out)
    assert "no longer those that the model was fitted on" in " ".join(done.err.split())
    assert 'class="tile real"' not in (out / "report.html").read_text()


def test_real_pictures_stay_out_as_in_the_run_unless_asked_for(cli, out):
    run = json.loads((out / "run.json").read_text())
    run["request"]["real_in_report"] = False
    (out / "run.json").write_text(json.dumps(run))
    assert cli("report", out).code == 0
    assert 'class="tile real"' not in (out / "report.html").read_text()
    assert cli("report", out, "--real-images").code == 0
    page = (out / "report.html").read_text()
    assert 'class="tile real"' in page
    assert "This report shows real training data" in page


def test_no_real_images_wins_over_the_data(cli, out, digits):
    assert cli("report", out, "--real", digits, "--no-real-images", "--quiet").err == ""
    page = (out / "report.html").read_text()
    assert 'class="tile nearest"' not in page
    assert "Real pictures are left out of this report" in page
    assert "training sample to nearest other one" in page  # distances are no pictures


def test_an_evaluation_beside_it_gives_the_verdict(cli, out):
    folder = save(judged(evaluation_of(20), out), out.with_name("out-evaluation"))
    done = cli("report", out, "--json")
    assert done.document["evaluation"] == str(folder.resolve())
    assert not any("checked" in note for note in done.document["notes"])
    page = (out / "report.html").read_text()
    assert "These synthetic images make the classifier better: +2.3 points" in page
    assert "95 % interval +0.8 to +3.9" in page
    assert page.index('id="verdict"') < page.index('id="data"') < page.index('id="gain"')


def test_an_evaluation_of_other_samples_is_left_out_or_refused(cli, out):
    folder = save(evaluation_of(21), out.with_name("out-evaluation"))
    done = cli("report", out)
    assert done.code == 0
    assert "was left out: it judged 21 synthetic samples, OUT has 20" in " ".join(done.err.split())
    refused = cli("report", out, "--evaluation", folder)
    assert refused.code == 2
    assert "--evaluation must be of OUT" in refused.message


def test_an_evaluation_of_as_many_other_samples_is_left_out_or_refused(cli, out):
    evaluation = judged(evaluation_of(20), out)
    image = out / "one" / "one-000002.png"
    shutil.copyfile(out / "one" / "one-000001.png", image)
    folder = save(evaluation, out.with_name("out-evaluation"))
    done = cli("report", out, "--json")
    assert done.document["evaluation"] is None
    assert any("it judged other synthetic samples" in note for note in done.document["notes"])
    assert "Not measured" in (out / "report.html").read_text()
    assert "it judged other synthetic samples" in cli("report", out, "--evaluation", folder).message


def test_an_evaluation_that_does_not_tell_its_samples_is_taken_with_a_note(cli, out):
    save(evaluation_of(20), out.with_name("out-evaluation"))
    done = cli("report", out, "--json")
    assert done.document["evaluation"] is not None
    assert any("could not be checked" in note for note in done.document["notes"])


@pytest.mark.parametrize("damage", ["{", '{"runs": []}', "[]", '{"runs": NaN}'])
def test_a_damaged_evaluation_is_one_line(cli, out, damage):
    folder = out.with_name("other")
    folder.mkdir()
    (folder / "evaluation.json").write_text(damage)
    refused = cli("report", out, "--evaluation", folder)
    assert refused.code == 2
    assert "must be as riemaug evaluate wrote it" in refused.message


def test_an_evaluation_that_lacks_a_number_is_one_line(cli, out):
    folder = save(evaluation_of(20), out.with_name("other"))
    fields = json.loads((folder / "evaluation.json").read_text())
    del fields["copying"][0]["num_near_reference"]
    (folder / "evaluation.json").write_text(json.dumps(fields))
    assert "KeyError" in cli("report", out, "--evaluation", folder).message


def test_what_is_no_output_is_refused(cli, out, digits, tmp_path):
    for path in (digits, tmp_path / "nothing"):
        refused = cli("report", path)
        assert refused.code == 2
        assert "OUT must be the output of riemaug augment or riemaug sample" in refused.message
    (out / "manifest.csv").unlink()
    assert "draw from it with riemaug sample" in cli("report", out).message


def test_an_unfinished_run_is_refused(cli, out):
    (out / ".riemaug").mkdir()
    (out / ".riemaug" / "journal.json").write_text("{}")
    assert "--resume" in cli("report", out).message


def test_other_data_are_refused(cli, out, digits, tmp_path):
    other = tmp_path / "digits"
    shutil.copytree(digits, other)
    next((other / "one").iterdir()).unlink()
    message = cli("report", out, "--real", other).message
    assert "--real must be the data that MODEL was fitted on" in message
    assert "--resize" not in message  # report has no such option
    assert not (out / "report.html").exists()


@pytest.mark.parametrize("damage", ["{", "[]", '{"request": {}}', '{"request": {}, "classes": []}'])
def test_a_damaged_run_json_is_one_line(cli, out, damage):
    (out / "run.json").write_text(damage)
    refused = cli("report", out)
    assert refused.code == 2
    assert "run.json must be as the run wrote it" in refused.message


def test_samples_that_are_gone_or_elsewhere_are_refused(cli, out, digits):
    manifest = (out / "manifest.csv").read_text()
    outside = f"../{digits.name}/none/scan-00.png"
    (out / "manifest.csv").write_text(manifest.replace("none/none-000001.png", outside))
    assert "it lies outside of the folder" in cli("report", out).message
    (out / "manifest.csv").write_text(manifest)
    (out / "one" / "one-000002.png").unlink()
    assert "'one/one-000002.png' is not so" in cli("report", out).message


@pytest.mark.slow
def test_output_of_sample_has_a_report_and_says_where_its_model_is(cli, finished, digits, tmp_path):
    model, out = tmp_path / "model", tmp_path / "more"
    shutil.copytree(finished, model)
    done = cli("sample", model, out, "--per-class", 5, "--jobs", 1, "--real", digits)
    assert done.code == 0, done.err
    # read as the model's own run says
    assert cli("report", out, "--real", digits).code == 0
    page = (out / "report.html").read_text()
    assert "Samples from model" in page
    assert 'class="tile nearest"' in page
    model.rename(tmp_path / "moved")
    assert "--model MODEL" in cli("report", out).message
    assert cli("report", out, "--model", tmp_path / "moved").code == 0


@pytest.mark.slow
def test_arrays_above_two_dimensions(cli, tmp_path):
    import numpy as np
    from cli_runs import digit_arrays

    images, labels = digit_arrays([8, 9])
    np.savez(tmp_path / "data.npz", X=images, y=labels)
    out = tmp_path / "out"
    done = cli("augment", tmp_path / "data.npz", out, "--latent-dim", 3, "--per-class", 6, *QUICK)
    assert done.code == 0, done.err
    before = (out / "report.html").read_text()
    assert cli("report", out, "--real", tmp_path / "data.npz").code == 0
    page = (out / "report.html").read_text()
    assert "The latent space of this class has 3 dimensions" in page
    assert set(URI.findall(page)) == set(URI.findall(before))


def test_of_very_many_classes_only_those_in_full_are_read(cli, out, monkeypatch):
    # as if a report showed one class: the one that did not converge
    run = json.loads((out / "run.json").read_text())
    worse = next(item for item in run["classes"] if item["class"] == "one")
    worse["diagnostics"]["converged"] = False
    (out / "run.json").write_text(json.dumps(run))
    asked = []

    def told(item, *arguments):
        asked.append(item.name)
        return shown_arrays(item, *arguments)

    monkeypatch.setattr("riemaug.report.selection.MOST_IN_FULL", 1)
    monkeypatch.setattr("riemaug.run.remake.shown_arrays", told)
    assert cli("report", out).code == 0
    page = (out / "report.html").read_text()
    assert asked == ["one"]
    assert re.findall(r'<details class="class" id="([^"]+)" open>', page) == ["class-1"]
    assert '<tr id="row-0"><th scope="row"><bdi>none</bdi>' in page
    assert '<a href="#class-1"><bdi>one</bdi>' in page
    assert "There are 2 classes. Pictures, maps and figures of 1 are shown here" in page
