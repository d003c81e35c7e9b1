import dataclasses
import json
import zipfile

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from ganzoo.errors import (
    HashError,
    MetricError,
    NonFiniteError,
    StatisticsFileError,
    TooFewSamplesError,
    UnlikeStatisticsError,
)
from ganzoo.metrics import statistics
from ganzoo.metrics.statistics import (
    Key,
    Statistics,
    StreamingStatistics,
    import_statistics,
    load_statistics,
    statistics_of,
)

KEY = Key(
    network="ab" * 32, resizer="tf1", quantisation="uint8", dataset="faces", split="train", count=9
)


def draw(count, dimension=5, seed=0):
    random = np.random.default_rng(seed)
    mix = random.standard_normal((dimension, dimension))
    return random.standard_normal((count, dimension)) @ mix + 3.0


def assert_equals(found, features, tolerance=1e-10):
    features = np.asarray(features, np.float64)
    scale = np.abs(np.cov(features, rowvar=False)).max()
    assert found.count == len(features)
    np.testing.assert_allclose(found.mean, features.mean(axis=0), rtol=tolerance)
    np.testing.assert_allclose(
        found.covariance, np.cov(features, rowvar=False), rtol=0, atol=tolerance * scale
    )


# --- streams


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(1, 16))
def test_batches_of_any_size_give_the_covariance_of_all(sizes, block):
    sizes = [*sizes, 2]
    features = draw(sum(sizes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "BLOCK_ROWS", block)
        stream = StreamingStatistics(5)
        for batch in np.split(features, np.cumsum(sizes)[:-1]):
            stream.update(batch)
    assert_equals(stream.result(), features)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6))
def test_merged_streams_give_the_covariance_of_all(sizes):
    sizes = [*sizes, 2]
    features = draw(sum(sizes))
    total = StreamingStatistics(5)
    for batch in np.split(features, np.cumsum(sizes)[:-1]):
        part = StreamingStatistics(5)
        part.update(batch)
        total.merge(part)
        assert part.count == len(batch)
    assert_equals(total.result(), features)


def test_a_mean_far_from_zero_costs_no_digits():
    features = draw(5000) + 1e6
    found = statistics_of(features)
    expected = np.cov(features - features.mean(axis=0), rowvar=False)
    np.testing.assert_allclose(found.covariance, expected, rtol=0, atol=1e-9 * expected.max())


def test_float32_features_are_summed_in_float64():
    features = draw(5000).astype(np.float32)
    assert_equals(statistics_of(iter(np.array_split(features, 70))), features)


def test_a_stream_goes_on_after_its_result():
    features = draw(30)
    stream = StreamingStatistics(5)
    stream.update(features[:10])
    first = stream.result()
    stream.update(features[10:])
    assert_equals(first, features[:10])
    assert_equals(stream.result(), features)


def test_the_callers_array_is_not_written():
    features = draw(20)
    before = features.copy()
    statistics_of(features)
    np.testing.assert_array_equal(features, before)


def test_faulty_batches_add_nothing():
    stream = StreamingStatistics(2)
    stream.update([[1.0, 2.0], [3.0, 5.0]])
    with pytest.raises(NonFiniteError, match="1 NaN or infinite values in 1 of 2 rows"):
        stream.update([[0.0, 0.0], [np.inf, 0.0]])
    with pytest.raises(MetricError, match="needs 2 dimensions"):
        stream.update([[0.0, 0.0, 0.0]])
    assert stream.count == 2 and stream.result().mean.tolist() == [2.0, 3.5]


def test_too_few_samples():
    with pytest.raises(TooFewSamplesError, match="Received: 1 samples"):
        statistics_of(np.zeros((1, 3)))
    with pytest.raises(TooFewSamplesError, match="empty"):
        statistics_of(iter([]))
    with pytest.raises(TooFewSamplesError, match="Received: 0 samples"):
        StreamingStatistics(3).result()
    with pytest.raises(UnlikeStatisticsError, match="3 and 4 dimensions"):
        StreamingStatistics(3).merge(StreamingStatistics(4))
    with pytest.raises(MetricError, match="dimension=0"):
        StreamingStatistics(0)


# --- what they were made of


@pytest.mark.parametrize(
    ("field", "value"),
    [("network", "cd" * 32), ("resizer", "clean"), ("quantisation", "jpeg-75")],
)
def test_unlike_statistics_do_not_compare(field, value):
    features = draw(9)
    real = statistics_of(features, KEY)
    fake = statistics_of(features, dataclasses.replace(KEY, **{field: value}))
    with pytest.raises(UnlikeStatisticsError, match=rf"{field}: .*{value}"):
        real.check_alike(fake)


def test_sets_and_sizes_may_differ():
    real = statistics_of(draw(9), KEY)
    fake = statistics_of(draw(12), dataclasses.replace(KEY, dataset="dcgan", split="f", count=12))
    real.check_alike(fake)


def test_a_missing_key_compares_with_a_missing_key_only():
    real, fake = statistics_of(draw(9), KEY), statistics_of(draw(9))
    with pytest.raises(UnlikeStatisticsError, match="Only one of the two"):
        real.check_alike(fake)
    fake.check_alike(statistics_of(draw(7)))
    with pytest.raises(UnlikeStatisticsError, match="5 and 4 dimensions"):
        fake.check_alike(statistics_of(draw(7, 4)))


def test_a_key_counts_what_was_measured():
    with pytest.raises(UnlikeStatisticsError, match="key.count=9, count=8"):
        statistics_of(draw(8), KEY)


def test_a_faulty_key_lists_all_its_faults():
    with pytest.raises(MetricError, match="resizer is.*network is.*count is"):
        dataclasses.replace(KEY, resizer="", network="xyz", count=True)


def test_every_field_changes_the_digest():
    others = dict(network="0" * 64, resizer="x", quantisation="x", dataset="x", split="x", count=8)
    digests = {dataclasses.replace(KEY, **{k: v}).digest for k, v in others.items()}
    assert len(digests | {KEY.digest}) == 7
    assert KEY.path("cache").name == f"{KEY.digest}.npz"


@pytest.mark.parametrize(
    ("mean", "covariance", "count", "message"),
    [
        (np.zeros(2), np.zeros((3, 3)), 5, "shape"),
        (np.zeros(2), np.float64([[1, np.nan], [np.nan, 1]]), 5, "2 in the covariance"),
        (np.zeros(2), np.float64([[1, 0], [1, 1]]), 5, "symmetric"),
        (np.zeros(2), np.eye(2), 1, "at least 2 samples"),
    ],
)
def test_faulty_statistics(mean, covariance, count, message):
    with pytest.raises(MetricError, match=message):
        Statistics(mean=mean, covariance=covariance, count=count)


# --- files


def test_round_trip(tmp_path):
    ours = statistics_of(draw(9), KEY)
    path = ours.save(KEY.path(tmp_path / "new"))
    found = load_statistics(path, KEY)
    assert (found.key, found.count) == (KEY, 9)
    np.testing.assert_array_equal(found.mean, ours.mean)
    np.testing.assert_array_equal(found.covariance, ours.covariance)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_other_programs_find_their_arrays_in_our_files(tmp_path):
    path = statistics_of(draw(9), KEY).save(tmp_path / "a.npz")
    with np.load(path, allow_pickle=False) as file:
        assert file["mu"].shape == (5,) and file["sigma"].shape == (5, 5)
    assert import_statistics(path).key is None


def test_a_cached_file_of_another_key_is_refused(tmp_path):
    path = statistics_of(draw(9), KEY).save(tmp_path / "a.npz")
    with pytest.raises(UnlikeStatisticsError, match="delete it"):
        load_statistics(path, dataclasses.replace(KEY, split="test"))


def test_a_published_file_is_hashed_before_it_is_parsed(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(b"not an archive")
    with pytest.raises(HashError, match="Expected: sha256 0000"):
        import_statistics(path, sha256="0" * 64)


def test_an_import_takes_the_count_of_its_key(tmp_path):
    np.savez(tmp_path / "a.npz", mu=np.zeros(3), sigma=np.eye(3))
    assert import_statistics(tmp_path / "a.npz", key=KEY).count == 9
    assert import_statistics(tmp_path / "a.npz").count is None


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_pickled_objects_are_refused(tmp_path):
    arrays = {"mu": np.array([Bomb(tmp_path / "ran")], dtype=object), "sigma": np.eye(1)}
    np.savez(tmp_path / "a.npz", **arrays)
    (tmp_path / "ran").unlink(missing_ok=True)
    with pytest.raises(StatisticsFileError, match="no readable .npz"):
        import_statistics(tmp_path / "a.npz")
    assert not (tmp_path / "ran").exists()


def test_damaged_files(tmp_path):
    path = statistics_of(draw(9), KEY).save(tmp_path / "a.npz")
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"<html>", whole[:60] + b"\0" * 40 + whole[100:]):
        path.write_bytes(data)
        with pytest.raises(StatisticsFileError):
            load_statistics(path)
    with pytest.raises(StatisticsFileError, match="does not exist"):
        load_statistics(tmp_path / "absent.npz")


def test_features_are_no_statistics(tmp_path):
    np.savez(tmp_path / "a_kid.npz", feats=np.zeros((3, 3)))
    with pytest.raises(StatisticsFileError, match="holds no \\['mu', 'sigma'\\]"):
        import_statistics(tmp_path / "a_kid.npz")


def test_a_bomb_of_zeros_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "FILE_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mu.npy", b"\0" * 2000)
    with pytest.raises(StatisticsFileError, match="unpacks to 2000 bytes"):
        import_statistics(tmp_path / "a.npz")


@pytest.mark.parametrize("key", ["{", json.dumps({"network": "ab" * 32}), "[]"])
def test_an_unreadable_key(tmp_path, key):
    np.savez(tmp_path / "a.npz", mu=np.zeros(3), sigma=np.eye(3), key=np.array(key))
    with pytest.raises(StatisticsFileError, match="key"):
        load_statistics(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("name", "resizer", "dataset", "split"),
    [
        ("cifar10_clean_train_32.npz", "clean", "cifar10-32", "train"),
        ("stats/FFHQ_legacy_pytorch_trainval70k_1024.npz", "torch", "FFHQ-1024", "trainval70k"),
        ("lsun_cat_legacy_tensorflow_train_256.npz", "tf1", "lsun_cat-256", "train"),
        ("mine_clean_clip_vit_b_32_custom_na.npz", "clean", "mine-na", "custom"),
    ],
)
def test_names_of_clean_fid(name, resizer, dataset, split):
    key = Key.from_clean_fid_name(name, network="ab" * 32, count=5)
    assert (key.resizer, key.dataset, key.split, key.count) == (resizer, dataset, split, 5)


@pytest.mark.parametrize("name", ["cifar10_clean_train_32_kid.npz", "fid_stats.npz"])
def test_names_that_are_not_of_clean_fid(name):
    with pytest.raises(StatisticsFileError, match="clean-fid names"):
        Key.from_clean_fid_name(name, network="ab" * 32)
