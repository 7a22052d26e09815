"""What the kernels need of the processor: compilation, bits, maxima and exponentials that become vectors."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import extending, types

__all__ = ["above", "compiled", "exp", "larger", "lowest"]

njit: Any = numba.njit
intrinsic: Any = extending.intrinsic
overload: Any = extending.overload

_FAST = {"contract", "nnan", "ninf", "nsz", "reassoc"}
_EXP2 = np.polynomial.Chebyshev.interpolate(np.exp2, 6, [-0.5, 0.5]).convert(kind=np.polynomial.Polynomial).coef
_C32 = tuple(np.float32(c) for c in _EXP2)
_C64 = tuple(math.log(2) ** k / math.factorial(k) for k in range(13))
_LOG2E = 1.4426950408889634


def compiled(function: Any) -> Any:
    """Compile, and keep the code on disk where that is possible."""
    settings = {"nogil": True, "fastmath": _FAST, "error_model": "numpy"}
    try:
        return njit(cache=True, **settings)(function)
    except RuntimeError:  # no folder for the cache can be written
        return njit(**settings)(function)


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
        shape = ir.FunctionType(real, [real, real])
        function = builder.module.globals.get(name) or ir.Function(builder.module, shape, name)
        return builder.call(function, args, fastmath=("fast",))

    return a(a, a), codegen


@intrinsic
def above(typingctx: Any, row: Any, start: Any, least: Any) -> Any:
    """Return as bits which entries of one vector of `row` are above `least`."""
    lanes = 8 if row.dtype == types.float64 else 16

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        reals = ir.VectorType(ir.DoubleType() if lanes == 8 else ir.FloatType(), lanes)
        pointer = builder.bitcast(builder.gep(data, [args[1]]), reals.as_pointer())
        vector = builder.load(pointer, align=4)
        undefined = ir.Constant(reals, ir.Undefined)
        first = builder.insert_element(undefined, args[2], ir.IntType(32)(0))
        every = builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))
        mask = builder.fcmp_ordered(">", vector, every)
        return builder.zext(builder.bitcast(mask, ir.IntType(lanes)), ir.IntType(64))

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


@overload(exp, inline="always")
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
