"""Path lengths and separability by name, through `evaluate`."""

import itertools

import numpy as np
import pytest

from ganzoo.errors import GanzooError, MeasureError, MetricError
from ganzoo.families.cgan import CGAN
from ganzoo.families.stylegan2 import StyleGAN2
from ganzoo.metrics import latent_spaces
from ganzoo.metrics import perceptual_path_length as ppl
from ganzoo.metrics.classifier import SHIPPED, Classifier, ClassifierExtractor
from ganzoo.metrics.evaluate import checked_names, evaluate, is_of, needs_features
from ganzoo.metrics.linear_separability import linear_separability, linear_svm
from ganzoo.metrics.records import Record
from ganzoo.metrics.streams import in_turn, samples

Z, W = latent_spaces.SEPARABILITY
PATH = "ppl-stylegan-zend"


class Pixels:
    """A `similarity` of a path length: the mean difference."""

    sha256, resizer = "5" * 64, "stylegan-256"

    def __call__(self, first, second):
        return np.square(first - second).mean(axis=(1, 2, 3))


@pytest.fixture(autouse=True)
def pixels(monkeypatch):
    monkeypatch.setattr(latent_spaces, "_distance", lambda classifier, resizer: Pixels())


@pytest.fixture(scope="module")
def attributes():
    """A network told attributes, and a classifier of attributes of its images."""
    gan = CGAN(8, 4, 4, networks="conv", num_classes=0, num_attributes=3)
    classifier = Classifier(8, 1, 2, widths=(4, 6))
    return gan.generator, ClassifierExtractor(classifier, "6" * 64, "tiny", ("dark", "round"))


def test_every_name_says_what_it_was_made_of():
    sides = ppl.PROTOCOLS, ppl.SPACES, ppl.SAMPLINGS, ppl.CROPS, (None, *SHIPPED)
    for *rest, classifier in itertools.product(*sides):
        name = ppl.metric_id(*rest) + ("" if classifier is None else f"-{classifier}")
        path = latent_spaces.parsed(name)
        assert [path.reference, path.space, path.sampling, path.crop] == rest
        assert path.classifier == classifier
        assert checked_names([name.replace("-", "_")]) == [name]


@pytest.mark.parametrize("name", ["ppl", "ppl-stylegan", "ppl-stylegan-wend-cats", "ppl-x-zend"])
def test_other_path_lengths_are_told_the_legal_ones(name):
    with pytest.raises(MeasureError, match=f"ppl-stylegan-wend.*avatars-32.*Received: '{name}'"):
        checked_names(["fid", name])


def test_a_record_belongs_to_one_path_length():
    record = Record(metric=f"{PATH}-face", value=1.0, better="lower")
    assert is_of(record, f"{PATH}-face") and not is_of(record, PATH)
    record = Record(metric="fid-inception-clean", value=1.0, better="lower")
    assert is_of(record, "fid") and not is_of(record, "intra-fid")


def test_only_separability_takes_the_feature_network():
    assert needs_features([Z]) and not needs_features([PATH, "swd"])


def test_attributes_are_evaluated(attributes):
    generator, extractor = attributes
    names = [Z, "fid", PATH]
    stream, real = samples(generator, 30, seed=5), samples(generator, 40, seed=6)
    records = evaluate(
        stream, real, names, extractor=extractor, generator=generator, seed=5, truncation=0.5,
        model="m", data="d", split="s",
    )
    assert [r.metric for r in records] == [f"{Z}-tiny", "fid-tiny", PATH]
    cut, fid, path = records
    assert {r.n_fake for r in records} == {30} and {r.seed for r in records} == {5}
    assert (cut.data, cut.truncation, path.mirror, path.n_real) == (None,) * 4
    assert (fid.data, fid.truncation, fid.n_real) == ("d", 0.5, 40)
    assert (path.network, path.resizer, path.quantisation) == ("5" * 64, "stylegan-256", "float")
    assert (cut.network, cut.resizer, cut.quantisation) == ("6" * 64, "none", "uint8")
    images = generator.generate(30, labels=in_turn(generator, 30), seed=5)
    expected = linear_separability(
        generator.latents(30, 5), extractor.probabilities(images), keep=15, separate=linear_svm
    )
    assert cut.value == expected.score and cut.settings["keep"] == 15
    length = ppl.perceptual_path_length(generator, Pixels(), sampling="end", samples=30, seed=5)
    assert path.value == length.mean > 0 and path.deviation == length.std / length.kept**0.5


def test_the_stream_is_left_alone_where_nobody_needs_it(attributes):
    generator, _ = attributes
    [record] = evaluate(None, None, [PATH], generator=generator, n_fake=20)
    assert (record.n_fake, record.seed) == (20, 0)


def test_a_style_network_is_cut_in_z_and_w(attributes):
    generator = StyleGAN2(8, 6, 8, channels=1, channel_base=64, channel_max=4).generator
    names = [W, "ppl-stylegan-wfull", Z]
    records = evaluate(
        None, None, names, extractor=attributes[1], generator=generator, n_fake=12, seed=1
    )
    assert [r.metric for r in records] == [f"{W}-tiny", names[1], f"{Z}-tiny"]
    [alone] = evaluate(
        None, None, [W], extractor=attributes[1], generator=generator, n_fake=12, seed=1
    )
    assert alone.value == records[0].value


@pytest.mark.parametrize(
    ("names", "settings", "error", "match"),
    [
        ([PATH], {"generator": None}, MetricError, "of a generator.*give `generator`"),
        ([PATH], {"n_fake": None}, MetricError, "`n_fake` how many"),
        ([PATH], {"n_fake": 0}, MetricError, "n_fake=0"),
        ([PATH], {"options": {PATH: {}}}, MetricError, "`options`.*ppl"),
        (["ppl-stylegan-wend"], {}, MetricError, "no space w; measure with space='z'"),
        ([W], {}, MeasureError, f"has no w; take '{Z}'"),
        ([Z], {"extractor": None}, MeasureError, "classifier of attributes.*features=None"),
    ],
)
def test_what_is_missing_is_named(attributes, names, settings, error, match):
    generator, extractor = attributes
    settings = {"generator": generator, "extractor": extractor, "n_fake": 4, **settings}
    with pytest.raises(error, match=match) as caught:
        evaluate(None, None, names, **settings)
    assert isinstance(caught.value, GanzooError)


def test_a_classifier_of_classes_knows_no_attributes(attributes):
    generator, _ = attributes
    classes = ClassifierExtractor(Classifier(8, 1, 2, widths=(4,)), "7" * 64, "classes")
    with pytest.raises(MeasureError, match="'avatars', 'avatars-32'.*features='classes'"):
        evaluate(None, None, [Z], extractor=classes, generator=generator, n_fake=4)
