"""Samplers of the latent space: the mixture sampler, random walks along geodesics, the prior."""

from riemaug.samplers.base import ChainState as ChainState
from riemaug.samplers.base import Diagnostics as Diagnostics
from riemaug.samplers.base import Draws as Draws
from riemaug.samplers.base import Sampler as Sampler
from riemaug.samplers.base import SamplingProgress as SamplingProgress
from riemaug.samplers.base import TransitionInfo as TransitionInfo
from riemaug.samplers.chains import ChainRun as ChainRun
from riemaug.samplers.chains import run_chains as run_chains
from riemaug.samplers.mixture import MixtureSampler as MixtureSampler
from riemaug.samplers.prior import PriorSampler as PriorSampler
from riemaug.samplers.random_walk import PaperWalk as PaperWalk
from riemaug.samplers.random_walk import RiemannianRandomWalk as RiemannianRandomWalk
