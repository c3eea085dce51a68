"""`python -m fuzz [TARGET ...] --runs N`: fuzz the readers, and write what became of it to a JSON file."""

import argparse
import json
import tempfile
from pathlib import Path

from fuzz.running import CORPUS, fuzz, keep, table, write_results, write_seeds
from fuzz.targets import TARGETS

RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    """Return 1 if a fault was found; its input is then in the corpus."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default"
    )
    parser.add_argument("--runs", type=int, default=100_000, help="executions a target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--found", type=Path, help="folder to keep inputs of new coverage in")
    parser.add_argument("--write-seeds", action="store_true", help="write the seeds into the corpus, and end")
    parser.add_argument("--table", action="store_true", help="print the results in Markdown, and end")
    given = parser.parse_args()
    unknown = sorted(set(given.targets) - set(TARGETS))
    if unknown:
        parser.error(f"targets are {', '.join(TARGETS)}, got {unknown[0]!r}")
    if given.table:
        print(table(json.loads(given.results.read_text())))
        return 0
    names, faults = given.targets or list(TARGETS), 0
    if given.write_seeds:
        for name in names:
            write_seeds(name, TARGETS[name])
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.found or Path(temporary)
        for name in names:
            result = fuzz(name, given.runs, given.seed, folder)
            print(json.dumps({name: result}), flush=True)
            write_results(given.results, {name: result})
            if result["fault"]:
                faults += 1
                for path in (folder / name).glob("fault-*"):
                    print(f"kept as {keep(name, path.read_bytes()).relative_to(CORPUS.parent.parent)}")
    return min(faults, 1)


if __name__ == "__main__":
    raise SystemExit(main())
