"""Reading a large checkpoint: seconds and peak memory, for each layout that torch and NVIDIA write.

    python benchmarks/reader.py [--megabytes 380] [--arrays 240]

The files hold random numbers and are written here, opcode by opcode; each is read in a process of
its own that imports nothing but the reader. Peak memory is the growth of the resident set, arrays
included, from before the reading to its highest point.
"""

import argparse
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

READ = """
import pathlib, sys, time
from ganzoo.checkpoints import reader

def peak():
    lines = pathlib.Path("/proc/self/status").read_text("ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

before, start = peak(), time.perf_counter()
arrays = reader.read(sys.argv[1])
seconds = time.perf_counter() - start
assert "torch" not in sys.modules and "tensorflow" not in sys.modules
print(seconds, peak() - before, sum(array.nbytes for array in arrays.values()))
"""
MAGIC = 0x1950A86A20F9469CFC6C


def literal(value):
    return pickle.dumps(value, 2)[2:-1]


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def storage(key, numel, *view):
    pid = [literal("storage"), name("torch", "FloatStorage"), *map(literal, (key, "cpu", numel))]
    return b"(" + b"".join(pid) + b"".join(map(literal, view)) + b"tQ"


def tensor(place, numel):
    view = b"".join(map(literal, (0, (numel,), (1,), False)))
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return rebuild + b"(" + place + view + name("collections", "OrderedDict") + b")RtR"


def legacy(body, arrays):
    head = b"".join(b"\x80\x02" + literal(value) + b"." for value in (MAGIC, 1001, {}))
    keys = [str(i) for i in range(len(arrays))]
    yield head + b"\x80\x02" + body + b".\x80\x02" + literal(keys) + b"."
    for array in arrays:
        yield struct.pack("<q", array.size)
        yield array.data.cast("B")


def state_dict(arrays, *view):
    rows = (
        literal(f"layer{i}.weight") + tensor(storage(str(i), array.size, *view), array.size)
        for i, array in enumerate(arrays)
    )
    return b"}(" + b"".join(rows) + b"u"


def write_legacy(file, arrays):
    file.writelines(legacy(state_dict(arrays, None), arrays))


def write_zip(file, arrays):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + state_dict(arrays) + b".")
        for i, array in enumerate(arrays):
            archive.writestr(f"archive/data/{i}", array.data.cast("B"))


def write_nvidia(file, arrays):
    """A persistent object whose parameters are tensors on nested legacy streams."""
    meta = literal("type") + literal("class") + literal("class_name") + literal("Generator")
    file.write(b"\x80\x03" + name("torch_utils.persistence", "_reconstruct_persistent_obj"))
    file.write(b"}(" + meta + literal("state") + b"}" + literal("_parameters") + b"}(")
    for i, array in enumerate(arrays):
        nested = b"".join(legacy(storage("0", array.size, None), [array]))
        place = name("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(nested))
        start, end = tensor(b"\0", array.size).split(b"\0", 1)
        file.writelines([literal(f"weight{i}"), start, place, nested, b"\x85R", end])
    file.write(b"us" + b"u\x85R.")


def write_tensorflow(file, arrays):
    rows = [(f"layer{i}/weight", array) for i, array in enumerate(arrays)]
    variables = pickle.dumps(rows, 4)[2:-1]
    call = name("dnnlib.tflib.network", "Network") + b")\x81"
    # SHORT_BINSTRING: a text that takes no number of the memo
    file.writelines([b"\x80\x04", call, b"}U\x09variables", variables, b"sb."])


LAYOUTS = {
    "NVIDIA, PyTorch": write_nvidia,
    "NVIDIA, TensorFlow 1": write_tensorflow,
    "torch zip": write_zip,
    "torch legacy": write_legacy,
}


def measure(write, arrays):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "checkpoint"
        with open(path, "wb") as file:
            write(file, arrays)
        size = path.stat().st_size
        done = subprocess.run(
            [sys.executable, "-c", READ, path], capture_output=True, text=True, check=True
        )
    seconds, peak, held = map(float, done.stdout.split())
    assert held == sum(array.nbytes for array in arrays)
    return size, seconds, peak


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=380)
    parser.add_argument("--arrays", type=int, default=240)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    each = options.megabytes * 10**6 // 4 // options.arrays
    arrays = [random.standard_normal(each, dtype="float32") for _ in range(options.arrays)]
    for layout, write in LAYOUTS.items():
        size, seconds, peak = measure(write, arrays)
        print(f"{layout:22} {size / 1e6:6.0f} MB  {seconds:6.2f} s  peak {peak / size:.2f} x file")


if __name__ == "__main__":
    main()
