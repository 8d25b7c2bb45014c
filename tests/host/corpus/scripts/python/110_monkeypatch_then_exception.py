import builtins
import io
import json
import linecache
import os
import sys
import traceback


def lie(*args, **kwargs):
    raise SystemExit(0)


for module in (traceback, linecache, json, json.encoder, io):
    for name in list(vars(module)):
        if callable(getattr(module, name)) and not name.startswith("__"):
            setattr(module, name, lie)
for name in ("open", "print", "str", "len", "isinstance", "type", "repr", "SystemExit", "BaseException", "Exception"):
    setattr(builtins, name, lie)
os.open = os.write = os.rename = lie
raise ValueError("the real reason")
