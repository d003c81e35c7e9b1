"""What a file may ask for, whatever its format."""

MAX_OPCODES = 1_000_000  # per file; the largest published StyleGAN pickles need below 100,000
MAX_TENSORS = 100_000  # per file
MAX_DEPTH = 100  # containers within containers
MAX_ENTRIES = 1_000_000  # items visited by `flatten`; shared containers count each time
MAX_ZIP_LIST = 1 << 23  # bytes; about 100,000 files in a zip
MAX_RANK = 32  # numpy 1.x refuses more dimensions
MAX_KEY = 10_000  # characters of a key
MAX_ODD_KEYS = 100  # of a dictionary: those whose hash a file may choose, so that all collide
MAX_INTEGER_BYTES = 256  # of a pickled long; torch's magic number has 10
MAX_LINE = 1 << 20  # bytes of a line in a pickle
MAX_DIGITS = 100  # of a float spelled in decimal
MAX_HEADER_BYTES = 1 << 23  # of `.safetensors`; about 60,000 tensors
MAX_NPY_HEADER_BYTES = 1 << 16
XZ_MEMORY = 1 << 27  # for xz's own window
MAX_INFLATION = 100  # unpacked bytes per packed byte of a zip or xz, and ...
FREE_BYTES = 1 << 26  # ... 64 MiB in any case; also for copies and views that repeat bytes
MAX_UNPACKED = 1 << 30  # where that is more, ten bytes per byte and 1 GiB

META = "__meta__"  # the key under which a tree has what is no array: attributes, names, versions
