"""What the recipes on mixtures of Gaussians share; see `gaussians_ring8.py` and
`gaussians_grid16.py`.
"""

import functools

import keras

from ganzoo import losses
from ganzoo.data import Dataset
from ganzoo.recipe import Recipe

# Eq. 5's generator maximises t^2 / 4 + t, which also grows below t = -2: it ran off to where the
# critic says "fake" (0 modes on both mixtures). Section 3.2's objective has no such branch.
ALTERNATIVE = {
    "f_pearson_chi2": losses.FDivergence("pearson_chi2", generator_objective="alternative")
}
NOTES = {"f_pearson_chi2": "; Pearson chi-squared with the objective of section 3.2"}
STEPS = 5_000
BATCH = 256


def model(loss):
    """An MLP pair on points, three hidden layers of 128, with gan_toy.py's gradient penalty.

    Latents have two dimensions: with 32, 5,000 steps put few samples near a mode of the grid.
    """
    from ganzoo.ema import EMA
    from ganzoo.families.vanilla_gan import VanillaGAN
    from ganzoo.penalties import GradientPenalty

    return VanillaGAN(
        (2,),
        2,
        (128, 128, 128),
        activation="relu",
        output="linear",
        prior="normal",
        discriminator="leaky_relu",
        discriminator_widths=(128, 128, 128),
        dropout=(0.0, 0.0),
        initializer="he_normal",
        loss=ALTERNATIVE[loss] if loss in ALTERNATIVE else loss,
        penalties=[GradientPenalty(0.1)],
        ema=EMA(half_life_images=20_000, rampup=0.05),
    )


def optimizers():
    def adam():
        rate = keras.optimizers.schedules.PolynomialDecay(1e-3, STEPS, 0.0)
        return keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9, epsilon=1e-8)

    return {"generator_optimizer": adam(), "discriminator_optimizer": adam()}


def recipe(kind, modes, loss):
    """The recipe of one mixture and one loss."""
    return Recipe(
        paper="arXiv:1704.00028, gan_toy.py: mixtures, penalty 0.1; arXiv:1611.02163: coverage",
        dataset=Dataset(name=kind, modes=modes, radius=2.0, std={"ring": 0.02, "grid": 0.04}[kind]),
        model=functools.partial(model, loss),
        optimizers=optimizers,
        batch_size=BATCH,
        images=STEPS * BATCH,
        epoch_images=STEPS * BATCH // 5,
        deviations=(
            "one critic step instead of five, Adam 1e-3 falling to 0 instead of 1e-4, 5,000 steps",
            "widths 128 instead of 512" + NOTES.get(loss, ""),
            "the same gradient penalty for every loss; modes lie at endpoint=False angles",
        ),
    )


def variants(kind, modes):
    """{loss name: recipe}."""
    return {loss: recipe(kind, modes, loss) for loss in losses.NAMES}
