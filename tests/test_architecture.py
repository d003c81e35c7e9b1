"""Who may import whom, read from the source: the arrows of the design, and what no file may hold.

An arrow is `importer -> imported`. `EAGER` arrows may stand anywhere in a file; `AT_CALL` arrows
only inside a function, because at module level they would load a heavy package or close a circle.
"""

import ast
import dataclasses
import graphlib
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ganzoo"
KERAS = "keras tensorflow numpy"
# Key: a module or its package; "family" and "convert.source" stand for the files of a folder.
EAGER = {
    # the ground
    "__init__": "moved onednn",
    "addresses": "",
    "arguments": "keras",
    "checks": "numpy",
    "errors": "",
    "files": "errors",
    "moved": "",
    "onednn": "",
    "origin": "",
    "resources": "",
    # games, and what is published
    "augment": f"{KERAS} layers arguments",
    "conditions": "keras numpy",
    "ema": f"{KERAS} arguments",
    "families": "errors resources",
    "family": f"{KERAS} latent_gan growing_gan gan generator losses penalties augment layers ema "
    "checks conditions arguments",
    "gan": f"{KERAS} ema origin arguments",
    "generator": f"{KERAS} conditions layers",
    "growing_gan": f"{KERAS} latent_gan layers arguments",
    "latent_gan": f"{KERAS} gan conditions ema generator losses penalties augment pictures "
    "arguments",
    "layers": f"{KERAS} layers checks arguments onednn",
    "losses": f"{KERAS} checks arguments",
    "penalties": f"{KERAS} arguments",
    "pictures": "numpy tensorflow",
    "translation_gan": f"{KERAS} gan generator latent_gan pictures translator",
    "translator": f"{KERAS} checks conditions generator",
    "vocoder": f"{KERAS} checks",
    # wings
    "checkpoints": "numpy ml_dtypes errors checkpoints",
    "convert.foreign": "checkpoints convert.table errors families resources",
    "convert.source": "numpy errors checkpoints convert.mmgen_progan convert.mmgen_stylegan2 "
    "convert.nvidia_states convert.rosinality convert.stylegan2_torch "
    "convert.stylegan3_torch convert.table convert.tflib layers.bands",
    "convert.table": "numpy addresses",
    "convert.tflib": "numpy errors checkpoints convert.table",
    "data": "numpy tensorflow checks data errors",
    "data.avatars": "numpy tensorflow_datasets errors",
    "editing": f"{KERAS} errors fetch generator pictures metrics editing",
    "fetch": "errors files resources fetch",
    "hub": "addresses errors families fetch hub origin resources",
    "metrics": f"{KERAS} errors fetch generator hub metrics addresses resources",
    "metrics.protocol": "data errors metrics",
    # the run, and the command line
    "callbacks": f"{KERAS} data generator metrics pictures",
    "cli": "click errors fetch hub cli.editing cli.measure cli.models cli.options cli.publish "
    "cli.train cli.use metrics.names",
    "cli.demonstration": f"{KERAS} data hub pictures resources",
    "measure": "numpy callbacks data errors fetch generator hub metrics recipe",
    "recipe": "data errors gan resources training",
    "training": f"{KERAS} callbacks data errors files gan hub.store pictures resources",
    "__main__": "cli",
}
AT_CALL = {
    "callbacks": "hub.store",
    "cli": "numpy cli.demonstration editing generator hub measure metrics pictures recipe",
    "data": "filelock tensorflow_datasets",
    "data.avatars": "PIL dicebear resvg_py",
    "editing": "metrics PIL imageio_ffmpeg sklearn",
    "families": "keras",
    "fetch": "huggingface_hub requests tqdm",
    "files": "filelock",
    "gan": "hub.publish",
    "hub": f"{KERAS} checkpoints convert huggingface_hub ml_dtypes pictures safetensors",
    "metrics": "checkpoints convert data safetensors scipy sklearn PIL matplotlib",
}
UP = ("gan", "hub.publish")  # the only way up: `save_pretrained`, `push_to_hub`
CONVERT_TOOLS = {"foreign", "table", "tflib", "__init__"}


@dataclasses.dataclass(frozen=True)
class Import:
    """One import statement's target, seen from the file that holds it."""

    importer: str
    target: str
    at_call: bool
    line: int


def modules():
    """Dotted name below `ganzoo` -> file; a package's name is that of its `__init__`."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()
TREES = {n: ast.parse(f.read_text(encoding="utf-8"), str(f)) for n, f in MODULES.items()}


def targets(statement, name):
    """What a statement imports: `ganzoo` modules without the prefix, others by top-level name."""
    if isinstance(statement, ast.Import):
        found = [alias.name for alias in statement.names]
    else:
        package = ["ganzoo", *name.split(".")]
        if MODULES[name].name != "__init__.py" or name == "__init__":
            package = package[:-1]
        parent = package[: len(package) - statement.level + 1] if statement.level else []
        base = ".".join([*parent, *([statement.module] if statement.module else [])])
        found = [
            f"{base}.{alias.name}"
            if f"{base}.{alias.name}".removeprefix("ganzoo.") in MODULES
            else base
            for alias in statement.names
        ]
    return {
        t.removeprefix("ganzoo.") if t.partition(".")[0] == "ganzoo" else t.partition(".")[0]
        for t in found
    }


def imports_of(name):
    """Every import of a module, with whether a function holds it."""
    found = []

    def visit(node, inside):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.extend(Import(name, t, inside, node.lineno) for t in targets(node, name))
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(TREES[name], False)
    return [i for i in found if i.target not in sys.stdlib_module_names]


def layer_of(name):
    """The key of `EAGER` that speaks for a module."""
    package, _, rest = name.partition(".")
    if package == "families" and rest and not rest.startswith("_"):
        return "family"
    if package == "convert" and rest and rest not in CONVERT_TOOLS:
        return "convert.source"
    return name if name in EAGER else package


def allowed(importer, target, arrows):
    words = arrows.get(layer_of(importer), "").split()
    return any(target == word or target.startswith(word + ".") for word in words)


def faults(name):
    for found in imports_of(name):
        if allowed(name, found.target, EAGER):
            continue
        if not allowed(name, found.target, AT_CALL):
            yield f"line {found.line}: {layer_of(name)} -> {found.target} is no arrow"
        elif not found.at_call:
            yield f"line {found.line}: {layer_of(name)} -> {found.target} only inside a function"


FAMILIES = sorted(n for n in MODULES if layer_of(n) == "family")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_follow_the_arrows(name):
    assert not list(faults(name))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_has_arrows(name):
    assert layer_of(name) in EAGER or name == "convert", f"Add {name} to EAGER"


def test_no_cycles():
    """Not even through imports inside functions."""
    graph = {
        name: {
            i.target for i in imports_of(name) if i.target in MODULES and (name, i.target) != UP
        }
        for name in MODULES
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_way_up_is_taken_in_functions_only():
    ways = [i for i in imports_of("gan") if i.target == UP[1]]
    assert ways and all(i.at_call for i in ways)


def test_the_check_can_fail():
    tree = ast.parse("from ganzoo.families import wgan\ndef f():\n    from ganzoo import hub\n")
    MODULES["families.zz"], TREES["families.zz"] = PACKAGE / "families/zz.py", tree
    try:
        assert [f.partition(": ")[2] for f in faults("families.zz")] == [
            f"family -> families{'.wgan' if 'families.wgan' in MODULES else ''} is no arrow",
            "family -> hub is no arrow",
        ]
        assert [i.at_call for i in imports_of("families.zz")] == [False, True]
    finally:
        del MODULES["families.zz"], TREES["families.zz"]


def test_there_are_families():
    assert FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_imports_no_other_family(name):
    assert not [i.target for i in imports_of(name) if i.target.split(".")[0] == "families"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_file_names_exactly_one_class(name):
    stem = name.rpartition(".")[2].replace("_", "")
    classes = [n.name for n in TREES[name].body if isinstance(n, ast.ClassDef)]
    assert len([c for c in classes if c.lower() == stem]) == 1


def test_family_names_are_unique_without_underscores():
    stems = [n.rpartition(".")[2].replace("_", "") for n in FAMILIES]
    assert len(stems) == len(set(stems))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_defines_no_train_step(name):
    functions = {n.name for n in ast.walk(TREES[name]) if isinstance(n, ast.FunctionDef)}
    assert not functions & {"train_step", "make_train_function", "fit"}


def calls(tree):
    """Dotted names of what is called, e.g. "pickle.load"; a method's object is its source text."""
    return {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_foreign_is_executed(name):
    forbidden = {"eval", "exec", "pickle.load", "pickle.loads", "marshal.load", "marshal.loads"}
    assert not calls(TREES[name]) & forbidden
    assert not [
        i for i in imports_of(name) if i.target in {"torch", "dill", "cloudpickle", "joblib"}
    ]
    names = {
        alias.name
        for n in ast.walk(TREES[name])
        if isinstance(n, ast.ImportFrom) and n.module in {"pickle", "marshal"}
        for alias in n.names
    }
    assert not names & {"load", "loads"}


def test_only_data_imports_tensorflow_datasets():
    users = {n for n in MODULES for i in imports_of(n) if i.target == "tensorflow_datasets"}
    assert users <= {"data.avatars", "data.tfds"}  # a data set of our own is a builder


def test_only_test_files_hold_tests():
    holders = [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "tests").rglob("*.py"))
        if not re.fullmatch(r"test_\w+|harness|conftest", file.stem)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lower().startswith("test")
    ]
    assert not holders


def test_every_test_file_holds_tests():
    empty = [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if not re.search(
            r"^\s*def test_|^@given", file.read_text(encoding="utf-8"), flags=re.MULTILINE
        )
    ]
    assert not empty


TESTS = {  # of converters that others share a file with
    "convert.foreign": "test_hub",
    "convert.inception": "metrics/test_inception",
    "convert.lpips": "metrics/test_lpips",
    "convert.mmgen_stylegan2": "convert/test_rosinality",
    "convert.progan_tf": "convert/test_progan_stylegan_tf",
    "convert.stylegan_tf": "convert/test_progan_stylegan_tf",
    "convert.stylegan2_tf": "convert/test_stylegan2",
    "convert.stylegan2_torch": "convert/test_stylegan2",
    "convert.tflib": "convert/test_progan_stylegan_tf",
    "convert.wgangp": "convert/test_table",
}


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith(("families.", "convert."))])
def test_every_family_and_converter_has_a_test_file(name):
    room, stem = name.split(".")
    file = ROOT / "tests" / f"{TESTS.get(name, f'{room}/test_{stem}')}.py"
    assert file.is_file(), f"{name} has no tests: write {file.relative_to(ROOT)}"


def test_the_shared_test_files_are_of_files_that_there_are():
    assert set(TESTS) <= set(MODULES)
