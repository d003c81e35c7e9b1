"""Constructor arguments as configs: those of every class, and `captured` by itself."""

import dataclasses
import inspect
import json
import pathlib
import sys

import keras
import pytest

from ganzoo import augment, families, losses, penalties
from ganzoo.arguments import captured
from ganzoo.ema import EMA
from ganzoo.gan import GAN
from ganzoo.generator import Generator
from ganzoo.growing_gan import Growth
from ganzoo.latent_gan import LatentGAN

GOLDEN = pathlib.Path(__file__).parent / "golden" / "config"
# Small, and with as few defaults as possible: {family, and which of its networks: arguments}.
FAMILIES = {
    "cgan": dict(
        image_size=8, latent_dim=5, channels=3, num_classes=0, num_attributes=4,
        mlp_widths=[[6, 7, 8], [9, 10, 11]], dropout=0.25, loss="hinge", critic_steps=2,
        augment=augment.DiffAugment(["cutout"]), seed=3,
    ),
    "cgan.conv": dict(networks="conv", image_size=8, latent_dim=5, width=2, kernel_size=4),
    "cgan.dcgan": dict(
        networks="dcgan", image_size=8, latent_dim=5, width=2, dropout=0.5, use_bias=True,
    ),
    "dcgan": dict(
        image_size=16, latent_dim=5, width=4, channels=1, discriminator_width=6, variant="paper",
        use_bias=True, leak=0.1, loss=losses.NonSaturating(real_label=0.9), seed=4,
        penalties=[penalties.R1(3, interval=4), penalties.DRAGAN(noise_scale=0.1)],
        ema=EMA(half_life_images=50, rampup=0.5),
    ),
    "lsgan": dict(
        image_size=16, latent_dim=5, width=4, channels=1, networks="dcgan", kernel_size=4,
        prior="normal", discriminator_width=5, leak=0.3, labels=[-1.0, 1.0, 0.0],
    ),
    "progan": dict(
        image_size=[4, 8], latent_dim=5, num_classes=2, channel_base=32, channel_max=6,
        norm="none", epsilon=1e-4, first_bias="pixel", discriminator={"std_channels": 0},
        gradient_penalty=5.0, target=2.0, drift=0.1, growth=Growth(4, 10, 20),
        rate_multipliers={8: 2}, augment="bg",
    ),
    "stylegan": dict(
        image_size=8, latent_dim=5, style_dim=6, channel_base=32, channel_max=6, activation="relu",
        first="dense", epilogue=["style", "noise"], mapping={"num_layers": 2}, taps=None,
        structure="fixed", r1_gamma=2.0, style_mixing=0.5, ema=None,
    ),
    "stylegan2": dict(
        image_size=8, latent_dim=5, style_dim=6, num_classes=2, channel_base=32, channel_max=6,
        architecture="resnet", noise="none", conv_clamp=256, mapping={"num_layers": 2},
        discriminator={"group_size": 2}, r1_interval=8, path_length_weight=1.0,
        augment=augment.AdaptiveAugment("bg", 0.1, strengths={"rotation": 0.5}, interval=2),
    ),
    "stylegan3": dict(
        image_size=16, latent_dim=5, style_dim=6, equivariance="rotation", channel_base=64,
        channel_max=8, bands={"num_layers": 4}, layers_options={"clamp": None}, r1_interval=2,
        discriminator={"conv_clamp": None},
    ),
    "vanilla_gan": dict(
        shape=[2], latent_dim=5, widths=[6, 7], activation="tanh", output="linear",
        discriminator="tanh", discriminator_widths=[8], dropout=[0, 0.5], loss="minimax",
        initializer=keras.initializers.Orthogonal(1.4),
    ),
    "wgan": dict(
        image_size=16, latent_dim=5, width=4, channels=1, clip=0.1, critic_steps=2, warmup_steps=3,
        warmup_iterations=4, warmup_every=5,
    ),
    "wgangp": dict(
        image_size=16, latent_dim=5, networks="resnet", critic_width=4, critic_norm="layer",
        gradient_penalty=1.0, critic_steps=1, fakes="shared", seed=2,
    ),
}


def make(name):
    """A GAN of a key of `FAMILIES`."""
    return families.construct(name.partition(".")[0], FAMILIES[name])


def parts():
    """Objects with arguments, not the defaults where there is a choice."""
    from ganzoo.layers import (
        adaptive_normalization,
        alias_free,
        equalized,
        growing,
        growing_modulated,
        layer_normalization,
        maxout,
        minibatch_std,
        modulated_convolution,
        pixel_norm,
        style_mapping,
    )
    from ganzoo.layers import stylegan2_discriminator as stylegan2
    from ganzoo.layers.bands import Band

    options = dict(activation="relu", conv_clamp=None, taps=[1, 2, 1])
    sizes = dict(channel_base=32, channel_max=6, activation="relu", taps=[1, 2, 1])
    bands = Band(8, 4, 1.0, 0.5), Band(12, 8, 2.0, 1.0)
    convolution = dict(activation="relu", conv_clamp=4, taps=(1, 2, 1), up=2, name="layer")
    return [
        EMA(decay=0.9),
        Growth(8, 10, 20),
        losses.Minimax(real_label=0.9),
        losses.NonSaturating(target_label=0.9),
        losses.LeastSquares(fake_label=-1, scale=(0.5, 1)),
        losses.FDivergence("gan", generator_objective="alternative"),
        penalties.GradientPenalty(5.0, target=2.0, sides="one", interval=2),
        penalties.MaxGradientPenalty(2.0, alpha_weighs="fake"),
        penalties.R1(3.0, interval=16),
        penalties.R2(4.0, name="other"),
        penalties.DRAGAN(5.0, variant="paper"),
        penalties.PathLength(1.0, shrink=3, interval=4),
        penalties.WeightClip(0.1),
        augment.ImageTransforms({"rotation": 0.5}, 0.5, strengths={"rotation": 0.25}),
        augment.AdaptiveAugment("blit", strengths={"hue": 1.0}, target=0.5, ramp_images=10),
        augment.DiffAugment(("color",), name="other"),
        adaptive_normalization.StyleEpilogue(8, steps=["style", "noise"], name="layer"),
        alias_free.AliasFreeConv2D(4, *bands, activation="linear", name="layer"),
        alias_free.FourierFeatures(4, 8, 4, 1.0, name="layer"),
        equalized.EqualizedConv2D(4, 3, gain=2.0, use_bias=False, name="layer"),
        equalized.EqualizedDense(4, lr_multiplier=0.5, bias_initializer="ones", name="layer"),
        growing.GrowingTrunk(8, 2, pooling="after", name="layer", **sizes),
        growing_modulated.ResampledTrunk(8, 2, group_size=None, name="layer", **sizes),
        layer_normalization.LayerNormalization(epsilon=1e-3, name="layer"),
        maxout.Maxout(4, 2, kernel_initializer="he_normal", name="layer"),
        minibatch_std.MinibatchStd(None, 2, name="layer"),
        modulated_convolution.ResampledConv2D(4, 3, down=2, **convolution),
        modulated_convolution.StyledConv2D(4, 3, noise_side=8, **convolution),
        modulated_convolution.ToImage(3, conv_clamp=4, name="layer"),
        pixel_norm.PixelNorm(1e-4, name="layer"),
        style_mapping.StyleMapping(4, None, embed_dim=3, conditioning="concat", activation="relu"),
        families.module_of("stylegan").StyleGANMapping(4, 5, num_layers=2, dtype="float64"),
        stylegan2.DiscriminatorBlock(
            4, 6, architecture="skip", from_rgb="later", options=options, name="layer"
        ),
        stylegan2.DiscriminatorEpilogue(
            2, architecture="orig", group_size=2, std_channels=0, options=options, name="layer"
        ),
        stylegan2.Projection("selection", name="layer"),
    ]


def configs(gan):
    """{name: config} of a GAN, without its name, which Keras numbers, and of its networks."""
    config = {key: value for key, value in gan.get_config().items() if key != "name"}
    return {"gan": config, **{name: net.get_config() for name, net in gan.networks().items()}}


def plain(config):
    return json.loads(json.dumps(config))


def again(thing):
    """Made from its config, as JSON holds it."""
    return type(thing).from_config(plain(thing.get_config()))


# --- every class


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_config(name):
    """The config is that of the golden file, and makes the same model."""
    gan = make(name)
    assert plain(configs(gan)) == json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    assert configs(again(gan)) == configs(gan)
    for network in gan.networks().values():
        assert again(network).get_config() == network.get_config()


def test_the_parts_configs():
    """The configs are those of the golden file, and make the same objects."""
    golden = json.loads((GOLDEN / "parts.json").read_text("utf-8"))
    assert {type(part).__name__: plain(part.get_config()) for part in parts()} == golden
    for part in parts():
        assert again(part).get_config() == part.get_config()


def test_no_captured_class_is_left_out():
    made = {type(part) for part in parts()}
    for name in FAMILIES:
        gan = make(name)
        made |= {type(gan)}
        for network in gan.networks().values():
            made |= {type(layer) for layer in network._flatten_layers()}  # itself too
    captured_classes = {
        cls
        for module in [m for name, m in sys.modules.items() if name.startswith("ganzoo.")]
        for cls in vars(module).values()
        if inspect.isclass(cls) and cls.__module__.startswith("ganzoo.")
        if "__wrapped__" in vars(vars(cls).get("__init__", inspect))
    }
    abstract = {"Augment", "GAN", "GrowingGAN", "LatentGAN", "Penalty"}
    names = {cls.__name__ for cls in captured_classes - made}
    assert {name for name in names if not name.startswith("_")} == abstract


def test_the_config_is_a_copy():
    options = {"num_layers": 2}
    gan = families.construct("stylegan2", {**FAMILIES["stylegan2"], "mapping": options})
    options["num_layers"] = 3
    assert gan.get_config()["mapping"] == {"num_layers": 2}


# --- the decorator


@captured
class Plain:
    def __init__(self, one, two=2, *, three=(3, 3), four=None):
        self.one, self.two = one, two
        if four is None:
            self.config.update(four=4 * one)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@captured
class Child(Plain):
    """Leaves open `one` and `four`, sets `two`, and has another `three`."""

    def __init__(self, width=5, three=7, **kwargs):
        super().__init__(two=width, three=(three, three), **kwargs)


@captured
class Grandchild(Child):
    def __init__(self, three=8, **kwargs):
        super().__init__(width=9, three=three, **kwargs)


def test_arguments_given_and_not():
    assert Plain(1).get_config() == {"one": 1, "two": 2, "three": (3, 3), "four": 4}
    assert Plain(1, 3, three=[4, [5]], four=0).get_config() == {
        "one": 1, "two": 3, "three": (4, (5,)), "four": 0,
    }


def test_subclasses():
    child = Child(one=1, four=0)
    assert child.two == 5
    assert child.get_config() == child.config == {"width": 5, "three": 7, "one": 1, "four": 0}
    assert Child(6, 8, one=1).get_config() == {"width": 6, "three": 8, "one": 1, "four": 4}
    grandchild = Grandchild(one=1)
    assert grandchild.get_config() == {"three": 8, "one": 1, "four": 4}
    for thing in (child, grandchild):
        assert again(thing).get_config() == thing.get_config()


def test_a_subclass_that_changes_what_it_passes_on_keeps_its_own():
    @captured
    class Doubled(Plain):
        def __init__(self, one=1, **kwargs):
            super().__init__(2 * one, **kwargs)

    assert Doubled(3).get_config()["one"] == 3 and again(Doubled(3)).one == 6


def test_keras_objects_and_data_classes():
    @dataclasses.dataclass
    class Pair:
        a: int
        b: int

    thing = Plain([EMA(0.9), {"x": Pair(1, 2)}], keras.initializers.Zeros(), four=0)
    config = thing.get_config()
    assert config["one"][0] == keras.saving.serialize_keras_object(EMA(0.9))
    assert config["one"][1] == {"x": {"a": 1, "b": 2}}
    assert config["two"]["class_name"] == "Zeros"


def test_wrong_calls_are_refused_as_ever():
    for call in (lambda: Plain(), lambda: Plain(1, 2, 3), lambda: Plain(1, five=5)):
        with pytest.raises(TypeError, match=r"__init__\(\)"):
            call()
    assert list(inspect.signature(Plain).parameters) == ["one", "two", "three", "four"]


def test_arguments_without_names():
    with pytest.raises(TypeError, match="Nameless.__init__ must name its arguments"):

        @captured
        class Nameless:
            def __init__(self, *args):
                pass


# --- a family of the user's own


@keras.saving.register_keras_serializable(package="tests")
@captured
class OwnGenerator(Generator):
    def __init__(self, latent_dim=4, width=3, *, name="generator", **kwargs):
        with keras.name_scope(name):
            latents = keras.Input((latent_dim,), name="latents")
            x = keras.layers.Dense(width, "relu", name="hidden")(latents)
            points = keras.layers.Dense(2, dtype="float32", name="point")(x)
        super().__init__(latents, points, name=name, **kwargs)
        self.latent_dim = latent_dim

    def finish(self, images):
        return images


@keras.saving.register_keras_serializable(package="tests")
@captured
class OwnDiscriminator(keras.Model):
    def __init__(self, width=3, *, name="discriminator", **kwargs):
        with keras.name_scope(name):
            points = keras.Input((2,), name="points")
            x = keras.layers.Dense(width, "relu", name="hidden")(points)
            logit = keras.layers.Dense(1, dtype="float32", name="logit")(x)
        super().__init__(points, logit, name=name, **kwargs)


@keras.saving.register_keras_serializable(package="tests")
@captured
class OwnGAN(LatentGAN):
    def __init__(self, latent_dim=4, width=3, *, critic_width=None, loss="hinge", **kwargs):
        critic_width = width if critic_width is None else critic_width
        self.config.update(critic_width=critic_width)
        super().__init__(
            OwnGenerator(latent_dim, width), OwnDiscriminator(critic_width), loss=loss,
            penalties=[penalties.R1(1.0)], **kwargs,
        )

    def default_optimizers(self):
        return {f"{p}_optimizer": keras.optimizers.Adam() for p in ("generator", "discriminator")}


def test_a_family_of_ones_own(tmp_path):
    gan = OwnGAN(5, ema=EMA(0.5), seed=7)
    config = gan.get_config()
    assert set(config) == {
        "latent_dim", "width", "critic_width", "loss", "augment", "critic_steps", "fakes", "ema",
        "seed", "name",
    }
    assert (config["latent_dim"], config["critic_width"], config["seed"]) == (5, 3, 7)
    assert config["loss"]["class_name"] == "Hinge"
    assert gan.generator.get_config() == {"latent_dim": 5, "width": 3, "name": "generator"}
    gan.compile()
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.get_config() == config
    for a, b in zip(loaded.get_weights(), gan.get_weights(), strict=True):
        assert (a == b).all()


def test_a_family_without_a_latent_space():
    @captured
    class Pairs(GAN):
        def __init__(self, width=3, **kwargs):
            super().__init__(ema=None, name="pairs", **kwargs)

    assert Pairs(4, seed=2).get_config() == {"width": 4, "seed": 2}
    assert again(Pairs(4)).get_config() == {"width": 4, "seed": 0}
