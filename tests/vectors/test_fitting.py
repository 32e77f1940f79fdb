"""PCA, probes and balanced accuracy on data whose answer is known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mllm_probe.vectors.running_sums import balanced_accuracy, fit_probe, principal_component


def test_the_component_is_the_uncentred_one_on_the_side_of_the_mean():
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(40)
    direction /= np.linalg.norm(direction)
    differences = -(3 + rng.standard_normal(24))[:, None] * direction + 0.1 * rng.standard_normal((24, 40))
    found = principal_component(differences.astype(np.float32))
    assert found @ -direction > 0.999
    assert np.linalg.norm(found) == pytest.approx(1)
    assert abs(found @ np.linalg.svd(differences)[2][0]) > 1 - 1e-6
    constant = principal_component(np.repeat(direction[None], 5, 0) + 1e-3 * rng.standard_normal((5, 40)))
    assert constant @ direction > 0.999
    for seed in range(16):
        noisy = np.random.default_rng(seed).standard_normal((6, 40)) + direction
        assert principal_component(noisy) @ noisy.mean(0) > 0
    many = principal_component(np.stack([differences, 2 * differences]))
    assert np.allclose(many, found)
    assert np.array_equal(principal_component(np.zeros((3, 4))), np.zeros(4))


@pytest.mark.parametrize("width", [8, 300])
def test_the_probe_equals_scikit_learns_in_all_dimensions(width):
    rng = np.random.default_rng(width)
    labels = np.arange(60) % 2 == 0
    x = rng.standard_normal((60, width)) * rng.uniform(0.5, 3, width) + 7
    x[labels, 0] += 2
    probe = fit_probe(x.astype(np.float32), labels)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-9, max_iter=10_000)).fit(x, labels)
    weight = pipeline[1].coef_[0] / pipeline[0].scale_
    assert probe.weight @ weight / np.linalg.norm(probe.weight) / np.linalg.norm(weight) > 0.9999
    assert np.linalg.norm(probe.weight) == pytest.approx(np.linalg.norm(weight), rel=1e-2)
    fresh = rng.standard_normal((500, width)) * 2 + 7
    assert (probe.predict(fresh) == pipeline.predict(fresh)).mean() > 0.99


def test_the_probe_finds_a_planted_direction_and_ignores_dead_components():
    rng = np.random.default_rng(1)
    labels = np.arange(200) < 100
    x = rng.standard_normal((200, 16))
    x[:, 3] = 5.0
    x[labels, 5] += 4
    probe = fit_probe(x, labels)
    assert np.abs(probe.weight).argmax() == 5 and probe.weight[5] > 0 and probe.weight[3] == 0
    assert (fit_probe(np.ones((4, 3)), np.array([1, 1, 0, 0], bool)).weight == 0).all()


def test_balanced_accuracy_and_its_interval():
    rng = np.random.default_rng(2)
    labels = np.arange(300) < 240
    correct = np.where(labels, rng.uniform(size=300) < 0.9, rng.uniform(size=300) < 0.6)
    predicted = np.where(correct, labels, ~labels)
    value, low, high = balanced_accuracy(correct, labels, np.arange(300), 0)
    assert value == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert low < value < high and 0.05 < high - low < 0.2
    doubled = [np.concatenate([a, a]) for a in (correct, labels, np.arange(300))]
    assert balanced_accuracy(*doubled, 0) == pytest.approx((value, low, high))
    apart = balanced_accuracy(doubled[0], doubled[1], np.arange(600), 0)
    assert apart[2] - apart[1] < 0.85 * (high - low)
