"""Writes what lies beside it. It was run once, in the commit 30f8870, whose files must load and
resume for ever: `python tests/first_storey/make.py`.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).resolve().parent
STEPS, MORE = 3, 9  # before a file is saved; after it was loaded
SIZES = {
    "cgan": (12, 3), "dcgan": (32, 1), "progan": (8, 3), "stylegan2": (16, 3), "wgangp": (14, 1)
}


def models():
    """{name: () -> GAN}, small, with what training keeps between steps."""
    import ganzoo
    from ganzoo.ema import EMA
    from ganzoo.growing_gan import Growth

    return {
        "cgan": lambda: ganzoo.CGAN(
            12, 6, 4, channels=3, num_classes=3, networks="conv", kernel_size=4, loss="hinge",
            mlp_widths=((1, 2, 3), (4, 5, 6)), dropout=0.1, critic_steps=2, augment="diffaugment",
            ema=EMA(half_life_images=20), seed=5,
        ),
        "dcgan": lambda: ganzoo.DCGAN(32, 6, 4, channels=1, variant="pytorch", seed=6),
        "progan": lambda: ganzoo.ProGAN(
            8, 6, channel_base=32, channel_max=6, growth=Growth(4, 8, 8), seed=1
        ),
        "stylegan2": lambda: ganzoo.StyleGAN2(
            16, 6, 8, channel_base=64, channel_max=6, augment="bgc", seed=1
        ),
        "wgangp": lambda: ganzoo.WGANGP(
            14, 6, 4, channels=1, networks="dcgan", critic_width=3, generator_norm="none", seed=2
        ),
    }


def batches(name, first, steps):
    """The batches of the steps `first` .. `first + steps - 1`."""
    size, channels = SIZES[name]
    state = np.random.RandomState(7)
    count = STEPS + MORE
    images = state.randint(0, 256, (4 * count, size, size, channels), "uint8")
    labels = np.arange(4 * count, dtype="int32") % 3
    data = {"image": images, "label": labels} if name == "cgan" else {"image": images}
    return tf.data.Dataset.from_tensor_slices(data).batch(4).skip(first).take(steps)


def state_of(gan):
    """Every number that training changes, in the order in which Keras lists them."""
    optimizers = gan.generator_optimizer, gan.discriminator_optimizer
    variables = [*gan.variables, *(v for optimizer in optimizers for v in optimizer.variables)]
    return {f"{i:03}": np.asarray(v.value.numpy()) for i, v in enumerate(variables)}


def make(name, build):
    keras.utils.set_random_seed(0)
    gan = build()
    gan.compile()
    gan.fit(batches(name, 0, STEPS), verbose=0)
    gan.save(HERE / f"{name}.keras")
    if name == "cgan":
        gan.save_pretrained(HERE / "cgan_pretrained")
    np.savez_compressed(HERE / f"{name}_saved.npz", **state_of(gan))
    gan.fit(batches(name, STEPS, MORE), verbose=0)
    np.savez_compressed(HERE / f"{name}_resumed.npz", **state_of(gan))


def make_runs():
    from ganzoo import recipe as recipes

    os.chdir(HERE)
    pathlib.Path("pictures").mkdir(exist_ok=True)
    for i in range(12):
        pixels = np.random.RandomState(i).randint(0, 256, (16, 16, 3), "uint8")
        pathlib.Path(f"pictures/{i:02}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    for name in ("points", "pictures"):
        recipe = recipes.read(f"recipe.py:{name}")
        whole = recipes.run(recipe, f"/tmp/ganzoo_whole_{os.getpid()}_{name}", verbose=0)
        np.savez_compressed(f"run_{name}_resumed.npz", **state_of(whole))
        keep, times = recipes._Keeper.keep, []

        def second(self):
            keep(self)
            times.append(1)
            if len(times) == 2:
                raise KeyboardInterrupt

        recipes._Keeper.keep = second
        try:
            recipes.run(recipe, f"run_{name}", name=name, verbose=0)
        except KeyboardInterrupt:
            pass
        recipes._Keeper.keep = keep


if __name__ == "__main__":
    for name, build in models().items():
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            make(name, build)
    if len(sys.argv) == 1 or "runs" in sys.argv[1:]:
        make_runs()
