"""The 2014 game of fully connected networks on Fashion-MNIST; minutes on two CPU cores."""

import keras

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.ema import EMA
    from ganzoo.families.vanilla_gan import VanillaGAN

    return VanillaGAN(
        (28, 28, 1),
        64,
        (512, 512),
        activation="relu",
        output="tanh",
        prior="normal",
        discriminator="leaky_relu",
        discriminator_widths=(512, 256),
        dropout=(0.0, 0.3),
        initializer="glorot_uniform",
        ema=EMA(half_life_images=10_000, rampup=0.05),
    )


def optimizers():
    def adam():
        return keras.optimizers.Adam(2e-4, beta_1=0.5, epsilon=1e-8)

    return {"generator_optimizer": adam(), "discriminator_optimizer": adam()}


recipe = Recipe(
    paper="arXiv:1406.2661, algorithm 1 with k = 1",
    dataset=Dataset(name="fashion_mnist"),
    model=model,
    optimizers=optimizers,
    batch_size=128,
    images=2_400_000,  # 40 epochs
    epoch_images=120_000,
    deviations=(
        "ReLU and LeakyReLU layers with Adam instead of maxout with SGD",
        "tanh output on [-1, 1] instead of a sigmoid on [0, 1]; normal latents",
        "the published generator is an exponential average of the weights",
    ),
)
