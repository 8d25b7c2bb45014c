import hashlib
import json
import os


def main(input_file, output_dir):
    total = hashlib.sha256()
    for folder in range(20):
        os.makedirs(f"pixels/{folder:02d}")
        for number in range(100):
            with open(f"pixels/{folder:02d}/{number:03d}.dat", "w") as file:
                file.write(f"{folder} {number}\n")
    for base, folders, names in os.walk("pixels"):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(base, name)
            total.update(open(path, "rb").read())
            os.rename(path, path + ".done")
    count = sum(len(names) for _, _, names in os.walk("pixels"))
    for base, folders, names in os.walk("pixels", topdown=False):
        for name in names:
            os.unlink(os.path.join(base, name))
        os.rmdir(base)
    os.makedirs(os.path.join(output_dir, "spectra"))
    for number in range(200):
        open(os.path.join(output_dir, "spectra", f"{number}.txt"), "w").write(str(number * number))
    values = {"digest": total.hexdigest(), "count": count, "gone": not os.path.exists("pixels")}
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
