"""The predictor: right on what it has not seen, the same on history from the graph, silent without enough of it."""

import numpy as np
import pytest

from app.errors import PredictionError
from app.predict import hazard
from app.predict.features import BINS, NAMES, SIGNALS, enough, features
from app.predict.score import as_series, score
from app.predict.windows import Part, Windows
from app.simulate.training import cases

pytestmark = pytest.mark.slow

DAY = 86400.0


@pytest.fixture(scope="module")
def found() -> hazard.Cases:
    return cases(60, 3, 42, lambda share, what: None)


@pytest.fixture(scope="module")
def fitted(found: hazard.Cases) -> hazard.Hazard:
    return hazard.fit(found, "test")


def test_failures_are_told_from_health_on_turbines_kept_out(found: hazard.Cases, fitted: hazard.Hazard) -> None:
    from sklearn.metrics import roc_auc_score

    unseen = found.where(found.asset % 4 == 0)
    known = unseen.where(unseen.failed | (unseen.seconds >= hazard.HEALTH_HORIZON))
    survival = fitted.survival(known.rows)
    failing = known.failed & (known.seconds <= hazard.HEALTH_HORIZON)
    horizon = int(np.searchsorted(hazard.EDGES, hazard.HEALTH_HORIZON))
    assert roc_auc_score(failing, 1 - survival[:, horizon], sample_weight=known.weight) > 0.8
    assert (np.diff(survival, axis=1) <= 1e-12).all()
    baseline = np.average(failing, weights=known.weight)
    brier = np.average((1 - survival[:, horizon] - failing) ** 2, weights=known.weight)
    assert brier < 0.8 * baseline * (1 - baseline)


def test_expected_failure_is_better_than_the_mean_of_the_fleet(found: hazard.Cases, fitted: hazard.Hazard) -> None:
    unseen = found.where((found.asset % 4 == 0) & found.failed & (found.seconds < 20 * DAY))
    seen = found.where((found.asset % 4 != 0) & found.failed & (found.seconds < 20 * DAY))
    median = hazard.median_time(fitted.survival(unseen.rows))
    told = ~np.isnan(median)
    error = np.abs(median - unseen.seconds)[told].mean()
    assert told.mean() > 0.5
    assert error < np.abs(np.median(seen.seconds) - unseen.seconds)[told].mean()


def test_confidence_is_a_share_that_came_true(fitted: hazard.Hazard) -> None:
    confidence = fitted.confidence(np.linspace(0, 1, 101))
    assert confidence.min() >= 0.5
    assert confidence[0] > 0.9
    assert list(fitted.reliability) == sorted(fitted.reliability)


def test_a_case_counts_for_each_interval_it_entered() -> None:
    rows = np.zeros((3, len(NAMES)), np.float32)
    seconds = np.array([0.2, 4.0, 100.0]) * DAY
    made = hazard.Cases(rows, seconds, np.array([True, False, False]), np.zeros(3), np.ones(3))
    table, label, _ = hazard.expand(made)
    assert table[:, -1].tolist() == [0, *range(4), *range(10)]
    assert label.tolist() == [1] + [0] * 14


def test_too_few_failures_are_told(found: hazard.Cases) -> None:
    with pytest.raises(PredictionError, match="cases before a failure"):
        hazard.fit(found.where(~found.failed), "none")


def test_a_component_that_has_hardly_measured_is_not_judged(fitted: hazard.Hazard) -> None:
    bins = np.full((BINS, 2, len(SIGNALS)), np.nan, np.float32)
    bins[:, 0] = 1.0
    bins[-3:, 1] = 1.0
    assert enough(bins).tolist() == [True, False]
    windows = Windows([Part("a", 0, "t", "f"), Part("b", 1, "t", "f")], bins, 1000)
    told = {prognosis.dt_id: prognosis for prognosis in score(fitted, windows)}
    assert told.keys() == {"a", "t", "f"}
    assert told["t"].health == pytest.approx(told["a"].health)


def test_features_ignore_what_is_missing() -> None:
    window = np.random.default_rng(1).normal(1, 0.1, (BINS, 3, len(SIGNALS))).astype(np.float32)
    holed = window.copy()
    holed[::5] = np.nan
    assert np.allclose(features(window, [0, 1, 2])[:, 0], features(holed, [0, 1, 2])[:, 0], rtol=0.05)
    assert features(window, [0, 1, 2]).shape == (3, len(NAMES))


def test_no_expected_failure_clears_an_older_one() -> None:
    from app.predict.score import Prognosis

    (series,) = as_series([Prognosis("a", 0.99, None, 0.9)], 1000, "v")
    assert series.latest["expectedFailureTime"] is None
    assert "expectedFailureTime" not in series.columns
