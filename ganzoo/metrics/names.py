"""Names of feature networks, without what they name: the command line's help reads them."""

# Data sets whose own classifier is in the package, by the beginning of their name.
CLASSIFIERS = {
    "fashion_mnist": "fashion",
    "avatars/pixel_art_64": "avatars",
    "avatars/pixel_art_32": "avatars-32",
}
FEATURES = (*CLASSIFIERS.values(), "inception", "inception-clean", "inception-torch")
