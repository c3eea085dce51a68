"""Tensors in safetensors files: written whole, read by prefix, known by their hash."""

import hashlib
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from riemaug.atomic import atomic_path
from riemaug.errors import InvalidInputError

_LENGTH_BYTES, _MOST_HEADER_BYTES = 8, 2**24


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors to a safetensors file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode  # as the user's umask has it; safetensors makes files private
        save_file(tensors, temporary)
        temporary.chmod(mode)


def read_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it; InvalidInputError if damaged."""
    try:
        _check_header(path)
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            return {name[len(prefix) :]: file.get_tensor(name) for name in names}
    except (SafetensorError, EOFError) as error:
        raise damaged(path, error) from error


def _check_header(path: Path) -> None:
    """Raise EOFError if the list of tensors is longer than that of any model of ours, or than the file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if length > min(_MOST_HEADER_BYTES, path.stat().st_size):
        raise EOFError(f"a header of {length:,} bytes")


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damaged(path: Path, error: Exception) -> InvalidInputError:
    """Return the refusal of a model's file that cannot be read."""
    return InvalidInputError(
        f"a model file must be whole, {path} is damaged ({first_line(error)}); copy it again or refit"
    )


def first_line(error: Exception) -> str:
    """Return what an error says, without the lines that follow."""
    return (str(error).splitlines() or [type(error).__name__])[0]
