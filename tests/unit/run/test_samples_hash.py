import shutil

from riemaug.data import ManifestRow
from riemaug.data.manifest import write_manifest
from riemaug.run.samples_hash import samples_hash


def output(folder, contents):
    folder.mkdir()
    rows = []
    for number, content in enumerate(contents):
        (folder / f"{number}.png").write_bytes(content)
        rows.append(ManifestRow(f"{number}.png", "one", seed=0))
    write_manifest(folder / "manifest.csv", rows)
    return folder


def test_the_hash_is_of_the_bytes_of_the_listed_files(tmp_path):
    made = output(tmp_path / "made", [b"a", b"b"])
    told = samples_hash(made)
    assert told is not None
    (made / "report.html").write_text("other files do not count")
    assert samples_hash(made) == told
    shutil.copytree(made, tmp_path / "copy")
    assert samples_hash(tmp_path / "copy") == told
    (made / "1.png").write_bytes(b"c")
    assert samples_hash(made) != told


def test_one_file_counts_as_the_folder_that_holds_it(tmp_path):
    (tmp_path / "synthetic.npz").write_bytes(b"numbers")
    assert samples_hash(tmp_path) == samples_hash(tmp_path / "synthetic.npz") is not None


def test_what_cannot_be_told_is_none(tmp_path):
    assert samples_hash(tmp_path) is None
    assert samples_hash(output(tmp_path / "empty", [])) is None
    made = output(tmp_path / "made", [b"a"])
    (made / "0.png").unlink()
    assert samples_hash(made) is None
