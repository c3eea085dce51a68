"""Generators that learn a latent space: laws, refusals, and that one fit serves them all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from riemaug.augmentor import Augmentor
from riemaug.baselines.deep import LAWS, MODELS, SAMPLER_LAWS, DeepGenerator, FittedDeepGenerator
from riemaug.baselines.latent_laws import (
    GaussianMixtureLaw,
    InterpolationLaw,
    PosteriorPrecisionLaw,
    SamplerLaw,
    encoded_means,
)
from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.geometry import PosteriorPrecisionMetric
from riemaug.random import Stream
from riemaug.samplers.chain_sampler import ChainSampler

Models = Callable[[str], FittedDeepGenerator]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("law", LAWS)
def test_only_laws_that_a_model_has_are_taken(model: str, law: str) -> None:
    has_metric = model in ("rhvae", "conditional")
    needs_metric = law in SAMPLER_LAWS and law != "prior"
    if (needs_metric and not has_metric) or (law == "posterior-precision" and has_metric):
        with pytest.raises(InvalidInputError, match=f"law {law} .*, model {model} .*: use") as caught:
            DeepGenerator(model, law)
        assert "\n" not in str(caught.value)
    else:
        assert DeepGenerator(model, law).name == f"{model}, {law}"


def test_unknown_models_and_laws_are_refused(fitted_model: Models) -> None:
    with pytest.raises(InvalidInputError, match="a model is one of vae, vamp, rhvae, conditional, got 'gan'"):
        DeepGenerator("gan", "prior")
    with pytest.raises(InvalidInputError, match="a law is one of prior, .*, got 'uniform'"):
        DeepGenerator("vae", "uniform")
    with pytest.raises(InvalidInputError, match="law mixture needs a learned metric, model vae has none"):
        fitted_model("vae").with_law("mixture")
    with pytest.raises(InvalidInputError, match="laws are known of the classes .*, got 3"):
        fitted_model("vae").latent_law(3)


@pytest.mark.parametrize(("model", "law"), [("vae", "prior"), ("rhvae", "prior"), ("rhvae", "mixture")])
def test_samples_are_those_of_the_augmentor(model: str, law: str, fitted_model: Models) -> None:
    fitted, stream = fitted_model(model).with_law(law), Stream(4, ("draw",))
    drawn = fitted.sample([3, 0, 2], stream)
    again = Augmentor(**fitted.augmentor.get_params()).set_params(sampler=law)
    for name in ("generators_", "classes_", "random_state_"):
        setattr(again, name, getattr(fitted.augmentor, name))
    samples, labels = again.sample({0: 3, 1: 0, 2: 2}, random_state=stream.generator_seed())
    np.testing.assert_array_equal(drawn.samples, samples)
    np.testing.assert_array_equal(drawn.labels, labels)


def test_one_fit_serves_all_laws(fitted_model: Models) -> None:
    fitted = fitted_model("vae")
    before = fitted.augmentor.get_params()
    other = fitted.with_law("latent-gaussian-mixture")
    assert other.augmentor is fitted.augmentor
    assert (fitted.law, other.law) == ("prior", "latent-gaussian-mixture")
    prior, mixture = (each.sample([4, 0, 0], Stream(0)).samples for each in (fitted, other))
    assert not np.array_equal(prior, mixture)
    assert fitted.augmentor.get_params() == before
    np.testing.assert_array_equal(other.with_law("prior").sample([4, 0, 0], Stream(0)).samples, prior)


def test_the_protocol_of_the_paper_is_fitted(fitted_model: Models) -> None:
    for item in fitted_model("rhvae").augmentor.generators_.classes:
        assert (item.model.config.kind, item.model.config.latent_dim) == ("rhvae", 2)
        assert item.group is None
    assert {item.model.config.kind for item in fitted_model("vamp").augmentor.generators_.classes} == {"vamp"}
    assert fitted_model("conditional").augmentor.generators_.config.preset == "conditional"


@pytest.mark.parametrize("law", ["walk-paper", "walk-paper-code", "walk", "hmc"])
def test_chains_have_the_steps_of_the_paper(law: str, fitted_model: Models) -> None:
    law_of_class = fitted_model("rhvae").with_law(law).latent_law(0)
    assert isinstance(law_of_class, SamplerLaw)
    sampler = law_of_class.sampler
    assert isinstance(sampler, ChainSampler)
    assert (sampler.name, sampler.chains.num_steps, sampler.chains.draws_per_chain) == (law, 200, 1)


@pytest.mark.parametrize("model", ["vae", "conditional"])
def test_laws_of_encoded_samples_are_of_this_class(model: str, fitted_model: Models) -> None:
    pytest.importorskip("imblearn", reason="needs the extra smote")
    fitted = fitted_model(model)
    item = fitted.augmentor.generators_.classes[1]
    rows = fitted.augmentor.scaler_.transform(fitted.training.of_class(1)).reshape(15, -1)
    means = encoded_means(item, torch.from_numpy(rows))
    assert means.shape == (15, item.model.config.latent_dim)
    smote = fitted.with_law("latent-smote").latent_law(1)
    assert isinstance(smote, InterpolationLaw)
    np.testing.assert_array_equal(smote.points, means)
    points = smote.draw(40, Stream(0)).numpy()
    assert (points >= means.min(0) - 1e-9).all()
    assert (points <= means.max(0) + 1e-9).all()
    mixture = fitted.with_law("latent-gaussian-mixture").latent_law(1)
    assert isinstance(mixture, GaussianMixtureLaw)
    np.testing.assert_allclose(mixture.weights @ mixture.means, means.mean(0), atol=1e-2)


def test_the_metric_of_a_vae_stands_on_its_encoded_samples(fitted_model: Models) -> None:
    fitted = fitted_model("vae").with_law("posterior-precision")
    law = fitted.latent_law(2)
    assert isinstance(law, PosteriorPrecisionLaw)
    metric = law.sampler.metric  # type: ignore[attr-defined]
    assert isinstance(metric, PosteriorPrecisionMetric)
    rows = fitted.augmentor.scaler_.transform(fitted.training.of_class(2)).reshape(12, -1)
    means = encoded_means(fitted.augmentor.generators_.classes[2], torch.from_numpy(rows))
    np.testing.assert_allclose(metric.centroids.numpy(), means, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_the_number_of_jobs_changes_no_sample(digits: LabelledSamples) -> None:
    drawn = []
    for num_jobs in (1, 2):
        generator = DeepGenerator("vae", "latent-gaussian-mixture", num_jobs, max_epochs=2)
        fitted = generator.fit(digits, 3, Stream(0, ("fit",)))
        drawn.append(fitted.sample([3, 3, 3], Stream(1)).samples)
    assert drawn[0].tobytes() == drawn[1].tobytes()


def test_another_stream_fits_other_models(digits: LabelledSamples) -> None:
    generator = DeepGenerator("vae", "prior", max_epochs=2)
    first, other = (generator.fit(digits, 3, Stream(seed)).sample([2, 0, 0], Stream(1)) for seed in (0, 1))
    assert not np.array_equal(first.samples, other.samples)


def test_saved_models_draw_the_same(tmp_path: Path, digits: LabelledSamples, fitted_model: Models) -> None:
    fitted = fitted_model("vae")
    fitted.augmentor.save(tmp_path)
    for law in ("prior", "latent-gaussian-mixture"):
        loaded = DeepGenerator("vae", law).fitted_from(Augmentor.load(tmp_path), digits)
        drawn = loaded.sample([2, 1, 0], Stream(3))
        expected = fitted.with_law(law).sample([2, 1, 0], Stream(3))
        assert drawn.samples.tobytes() == expected.samples.tobytes()


def test_samples_keep_the_datas_range_and_missing_classes_are_refused(digits: LabelledSamples) -> None:
    kept = digits.take(digits.labels != 1)
    grey = LabelledSamples(0.25 + 0.5 * kept.samples, kept.labels)
    fitted = DeepGenerator("vae", "prior", max_epochs=2).fit(grey, 3, Stream(0))
    drawn = fitted.sample([5, 0, 5], Stream(0))
    assert drawn.counts(3) == (5, 0, 5)
    assert drawn.samples.min() >= 0.25
    assert drawn.samples.max() <= 0.75
    with pytest.raises(InvalidInputError, match="class 1 has none and 1 were asked for"):
        fitted.sample([5, 1, 5], Stream(0))
