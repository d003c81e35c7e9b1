"""The conditional GAN of the paper (fully connected) on MNIST."""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.cgan import CGAN

    return CGAN(28, 100, networks="mlp")


recipe = Recipe(
    paper="arXiv:1411.1784, section 4.1",
    dataset=Dataset(name="mnist", label="label"),
    model=model,
    batch_size=100,
    images=250 * 60_000,
    deviations=(
        "the momentum stays at 0.5 instead of rising to 0.7",
        "250 epochs: the paper stops by the log-likelihood of a validation set",
    ),
)
