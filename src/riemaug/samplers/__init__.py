"""Samplers of the latent space: the mixture sampler, HMC, random walks along geodesics, the prior."""

from riemaug.samplers.base import Diagnostics as Diagnostics
from riemaug.samplers.base import Draws as Draws
from riemaug.samplers.base import Sampler as Sampler
from riemaug.samplers.base import SamplingProgress as SamplingProgress
from riemaug.samplers.chain_sampler import ChainOptions as ChainOptions
from riemaug.samplers.chains import ChainRun as ChainRun
from riemaug.samplers.chains import ChainState as ChainState
from riemaug.samplers.chains import Kernel as Kernel
from riemaug.samplers.chains import TransitionInfo as TransitionInfo
from riemaug.samplers.chains import run_chains as run_chains
from riemaug.samplers.hmc import HMC as HMC
from riemaug.samplers.mixture import MixtureSampler as MixtureSampler
from riemaug.samplers.paper_walk import PaperWalk as PaperWalk
from riemaug.samplers.prior import PriorSampler as PriorSampler
from riemaug.samplers.random_walk import RiemannianRandomWalk as RiemannianRandomWalk
from riemaug.samplers.sources import BlockSampler as BlockSampler
from riemaug.samplers.sources import DrawSource as DrawSource
