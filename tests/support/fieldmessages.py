"""Messages as producers really send them: M1 to M10 of `reference/peers.md` §4.1, bodies as on the wire.

Facts only; what becomes of each is decided by the code and stands in `docs/reference/messages.md`. Where the page gives
the shape and not the script, a short script stands in for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PENDING = "/queue/ReductionPending"
DATA_READY = "/queue/DataReady"
SNS_READY = "/queue/REDUCTION.DATA_READY"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMessage:
    """One message of the field."""

    name: str
    #: Who sends it, in a few words.
    source: str
    queue: str
    body: str
    headers: dict[str, str] = field(default_factory=dict)


MESSAGES = (
    FieldMessage(
        name="M1",
        source="sendMessage.py of 2016: a data path with single backslashes",
        queue=PENDING,
        body=r"""{"run_number": "75513", "rb_number": "1510188", "facility": "ISIS", "run_version": 0, "instrument": "GEM",
 "reduction_script": "def main(input_file, output_dir):\n    return ''\n", "data": "\\isis\\NDXGEM\\Instrument\\data\\cycle_15_1\\GEM75513.nxs",
 "reduction_arguments": {"advanced_vars": {"var_6": [2, 0.5], "var_5": [0, 7]},
   "standard_vars": {"var_4": [22413, 22450], "var_3": [2.87], "var_2": "5,2,4,30.0", "var_1": "-3,-5,-4,-5.0"}}}""",
    ),
    FieldMessage(
        name="M2",
        source="full_test.py of 2016: the script is the path of a folder, the data lies in a home",
        queue=DATA_READY,
        body=r"""{"run_number": "75512", "rb_number": "1510188", "facility": "ISIS", "run_version": 0, "instrument": "GEM",
 "reduction_script": "/isis/NDXGEM/user/scripts/autoreduction", "data": "/root/cycle_12_2/GEM75512.nxs",
 "reduction_arguments": {"advanced_vars": {}, "standard_vars": {}}}""",
    ),
    FieldMessage(
        name="M2 in the archive",
        source="the same with its data in the archive: the folder is the text of the script",
        queue=DATA_READY,
        body=r"""{"run_number": "75512", "rb_number": "1510188", "facility": "ISIS", "run_version": 0, "instrument": "GEM",
 "reduction_script": "/isis/NDXGEM/user/scripts/autoreduction", "data": "/isis/NDXGEM/Instrument/data/cycle_12_2/GEM75512.nxs",
 "reduction_arguments": {"advanced_vars": {}, "standard_vars": {}}}""",
    ),
    FieldMessage(
        name="M3",
        source="web application of 2016, a run again: numbers as numbers, an empty message",
        queue=PENDING,
        headers={"priority": "0"},
        body=r"""{"run_number": 75513, "instrument": "GEM", "rb_number": "1510188",
 "data": "\\\\isis\\inst$\\NDXGEM\\Instrument\\data\\cycle_15_1\\GEM75513.nxs",
 "reduction_script": "def main(input_file, output_dir):\n    return ''\n",
 "reduction_arguments": {"standard_vars": {"var_1": "None"}, "advanced_vars": {}}, "run_version": 1, "facility": "ISIS", "message": ""}""",
    ),
    FieldMessage(
        name="M3 delayed",
        source="web application of 2016, a retry that the broker held back",
        queue=PENDING,
        headers={"priority": "0", "AMQ_SCHEDULED_DELAY": "21600000"},
        body=r"""{"run_number": 75513, "instrument": "GEM", "rb_number": "1510188",
 "data": "\\\\isis\\inst$\\NDXGEM\\Instrument\\data\\cycle_15_1\\GEM75513.nxs",
 "reduction_script": "def main(input_file, output_dir):\n    return ''\n",
 "reduction_arguments": {"standard_vars": {}, "advanced_vars": {}}, "run_version": 2, "facility": "ISIS",
 "message": "Permission error: Couldn't read /isis/x  -  does not exist", "retry_in": 21600}""",
    ),
    FieldMessage(
        name="M4",
        source="web application of 2016, a cancel: M3 and one key more",
        queue=PENDING,
        headers={"priority": "0"},
        body=r"""{"run_number": 75513, "instrument": "GEM", "rb_number": "1510188",
 "data": "\\\\isis\\inst$\\NDXGEM\\Instrument\\data\\cycle_15_1\\GEM75513.nxs",
 "reduction_script": "def main(input_file, output_dir):\n    return ''\n",
 "reduction_arguments": {"standard_vars": {}, "advanced_vars": {}}, "run_version": 1, "facility": "ISIS", "message": "", "cancel": true}""",
    ),
    FieldMessage(
        name="M5 end of run",
        source="end-of-run monitor, before the web application added the script",
        queue=DATA_READY,
        headers={"priority": "9"},
        body=r"""{"rb_number": "1510188", "instrument": "WISH", "data": "\\\\isis\\inst$\\NDXWISH\\Instrument\\data\\cycle_16_2\\WISH00036000.nxs", "run_number": "00036000", "facility": "ISIS"}""",
    ),
    FieldMessage(
        name="M5 forwarded",
        source="the same as the web application forwards it: the padded number stays",
        queue=PENDING,
        headers={"priority": "9"},
        body=r"""{"rb_number": "1510188", "instrument": "WISH", "data": "\\\\isis\\inst$\\NDXWISH\\Instrument\\data\\cycle_16_2\\WISH00036000.nxs", "run_number": "00036000", "facility": "ISIS",
 "run_version": 0, "reduction_script": "from __future__ import print_function\ndef main(input_file, output_dir):\n    return ''\n",
 "reduction_arguments": {"standard_vars": {}, "advanced_vars": {}}}""",
    ),
    FieldMessage(
        name="M5 by hand",
        source="ManualSubmission of 2016, forwarded: a raw file",
        queue=PENDING,
        headers={"priority": "1"},
        body=r"""{"rb_number": "1510188", "instrument": "GEM", "data": "\\isis\\NDXGEM\\Instrument\\data\\cycle_14_3\\GEM00075513.raw", "run_number": "75513", "facility": "ISIS",
 "run_version": 0, "reduction_script": "def main(input_file, output_dir):\n    return ''\n",
 "reduction_arguments": {"standard_vars": {}, "advanced_vars": {}}}""",
    ),
    FieldMessage(
        name="M6 started",
        source="tests of the web application, one of its own replies",
        queue="/queue/ReductionStarted",
        body=r"""{"run_number": 1, "instrument": "valid", "rb_number": 3, "data": "/false/path", "run_version": 0}""",
    ),
    FieldMessage(
        name="M6 error",
        source="tests of the web application, one of its own replies",
        queue="/queue/ReductionError",
        body=r"""{"run_number": 1, "instrument": "valid", "rb_number": 3, "data": "/false/path", "run_version": 0, "message": "We have an error here"}""",
    ),
    FieldMessage(
        name="M6 complete",
        source="tests of the web application, one of its own replies",
        queue="/queue/ReductionComplete",
        body=r"""{"run_number": 1, "instrument": "valid", "rb_number": 3, "data": "/false/path", "run_version": 0, "reduction_data": ["<dir>"]}""",
    ),
    FieldMessage(
        name="M6 negative",
        source="tests of the web application: run -2, with all that a run needs",
        queue=PENDING,
        body=r"""{"run_number": -2, "instrument": "valid", "rb_number": 3, "facility": "ISIS", "data": "/isis/NDXVALID/Instrument/data/cycle_16_2/VALID2.nxs", "run_version": 0,
 "reduction_script": "pass", "reduction_arguments": {"standard_vars": {}, "advanced_vars": {}}}""",
    ),
    FieldMessage(
        name="M7",
        source="test_post_process_admin.py of 2020: no arguments as a text, no version, no cycle",
        queue=PENDING,
        body=r"""{"data": "\\\\isis\\inst$\\data.nxs", "facility": "ISIS", "instrument": "GEM", "rb_number": "1234", "run_number": "4321",
 "reduction_script": "print('hello')", "reduction_arguments": "None"}""",
    ),
    FieldMessage(
        name="M7 excitation",
        source="the same for an instrument whose results are not filed by cycle",
        queue=PENDING,
        body=r"""{"data": "\\\\isis\\inst$\\data.nxs", "facility": "ISIS", "instrument": "LET", "rb_number": "1234", "run_number": "4321",
 "reduction_script": "print('hello')", "reduction_arguments": "None"}""",
    ),
    FieldMessage(
        name="M8",
        source="tests/common.py of 2022",
        queue=DATA_READY,
        body=r"""{"data": "\\\\isis\\inst$\\NDXTESTINSTRUMENT\\Instrument\\data\\cycle_21_1\\data.nxs", "facility": "ISIS",
 "instrument": "TESTINSTRUMENT", "rb_number": "1234", "run_number": "4321", "run_version": 1,
 "reduction_script": "print(\"hello\")",
 "reduction_arguments": {"standard_vars": {"arg1": "differentvalue", "arg2": 321},
   "advanced_vars": {"adv_arg1": "advancedvalue2", "adv_arg2": ""}},
 "description": "This is a test", "software": {"name": "Mantid", "version": "latest"}}""",
    ),
    FieldMessage(
        name="M8 bad",
        source="the bad variant: arguments and software as texts, keys of a reply set",
        queue=DATA_READY,
        body=r"""{"data": "\\\\isis\\inst$\\NDXTESTINSTRUMENT\\Instrument\\data\\cycle_21_1\\data.nxs", "facility": "ISIS",
 "instrument": "TESTINSTRUMENT", "rb_number": "1234", "run_number": "4321", "run_version": 1,
 "reduction_script": "print(\"hello\")", "reduction_arguments": "None",
 "description": "This is a test", "software": "6.2.0", "reduction_data": "/instrument/x", "reduction_log": "an old log"}""",
    ),
    FieldMessage(
        name="M9 defaults",
        source="the last Message of ISIS with nothing set",
        queue=DATA_READY,
        body=r"""{"description": "", "facility": "ISIS", "run_number": null, "run_title": null, "instrument": null, "rb_number": null,
 "started_by": null, "data": null, "overwrite": null, "run_version": null, "job_id": null, "reduction_script": null,
 "reduction_arguments": {}, "reduction_log": "", "admin_log": "", "message": null, "retry_in": null,
 "reduction_data": null, "software": {}, "flat_output": false}""",
    ),
    FieldMessage(
        name="M9",
        source="system test of 2022: null script, null arguments, every key of the Message",
        queue=DATA_READY,
        body=r"""{"description": "", "facility": "ISIS", "run_number": 101, "run_title": "a title", "instrument": "ARMI", "rb_number": 1234567,
 "started_by": 0, "data": "/isis/NDXARMI/Instrument/data/cycle_21_1/101.nxs", "overwrite": true, "run_version": "2", "job_id": 7, "reduction_script": null,
 "reduction_arguments": null, "reduction_log": "", "admin_log": "", "message": null, "retry_in": null,
 "reduction_data": null, "software": {}, "flat_output": false}""",
    ),
    FieldMessage(
        name="M9 flat",
        source="the same with flat output and the software named",
        queue=DATA_READY,
        body=r"""{"run_number": 101, "instrument": "ARMI", "rb_number": 1234567, "started_by": 0,
 "data": "/isis/NDXARMI/Instrument/data/cycle_21_1/101.nxs", "reduction_script": null, "reduction_arguments": {},
 "software": {"name": "Mantid", "version": "6.2.0"}, "flat_output": true}""",
    ),
    FieldMessage(
        name="M9 batch",
        source="a batch: lists of runs, titles and files",
        queue=DATA_READY,
        body=r"""{"run_number": [101, 102, 105], "run_title": ["a", "b", "c"], "instrument": "ARMI", "rb_number": 1234567, "started_by": 3,
 "data": ["/isis/NDXARMI/Instrument/data/cycle_21_1/101.nxs", "/isis/NDXARMI/Instrument/data/cycle_21_1/102.nxs", "/isis/NDXARMI/Instrument/data/cycle_21_1/105.nxs"],
 "reduction_script": null, "reduction_arguments": {"standard_vars": {}, "advanced_vars": {}}, "run_version": 0, "message": null}""",
    ),
    FieldMessage(
        name="M9 uneven batch",
        source="a batch with a file too few",
        queue=DATA_READY,
        body=r"""{"run_number": [101, 102], "instrument": "ARMI", "rb_number": 1234567, "started_by": 3,
 "data": ["/isis/NDXARMI/Instrument/data/cycle_21_1/101.nxs"], "reduction_script": null, "reduction_arguments": {}}""",
    ),
    FieldMessage(
        name="M9 empty batch",
        source="a batch of nothing",
        queue=DATA_READY,
        body=r"""{"run_number": [], "instrument": "ARMI", "rb_number": 1234567, "started_by": 3, "data": [], "reduction_script": null, "reduction_arguments": {}}""",
    ),
    FieldMessage(
        name="M9 short RB",
        source="system test of 2022: an RB of three digits",
        queue=DATA_READY,
        body=r"""{"run_number": 101, "instrument": "ARMI", "rb_number": 222, "started_by": 0, "data": "/isis/NDXARMI/Instrument/data/cycle_21_1/101.nxs",
 "reduction_script": null, "reduction_arguments": null}""",
    ),
    FieldMessage(
        name="M9 text RB",
        source="system test of 2022: an RB that is a text",
        queue=DATA_READY,
        body=r"""{"run_number": 101, "instrument": "ARMI", "rb_number": "INVALID RB NUMBER CALIBRATION RUN PERHAPS", "started_by": 0,
 "data": "/isis/NDXARMI/Instrument/data/cycle_21_1/101.nxs", "reduction_script": null, "reduction_arguments": null}""",
    ),
    FieldMessage(
        name="M9 cancel",
        source="a batch cancelled",
        queue=DATA_READY,
        body=r"""{"run_number": [101, 102, 105], "instrument": "ARMI", "started_by": 3, "cancel": true}""",
    ),
    FieldMessage(
        name="M10",
        source="workflow manager of SNS",
        queue=SNS_READY,
        body=r"""{"run_number": "30892", "instrument": "EQSANS", "ipts": "IPTS-10674", "facility": "SNS", "data_file": "/SNS/EQSANS/IPTS-10674/0/30892/NeXus/EQSANS_30892_event.nxs"}""",
    ),
    FieldMessage(
        name="M10 with information",
        source="workflow manager of SNS, with a key of a reply",
        queue=SNS_READY,
        body=r"""{"information": "mac83808.sns.gov", "run_number": "30892", "instrument": "EQSANS", "ipts": "IPTS-10674", "facility": "SNS", "data_file": "/SNS/EQSANS/IPTS-10674/0/30892/NeXus/EQSANS_30892_event.nxs"}""",
    ),
    FieldMessage(
        name="M10 no such file",
        source="tests of SNS: taken as a run, as only the host that runs it can look for the file",
        queue=SNS_READY,
        body=r"""{"run_number": "30892", "instrument": "EQSANS", "ipts": "IPTS-10674", "facility": "SNS", "data_file": "/SNS/DOES_NOT_EXIST.nxs"}""",
    ),
    FieldMessage(
        name="M10 cancel",
        source="a run of SNS cancelled",
        queue=SNS_READY,
        body=r"""{"run_number": "30892", "instrument": "EQSANS", "ipts": "IPTS-10674", "facility": "SNS", "data_file": "/SNS/EQSANS/IPTS-10674/0/30892/NeXus/EQSANS_30892_event.nxs", "cancel": true}""",
    ),
    FieldMessage(
        name="M10 default script",
        source="web monitor of SNS, to the maker of scripts",
        queue="/queue/REDUCTION.CREATE_SCRIPT",
        body=r"""{"instrument": "TOPAZ", "use_default": true, "template_data": {}}""",
    ),
    FieldMessage(
        name="M10 script from values",
        source="web monitor of SNS, to the maker of scripts",
        queue="/queue/REDUCTION.CREATE_SCRIPT",
        body=r"""{"instrument": "TOPAZ", "use_default": false, "template_data": {"value": 42}}""",
    ),
    FieldMessage(
        name="M10 ping",
        source="web monitor of SNS, to whoever lives",
        queue="/topic/SNS.COMMON.STATUS.PING",
        body=r"""{"reply_to": "/queue/PING_TEST"}""",
    ),
    FieldMessage(
        name="M10 heartbeat",
        source="post-processing agent of SNS, every 30 s",
        queue="/topic/SNS.COMMON.STATUS.POSTPROCESS.0",
        body=r"""{"src_name": "<host>", "role": "postprocessing", "status": "0", "pid": "1234"}""",
    ),
)
