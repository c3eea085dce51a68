"""Draw figures of the paper into PNG files that hold no real image: `python -m riemaug.study.figures 1 2`.

The files of docs/images/study were made so; `riemaug study show fig1` draws with real images.
"""

import argparse
import os
import sys
from pathlib import Path

from riemaug.study.figures import FIGURES, draw_figure
from riemaug.study.figures.panels import write_png


def main() -> None:
    """Write fig1.png ... fig4.png, those that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("numbers", type=int, nargs="+", choices=FIGURES)
    parser.add_argument("--out", type=Path, default=Path("docs/images/study"), help="folder of the files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-epochs", type=int, help="by default until the ELBO stops improving")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--with-real", action="store_true", help="show real images, too")
    given = parser.parse_args()
    folder = Path(os.environ["RIEMAUG_DATA"]) if "RIEMAUG_DATA" in os.environ else None
    given.out.mkdir(parents=True, exist_ok=True)
    for number in given.numbers:
        figure = draw_figure(
            number,
            folder,
            given.seed,
            given.max_epochs,
            given.jobs,
            with_real=given.with_real,
            on_fit=lambda done, total: print(f"{done} of {total} models", file=sys.stderr),
        )
        write_png(figure, given.out / f"fig{number}.png")


if __name__ == "__main__":
    main()
