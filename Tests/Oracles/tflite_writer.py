"""Writes small TFLite models from Python: tensors, one operator after the other, bytes."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
    "float32": schema.TensorType.FLOAT32,
}


class Model:
    """A model under construction. Tensors are named by index."""

    def __init__(self):
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.buffers = [schema.BufferT()]
        self.codes = []
        self.inputs = {}
        #: The largest magnitude of input values, where the whole range makes no sense.
        self.limits = None
        #: What sets the model apart from others of its operator; part of its name.
        self.variant = ""

    def tensor(self, name, shape, dtype, scale=None, zero=0, data=None, axis=0):
        """Adds a tensor; `scale` may be one number or one for each index of `axis`."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, [int(n) for n in shape], TYPES[dtype]
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        if scale is not None:
            quant = schema.QuantizationParametersT()
            quant.scale = np.atleast_1d(np.asarray(scale, np.float32))
            quant.zeroPoint = np.full(quant.scale.shape, zero, np.int64)
            quant.quantizedDimension = axis
            tensor.quantization = quant
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def input(self, shape, dtype, scale=None, zero=0):
        """Adds a graph input."""
        index = self.tensor(f"in{len(self.graph.inputs)}", shape, dtype, scale, zero)
        self.graph.inputs.append(index)
        self.inputs[index] = (f"in{len(self.graph.inputs) - 1}", tuple(shape), dtype)
        return index

    def constant(self, data, dtype, scale=None, zero=0, axis=0):
        """Adds a constant."""
        data = np.asarray(data, dtype)
        name = f"const{len(self.graph.tensors)}"
        return self.tensor(name, data.shape, dtype, scale, zero, data, axis)

    def output(self, shape, dtype, scale=None, zero=0):
        """Adds a graph output."""
        index = self.tensor(f"out{len(self.graph.outputs)}", shape, dtype, scale, zero)
        self.graph.outputs.append(index)
        return index

    def middle(self, shape, dtype, scale=None, zero=0):
        """Adds a tensor between operators."""
        return self.tensor(f"mid{len(self.graph.tensors)}", shape, dtype, scale, zero)

    def op(self, builtin, inputs, outputs, options=None, version=1, **fields):
        """Adds an operator; `options` names its options table and `fields` fill it."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, builtin)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options:
            table = getattr(schema, options + "T")()
            for key, value in fields.items():
                setattr(table, key, value)
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = table
        self.graph.operators.append(operator)

    def bytes(self):
        """The file."""
        model = schema.ModelT()
        model.version, model.description = 3, "single operator"
        model.operatorCodes, model.subgraphs, model.buffers = self.codes, [self.graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())
