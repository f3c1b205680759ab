"""gdb commands that step through a backward pass one op at a time:

  tape          the recorded ops, with shapes, values, gradients; => marks the one whose backward is next
  grad NAME     a gradient by name (TAB completes), or of %3, the output of op 3
  step-grad     run the backward of one op and show what it added; N ops, -N goes back, `into` stops in its source
  check-grad    an op's analytic gradient against finite differences
  why-nan       the op that made the first number that is not finite

`make gdb ARGS="step lstm"` loads them; elsewhere: source engine/gdb/gradus.py. What only looks (tape, grad, why-nan,
print) reads memory and calls nothing in the process, so it works in release builds and on a core file. Names are those
of engine/inspect.h: %3 is the output of op 3, %3.1 its second one, %3[4:6] a window on its rows 4 and 5.

The engine's side of it is in engine/tape.h: the hooks gradus_backward_begin and gradus_backward_end, gradus_rewind,
gradus_live_tapes, and Tape::next, the index of the next op of a running pass. Over 350 lines: one file is what gdb can
`source`, and what a person can copy to another machine.
"""
import math

import gdb
import gdb.printing

BEGIN, END = 'gradus_backward_begin', 'gradus_backward_end'


# ------------------------------------------------------------------------------------------------ reading memory


def vector(v):
    """The elements of a std::vector, without the printers of libstdc++, which a machine may lack."""
    begin, end = v['_M_impl']['_M_start'], v['_M_impl']['_M_finish']
    return begin, int(end - begin)


def reals(pointer, n):
    """n numbers, float or double as the pointer's type says, as a sequence."""
    if n == 0:
        return []
    size = pointer.type.target().sizeof
    memory = gdb.selected_inferior().read_memory(int(pointer), size * n)
    return memoryview(bytes(memory)).cast('f' if size == 4 else 'd')


def finite(x):
    # A sum is fast, and not finite if a number is not; only then look at each: finite ones may overflow together.
    return math.isfinite(sum(x)) or all(map(math.isfinite, x))


def first_bad(x):
    return next(k for k, v in enumerate(x) if not math.isfinite(v))


def number(x):
    return 'nan' if math.isnan(x) else '%.6g' % x


def numbers(x, shown=6):
    return '[' + ' '.join(map(number, x[:shown])) + (' ...' if len(x) > shown else '') + ']'


def index_text(shape, element):
    """Element 5 of [2,3] is [1,2]."""
    index = []
    for size in reversed(shape):
        index.insert(0, str(element % size))
        element //= size
    return '[' + ','.join(index) + ']'


class Value:
    """One gradus::Value."""

    def __init__(self, pointer):
        self.address, self.v = int(pointer), pointer.dereference()
        self.shape = shape_of(self.v['shape'])
        self.size = math.prod(self.shape)
        self.base = Value(self.v['base']) if int(self.v['base']) else None
        self.needs_grad = bool(self.v['needs_grad'])

    @property
    def root(self):
        return self.base or self

    @property
    def offset(self):
        return int(self.v['data'] - self.root.v['data'])

    @property
    def data(self):
        return reals(self.v['data'], self.size)

    @property
    def grad(self):
        """What has arrived, or None. A window's lies within its base's."""
        pointer = self.root.v['grad']
        if not int(pointer) or (self.base and not self.needs_grad):
            return None
        return reals(pointer + self.offset, self.size)

    @property
    def given_up(self):
        """Whether it had a gradient, whose memory serves others now."""
        return bool(self.root.v['given_up'])

    def describe(self, shown=6):
        grad = self.grad
        text = 'none, a constant' if not self.needs_grad else 'given up' if self.given_up else '-'
        return '%s = %s  grad %s' % (shape_text(self.shape), numbers(self.data, shown),
                                     text if grad is None else numbers(grad, shown))


def shape_of(shape):
    return [int(shape['size_'][i]) for i in range(int(shape['rank_']))]


def shape_text(shape):
    return '[' + ','.join(map(str, shape)) + ']'


def window_text(v):
    """As in engine/inspect.cpp."""
    whole, first, n = v.root, v.offset, v.size
    row = whole.size // whole.shape[0] if n > 0 and len(whole.shape) > 1 else 1
    span = lambda begin, count: str(begin) if count == 1 else '%d:%d' % (begin, begin + count)
    if first % row == 0 and n % row == 0:
        return '[%s]' % span(first // row, n // row)
    if first // row == (first + n - 1) // row:
        return '[%d, %s]' % (first // row, span(first % row, n))
    return '[numbers %d:%d]' % (first, first + n)


class Op:
    """One line of a tape."""

    def __init__(self, op):
        self.op = op
        self.name = op['kind']['name'].string('utf-8')
        self.formula, self.gradient, self.elements = (
            op['kind']['math'][field].string('utf-8') for field in ('formula', 'gradient', 'elements'))
        self.inputs = [Value(op['in'][i]) for i in range(int(op['n_in']))]
        self.outputs = [Value(op['out'][i]) for i in range(int(op['n_out']))]

    @property
    def where(self):
        return '%s:%d' % (self.op['where']['file'].string('utf-8'), int(self.op['where']['line']))

    @property
    def reached(self):
        """Whether backward runs on it: a gradient has arrived at an output."""
        return any(v.needs_grad and (int(v.v['grad']) or v.given_up) for v in self.outputs)


class Tape:
    """A gradus::Tape, read when it is made: make a new one after the process has run."""

    def __init__(self, pointer):
        self.address, self.tape = int(pointer), pointer.dereference()
        begin, n = vector(self.tape['ops_'])
        self.ops = [Op(begin[i]) for i in range(n)]
        self.next = int(self.tape['next'])
        self.done = bool(self.tape['done_'])
        epochs, n = vector(self.tape['epochs_'])
        self.step = int(epochs[n - 1])  # no two steps have the same
        self.makers = {v.address: (i, k, len(op.outputs)) for i, op in enumerate(self.ops)
                       for k, v in enumerate(op.outputs)}

    def name(self, v):
        root = v.root
        text = root.v['name'].string('utf-8')
        if root.address in self.makers:
            op, k, outputs = self.makers[root.address]
            text = '%%%d.%d' % (op, k) if outputs > 1 else '%%%d' % op
        if v.size != root.size:
            text += window_text(v)
        return 'detach(%s)' % text if root.needs_grad and not v.needs_grad else text

    def label(self, v):
        """The name that a program gave to the output of an op, else nothing."""
        maker = self.makers.get(v.root.address)
        text = v.root.v['name'].string('utf-8') if maker else ''
        return '' if not maker or text == self.ops[maker[0]].name else text

    def names(self, v):
        """%1 (h)"""
        return self.name(v) + (' (%s)' % self.label(v) if self.label(v) else '')

    def call(self, i):
        """%3 (h) = mul(a, %2)"""
        op = self.ops[i]
        return '%s = %s(%s)' % (', '.join(map(self.names, op.outputs)), op.name, ', '.join(map(self.name, op.inputs)))

    def roots(self):
        """Every Value that is not a window, once: leaves and parameters where they are first used, and outputs."""
        found = {}
        for op in self.ops:
            for v in op.inputs + op.outputs:
                found.setdefault(v.root.address, v.root)
        return list(found.values())

    def named(self, name):
        return [v for v in self.roots() if name in (self.name(v), self.label(v))]

    def steps_done(self):
        """How many ops of the pass have run. What arrives at an op comes from ops after it, so the ops that ran are
        those after `next` that a gradient has reached."""
        return sum(op.reached for op in self.ops[self.next + 1:]) if self.done else 0

    def leaf_names(self):
        return [self.name(v) for v in self.roots() if v.address not in self.makers]


def frame_function(frame):
    name = frame.name() if frame else None
    return name.split('(')[0] if name else ''


def newest_function():
    try:
        return frame_function(gdb.newest_frame())
    except gdb.error:
        return ''


def live_tapes():
    """slot -> Tape*, of all that are alive."""
    try:
        slots = gdb.parse_and_eval('gradus_live_tapes')
    except gdb.error:
        raise gdb.GdbError('this program has no gradus_live_tapes: is it built on gradus, with -g?')
    n = slots.type.sizeof // 8
    try:
        memory = memoryview(bytes(gdb.selected_inferior().read_memory(int(slots.address), 8 * n))).cast('Q')
    except gdb.error:
        raise gdb.GdbError('the program is not running; step-grad starts it, up to its first backward pass')
    return {i: slots[i] for i, p in enumerate(memory) if p}


def current_tape():
    """The tape that is meant: the one chosen by `tape use`, the one current on the selected thread, the only one in a
    backward pass, the only one alive."""
    tapes = live_tapes()
    if not tapes:
        raise gdb.GdbError('no tape is alive; step-grad runs the program to its next backward pass')
    if TapeCommand.chosen in tapes:
        return Tape(tapes[TapeCommand.chosen])
    try:
        current = int(gdb.parse_and_eval("'gradus::(anonymous namespace)::current_tape'"))
        for p in tapes.values():
            if int(p) == current:
                return Tape(p)
    except gdb.error:  # a core file without libthread_db
        pass
    running = [p for p in tapes.values() if int(p['next']) >= 0]
    for some in (running, list(tapes.values())):
        if len(some) == 1:
            return Tape(some[0])
    raise gdb.GdbError('%d tapes are alive: %s; choose one: tape use N' % (len(tapes), ', '.join(
        '%d (%d ops)' % (i, vector(p['ops_'])[1]) for i, p in tapes.items())))


# ------------------------------------------------------------------------------------------------ running


class Stop(gdb.Breakpoint):
    """A silent breakpoint of our own, which stops only for one tape if one is given."""

    def __init__(self, spec, tape=None, argument='tape'):
        super().__init__(spec, internal=True)
        self.silent, self.tape, self.argument = True, tape, argument

    def stop(self):
        return self.tape is None or int(gdb.parse_and_eval(self.argument)) == self.tape


def run_to(stops):
    """Continues until one of the stops, the person's own breakpoints asleep meanwhile. Says where it came to rest."""
    asleep = [b for b in gdb.breakpoints() or () if b.enabled and b.is_valid()]
    for b in asleep:
        b.enabled = False
    points = [Stop(*s) for s in stops]
    try:
        # What the program itself prints still goes to its own stdout.
        gdb.execute('continue' if gdb.selected_inferior().pid else 'run', to_string=True)
    finally:
        for b in points:
            if b.is_valid():
                b.delete()
        for b in asleep:
            if b.is_valid():
                b.enabled = True
    if not gdb.selected_inferior().pid:
        raise gdb.GdbError('the program has ended')
    return newest_function()


def is_core():
    connection = getattr(gdb.selected_inferior(), 'connection', None)
    return connection is not None and connection.type == 'core'


def require_process():
    if is_core():
        raise gdb.GdbError('this is a core file, which cannot run; on it work: tape, grad, why-nan, print')
    if not gdb.selected_inferior().pid:
        raise gdb.GdbError('the program is not running; step-grad starts it, up to its first backward pass')


def call(expression):
    """Calls a function of the process."""
    return gdb.parse_and_eval(expression)


def run_to_pass():
    """To the beginning of the next backward pass that has an op to run."""
    where = run_to([(BEGIN,)])
    if where != BEGIN:
        raise gdb.GdbError('stopped in %s before a backward pass' % (where or 'an unknown place'))
    tape = current_tape()
    # In training a pass gives up the gradients that it is done with; somebody who watches wants them all.
    gdb.execute('set variable ((gradus::Tape*)%d)->keep_ = gradus::Keep::kAll' % tape.address)
    print('A backward pass begins: %d ops on the tape.' % len(tape.ops))
    return tape


def finish_op(tape):
    """Runs the op that is next, or under way; the new state of the tape."""
    where = run_to([(BEGIN, tape.address), (END, tape.address)])
    if where not in (BEGIN, END):
        raise gdb.GdbError('the program stopped in %s, within the backward of op %%%d' % (where, tape.next))
    return Tape(gdb.Value(tape.address).cast(gdb.lookup_type('gradus::Tape').pointer()))


def differences(after, before):
    return [a - b for a, b in zip(after, before)] if before is not None else list(after)


def show_next(tape):
    if tape.next >= 0:
        op = tape.ops[tape.next]
        print('=> %s %s  %s' % (tape.call(tape.next), shape_text(op.outputs[0].shape), op.where))
    else:
        print('The backward pass is over, after %d ops. step-grad -1 goes back, continue goes on.' % tape.steps_done())


# ------------------------------------------------------------------------------------------------ commands


class Command(gdb.Command):
    def __init__(self, kind=gdb.COMMAND_DATA):
        super().__init__(self.word, kind)


class TapeCommand(Command):
    """tape [FIRST [LAST]] -- the recorded ops in order: name, shape, source line, value, gradient; of the ops that are
named also the mathematics, forward and backward.
=> marks the op whose backward is next. `tape use N` chooses among several live tapes, `tape use` lets gdb choose."""
    word, chosen = 'tape', None

    def invoke(self, argument, from_tty):
        words = argument.split()
        if words[:1] == ['use']:
            TapeCommand.chosen = int(words[1]) if len(words) > 1 else None
            if TapeCommand.chosen is not None and TapeCommand.chosen not in live_tapes():
                raise gdb.GdbError('tape %d is not alive' % TapeCommand.chosen)
            return
        tape = current_tape()
        try:
            bounds = [int(w.lstrip('%')) for w in words]
        except ValueError:
            raise gdb.GdbError('tape takes numbers of ops, or `use N`')
        first, last = (bounds + [0, len(tape.ops) - 1][len(bounds):])[:2]
        for v in tape.roots():
            if v.address not in tape.makers and not words:
                print('   %-34s %-9s %s' % (tape.name(v), '', v.describe(4)))
        for i in range(max(first, 0), min(last, len(tape.ops) - 1) + 1):
            op = tape.ops[i]
            for v in op.outputs:
                print('%s %-34s %s  %s' % ('=>' if i == tape.next and v is op.outputs[0] else '  ', tape.call(i),
                                           v.describe(4), op.where))
            if words and op.formula:
                print('      %s' % op.formula)
                print('      %s' % op.gradient)


class GradCommand(Command):
    """grad [NAME] -- the gradient of a parameter, a leaf, or %3, the output of op 3; without a name, of all leaves."""
    word = 'grad'

    def invoke(self, argument, from_tty):
        tape, name = current_tape(), argument.strip()
        found = tape.named(name) if name else [v for v in tape.roots() if v.address not in tape.makers and v.needs_grad]
        if not found:
            raise gdb.GdbError('no tensor is named %s; there are %s, and %%0 to %%%d' % (
                name, ', '.join(sorted(set(tape.leaf_names()))), len(tape.ops) - 1))
        for v in found:
            grad = v.grad
            if grad is None:
                print('%s %s: %s' % (tape.names(v), shape_text(v.shape),
                                     'a constant, it gets no gradient' if not v.needs_grad else
                                     'given up, since training keeps gradients of parameters alone; step-grad -1 brings '
                                     'it back' if v.given_up else 'no gradient has reached it'))
                continue
            columns = v.shape[-1] if len(v.shape) > 1 else v.size
            rows = [numbers(grad[r:r + columns], 12) for r in range(0, v.size, columns or 1)]
            more = ['... %d more rows' % (len(rows) - 12)] if len(rows) > 12 else []
            text = 'grad %s %s = ' % (tape.names(v), shape_text(v.shape))
            print(text + ('\n' + ' ' * len(text)).join(rows[:12] + more))

    def complete(self, text, word):
        tape = current_tape()
        known = {n for v in tape.roots() for n in (tape.name(v), tape.label(v))}
        return sorted(n for n in known if n and n.startswith(text))


class StepGradCommand(Command):
    """step-grad [N] -- run the backward of the next op (of N ops) and show what it added to each input.
step-grad -N    go back N ops, exactly: the gradients are cleared and the ops before replayed
step-grad into  stop in the op's own C++ backward; then next, step, print as usual; step-grad finishes the op
step-grad pass  run to the beginning of the next backward pass
Starts the program if it is not running. Your own breakpoints sleep meanwhile."""
    word = 'step-grad'

    def __init__(self):
        super().__init__(gdb.COMMAND_RUNNING)
        self.before = None, None  # where `into` stopped: (tape, its step, op), gradients before that op

    def invoke(self, argument, from_tty):
        word = argument.strip() or '1'
        if word == 'pass':
            show_next(run_to_pass())
        elif word == 'into':
            self.into()
        else:
            try:
                n = int(word)
            except ValueError:
                raise gdb.GdbError('step-grad takes a number, -N, into or pass, not %s' % word)
            self.forward(n) if n >= 0 else self.back(-n)

    def complete(self, text, word):
        return [w for w in ('into', 'pass') if w.startswith(text)]

    @staticmethod
    def position():
        """The tape of the pass that the process is in, which begins if there is none."""
        if is_core():
            require_process()
        if not gdb.selected_inferior().pid or not (
                newest_function() == END or any(int(p['next']) >= 0 for p in live_tapes().values())):
            return run_to_pass()
        return current_tape()

    @staticmethod
    def place(tape):
        return tape.address, tape.step, tape.next

    @staticmethod
    def gradients(tape):
        """Of the inputs of the next op, by address; None where none has arrived."""
        return {v.address: v.grad for v in tape.ops[tape.next].inputs if v.needs_grad}

    def forward(self, n):
        tape = self.position()
        for _ in range(n):
            if tape.next < 0:
                break
            i = tape.next
            before = self.before[1] if self.before[0] == self.place(tape) else self.gradients(tape)
            self.before = None, None
            tape = finish_op(tape)
            self.report(tape, i, before)
        show_next(tape)

    @staticmethod
    def report(tape, i, before):
        op = tape.ops[i]
        print('backward of %s  %s' % (tape.call(i), op.where))
        if op.gradient:
            print('   %s' % op.gradient)
        for v in op.outputs:
            if v.grad is not None:
                print('   arrived at %-11s %s' % (tape.names(v), numbers(v.grad)))
        for v in {v.address: v for v in op.inputs if v.needs_grad}.values():
            added = differences(v.grad, before.get(v.address)) if v.grad is not None else []
            line = '   grad %-14s += %s' % (tape.names(v), numbers(added))
            if before.get(v.address) is not None and any(before[v.address]):
                line += '   now %s' % numbers(v.grad)
            print(line)

    def back(self, n):
        tape = self.position()
        if newest_function() not in (BEGIN, END):  # within an op: it must end before the gradients may be cleared
            tape = finish_op(tape)
        self.before = None, None
        wanted = max(0, tape.steps_done() - n)
        call('gradus_rewind((gradus::Tape*)%d, %d)' % (tape.address, wanted))
        tape = current_tape()
        if newest_function() == END and tape.next >= 0:  # the pass goes on: on to the hook before the op
            run_to([(BEGIN, tape.address)])
            tape = current_tape()
        print('Back at step %d of the pass.' % tape.steps_done())
        show_next(tape)

    def into(self):
        tape = self.position()
        if newest_function() == END or tape.next < 0:
            raise gdb.GdbError('the backward pass is over; step-grad -1 goes back into it')
        if newest_function() != BEGIN:
            raise gdb.GdbError('already within the backward of op %%%d; step-grad finishes it' % tape.next)
        self.before = self.place(tape), self.gradients(tape)
        address = int(tape.ops[tape.next].op['kind']['backward'])
        block = gdb.block_for_pc(address)
        spec = '*%d' % address if not block or not block.function else block.function.name
        run_to([(spec,)])
        gdb.execute('frame')


class CheckGradCommand(Command):
    """check-grad [OP|all] -- backward of an op (of the next one) against finite differences of its forward.
Runs both in the process, on copies: values and gradients stay what they are."""
    word = 'check-grad'

    def invoke(self, argument, from_tty):
        require_process()
        tape, word = current_tape(), argument.strip().lstrip('%')
        if word == 'all':
            bad = [i for i in range(len(tape.ops)) if not self.passes(tape, i, 'true')]
            print('%d ops checked: %s' % (len(tape.ops), 'DO NOT AGREE: ' + ', '.join(
                '%%%d %s at %s' % (i, tape.ops[i].name, tape.ops[i].where) for i in bad) if bad else 'all agree'))
            return
        i = int(word) if word else tape.next
        if not 0 <= i < len(tape.ops):
            raise gdb.GdbError('no op is next; name one: check-grad 3, or check-grad all')
        print('%s: %s' % (tape.call(i), 'agrees' if self.passes(tape, i, 'false') else 'DOES NOT AGREE'))

    @staticmethod
    def passes(tape, i, only_failures):
        # The engine writes its sentence on the program's stderr.
        return bool(call('gradus::show_check(*(gradus::Tape*)%d, %d, %s)' % (tape.address, i, only_failures)))


class WhyNanCommand(Command):
    """why-nan -- the first number that is not finite: of values in the order they were computed, then of gradients
in the order of the backward pass."""
    word = 'why-nan'

    def invoke(self, argument, from_tty):
        try:
            tapes = [current_tape()]
        except gdb.GdbError:  # several, and none is meant: after a parallel step any may be to blame
            tapes = [Tape(p) for p in live_tapes().values()]
            if not tapes:
                raise
        if not any(self.bad_value(tape) or self.bad_gradient(tape) for tape in tapes):
            print('every value and gradient is finite')

    @staticmethod
    def inputs(tape, op, bad, k):
        """The inputs of op, and what each has at element k of bad, an output or an input, where one number belongs to
        it."""
        elements = op.elements.ljust(len(op.inputs), '-')
        whose = next((i for i, v in enumerate(op.inputs) if v.address == bad.address), None)
        decides = whose is None or elements[whose] == 'e'  # element k of an output
        for i, v in enumerate(op.inputs):
            maker = tape.makers.get(v.root.address)
            text = ' (%s, %s)' % (tape.ops[maker[0]].name, tape.ops[maker[0]].where) if maker else ''
            there = k if i == whose or decides and elements[i] == 'e' else \
                k % v.size if decides and elements[i] == 'c' else None
            print('   input %s%s %s%s' % (tape.name(v), text, '' if there is None else
                                          'is %s there: ' % number(v.data[there]), v.describe()))

    @staticmethod
    def from_mask(op, k, masks):
        """Whether element k of an output, -inf, has it from an input in which a -inf is meant: a constant leaves
        something out by it, and ops pass it on (engine/inspect.cpp)."""
        for v, kind in zip(op.inputs, op.elements.ljust(len(op.inputs), '-')):
            at = 0 if v.size == 1 else k if kind == 'e' else k % v.size if kind == 'c' else None
            if v.root.address in masks and (-math.inf in v.data if at is None else v.data[at] == -math.inf):
                return True
        return False

    def bad_value(self, tape):
        masks = set()
        for i, op in enumerate(tape.ops):
            for n, v in enumerate(op.inputs + op.outputs):
                made = v.root.address in tape.makers
                data = v.data
                if (made and n < len(op.inputs)) or finite(data):
                    continue
                is_constant = not made and not v.root.needs_grad and int(v.root.v['index']) < 0
                k = next((k for k, x in enumerate(data) if not math.isfinite(x) and not (
                    x == -math.inf and (self.from_mask(op, k, masks) if made else is_constant))), None)
                if k is None:
                    masks.add(v.root.address)
                    continue
                element = 'element %s of %s is %s' % (index_text(v.shape, k), tape.name(v), number(data[k]))
                if not made:
                    print('%s before any op; the first to use it is %s at %s' % (element, tape.call(i), op.where))
                else:
                    print('first bad value: op %s at %s: %s' % (tape.call(i), op.where, element))
                    self.inputs(tape, op, v, k)
                return True
        return False

    def bad_gradient(self, tape):
        bad = lambda v: v.grad is not None and not finite(v.grad)
        if any(v.given_up for v in tape.roots()):
            if not self.can_replay():
                some = any(map(bad, tape.roots()))
                if some:
                    print('values are finite, but a gradient is not; to see which op made it so, stop in a backward pass '
                          'of the running program: this one has given the gradients of ops up')
                return some
            call('gradus_rewind((gradus::Tape*)%d, %d)' % (tape.address, tape.steps_done()))
            tape = current_tape()
        for i in range(len(tape.ops) - 1, tape.next, -1):
            op = tape.ops[i]
            if not op.reached:
                continue
            if any(map(bad, op.outputs)):
                print('values are finite; the gradient that arrives at %s at %s is not, though no backward made it so: '
                      'it was seeded with it, or a sum overflowed' % (tape.call(i), op.where))
                return True
            for v in op.inputs:
                if not bad(v):
                    continue
                others = [j for j in range(len(tape.ops) - 1, tape.next, -1) if tape.ops[j].reached and any(
                    w.root.address == v.root.address and bad(w) for w in tape.ops[j].inputs) and not any(
                        map(bad, tape.ops[j].outputs))]
                i = self.culprit(tape, others)
                k = first_bad(v.grad)
                text = ', or one of the other ops that add to it: ' + ', '.join('%%%d' % j for j in others if j != i) \
                    if len(others) > 1 and not self.can_replay() else ''
                op = tape.ops[i]
                print('values are finite; first bad gradient: backward of op %s at %s, into %s: element %s is %s%s' % (
                    tape.call(i), op.where, tape.name(v), index_text(v.shape, k), number(v.grad[k]), text))
                self.inputs(tape, op, v, k)
                for w in op.outputs:
                    print('   output %s %s' % (tape.name(w), w.describe()))
                return True
        return False

    @staticmethod
    def can_replay():
        return not is_core() and newest_function() in (BEGIN, END)

    def culprit(self, tape, candidates):
        """Which of the ops that add to one bad gradient made it so. What has become NaN stays so: replay half of the
        pass, look, and halve again; then back to where it stood."""
        if len(candidates) == 1 or not self.can_replay():
            return candidates[0]
        done = tape.steps_done()
        order = [j for j in range(len(tape.ops) - 1, tape.next, -1) if tape.ops[j].reached]
        good, bad = 0, done
        while bad - good > 1:
            middle = (good + bad) // 2
            call('gradus_rewind((gradus::Tape*)%d, %d)' % (tape.address, middle))
            state = current_tape()
            clean = all(v.grad is None or finite(v.grad) for v in state.roots())
            good, bad = (middle, bad) if clean else (good, middle)
        call('gradus_rewind((gradus::Tape*)%d, %d)' % (tape.address, done))
        return order[bad - 1]


# ------------------------------------------------------------------------------------------------ printers


class ShapePrinter:
    def __init__(self, v):
        self.v = v

    def to_string(self):
        return shape_text(shape_of(self.v))


def name_of(value):
    try:
        return current_tape().names(value)
    except (gdb.error, gdb.GdbError):
        return value.root.v['name'].string('utf-8')


class ValuePrinter:
    def __init__(self, v):
        self.v = v

    def to_string(self):
        value = Value(self.v.address)
        return '%s %s' % (name_of(value), value.describe())


class TensorPrinter:
    def __init__(self, v):
        self.v = v

    def to_string(self):
        if not int(self.v['value_']):
            return 'Tensor (empty)'
        epoch = int(self.v['epoch_'])
        if epoch:
            slots = gdb.parse_and_eval('gradus_live_tapes')
            tape = slots[epoch % (slots.type.sizeof // 8)]
            if not int(tape):
                return 'Tensor (dead: its tape is gone)'
            begin, n = vector(tape['epochs_'])
            if epoch not in [int(begin[i]) for i in range(n)]:
                return 'Tensor (dead: its step is over)'
        value = Value(self.v['value_'])
        if int(value.v['owner']):  # the tape keeps the gradient of a parameter in a Value of its own
            try:
                local = [v for v in current_tape().roots() if int(v.v['data']) == int(value.v['data'])]
                value = local[0] if local else value
            except gdb.GdbError:
                pass
        return 'Tensor %s %s' % (name_of(value), value.describe())


class OpPrinter:
    def __init__(self, v):
        self.v = v

    def to_string(self):
        op = Op(self.v)
        return '%s = %s(%s)  %s' % (', '.join(map(name_of, op.outputs)), op.name, ', '.join(map(name_of, op.inputs)),
                                    op.where)


def register():
    if 'ANSI_X3.4' in gdb.execute('show host-charset', to_string=True):  # the C locale; names are UTF-8
        gdb.execute('set host-charset UTF-8')
    printers = gdb.printing.RegexpCollectionPrettyPrinter('gradus')
    for name, printer in (('Shape', ShapePrinter), ('Value', ValuePrinter), ('Tensor', TensorPrinter),
                          ('Op', OpPrinter)):
        printers.add_printer(name, '^gradus::%s$' % name, printer)
    gdb.printing.register_pretty_printer(None, printers, replace=True)
    for command in (TapeCommand, GradCommand, StepGradCommand, CheckGradCommand, WhyNanCommand):
        command()


register()
print('gradus: tape, grad NAME, step-grad [N | -N | into | pass], check-grad, why-nan (help tape, ...). Begin: step-grad')
