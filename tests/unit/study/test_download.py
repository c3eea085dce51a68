"""Downloads against a server on this machine: whole, resumed, refused, wrong, cut off; never half a file."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from study_files import write_oasis

from riemaug.errors import InvalidInputError
from riemaug.study import download as downloads
from riemaug.study.download import (
    ATTEMPTS,
    FILES,
    DownloadError,
    RemoteFile,
    download,
    fetch,
    md5_of,
)
from riemaug.study.sources import read_emnist, read_fashion, read_mnist

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Behaviour:
    """What the server has and does, and the Range headers it was asked with."""

    files: dict[str, bytes] = field(default_factory=lambda: {"/data.bin": CONTENT})
    knows_ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off, one each."""
    ranges: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.behaviour.ranges.append(wanted)
        content = self.behaviour.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = (
            int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.behaviour.knows_ranges else 0
        )
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + self.behaviour.cut_after.pop(0) if self.behaviour.cut_after else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def host(behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Handler", (Handler,), {"behaviour": behaviour})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def remote(*addresses: str, md5: str = MD5) -> RemoteFile:
    return RemoteFile("set/data.bin", addresses, md5)


def test_a_whole_file_arrives_with_progress(host: str, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    (path,) = fetch(remote(f"{host}/data.bin"), tmp_path, lambda *told: seen.append(told))
    assert path == tmp_path / "set" / "data.bin"
    assert path.read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == ("set/data.bin", len(CONTENT), len(CONTENT))
    assert [item.name for item in path.parent.iterdir()] == ["data.bin"]


def test_what_is_there_is_not_fetched_again(host: str, tmp_path: Path, behaviour: Behaviour) -> None:
    file = remote(f"{host}/data.bin")
    fetch(file, tmp_path)
    fetch(file, tmp_path)
    assert len(behaviour.ranges) == 1
    # but a file that is not what was published is
    (tmp_path / "set" / "data.bin").write_bytes(b"other")
    fetch(file, tmp_path)
    assert (tmp_path / "set" / "data.bin").read_bytes() == CONTENT


def test_a_part_is_gone_on_with(host: str, tmp_path: Path, behaviour: Behaviour) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data.bin.part").write_bytes(CONTENT[:1000])
    seen: list[tuple[str, int, int | None]] = []
    (path,) = fetch(remote(f"{host}/data.bin"), tmp_path, lambda *told: seen.append(told))
    assert path.read_bytes() == CONTENT
    assert behaviour.ranges == ["bytes=1000-"]
    assert seen[-1][1:] == (len(CONTENT), len(CONTENT))


def test_a_server_without_ranges_sends_all_anew(host: str, tmp_path: Path, behaviour: Behaviour) -> None:
    behaviour.knows_ranges = False
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data.bin.part").write_bytes(b"x" * 1000)
    (path,) = fetch(remote(f"{host}/data.bin"), tmp_path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * 400_000, CONTENT])
def test_a_part_of_something_else_is_thrown_away(host: str, tmp_path: Path, part: bytes) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data.bin.part").write_bytes(part)
    (path,) = fetch(remote(f"{host}/data.bin"), tmp_path)
    assert path.read_bytes() == CONTENT


def test_dropped_connections_are_taken_up_again(host: str, tmp_path: Path, behaviour: Behaviour) -> None:
    behaviour.cut_after = [100_000, 50_000]
    (path,) = fetch(remote(f"{host}/data.bin"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert behaviour.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_a_connection_that_keeps_dropping_leaves_a_part(
    host: str, tmp_path: Path, behaviour: Behaviour
) -> None:
    behaviour.cut_after = [10] * ATTEMPTS
    file = remote(f"{host}/data.bin")
    with pytest.raises(DownloadError, match=r"ended early: run the same command again"):
        fetch(file, tmp_path)
    assert not (tmp_path / "set" / "data.bin").exists()
    assert (tmp_path / "set" / "data.bin.part").read_bytes() == CONTENT[: 10 * ATTEMPTS]
    (path,) = fetch(file, tmp_path)
    assert path.read_bytes() == CONTENT


def test_wrong_bytes_never_get_the_name(host: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"its MD5 is {MD5}, published is {'0' * 32}") as caught:
        fetch(remote(f"{host}/data.bin", md5="0" * 32), tmp_path)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "set").iterdir()) == []


def test_the_next_address_is_tried(host: str, tmp_path: Path, behaviour: Behaviour) -> None:
    behaviour.files["/other.bin"] = b"another version"
    addresses = [f"{host}/gone.bin", f"{host}/other.bin", f"{host}/data.bin"]
    (path,) = fetch(remote(*addresses), tmp_path)
    assert path.read_bytes() == CONTENT


def test_an_absent_file_names_all_addresses(host: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch(remote(f"{host}/gone.bin", f"{host}/lost.bin"), tmp_path)
    message = str(caught.value)
    assert f"{host}/gone.bin: the server answers 404" in message
    assert f"{host}/lost.bin: the server answers 404" in message
    assert str(tmp_path / "set" / "data.bin") in message


def test_no_server_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    # port 9 (discard) is closed
    with pytest.raises(DownloadError, match="no connection"):
        fetch(remote("http://127.0.0.1:9/data.bin"), tmp_path)


def test_a_silent_server_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour
) -> None:
    import socket

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(downloads, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/data.bin"
        with pytest.raises(DownloadError, match="timed out"):
            fetch(remote(address), tmp_path)


def test_an_unwritable_folder_is_told(host: str, tmp_path: Path) -> None:
    (tmp_path / "set").write_text("a file where the folder goes")
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch(remote(f"{host}/data.bin"), tmp_path)


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def test_members_of_an_archive_are_unpacked(host: str, tmp_path: Path, behaviour: Behaviour) -> None:
    packed = archive({"gzip/a.gz": b"aaa", "gzip/b.gz": b"bb", "../../evil": b"e"})
    behaviour.files["/all.zip"] = packed
    file = RemoteFile("set/all.zip", (f"{host}/all.zip",), hashlib.md5(packed).hexdigest(), ("a.gz", "b.gz"))
    paths = fetch(file, tmp_path)
    assert [path.read_bytes() for path in paths] == [b"aaa", b"bb"]
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.gz", "b.gz"]
    assert fetch(file, tmp_path) == paths
    assert len(behaviour.ranges) == 1
    with pytest.raises(DownloadError, match=r"must hold c\.gz"):
        fetch(RemoteFile(file.path, file.addresses, file.md5, ("a.gz", "c.gz")), tmp_path)


def test_names_are_checked_first(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="mnist, fashion, emnist, oasis, got 'cifar'"):
        download(["mnist", "cifar"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_oasis_says_where_it_comes_from_and_goes(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"registered users.*sites\.wustl\.edu/oasisbrains") as caught:
        download(["oasis"], tmp_path)
    assert str(tmp_path / "oasis") in str(caught.value)
    write_oasis(tmp_path, "distribution")
    assert download(["oasis"], tmp_path) == []


def test_sets_are_downloaded_by_name(
    host: str, tmp_path: Path, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, "mnist", (remote(f"{host}/data.bin"),))
    assert download(["mnist", "mnist"], tmp_path) == [tmp_path / "set" / "data.bin"]
    assert len(behaviour.ranges) == 1


def test_what_is_downloaded_is_where_it_is_looked_for(tmp_path: Path) -> None:
    for name, read in (("mnist", read_mnist), ("fashion", read_fashion), ("emnist", read_emnist)):
        for file in FILES[name]:
            for path in file.products(tmp_path):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(b"")
        # found, and so read: an empty file is the fault, not an absent one
        with pytest.raises(InvalidInputError, match=r"(is no idx file|cannot be read).*download it again"):
            read(tmp_path)


def test_the_table_is_complete() -> None:
    files = [file for group in FILES.values() for file in group]
    assert len({file.path for file in files}) == len(files)
    for file in files:
        assert len(bytes.fromhex(file.md5)) == 16
        assert all(address.startswith(("https://", "http://")) for address in file.addresses)


def test_md5(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # RFC 1321, A.5
    assert md5_of(tmp_path / "abc") == "900150983cd24fb0d6963f7d28e17f72"
