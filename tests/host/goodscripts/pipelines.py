import json
import os
import subprocess
import sys


def main(input_file, output_dir):
    out = lambda command, **more: subprocess.run(
        command, shell=True, check=True, capture_output=True, text=True, **more
    ).stdout
    folder = os.path.dirname(input_file)
    values = {
        "sorted": out("printf '3\\n1\\n2\\n' | sort -n | tr '\\n' ' '"),
        "awk": out("seq 100 | awk '{ s += $1 } END { print s }'"),
        "status": subprocess.call("false | cat; exit 5", shell=True),
        "bash": subprocess.run(["bash", "-c", "set -o pipefail; false | true; echo $?"], capture_output=True, text=True).stdout,
        "process substitution": subprocess.run(
            ["bash", "-c", "paste -d, <(seq 2) <(seq 3 4)"], capture_output=True, text=True
        ).stdout,
        "here document": out("cat <<EOF\nneutrons\nEOF"),
        "python": subprocess.run(
            ["python", "-c", "import sys, numpy; print(sys.executable)"], capture_output=True, text=True
        ).stdout.strip()
        == sys.executable,
        "os.system": os.system("exit 3") >> 8,
        "popen": os.popen("echo popen").read(),
        "found": len(out(f"find '{folder}' -name '*.nxs' | xargs -n1 basename | sort").split()),
        "clean environment": subprocess.run(["env"], env={"A": "1"}, capture_output=True, text=True).stdout,
    }
    os.makedirs("bank", exist_ok=True)
    for number in range(3):
        with open(f"bank/{number}.txt", "w") as file:
            file.write(str(number) * 5)
    out(f"tar czf '{output_dir}/bank.tar.gz' bank && rm -r bank && tar xzf '{output_dir}/bank.tar.gz'")
    values["unpacked"] = out("cat bank/*.txt")
    out(f"gzip -c '{input_file}' > copy.gz && gunzip -c copy.gz | cmp - '{input_file}'")
    out(f"cp '{input_file}' copy.nxs && cmp copy.nxs '{input_file}' && cp -rp '{folder}' all")
    values["copied"] = sorted(os.listdir("all"))
    megabytes = subprocess.Popen(["head", "-c", "5000000", "/dev/zero"], stdout=subprocess.PIPE)
    counted = subprocess.Popen(["wc", "-c"], stdin=megabytes.stdout, stdout=subprocess.PIPE, text=True)
    megabytes.stdout.close()
    values["counted"] = int(counted.communicate()[0])
    values["first"] = megabytes.wait()
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
