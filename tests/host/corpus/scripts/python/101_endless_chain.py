first = ValueError("first")
second = KeyError("second")
for _ in range(100):
    try:
        try:
            raise first
        except ValueError:
            raise second
    except KeyError as error:
        first, second = ValueError("again"), error
raise second from first
