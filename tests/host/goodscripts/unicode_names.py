import json
import os
import subprocess

NAMES = ["Röhre №4.txt", "漢字.txt", "Å and ° and μ.txt", "neutron 🧪.txt", "it's \"quoted\".txt", "-dash.txt", ".hidden", "a" * 255, "e\u0301.txt", "é.txt"]


def main(input_file, output_dir):
    for name in NAMES:
        with open(os.path.join(output_dir, name), "w", encoding="utf-8") as file:
            file.write(name)
    deep = os.path.join(output_dir, *["d"] * 30)
    os.makedirs(deep)
    open(os.path.join(deep, "ü"), "w").write("deep")
    print(*NAMES)
    # A name of Latin-1 on a disk of today: it may be used, and is removed before the end.
    with open(b"R\xf6hre.txt", "w") as file:
        file.write("latin")
    values = {
        "names": sorted(os.listdir(output_dir)),
        "bytes": os.listdir(os.fsencode(output_dir))[0] is not None,
        "latin": [name.encode("utf-8", "surrogateescape").hex() for name in os.listdir(".") if name.endswith("hre.txt")],
        "child": subprocess.run(["cat", os.path.join(output_dir, NAMES[0])], capture_output=True, text=True).stdout,
        "beside": open(os.path.join(os.path.dirname(input_file), "Röhre №4.txt"), encoding="utf-8").read(),
    }
    os.unlink(b"R\xf6hre.txt")
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
