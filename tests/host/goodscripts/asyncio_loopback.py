import asyncio
import json
import os
import socket
import sys


async def echo(reader, writer):
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def ask(reader, writer):
    writer.write(b"counts\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer.decode().strip()


async def talk():
    values = {}
    for name, address in (("IPv4", "127.0.0.1"), ("IPv6", "::1"), ("by name", "localhost")):
        if name == "IPv6" and not os.path.exists("/proc/net/if_inet6"):
            continue
        async with await asyncio.start_server(echo, address, 0) as server:
            port = server.sockets[0].getsockname()[1]
            values[name] = await ask(*await asyncio.open_connection(address, port))
    async with await asyncio.start_unix_server(echo, "socket"):
        values["unix"] = await ask(*await asyncio.open_unix_connection("socket"))
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(6 * 7)", stdout=asyncio.subprocess.PIPE)
    values["child"] = (await child.communicate())[0].decode().strip()
    values["thread"] = await asyncio.to_thread(sum, [1, 2, 3])
    values["timeout"] = "no"
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.05)
    except asyncio.TimeoutError:
        values["timeout"] = "yes"
    return values


def main(input_file, output_dir):
    values = asyncio.run(talk())
    one, other = socket.socketpair()
    one.send(b"pair")
    values["pair"] = other.recv(10).decode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
        first.bind(("127.0.0.1", 0))
        second.sendto(b"datagram", first.getsockname())
        values["datagram"] = first.recv(20).decode()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("\0abstract")
        server.listen()
        client.connect("\0abstract")
        values["abstract"] = "connected"
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
