import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import tarfile
import zipfile


def main(input_file, output_dir):
    data = open(input_file, "rb").read()
    values = {
        "round": [codec.decompress(codec.compress(data)) == data for codec in (gzip, bz2, lzma)],
    }
    os.makedirs("src/deep")
    shutil.copy(input_file, "src/deep/run.nxs")
    for kind in ("zip", "gztar", "xztar"):
        path = shutil.make_archive("packed-" + kind, kind, "src")
        shutil.unpack_archive(path, "un-" + kind)
        values[kind] = open(f"un-{kind}/deep/run.nxs", "rb").read() == data
    with zipfile.ZipFile(os.path.join(output_dir, "all.zip"), "w", zipfile.ZIP_DEFLATED) as file:
        file.write(input_file, "run.nxs")
    values["crc"] = zipfile.ZipFile(os.path.join(output_dir, "all.zip")).testzip()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("theirs.txt")
        member.size, member.uid, member.gid, member.uname = 3, os.getuid(), os.getgid(), ""
        archive.addfile(member, io.BytesIO(b"abc"))
    packed.seek(0)
    tarfile.open(fileobj=packed).extractall("theirs")
    values["theirs"] = open("theirs/theirs.txt").read()
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
