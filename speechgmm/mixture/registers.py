"""Loops over a component's frames, written out so that their sums stay in the processor's registers.

Lists of all components lie one after the other: `start` and `count` say where in `frame` those rows of `y` are that
matter to component c. Rows are padded to whole vectors of 512 bits, which processors with narrower ones take in steps.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

__all__ = ["add_moments", "log_densities"]

intrinsic: Any = extending.intrinsic


class Vectors:
    """Writes what the loops below have in common: vectors of one kind, at places of arrays."""

    def __init__(self, context: Any, builder: Any, number: Any) -> None:
        self.context, self.builder, self.lanes = context, builder, 8 if number == types.float64 else 16
        self.type = ir.VectorType(ir.DoubleType() if self.lanes == 8 else ir.FloatType(), self.lanes)
        self.undefined = ir.Constant(self.type, ir.Undefined)

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
        first = self.builder.insert_element(self.undefined, value, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, self.undefined, lanes)

    def slot(self, value: Any) -> Any:
        """Return a place on the stack that the compiler turns into a register."""
        alloca: Any = cgutils.alloca_once
        place = alloca(self.builder, value.type)
        self.builder.store(value, place)
        return place

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c, fused where the processor can."""
        b_ = self.builder
        return b_.fadd(b_.fmul(a, b, flags=("fast",)), c, flags=("fast",))

    def sum(self, vector: Any) -> Any:
        """Return the sum of a vector's numbers."""
        element = self.type.element
        name = f"llvm.vector.reduce.fadd.v{self.lanes}{'f64' if self.lanes == 8 else 'f32'}"
        shape = ir.FunctionType(element, [element, self.type])
        function = self.builder.module.globals.get(name) or ir.Function(self.builder.module, shape, name)
        return self.builder.call(function, [element(0.0), vector], fastmath=("fast",))

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
