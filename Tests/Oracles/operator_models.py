"""Writes small TFLite models, one operator each, that reach the operations of the Ethos-U85.

usage: operator_models.py OUT_DIR

Each model is OUT_DIR/NAME.tflite; OUT_DIR/NAME.json names inputs that hold indices and their limits. The
models are inputs of vela_cases.py. Needs tflite-micro (for its schema) and numpy.
"""

import json
import pathlib
import sys

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

TYPES = {
    "int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8, "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32, "int64": schema.TensorType.INT64, "bool": schema.TensorType.BOOL,
}


class Model:
    """A graph under construction; the first buffer is the empty one."""

    def __init__(self):
        self.tensors, self.buffers, self.operators, self.codes = [], [schema.BufferT()], [], []
        self.inputs, self.limits = [], {}
        self.random = np.random.default_rng(7)

    def tensor(self, shape, dtype, scale=None, zero=0, data=None, name=None, axis=0):
        t = schema.TensorT()
        t.shape = list(shape)
        t.type = TYPES[dtype]
        t.name = (name or f"t{len(self.tensors)}").encode()
        t.hasRank = True
        if scale is not None:
            q = schema.QuantizationParametersT()
            q.scale = list(np.atleast_1d(np.asarray(scale, np.float32)))
            q.zeroPoint = [zero] * len(q.scale)
            q.quantizedDimension = axis
            t.quantization = q
        if data is not None:
            b = schema.BufferT()
            b.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            t.buffer = len(self.buffers)
            self.buffers.append(b)
        self.tensors.append(t)
        return len(self.tensors) - 1

    def input(self, shape, dtype="int8", scale=0.05, zero=None, limit=None):
        if zero is None:
            zero = {"int8": -7, "uint8": 121}.get(dtype, 0)
        if dtype in ("int32", "int64", "bool"):
            scale = None
        index = self.tensor(shape, dtype, scale, zero, name=f"in{len(self.inputs)}")
        self.inputs.append(index)
        if limit is not None:
            self.limits[f"in{len(self.inputs) - 1}"] = limit
        return index

    def constant(self, values, dtype="int32", scale=None, zero=0, axis=0):
        values = np.asarray(values, dtype=np.dtype("bool" if dtype == "bool" else dtype))
        return self.tensor(values.shape, dtype, scale, zero, values, axis=axis)

    def op(self, name, inputs, shape, dtype="int8", scale=0.05, zero=None, version=2, **options):
        """Adds an operator with one output and returns that."""
        if zero is None:
            zero = {"int8": 3, "uint8": 130}.get(dtype, 0)
        if dtype in ("int32", "int64", "bool"):
            scale = None
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(127, code.builtinCode)
        code.version = version
        self.codes.append(code)
        o = schema.OperatorT()
        o.opcodeIndex = len(self.codes) - 1
        o.inputs = list(inputs)
        o.outputs = [self.tensor(shape, dtype, scale, zero)]
        kind = options.pop("options", None)
        if kind:
            o.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            o.builtinOptions = getattr(schema, kind + "T")()
            for key, value in options.items():
                assert hasattr(o.builtinOptions, key), key
                setattr(o.builtinOptions, key, value)
        self.operators.append(o)
        return o.outputs[0]

    def write(self, path, outputs):
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = self.inputs, outputs
        graph.name = b"main"
        model = schema.ModelT()
        model.version = 3
        model.operatorCodes, model.subgraphs, model.buffers = self.codes, [graph], self.buffers
        model.description = b"one operator"
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        if self.limits:
            path.with_suffix(".json").write_text(json.dumps(self.limits))


MODELS = {}


def model(function):
    MODELS[function.__name__] = function
    return function


def binary(name, dtype, a, b, out=None, kind=None, scales=(0.05, 0.03, 0.07), **more):
    def make(m):
        x = m.input(a, dtype, scales[0])
        same = scales[0] == scales[1]
        y = m.input(b, dtype, scales[1], zero=0 if dtype != "int8" else -7 if same else 11)
        shape = np.broadcast_shapes(a, b)
        more.setdefault("zero", -7 if name in ("MAXIMUM", "MINIMUM") else None)
        return m.op(name, [x, y], shape, out or dtype, scales[2], options=kind, **more)
    return make


def unary(name, dtype, shape=(1, 6, 5, 12), scale=0.05, out_scale=0.05, zero=None, kind=None, out=None, **more):
    def make(m):
        x = m.input(shape, dtype, scale)
        return m.op(name, [x], shape, out or dtype, out_scale, zero, options=kind, **more)
    return make


def convolution(shape, outputs, kernel, stride=1, dilation=1, dtype="int8", padding=0, levels=None,
                sparse=False, depthwise=False):
    def make(m):
        _, h, w, c = shape
        x = m.input(shape, dtype, 0.02)
        size = (1, kernel, kernel, c) if depthwise else (outputs, kernel, kernel, c)
        values = m.random.integers(-127, 128, size)
        if levels:
            values = m.random.choice(m.random.integers(-127, 128, levels), size)
        if sparse:
            groups = values.reshape(-1, 4)
            for row in groups:
                row[m.random.permutation(4)[:2]] = 0
            values = groups.reshape(size)
        channels = c if depthwise else outputs
        scales = m.random.uniform(0.002, 0.01, channels)
        weights = m.constant(values, "int8", scales, axis=3 if depthwise else 0)
        # Vela 5.2.0 cuts the multipliers of int16 layers with int32 bias to 15 bits on U85.
        bias = m.constant(
            m.random.integers(-2000, 2000, channels), "int64" if dtype == "int16" else "int32",
            scales * 0.02)
        reach = (kernel - 1) * dilation + 1
        if padding == 0:
            oh, ow = -(-h // stride), -(-w // stride)
        else:
            oh, ow = -(-(h - reach + 1) // stride), -(-(w - reach + 1) // stride)
        common = dict(padding=padding, strideH=stride, strideW=stride, dilationHFactor=dilation,
                      dilationWFactor=dilation)
        scale = 0.5 if dtype == "int8" else 0.05
        if depthwise:
            return m.op("DEPTHWISE_CONV_2D", [x, weights, bias], (1, oh, ow, c), dtype, 0.1, version=3,
                        options="DepthwiseConv2DOptions", depthMultiplier=1, **common)
        return m.op("CONV_2D", [x, weights, bias], (1, oh, ow, outputs), dtype, scale, version=3,
                    options="Conv2DOptions", **common)
    return make


def dense(rows, inputs, outputs, dtype="int8", levels=None):
    def make(m):
        x = m.input((rows, inputs), dtype, 0.02)
        values = m.random.integers(-127, 128, (outputs, inputs))
        if levels:
            values = m.random.choice(m.random.integers(-127, 128, levels), (outputs, inputs))
        weights = m.constant(values, "int8", 0.004)
        bias = m.constant(m.random.integers(-2000, 2000, outputs),
                          "int64" if dtype == "int16" else "int32", 0.02 * 0.004)
        return m.op("FULLY_CONNECTED", [x, weights, bias], (rows, outputs), dtype, 0.3, version=4,
                    options="FullyConnectedOptions")
    return make


def pool(name, shape, kernel, stride, padding, dtype="int8"):
    def make(m):
        x = m.input(shape, dtype, 0.05, zero=3 if dtype == "int8" else 0)
        _, h, w, c = shape
        if padding == 0:
            oh, ow = -(-h // stride), -(-w // stride)
        else:
            oh, ow = -(-(h - kernel + 1) // stride), -(-(w - kernel + 1) // stride)
        return m.op(name, [x], (1, oh, ow, c), dtype, 0.05, options="Pool2DOptions", padding=padding,
                    strideH=stride, strideW=stride, filterHeight=kernel, filterWidth=kernel)
    return make


def matmul(a, b, adj_y=False, dtype="int8"):
    def make(m):
        x = m.input(a, dtype, 0.03)
        y = m.input(b, dtype, 0.02, zero=0 if dtype == "int16" else 5)
        n = b[-2] if adj_y else b[-1]
        shape = tuple(a[:-1]) + (n,)
        return m.op("BATCH_MATMUL", [x, y], shape, dtype, 0.2, options="BatchMatMulOptions", adjY=adj_y,
                    adjX=False)
    return make


def transpose(shape, perm, dtype="int8"):
    def make(m):
        x = m.input(shape, dtype, 0.05, zero=3 if dtype == "int8" else 0)
        return m.op("TRANSPOSE", [x, m.constant(perm)], [shape[p] for p in perm], dtype, 0.05,
                    options="TransposeOptions")
    return make


def reverse(shape, axis, dtype="int8"):
    def make(m):
        x = m.input(shape, dtype, 0.05, zero=3 if dtype == "int8" else 0)
        return m.op("REVERSE_V2", [x, m.constant([axis])], shape, dtype, 0.05, options="ReverseV2Options")
    return make


def resize(name, shape, size, kind, dtype="int8", **options):
    def make(m):
        x = m.input(shape, dtype, 0.05, zero=3 if dtype == "int8" else 0)
        return m.op(name, [x, m.constant(size)], (1, size[0], size[1], shape[3]), dtype, 0.05,
                    version=3, options=kind, **options)
    return make


def argmax(shape, axis, dtype="int8", out="int32"):
    def make(m):
        x = m.input(shape, dtype, 0.05)
        result = [s for i, s in enumerate(shape) if i != axis]
        return m.op("ARG_MAX", [x, m.constant([axis])], result, out, None, options="ArgMaxOptions",
                    outputType=TYPES[out])
    return make


def reduce(name, shape, axes, dtype="int8", keep=True):
    def make(m):
        x = m.input(shape, dtype, 0.05)
        same = name.startswith("REDUCE")
        result = [1 if i in axes else s for i, s in enumerate(shape)]
        zero = -7 if same and dtype == "int8" else None
        return m.op(name, [x, m.constant(list(axes))], result, dtype, 0.05 if same else 0.06, zero,
                    options="ReducerOptions", keepDims=keep)
    return make


MODELS.update({
    # Weights: both traversals, strides, dilation, wide inputs, few levels for the fast format, sparse.
    "conv_1x1": convolution((1, 9, 7, 40), 48, 1),
    "conv_3x3": convolution((1, 11, 9, 24), 40, 3),
    "conv_3x3_small": convolution((1, 11, 9, 3), 20, 3),
    "conv_3x3_s2": convolution((1, 13, 14, 17), 33, 3, stride=2),
    "conv_5x5_s3": convolution((1, 17, 15, 5), 70, 5, stride=3, padding=1),
    "conv_3x3_d2": convolution((1, 13, 11, 19), 24, 3, dilation=2),
    "conv_11x11": convolution((1, 20, 19, 6), 16, 11),
    "conv_16bit": convolution((1, 9, 8, 24), 40, 3, dtype="int16"),
    "conv_16bit_small": convolution((1, 9, 8, 4), 40, 3, stride=2, dtype="int16"),
    "conv_deep": convolution((1, 3, 3, 300), 272, 1),
    "conv_levels4": convolution((1, 9, 7, 64), 80, 1, levels=4),
    "conv_levels16": convolution((1, 5, 5, 130), 160, 3, levels=16),
    "conv_levels16_s2": convolution((1, 9, 9, 12), 64, 3, stride=2, levels=16),
    "conv_levels16_16bit": convolution((1, 5, 5, 40), 64, 1, levels=16, dtype="int16"),
    "conv_sparse": convolution((1, 7, 6, 64), 48, 1, sparse=True),
    "conv_sparse_3x3": convolution((1, 7, 6, 136), 72, 3, sparse=True),
    "conv_sparse_16bit": convolution((1, 7, 6, 64), 48, 3, sparse=True, dtype="int16"),
    "depthwise_3x3": convolution((1, 9, 8, 40), 40, 3, depthwise=True),
    "depthwise_5x5_s2": convolution((1, 13, 12, 19), 19, 5, stride=2, depthwise=True),
    "depthwise_3x3_d2": convolution((1, 13, 12, 70), 70, 3, dilation=2, depthwise=True),
    "depthwise_9x9": convolution((1, 13, 12, 18), 18, 9, depthwise=True),
    "depthwise_16bit": convolution((1, 9, 8, 40), 40, 3, depthwise=True, dtype="int16"),
    "dense": dense(1, 200, 300),
    "dense_rows": dense(6, 64, 90),
    "dense_16bit": dense(1, 200, 90, "int16"),
    "dense_levels16": dense(1, 512, 512, levels=16),
    "dense_levels3": dense(3, 256, 256, levels=3),
    # Pooling.
    "max_pool": pool("MAX_POOL_2D", (1, 11, 9, 20), 3, 2, 0),
    "max_pool_16bit": pool("MAX_POOL_2D", (1, 11, 9, 20), 2, 1, 1, "int16"),
    "average_pool": pool("AVERAGE_POOL_2D", (1, 11, 9, 20), 3, 2, 0),
    "average_pool_valid": pool("AVERAGE_POOL_2D", (1, 12, 9, 20), 4, 2, 1),
    "average_pool_large": pool("AVERAGE_POOL_2D", (1, 20, 19, 12), 15, 1, 1),
    "average_pool_16bit": pool("AVERAGE_POOL_2D", (1, 9, 8, 20), 3, 1, 0, "int16"),
    "mean_hw": reduce("MEAN", (1, 9, 8, 24), (1, 2)),
    "mean_c": reduce("MEAN", (1, 1, 9, 24), (3,)),
    "sum_c": reduce("SUM", (1, 4, 5, 24), (3,)),
    "reduce_max_hw": reduce("REDUCE_MAX", (1, 9, 8, 24), (1, 2)),
    "reduce_max_c": reduce("REDUCE_MAX", (1, 4, 5, 24), (3,)),
    "reduce_min_h": reduce("REDUCE_MIN", (1, 9, 8, 24), (1,)),
    "argmax_c": argmax((1, 4, 100), 2),
    "argmax_h": argmax((1, 30, 7, 12), 1),
    # Two run-time operands.
    "matmul": matmul((1, 2, 8, 16), (1, 2, 16, 24)),
    "matmul_adj": matmul((1, 3, 17, 40), (1, 3, 33, 40), adj_y=True),
    "matmul_16bit": matmul((1, 2, 8, 16), (1, 2, 16, 24), dtype="int16"),
    "matmul_16bit_adj": matmul((1, 2, 9, 70), (1, 2, 20, 70), adj_y=True, dtype="int16"),
    # Layout.
    **{f"transpose_{''.join(map(str, p))}": transpose((1, 5, 7, 20), p)
       for p in [(0, 2, 1, 3), (0, 1, 3, 2), (0, 2, 3, 1), (0, 3, 1, 2), (0, 3, 2, 1)]},
    "transpose_16bit": transpose((1, 5, 7, 20), (0, 3, 1, 2), "int16"),
    "transpose_32bit": transpose((1, 5, 7, 20), (0, 2, 3, 1), "int32"),
    "reverse_h": reverse((1, 5, 7, 20), 1),
    "reverse_w": reverse((1, 5, 7, 20), 2),
    "reverse_c": reverse((1, 5, 7, 20), 3),
    "reverse_c_16bit": reverse((1, 5, 7, 20), 3, "int16"),
    "resize_bilinear": resize("RESIZE_BILINEAR", (1, 6, 5, 20), (12, 10), "ResizeBilinearOptions",
                              alignCorners=False, halfPixelCenters=False),
    "resize_bilinear_half": resize("RESIZE_BILINEAR", (1, 6, 5, 20), (12, 10), "ResizeBilinearOptions",
                                   alignCorners=False, halfPixelCenters=True),
    "resize_bilinear_corners": resize("RESIZE_BILINEAR", (1, 5, 5, 20), (9, 9), "ResizeBilinearOptions",
                                      alignCorners=True, halfPixelCenters=False),
    "resize_nearest": resize("RESIZE_NEAREST_NEIGHBOR", (1, 6, 5, 20), (24, 15),
                             "ResizeNearestNeighborOptions", alignCorners=False, halfPixelCenters=False),
    "resize_nearest_half": resize("RESIZE_NEAREST_NEIGHBOR", (1, 6, 5, 20), (9, 7),
                                  "ResizeNearestNeighborOptions", alignCorners=False,
                                  halfPixelCenters=True),
    # Elementwise.
    "add": binary("ADD", "int8", (1, 6, 5, 20), (1, 6, 5, 20), kind="AddOptions"),
    "add_broadcast_c": binary("ADD", "int8", (1, 6, 5, 20), (1, 1, 1, 20), kind="AddOptions"),
    "add_broadcast_both": binary("ADD", "int8", (1, 6, 1, 20), (1, 1, 5, 20), kind="AddOptions"),
    "add_equal": binary("ADD", "int8", (1, 6, 5, 20), (1, 6, 5, 20), kind="AddOptions",
                        scales=(0.05, 0.05, 0.1)),
    "add_16bit": binary("ADD", "int16", (1, 6, 5, 20), (1, 6, 5, 20), kind="AddOptions"),
    "add_32bit": binary("ADD", "int32", (1, 6, 5, 20), (1, 6, 5, 20), kind="AddOptions"),
    "sub": binary("SUB", "int8", (1, 6, 5, 20), (1, 6, 1, 1), kind="SubOptions"),
    "sub_16bit": binary("SUB", "int16", (1, 6, 5, 20), (1, 6, 5, 20), kind="SubOptions"),
    "mul": binary("MUL", "int8", (1, 6, 5, 20), (1, 6, 5, 20), kind="MulOptions"),
    "mul_16bit": binary("MUL", "int16", (1, 6, 5, 20), (1, 1, 5, 20), kind="MulOptions"),
    "mul_32bit": binary("MUL", "int32", (1, 6, 5, 20), (1, 6, 5, 20), kind="MulOptions"),
    "maximum": binary("MAXIMUM", "int8", (1, 6, 5, 20), (1, 6, 5, 20), kind="MaximumMinimumOptions",
                      scales=(0.05, 0.05, 0.05)),
    "minimum": binary("MINIMUM", "int8", (1, 6, 5, 20), (1, 6, 5, 1), kind="MaximumMinimumOptions",
                      scales=(0.05, 0.05, 0.05)),
    "squared_difference": binary("SQUARED_DIFFERENCE", "int8", (1, 6, 5, 20), (1, 6, 5, 20),
                                 kind="SquaredDifferenceOptions"),
    "equal": binary("EQUAL", "int8", (1, 6, 5, 20), (1, 6, 5, 20), out="bool", kind="EqualOptions"),
    "greater": binary("GREATER", "int8", (1, 6, 5, 20), (1, 6, 5, 20), out="bool", kind="GreaterOptions"),
    "less_equal": binary("LESS_EQUAL", "int8", (1, 6, 5, 20), (1, 1, 5, 20), out="bool",
                         kind="LessEqualOptions"),
    "div_32bit": binary("DIV", "int32", (1, 6, 5, 20), (1, 6, 5, 20), kind="DivOptions"),
    "add_unsigned": binary("ADD", "uint8", (1, 6, 5, 20), (1, 6, 5, 20), kind="AddOptions"),
    "logical_and": binary("LOGICAL_AND", "bool", (1, 6, 5, 20), (1, 6, 5, 20), kind="LogicalAndOptions"),
    "logical_not": unary("LOGICAL_NOT", "bool", kind="LogicalNotOptions"),
    "abs": unary("ABS", "int8", out_scale=0.04, kind="AbsOptions"),
    "abs_16bit": unary("ABS", "int16", kind="AbsOptions"),
    "leaky_relu": unary("LEAKY_RELU", "int8", kind="LeakyReluOptions", alpha=0.1),
    "leaky_relu_16bit": unary("LEAKY_RELU", "int16", out_scale=0.04, kind="LeakyReluOptions", alpha=0.1),
    "relu": unary("RELU", "int8", zero=-7),
    "quantize": unary("QUANTIZE", "int8", out_scale=0.08, kind="QuantizeOptions"),
    "quantize_8_16": unary("QUANTIZE", "int8", out="int16", out_scale=0.001, kind="QuantizeOptions"),
    "quantize_16_8": unary("QUANTIZE", "int16", out="int8", scale=0.001, kind="QuantizeOptions"),
    "cast_8_32": unary("CAST", "int8", out="int32", kind="CastOptions", inDataType=TYPES["int8"],
                       outDataType=TYPES["int32"]),
    # Tables.
    "logistic": unary("LOGISTIC", "int8", out_scale=1 / 256, zero=-128),
    "logistic_16bit": unary("LOGISTIC", "int16", scale=0.0007, out_scale=1 / 32768),
    "logistic_unsigned": unary("LOGISTIC", "uint8", out_scale=1 / 256, zero=0),
    "tanh": unary("TANH", "int8", out_scale=1 / 128, zero=0),
    "tanh_16bit": unary("TANH", "int16", scale=0.0005, out_scale=1 / 32768),
    "tanh_16bit_power": unary("TANH", "int16", scale=2.0 ** -12, out_scale=1 / 32768),
    "exp": unary("EXP", "int8", scale=0.02, out_scale=0.05, kind="ExpOptions"),
    "exp_16bit": unary("EXP", "int16", scale=0.0001, out_scale=0.001, kind="ExpOptions"),
    "log": unary("LOG", "int8", scale=0.05, out_scale=0.05),
    "hard_swish": unary("HARD_SWISH", "int8", kind="HardSwishOptions"),
    "softmax": unary("SOFTMAX", "int8", (1, 9, 33), out_scale=1 / 256, zero=-128, kind="SoftmaxOptions",
                     beta=1.0),
    "softmax_16bit": unary("SOFTMAX", "int16", (1, 9, 33), scale=0.0003, out_scale=1 / 32768,
                           kind="SoftmaxOptions", beta=1.0),
})


@model
def gather(m):
    x = m.input((1, 50, 32))
    rows = m.input((1, 6), "int32", limit=50)
    return m.op("GATHER", [x, rows], (1, 6, 32), "int8", 0.05, -7, options="GatherOptions", axis=1, batchDims=1)


@model
def gather_16bit(m):
    x = m.input((1, 50, 30), "int16")
    rows = m.input((1, 6), "int32", limit=50)
    return m.op("GATHER", [x, rows], (1, 6, 30), "int16", 0.05, options="GatherOptions", axis=1, batchDims=1)


@model
def scatter_nd(m):
    rows = m.constant([[3], [1], [7], [0]])
    x = m.input((4, 16))
    return m.op("SCATTER_ND", [rows, x, m.constant([9, 16])], (9, 16), "int8", 0.05, -7, 1,
                options="ScatterNdOptions")


@model
def select(m):
    c = m.input((1, 6, 5, 20), "bool")
    x = m.input((1, 6, 5, 20))
    y = m.input((1, 6, 5, 20))
    return m.op("SELECT_V2", [c, x, y], (1, 6, 5, 20), "int8", 0.05, -7, options="SelectV2Options")


@model
def concatenation(m):
    x = m.input((1, 6, 5, 20))
    y = m.input((1, 6, 5, 13))
    return m.op("CONCATENATION", [x, y], (1, 6, 5, 33), "int8", 0.05, -7, options="ConcatenationOptions",
                axis=3)


@model
def concatenation_32bit(m):
    x = m.input((1, 6, 5, 20), "int32")
    y = m.input((1, 6, 5, 20), "int32")
    return m.op("CONCATENATION", [x, y], (1, 12, 5, 20), "int32", 0.05, options="ConcatenationOptions",
                axis=1)


@model
def pad(m):
    x = m.input((1, 6, 5, 20))
    return m.op("PAD", [x, m.constant([[0, 0], [1, 2], [2, 3], [0, 0]])], (1, 9, 10, 20), "int8", 0.05, -7)


@model
def mirror_pad(m):
    x = m.input((1, 6, 5, 20))
    return m.op("MIRROR_PAD", [x, m.constant([[0, 0], [1, 2], [2, 3], [0, 0]])], (1, 9, 10, 20), "int8",
                0.05, -7, options="MirrorPadOptions", mode=0)


@model
def strided_slice(m):
    x = m.input((1, 9, 8, 20))
    return m.op("STRIDED_SLICE", [x, m.constant([0, 1, 0, 0]), m.constant([1, 9, 8, 16]),
                                  m.constant([1, 2, 3, 1])], (1, 4, 3, 16), "int8", 0.05, -7,
                options="StridedSliceOptions", beginMask=0, endMask=0)


@model
def transpose_conv(m):
    x = m.input((1, 5, 6, 12), "int8", 0.02)
    weights = m.constant(m.random.integers(-127, 128, (20, 3, 3, 12)), "int8", np.full(20, 0.005))
    return m.op("TRANSPOSE_CONV", [m.constant([1, 10, 12, 20]), weights, x], (1, 10, 12, 20), "int8", 0.3,
                options="TransposeConvOptions", padding=0, strideH=2, strideW=2)


@model
def chain(m):
    """Elementwise operations that the compiler chains behind a convolution."""
    x = convolution((1, 9, 7, 24), 32, 3)(m)
    y = m.input((1, 9, 7, 32), "int8", 0.3)
    z = m.op("MUL", [x, y], (1, 9, 7, 32), "int8", 0.9, options="MulOptions")
    w = m.input((1, 1, 1, 32), "int8", 0.5)
    z = m.op("ADD", [z, w], (1, 9, 7, 32), "int8", 0.8, options="AddOptions")
    return m.op("MUL", [z, m.op("LOGISTIC", [z], (1, 9, 7, 32), "int8", 1 / 256, -128)], (1, 9, 7, 32),
                "int8", 0.7, options="MulOptions")


@model
def attention(m):
    """A head of attention: product, softmax, product."""
    q = m.input((1, 2, 12, 16), "int8", 0.03)
    k = m.input((1, 2, 20, 16), "int8", 0.03)
    v = m.input((1, 2, 20, 24), "int8", 0.03)
    s = m.op("BATCH_MATMUL", [q, k], (1, 2, 12, 20), "int8", 0.1, options="BatchMatMulOptions", adjX=False,
             adjY=True)
    p = m.op("SOFTMAX", [s], (1, 2, 12, 20), "int8", 1 / 256, -128, options="SoftmaxOptions", beta=1.0)
    return m.op("BATCH_MATMUL", [p, v], (1, 2, 12, 24), "int8", 0.03, options="BatchMatMulOptions",
                adjX=False, adjY=False)


@model
def layers(m):
    """Layers with buffers that are used again, staged weights and overlapping blocks."""
    x = convolution((1, 24, 24, 16), 32, 3)(m)
    for outputs, kernel in [(64, 1), (64, 3), (32, 1), (96, 3)]:
        shape = tuple(m.tensors[x].shape)
        values = m.random.integers(-127, 128, (outputs, kernel, kernel, shape[3]))
        weights = m.constant(values, "int8", np.full(outputs, 0.004))
        bias = m.constant(m.random.integers(-2000, 2000, outputs), "int32", np.full(outputs, 0.002))
        x = m.op("CONV_2D", [x, weights, bias], shape[:3] + (outputs,), "int8", 0.5, version=3,
                 options="Conv2DOptions", padding=0, strideH=1, strideW=1, dilationHFactor=1,
                 dilationWFactor=1, fusedActivationFunction=1)
    return x


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, make in MODELS.items():
        m = Model()
        m.write(out / f"op_{name}.tflite", [make(m)])
    print(len(MODELS), "models")


if __name__ == "__main__":
    main()
