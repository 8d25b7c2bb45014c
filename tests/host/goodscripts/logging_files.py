import json
import logging
import logging.handlers
import os
import warnings


def main(input_file, output_dir):
    log = logging.getLogger("reduction")
    log.setLevel(logging.DEBUG)
    path = os.path.join(output_dir, "reduction.log")
    handlers = [
        logging.handlers.RotatingFileHandler(path, maxBytes=2000, backupCount=2),
        logging.FileHandler("working.log"),
        logging.FileHandler(os.path.expanduser("~/mantid.log"), encoding="utf-8"),
    ]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(process)d %(asctime)s %(message)s"))
        log.addHandler(handler)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(handlers[1])
    for number in range(100):
        log.info("spectrum %03d of Röhre", number)
    warnings.warn("negative counts")
    logging.shutdown()
    values = {
        "rotated": sorted(name for name in os.listdir(output_dir) if name.startswith("reduction.log")),
        "lines": sum(1 for line in open("working.log", encoding="utf-8") if "spectrum" in line),
        "warned": "negative counts" in open("working.log", encoding="utf-8").read(),
        "last": open(os.path.expanduser("~/mantid.log"), encoding="utf-8").read().split()[-3:],
    }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
