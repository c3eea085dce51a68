"""Keeps `peers.py` running in the peers' own environment, so that both are timed in turns."""

import json
import os
import subprocess
from pathlib import Path

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Peer:
    """A process with pythae's models for `num` samples; use as a context manager.

    Parameters
    ----------
    python : Path
        An interpreter that has pythae.
    num : int
    """

    def __init__(self, python: Path, num: int) -> None:
        script = Path(__file__).with_name("peers.py")
        self._process = subprocess.Popen(
            [str(python), str(script), "--num", str(num)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **_ONE_THREAD},
        )
        self.versions: dict[str, str] = self._read()["versions"]

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def steps(self, kind: str, seconds: float) -> list[float]:
        """Return the processor times of steps of "vae" or "rhvae" done in about `seconds`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind} {seconds}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self):
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peers' process ended; does its interpreter have pythae?")
        return json.loads(line)
