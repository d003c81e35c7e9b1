"""oneDNN for TensorFlow's convolutions, also on CPUs for which TensorFlow leaves it off.

TensorFlow turns oneDNN on by itself only where the CPU has one of `FLAGS` (its
`DefaultOneDnnPolicy`). On two cores with AVX2 alone it is worth as much: DCGAN-64 trains 27.9
images/s without it and 61.2 with it, and samples 170 and 680 (benchmarks/README.md).
TensorFlow looks at the variable once, when it is imported.
"""

import os
import sys
import warnings

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
FLAGS = frozenset("avx512_vnni avx512_bf16 avx_vnni amx_tile amx_int8 amx_bf16".split())
CPUINFO = "/proc/cpuinfo"


def turn_on() -> None:
    """Sets the variable where the user has not; says so once where TensorFlow came first."""
    if VARIABLE in os.environ or _machine().lower() not in ("x86_64", "amd64"):
        return
    if "tensorflow" not in sys.modules:
        os.environ[VARIABLE] = "1"
    elif _left_off():
        warnings.warn(
            "TensorFlow was imported first and leaves oneDNN off on this CPU. Import ganzoo first "
            f"or set {VARIABLE}=1: DCGAN-64 then trains 2 times and samples 4 times as fast.",
            stacklevel=3,
        )


def _machine():
    """As `platform.machine()`, whose import takes longer than all of ganzoo's."""
    if sys.platform == "win32":
        return os.environ.get("PROCESSOR_ARCHITECTURE", "")
    return os.uname().machine


def _left_off():
    """Whether TensorFlow, not told, leaves oneDNN off; False where the CPU's flags are unknown."""
    flags = _flags()
    return bool(flags) and not FLAGS & flags


def is_narrow() -> bool:
    """Whether oneDNN has AVX2's code at most: a CPU without AVX-512, or `ONEDNN_MAX_CPU_ISA`.

    False where the CPU's flags are unknown.
    """
    flags = _flags()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return bool(flags) and ("avx512f" not in flags or limit.startswith(("SSE", "AVX2")))


def _flags():
    """The first CPU's, as Linux tells them; empty elsewhere."""
    try:
        with open(CPUINFO, encoding="ascii", errors="replace") as lines:
            return set(next((line for line in lines if line.startswith("flags")), "").split())
    except OSError:
        return set()
