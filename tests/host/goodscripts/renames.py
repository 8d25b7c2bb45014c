import errno
import json
import os
import shutil


def main(input_file, output_dir):
    os.chdir(output_dir)
    for name in ("raw", "reduced/bank1"):
        os.makedirs(name)
    for number in range(3):
        open(f"raw/{number}.tmp", "w").write(str(number))
    os.rename("raw/0.tmp", "reduced/0.dat")
    os.replace("raw/1.tmp", "reduced/bank1/1.dat")
    shutil.move("raw/2.tmp", "2.dat")
    os.rename("reduced", "done")
    os.rename("done/bank1", "bank1")
    os.rmdir("raw")
    os.link("2.dat", "second name")
    os.unlink("second name")
    os.symlink("2.dat", "latest")
    read = open("latest").read()
    os.unlink("latest")
    os.mkfifo("pipe")
    if os.fork() == 0:
        open("pipe", "w").write("through")
        os._exit(0)
    piped = open("pipe").read()
    os.wait()
    os.unlink("pipe")
    with open("3.tmp", "w") as file:
        file.write("3")
        file.flush()
        os.fsync(file.fileno())
    os.rename("3.tmp", "2.dat")
    open("/tmp/moved", "w").write("from tmp")
    shutil.move("/tmp/moved", "moved")
    os.makedirs(os.path.expanduser("~/tree/deep"))
    open(os.path.expanduser("~/tree/deep/file"), "w").write("from home")
    shutil.move(os.path.expanduser("~/tree"), "tree")
    shutil.copytree("tree", "copy")
    shutil.rmtree("tree")
    open("/work/here", "w").write("from the working folder")
    try:
        os.rename("/work/here", "here")
        across = "done"
    except OSError as error:
        across = errno.errorcode[error.errno]
        shutil.move("/work/here", "here")
    values = {"across": across, "read": read, "piped": piped, "copied": open("copy/deep/file").read()}
    json.dump(values, open("values.json", "w"))
