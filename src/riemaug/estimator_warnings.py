"""What estimators warn of, by classes that a filter can name."""

from sklearn.exceptions import ConvergenceWarning


class SamplerConvergenceWarning(ConvergenceWarning):
    """Draws cannot be taken as draws of the law that was asked for; scikit-learn's warning, too."""


class CopiesWarning(UserWarning):
    """Fewer samples than asked for: the other draws were copies of training samples."""


class ColumnWarning(UserWarning):
    """A column of a DataFrame is modelled that perhaps should not be."""
