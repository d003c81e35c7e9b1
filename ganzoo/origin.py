"""Where weights came from."""


class Origin(str):
    """Where a network's weights came from; reads as a sentence, such as `dcgan-digiface-64`.

    Args:
        source: str. What `ganzoo.load` took, or "initial weights".
        copied_from: str or `None`. The other network of the source that they were copied from, such
            as `"generator_ema"` where the source holds nothing else.
    """

    __slots__ = ("copied_from", "source")

    def __new__(cls, source: str, copied_from: str | None = None):
        text = source if copied_from is None else f"{source}, copied from {copied_from}"
        self = super().__new__(cls, text)
        object.__setattr__(self, "source", str(source))
        object.__setattr__(self, "copied_from", copied_from)
        return self

    def __setattr__(self, name, value):
        raise AttributeError(f"An Origin is frozen. Received: {name}={value!r}")

    def __reduce__(self):
        return Origin, (self.source, self.copied_from)


INITIAL = Origin("initial weights")
