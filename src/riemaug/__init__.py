"""Learn the geometry of a small labelled data set and draw new samples from it."""

from riemaug._version import __version__ as __version__
