"""The `post_processing.conf` of SNS in our words (`reference/peers.md` §2.1, post_processing_agent 4.5)."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from sandbox.limits import LONGEST, MiB
from supervisor.brokerurl import parse_address

if TYPE_CHECKING:
    from supervisor.configdraft import Draft

#: What tells this file from that of ISIS.
KEYS: Final = frozenset(
    {
        "failover_uri",
        "reduction_data_ready",
        "reduction_disabled",
        "heart_beat",
        "heartbeat_ping",
        "processors",
        "task_script",
        "start_script",
        "python_exec",
        "max_procs",
        "jobs_per_instrument",
        "sw_dir",
        "system_mem_limit_perc",
        "task_time_limit_minutes",
    }
)
#: Defaults of the old worker that ours do not share.
_PROCESSES: Final = 5
_MEMORY: Final = 70.0
_MINUTES: Final = 60.0
_PING: Final = "/topic/SNS.COMMON.STATUS.PING"
#: Its high-memory processor reads a queue of its own, whose name stands in the code.
_HIGH_MEMORY: Final = "REDUCTION.HIMEM.DATA_READY"


def convert(draft: Draft, total_memory: int) -> None:
    """Fills a draft from the old file it was made for; faults are noted in it.

    Args:
        draft: Made for the old file.
        total_memory: Bytes of memory of the host that shall run the jobs: the old limit is a share of it.
    """
    _broker(draft)
    _queues(draft)
    _host(draft, total_memory)
    _interpreter(draft)
    _left_out(draft)


def _broker(draft: Draft) -> None:
    value = draft.raw("brokers")
    example = '[["broker.example", 61613]]'
    if value is None:
        draft.problems.append(f'brokers: is missing; write for example "brokers": {example}')
        return
    urls = [_address(entry) for entry in value] if isinstance(value, list) else []
    if not urls or not all(urls):
        draft.wrong("brokers", "must be a list of host and port", example)
        return
    why = 'From brokers, in clear text as the old worker spoke; with TLS write "stomp+ssl://host:61614".'
    draft.put("broker", "url", urls, why)


def _address(entry: Any) -> str | None:
    """Returns the address that a pair of host and port means, None for anything else."""
    if not isinstance(entry, list) or len(entry) != 2:
        return None
    host, port = entry
    if isinstance(port, bool) or not isinstance(host, str) or not isinstance(port, int | str):
        return None
    try:
        return str(parse_address(f"stomp://{host}:{int(port)}"))
    except ValueError:
        return None


def _queues(draft: Draft) -> None:
    ready = draft.text("reduction_data_ready", '"REDUCTION.DATA_READY"')
    pending = [_queue(ready or "REDUCTION.DATA_READY")]
    why = "From reduction_data_ready." if ready else "The old default of reduction_data_ready."
    processors = draft.raw("processors")
    if isinstance(processors, list) and any("HighMemory" in str(name) for name in processors):
        pending.append(_queue(_HIGH_MEMORY))
        why += " The second queue is that of the high-memory processor among the processors."
    draft.put("queues", "pending", pending, why)
    for key in ("started", "complete", "error", "disabled"):
        name = draft.text(f"reduction_{key}", f'"REDUCTION.{key.upper()}"')
        if name is not None:
            draft.put("queues.sns", key, _queue(name), f"From reduction_{key}.")
    _heartbeats(draft)
    draft.leave("messages that cannot be read are answered on queues.error", "postprocess_error")


def _heartbeats(draft: Draft) -> None:
    beat = draft.text("heart_beat", '"/topic/SNS.COMMON.STATUS.POSTPROCESS.0"', empty=True)
    ping = draft.text("heartbeat_ping", f'"{_PING}"', empty=True)
    if beat:
        draft.put("queues", "heartbeat", _queue(beat), "From heart_beat.")
        draft.put("queues", "ping", _queue(ping or _PING), _whence(draft, "heartbeat_ping"))


def _queue(name: str) -> str:
    return name if name.startswith("/") else f"/queue/{name}"


def _host(draft: Draft, total_memory: int) -> None:
    slots = int(draft.number("max_procs", _PROCESSES, 10_000, str(_PROCESSES), whole=True))
    draft.put("host", "slots", slots, _whence(draft, "max_procs"))
    share = draft.number("system_mem_limit_perc", _MEMORY, 100, str(_MEMORY))
    memory = max(1, int(total_memory * (share / 100)) // MiB)
    draft.put(
        "limits",
        "memory",
        f"{memory} MiB",
        f"{_whence(draft, 'system_mem_limit_perc')} {share:g} % of the memory of this host, for each run as it was: "
        "with several slots write less.",
    )
    minutes = draft.number("task_time_limit_minutes", _MINUTES, LONGEST / 60, str(_MINUTES))
    whole = minutes == int(minutes)
    wall: Any = f"{int(minutes)} min" if whole else round(minutes * 60, 3) or 0.001
    draft.put("limits", "wall", wall, _whence(draft, "task_time_limit_minutes"))
    log = draft.text("log_file", '"/var/log/autoreduce.log"', empty=True)
    if log and log.startswith("/"):
        draft.put("service", "log", log, "From log_file.")
    elif draft.has("log_file"):
        draft.leave("the service logs to standard error, where the journal picks it up", "log_file")


def _interpreter(draft: Draft) -> None:
    value = draft.text("python_exec", '"python3"')
    if value is None:
        return
    try:
        words = shlex.split(value)
    except ValueError:
        words = []
    if not words:
        draft.wrong("python_exec", "must be a program and its arguments", '"python3"')
    elif any("mantidpython" in word for word in words):
        draft.put(
            "interpreter",
            "conda_argv",
            ["/usr/bin/nsd-conda-wrap.sh", "{env}", "--classic"],
            "From python_exec: mantidpython.py started the environment that a script names as CONDA_ENV by this "
            "program; the supervisor reads that line itself.",
        )
    else:
        draft.put("interpreter", "argv", words, "From python_exec.")


def _left_out(draft: Draft) -> None:
    draft.leave("brokers says the same", "failover_uri")
    draft.leave(
        "there is no such limit: runs of one RB go one after the other, and slots are shared by all",
        "jobs_per_instrument",
    )
    draft.leave("memory is measured five times a second", "mem_check_interval_sec")
    draft.leave(
        "the exit status decides whether a run failed, not what stands on standard error; a script that fails although "
        "all is well should catch what it raises",
        "exceptions",
    )
    draft.leave(
        "heartbeats go to queues.heartbeat alone; status and the heartbeats tell of every instrument",
        "service_status",
    )
    draft.leave("scripts are not written here", "create_reduction_script")
    draft.leave(
        "cataloguing is not done here: run it as a consumer of its own, of the complete queue",
        "oncat_url",
        "oncat_api_token",
        "calvera_ingest_url",
        "intersect_ingest_url",
        "image_filepath_metadata_paths",
    )
    draft.leave("only reductions are run; other processors stay with the old worker", "processors")
    draft.leave(
        "the supervisor starts its runs itself",
        "sw_dir",
        "python_dir",
        "start_script",
        "task_script",
        "task_script_queue_arg",
        "task_script_data_arg",
        "communication_only",
    )
    draft.leave("the interpreter finds Mantid itself: name one that has it as interpreter.argv", "mantid_path")
    draft.leave("folders are paths.sns_script and paths.sns_directory", "dev_instrument_shared", "dev_output_dir")
    draft.leave("there are no log levels", "log_level")


def _whence(draft: Draft, key: str) -> str:
    return f"From {key}." if draft.has(key) else f"The old default of {key}."
