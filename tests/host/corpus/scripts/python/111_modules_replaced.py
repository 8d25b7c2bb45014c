import builtins
import sys
import types

open("result.txt", "w").write("done")
sys.excepthook = sys.unraisablehook = sys.displayhook = None
sys.path[:] = []
sys.meta_path[:] = []
sys.path_hooks[:] = []
for name in list(sys.modules):
    if name not in ("sys", "builtins"):
        sys.modules[name] = types.ModuleType(name)
sys.modules = {}
remove = delattr
for name in list(vars(builtins)):
    if name[:2] != "__":
        remove(builtins, name)
