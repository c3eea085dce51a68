"""The draws of the study's data sets that are committed, made anew.

    RIEMAUG_DATA=DIR python benchmarks/study_draws.py mnist_balanced oasis_paper

writes `src/riemaug/study/draws/<name>.json`: draws 0 to 9 of each set (`oasis_paper`: one split). The
same data give the same files.
"""

import argparse
import json
import os
from pathlib import Path

from oasis_paper_split import paper_split

from riemaug.random import Stream
from riemaug.study.datasets import DATA_SETS, drawn_by_rule, source_of
from riemaug.study.oasis import numbers_by_part, read_oasis, stratified_parts

NUM_DRAWS = 10
DRAWS = Path(__file__).parents[1] / "src" / "riemaug" / "study" / "draws"


def image_draws(name: str, folder: Path) -> dict[str, dict[str, list]]:
    source = source_of(name, folder)
    draws = {}
    for draw in range(NUM_DRAWS):
        chosen = drawn_by_rule(name, draw, source)
        parts = {"train": chosen.train, "validation": chosen.validation}
        draws[str(draw)] = {part: source.keys[rows].tolist() for part, rows in parts.items()}
    return draws


def oasis_draws(name: str, folder: Path) -> dict[str, dict[str, list]]:
    subjects = read_oasis(folder)
    if name == "oasis_paper":
        return {"0": numbers_by_part(subjects, paper_split(subjects, Stream(0, ("study", name))))}
    return {
        str(draw): numbers_by_part(subjects, stratified_parts(subjects, Stream(draw, ("study", name))))
        for draw in range(NUM_DRAWS)
    }


def write(name: str, draws: dict[str, dict[str, list]]) -> None:
    """Write the draws, a part a line."""
    blocks = [
        f' "{draw}": {{\n'
        + ",\n".join(f'  "{part}": {json.dumps(keys)}' for part, keys in parts.items())
        + "\n }"
        for draw, parts in draws.items()
    ]
    command = f"python benchmarks/study_draws.py {name}"
    body = ",\n".join(blocks)
    (DRAWS / f"{name}.json").write_text(f'{{\n"command": "{command}",\n"draws": {{\n{body}\n}}\n}}\n')


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", choices=DATA_SETS)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("name the folder of the public data sets with --data-dir or RIEMAUG_DATA")
    for name in arguments.names:
        make = oasis_draws if name.startswith("oasis") else image_draws
        write(name, make(name, Path(arguments.data_dir)))
        print(f"{name}: written")


if __name__ == "__main__":
    main()
