import json
import os
import sqlite3


def main(input_file, output_dir):
    values = {}
    for name, folder in (("out", output_dir), ("home", os.environ["HOME"]), ("tmp", os.environ["TMPDIR"])):
        path = os.path.join(folder, "runs.db")
        first, second = sqlite3.connect(path), sqlite3.connect(path, timeout=0.05)
        values[name + " journal"] = first.execute("pragma journal_mode = wal").fetchone()[0]
        first.execute("create table runs (number integer primary key, counts real)")
        first.executemany("insert into runs values (?, ?)", ((number, number / 2) for number in range(1000)))
        first.commit()
        first.execute("begin immediate")
        try:
            second.execute("begin immediate")
            values[name + " lock"] = "not held"
        except sqlite3.OperationalError as error:
            values[name + " lock"] = str(error)
        first.rollback()
        values[name] = second.execute("select count(*), sum(counts) from runs").fetchone()
        second.close()
        first.close()
    values["files"] = sorted(name for name in os.listdir(output_dir))
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
