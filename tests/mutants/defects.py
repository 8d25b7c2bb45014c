"""The known defects of the worker of 2016, and for each the smallest change of today's code that brings it back.

A mutant is a list of replacements, each of a text that stands exactly once in its file, and the tests that must fail on
it. D18 is left out: it was in code that nothing called. When a text is no longer found, the code it guards has moved:
write the mutant anew where the decision is made now.
"""

from __future__ import annotations

from dataclasses import dataclass

UNIT = "tests/unit/test_defects.py::"
HOST = "tests/host/test_defects.py::"

#: How a test fails that states what should be.
STATED = r"^(AssertionError|assert |Failed: DID NOT RAISE)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One way in which today's code could have a defect of 2016 again."""

    #: Number of the defect and a few words: the id of the test.
    name: str
    #: What the worker of 2016 did.
    was: str
    #: (file, text that stands there exactly once, what replaces it)
    changes: tuple[tuple[str, str, str], ...]
    #: Node ids of tests, each of which must fail (of a parametrized one, at least one case).
    tests: tuple[str, ...]
    #: What the failure begins with; anything but a statement of the test is named here.
    fails_by: str = STATED


MUTANTS = (
    Mutant(
        name="D1-ack-at-delivery",
        was="acknowledged a message before anything was done with it, so that any crash lost the run",
        changes=(
            (
                "supervisor/loop.py",
                "        self._taking.add(event.token)\n",
                "        self._taking.add(event.token)\n        self._link.ack(event.token, event.token)\n",
            ),
        ),
        tests=(UNIT + "test_a_delivery_is_acknowledged_only_when_it_is_journaled",),
    ),
    Mutant(
        name="D1-taken-before-journal",
        was="acknowledged a message before it was durable anywhere",
        changes=(
            (
                "supervisor/storepoller.py",
                "            taken = journal.journal(self._layout, what.request)\n",
                (
                    '            self._tell(Taken(key=command.key, what="new"))\n'
                    "            taken = journal.journal(self._layout, what.request)\n"
                ),
            ),
        ),
        tests=(UNIT + "test_a_message_is_taken_only_when_its_record_is_in_the_store",),
    ),
    Mutant(
        name="D1-malformed-lost",
        was="lost a message with a missing key without a word to its sender",
        changes=(
            (
                "supervisor/loop.py",
                "            self._telling.poisoned(poison, event.key)\n",
                "            self._telling.poisoned(poison, event.key)\n            self._link.ack(event.key, event.key)\n",
            ),
        ),
        tests=(UNIT + "test_a_message_that_can_be_nothing_is_acknowledged_only_when_its_error_is_received",),
    ),
    Mutant(
        name="D2-prefetch-header",
        was="passed `header=` where the library expects `headers=`, so that no window bounded what one host took",
        changes=(
            (
                "supervisor/brokerwire.py",
                'ack="client-individual", headers={**headers, "receipt": receipt}',
                'ack="client-individual", headers={"receipt": receipt}, header=headers',
            ),
        ),
        tests=(UNIT + "test_the_window_is_a_header_of_the_subscription_itself",),
    ),
    Mutant(
        name="D2-no-pressure",
        was="drained the queue into one host whatever waited there already",
        changes=(
            (
                "supervisor/loop.py",
                "        full = self._waiting >= self._settings.store.max_waiting\n",
                "        full = False\n",
            ),
        ),
        tests=(UNIT + "test_with_too_much_waiting_a_delivery_stays_with_the_broker_until_there_is_less",),
    ),
    Mutant(
        name="D3-death-by-signal",
        was="never looked at how its child had ended: a signal left the run processing for ever",
        changes=(
            (
                "sandbox/verdict.py",
                "        return _OF_SIGNAL.get(number, Verdict.crash)\n",
                "        return None\n",
            ),
        ),
        tests=(HOST + "test_however_a_script_ends_its_producer_is_told_why",),
    ),
    Mutant(
        name="D3-system-exit",
        was="caught Exception only, so that a SystemExit of the script ended the worker without a message",
        changes=(
            (
                "sandbox/harness.py",
                "    except BaseException as error:\n        return ended_by(error, path, anywhere=anywhere)\n",
                "    except Exception as error:\n        return ended_by(error, path, anywhere=anywhere)\n",
            ),
        ),
        tests=(HOST + "test_however_a_script_ends_its_producer_is_told_why",),
    ),
    Mutant(
        name="D3-log-is-no-text",
        was="failed to encode its reply when the log held bytes that are no UTF-8, and sent none",
        changes=(
            (
                "supervisor/replies.py",
                'return log.decode("utf-8", "replace") if isinstance(log, bytes) else log',
                'return log.decode("utf-8") if isinstance(log, bytes) else log',
            ),
        ),
        tests=(HOST + "test_however_a_script_ends_its_producer_is_told_why",),
    ),
    Mutant(
        name="D3-no-time-limit",
        was="had no time limit of any kind",
        changes=(
            (
                "sandbox/meter.py",
                "        if self._wall is not None and now - self.began >= self._wall:\n",
                "        if False:\n",
            ),
        ),
        tests=(HOST + "test_a_script_that_never_ends_is_ended",),
    ),
    Mutant(
        name="D4-skip-unbound",
        was="met an unbound local variable on the way of a skipped run, and reported that as the error",
        changes=(
            (
                "sandbox/harness.py",
                '        return claim("skipped", skip_reason=bounded(reason, TEXT_CAP))\n',
                '        return claim("returned", extra_dirs=folders)\n',
            ),
        ),
        tests=(HOST + "test_a_run_that_its_script_skips_is_told_as_skipped_and_leaves_nothing",),
    ),
    Mutant(
        name="D4-skip-is-error",
        was="told a skipped run as an error with a text of its own fault",
        changes=(
            (
                "supervisor/answers.py",
                "        answer = replies.skipped(queue, echo, context, report)\n",
                '        answer = replies.error(queue, echo, context, report, message="REDUCTION Error: unbound")\n',
            ),
        ),
        tests=(HOST + "test_a_run_that_its_script_skips_is_told_as_skipped_and_leaves_nothing",),
    ),
    Mutant(
        name="D5-cause-overwritten",
        was="overwrote the text of a permission error, so that only `retry_in` survived",
        changes=(
            (
                "supervisor/storehand.py",
                "answers.unavailable_sentence(str(problem), retry))\n",
                '"REDUCTION Error: ")\n',
            ),
        ),
        tests=(HOST + "test_a_producer_that_retries_is_told_what_cannot_be_read_and_why",),
    ),
    Mutant(
        name="D5-no-cycle",
        was="answered a data path without a cycle with an attribute error of NoneType",
        changes=(("supervisor/paths.py", '    if cycle is None and "{cycle}" in template:\n', "    if cycle == 0:\n"),),
        tests=("tests/unit/test_paths.py::test_a_missing_cycle_is_told_in_words_and_not_as_an_attribute_error",),
    ),
    Mutant(
        name="D6-endless-retry",
        was="tried again every six hours without end",
        changes=(
            (
                "supervisor/storehand.py",
                '        if retry["by"] == "supervisor" and retry["count"] < retry["cap"]:\n',
                '        if retry["by"] == "supervisor":\n',
            ),
        ),
        tests=(HOST + "test_retries_have_an_end_and_the_last_reply_announces_none",),
    ),
    Mutant(
        name="D6-false-retry",
        was="announced another retry beside the last error, and nobody made it",
        changes=(
            (
                "supervisor/answers.py",
                '        asks = outcome.verdict is Verdict.unavailable and retry.get("by") == "producer"\n',
                "        asks = outcome.verdict is Verdict.unavailable\n",
            ),
        ),
        tests=(HOST + "test_retries_have_an_end_and_the_last_reply_announces_none",),
    ),
    Mutant(
        name="D7-old-message",
        was="kept a message that came in with the request, and took it for the error of a run that had succeeded",
        changes=(
            (
                "supervisor/runrequest.py",
                '{"information", "reduction_data", "message", "reduction_log",',
                '{"information", "reduction_data", "reduction_log",',
            ),
            (
                "supervisor/replies.py",
                '"message": "", **_logs(report)}\n    return _reply(queue, echo, context, kind="complete"',
                (
                    '"message": echo.get("message", ""), **_logs(report)}\n'
                    '    return _reply(queue, echo, context, kind="complete"'
                ),
            ),
        ),
        tests=(UNIT + "test_what_an_old_error_said_does_not_come_back_with_a_success",),
    ),
    Mutant(
        name="D7-old-retry",
        was="echoed `retry_in` of an old error beside a success, and the run was sent again",
        changes=(("supervisor/runrequest.py", '"admin_log", "retry_in", "error",', '"admin_log", "error",'),),
        tests=(UNIT + "test_what_an_old_error_said_does_not_come_back_with_a_success",),
    ),
    Mutant(
        name="D8-rb-does-not-lock",
        was="looked for a running RB in one thread and entered it in another, so that two runs of it could start",
        changes=(
            (
                "supervisor/intake.py",
                "            rb=decoded.rb,\n            run=decoded.run,\n            run_raw=",
                '            rb=f"{decoded.rb}.{job}",\n            run=decoded.run,\n            run_raw=',
            ),
        ),
        tests=(HOST + "test_two_runs_of_one_rb_never_overlap",),
    ),
    Mutant(
        name="D8-lock-of-one-process",
        was="kept the list of running RBs in the memory of one process, which excluded no other",
        changes=(
            (
                "supervisor/flock.py",
                "            held = filelock.lock_descriptor(fd, blocking=False)\n",
                "            held = True\n",
            ),
        ),
        tests=(UNIT + "test_an_rb_lock_is_held_by_one",),
    ),
    Mutant(
        name="D8-living-run-revoked",
        was="could take a running RB for free",
        changes=(
            (
                "supervisor/takeover.py",
                "        if evidence.shepherd_alive or evidence.tree_alive:\n",
                "        if evidence.shepherd_alive and evidence.tree_alive:\n",
            ),
        ),
        tests=(UNIT + "test_an_undecided_epoch_is_left_alone_while_anything_of_its_run_lives",),
    ),
    Mutant(
        name="D9-held-runs-hold-slots",
        was="held each waiting run in a thread of a pool of ten: ten runs of one RB stopped all others",
        changes=(
            (
                "supervisor/loop.py",
                "        return self._slots - used\n",
                "        return self._slots - used - max(0, self._waiting - used - 1)\n",
            ),
        ),
        tests=(UNIT + "test_held_runs_of_one_rb_take_no_slot_from_another",),
    ),
    Mutant(
        name="D9-rb-is-a-number",
        was="raised TypeError for an RB number that is a number, which ended the thread and the message",
        changes=(
            (
                "supervisor/messagevalues.py",
                "    if isinstance(value, int) and not isinstance(value, bool):\n        name = str(value)\n",
                '    if isinstance(value, int) and not isinstance(value, bool):\n        name = "RB" + value\n',
            ),
        ),
        tests=("tests/unit/test_request.py::test_an_rb_number_may_be_a_number_or_a_text",),
        fails_by=r"^TypeError: can only concatenate str",
    ),
    Mutant(
        name="D10-no-slots",
        was="ran as many reductions at a time as there were messages",
        changes=(
            (
                "supervisor/loop.py",
                "            if not head.slotless and len(self._claiming) >= self._room():\n",
                "            if False:\n",
            ),
        ),
        tests=(
            UNIT + "test_no_more_runs_are_begun_than_there_are_slots",
            HOST + "test_no_more_runs_go_at_a_time_than_there_are_slots",
        ),
    ),
    Mutant(
        name="D10-claims-are-not-counted",
        was="counted a run only when it had been started, so that more than the bound could be under way",
        changes=(("supervisor/loop.py", "len(self._claiming) >= self._room()", "self._room() <= 0"),),
        tests=(UNIT + "test_no_more_runs_are_begun_than_there_are_slots",),
    ),
    Mutant(
        name="D11-any-instrument",
        was="left the instrument out of the key of a cancel",
        changes=(
            (
                "supervisor/journal.py",
                "        cancel.instrument == request.instrument\n        and run_value",
                "        run_value",
            ),
        ),
        tests=(UNIT + "test_a_cancel_of_another_instrument_is_not_ours",),
    ),
    Mutant(
        name="D11-raw-values",
        was='compared run numbers as they were written, so that a cancel of 75513 never met the run "00075513"',
        changes=(
            (
                "supervisor/runkey.py",
                "    if match is None:\n        return text\n",
                "    if match is None or text:\n        return text\n",
            ),
        ),
        tests=(UNIT + "test_a_cancel_finds_its_run_however_the_number_is_written",),
    ),
    Mutant(
        name="D11-used-for-ever",
        was="kept a cancel that had met no run for ever",
        changes=(
            ("supervisor/journal.py", "        if now - cancel.written > CANCEL_EXPIRES:\n", "        if False:\n"),
        ),
        tests=(UNIT + "test_a_cancel_that_meets_no_run_is_forgotten_after_a_day",),
    ),
    Mutant(
        name="D11-used-twice",
        was="let one cancel end more runs than the one that was meant",
        changes=(
            (
                "supervisor/journal.py",
                (
                    "            cancel_job(layout.job(request.job), cancel)\n"
                    '            durable.remove(layout.path("cancels", name), "remembered-cancel")\n'
                ),
                "            cancel_job(layout.job(request.job), cancel)\n",
            ),
        ),
        tests=(UNIT + "test_a_cancel_that_came_first_is_used_once",),
    ),
    Mutant(
        name="D11-kills-a-later-run",
        was="ended a run that was sent long after a cancel of the same number",
        changes=(("supervisor/journal.py", "        and request.time_ms <= cancel.time_ms\n", ""),),
        tests=(UNIT + "test_a_cancel_never_means_a_run_that_was_sent_after_it",),
    ),
    Mutant(
        name="D11-not-while-running",
        was="could not cancel a reduction that was running",
        changes=(
            (
                "supervisor/storehand.py",
                "                if not told and durable.exists(self._job.cancel):\n",
                "                if told:\n",
            ),
        ),
        tests=(HOST + "test_a_cancel_ends_a_run_that_is_going",),
    ),
    Mutant(
        name="D12-shared-staging",
        was="used one temporary folder for all runs of an RB, which removed each other's files",
        changes=(
            (
                "supervisor/staging.py",
                "        return staging_name(target, self._plan.n, 0)\n",
                '        return os.path.join(os.path.dirname(target.path), f".autoreduce-{self._plan.rb}")\n',
            ),
        ),
        tests=(UNIT + "test_runs_of_one_rb_never_share_a_staging_folder",),
    ),
    Mutant(
        name="D12-leftovers",
        was="copied what an aborted run had left in the temporary folder along with the next result",
        changes=(
            (
                "sandbox/scratch.py",
                '            yard = descriptor("out", root)\n            os.mkdir(RESULT, 0o700, dir_fd=yard)\n',
                (
                    '            os.makedirs(os.path.join(spool, "shared", RESULT), exist_ok=True)\n'
                    '            yard = descriptor(os.path.join(os.path.abspath(spool), "shared"), root)\n'
                ),
            ),
            (
                "sandbox/scratch.py",
                "        return os.path.join(self.path, name)\n",
                '        return os.path.join(self.path, "../shared" if name == "out" else name)\n',
            ),
            (
                "sandbox/places.py",
                "        folder = {name: os.path.join(scratch, name) for name in",
                '        folder = {name: os.path.join(scratch, "../shared" if name == "out" else name) for name in',
            ),
        ),
        tests=(HOST + "test_a_failing_run_leaves_nothing_that_the_next_one_publishes",),
    ),
    Mutant(
        name="D13-delete-then-copy",
        was="removed the old result before it copied the new one: a copy that failed left neither",
        changes=(
            (
                "supervisor/staging.py",
                '        target = self._target(path, mode, overwrite=mode == "merge")\n',
                '        archive.remove_tree(path)\n        target = self._target(path, mode, overwrite=mode == "merge")\n',
            ),
        ),
        tests=(UNIT + "test_a_copy_that_fails_leaves_the_old_result_as_it_was",),
    ),
    Mutant(
        name="D13-error-replaces-result",
        was="replaced a good result by the temporary folder of a run that had failed",
        changes=(("supervisor/staging.py", '                mode="logs",\n', '                mode="replace",\n'),),
        tests=(HOST + "test_a_failing_re_run_leaves_the_good_result_as_it_was",),
    ),
    Mutant(
        name="D13-returned-folder-deleted",
        was="removed whatever stood in a folder that the script returned: a whole cycle, if it named that",
        changes=(
            (
                "supervisor/staging.py",
                "        own = there is None or (there.rb == plan.rb and there.run == plan.run)\n",
                "        own = True\n",
            ),
        ),
        tests=(HOST + "test_a_returned_folder_that_exists_keeps_what_others_put_there",),
    ),
    Mutant(
        name="D14-only-newer",
        was="copied only files that were more than a second newer than what stood there",
        changes=(
            (
                "supervisor/merging.py",
                '        if not archive.rename(os.path.join(own, relative), place, "merge"):\n',
                (
                    "        if os.path.exists(place) and (\n"
                    "            os.path.getmtime(os.path.join(own, relative)) - os.path.getmtime(place) <= 1\n"
                    "        ):\n"
                    "            continue\n"
                    '        if not archive.rename(os.path.join(own, relative), place, "merge"):\n'
                ),
            ),
        ),
        tests=(UNIT + "test_a_file_that_is_older_than_what_stands_there_is_published_all_the_same",),
    ),
    Mutant(
        name="D15-environment",
        was="ran the script with the environment of the worker",
        changes=(("sandbox/environment.py", "    variables = {\n", "    variables = {\n        **os.environ,\n"),),
        tests=("tests/host/test_running.py::test_the_environment_is_made_from_nothing",),
    ),
    Mutant(
        name="D15-environment-of-the-supervisor",
        was="let what the service was started with reach everything below it",
        changes=(
            (
                "supervisor/nurserylink.py",
                '    kept = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}\n',
                "    kept = dict(os.environ)\n",
            ),
        ),
        tests=(HOST + "test_what_the_supervisor_knows_by_its_environment_reaches_neither_nursery_nor_script",),
    ),
    Mutant(
        name="D15-descriptors",
        was="ran the script in the process that held the connection to the broker",
        changes=(
            ("sandbox/builder.py", "        fork.close_descriptors({0, 1, 2, *wires.all()})\n", ""),
            ("sandbox/init.py", "        fork.close_descriptors({0, 1, 2, entry, *wires.all()})\n", ""),
        ),
        tests=("tests/host/test_running.py::test_only_the_three_streams_are_open",),
    ),
    Mutant(
        name="D15-working-folder",
        was="ran the script in the working folder of the worker",
        changes=(("sandbox/init.py", "        os.chdir(plan.cwd)\n", ""),),
        tests=(HOST + "test_a_script_begins_in_a_folder_of_its_own_with_a_umask_of_its_own",),
    ),
    Mutant(
        name="D15-umask",
        was="ran the script with umask 0",
        changes=(("sandbox/init.py", "        os.umask(0o027)\n", ""),),
        tests=(HOST + "test_a_script_begins_in_a_folder_of_its_own_with_a_umask_of_its_own",),
    ),
    Mutant(
        name="D16-script-in-argv",
        was="handed the script over as an argument: visible in `ps`, and bounded by 128 KiB",
        changes=(
            (
                "sandbox/blueprint.py",
                "return (program, *box.interpreter[1:], places.harness, places.handoff), env",
                "return (program, *box.interpreter[1:], places.harness, places.handoff, box.script.decode()), env",
            ),
            ("sandbox/harness.py", "    if len(folders) != 1:\n", "    if not folders:\n"),
        ),
        tests=(
            HOST + "test_neither_script_nor_arguments_stand_in_a_command_line_or_an_environment",
            HOST + "test_a_script_may_be_longer_than_one_argument_of_a_program",
            HOST + "test_a_long_script_goes_the_whole_way",
        ),
    ),
    Mutant(
        name="D16-arguments-in-the-environment",
        was="handed the variables over where `ps` shows them",
        changes=(
            (
                "sandbox/blueprint.py",
                "        extra=box.env,\n",
                '        extra={**box.env, "REDUCE_VARS": repr(box.reduce_vars)},\n',
            ),
        ),
        tests=(HOST + "test_neither_script_nor_arguments_stand_in_a_command_line_or_an_environment",),
    ),
    Mutant(
        name="D17-python-level-redirect",
        was="redirected sys.stdout alone, so that compiled code and child processes spoke past the log",
        changes=(
            ("sandbox/init.py", "    os.dup2(wires.stdout, 1)\n", "    os.dup2(wires.stdout, 9)\n"),
            (
                "sandbox/harness.py",
                "    for stream in (sys.stdout, sys.stderr):\n",
                '    sys.stdout = open(9, "w", closefd=False)\n    for stream in (sys.stdout, sys.stderr):\n',
            ),
        ),
        tests=(HOST + "test_what_compiled_code_and_children_say_is_in_the_log_too",),
    ),
    Mutant(
        name="D19-one-subscription-id",
        was="gave every queue the subscription id 1",
        changes=(
            (
                "supervisor/brokersession.py",
                "self._wire.subscribe(destination, str(number), headers, receipt)",
                'self._wire.subscribe(destination, "1", headers, receipt)',
            ),
        ),
        tests=(
            (
                "tests/unit/test_broker_faults.py::"
                "test_each_queue_has_a_subscription_id_of_its_own_and_every_subscribe_a_window_and_a_receipt"
            ),
        ),
    ),
    Mutant(
        name="D19-no-reconnect",
        was="never connected again",
        changes=(
            (
                "supervisor/brokerlink.py",
                "        while not self._stopping.is_set():\n",
                "        for _ in range(1):\n",
            ),
        ),
        tests=(UNIT + "test_a_connection_that_ends_is_followed_by_another",),
    ),
    Mutant(
        name="D19-ascii-replies",
        was="dropped every character beyond ASCII in silence",
        changes=(
            (
                "supervisor/replies.py",
                '        return text.sub("\\ufffd", str(value))\n',
                '        return value.encode("ascii", "ignore").decode()\n',
            ),
        ),
        tests=(
            UNIT + "test_a_reply_says_text_beyond_ascii_whole",
            HOST + "test_text_beyond_ascii_survives_the_whole_way",
        ),
    ),
    Mutant(
        name="D19-ascii-scripts",
        was="dropped every character beyond ASCII of what it handed to a script",
        changes=(
            (
                "supervisor/plans.py",
                'pack_script((decoded.script or "").encode())',
                'pack_script((decoded.script or "").encode("ascii", "ignore"))',
            ),
        ),
        tests=(HOST + "test_text_beyond_ascii_survives_the_whole_way",),
    ),
)
