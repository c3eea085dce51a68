"""Metrics, geodesic flows and the wrapped normal on a latent space."""

from riemaug.geometry.geodesic import exp as exp
from riemaug.geometry.geodesic import shoot as shoot
from riemaug.geometry.integrators import ExplicitMidpoint as ExplicitMidpoint
from riemaug.geometry.integrators import Flow as Flow
from riemaug.geometry.integrators import GeneralizedLeapfrog as GeneralizedLeapfrog
from riemaug.geometry.integrators import GeodesicIntegrator as GeodesicIntegrator
from riemaug.geometry.integrators import LagrangianLeapfrog as LagrangianLeapfrog
from riemaug.geometry.integrators import PhasePoint as PhasePoint
from riemaug.geometry.kernel import KernelMetric as KernelMetric
from riemaug.geometry.metric import LocalGeometry as LocalGeometry
from riemaug.geometry.metric import Metric as Metric
from riemaug.geometry.metric import TensorMetric as TensorMetric
from riemaug.geometry.support import Support as Support
from riemaug.geometry.wrapped_normal import WrappedNormal as WrappedNormal
