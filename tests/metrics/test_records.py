"""Records: what they hold, what they refuse to compare, and their files."""

import json

import pytest

from ganzoo.errors import GanzooError, MetricError
from ganzoo.metrics import records
from ganzoo.metrics.records import (
    PROTOCOL,
    Record,
    RecordFileError,
    UnlikeRecordsError,
    check_alike,
    is_better,
    ranked,
)


def record(value=1.0, **fields):
    known = {
        "metric": "fid-inception",
        "better": "lower",
        "network": "ab" * 32,
        "resizer": "tf1",
        "quantisation": "uint8",
        "data": "cifar10",
        "split": "train",
        "mirror": "none",
        "n_real": 50_000,
        "n_fake": 50_000,
        "ema": True,
        "seed": 0,
        "settings": {"reference": "exact"},
        "model": "sngan",
    }
    return Record(value=value, **{**known, **fields})


OTHER = {
    "metric": "fid-inception-clean",
    "network": "cd" * 32,
    "resizer": "clean",
    "quantisation": "jpeg-75",
    "data": "cifar100",
    "split": "test",
    "mirror": "both",
    "n_real": 10_000,
    "n_fake": 10_000,
    "truncation": 0.7,
    "ema": False,
    "settings": {"reference": "pytorch-fid"},
}


def test_the_other_values_name_every_field_of_the_protocol():
    assert set(OTHER) == set(PROTOCOL)


@pytest.mark.parametrize("field", PROTOCOL)
def test_records_that_differ_in_one_field_do_not_compare(field):
    unlike = record(2.0, model="other", **{field: OTHER[field]})
    with pytest.raises(UnlikeRecordsError, match=f"{field}: .*sngan.*other"):
        ranked([record(), unlike])
    assert len(ranked([record(), unlike], varying=[field])) == 2


def test_all_differences_are_told_at_once():
    with pytest.raises(UnlikeRecordsError, match="resizer.*; split"):
        check_alike([record(), record(resizer="clean", split="test")])


@pytest.mark.parametrize("field", ["seed", "labels", "model", "weights", "command"])
def test_what_describes_the_model_may_differ(field):
    check_alike([record(), record(**{field: "another"})])


def test_only_fields_of_the_protocol_vary():
    with pytest.raises(MetricError, match="seeds"):
        check_alike([record()], varying=["seeds"])


def test_the_best_comes_first_whichever_way_is_better():
    low, high = record(1.0), record(3.0)
    assert ranked([high, low]) == [low, high]
    low, high = (record(v, better="higher", metric="is-inception") for v in (1.0, 3.0))
    assert ranked([low, high]) == [high, low]


def test_the_best_so_far_is_beaten_only_by_a_better_one():
    assert is_better(record(2.0), None)
    assert is_better(record(1.0), record(2.0))
    assert not is_better(record(2.0), record(2.0))
    with pytest.raises(UnlikeRecordsError):
        is_better(record(1.0), record(2.0, split="test"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "3", True])
def test_values_are_finite_numbers(value):
    with pytest.raises(MetricError, match="finite"):
        record(value)


def test_a_direction_is_lower_or_higher():
    with pytest.raises(MetricError, match="bigger"):
        record(better="bigger")


def test_files_give_back_what_was_saved(tmp_path):
    kept = [record(0.1 + 0.2), record(3, metric="modes", settings={"mixture": {"std": 0.02}})]
    path = records.save(tmp_path / "new" / "records.json", kept)
    assert records.load(path) == kept
    assert records.of(path) == records.of(path.parent) == kept
    assert [p.name for p in path.parent.iterdir()] == ["records.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 2, "records": []}',
        '{"version": 1}',
        '{"version": 1, "records": [{"metric": "fid"}]}',
        '{"version": 1, "records": [{"metric": "fid", "value": NaN, "better": "lower"}]}',
        '{"version": 1, "records": [{"unknown": 3}]}',
    ],
)
def test_damaged_files_are_refused(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(RecordFileError, match="r.json"):
        records.load(tmp_path / "r.json")


def test_a_missing_file_says_how_to_write_one(tmp_path):
    with pytest.raises(RecordFileError, match="ganzoo evaluate"):
        records.of(tmp_path / "none.json")
    assert issubclass(RecordFileError, GanzooError)


def test_a_table_names_value_deviation_direction_and_protocol():
    text = records.table([record(12.3456), record(0.5, metric="is-inception", deviation=0.01)])
    assert "fid-inception  12.35  (lower is better)" in text
    assert "0.5 +- 0.01" in text
    assert "n_real=50000 of cifar10 train" in text and "resizer tf1" in text


def test_a_comparison_ranks_each_metric_with_bars():
    text = records.comparison([record(4.0, model="b"), record(2.0, model="a")])
    first, second = text.splitlines()[1:3]
    assert first.split()[:2] == ["a", "2"] and second.split()[:2] == ["b", "4"]
    assert 2 * first.count("█") == second.count("█") == 30


def test_a_comparison_refuses_unlike_records():
    with pytest.raises(UnlikeRecordsError, match="n_fake"):
        records.comparison([record(), record(n_fake=5000)])


def test_what_varies_is_told_beside_the_model():
    text = records.comparison(
        [record(truncation=0.5), record(2.0, truncation=0.7)], varying=["truncation"]
    )
    assert "sngan truncation=0.5" in text and "sngan truncation=0.7" in text


def test_a_step_of_training_is_told_beside_the_model():
    ranking = records.comparison([record(2.0, step=40), record(1.0, step=80)])
    assert [" ".join(line.split()[:3]) for line in ranking.splitlines()[1:3]] == [
        "sngan step 80",
        "sngan step 40",
    ]
    check_alike([record(step=40), record(step=80), record()])
    assert record(step=40).json()["step"] == 40 and "step" not in record().json()


def test_a_plot_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    path = records.plot(tmp_path / "p.png", [record(), record(2.0, model="b")])
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_records_are_plain_json():
    assert json.loads(json.dumps(record().json()))["n_fake"] == 50_000
