"""Constants chosen by the likelihood of held-out samples (extra `tune`)."""

from riemaug.tuning.result import TuningResult as TuningResult
from riemaug.tuning.search import OnTuning as OnTuning
from riemaug.tuning.search import TuningConfig as TuningConfig
from riemaug.tuning.search import TuningProblem as TuningProblem
from riemaug.tuning.search import TuningProgress as TuningProgress
from riemaug.tuning.search import check_search as check_search
from riemaug.tuning.search import tune as tune
from riemaug.tuning.space import SearchSpace as SearchSpace
from riemaug.tuning.store import Trial as Trial
