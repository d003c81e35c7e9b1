"""The 2014 GAN on MNIST with the settings of the official mnist.yaml."""

from ganzoo.data import Dataset
from ganzoo.recipe import Recipe


def model():
    from ganzoo.families.vanilla_gan import VanillaGAN

    return VanillaGAN((28, 28, 1), 100, (1200, 1200), prior="uniform")


recipe = Recipe(
    paper="arXiv:1406.2661, section 5; goodfeli/adversarial mnist.yaml",
    dataset=Dataset(name="mnist", split="train[:50000]"),
    model=model,
    batch_size=100,
    images=250 * 50_000,  # the epochs over which mnist.yaml raises the momentum
    published={"parzen_log_likelihood": 225.0},
    deviations=("the momentum stays at 0.5 instead of rising to 0.7 over 250 epochs",),
)
