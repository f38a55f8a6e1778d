"""Generates models of one operator (and short chains): operator x type x shape x window, seeded."""

import numpy as np

from tflite_writer import Model, TYPES

SAME, VALID = 0, 1
ZERO = {"int8": (-128, 127), "uint8": (0, 255), "int16": (0, 0)}
QUANTISED = ["int8", "int8", "uint8", "int16"]


class Draw:
    """Random choices of one case."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def pick(self, values):
        return values[int(self.rng.integers(len(values)))]

    def size(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def scale(self, low=0.004, high=0.08):
        return float(np.float32(np.exp(self.rng.uniform(np.log(low), np.log(high)))))

    def zero(self, dtype):
        low, high = ZERO.get(dtype, (0, 0))
        return 0 if low == high else int(self.rng.integers(low // 2, high // 2 + 1))

    def shape(self, depth=40, extent=14):
        return (1, self.size(1, extent), self.size(1, extent), self.size(1, depth))


def quantised(model, draw, shape, dtype, scale=None, zero=None):
    return model.input(
        shape, dtype, scale or draw.scale(), draw.zero(dtype) if zero is None else zero)


def window(extent, kernel, stride, dilation, padding):
    reach = (kernel - 1) * dilation + 1
    return -(-extent // stride) if padding == SAME else -(-(extent - reach + 1) // stride)


def weights(model, draw, shape, dtype, channels, axis, source_scale, per_channel=True):
    """Weights and bias of a layer; returns their tensors and the scale its output should have."""
    count = channels if per_channel and dtype != "uint8" else 1
    scales = [draw.scale(0.002, 0.02) for _ in range(count)]
    kind = "uint8" if dtype == "uint8" else "int8"
    low, high = (0, 256) if kind == "uint8" else (-127, 128)
    values = draw.rng.integers(low, high, shape)
    zero = 128 if kind == "uint8" else 0
    w = model.constant(values, kind, scales, zero, axis)
    wide = "int64" if dtype == "int16" else "int32"
    b = model.constant(
        draw.rng.integers(-2000, 2000, channels), wide,
        [np.float32(source_scale) * np.float32(s) for s in scales])
    taps = max(1, int(np.prod(shape)) // channels)
    span = 1 if dtype != "int16" else 1 / 64
    return w, b, source_scale * max(scales) * np.sqrt(taps) * 60 * span


def conv(draw, dtype):
    m = Model()
    n, h, w, c = draw.shape()
    s = draw.scale()
    x = quantised(m, draw, (n, h, w, c), dtype, s)
    kh, kw = draw.size(1, min(5, h)), draw.size(1, min(5, w))
    stride, dilation = draw.pick([(1, 1), (1, 1), (2, 2), (3, 3), (1, 2), (2, 1)]), 1
    if stride == (1, 1) and draw.size(0, 3) == 0:
        dilation = 2
    padding = draw.pick([SAME, VALID])
    if (kh - 1) * dilation >= h or (kw - 1) * dilation >= w:
        dilation = 1
    o = draw.size(1, 40)
    k, b, so = weights(m, draw, (o, kh, kw, c), dtype, o, 0, s, draw.size(0, 4) > 0)
    shape = (1, window(h, kh, stride[0], dilation, padding),
             window(w, kw, stride[1], dilation, padding), o)
    y = m.output(shape, dtype, so, draw.zero(dtype))
    m.op("CONV_2D", [x, k, b], [y], "Conv2DOptions", 3, padding=padding, strideH=stride[0],
         strideW=stride[1], dilationHFactor=dilation, dilationWFactor=dilation,
         fusedActivationFunction=draw.pick([0, 0, 1, 3]))
    return m


def depthwise(draw, dtype):
    m = Model()
    n, h, w, c = draw.shape()
    s = draw.scale()
    x = quantised(m, draw, (n, h, w, c), dtype, s)
    kh, kw = draw.size(1, min(5, h)), draw.size(1, min(5, w))
    stride = draw.pick([1, 1, 2, 3])
    padding = draw.pick([SAME, VALID])
    factor = 1 if c > 1 else draw.pick([1, 4])
    k, b, so = weights(m, draw, (1, kh, kw, c * factor), dtype, c * factor, 3, s)
    shape = (1, window(h, kh, stride, 1, padding), window(w, kw, stride, 1, padding), c * factor)
    y = m.output(shape, dtype, so, draw.zero(dtype))
    m.op("DEPTHWISE_CONV_2D", [x, k, b], [y], "DepthwiseConv2DOptions", 3, padding=padding,
         strideH=stride, strideW=stride, depthMultiplier=factor, dilationHFactor=1,
         dilationWFactor=1, fusedActivationFunction=draw.pick([0, 0, 1, 3]))
    return m


def fully_connected(draw, dtype):
    m = Model()
    rows, k, o = draw.pick([1, 1, 1, 2, 5]), draw.size(1, 200), draw.size(1, 80)
    s = draw.scale()
    x = quantised(m, draw, (rows, k), dtype, s)
    w, b, so = weights(m, draw, (o, k), dtype, o, 0, s, False)
    y = m.output((rows, o), dtype, so, draw.zero(dtype))
    m.op("FULLY_CONNECTED", [x, w, b], [y], "FullyConnectedOptions", 4,
         fusedActivationFunction=draw.pick([0, 0, 1]))
    return m


def transpose_conv(draw, dtype):
    m = Model()
    h, w, c, o = draw.size(2, 8), draw.size(2, 8), draw.size(1, 24), draw.size(1, 16)
    s, stride, kernel = draw.scale(), draw.pick([1, 2]), draw.pick([2, 3, 4])
    x = quantised(m, draw, (1, h, w, c), dtype, s)
    k, b, so = weights(m, draw, (o, kernel, kernel, c), dtype, o, 0, s)
    padding = draw.pick([SAME, VALID])
    size = [n * stride if padding == SAME else (n - 1) * stride + max(kernel, stride)
            for n in (h, w)]
    shape = m.constant([1, *size, o], "int32")
    y = m.output((1, *size, o), dtype, so, draw.zero(dtype))
    m.op("TRANSPOSE_CONV", [shape, k, x, b], [y], "TransposeConvOptions", 3, padding=padding,
         strideH=stride, strideW=stride)
    return m


def pool(kind):
    def build(draw, dtype):
        m = Model()
        shape = draw.shape()
        s, z = draw.scale(), draw.zero(dtype)
        x = quantised(m, draw, shape, dtype, s, z)
        kh, kw = draw.size(1, min(6, shape[1])), draw.size(1, min(6, shape[2]))
        stride, padding = draw.pick([1, 2, 3]), draw.pick([SAME, VALID])
        y = m.output((1, window(shape[1], kh, stride, 1, padding),
                      window(shape[2], kw, stride, 1, padding), shape[3]), dtype, s, z)
        m.op(kind, [x], [y], "Pool2DOptions", 2 if dtype == "int8" else 3 if dtype == "int16" else 1,
             padding=padding, strideH=stride, strideW=stride, filterHeight=kh, filterWidth=kw,
             fusedActivationFunction=draw.pick([0, 0, 1]))
        return m
    return build


def binary(kind, options, same_scale=False):
    def build(draw, dtype):
        m = Model()
        shape = draw.shape()
        other = draw.pick([shape, shape, (1, 1, 1, shape[3]), (1, 1, 1, 1), (1, shape[1], 1, 1)])
        a, b = draw.scale(), draw.scale()
        so = (a * b * 60 if kind == "MUL" else (a - b) ** 2 + a * b * 60
              if kind == "SQUARED_DIFFERENCE" else a + b)
        if dtype == "int16" and kind in ("MUL", "SQUARED_DIFFERENCE"):
            so *= 256
        za, zb, zo = draw.zero(dtype), draw.zero(dtype), draw.zero(dtype)
        if same_scale:
            b = so = a
            zb = zo = za
        if dtype == "int32":
            a = b = so = None
        x = quantised(m, draw, shape, dtype, a, za) if a else m.input(shape, dtype)
        constant = draw.size(0, 2) == 0 and dtype != "int32"
        if constant:
            info = np.iinfo(dtype)
            y = m.constant(draw.rng.integers(info.min, info.max + 1, other), dtype, b, zb)
        else:
            y = m.input(other, dtype, b, zb) if b else m.input(other, dtype)
        out = m.output(shape, dtype, so, zo) if so else m.output(shape, dtype)
        fields = {}
        if options in ("AddOptions", "SubOptions", "MulOptions") and dtype != "int32":
            fields["fusedActivationFunction"] = draw.pick([0, 0, 1, 3])
        if options in ("AddOptions", "SubOptions"):
            fields["potScaleInt16"] = False
        m.op(kind, [x, y], [out], options, 2 if dtype != "uint8" else 1, **fields)
        return m
    return build


def unary(kind, options=None, out_scale=None, out_zero=None, same=False, **fields):
    def build(draw, dtype):
        m = Model()
        shape = draw.shape()
        s, z = draw.scale(), draw.zero(dtype)
        if kind == "RSQRT":  # Defined for positive numbers only.
            z = -128
        x = quantised(m, draw, shape, dtype, s, z)
        if same:
            y = m.output(shape, dtype, s, z)
        elif out_scale:
            # A sigmoid's scale is fixed for 16 bits, whatever it is for 8.
            scale = {"int8": out_scale, "uint8": out_scale}.get(
                dtype, 1 / 32768 if kind in ("LOGISTIC", "TANH") else out_scale / 128)
            zero = {"int8": out_zero, "uint8": out_zero + 128, "int16": 0}[dtype]
            y = m.output(shape, dtype, scale, zero)
        else:
            y = m.output(shape, dtype, s * draw.pick([1.0, 0.7, 1.6]), draw.zero(dtype))
        extra = {k: v(draw) if callable(v) else v for k, v in fields.items()}
        old = dtype == "uint8" or kind in ("RELU_N1_TO_1", "RELU_0_TO_1")
        m.op(kind, [x], [y], options, 1 if old else 2, **extra)
        return m
    return build


def softmax(draw, dtype):
    m = Model()
    shape = draw.pick([(1, draw.size(2, 100)), (1, draw.size(1, 8), draw.size(1, 8), draw.size(2, 30))])
    x = quantised(m, draw, shape, dtype, None)
    scale, zero = {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)}[dtype]
    y = m.output(shape, dtype, scale, zero)
    m.op("SOFTMAX", [x], [y], "SoftmaxOptions", 2 if dtype != "uint8" else 1, beta=1.0)
    return m


def prelu(draw, dtype):
    m = Model()
    shape = draw.shape()
    x = quantised(m, draw, shape, dtype)
    info = np.iinfo(dtype)
    a = m.constant(draw.rng.integers(info.min, info.max + 1, (1, 1, shape[3])), dtype, draw.scale(),
                   draw.zero(dtype))
    m.op("PRELU", [x, a], [m.output(shape, dtype, draw.scale(), draw.zero(dtype))])
    return m


def reduce(kind, needs_scale=False):
    def build(draw, dtype):
        m = Model()
        shape = draw.shape(24, 10)
        s, z = draw.scale(), draw.zero(dtype)
        x = quantised(m, draw, shape, dtype, s, z)
        axes = draw.pick([[1, 2], [1], [2], [3], [1, 2]])
        out = tuple(1 if i in axes else n for i, n in enumerate(shape))
        so = s * (1 if not needs_scale else np.prod([shape[a] for a in axes]) * 0.5)
        y = m.output(out, dtype, float(so), z)
        m.op(kind, [x, m.constant(axes, "int32")], [y], "ReducerOptions", 2, keepDims=True)
        m.variant = f"-{len(axes)}axes"
        return m
    return build


def resize(kind, options):
    def build(draw, dtype):
        m = Model()
        shape = (1, draw.size(2, 8), draw.size(2, 8), draw.size(1, 24))
        s, z = draw.scale(), draw.zero(dtype)
        x = quantised(m, draw, shape, dtype, s, z)
        factor = draw.pick([2, 4])
        mode = draw.pick(["plain", "align", "half"])
        extra = -(factor - 1) if mode == "align" else 0
        size = [n * factor + extra for n in shape[1:3]]
        y = m.output((1, *size, shape[3]), dtype, s, z)
        m.op(kind, [x, m.constant(size, "int32")], [y], options, 3 if dtype != "uint8" else 1,
             alignCorners=mode == "align", halfPixelCenters=mode == "half")
        return m
    return build


def mover(kind):
    """Operators that move elements."""
    def build(draw, dtype):
        m = Model()
        shape = draw.shape(24, 10)
        plain = dtype == "int32"
        s, z = (None, 0) if plain else (draw.scale(), draw.zero(dtype))
        new = lambda shape: m.output(shape, dtype, s, z)
        ints = lambda values: m.constant(values, "int32")
        x = m.input(shape, dtype, s, z)
        if kind == "RESHAPE":
            to = [1, shape[1] * shape[2], shape[3]]
            m.op(kind, [x, ints(to)], [new(to)], "ReshapeOptions", newShape=to)
        elif kind == "EXPAND_DIMS":
            m.op(kind, [x, ints(0)], [new((1, *shape))], "ExpandDimsOptions")
        elif kind == "SQUEEZE":
            m.op(kind, [x], [new(shape[1:])], "SqueezeOptions", squeezeDims=[0])
        elif kind == "TRANSPOSE":
            order = draw.pick([[0, 2, 1, 3], [0, 3, 1, 2], [0, 2, 3, 1], [0, 1, 3, 2], [0, 3, 2, 1]])
            m.op(kind, [x, ints(order)], [new([shape[i] for i in order])], "TransposeOptions", 2)
        elif kind in ("PAD", "PADV2", "MIRROR_PAD"):
            most = 1 if kind == "MIRROR_PAD" else 3
            pads = [[0, 0]] + [[draw.size(0, min(most, n - 1)), draw.size(0, min(most, n - 1))]
                               for n in shape[1:]]
            if kind != "PAD" or draw.size(0, 1):
                pads[3] = [0, 0]
            to = [n + sum(p) for n, p in zip(shape, pads)]
            inputs = [x, ints(pads)]
            if kind == "PADV2":
                inputs.append(m.constant(draw.size(0, 100), dtype, s, z))
            if kind == "MIRROR_PAD":
                m.op(kind, inputs, [new(to)], "MirrorPadOptions", mode=draw.pick([0, 1]))
            else:
                m.op(kind, inputs, [new(to)], "PadOptions" if kind == "PAD" else "PadV2Options", 2)
        elif kind == "SLICE":
            begin = [0] + [draw.size(0, n - 1) for n in shape[1:]]
            size = [1] + [draw.size(1, n - b) for n, b in zip(shape[1:], begin[1:])]
            m.op(kind, [x, ints(begin), ints(size)], [new(size)], "SliceOptions", 2)
        elif kind == "STRIDED_SLICE":
            begin = [0] + [draw.size(0, n - 1) for n in shape[1:]]
            step = [1, draw.pick([1, 2]), draw.pick([1, 2]), 1]
            to = [-(-(n - b) // t) for n, b, t in zip(shape, begin, step)]
            m.op(kind, [x, ints(begin), ints(shape), ints(step)], [new(to)], "StridedSliceOptions", 2)
        elif kind == "REVERSE_V2":
            m.op(kind, [x, ints([draw.pick([1, 2])])], [new(shape)], "ReverseV2Options", 3)
        elif kind == "SPLIT":
            axis = draw.pick([1, 2, 3])
            full = list(shape)
            full[axis] *= 2
            m.graph.tensors[x].shape = full
            m.inputs[x] = ("in0", tuple(full), dtype)
            m.op(kind, [ints(axis), x], [new(shape), new(shape)], "SplitOptions", 2, numSplits=2)
        elif kind == "SPLIT_V":
            axis, other = draw.pick([1, 2, 3]), draw.size(1, 6)
            full, second = list(shape), list(shape)
            full[axis] += other
            second[axis] = other
            m.graph.tensors[x].shape = full
            m.inputs[x] = ("in0", tuple(full), dtype)
            m.op(kind, [x, ints([shape[axis], other]), ints(axis)], [new(shape), new(second)],
                 "SplitVOptions", 2, numSplits=2)
        elif kind == "UNPACK":
            axis = draw.pick([1, 2])
            rest = [n for i, n in enumerate(shape) if i != axis]
            m.op(kind, [x], [new(rest) for _ in range(shape[axis])], "UnpackOptions", 2,
                 num=shape[axis], axis=axis)
        elif kind in ("CONCATENATION", "PACK"):
            other = m.input(shape, dtype, s, z)
            if kind == "PACK":
                m.op(kind, [x, other], [new((1, 2, *shape[1:]))],
                     "PackOptions", 2, valuesCount=2, axis=1)
            else:
                axis = draw.pick([1, 2, 3])
                to = list(shape)
                to[axis] *= 2
                m.op(kind, [x, other], [new(to)], "ConcatenationOptions", 2, axis=axis)
        return m
    return build


def arg_max(draw, dtype):
    m = Model()
    shape = draw.shape(60, 8)
    x = quantised(m, draw, shape, dtype)
    y = m.output(shape[:3], "int32")
    m.op("ARG_MAX", [x, m.constant(3, "int32")], [y], "ArgMaxOptions", 2, outputType=TYPES["int32"])
    return m


def quantize(draw, dtype):
    m = Model()
    shape = draw.shape()
    to = draw.pick(["int8", "uint8", "int16"] if dtype != "int16" else ["int8", "int16"])
    x = quantised(m, draw, shape, dtype)
    m.op("QUANTIZE", [x], [m.output(shape, to, draw.scale(), draw.zero(to))], "QuantizeOptions", 2)
    return m


def batch_matmul(draw, dtype):
    m = Model()
    b, r, k, c = draw.size(1, 3), draw.size(1, 12), draw.size(1, 40), draw.size(1, 24)
    sa, sb = draw.scale(), draw.scale()
    zero = 0 if dtype == "int16" else None
    adjoint = bool(draw.size(0, 1))
    x = quantised(m, draw, (1, b, r, k), dtype, sa, zero)
    y = quantised(m, draw, (1, b, c, k) if adjoint else (1, b, k, c), dtype, sb, zero)
    so = sa * sb * np.sqrt(k) * (60 if dtype == "int8" else 20000)
    m.op("BATCH_MATMUL", [x, y], [m.output((1, b, r, c), dtype, float(so), 0)], "BatchMatMulOptions",
         2 if dtype == "int8" else 3, adjY=adjoint)
    return m


def compare(kind, options):
    def build(draw, dtype):
        m = Model()
        shape = draw.shape(24, 8)
        s, z = draw.scale(), draw.zero(dtype)
        x, y = m.input(shape, dtype, s, z), m.input(shape, dtype, s, z)
        m.op(kind, [x, y], [m.output(shape, "bool")], options, 2 if dtype == "int8" else 1)
        return m
    return build


def logical(kind, options, count):
    def build(draw, dtype):
        m = Model()
        shape = draw.shape(24, 8)
        m.op(kind, [m.input(shape, "bool") for _ in range(count)], [m.output(shape, "bool")], options)
        return m
    return build


def select(draw, dtype):
    m = Model()
    shape = draw.shape(24, 8)
    s, z = draw.scale(), draw.zero(dtype)
    ins = [m.input(shape, "bool"), m.input(shape, dtype, s, z), m.input(shape, dtype, s, z)]
    m.op("SELECT_V2", ins, [m.output(shape, dtype, s, z)], "SelectV2Options")
    return m


def cast(draw, dtype):
    m = Model()
    shape = draw.shape(24, 8)
    to = draw.pick([t for t in ("int8", "int16", "int32") if t != dtype])
    # Narrowing casts saturate on the NPU and wrap in the interpreters; they agree within the range.
    m.limits = min(np.iinfo(t).max for t in (dtype, to))
    # Vela wants a scale on every tensor, though none is used.
    m.op("CAST", [m.input(shape, dtype, 1.0)], [m.output(shape, to, 1.0)], "CastOptions",
         inDataType=TYPES[dtype], outDataType=TYPES[to])
    return m


def gather(draw, dtype):
    m = Model()
    rows, width, count = draw.size(2, 20), draw.size(1, 32), draw.size(1, 10)
    s, z = draw.scale(), draw.zero(dtype)
    x = m.input((rows, width), dtype, s, z)
    at = m.constant(draw.rng.integers(0, rows, count), "int32")
    m.op("GATHER", [x, at], [m.output((count, width), dtype, s, z)], "GatherOptions", 2, axis=0)
    return m


def chain(draw, dtype):
    """Three layers on a wide map: what makes a scheduler cut stripes and roll its buffers."""
    m = Model()
    h, w, c = draw.size(20, 40), draw.size(16, 40), draw.pick([3, 8, 16])
    s, z = draw.scale(), draw.zero(dtype)
    x = quantised(m, draw, (1, h, w, c), dtype, s, z)
    for layer in range(3):
        last = layer == 2
        stride = draw.pick([1, 1, 2])
        shape = [1, -(-h // stride), -(-w // stride)]
        if draw.size(0, 2) == 0:
            k, b, so = weights(m, draw, (1, 3, 3, c), dtype, c, 3, s)
            o, name, options = c, "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"
            fields = {"depthMultiplier": 1}
        else:
            o = draw.pick([8, 16, 24, 32])
            kernel = draw.pick([1, 3])
            k, b, so = weights(m, draw, (o, kernel, kernel, c), dtype, o, 0, s)
            name, options, fields = "CONV_2D", "Conv2DOptions", {}
        zo = draw.zero(dtype)
        y = (m.output if last else m.middle)(shape + [o], dtype, so, zo)
        m.op(name, [x, k, b], [y], options, 3, padding=SAME, strideH=stride, strideW=stride,
             dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=draw.pick([0, 1]), **fields)
        x, s, h, w, c = y, so, shape[1], shape[2], o
    return m


EIGHT = ["int8", "int8", "uint8"]
OPS = {
    "CONV_2D": (conv, QUANTISED), "DEPTHWISE_CONV_2D": (depthwise, QUANTISED),
    "FULLY_CONNECTED": (fully_connected, QUANTISED), "TRANSPOSE_CONV": (transpose_conv, ["int8", "int16"]),
    "AVERAGE_POOL_2D": (pool("AVERAGE_POOL_2D"), QUANTISED),
    "MAX_POOL_2D": (pool("MAX_POOL_2D"), QUANTISED),
    "ADD": (binary("ADD", "AddOptions"), QUANTISED + ["int32"]),
    "SUB": (binary("SUB", "SubOptions"), QUANTISED + ["int32"]),
    "MUL": (binary("MUL", "MulOptions"), QUANTISED),
    "MAXIMUM": (binary("MAXIMUM", "MaximumMinimumOptions", True), QUANTISED),
    "MINIMUM": (binary("MINIMUM", "MaximumMinimumOptions", True), QUANTISED),
    "SQUARED_DIFFERENCE": (binary("SQUARED_DIFFERENCE", "SquaredDifferenceOptions"), ["int8"]),
    "ABS": (unary("ABS", "AbsOptions"), ["int8", "int16"]),
    "RELU": (unary("RELU"), QUANTISED), "RELU6": (unary("RELU6"), QUANTISED),
    "RELU_N1_TO_1": (unary("RELU_N1_TO_1", same=True), EIGHT),
    "RELU_0_TO_1": (unary("RELU_0_TO_1", same=True), ["int8"]),
    "LEAKY_RELU": (unary("LEAKY_RELU", "LeakyReluOptions", alpha=lambda d: d.pick([0.1, 0.3, 0.01])), QUANTISED),
    "HARD_SWISH": (unary("HARD_SWISH", "HardSwishOptions"), EIGHT),
    "LOGISTIC": (unary("LOGISTIC", None, 1 / 256, -128), QUANTISED),
    "TANH": (unary("TANH", None, 1 / 128, 0), QUANTISED),
    "GELU": (unary("GELU", "GeluOptions", approximate=lambda d: bool(d.size(0, 1))), ["int8"]),
    "EXP": (unary("EXP", "ExpOptions", 0.1, -128), ["int8", "int16"]),
    "RSQRT": (unary("RSQRT", None, 0.05, -128), ["int8"]),
    "LOG": (unary("LOG", None, 0.05, 0), ["int8"]),
    "SOFTMAX": (softmax, QUANTISED), "PRELU": (prelu, EIGHT),
    "MEAN": (reduce("MEAN"), QUANTISED), "SUM": (reduce("SUM", True), ["int8", "int16"]),
    "REDUCE_MAX": (reduce("REDUCE_MAX"), ["int8", "int16"]),
    "REDUCE_MIN": (reduce("REDUCE_MIN"), ["int8", "int16"]),
    "RESIZE_BILINEAR": (resize("RESIZE_BILINEAR", "ResizeBilinearOptions"), ["int8", "uint8", "int16"]),
    "RESIZE_NEAREST_NEIGHBOR": (
        resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"), ["int8", "uint8", "int16"]),
    "ARG_MAX": (arg_max, EIGHT), "QUANTIZE": (quantize, ["int8", "uint8", "int16"]),
    "BATCH_MATMUL": (batch_matmul, ["int8", "int16"]),
    "EQUAL": (compare("EQUAL", "EqualOptions"), ["int8", "uint8"]),
    "NOT_EQUAL": (compare("NOT_EQUAL", "NotEqualOptions"), ["int8", "uint8"]),
    "GREATER": (compare("GREATER", "GreaterOptions"), ["int8", "uint8"]),
    "GREATER_EQUAL": (compare("GREATER_EQUAL", "GreaterEqualOptions"), ["int8", "uint8"]),
    "LESS": (compare("LESS", "LessOptions"), ["int8", "uint8"]),
    "LESS_EQUAL": (compare("LESS_EQUAL", "LessEqualOptions"), ["int8", "uint8"]),
    "LOGICAL_AND": (logical("LOGICAL_AND", "LogicalAndOptions", 2), ["bool"]),
    "LOGICAL_OR": (logical("LOGICAL_OR", "LogicalOrOptions", 2), ["bool"]),
    "LOGICAL_NOT": (logical("LOGICAL_NOT", "LogicalNotOptions", 1), ["bool"]),
    "SELECT_V2": (select, ["int8", "int16"]), "CAST": (cast, ["int8", "int16", "int32"]),
    "GATHER": (gather, ["int8", "int16"]), "chain": (chain, EIGHT),
}
for name in ("RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE", "PAD", "PADV2", "MIRROR_PAD", "SLICE",
             "STRIDED_SLICE", "REVERSE_V2", "SPLIT", "SPLIT_V", "UNPACK", "CONCATENATION", "PACK"):
    OPS[name] = (mover(name), QUANTISED)
#: What only the U85 has; on other parts the operator stays on the CPU.
U85_ONLY = {"EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "LOGICAL_AND",
            "LOGICAL_OR", "LOGICAL_NOT", "SELECT_V2", "CAST", "GATHER"}
U85 = ["ethos-u85-128", "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024", "ethos-u85-2048"]
CONFIGS = ["ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256",
           "ethos-u65-512"] + U85
SIZE, SMALL, COP2 = ["--optimise", "Size"], ["--arena-cache-size", "16384"], ["--cop-format", "COP2"]
OPTIONS = [[], SIZE, SMALL, COP2, SIZE + SMALL + COP2]


def cases(rounds, seed, only=None):
    """Yields (name, configuration, Vela options, model) for `rounds` draws of every operator."""
    for turn in range(rounds):
        for number, (name, (build, dtypes)) in enumerate(sorted(OPS.items())):
            if only and name not in only:
                continue
            draw = Draw([seed, turn, number])
            dtype = dtypes[turn % len(dtypes)]
            configs = U85 if name in U85_ONLY else CONFIGS
            # Neighbouring operators get other configurations; every pair meets after 11 rounds.
            config = configs[(turn + 3 * number) % len(configs)]
            options = draw.pick([SIZE, SIZE + COP2, SIZE + SMALL] if name == "chain" else OPTIONS)
            model = build(draw, dtype)
            yield f"{name}{model.variant}-{dtype}-{turn}", config, options, model
