"""StyleGAN2 with ADA on CIFAR-10 without labels: `cifar`. Variant: `labels`."""

import dataclasses

import keras

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model(num_classes=0):
    from ganzoo.ema import EMA
    from ganzoo.families.stylegan2 import StyleGAN2

    return StyleGAN2(
        32,
        num_classes=num_classes,
        conv_clamp=256,
        mapping={"num_layers": 2},
        discriminator={"architecture": "orig", "group_size": 32},
        r1_gamma=0.01,
        path_length_weight=0.0,
        style_mixing=0.0,
        augment="bgc",
        ema=EMA(half_life_images=500_000, rampup=0.05),
    )


def optimizers():
    share = 16 / 17  # the discriminator's lazy R1
    return {
        "generator_optimizer": keras.optimizers.Adam(0.0025, 0.0, 0.99, epsilon=1e-8),
        "discriminator_optimizer": keras.optimizers.Adam(
            0.0025 * share, 0.0, 0.99**share, epsilon=1e-8
        ),
    }


recipe = Recipe(
    paper="arXiv:2006.06676, appendix D; stylegan2-ada-pytorch train.py, --cfg=cifar",
    dataset=Dataset(name="cifar10"),
    model=model,
    optimizers=optimizers,
    batch_size=64,
    images=100_000_000,
    epoch_images=200_000,
)
variants = {
    "labels": dataclasses.replace(
        recipe,
        dataset=Dataset(name="cifar10", label="label"),
        model=lambda: model(num_classes=10),
    ),
}
