# Everything of the interpreter that a script can turn against whoever runs after it in the same process.
import gc
import sys
import threading


def traced(frame, event, argument):
    if event == "call" and frame.f_code.co_name in ("write_claim", "surroundings", "json_text", "flush"):
        raise SystemExit(0)
    return traced


open("result.txt", "w").write("done")
gc.disable()
gc.freeze()
sys.setswitchinterval(10)
threading.settrace(traced)
sys.settrace(traced)
sys.setprofile(lambda *args: None)
