"""Configurations of the workers that this service replaces, as they are found on their hosts."""

from __future__ import annotations

#: Keys and values as the 2016 worker ships them; the login is a site's own.
ISIS = {
    "brokers": "localhost:61613",
    "amq_queues": ["/queue/ReductionPending"],
    "amq_user": "autoreduce",
    "amq_pwd": " geheim%s",
    "postprocess_error": "/queue/ReductionError",
    "reduction_started": "/queue/ReductionStarted",
    "reduction_complete": "/queue/ReductionComplete",
    "reduction_error": "/queue/ReductionError",
    "archive_directory": "/isis/NDX%s/Instrument/data/cycle_%s/autoreduced/%s/%s",
    "ceph_directory": "/instrument/%s/RBNumber/RB%s/autoreduced/%s",
    "temp_root_directory": "/autoreducetmp",
    "ceph_instruments": [],
    "excitation_instruments": ["LET", "MARI", "MAPS", "MERLIN", "WISH"],
}
SNS = {
    "amq_user": "wf_user",
    "amq_pwd": "geheim",
    "failover_uri": "failover:(tcp://broker1:61616,tcp://broker2:61616)?user=geheim",
    "brokers": [["broker1", 61613], ["broker2", "61613"]],
    "postprocess_error": "POSTPROCESS.ERROR",
    "reduction_data_ready": "REDUCTION.DATA_READY",
    "reduction_started": "REDUCTION.STARTED",
    "reduction_complete": "REDUCTION.COMPLETE",
    "reduction_error": "REDUCTION.ERROR",
    "reduction_disabled": "REDUCTION.DISABLED",
    "heart_beat": "/topic/SNS.COMMON.STATUS.POSTPROCESS.0",
    "log_file": "/var/log/SNS_applications/postprocessing.log",
    "python_exec": "python3 -B",
    "max_procs": 4,
    "jobs_per_instrument": 2,
    "system_mem_limit_perc": 25.0,
    "task_time_limit_minutes": 90,
    "oncat_api_token": "geheim",
    "exceptions": ["Error in logging framework"],
    "processors": ["reduction_processor.ReductionProcessor", "x.ReductionProcessorHighMemory"],
    "colour": "red",
}
