import os

for name in sorted(os.environ):
    print(name)
text = open("/proc/self/environ", "rb").read() + repr(dict(os.environ)).encode()
print("passwords:", text.count(b"password") + text.count(b"PASSWORD") + text.count(b"horse"))
