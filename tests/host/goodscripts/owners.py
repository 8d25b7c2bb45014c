import errno
import json
import os
import subprocess


def main(input_file, output_dir):
    theirs = os.path.join(os.path.dirname(input_file), "theirs.txt")
    secret = os.path.join(os.path.dirname(input_file), "secret.txt")
    values = {"text": open(theirs).read(), "owner": os.stat(theirs).st_uid}
    try:
        values["secret"] = open(secret).read()
    except OSError as error:
        values["secret"] = errno.errorcode[error.errno]
    values["cp"] = subprocess.call(["cp", theirs, "plain"])
    kept = subprocess.run(["cp", "-p", theirs, "kept"], capture_output=True, text=True)
    values["cp -p"] = [kept.returncode, "preserve ownership" in kept.stderr, os.path.exists("kept")]
    subprocess.check_call(["tar", "cf", "theirs.tar", "--owner=1234", "--group=1234", "plain"])
    values["tar x"] = subprocess.run(["tar", "xf", "theirs.tar", "-C", "/tmp"], capture_output=True).returncode
    values["tar x --no-same-owner"] = subprocess.call(["tar", "xf", "theirs.tar", "--no-same-owner", "-C", "/tmp"])
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
