import ctypes

open("result.txt", "w").write("half")
ctypes.string_at(0)
