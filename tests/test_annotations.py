"""Every public function says what it returns: the package ships `py.typed`."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "ganzoo"
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
UNSAID = {  # what they return is of a package or a room that their module must not import
    "cli.options.bar": "tqdm",
    "data.tfds.find_builder": "tensorflow_datasets' DatasetBuilder",
    "families.construct": "GAN",
    "fetch.progress.bar": "tqdm",
    "hub.keras_files.load": "GAN",
    "hub.loading.filled": "GAN",
    "hub.loading.generator_of": "keras.Model",
    "hub.loading.lean": "keras.Model",
    "hub.loading.load": "GAN",
    "hub.loading.load_generator": "keras.Model",
}


def module_of(file):
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def public_functions(tree):
    """The functions of a module that no class and no function holds, and have no underscore."""
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, FUNCTIONS) and not node.name.startswith("_"):
            yield node
        elif not isinstance(node, FUNCTIONS | ast.ClassDef):  # such as `if` and `try`
            pending += ast.iter_child_nodes(node)


def silent(tree, module):
    """Names of the public functions without a return annotation."""
    names = [f.name for f in public_functions(tree) if f.returns is None]
    return {f"{module}.{name}".removeprefix(".") for name in names}


TREES = {
    module_of(file): ast.parse(file.read_text(encoding="utf-8"), str(file))
    for file in sorted(PACKAGE.rglob("*.py"))
}


@pytest.mark.parametrize("module", sorted(TREES))
def test_public_functions_say_what_they_return(module):
    assert not silent(TREES[module], module) - set(UNSAID)


def test_the_exceptions_are_needed():
    without = set().union(*(silent(tree, module) for module, tree in TREES.items()))
    assert set(UNSAID) <= without


def test_the_check_can_fail():
    source = "if True:\n    def f(): ...\ndef _g(): ...\ndef h() -> None:\n    def inner(): ...\n"
    assert silent(ast.parse(source), "room") == {"room.f"}
