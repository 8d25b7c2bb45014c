# -*- coding: latin-1 -*-
import os


def main(input_file, output_dir):
    unit = "Å"
    assert len(unit) == 1 and ord(unit) == 0xC5
    open(os.path.join(output_dir, "unit.txt"), "wb").write(unit.encode("utf-8"))
