"""What the tests of the command line share."""

import os
import subprocess
import sys

import tensorflow as tf

FACES, RING, HINGE = "dcgan-digiface-64", "gan-ring8-wasserstein", "gan-ring8-hinge"
RECIPE = """
from ganzoo.data import Dataset
from ganzoo.recipe import Recipe

def model():
    from ganzoo.families.vanilla_gan import VanillaGAN
    return VanillaGAN(
        (2,), 4, (8,), output="linear", discriminator="leaky_relu", discriminator_widths=(8,),
        dropout=(0.2, 0.3), initializer="glorot_uniform", critic_steps=2,
    )

def optimizers():
    import keras
    names = ("generator_optimizer", "discriminator_optimizer")
    return {name: keras.optimizers.Adam(1e-3) for name in names}

recipe = Recipe(
    paper="arXiv:1406.2661", dataset=Dataset(name="ring"), model=model, optimizers=optimizers,
    batch_size=4, images=48, epoch_images=24,
)
"""


def command(root, *arguments):
    """The words that start the command line in a process of its own, and its environment."""
    variables = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    variables |= {"PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""}
    return [sys.executable, "-m", "ganzoo", *map(str, arguments)], variables


def process(root, *arguments):
    words, variables = command(root, *arguments)
    return subprocess.run(words, capture_output=True, text=True, env=variables, timeout=300)


def png(path):
    return tf.io.decode_png(path.read_bytes()).numpy()


def names(out):
    return [line.split()[0] for line in out.splitlines()]
