import errno
import json
import os
import shutil
import tempfile


def main(input_file, output_dir):
    values = {"folder": tempfile.gettempdir() == os.environ["TMPDIR"]}
    with tempfile.TemporaryFile() as file:
        file.write(b"unnamed")
        file.seek(0)
        values["unnamed"] = file.read().decode()
    with tempfile.NamedTemporaryFile("w", suffix=".nxs", delete=False) as file:
        file.write("named")
    values["named"] = open(file.name).read()
    try:
        os.rename(file.name, os.path.join(output_dir, "named.txt"))
        values["rename out of tmp"] = "done"
    except OSError as error:
        values["rename out of tmp"] = errno.errorcode[error.errno]
        shutil.move(file.name, os.path.join(output_dir, "named.txt"))
    fd, path = tempfile.mkstemp(dir=output_dir)
    os.write(fd, b"kept")
    os.close(fd)
    os.replace(path, os.path.join(output_dir, "kept.txt"))
    with tempfile.SpooledTemporaryFile(max_size=10) as file:
        file.write(b"x" * 100)
        file.seek(0)
        values["spooled"] = len(file.read())
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "a", "b"))
        values["inside"] = os.listdir(folder)
    values["gone"] = not os.path.exists(folder)
    for place in (output_dir, os.getcwd(), os.environ["HOME"]):
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"1")
    values["left in tmp"] = [name for name in os.listdir(tempfile.gettempdir()) if "nxs" in name]
    values["by the shell"] = os.popen("f=$(mktemp) && echo made > $f && cat $f && rm $f").read()
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
