import json
import os

import h5py
import numpy


def main(input_file, output_dir):
    with h5py.File(input_file, "r") as data:
        counts = data["raw_data_1/counts"][:]
        title = data["raw_data_1"].attrs["title"]
    del os.environ["HDF5_USE_FILE_LOCKING"]
    with h5py.File(input_file, "r", locking=True) as data:
        locked = int(data["raw_data_1/counts"][3])
    try:
        h5py.File(input_file, "a").close()
        refused = ""
    except OSError as error:
        refused = type(error).__name__
    path = os.path.join(output_dir, "reduced.nxs")
    with h5py.File(path, "w", locking=True) as result:
        result.attrs["title"] = title
        result.create_dataset("entry/counts", data=counts * 2, compression="gzip", chunks=(100,), maxshape=(None,))
        result["entry/soft"] = h5py.SoftLink("/entry/counts")
        result["entry/raw"] = h5py.ExternalLink(input_file, "/raw_data_1/counts")
    with h5py.File(path, "a") as result:
        result["entry/counts"].resize((1200,))
        result["entry/counts"][1000:] = numpy.arange(200)
    with h5py.File(path, "r") as result:
        values = {
            "counts": int(counts.sum()),
            "locked": locked,
            "refused": refused,
            "title": str(result.attrs["title"]),
            "doubled": int(result["entry/soft"][:1000].sum()),
            "tail": int(result["entry/counts"][1199]),
            "through": int(result["entry/raw"][5]),
            "in memory": int(h5py.File("core.h5", "w", driver="core", backing_store=False).create_group("a").id.valid),
        }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
