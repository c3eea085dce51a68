"""`riemaug split`: parts in the user's own format that share nothing, and what it refuses."""

import csv
import io
import os
import shlex
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command, digit_arrays, digit_images, everything_in, leftovers, write_digits
from PIL import Image

from riemaug.data import check_no_leak, read_dataset
from riemaug.run import split as split_module
from riemaug.run.staging import STAGE_NAME

CLASSES = {"none": 30, "one": 20}


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def write_subjects(root: Path, images_each: int = 4) -> Path:
    """Write class folders a and b with ten subjects each, several different images a subject."""
    images = np.concatenate([digit_images(digit, 40) for digit in (3, 4)])
    for number, pixels in enumerate(images[: 20 * images_each]):
        subject = number // images_each
        folder = root / "ab"[subject % 2] / f"sub-{subject:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_digits(tmp_path / "data", CLASSES)


def test_class_folders_are_divided_byte_for_byte(cli: Command, data: Path, tmp_path: Path) -> None:
    before, out = everything_in(data), tmp_path / "out"
    done = cli("split", data, out)
    assert (done.code, done.out) == (0, "")
    assert str(out / "train") in done.err
    assert everything_in(data) == before
    assert leftovers(out) == []
    parts = {part: files_in(out / part) for part in ("train", "val", "test")}
    assert sorted(name for files in parts.values() for name in files) == sorted(before)
    assert {name: content for files in parts.values() for name, content in files.items()} == files_in(data)
    counts = {
        part: [sum(name.startswith(class_name) for name in files) for class_name in CLASSES]
        for part, files in parts.items()
    }
    assert counts == {"train": [21, 14], "val": [3, 2], "test": [6, 4]}
    listed = {row["file_name"]: (row["label"], row["split"]) for row in rows_of(out / "split.csv")}
    assert listed == {name: (name.split("/")[0], part) for part, files in parts.items() for name in files}


def test_each_part_is_a_data_set_and_the_whole_says_which_to_give(
    cli: Command, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert cli("split", data, out).code == 0
    parts = [read_dataset(out / part) for part in ("train", "val", "test")]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        check_no_leak(parts[first], parts[second])
    assert cli("augment", out / "train", tmp_path / "new", "--per-class", 2, "--dry-run").code == 0
    assert str(out / "train") in cli("augment", out, tmp_path / "new", "--per-class", 2).message


def test_the_seed_decides_and_the_order_of_files_does_not(cli: Command, data: Path, tmp_path: Path) -> None:
    shuffled = tmp_path / "shuffled"
    for path in sorted((path for path in data.rglob("*.png")), reverse=True):
        target = shuffled / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for name, source, seed in (("a", data, 0), ("b", shuffled, 0), ("c", data, 1)):
        assert cli("split", source, tmp_path / name, "--seed", seed, "--quiet").code == 0
    assert files_in(tmp_path / "a") == files_in(tmp_path / "b")
    assert files_in(tmp_path / "a") != files_in(tmp_path / "c")


def test_subjects_stay_whole(cli: Command, tmp_path: Path) -> None:
    data, out = write_subjects(tmp_path / "data"), tmp_path / "out"
    document = cli("split", data, out, "--group-from", "folder", "--json").document
    assert document["groups"] == 20
    assert sum(part["groups"] for part in document["parts"].values()) == 20
    parts_of: dict[str, set[str]] = {}
    for row in rows_of(out / "split.csv"):
        parts_of.setdefault(row["group"], set()).add(row["split"])
    assert len(parts_of) == 20
    assert all(len(parts) == 1 for parts in parts_of.values())
    assert [part["samples"] for part in document["parts"].values()] == [56, 8, 16]
    by_pattern = cli("split", data, tmp_path / "again", "--group-from", r"(sub-\d+)", "--json").document
    assert by_pattern["parts"] == document["parts"]


def test_names_that_look_like_subjects_are_noted(cli: Command, tmp_path: Path) -> None:
    data = write_subjects(tmp_path / "data")
    assert "--group-from folder" in cli("split", data, tmp_path / "out", "--dry-run").err


def test_a_dry_run_writes_nothing_and_says_the_same(cli: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    dry = cli("split", data, out, "--dry-run", "--json").document
    assert not out.exists()
    wet = cli("split", data, out, "--json").document
    assert dry == wet | {"dry_run": True}
    assert "nothing was done" in cli("split", data, tmp_path / "other", "--dry-run").err


def test_quiet_says_nothing(cli: Command, data: Path, tmp_path: Path) -> None:
    done = cli("split", data, tmp_path / "out", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_links(cli: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("split", "data", "out", "--link").code == 0
    links = list((tmp_path / "out").rglob("*.png"))
    assert len(links) == sum(CLASSES.values())
    assert all(path.is_symlink() and Path(os.readlink(path)).is_absolute() for path in links)
    read_dataset(tmp_path / "out" / "test")


def write_table(root: Path, header: str, group: str = "") -> Path:
    """Write 40 images in one folder, with a metadata.csv of semicolons."""
    (root / "scans").mkdir(parents=True)
    lines = [header]
    for number, pixels in enumerate(np.concatenate([digit_images(digit, 20) for digit in (5, 6)])):
        Image.fromarray(pixels).save(root / "scans" / f"{number:02d}.png")
        cells = [f"scans/{number:02d}.png", ("cat", "dog")[number // 20], f"{number},5"]
        lines.append(";".join([*cells, *([group.format(number // 2)] if group else [])]))
    (root / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


@pytest.mark.parametrize("has_groups", [False, True])
def test_a_table_keeps_its_columns(cli: Command, tmp_path: Path, has_groups: bool) -> None:
    header = "file_name;label;Age" + (";group" if has_groups else "")
    data = write_table(tmp_path / "data", header, "s{}" if has_groups else "")
    out = tmp_path / "out"
    more = () if has_groups else ("--group-from", r"(\d)\d\.png")
    assert cli("split", data, out, "--val", 0, "--test", 0.5, *more).code == 0
    lines = []
    for part in ("train", "test"):
        head, *rows = (out / part / "metadata.csv").read_text(encoding="utf-8").splitlines()
        assert head == "file_name;label;Age;group"
        lines += rows if has_groups else [row.rsplit(";", 1)[0] for row in rows]
        assert read_dataset(out / part).groups is not None
        assert len(list((out / part / "scans").iterdir())) == len(rows)
    assert sorted(lines) == sorted((data / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:])
    assert not (out / "val").exists()
    assert str(out / "train") in cli("inspect", out).message


def test_how_to_go_on_repeats_how_the_data_are_read(cli: Command, tmp_path: Path) -> None:
    rows = [f"{'ab'[n % 2]},{n * n % 17},{n % 5},s{n // 2},x{n}" for n in range(20)]
    (tmp_path / "in.csv").write_text('kind,x,y,who,"id, old"\n' + "\n".join(rows) + "\n")
    told = ("--label-from", "kind", "--drop-columns", '"id, old"', "--group-from", "who")
    done = cli("split", tmp_path / "in.csv", tmp_path / "out", "--val", 0, "--test", 0.5, *told)
    assert done.code == 0, done.err
    go_on = shlex.join(["riemaug", "augment", str(tmp_path / "out" / "train.csv"), "NEW", *told])
    assert f"go on with {go_on}\n" in done.err


def test_arrays_keep_their_names_types_and_companions(cli: Command, tmp_path: Path) -> None:
    images, labels = digit_arrays([20, 20])
    file = {
        "images": images.astype(">u2"),
        "labels": np.array(["a", "b"])[labels],
        "groups": np.arange(40) // 2,
        "file": np.arange(40.0),
        "mean": images.mean(0),
    }
    source = tmp_path / "data.npz"
    buffer = io.BytesIO()
    np.savez(buffer, **{key: value for key, value in file.items() if key != "file"})
    source.write_bytes(buffer.getvalue())
    with zipfile.ZipFile(source, "a") as archive, archive.open("file.npy", "w") as member:
        np.lib.format.write_array(member, file["file"])
    out = tmp_path / "out"
    assert cli("split", source, out, "--val", 0.2).code == 0
    parts = [dict(np.load(out / f"{part}.npz")) for part in ("train", "val", "test")]
    assert all(part.keys() == file.keys() for part in parts)
    assert all(np.array_equal(part["mean"], file["mean"]) for part in parts)
    order = np.argsort(np.concatenate([part["file"] for part in parts]))
    for key in ("images", "labels", "groups", "file"):
        joined = np.concatenate([part[key] for part in parts])[order]
        assert parts[0][key].dtype == file[key].dtype
        assert np.array_equal(joined, file[key])
    groups = [set(part["groups"].tolist()) for part in parts]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    for part in ("train", "val", "test"):
        read_dataset(out / f"{part}.npz")
    assert str(out / "train.npz") in cli("inspect", out).message


def test_images_of_different_sizes_are_divided(cli: Command, data: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(data.rglob("*.png"))):
        Image.open(path).resize((40 + number, 50)).save(path)
    assert cli("split", data, tmp_path / "out").code == 0


def plant_copies(data: Path, count: int) -> None:
    """Save the first images of class "one" again: brighter, and under names that tell nothing."""
    for number in range(count):
        pixels = np.asarray(Image.open(data / "one" / f"scan-{number:02d}.png"))
        Image.fromarray((0.9 * pixels + 20).astype(np.uint8)).save(data / "one" / f"other-{number:02d}.png")


def test_near_duplicates_go_into_one_part_and_are_told(cli: Command, data: Path, tmp_path: Path) -> None:
    plant_copies(data, 10)
    out = tmp_path / "out"
    done = cli("split", data, out)
    assert "20 images are copies or near duplicates (in 10 sets" in done.err
    assert "--group-from" in done.err
    part_of = {row["file_name"]: row["split"] for row in rows_of(out / "split.csv")}
    pairs = [(f"one/scan-{n:02d}.png", f"one/other-{n:02d}.png") for n in range(10)]
    assert all(part_of[first] == part_of[second] for first, second in pairs)
    check_no_leak(read_dataset(out / "train"), read_dataset(out / "test"))


def test_near_duplicates_may_be_ignored_but_copies_not(cli: Command, data: Path, tmp_path: Path) -> None:
    plant_copies(data, 18)
    for number in range(18):
        shutil.copyfile(data / "none" / f"scan-{number:02d}.png", data / "none" / f"copy-{number:02d}.png")
    out = tmp_path / "out"
    assert cli("split", data, out, "--near-duplicates", "ignore", "--test", 0.4).code == 0
    part_of = {row["file_name"]: row["split"] for row in rows_of(out / "split.csv")}
    assert any(part_of[f"one/scan-{n:02d}.png"] != part_of[f"one/other-{n:02d}.png"] for n in range(18))
    assert all(part_of[f"none/scan-{n:02d}.png"] == part_of[f"none/copy-{n:02d}.png"] for n in range(18))


def test_subjects_that_share_an_image_stay_together_with_a_note(cli: Command, tmp_path: Path) -> None:
    data = write_subjects(tmp_path / "data")
    shutil.copyfile(data / "a" / "sub-00" / "000.png", data / "b" / "sub-01" / "again.png")
    out = tmp_path / "out"
    done = cli("split", data, out, "--group-from", "folder")
    assert "near duplicates of other subjects (1)" in done.err
    assert "more than one class" in done.err
    part_of = {row["group"]: row["split"] for row in rows_of(out / "split.csv")}
    assert part_of["sub-00"] == part_of["sub-01"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--val", "some"], "--val takes a share such as 0.2"),
        (["--test", "1.5"], "--test takes a share from 0 to 1"),
        (["--train", "0.9"], "must add up to all 50 samples"),
        (["--test", "nan"], "--test"),
        (["--seed", "-1"], "--seed"),
        (["--near-duplicates", "drop"], "--near-duplicates"),
        (["--group-from", "folder"], "needs one sub-folder per subject"),
        (["--test", "17", "--train", "29"], "29 + 0.1 + 17"),
    ],
)
def test_bad_options_are_refused_in_one_line(
    cli: Command, data: Path, tmp_path: Path, options: list[str], found: str
) -> None:
    done = cli("split", data, tmp_path / "out", *options)
    assert done.code == 2
    assert found in done.message
    assert not (tmp_path / "out").exists()


def test_a_small_class_is_named(cli: Command, tmp_path: Path) -> None:
    data = write_digits(tmp_path / "data", {"many": 30, "rare": 5})
    done = cli("split", data, tmp_path / "out")
    assert done.code == 2
    assert "'rare (5)'" in done.message
    assert "--val 0" in done.message
    assert cli("split", data, tmp_path / "out", "--val", 0).code == 0


def test_a_film_of_like_images_says_how_to_go_on(cli: Command, tmp_path: Path) -> None:
    base = digit_images(7, 1)[0].astype(float)
    data = tmp_path / "data"
    for class_name in ("a", "b"):
        (data / class_name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray((base * (0.6 + number / 30)).astype(np.uint8)).save(
                data / class_name / f"{class_name}{number}.png"
            )
    done = cli("split", data, tmp_path / "out")
    assert done.code == 2
    assert "--near-duplicates ignore" in done.message
    assert cli("split", data, tmp_path / "out", "--near-duplicates", "ignore").code == 0


def test_an_output_that_is_in_use_is_refused(cli: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert "new or empty" in cli("split", data, out).message
    assert list(out.iterdir()) == [out / "mine.txt"]
    assert "outside the data folder" in cli("split", data, data / "out").message


def test_data_that_are_split_already_are_refused(cli: Command, tmp_path: Path) -> None:
    table = write_table(tmp_path / "table", "file_name;label;Age;split", "train")
    assert "are split already" in cli("split", table, tmp_path / "out").message
    images, labels = digit_arrays([8, 8])
    np.savez(tmp_path / "arrays.npz", train_images=images, train_labels=labels)
    assert "are split already" in cli("split", tmp_path / "arrays.npz", tmp_path / "out").message
    np.savez(tmp_path / "plain.npz", X=images, y=labels)
    assert "--link" in cli("split", tmp_path / "plain.npz", tmp_path / "out", "--link").message
    assert not (tmp_path / "out").exists()


def test_sizes_may_stand_in_a_file(cli: Command, data: Path, tmp_path: Path) -> None:
    config = tmp_path / "split.toml"
    config.write_text('val = 0\ntest = 0.4\ngroup-from = "(scan-[0-9]+)"\n', encoding="utf-8")
    document = cli("split", data, tmp_path / "out", "--config", config, "--json", "--dry-run").document
    assert [part["samples"] for part in document["parts"].values()] == [30, 0, 20]
    assert document["groups"] == 30


def test_bad_files_are_named_or_left_out(cli: Command, data: Path, tmp_path: Path) -> None:
    (data / "one" / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    assert "broken.png" in cli("split", data, out).message
    assert cli("split", data, out, "--skip-bad").code == 0
    assert "one/broken.png" not in {row["file_name"] for row in rows_of(out / "split.csv")}


def test_what_fails_half_way_leaves_nothing(
    cli: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = split_module.write_split

    def full_disk(out: Path, *arguments: object) -> None:
        def copy(source: Path, target: Path) -> None:
            if sum(1 for _ in out.rglob("*.png")) > 5:
                raise OSError(28, "No space left on device")
            target.write_bytes(source.read_bytes())

        monkeypatch.setattr("riemaug.data.split_output._copy", copy)
        real(out, *arguments)

    monkeypatch.setattr(split_module, "write_split", full_disk)
    out = tmp_path / "out"
    done = cli("split", data, out)
    assert done.code == 1
    assert "No space left" in done.message
    assert list(out.iterdir()) == []


def test_the_remains_of_a_killed_run_are_swept_up(cli: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / STAGE_NAME / "contents" / "train").mkdir(parents=True)
    assert cli("split", data, out).code == 0
    assert leftovers(out) == []


def test_ctrl_c_is_one_line(
    cli: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(split_module, "write_split", interrupted)
    done = cli("split", data, tmp_path / "out")
    assert done.code == 130
    assert "no part was written" in done.message
