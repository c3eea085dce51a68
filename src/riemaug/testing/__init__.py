"""Is my part right? Checks of a metric, an integrator or a sampler of your own.

Each raises an AssertionError whose one line names the invariant, the measured error and the tolerance.
They need no test framework; docs/extending.md shows them at work.
"""

from riemaug.testing.integrator_checks import check_integrator as check_integrator
from riemaug.testing.metric_checks import check_metric as check_metric
from riemaug.testing.sampler_checks import check_sampler as check_sampler
