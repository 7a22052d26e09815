"""The loops of the E-step, compiled by numba: all of them in this file, so that a change compiles all of them anew.

First come the instructions that numba does not offer by itself: vectors of 512 bits, which processors with narrower
ones take in steps, maxima, and an exponential that becomes vectors. Then come the loops over frames. Importing this
file imports numba, which takes a while: import it inside the function that needs it.

Symbols: n frames of a block, K components (padded to whole vectors), D dimensions, P = D + 1 padded. Frames are rows
z (n, 2 P) = [y, 1, 0, ... | y**2, 1, 0, ...]. The frames that matter to each component are listed: lists of all
components lie one after the other, `start` and `count` say where that of component c is.
"""

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from speechgmm.checks import Array
from speechgmm.compiler import prepare_cache

prepare_cache()
intrinsic: Any = extending.intrinsic
_FAST = {"contract", "nnan", "ninf", "nsz", "reassoc"}
_EXP2 = np.polynomial.Chebyshev.interpolate(np.exp2, 6, [-0.5, 0.5]).convert(kind=np.polynomial.Polynomial).coef
_C32 = tuple(np.float32(c) for c in _EXP2)
_C64 = tuple(math.log(2) ** k / math.factorial(k) for k in range(13))
_LOG2E = 1.4426950408889634


def compiled(function: Any) -> Any:
    """Compile, and keep the code on disk."""
    return numba.njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy")(function)


def _call(builder: Any, name: str, shape: Any, args: Any) -> Any:
    """Call one of LLVM's own functions."""
    function = builder.module.globals.get(name) or ir.Function(builder.module, shape, name)
    return builder.call(function, args, fastmath=("fast",))


class Vectors:
    """Writes what the instructions below have in common: vectors of one kind of number, at places of arrays."""

    def __init__(self, context: Any, builder: Any, number: Any) -> None:
        self.context, self.builder, self.lanes = context, builder, 8 if number == types.float64 else 16
        self.type = ir.VectorType(ir.DoubleType() if self.lanes == 8 else ir.FloatType(), self.lanes)

    def array(self, kind: Any, value: Any) -> Any:
        """Return an argument as an array: its data, and its row length."""
        array = self.context.make_array(kind)(self.context, self.builder, value)
        return array.data, self.builder.extract_value(array.shape, kind.ndim - 1)

    def at(self, data: Any, place: Any) -> Any:
        """Return a pointer to the vector that begins at a place."""
        return self.builder.bitcast(self.builder.gep(data, [place]), self.type.as_pointer())

    def load(self, data: Any, place: Any) -> Any:
        """Return the vector that begins at a place."""
        return self.builder.load(self.at(data, place), align=4)

    def every(self, value: Any) -> Any:
        """Return a vector of one number."""
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, lanes)

    def slot(self, value: Any) -> Any:
        """Return a place on the stack that the compiler turns into a register."""
        alloca: Any = cgutils.alloca_once
        place = alloca(self.builder, value.type)
        self.builder.store(value, place)
        return place

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c, fused where the processor can."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=("fast",)), c, flags=("fast",))

    def sum(self, vector: Any) -> Any:
        """Return the sum of a vector's numbers."""
        element = self.type.element
        name = f"llvm.vector.reduce.fadd.v{self.lanes}{'f64' if self.lanes == 8 else 'f32'}"
        return _call(self.builder, name, ir.FunctionType(element, [element, self.type]), [element(0.0), vector])

    def chunks(self, width: Any, body: Any) -> None:
        """Call `body(starts)` for all whole vectors of a width: four at a time while there are, then singly."""
        long, b = ir.IntType(64), self.builder
        done = long(0)
        for n in (4, 1):
            size = long(n * self.lanes)
            times = b.sdiv(b.sub(width, done), size)
            with cgutils.for_range(b, times) as loop:
                start = b.add(done, b.mul(loop.index, size))
                body([b.add(start, long(j * self.lanes)) for j in range(n)])
            done = b.add(done, b.mul(times, size))


@intrinsic
def _as_float(typingctx: Any, bits: Any) -> Any:
    """Return the float with these bits."""
    wide = bits == types.int64
    result = types.float64 if wide else types.float32

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType() if wide else ir.FloatType())

    return result(bits), codegen


@intrinsic
def larger(typingctx: Any, a: Any, b: Any) -> Any:
    """Return the larger of two floats, in a form that compilers turn into vectors."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        real = args[0].type
        name = f"llvm.maxnum.{'f64' if a == types.float64 else 'f32'}"
        return _call(builder, name, ir.FunctionType(real, [real, real]), args)

    return a(a, a), codegen


@intrinsic
def above(typingctx: Any, row: Any, start: Any, least: Any) -> Any:
    """Return as bits which entries of one vector of `row` are above `least`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Vectors(context, builder, row.dtype)
        mask = builder.fcmp_ordered(">", v.load(v.array(row, args[0])[0], args[1]), v.every(args[2]))
        return builder.zext(builder.bitcast(mask, ir.IntType(v.lanes)), ir.IntType(64))

    return types.int64(row, types.int64, row.dtype), codegen


@intrinsic
def lowest(typingctx: Any, bits: Any) -> Any:
    """Return the place of the lowest bit that is set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.int64), codegen


def exp(x: Any) -> Any:
    """exp(x) for x <= 0: 2**n times a polynomial in what is left of x / log(2).

    Relative error: 3e-7 in float32, 6e-16 in float64, and |x| times the precision's rounding.
    """
    raise TypeError(x)


@extending.overload(exp, inline="always")
def _exp_overload(x: Any) -> Any:
    if x == types.float32:
        a0, a1, a2, a3, a4, a5, a6 = _C32
        log2e, half, low = np.float32(_LOG2E), np.float32(0.5), np.float32(-126.0)

        def exp32(x: Any) -> Any:
            t = max(x * log2e, low)
            n = np.floor(t + half)
            f = t - n
            p = a0 + f * (a1 + f * (a2 + f * (a3 + f * (a4 + f * (a5 + f * a6)))))
            return p * _as_float(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))

        return exp32
    b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12 = _C64

    def exp64(x: Any) -> Any:
        t = max(x * _LOG2E, -1022.0)
        n = np.floor(t + 0.5)
        f = t - n
        high = b6 + f * (b7 + f * (b8 + f * (b9 + f * (b10 + f * (b11 + f * b12)))))
        p = b0 + f * (b1 + f * (b2 + f * (b3 + f * (b4 + f * (b5 + f * high)))))
        return p * _as_float((np.int64(n) + np.int64(1023)) << np.int64(52))

    return exp64


@intrinsic
def add_moments(typingctx: Any, sums: Any, c: Any, y: Any, frame: Any, share: Any, start: Any, count: Any) -> Any:
    """Add share * y and share * y**2 of the frames listed to the halves of sums[c] (2 P,)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Vectors(context, builder, sums.dtype)
        (total, width), (rows, stride) = v.array(sums, args[0]), v.array(y, args[2])
        (numbers, _), (shares, _) = v.array(frame, args[3]), v.array(share, args[4])
        half, place = builder.sdiv(width, ir.IntType(64)(2)), builder.mul(args[1], width)

        def body(offsets: Any) -> None:
            first = [builder.add(place, o) for o in offsets]
            places = first + [builder.add(p, half) for p in first]
            slots = [v.slot(v.load(total, p)) for p in places]
            with cgutils.for_range(builder, args[6]) as loop:
                at = builder.add(args[5], loop.index)
                number = builder.zext(builder.load(builder.gep(numbers, [at])), ir.IntType(64))
                weight = v.every(builder.load(builder.gep(shares, [at])))
                for j, offset in enumerate(offsets):
                    value = v.load(rows, builder.add(builder.mul(number, stride), offset))
                    part = builder.fmul(weight, value, flags=("fast",))
                    one, two = slots[j], slots[j + len(offsets)]
                    builder.store(builder.fadd(builder.load(one), part, flags=("fast",)), one)
                    builder.store(v.multiply_add(part, value, builder.load(two)), two)
            for p, slot in zip(places, slots, strict=True):
                builder.store(builder.load(slot), v.at(total, p), align=4)

        v.chunks(half, body)
        return context.get_dummy_value()

    return types.none(sums, types.int64, y, frame, share, types.int64, types.int64), codegen


@intrinsic
def log_densities(typingctx: Any, rows: Any, c: Any, y: Any, frame: Any, joint: Any, start: Any, count: Any) -> Any:
    """Add the sum of y * (a + b * y) of the frames listed to joint; a and b are the halves of rows[c] (2 P,)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = Vectors(context, builder, rows.dtype)
        (terms, width), (values, stride) = v.array(rows, args[0]), v.array(y, args[2])
        (numbers, _), (results, _) = v.array(frame, args[3]), v.array(joint, args[4])
        half, place = builder.sdiv(width, ir.IntType(64)(2)), builder.mul(args[1], width)

        def body(offsets: Any) -> None:
            first = [builder.add(place, o) for o in offsets]
            linear = [v.load(terms, p) for p in first]
            square = [v.load(terms, builder.add(p, half)) for p in first]
            with cgutils.for_range(builder, args[6]) as loop:
                at = builder.add(args[5], loop.index)
                number = builder.zext(builder.load(builder.gep(numbers, [at])), ir.IntType(64))
                total = ir.Constant(v.type, None)
                for a, b, offset in zip(linear, square, offsets, strict=True):
                    value = v.load(values, builder.add(builder.mul(number, stride), offset))
                    total = v.multiply_add(v.multiply_add(b, value, a), value, total)
                result = builder.gep(results, [at])
                builder.store(builder.fadd(builder.load(result), v.sum(total), flags=("fast",)), result)

        v.chunks(half, body)
        return context.get_dummy_value()

    return types.none(rows, types.int64, y, frame, joint, types.int64, types.int64), codegen


@compiled
def prepare(z: Array, origin: Array, scale: Array, dimensions: int) -> float:
    """Turn rows [x, ...] of z (n, 2 P) into [y, 1, 0, ... | y**2, 1, 0, ...]; return the largest deviation."""
    half = len(origin)
    far = z.dtype.type(0)
    for i in range(len(z)):
        row = z[i]
        for d in range(half):
            row[d] = (np.float64(row[d]) - origin[d]) * scale[d]
        for d in range(half):
            far = larger(far, abs(row[d]))
        row[dimensions] = 1
        for d in range(half):
            row[half + d] = row[d] * row[d]
    return far


@compiled
def exponential_sums(joint: Array, top: Array, total: Array) -> None:
    """Give the maximum of each row of joint (n, K), and the sum of exp(row - maximum)."""
    n, k = joint.shape
    for i in range(n):
        row = joint[i]
        high = row[0]
        for c in range(k):
            high = larger(high, row[c])
        s = joint.dtype.type(0)
        for c in range(k):
            s += exp(row[c] - high)
        top[i], total[i] = high, s


@compiled
def add_log_sums(joint: Array, shared: Array, frame: Array, top: Array, total: Array) -> None:
    """Add rows joint + shared, (P, S) and (P,), to the sums of exponentials of their frames (P,).

    The sum of frame n is exp(top[n]) * total[n], (S,): top rises to the largest addend, so that nothing overflows.
    """
    for i in range(len(joint)):
        row, high, sums = joint[i], top[frame[i]], total[frame[i]]
        for s in range(len(row)):
            value = row[s] + shared[i]
            excess = value - high[s]
            e = exp(-abs(excess))
            sums[s] = sums[s] * e + 1 if excess > 0 else sums[s] + e
            high[s] = larger(high[s], value)


@compiled
def list_posteriors(joint: Array, lanes: int, lists: Any, top: Array, total: Array) -> None:
    """As `exponential_sums`, and list for each component its frames and posteriors, where these are above rounding.

    joint is used up. lists: frame and share, each (K, length), of which the first used (K,) count.
    """
    n, k = joint.shape
    frame, share, used = lists
    least = joint.dtype.type(np.finfo(joint.dtype).eps / 4)
    used[:] = 0
    for i in range(n):
        row = joint[i]
        high = row[0]
        for c in range(k):
            high = larger(high, row[c])
        s = joint.dtype.type(0)
        for c in range(k):
            e = exp(row[c] - high)
            row[c] = e
            s += e
        top[i], total[i] = high, s
        inverse = 1 / s
        for start in range(0, k, 64):
            bits = 0
            for part in range(start, min(start + 64, k), lanes):
                bits |= above(row, part, s * least) << (part - start)
            while bits:
                c = start + lowest(bits)
                bits &= bits - 1
                place = used[c]
                frame[c, place], share[c, place] = i, row[c] * inverse
                used[c] = place + 1


@compiled
def accumulate(z: Array, lists: Any, sums: Array) -> None:
    """Add posterior * [y, 1, 0, ... | y**2, 1, 0, ...] of the frames listed to the sums (K, 2 P)."""
    frame, share, used = lists
    for c in range(len(used)):
        add_moments(sums, c, z, frame, share, c * frame.shape[1], used[c])


@compiled
def flush(sums: Array, result: Array) -> None:
    """Add sums to the float64 result, and start them anew."""
    for c in range(sums.shape[0]):
        for d in range(sums.shape[1]):
            result[c, d] += sums[c, d]
            sums[c, d] = 0


@compiled
def keep(lists: Any, threshold: float, base: int, frames: Array, counts: Array, best: Array) -> None:
    """Append to frames (K, UNIT) those of a block whose posteriors are above the threshold, or their frame's best."""
    frame, share, used = lists
    best[:] = 0
    for c in range(len(counts)):
        for a in range(used[c]):
            best[frame[c, a]] = larger(best[frame[c, a]], share[c, a])
    for c in range(len(counts)):
        n = counts[c]
        for a in range(used[c]):
            if share[c, a] > threshold or share[c, a] == best[frame[c, a]]:
                frames[c, n] = base + frame[c, a]
                n += 1
        counts[c] = n


@compiled
def pack(frames: Array, counts: Array, result: Array) -> None:
    """Lay the lists of all components one after the other."""
    place = 0
    for c in range(len(counts)):
        for a in range(counts[c]):
            result[place] = frames[c, a]
            place += 1


@compiled
def visit(z: Array, rows: Array, pairs: Any, top: Array, total: Array, sums: Array) -> None:
    """Give the maxima and sums of exp(joint - maximum) of each frame over its pairs, and add their moments to sums.

    pairs: how many frames each list has (K,), the frames' numbers (P,), list by list, and joint (P,), which begins at 0
    and is used up. At the start top is below any log density and total is 0.
    """
    counts, frames, joint = pairs
    start = 0
    for c in range(len(counts)):
        log_densities(rows, c, z, frames, joint, start, np.int64(counts[c]))
        start += counts[c]
    for p in range(len(frames)):
        top[frames[p]] = larger(top[frames[p]], joint[p])
    for p in range(len(frames)):
        joint[p] = exp(joint[p] - top[frames[p]])
    for p in range(len(frames)):
        total[frames[p]] += joint[p]
    for p in range(len(frames)):
        joint[p] /= total[frames[p]]
    start = 0
    for c in range(len(counts)):
        add_moments(sums, c, z, frames, joint, start, np.int64(counts[c]))
        start += counts[c]


@compiled
def compare(steps: Array, size: Array, squares: Array, linear: Array, curvature: Array, scores: Array) -> None:
    """Give each of S rows of whole steps, (S, K, D), the sum of size * (steps . linear) - curvature * squares / 2.

    size and squares: (S, K); linear: (K, D); curvature: (K,).
    """
    for s in range(len(steps)):
        total = 0.0
        for c in range(len(linear)):
            row, direction, product = steps[s, c], linear[c], np.float32(0)
            for d in range(len(direction)):
                product += np.float32(row[d]) * direction[d]
            total += size[s, c] * product - np.float32(0.5) * curvature[c] * squares[s, c]
        scores[s] = total
