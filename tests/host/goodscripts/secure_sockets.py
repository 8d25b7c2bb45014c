import hashlib
import json
import os
import random
import secrets
import ssl
import uuid


def main(input_file, output_dir):
    context = ssl.create_default_context()
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = context.wrap_bio(inside, outside, server_hostname="data.example.org")
    try:
        talk.do_handshake()
    except ssl.SSLWantReadError:
        pass
    values = {
        "authorities": [len(context.get_ca_certs()), *ssl.get_default_verify_paths()[:2]],
        "checks": context.check_hostname,
        "hello": outside.pending > 100,
        "digest": hashlib.file_digest(open(input_file, "rb"), "sha256").hexdigest(),
        "random": len({secrets.token_hex(8), uuid.uuid4().hex, uuid.uuid1().hex, os.urandom(8).hex()}),
        "getrandom": len(os.getrandom(16)),
        "seeded": random.Random(7).randrange(1000),
        "scrypt": hashlib.scrypt(b"a", salt=b"b", n=16, r=1, p=1, dklen=4).hex(),
    }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
