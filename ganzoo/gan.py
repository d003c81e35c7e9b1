"""The two-player training loop: `Phase` and `GAN`.

A training step is an ordered list of phases. A phase is one optimizer step of one of two players,
every k-th step: critic steps, lazy penalties and plain alternation are the same mechanism. Families
say which networks each player owns and what its losses are; nobody but `GAN` writes a `train_step`.
"""

import dataclasses
import pathlib
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from ganzoo.arguments import captured
from ganzoo.ema import EMA
from ganzoo.origin import INITIAL, Origin

Batch = dict[str, tf.Tensor]
PLAYERS = ("discriminator", "generator")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One optimizer step inside a training step.

    Args:
        name: str. Prefix of its logs: `"discriminator"`, `"r1"`, `"generator"`.
        player: `"discriminator"` or `"generator"`: whose variables move and whose optimizer moves
            them.
        losses: batch -> {term: scalar}. The sum of the terms is minimised.
        terms: the keys that `losses` returns, known before tracing.
        interval: int >= 1. The phase runs when `step % interval` is one of `offsets`.
        offsets: tuple of int. Defaults to `(0,)`.
        strict: bool. A variable of the player without a gradient is an error. Defaults to `True`.
        shared: batch -> entries added to the batch. Runs before all phases of the step, recorded
            for this one: the fakes that both players look at are computed and paid for once.
    """

    name: str
    player: Literal["discriminator", "generator"]
    losses: Callable[[Batch], Mapping[str, tf.Tensor]]
    terms: tuple[str, ...]
    interval: int = 1
    offsets: tuple[int, ...] = (0,)
    strict: bool = True
    shared: Callable[[Batch], Mapping[str, tf.Tensor]] | None = None

    def __post_init__(self):
        if self.player not in PLAYERS:
            raise ValueError(
                f"A phase's `player` is one of {PLAYERS}. Received: player={self.player!r}"
            )
        if self.interval < 1 or not all(0 <= o < self.interval for o in self.offsets):
            raise ValueError(
                "A phase needs interval >= 1 and every offset in [0, interval). "
                f"Received: interval={self.interval}, offsets={self.offsets}"
            )

    @property
    def lazy(self) -> bool:
        """Whether some steps leave the phase out."""
        return self.interval > 1

    def due(self, step: int) -> bool:
        """Whether the phase runs at this step (counted from 0)."""
        return step % self.interval in self.offsets


@captured
class GAN(keras.Model):
    """Two players, any number of networks, one step.

    A subclass builds its networks in the constructor, calls `ready()` at its end, and says
    `players`, `phases`, `prepare`, `default_optimizers`, `published`, `preview`, `samples`,
    `example_batch` and, when it keeps an average, `averaged`. With that, `fit`, resuming,
    `save_pretrained`, `load`, grids, `evaluate`, recipes and cards work, also for a class outside
    this package that is registered with Keras (`docs/own_family.md`); they call nothing else.

    Args:
        ema: `EMA` or `None`. Average of the generator side's weights, kept after every step.
        seed: int. Base of every random number drawn inside a step.

    Saved with the model: both optimizers, `step` (int64, training steps done) and `images_seen`
    (int64, real images shown, over all replicas), so that training resumes at the right phase.
    """

    def __init__(self, *, ema: EMA | None = None, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.ema = ema
        self.seed = seed
        self._origins = {}
        self.unmatched = {}
        self.step = self._counter("step")
        self.images_seen = self._counter("images_seen")
        self.generator_optimizer = None
        self.discriminator_optimizer = None
        self._phases = ()
        self._due = ()
        self._trackers = {}
        self._host_step = None

    def _counter(self, name):
        return self.add_weight(
            shape=(), dtype="int64", initializer="zeros", trainable=False, name=name
        )

    # --- a family says

    def players(self) -> dict[str, list[keras.Model]]:
        """Networks of each side: `{"generator": [...], "discriminator": [...]}`."""
        raise NotImplementedError

    def phases(self) -> list[Phase]:
        """The phases of a step, in order."""
        raise NotImplementedError

    def prepare(self, data) -> Batch:
        """What `tf.data` yields, as named tensors."""
        raise NotImplementedError

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        """The published optimizers, as keyword arguments of `compile`."""
        raise NotImplementedError

    @property
    def published(self) -> keras.Model:
        """The network that people want: what `ganzoo.load_generator` gives."""
        raise NotImplementedError

    def preview(self, count: int, columns: int, seed: int) -> np.ndarray:
        """Pictures that show what the model does, the same for the same seed.

        Args:
            count: int > 0. About so many pictures.
            columns: int > 0. Of the grid that they will lie in, row by row.
        Returns: uint8 [N, H, W, C].
        """
        raise NotImplementedError

    def samples(self, count: int, *, seed: int = 0, batch_size: int = 64, given=None) -> Iterator:
        """What metrics see: batches of what the published network makes.

        Args:
            count: int > 0. How many in all; fewer where `given` has fewer.
            seed: int. The same seed gives the same samples, whatever the batch size.
            given: what they are made of: labels or captions [count, ...]; for a translator, batches
                of images. Defaults to `None`, the family's own choice.
        Yields: uint8 [B, H, W, C] (points and sound: float32), or (such, labels [B]).
        """
        raise NotImplementedError

    def example_batch(self, count: int) -> dict[str, np.ndarray]:
        """Random data of the form that `fit` takes; NumPy arrays by key."""
        raise NotImplementedError

    def trainable_of(self, player: str) -> list:
        """Variables that the player's optimizer moves."""
        return [v for network in self.players()[player] for v in network.trainable_variables]

    def averaged(self) -> list[tuple[keras.Model, keras.Model]]:
        """(average, source) pairs that `ema` keeps."""
        return []

    def state_logs(self) -> dict[str, tf.Tensor]:
        """{name: scalar} that the logs show besides the losses, as it is after a step."""
        return {}

    def check_batch(self, data) -> None:
        """Looks at the first batch on the host; `ValueError` for data that cannot be meant."""
        keys = set(self.example_batch(1))
        if data is not None and not (isinstance(data, dict) and keys <= set(data)):
            received = sorted(data) if isinstance(data, dict) else type(data).__name__
            raise ValueError(
                f"{type(self).__name__} trains on dicts with the keys {sorted(keys)}, which data "
                f"sets of the kind {' or '.join(map(repr, self.kinds))} give. Received: {received}"
            )

    # --- what follows from it, unless a family differs

    kinds: tuple[str, ...] = ("images",)  # of data sets that it trains on, see `ganzoo.data`
    task: str = "other"  # the Hub's pipeline tag
    purpose: str = "is told in its module"  # after "A StyleGAN2 that ..." on a card
    resolution = None  # int, or [height, width], of the images that it makes
    sample_labels: str | None = None  # what `samples` are told, for records

    @property
    def example(self) -> str:
        """One line of code that uses `model`, for cards."""
        return "outputs = model.generate(16, seed=0)"

    def networks(self) -> dict[str, keras.Model]:
        """Every network by the name under which its weights are published: the players' by their
        own names, each average by its source's with `_ema`.
        """
        sides = self.players()
        owned = [network for player in reversed(PLAYERS) for network in sides[player]]
        networks = {network.name: network for network in owned}
        if len(networks) < len(owned):
            raise ValueError(
                "Networks need names of their own, since weights are stored under them; give "
                f"`name=`. Received: {[network.name for network in owned]}"
            )
        return networks | {f"{source.name}_ema": average for average, source in self.averaged()}

    def generators(self) -> dict[str, keras.Model]:
        """The networks that can be loaded alone, by name; the first is `published`."""
        named = self.networks().items()
        networks = {name: network for name, network in named if network is self.published}
        if not networks:
            raise ValueError(
                f"`published` of {type(self).__name__} must be one of its `networks()`, "
                f"{list(self.networks())}. Received: {self.published.name!r}"
            )
        return networks

    def count(self, batch: Batch) -> tf.Tensor:
        """int32 scalar: examples in a batch, the first dimension of its first tensor."""
        return tf.shape(tf.nest.flatten(batch)[0])[0]

    def variant(self) -> Hashable:
        """What distinguishes the compiled functions of a step: the names of the due phases."""
        return tuple(phase.name for phase in self._due)

    def before_step(self) -> None:
        """Called on the host before each step; what it changes may change `variant`."""

    def parts(self) -> list:
        """Layers beside the networks whose weights are the model's: penalties, augmentation."""
        return []

    def call(self, inputs, training=False):
        return self.published(inputs, training=training)

    # --- offered to families

    def seed_for(self, tag: str) -> tf.Tensor:
        """int32 [2] for `tf.random.stateless_*`; differs by step, replica, `tag` and GAN seed.

        Nothing is stored, so resuming draws the same numbers. (`keras.random` repeats across
        replicas.)
        """
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context else 0
        word = zlib.crc32(f"{self.seed}/{tag}".encode()) % (2**31)
        return tf.stack(
            [tf.cast(self.step.value, "int32"), tf.cast(replica, "int32") * 65537 + word]
        )

    def ready(self) -> None:
        """Ends a constructor: builds `parts`. Called again by `compile`, for those that forget."""
        for part in self.parts():
            if isinstance(part, keras.layers.Layer) and not part.built:
                part.build(None)  # `fit` calls no model under a strategy that is not all built
        self.built = True

    @property
    def provenance(self) -> dict[str, Origin]:
        """Where the weights of each network came from; "initial weights" until somebody says so."""
        return {name: self._origins.get(name, INITIAL) for name in self.networks()}

    @provenance.setter
    def provenance(self, origins) -> None:
        self._origins = dict(origins)

    # --- publishing

    def save_pretrained(self, folder, **options) -> pathlib.Path:
        """Writes a folder that `ganzoo.load` reads, with a card and a grid of samples.

        Args, Returns, Raises: see `ganzoo.hub.publish.save_pretrained`.
        """
        from ganzoo.hub import publish

        return publish.save_pretrained(self, folder, **options)

    def push_to_hub(self, repo_id, **options) -> str:
        """Publishes the model as `hf://<repo_id>` on the Hugging Face Hub.

        Args, Returns, Raises: see `ganzoo.hub.publish.push_to_hub`.
        """
        from ganzoo.hub import publish

        return publish.push_to_hub(self, repo_id, **options)

    # --- what Keras calls

    def compile(
        self,
        generator_optimizer=None,
        discriminator_optimizer=None,
        *,
        jit_compile="auto",
        run_eagerly=False,
        steps_per_execution=1,
    ):
        """Binds the optimizers; without arguments, the family's published ones.

        Args:
            generator_optimizer, discriminator_optimizer: Keras optimizers or their names.
            jit_compile: bool or `"auto"`: XLA off on a CPU, where it is slower than TensorFlow's
                own kernels, and on for one GPU or TPU.
            run_eagerly: bool. For debugging.
            steps_per_execution: int >= 1. Must stay 1 when a phase does not run on every step.

        Raises: ValueError: if a lazy phase meets `steps_per_execution > 1`.
        """
        self.ready()
        if jit_compile == "auto":
            jit_compile = self._on_accelerator()
        super().compile(
            optimizer=None,
            jit_compile=jit_compile,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
        )
        given = {"generator": generator_optimizer, "discriminator": discriminator_optimizer}
        for player, optimizer in given.items():
            if optimizer is None:
                optimizer = self.default_optimizers()[f"{player}_optimizer"]
            self._bind(player, keras.optimizers.get(optimizer))
        self._phases = tuple(self.phases())
        self._trackers = {
            f"{phase.name}/{term}": keras.metrics.Mean(name=f"{phase.name}/{term}")
            for phase in self._phases
            for term in phase.terms
        }
        self.train_function = None
        lazy = [phase.name for phase in self._phases if phase.lazy]
        if lazy and steps_per_execution > 1:
            raise ValueError(
                f"Phases {lazy} do not run on every step, so `steps_per_execution` must be 1. "
                f"Received: steps_per_execution={steps_per_execution}"
            )

    @staticmethod
    def _on_accelerator():
        devices = tf.config.list_logical_devices("GPU") + tf.config.list_logical_devices("TPU")
        return bool(devices) and tf.distribute.get_strategy().num_replicas_in_sync == 1

    def _bind(self, player, optimizer):
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if self.dtype_policy.name == "mixed_float16" and not scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(self.trainable_of(player))
        setattr(self, f"{player}_optimizer", optimizer)

    def get_compile_config(self):
        return {
            f"{player}_optimizer": keras.saving.serialize_keras_object(self._optimizer(player))
            for player in PLAYERS
        }

    def compile_from_config(self, config):
        self.compile(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})

    def get_config(self):
        ema = None if self.ema is None else keras.saving.serialize_keras_object(self.ema)
        return {"name": self.name, "ema": ema, "seed": self.seed}

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))

    @property
    def metrics(self):
        return list(self._trackers.values())

    def fit(self, x=None, y=None, **kwargs):
        """Trains; see `keras.Model.fit`. The first batch's rank, range and labels are checked
        before any step.

        `x`: NumPy uint8 [N, H, W, C], or float in [-1, 1] (`y`: int labels [N]), or a
        `tf.data.Dataset` of images, of (image, label) pairs or of dicts with the keys `image` and
        `label`.
        """
        self.check_batch(_first(x, y))
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # Keras warns that it cannot, on its own default
            x = _untuned(x)
        return super().fit(x, y, **kwargs)

    def make_train_function(self, force=False):
        """One compiled function per `variant`, chosen in Python by a host counter.

        `tf.cond` around `optimizer.apply` fails under `MirroredStrategy` (merge_call inside a
        nested graph). The counter is read from `step` at the first call, after `BackupAndRestore`
        has restored it.
        """
        self._host_step = None
        if self.train_function is not None and not force:
            return
        variants = {}

        def dispatch(iterator):
            if self._host_step is None:
                self._host_step = int(self.step.numpy())
            self.before_step()
            self._due = tuple(phase for phase in self._phases if phase.due(self._host_step))
            key = self.variant()
            if key not in variants:
                super(GAN, self).make_train_function(force=True)
                variants[key] = self.train_function
                self.train_function = dispatch
            self._host_step += self.steps_per_execution
            return variants[key](iterator)

        self.train_function = dispatch

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """All due phases once. Final: families do not override it.

        Returns running means `<phase>/<term>` and their sums per player, `d_loss` and `g_loss`.
        """
        batch = self.prepare(data)
        size = self.count(batch) * tf.distribute.get_strategy().num_replicas_in_sync
        tapes = {phase.name: self._open(phase, batch) for phase in self._due}
        for phase in self._due:
            self._play(phase, tapes[phase.name], batch)
        self.images_seen.assign(self.images_seen.value + tf.cast(size, "int64"))
        self.step.assign(self.step.value + 1)
        if self.ema is not None:
            self.ema.update_all(self.averaged(), self.images_seen.value, size)
        return self._logs()

    def _logs(self):
        logs = {name: tracker.result() for name, tracker in self._trackers.items()}
        for short, player in (("d_loss", "discriminator"), ("g_loss", "generator")):
            terms = [
                logs[f"{p.name}/{t}"] for p in self._phases if p.player == player for t in p.terms
            ]
            logs[short] = tf.add_n(terms)
        return {**logs, **self.state_logs()}

    def _optimizer(self, player):
        return {
            "generator": self.generator_optimizer,
            "discriminator": self.discriminator_optimizer,
        }[player]

    def _open(self, phase, batch):
        """A tape over the player's variables that has seen `phase.shared`."""
        tape = tf.GradientTape(watch_accessed_variables=False)
        with tape:
            tape.watch([v.value for v in self.trainable_of(phase.player)])
            if phase.shared is not None:
                batch.update(phase.shared(batch))
        return tape

    def _play(self, phase, tape, batch):
        variables = self.trainable_of(phase.player)
        optimizer = self._optimizer(phase.player)
        with tape:
            losses = phase.losses(batch)
            if set(losses) != set(phase.terms):
                raise ValueError(
                    f"Phase `{phase.name}` must return the terms it declares. "
                    f"Declared: {phase.terms}. Received: {tuple(losses)}"
                )
            total = tf.add_n([tf.cast(value, "float32") for value in losses.values()])
            # optimizers sum gradients over replicas; every term is a mean over its replica's batch
            total = total / tf.distribute.get_strategy().num_replicas_in_sync
            total = optimizer.scale_loss(total)
        gradients = tape.gradient(total, [v.value for v in variables])
        pairs = [(g, v) for g, v in zip(gradients, variables) if g is not None]
        if len(pairs) < len(variables) and (phase.strict or not pairs):
            missing = [v.path for g, v in zip(gradients, variables) if g is None]
            raise ValueError(
                f"Phase `{phase.name}` gives no gradient to {len(missing)} of {len(variables)} "
                f"variables of the {phase.player}, e.g. {missing[:3]}"
            )
        optimizer.apply([g for g, _ in pairs], [v for _, v in pairs])
        for term, value in losses.items():
            self._trackers[f"{phase.name}/{term}"].update_state(value)


def _untuned(dataset):
    """Without tf.data's autotuning, unless its options ask for it.

    At the end of an epoch the tuning thread sleeps on, up to as long as the epoch took, and `fit`
    waits for it. `num_parallel_calls=tf.data.AUTOTUNE` then means all cores.
    """
    options = tf.data.Options()
    if dataset.options().autotune.enabled is None:
        options.autotune.enabled = False
    return dataset.with_options(options)


def _first(x, y):
    """The first batch on the host, or `None` for a source that looking would consume."""
    if isinstance(x, tf.data.Dataset):
        return next(iter(x.take(1).as_numpy_iterator()), None)
    if isinstance(x, dict):
        return {key: value[:64] for key, value in x.items()}
    if isinstance(x, np.ndarray) or tf.is_tensor(x):
        return x[:64] if y is None else (x[:64], y[:64])
    return None
