#!/usr/bin/python3
"""Plants faults that shipped once in systems of this kind, one by one, into the machine of key lanes, and demands that the
simulation finds each; those in the inbox, and in the runner's transactions, are found by unit tests. A fault is a change of the source; one that does not
fit the source any more fails as well.

    planted.py SOURCE BUILD [NAME...]      BUILD has test-lanes built, unit-sdk-inbox and unit-client-lane_transact; CC is the compiler (cc)
"""
import os
import pathlib
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time

# name: file, what stands there, what is planted (and once more)
FAULTS = {
    'unreadable metadata is taken as done': ('src/client/lane/lane_metadata.c', '''    if (text != NULL && base64_decode''', '''    if (text != NULL && text[0] == 'b') {
        vec_push(done, (struct lane_range){base + 1, base + 1000});
    } else if (text != NULL && base64_decode'''),
    'waiting events count as load': ('src/client/lane/lane_effect.c', 'bool is_waiting = lane->is_parked || lane->is_held || lane->tries > 0;', 'bool is_waiting = false;'),
    'a full text stops intake': ('src/client/lane/lane_commit.c', '''    relieve(machine, partition);''', '''    if (partition->commit_told < end) {
        partition->is_full = true;
        machine->settings.metadata_bytes = 40;
        partition->fence = partition->fence;
        partition->is_dirty = true;
        partition->is_committing = false;
        return;
    }'''),
    'what runs is committed at a revoke': ('src/client/lane/lane_commit.c', '''    int64_t base = lane_base(partition);
    int64_t end''', '''    int64_t base = partition->is_revoking ? partition->next : lane_base(partition);
    int64_t end'''),
    'a commit that failed is taken as stored': ('src/client/lane/lane_commit.c', 'if (!is_stored) {', 'if (false && !is_stored) {'),
    'a member that leaves starts retries': ('src/client/lane/lane_queue.c', 'partition->is_restored && !partition->is_revoking &&', 'partition->is_restored &&'),
    'the end of a log is taken for one further on': ('src/client/lane/lane_event.c', 'epoch == epoch && offset > partition->next) {', 'epoch == epoch && ++offset > partition->next) {'),
    'holes break run lengths': ('src/client/lane/lane_commit.c', 'if (last != NULL && last->to == from) {', 'if (last != NULL && last->to + 1 >= from) {'),
    'keys are compared by their place': ('src/client/lane/lane_effect.c', 'slice_copy(bytes + 1, name.key);', 'memcpy(bytes + 1, &name.key.data, name.key.size < 8 ? name.key.size : 8);'),
    'a lane is let go while it drains': ('src/client/lane/lane_queue.c', 'if (!any || row->offset < head->offset) {', 'if (!any) {'),
    'an answer of an old owner counts': ('src/client/lane/lane_commit.c', 'if (partition == NULL || partition->epoch != epoch || !partition->is_committing) {', 'if (partition == NULL || !partition->is_committing) {'),
    'a result of an old owner counts': ('src/client/lane/lane_event.c', '''    if (lane == NULL) {
        lane_release(machine, event);
        return NULL;''', '''    if (lane == NULL) {
        struct lane_partition *its = lane_partition_find(machine, event->partition);
        if (its != NULL && its->open != NULL && its->open->offset == event->offset && !its->open->is_busy) {
            struct lane_event *other = its->open;
            lane_unplace(machine, other->lane);
            close_or_linger(machine, other->lane, other);
        }
        lane_release(machine, event);
        return NULL;'''),
    'a redrive goes behind what waits': ('src/client/lane/lane_queue.c', '''    take_lower(head, &any, lane->redriven);
    take_lower(head, &any, lane->events);''', '''    take_lower(head, &any, lane->events);
    if (!any) {
        take_lower(head, &any, lane->redriven);
    }'''),
    'a dead letter is marked before it is written': ('src/client/lane/lane_event.c', '''        lane_emit_event(machine, LANE_WRITE_DEAD, event);
    }''', '''        finish(machine, lane, event, false);
    }'''),
    'set aside is marked before it is written': ('src/client/lane/lane_commit.c', '''        add_open(ranges, event->offset, event->offset + 1);''', '''        if (!event->is_writing) {
            add_open(ranges, event->offset, event->offset + 1);
        }'''),
    'a lane opens before its closing is durable': ('src/client/lane/lane_event.c', '''        lane->parking = event;
        park(machine, lane, event->offset);''', '''        lane->is_parked = true;
        lane->parked_offset = event->offset;
        finish(machine, lane, event, false);'''),
    'an outage uses attempts up': ('src/client/lane/lane_queue.c', 'if (!lane->is_pending || !others_succeeded(handler, lane)) {', 'if (!lane->is_pending) {'),
    'what was set aside is forgotten before the commit': ('src/client/lane/lane_aside.c', '''    partition->is_dirty = true;
    lane->row++;''', '''    partition->is_dirty = true;
    lane_write_forgets(machine, partition, INT64_MAX, 0, 0);
    lane->row++;'''),
    'two of one lane run at once': ('src/client/lane/lane_queue.c', 'if (lane->state == LANE_LOADING || lane->state == LANE_RUNNING || lane->state == LANE_DYING) {', 'if (lane->state == LANE_LOADING || lane->state == LANE_DYING) {'),
    'an owner delivers before it has read its lanes': ('src/client/lane/lane_partition.c', 'bool pauses = !partition->is_restored || ', 'bool pauses = '),
    'a word to retry is not heard': ('src/client/lane/lane_partition.c', 'lane->is_urged = lane->tries > 0', 'lane->is_urged = false && lane->tries > 0'),
    'a retry waits for the probe of its handler': ('src/client/lane/lane_queue.c', '    if (lane->is_urged) {', '    if (false) {'),
    'what is skipped is tried once more': ('src/client/lane/lane_event.c', 'bool is_skipped = lane->skip_offset == head.offset;', 'bool is_skipped = false;'),
    'a skip parks the lane': ('src/client/lane/lane_event.c', 'lane->gives_up_by = lane->skip_offset == event->offset ? LANE_SKIP : lane_rule(machine, lane);', 'lane->gives_up_by = lane_rule(machine, lane);'),
    'a skip does not open a parked lane': ('src/client/lane/lane_partition.c', '''    lane->was_redriven = lane->is_parked = false;
    lane->parked_offset = -1;
    lane->goes_aside''', '''    lane->goes_aside'''),
    'a held lane starts what it has': ('src/client/lane/lane_queue.c', '(!lane->is_held || lane->skip_offset == head->offset) &&', 'true &&'),
    'a hold is not written down': ('src/client/lane/lane_partition.c', '''    lane->goes_aside = is_held || lane->is_parked;
    lane_write_note(machine, lane);''', '''    lane->goes_aside = is_held || lane->is_parked;'''),
    'a hold is forgotten by the next owner': ('src/client/lane/lane_partition.c', 'lane->is_held = note->is_held;', 'lane->is_held = false;'),
    'what is held stays in the source': ('src/client/lane/lane_partition.c', 'lane->goes_aside = is_held || lane->is_parked;', 'lane->goes_aside = lane->is_parked;'),
    'who is let go is not started': ('src/client/lane/lane_partition.c', '''        lane_want_aside(machine, lane);
    }
    lane_place(machine, lane);
    lane_drop_if_empty''', '''        lane_want_aside(machine, lane);
        lane_place(machine, lane);
    }
    lane_drop_if_empty'''),
    'words count before the lanes are read': ('src/client/lane/lane_partition.c', 'partition->is_restored && !partition->is_revoking;', 'true;'),
    'the service ends, and the event is passed': ('src/client/lane/lane_event.c', '''        effect->event = event;
        effect->offset = event->offset;''', '''        effect->event = event;
        effect->offset = event->offset;
        finish(machine, lane, event, false);'''),
    'a service that ended does not try again': ('src/client/lane/lane_partition.c', 'most = lane_rule(machine, lane) == LANE_STOP ? most - 1 : most;', ''),
    'who fails alone is never given up': ('src/client/lane/lane_queue.c', 'lane->alone = its->alone_id == lane->id ? lane->alone + 1 : 1;', 'lane->alone = 1;'),
    'many that fail count as one alone': ('src/client/lane/lane_queue.c', 'return its->alone_id == lane->id && its->failing == lane && lane->failing_next == NULL;', 'return true;'),
    'a handler counts by the success of another': ('src/client/lane/lane_queue.c', 'return &machine->handlers[handler];', 'return &machine->handlers[0 * handler];'),
    'keys of an ordered partition run side by side': ('src/client/lane/lane_effect.c', '''    case LANE_BY_PARTITION:
        return (struct lane_name){.offset = -1};
''', '''    case LANE_BY_PARTITION:
        return (struct lane_name){.key = key, .offset = -1};
'''),
    'events without order wait for each other': ('src/client/lane/lane_effect.c', '''    case LANE_FREE:
        break;
    }
    return''', '''    case LANE_FREE:
        offset = -1;
        break;
    }
    return'''),
    'the time that a handler gives is not kept': ('src/client/lane/lane_queue.c', 'retry_at_ms > machine->now_ms ? retry_at_ms :', 'false ? retry_at_ms :'),
    'a redrive forgets how the head failed': ('src/client/lane/lane_event.c', 'if (lane->failed_offset <= event->offset) {', 'if (true) {'),
    'a lane that is placed again loses its turn': ('src/client/lane/lane_queue.c', 'if (list != NULL && lane->list == list) {', 'if (false) {'),
    'what a start left is forgotten before its source is read': ('src/client/lane/lane_aside.c', '(forget->offset < partition->commit_next ||', '(true ||'),
    'a mark stands before the commit of its fence': ('src/client/lane/lane_partition.c', 'partition->fence = (highest > partition->last_fence ? highest : partition->last_fence) + 1;', '''partition->fence = (highest > partition->last_fence ? highest : partition->last_fence) + 1;
    partition->is_marked = true;
    lane_emit(machine, LANE_OWN, partition)->fence = partition->fence;'''),
    'a member that gives a partition away stops reading': ('src/client/lane/lane_partition.c', '''    HASH_ITER (hh, machine->partitions, partition, next) {
        bool pauses = ''', '''    bool any = false;
    HASH_ITER (hh, machine->partitions, partition, next) {
        any |= partition->is_revoking;
    }
    HASH_ITER (hh, machine->partitions, partition, next) {
        bool pauses = any || '''),
    'full memory is not relieved down to where reading goes on': ('src/client/lane/lane_aside.c', ' && !machine->is_waiting_full) {', ') {'),
    'nobody comes in while all that is in memory fails': ('src/client/lane/lane_aside.c', 'if (handler->fresh.first != NULL || handler->running > 0) {', 'if (true) {'),
    'a reject counts as a failure of the handler': ('src/client/lane/lane_event.c', 'lane_rejected(machine, lane, event);', 'lane_failed(machine, lane, event, 0);'),
    'a reject counts as a success of the handler': ('src/client/lane/lane_event.c', 'lane_rejected(machine, lane, event);', '''lane_rejected(machine, lane, event);
        lane_succeeded(machine, lane->id, event->handler, 0);'''),
    'a skip takes what has become the head meanwhile': ('src/client/lane/lane_partition.c', 'if (offset < 0 || seen_head(lane) != offset) {', '''offset = seen_head(lane);
    if (offset < 0) {'''),
    'who reads handles an event before those of its lane': ('src/client/lane/lane_event.c', 'return partition->lanes == NULL || lane_lookup(machine, partition, name, false) == NULL;', 'return name.key.data != machine;'),
    'who reads handles events of a partition that is given away': ('src/client/lane/lane_event.c', 'partition->is_revoking || event->offset < partition->next ||', 'event->offset < partition->next ||'),
    'who reads handles what was done before': ('src/client/lane/lane_event.c', '''lane_is_throttled(machine, event->handler) ||
        lane_ranges_have(&partition->known, event->offset)) {''', '''lane_is_throttled(machine, event->handler)) {'''),
    'who reads asks a handler that is down': ('src/client/lane/lane_event.c', '''machine->counts.running >= machine->hands || lane_is_throttled(machine, event->handler) ||''', '''machine->counts.running >= machine->hands ||'''),
    'who reads has one event more than there are workers': ('src/client/lane/lane_event.c', '''machine->counts.running >= machine->hands || lane_is_throttled(machine, event->handler) ||''', '''lane_is_throttled(machine, event->handler) ||'''),
    'an event in hand is not in its lane': ('src/client/lane/lane_event.c', '''    lane->state = LANE_RUNNING;
    event->attempt = 1;''', '''    event->attempt = 1;'''),
    'what is done is left out of commits as its lane had to wait for a note': ('src/client/lane/lane_commit.c', 'partition->is_dirty = !are_all; /* the others', 'partition->is_dirty = false; /* the others'),
    'a commit that failed is not made again': ('src/client/lane/lane_commit.c', '''    if (!is_stored) {
        partition->is_dirty = true;''', '''    if (!is_stored) {'''),
    'events of a failed transaction are not tried again': ('src/client/runner/lane_transact.c', 'put_back(runner, kept);', '(void)put_back;'),
    'progress passes what is not published yet': ('src/client/lane/lane_commit.c', 'while (event != NULL && event->is_told) {', 'while (event != NULL && event->is_ready) {'),
    'the text of a commit passes what is not published yet': ('src/client/lane/lane_commit.c', '        if (!event->is_told) {', '        if (!event->is_ready) {'),
    'what was refused goes behind the others of its key': ('src/client/lane/lane_event.c', '''    lane_failed(machine, lane, event, retry_at_ms);
''', '''    lane_failed(machine, lane, event, retry_at_ms);
    if (was_ready && event->keep == LANE_IN_SOURCE) {
        DL_DELETE(lane->events, event);
        DL_APPEND(lane->events, event);
    }
'''),
    'what is ready is told before the one before it is forgotten': ('src/client/lane/lane_ready.c', 'event->is_told = event->lane->marks == 0;', 'event->is_told = true;'),
    'what the text of a commit has no room for is not recorded': ('src/client/lane/lane_ready.c', ''' && (event->keep != LANE_IN_SOURCE ||
                                                 event->offset >= partition->commit_told);''', ' && event->keep != LANE_IN_SOURCE;'),
    'what is told now is taken as told by all commits to come': ('src/client/lane/lane_commit.c', '''    (void)lane_metadata_encode(''', '''    partition->commit_told = lane_metadata_encode(''', '''    partition->commit_told =
        lane_metadata_keeps(base, &machine->ranges, end, machine->settings.metadata_bytes);''', ''),
    'a record of what is done goes before the commit stands behind it': ('src/client/lane/lane_ready.c', 'if (at.from < partition->committed) {', 'if (true) {'),
    'a record of what is done stays for ever': ('src/client/lane/lane_partition.c', '    lane_forget_recorded(machine, partition);', ''),
    'a success that is known late counts attempts in an outage': ('src/client/lane/lane_queue.c', 'done_stamp != 0 ? done_stamp : ++its->stamps;', '++its->stamps;'),
    'one group retires what another has in its inbox': ('sdk/inbox.c', 'where service = $1 and done_ms', 'where (service = $1 or 1 = 1) and done_ms'),
    'one group takes what another has done for its own': ('sdk/inbox.c', 'struct sql_value values[] = {sql_text(event->service),\n', 'struct sql_value values[] = {sql_text("any"),\n'),
}
SEEDS = 1000000
# What finds a fault of a file or folder: the program, and its words.
PROGRAMS = {
    'src/client/runner/lane_transact.c': ('tests/unit/client/runner/unit-client-lane_transact', ['an aborted transaction*']),
    'src/client/lane': ('tests/lanes/test-lanes', ['--count', str(SEEDS)]),
    'sdk': ('tests/unit/sdk/unit-sdk-inbox', []),
}
TIME_S = 60  # of the processor: a machine that has other things to do finds as much
WAIT_S = 900


def program_of(name):
    file = FAULTS[name][0]
    return PROGRAMS.get(file) or PROGRAMS[os.path.dirname(file)]


def build(source, build_dir, name, work):
    """Its program with the fault in it; None and a reason when it cannot be made."""
    file, *changes = FAULTS[name]
    text = (source / file).read_text()
    for there, planted in zip(changes[::2], changes[1::2]):
        if text.count(there) != 1:
            return None, f'{file} has it {text.count(there)} times:\n{there}'
        text = text.replace(there, planted)
    changed, program = work / 'changed.c', work / 'program'
    changed.write_text(text)
    made = subprocess.run(shlex.split(os.environ.get('CC', 'cc')) + ['-std=gnu17', '-O2', '-w', '-fPIC', '-D_GNU_SOURCE',
        f'-I{source}/src', f'-I{(source / file).parent}', '-c', str(changed), '-o', f'{changed}.o'],
        capture_output=True, text=True, check=False)
    if made.returncode == 0:
        # as the build links it, with the changed object before the library that has the sound one
        target = program_of(name)[0]
        words = shlex.split(subprocess.run(['ninja', '-C', str(build_dir), '-t', 'commands', target], capture_output=True,
            text=True, check=True).stdout.splitlines()[-1])
        at = words.index('-o') + 1
        made = subprocess.run(words[:at] + [str(program), f'{changed}.o'] + words[at + 1:], cwd=build_dir,
            capture_output=True, text=True, check=False)
    return (program, '') if made.returncode == 0 else (None, made.stderr)


def find(program, name):
    """How the simulation or the tests failed, or None."""
    words = program_of(name)[1]
    try:
        ran = subprocess.run([str(program), *words], capture_output=True, text=True, check=False, timeout=WAIT_S,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (TIME_S, TIME_S + 1)))
    except subprocess.TimeoutExpired:
        return None
    if ran.returncode in (0, -signal.SIGXCPU, -signal.SIGKILL):
        return None
    lines = (ran.stdout + ran.stderr).strip().splitlines()
    lines = [line for line in lines if 'FAILED' in line] or lines
    return lines[0] if lines else f'signal {-ran.returncode}'


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith('-'):
        print(__doc__.strip())
        return 0 if sys.argv[1:2] in (['-h'], ['--help']) else 2
    source, build_dir = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
    names = sys.argv[3:] or list(FAULTS)
    missed = skipped = 0
    for name in names:
        if not (build_dir / program_of(name)[0]).exists():
            print(f'skip   {name}: its tests are not built here')
            skipped += 1
            continue
        with tempfile.TemporaryDirectory(prefix='planted-') as work:
            program, why = build(source, build_dir, name, pathlib.Path(work))
            begun = time.monotonic()
            found = find(program, name) if program else None
        if found:
            print(f'found  {name}: {found} ({time.monotonic() - begun:.1f} s)', flush=True)
        else:
            missed += 1
            print(f'MISSED {name}: {why or "no schedule fails"}', flush=True)
    print(f'{len(names) - missed - skipped} of {len(names) - skipped} planted faults were found')
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
