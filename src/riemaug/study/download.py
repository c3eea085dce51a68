"""The study's public data sets fetched from their providers: resumable, checked, whole or not at all."""

import hashlib
import http.client
import os
import re
import shutil
import ssl
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from riemaug.atomic import atomic_path
from riemaug.errors import InvalidInputError, RiemaugError
from riemaug.study.oasis import oasis_is_there

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as lost."""
ATTEMPTS = 4
"""How often a lost connection is taken up again at one address before the next one is tried."""
_BLOCK = 1 << 18
MOST_BYTES = 1 << 31
"""No file that is fetched is as large: a server that sends more is broken, and would fill the disk."""
_OASIS_PAGE = "https://sites.wustl.edu/oasisbrains/"


class DownloadError(RiemaugError):
    """A file could not be fetched from any of its addresses; what arrived is kept for the next attempt."""


@dataclass(frozen=True)
class RemoteFile:
    """A file at a provider.

    Attributes
    ----------
    path : str
        Where it goes below the data folder.
    addresses : tuple of str
        The provider's first, then mirrors; all give the same bytes.
    md5 : str
        The published checksum.
    members : tuple of str
        Of a zip archive: what is unpacked beside it, without folders; the archive is then removed.
    """

    path: str
    addresses: tuple[str, ...]
    md5: str
    members: tuple[str, ...] = ()

    def products(self, folder: Path) -> list[Path]:
        """Return the files that are there when all is done."""
        target = folder / self.path
        return [target.parent / name for name in self.members] or [target]


OnProgress = Callable[[str, int, int | None], None]
"""Is told the path below the data folder, the bytes received, and how many it will be, if the server says."""


def _idx_files(folder: str, hosts: Sequence[str], md5: Sequence[str]) -> tuple[RemoteFile, ...]:
    names = [
        f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
    ]
    return tuple(
        RemoteFile(f"{folder}/{name}", tuple(f"{host}{name}" for host in hosts), checksum)
        for name, checksum in zip(names, md5, strict=True)
    )


def _emnist_members() -> tuple[str, ...]:
    parts = ("letters-train", "letters-test", "byclass-test")
    kinds = ("images-idx3", "labels-idx1")
    return tuple(f"emnist-{part}-{kind}-ubyte.gz" for part in parts for kind in kinds)


FILES: dict[str, tuple[RemoteFile, ...]] = {
    "mnist": _idx_files(
        "mnist",
        ("http://yann.lecun.com/exdb/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "fashion": _idx_files(
        "fashion_mnist",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "emnist": (
        RemoteFile(
            "emnist/gzip.zip",
            (
                "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
                "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
            ),
            "58c8d27c78d21e728a6bc7b3cc06412e",
            _emnist_members(),
        ),
    ),
}
"""What `download` can fetch. Checksums: those that the providers or torchvision's loaders publish."""
DOWNLOADS = (*FILES, "oasis")
"""Names that `download` knows; OASIS-1 can only be asked for."""


def download(names: Iterable[str], folder: Path, progress: OnProgress | None = None) -> list[Path]:
    """Fetch public data sets into a folder; what is there already is left alone.

    Parameters
    ----------
    names : iterable of str
        Some of `DOWNLOADS`.
    folder : Path
        Each set gets a sub-folder of it; made if absent.
    progress : callable, optional
        Is told of every block that arrives.

    Returns
    -------
    list of Path
        The files of the sets, old and new.

    Raises
    ------
    InvalidInputError
        A name is unknown, or it is "oasis", which is only given to registered users, and its files are
        absent; the other sets have been fetched then.
    DownloadError
        A file could not be had from any address, or none gave the right bytes.
    """
    wanted = list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in DOWNLOADS]
    if unknown:
        raise InvalidInputError(f"data sets to download are {', '.join(DOWNLOADS)}, got {unknown[0]!r}")
    found = []
    for name in wanted:
        for file in FILES.get(name, ()):
            found += fetch(file, Path(folder), progress)
    if "oasis" in wanted and not oasis_is_there(Path(folder)):
        raise InvalidInputError(
            f"OASIS-1 is only given to registered users, and {folder} lacks it: accept its terms at"
            f" {_OASIS_PAGE}, get the discs and the csv file of the cross-sectional set, and unpack them so"
            f" that {Path(folder) / 'oasis'} holds oasis_cross-sectional.csv and folders OAS1_0001_MR1, ..."
        )
    return found


def fetch(file: RemoteFile, folder: Path, progress: OnProgress | None = None) -> list[Path]:
    """Fetch one file unless it is there with its checksum; return its path, or those of its members.

    A file of which a part has arrived, in this or an earlier call, is gone on with. See `download` for
    errors.
    """
    target = folder / file.path
    products = file.products(folder)
    if _is_done(file, target, products):
        return products
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch_whole(file, target, progress)
        if file.members:
            _unpack(target, products)
    except OSError as error:
        raise DownloadError(
            f"{target} cannot be written ({error}): free the disk, or name another folder"
        ) from None
    return products


def _is_done(file: RemoteFile, target: Path, products: Sequence[Path]) -> bool:
    # members were checked inside their archive, and each appears whole or not at all
    return all(path.is_file() for path in products) and bool(file.members or md5_of(target) == file.md5)


def _fetch_whole(file: RemoteFile, target: Path, progress: OnProgress | None) -> None:
    """Bring all bytes to `target`, trying one address after the other."""
    part = target.with_name(f"{target.name}.part")
    refusals, problem = [], None
    for address in file.addresses:
        # what was there may be of another version of the file; then the second time starts from nothing
        for _ in range(1 + part.is_file()):
            problem = _fetch_from(address, part, file.path, progress) or _wrong_bytes(part, file.md5)
            if problem is None:
                _put_in_place(part, target)
                return
        refusals.append(f"{address}: {problem}")
    raise DownloadError(
        f"{file.path} must come from one of its addresses, none gave it: {'; '.join(refusals)}: run the same"
        f" command again later, which goes on from what has arrived, or put the file at {target} yourself"
    )


def _wrong_bytes(part: Path, md5: str) -> str | None:
    """Remove a part that is whole but not what was published, and return so; None if it is right."""
    found = md5_of(part)
    if found == md5:
        return None
    part.unlink()
    return f"its MD5 is {found}, published is {md5}"


def _fetch_from(address: str, part: Path, path: str, progress: OnProgress | None) -> str | None:
    """Bring what is missing of a part from one address; return what was wrong, None if it is whole."""
    problem = None
    for _ in range(ATTEMPTS):
        try:
            if _receive(address, part, path, progress):
                return None
            problem = "the connection ended early"
        except urllib.error.HTTPError as error:
            error.close()
            return f"the server answers {error.code} {error.reason}"
        except urllib.error.URLError as error:
            problem = f"no connection ({error.reason})"
        except (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
            problem = f"the connection was lost ({error or type(error).__name__})"
    return problem


def _receive(address: str, part: Path, path: str, progress: OnProgress | None) -> bool:
    """Append what the server sends to a part; return whether the part is then whole."""
    have = part.stat().st_size if part.is_file() else 0
    # no compression on the way: offsets must count the file's own bytes
    headers = {"Accept-Encoding": "identity", "User-Agent": "riemaug"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            # nothing follows what is there: its checksum tells whether it is whole
            error.close()
            return True
        raise
    with response:
        begins = _first_byte(response)
        length = response.headers.get("Content-Length")
        total = None if length is None else begins + int(length)
        with part.open("r+b" if begins else "wb") as file:
            file.seek(begins)
            received = _copy(response, file, begins, lambda count: _tell(progress, path, count, total))
    return total is None or received == total


def _first_byte(response: http.client.HTTPResponse) -> int:
    """Return where in the file the answer begins."""
    if response.status != http.client.PARTIAL_CONTENT:
        return 0
    given = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if given is None:
        raise http.client.HTTPException("the server does not say which part of the file it sends")
    return int(given[1])


def _copy(response: http.client.HTTPResponse, file: IO[bytes], begins: int, tell: Callable) -> int:
    received = begins
    while block := response.read1(_BLOCK):
        file.write(block)
        received += len(block)
        if received > MOST_BYTES:
            raise http.client.HTTPException(f"it sends more than {MOST_BYTES:,} bytes")
        tell(received)
    return received


def _tell(progress: OnProgress | None, path: str, received: int, total: int | None) -> None:
    if progress is not None:
        progress(path, received, total)


def _put_in_place(part: Path, target: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, target)


def _unpack(archive: Path, products: Sequence[Path]) -> None:
    """Write the members of a zip archive that are wanted, then remove the archive."""
    with zipfile.ZipFile(archive) as packed:
        inside = {Path(name).name: name for name in packed.namelist()}
        for product in products:
            if product.name not in inside:
                raise DownloadError(
                    f"{archive} must hold {product.name}, it holds {len(inside)} other files: the provider"
                    " has changed it; unpack what it has by hand"
                )
            with (
                packed.open(inside[product.name]) as member,
                atomic_path(product) as temporary,
                temporary.open("wb") as file,
            ):
                shutil.copyfileobj(member, file)
    archive.unlink()


def md5_of(path: Path) -> str:
    """Return the MD5 checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
