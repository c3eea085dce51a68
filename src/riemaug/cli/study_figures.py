"""`riemaug study show fig1` to `fig4`: the paper's figures, drawn into a file."""

from dataclasses import dataclass
from pathlib import Path

from riemaug.errors import InvalidInputError

FIGURES = ("fig1", "fig2", "fig3", "fig4")


@dataclass(frozen=True)
class FigureRequest:
    """Which figure, how, and where to."""

    name: str
    form: str | None
    out: Path | None
    data_dir: Path | None
    seed: int
    max_epochs: int | None
    jobs: int
    with_real: bool

    def check(self) -> Path:
        """Return the file to write; InvalidInputError if the choices do not go together."""
        if self.form not in (None, "png"):
            raise InvalidInputError(f"a figure is drawn as png, got --format {self.form}")
        if self.out is None:
            raise InvalidInputError(f"a figure needs a file: give --out {self.name}.png")
        if not self.out.absolute().parent.is_dir() or self.out.suffix.lower() != ".png":
            raise InvalidInputError(f"--out must be a .png file in a folder that exists, got {self.out}")
        return self.out


def draw(request: FigureRequest, quiet: bool) -> Path:
    """Fit what the figure shows, draw it and write it; return the file."""
    out = request.check()
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from riemaug.cli.endings import AGAIN, told_how_to_go_on
    from riemaug.study.figures import draw_figure
    from riemaug.study.figures.panels import write_png

    console = Console(stderr=True, quiet=quiet, highlight=False)
    columns = (TextColumn("models fitted"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with told_how_to_go_on(f"{AGAIN}: nothing was written"):
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("fit", total=None)
            figure = draw_figure(
                int(request.name[-1]),
                request.data_dir,
                request.seed,
                request.max_epochs,
                request.jobs,
                with_real=request.with_real,
                on_fit=lambda done, total: bar.update(task, completed=done, total=total),
            )
        write_png(figure, out)
    console.print(f"look at {out}", soft_wrap=True)
    return out
