import datetime
import json
import locale
import os
import sys
import time
import zoneinfo


def main(input_file, output_dir):
    summer = datetime.datetime(2026, 7, 1, 12, tzinfo=datetime.timezone.utc)
    values = {
        "locale": locale.setlocale(locale.LC_ALL, ""),
        "encodings": [locale.getpreferredencoding(), sys.getfilesystemencoding(), sys.stdout.encoding],
        "zone": list(time.tzname),
        "offset": -time.timezone,
        "now": abs(datetime.datetime.now().timestamp() - time.time()) < 60,
        "london": summer.astimezone(zoneinfo.ZoneInfo("Europe/London")).isoformat(),
        "oak ridge": summer.astimezone(zoneinfo.ZoneInfo("America/New_York")).isoformat(),
        "zones": len(zoneinfo.available_timezones()) > 400,
        "month": time.strftime("%B", time.gmtime(0)),
    }
    os.environ["TZ"] = "Europe/London"
    time.tzset()
    values["tzset"] = time.localtime(summer.timestamp()).tm_hour
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
