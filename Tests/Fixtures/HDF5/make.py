"""Writes foreign.h5: what other programs put into HDF5 files. h5py 3.16. Run once; the file is kept as it is."""
import sys
import h5py
import numpy as np

f = h5py.File(sys.argv[1], "w")
f["soft"] = h5py.SoftLink("/a/b")
f["ext"] = h5py.ExternalLink("other.h5", "/x")
f["text"] = "hello"
f["compound"] = np.zeros(2, dtype=[("a", "i4"), ("b", "S3")])
f.create_dataset("sequences", (2,), dtype=h5py.vlen_dtype(np.int32))
f["type"] = np.dtype("f8")
f["bool"] = np.array([True, False])
f["complex"] = np.array([1 + 2j])
f["big"] = np.array([1, 2], dtype=">i2")
f["long double"] = np.array([1], dtype=np.longdouble)
f["enum"] = np.array([1], dtype=h5py.enum_dtype({"A": 1}))
f["opaque"] = np.void(b"abc")
f.create_dataset("lzf", data=np.arange(100), compression="lzf")
f.create_dataset("checked", data=np.arange(1000, dtype="i4").reshape(250, 4), chunks=(64, 3), compression="gzip",
                 shuffle=True, fletcher32=True)
f.create_dataset("odd", data=np.full(10001, 255, dtype="u1"), chunks=(3001,), fletcher32=True)
f.create_dataset("filled", (10,), dtype="i4", chunks=(4,), fillvalue=7)
f.create_dataset("late", (1 << 40,), dtype="f4")
f.create_dataset("external", (10,), dtype="f4", external=[("/etc/passwd", 0, 40)])
layout = h5py.VirtualLayout((10,), dtype="f4")
layout[:] = h5py.VirtualSource("x.h5", "d", (10,))
f.create_virtual_dataset("virtual", layout)
compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
compact.set_layout(h5py.h5d.COMPACT)
d = h5py.h5d.create(f.id, b"compact", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((3,)), compact)
d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 2, 3], dtype="i4"))
f.create_group("latin").create_group(b"bad\xff")

a = f.create_group("attributes").attrs
a["variable"] = "variable \u00e9"
a["variables"] = ["a", "bc"]
a["empty"] = ""
a["fixed"] = np.bytes_("abc")
a["fixeds"] = np.array([b"a", b"bcd"])
a["latin"] = np.bytes_(b"a\xe4")
a["int8"] = np.int8(-3)
a["half"] = np.float16(1.5)
a["bool"] = True
a["null"] = h5py.Empty("f4")
a["matrix"] = np.eye(2, dtype="u1")
a.create("pairs", np.array([(1, "x")], dtype=[("a", "i4"), ("s", h5py.string_dtype())]))
