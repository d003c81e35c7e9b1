"""Trains a shipped classifier and writes its weights and what was measured.

    python tools/train_classifier.py NAME OUT [--epochs N]

OUT gets `<name>-classifier.safetensors` (to lie in ganzoo/weights, its sha256 in
ganzoo/metrics/classifier.py), `log.csv` and `result.json`.
"""

import argparse
import csv
import dataclasses
import json
import pathlib
import time

import keras
import numpy as np

from ganzoo import data
from ganzoo.data.avatars import ATTRIBUTES
from ganzoo.metrics import classifier
from ganzoo.metrics.records import versions

SETS = {
    "fashion": data.Dataset(name="fashion_mnist", label="label"),
    "avatars": data.Dataset(name="avatars/pixel_art_64", attributes=ATTRIBUTES),
    "avatars-32": data.Dataset(name="avatars/pixel_art_32", attributes=ATTRIBUTES),
}
CLASSES = {
    "fashion": "T-shirt trouser pullover dress coat sandal shirt sneaker bag boot".split(),
    "avatars": ATTRIBUTES,
    "avatars-32": ATTRIBUTES,
}
WIDTHS = {"fashion": (24, 48, 96), "avatars": (12, 24, 48, 96), "avatars-32": (16, 32, 96)}
EPOCHS = {"fashion": 14, "avatars": 5, "avatars-32": 8}


def split(name, part) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 images [N, H, W, C], labels) of a split."""
    batches = list(data.labelled_images(dataclasses.replace(SETS[name], split=part)))
    images, labels = (np.concatenate(parts) for parts in zip(*batches))
    return images, labels if labels.ndim == 1 else labels > 0.5


def right(learner, images, labels) -> np.ndarray:
    """bool [N], or [N, attributes]."""
    logits = learner.predict(images.astype("float32"), batch_size=500, verbose=0)
    return logits.argmax(axis=1) == labels if labels.ndim == 1 else (logits > 0) == labels


class Log(keras.callbacks.Callback):
    """Rows of `log.csv`."""

    def __init__(self, images, labels):
        super().__init__()
        self.test, self.rows, self.begin = (images, labels), [], time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {
            "epoch": epoch + 1,
            "loss": logs["loss"],
            "train_accuracy": logs["accuracy"],
            "test_accuracy": float(right(self.model, *self.test).mean()),
            "seconds": time.perf_counter() - self.begin,
        }
        self.rows.append(row)
        print(row, flush=True)


def accuracies(name, network, images, labels) -> dict:
    """Share of the test images on which the network is right: of all, and by class or attribute."""
    hits = right(network.logits_only(), images, labels)
    names = CLASSES[name]
    parts = hits.T if hits.ndim == 2 else [hits[labels == k] for k in range(len(names))]
    return {
        "test_accuracy": float(hits.mean()),
        "test_images": len(hits),
        "test_accuracy_of": {name: float(part.mean()) for name, part in zip(names, parts)},
    }


def train(name, out, epochs) -> dict:
    """Writes the weights and `log.csv` into a folder; returns what was measured."""
    test = split(name, "test")
    log, cpu = Log(*test), time.process_time()
    images, labels = split(name, "train")
    network = classifier.train_classifier(
        images, labels, epochs=epochs, widths=WIDTHS[name], callbacks=[log]
    )
    file = out / f"{name}-classifier.safetensors"
    sha256 = classifier.save_classifier(network, file)
    with open(out / "log.csv", "w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, log.rows[0])
        writer.writeheader()
        writer.writerows(log.rows)
    return {
        "command": f"python tools/train_classifier.py {name} OUT --epochs {epochs}",
        **accuracies(name, network, *test),
        "parameters": network.count_params(),
        "bytes": file.stat().st_size,
        "sha256": sha256,
        "seed": 0,
        "wall_seconds": round(time.perf_counter() - log.begin, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "versions": versions(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", choices=SETS)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()
    name, out = arguments.name, arguments.out
    out.mkdir(parents=True, exist_ok=True)
    result = train(name, out, arguments.epochs or EPOCHS[name])
    text = json.dumps(result, indent=2)
    (out / "result.json").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
