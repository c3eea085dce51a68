"""Figures 1 to 4 of the paper, made anew.

Each figure's module first prepares what is shown (fits models, draws, decodes) and then lays it out; its
`draw` says by which protocol. See docs/study_figures.md for what agrees with the paper.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from riemaug.errors import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = (1, 2, 3, 4)


def draw_figure(
    number: int,
    folder: Path | None,
    seed: int,
    max_epochs: int | None = None,
    num_jobs: int = 1,
    *,
    with_real: bool = True,
    on_fit: Callable[[int, int], None] | None = None,
) -> "Figure":
    """Fit the models of one of the paper's figures, draw from them and lay the figure out.

    The same seed gives the same figure, for any number of jobs.

    Parameters
    ----------
    number : int
        1 to 4.
    folder : Path or None
        Where the public data sets are, as for `riemaug.study.datasets.load_study_data`. Figures 1 and 2 are
        made of drawn shapes where there is none.
    seed : int
        Of weights, noise and draws.
    max_epochs : int, optional
        Stop training after so many epochs; by default training stops as in the paper, when the ELBO has not
        improved for 50 epochs.
    num_jobs : int
        Models that are fitted at once.
    with_real : bool
        False leaves real images out, so that the figure may be passed on where the data may not.
    on_fit : callable, optional
        Told after each fit how many models are fitted, and of how many.

    Returns
    -------
    Figure
        With a canvas, ready for `savefig`.

    Raises
    ------
    InvalidInputError
        An unknown figure, or the data are absent or broken.
    TrainingError
        A model's training diverged for good.
    """
    if number not in FIGURES:
        raise InvalidInputError(f"the paper's figures are numbered 1 to 4, got {number}")
    if number == 1:
        from riemaug.study.figures import fig1

        return fig1.draw(folder, seed, max_epochs, num_jobs, on_fit)
    if number == 2:
        from riemaug.study.figures import fig2

        return fig2.draw(folder, seed, max_epochs, num_jobs, on_fit)
    if number == 3:
        from riemaug.study.figures import fig3

        return fig3.draw(folder, seed, max_epochs, num_jobs, on_fit, with_real)
    from riemaug.study.figures import fig4

    return fig4.draw(folder, seed, max_epochs, num_jobs, on_fit, with_real)
