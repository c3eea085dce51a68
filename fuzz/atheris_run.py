"""The process that atheris drives: `python -m fuzz.atheris_run TARGET FOLDER CORPUS -runs=N ...`."""

import hashlib
import sys
from pathlib import Path

import atheris

_INSTRUMENTED = (
    "riemaug.data",
    "riemaug.limits",
    "riemaug.config",
    "riemaug.serialization",
    "riemaug.importing",
    "riemaug.cli",
    "riemaug.run.request",
    "riemaug.run.run_file",
    "riemaug.run.evaluation_file",
    "riemaug.run.sample_names",
    "riemaug.run.samples_hash",
    "riemaug.run.shard_samples",
    "riemaug.run.shard_sets",
    "riemaug.run.written_samples",
)
"""What reads foreign bytes; the compiled kernels of `riemaug.geometry` cannot be instrumented."""


def main() -> None:
    """Run until libFuzzer ends the process."""
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        from fuzz.running import run_one
        from fuzz.targets import TARGETS
    module, folder = TARGETS[name], Path(sys.argv[1])

    def execute(data: bytes) -> None:
        try:
            run_one(module, data)
        except Exception:
            (folder / f"fault-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
            raise

    atheris.Setup(sys.argv, execute)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
