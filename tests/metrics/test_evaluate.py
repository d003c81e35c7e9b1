"""`evaluate`: one pass over each stream, records, caches, replicas, refusals."""

import resource

import numpy as np
import pytest
import tensorflow as tf
from harness import two_replicas

from ganzoo.data import ring
from ganzoo.errors import (
    GanzooError,
    MetricError,
    NonFiniteError,
    TooFewSamplesError,
    UnlikeStatisticsError,
)
from ganzoo.metrics import evaluate as evaluation
from ganzoo.metrics.evaluate import (
    METRICS,
    PARTS,
    PARTS_OF_GENERATOR,
    evaluate,
    evaluate_points,
    extract,
    limited,
    mirrored,
)
from ganzoo.metrics.features import Outputs
from ganzoo.metrics.fid import frechet_distance
from ganzoo.metrics.statistics import statistics_of

SIDE, FEATURES, CLASSES = 8, 6, 3


class Linear:
    """An `Extractor` of a few products, which counts the images that it sees.

    Small integers by a power of two: the same in any order of summation, on any processor.
    """

    name, resizer, dim, classes = "linear", "none", FEATURES, CLASSES

    def __init__(self, sha256="0" * 64, classes=CLASSES, poison=None):
        self.sha256, self.classes, self.poison, self.seen = sha256, classes, poison, 0
        random = np.random.RandomState(0)
        kernel = random.randint(-8, 9, (SIDE * SIDE * 3, FEATURES + classes))
        self.kernel = kernel.astype("float32") / 2048

    def forward(self, images):
        flat = tf.reshape(tf.cast(images, "float32"), (tf.shape(images)[0], -1))
        product = flat @ self.kernel
        return product[:, :FEATURES], product[:, FEATURES:]

    def __call__(self, images):
        self.seen += len(images)
        features, logits = (part.numpy() for part in self.forward(tf.constant(images)))
        if self.poison is not None:
            features[self.poison] = np.nan
        return Outputs(features, logits)


def images(count, seed, low=0):
    return np.random.RandomState(seed).randint(low, 256, (count, SIDE, SIDE, 3)).astype("uint8")


def stream(count, seed, *, batch=50, low=0, labelled=False):
    found = images(count, seed, low)
    for start in range(0, count, batch):
        part = found[start : start + batch]
        yield (part, np.arange(start, start + len(part)) % 2) if labelled else part


ABOUT = {"data": "noise", "split": "test", "model": "m", "seed": 3}
NAMES = [name for name in METRICS if evaluation.OF_NETWORK & {*METRICS[name].needs}]
SMALL = {"kid": {"subset_size": 100}}


@pytest.fixture(scope="module")
def measured():
    network = Linear()
    fake, real = stream(300, 1, labelled=True), stream(400, 2, labelled=True)
    records = evaluate(fake, real, NAMES, extractor=network, options=SMALL, n_real=390, **ABOUT)
    return network, {record.metric: record for record in records}


def test_every_stream_is_read_once_for_all_metrics(measured):
    network, records = measured
    assert network.seen == 300 + 390
    assert list(records) == [f"{name}-linear" for name in NAMES]


def test_values_are_those_of_the_metrics_functions(measured):
    network, records = measured
    fake, real = network(images(300, 1)), network(images(400, 2)[:390])
    expected = frechet_distance(statistics_of(real.features), statistics_of(fake.features))
    assert records["fid-linear"].value == pytest.approx(expected, rel=1e-9)
    recall = evaluation.precision_recall.precision_recall(real.features, fake.features).recall
    assert records["recall-linear"].value == recall
    score = evaluation.inception_score.inception_score(fake.logits)
    assert records["is-linear"].value == pytest.approx(score.mean, rel=1e-9)
    assert records["is-linear"].deviation == pytest.approx(score.std, rel=1e-9)


def test_records_say_how_they_were_measured(measured):
    record = measured[1]["coverage-linear"]
    assert (record.n_real, record.n_fake, record.data, record.split) == (390, 300, "noise", "test")
    assert (record.network, record.resizer, record.quantisation) == ("0" * 64, "none", "uint8")
    assert record.settings == {"neighbours": 5, "reference": "torch-fidelity"}
    assert measured[1]["recall-linear"].settings["neighbours"] == 3
    assert measured[1]["kid-linear"].settings["subset_size"] == 100
    assert measured[1]["is-linear"].n_real is measured[1]["is-linear"].data is None
    assert (record.model, record.seed, record.mirror) == ("m", 3, "none")


def test_every_metric_has_a_part():
    assert {metric.part for metric in METRICS.values()} == {*PARTS, *PARTS_OF_GENERATOR}
    assert all(name in evaluation.__doc__ for name in METRICS)


def test_a_set_is_at_no_distance_from_itself():
    [record] = evaluate(stream(300, 1), stream(300, 1), ["fid"], extractor=Linear())
    assert abs(record.value) < 1e-3


def test_swapping_the_sets_swaps_precision_and_recall():
    names = ["precision", "recall"]
    there = evaluate(stream(200, 1), stream(300, 2, low=60), names, extractor=Linear())
    back = evaluate(stream(300, 2, low=60), stream(200, 1), names, extractor=Linear())
    assert [r.value for r in there] == [r.value for r in back][::-1]
    assert there[0].value != there[1].value


def test_a_collapsed_generator_has_high_precision_and_low_recall():
    one = np.repeat(images(1, 2), 200, axis=0)
    noise = np.random.RandomState(5).randint(0, 3, one.shape)
    collapsed = np.clip(one.astype(int) + noise, 0, 255).astype("uint8")
    precision, recall = evaluate(
        [collapsed], stream(200, 2), ["precision", "recall"], extractor=Linear()
    )
    assert precision.value > 0.9 and recall.value < 0.05


def test_image_metrics_need_no_network():
    pictures = np.random.RandomState(0).randint(0, 256, (6, 32, 32, 3)).astype("uint8")
    swd, similar = evaluate(
        [pictures], [pictures[::-1].copy()], ["swd", "ms_ssim"], options={"ms-ssim": {"pairs": 9}}
    )
    assert (swd.metric, similar.metric) == ("swd", "ms-ssim")
    assert swd.network is None and swd.n_real == 6 and similar.n_real is None


def test_metrics_of_samples_need_no_reals():
    records = evaluate(stream(60, 1), None, ["is", "modes", "mode-kl"], extractor=Linear())
    assert [record.n_real for record in records] == [None] * 3
    assert records[1].settings["possible"] == CLASSES


def test_mirror_images_count_as_reals():
    network = Linear()
    [record] = evaluate(
        stream(100, 1), stream(100, 2), ["fid"], extractor=network, mirror="both", **ABOUT
    )
    assert (record.n_real, record.mirror) == (200, "both")
    first, second = list(mirrored([images(2, 1)]))
    np.testing.assert_array_equal(first[:, :, ::-1], second)


# Caches and imported statistics


def test_statistics_are_kept_under_what_they_were_made_of(tmp_path):
    network = Linear()

    def fid(**other):
        settings = {"n_real": 100, "cache_dir": tmp_path, **ABOUT, **other}
        network.seen = 0
        [record] = evaluate(stream(50, 1), stream(120, 2), ["fid"], extractor=network, **settings)
        return record.value, network.seen

    first, seen = fid()
    assert seen == 150 and fid() == (first, 50)
    assert fid(split="train")[1] == fid(data="other")[1] == fid(n_real=101)[1] - 1 == 150
    assert fid(mirror="both")[1] == 250
    network.sha256 = "1" * 64
    assert fid()[1] == 150
    assert len(list(tmp_path.glob("*.npz"))) == 6


def test_without_a_name_nothing_is_kept(tmp_path):
    evaluate(stream(50, 1), stream(60, 2), ["fid"], extractor=Linear(), cache_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_imported_statistics_stand_for_the_reals():
    network = Linear()
    real = statistics_of(network(images(300, 2)).features)
    [given] = evaluate(stream(200, 1), real, ["fid"], extractor=network)
    [read] = evaluate(stream(200, 1), stream(300, 2), ["fid"], extractor=network)
    assert given.value == pytest.approx(read.value, rel=1e-9) and given.n_real == 300
    with pytest.raises(MetricError, match="features"):
        evaluate(stream(200, 1), real, ["kid"], extractor=network)


def test_statistics_of_another_network_are_refused(tmp_path):
    first, other = Linear(), Linear(sha256="1" * 64)
    kept = extract(stream(100, 2), first, ["moments"], key=_key(first))
    with pytest.raises(UnlikeStatisticsError, match="network"):
        evaluate(stream(100, 1), kept, ["fid"], extractor=other)
    resized = Linear()
    resized.resizer = "clean"
    with pytest.raises(UnlikeStatisticsError, match="resizer"):
        evaluate(stream(100, 1), kept, ["fid"], extractor=resized)


def _key(network):
    return evaluation.Key(
        network=network.sha256,
        resizer=network.resizer,
        quantisation="uint8",
        dataset="d",
        split="s",
        count=None,
    )


def test_what_was_extracted_is_used_again():
    network = Linear()
    kept = extract(stream(100, 2), network, ["moments", "features"])
    network.seen = 0
    for seed in (1, 3):
        evaluate(stream(80, seed), kept, ["fid", "coverage"], extractor=network)
    assert network.seen == 160


# Streams


def test_a_limit_cuts_a_batch_and_demands_its_number():
    assert [len(batch) for batch in limited(stream(100, 0), 70, "real")] == [50, 20]
    with pytest.raises(TooFewSamplesError, match="100 of 101"):
        list(limited(stream(100, 0), 101, "real"))


@pytest.mark.parametrize("batch", [64, 7])
def test_replicas_share_a_batch(batch):
    alone = extract(stream(65, 1, batch=batch), Linear(), ["moments", "features", "logits"])
    with two_replicas().scope():
        shared = extract(stream(65, 1, batch=batch), Linear(), ["moments", "features", "logits"])
    np.testing.assert_allclose(shared.features, alone.features, rtol=1e-5)
    np.testing.assert_allclose(shared.logits, alone.logits, rtol=1e-5)
    np.testing.assert_allclose(
        shared.statistics.covariance, alone.statistics.covariance, rtol=1e-4, atol=1e-5
    )


class Wide:
    """Features as wide as Inception's at no cost."""

    name, sha256, resizer, dim, classes = "wide", "2" * 64, "none", 2048, 0

    def __call__(self, batch):
        features = np.zeros((len(batch), 2048), "float32")
        features[:, :8] = batch.reshape(len(batch), -1)[:, :8]
        return Outputs(features, features[:, :0])


def test_memory_does_not_grow_with_the_stream():
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    batch = images(250, 0)
    extract([batch] * 12, Wide(), ["moments"])  # blocks are full
    before = peak()
    extract([batch] * 80, Wide(), ["moments"])  # 164 MB of features
    assert peak() - before < 60e6


# Refusals


@pytest.mark.parametrize(
    ("fake", "error", "match"),
    [
        ([], TooFewSamplesError, "empty"),
        ([images(1, 0)], TooFewSamplesError, "2 samples"),
        ([images(4, 0) / 255.0], MetricError, r"converts \[0, 1\]"),
        ([images(4, 0) / 127.5 - 1], MetricError, r"converts \[-1, 1\]"),
        ([images(4, 0), images(4, 0)[:, :6]], MetricError, "one size"),
        ([images(4, 0)[..., :2]], MetricError, "channels"),
    ],
)
def test_bad_streams_are_refused(fake, error, match):
    with pytest.raises(error, match=match):
        evaluate(fake, stream(50, 1), ["fid"], extractor=Linear())


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(NonFiniteError, match="1 of 50 images from number 7"):
        evaluate(stream(50, 1), stream(50, 2), ["fid"], extractor=Linear(poison=7))


@pytest.mark.parametrize(
    ("names", "settings", "match"),
    [
        (["fidd"], {}, "fidd"),
        ([], {}, "no name"),
        (["fid"], {"real": None}, "real"),
        (["fid"], {"extractor": None}, "extractor"),
        (["is"], {"extractor": Linear(classes=0)}, "classes"),
        (["intra-fid"], {}, "labels"),
        (["fid"], {"options": {"kid": {}}}, "kid"),
        (["kid"], {"options": {"kid": {"subset": 3}}}, "subset"),
        (["fid"], {"mirror": True}, "mirror"),
    ],
)
def test_bad_arguments_are_refused(names, settings, match):
    settings = {"extractor": Linear(), "real": stream(50, 2), **settings}
    real = settings.pop("real")
    with pytest.raises(GanzooError, match=match):
        evaluate(stream(50, 1), real, names, **settings)


# Points


def test_points_are_measured_by_their_mixture():
    mixture = ring(8)
    points = mixture.sample(4000, seed=1)
    records = evaluate_points(np.split(points, 8), mixture, model="m")
    values = {record.metric: record.value for record in records}
    assert values["modes"] == 8 and values["high-quality"] == pytest.approx(0.989, abs=0.01)
    assert records[0].settings["mixture"]["std"] == mixture.std and records[0].n_fake == 4000
    with pytest.raises(MetricError, match="fid"):
        evaluate_points([points], mixture, ["fid"])
    with pytest.raises(TooFewSamplesError, match="empty"):
        evaluate_points([], mixture)


def test_outputs_are_kept_as_they_came():
    network = Linear()
    found = extract(stream(70, 1, labelled=True), network, ["features", "labels", "images"])
    np.testing.assert_array_equal(found.images, images(70, 1))
    np.testing.assert_array_equal(found.labels, np.arange(70) % 2)
    np.testing.assert_array_equal(found.features[50:], network(images(70, 1)[50:]).features)
    assert found.logits is None and found.statistics is None
