import math

import numpy as np
import pytest

from ganzoo.errors import MetricError, NonFiniteError, TooFewSamplesError
from ganzoo.metrics.jsd import jensen_shannon


def test_no_idea_is_zero_and_perfect_separation_log_two():
    nothing = jensen_shannon(np.zeros(10), np.zeros((20, 1)))
    assert nothing.value == pytest.approx(0.0, abs=1e-12) and nothing.standard_error == 0.0
    perfect = jensen_shannon(np.full(10, 1e4), np.full(20, -1e4))
    assert perfect.value == pytest.approx(math.log(2))


def test_the_best_discriminator_reaches_the_divergence():
    # N(0, 1) and N(1, 1): l = log p - log q = 1/2 - x; the divergence by numerical integration.
    x = np.linspace(-12, 13, 200_001)
    p, q = (np.exp(-((x - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (0, 1))
    mixed = (p + q) / 2
    expected = np.sum(p * np.log(p / mixed) + q * np.log(q / mixed)) / 2 * (x[1] - x[0])
    random = np.random.default_rng(0)
    real, fake = random.standard_normal(200_000), random.standard_normal(200_000) + 1
    best = jensen_shannon(0.5 - real, 0.5 - fake)
    assert best.value == pytest.approx(expected, abs=4 * best.standard_error)
    assert best.standard_error < 1e-3
    # Any other discriminator stays below; a reversed one below 0.
    assert jensen_shannon(0.2 * (0.5 - real), 0.2 * (0.5 - fake)).value < expected
    assert jensen_shannon(real - 0.5, fake - 0.5).value < 0


def test_faulty_input():
    with pytest.raises(MetricError, match="patch"):
        jensen_shannon(np.zeros((4, 2, 2)), np.zeros(4))
    with pytest.raises(NonFiniteError, match="`fake_logits`"):
        jensen_shannon(np.zeros(4), np.full(4, np.nan))
    with pytest.raises(TooFewSamplesError, match="`real_logits`"):
        jensen_shannon(np.zeros(1), np.zeros(4))
