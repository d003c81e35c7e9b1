"""`Dataset`: plain values, and every refusal lists what is wrong."""

import dataclasses
import json

import pytest

from ganzoo import data
from ganzoo.data import Dataset


def test_dataset_survives_json():
    dataset = Dataset(
        name="celeb_a", crop=108, size=(64, 48), random_crop=(32, 32), attributes=("Smiling",)
    )
    again = Dataset(**json.loads(json.dumps(dataclasses.asdict(dataset))))
    assert again == dataset and hash(again) == hash(dataset)


def test_mixture_defaults_become_explicit():
    assert dataclasses.asdict(Dataset(name="ring"))["std"] == 0.02
    assert Dataset(name="grid").mixture() == data.grid()


@pytest.mark.parametrize(
    "fields, fault",
    [
        ({}, "Received neither"),
        ({"name": ""}, "name="),
        ({"name": "mnist", "folder": "x"}, "exclude each other"),
        ({"folder": "x", "split": "test"}, "split='test'"),
        ({"name": "mnist", "size": 0}, "size=0"),
        ({"name": "mnist", "size": (32, 32, 3)}, "size="),
        ({"name": "mnist", "size": True}, "size=True"),
        ({"name": "mnist", "crop": "centre"}, "crop='centre'"),
        ({"name": "mnist", "size": 8, "random_crop": 9}, "at most size=8"),
        ({"name": "mnist", "channels": 4}, "channels=4"),
        ({"name": "mnist", "limit": 0}, "limit=0"),
        ({"name": "mnist", "flip": 1}, "flip=1"),
        ({"name": "mnist", "resize_method": "sinc"}, "lanczos3"),
        ({"name": "celeb_a", "label": "label", "attributes": ("Smiling",)}, "leave one out"),
        ({"name": "celeb_a", "attributes": "Smiling"}, "tuple of str"),
        ({"name": "ring", "size": 32}, "points, not images"),
        ({"name": "mnist", "modes": 8}, "only the mixtures"),
        ({"name": "grid", "modes": 8}, "square number"),
        ({"name": "ring", "std": 0.0}, "above 0"),
    ],
)
def test_dataset_refuses(fields, fault):
    with pytest.raises(ValueError, match="Received") as error:
        Dataset(**fields)
    assert fault in str(error.value)


def test_dataset_lists_all_faults():
    with pytest.raises(ValueError) as error:
        Dataset(name="mnist", size=0, channels=2, limit=-1)
    assert all(field in str(error.value) for field in ("size=0", "channels=2", "limit=-1"))
