"""Makes simulator cases: streams that Vela emits for a model, and what the model itself computes.

usage: vela_cases.py OUT_DIR CONFIG MODEL.tflite...

For every model that Vela maps to one Ethos-U operator, writes OUT_DIR/NAME-CONFIG/ with the driver
payload, the constants, inputs placed in the arena, and the outputs of LiteRT's reference kernels or, where
LiteRT refuses the model, of TFLite Micro. Needs ethos-u-vela, ai-edge-litert, tflite-micro, tflite, numpy.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
import tflite

RUNS = 3


def tensor_dtype(tensor):
    return {
        tflite.TensorType.INT8: np.int8,
        tflite.TensorType.UINT8: np.uint8,
        tflite.TensorType.INT16: np.int16,
        tflite.TensorType.INT32: np.int32,
    }[tensor.Type()]


def load(path):
    return tflite.Model.GetRootAs(pathlib.Path(path).read_bytes(), 0)


def micro(path, inputs):
    """Outputs by TFLite Micro."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(path), arena_size=1 << 26)
    for index, value in enumerate(inputs):
        interpreter.set_input(value, index)
    interpreter.invoke()
    count = load(path).Subgraphs(0).OutputsLength()
    return [interpreter.get_output(i) for i in range(count)]


def reference(path, inputs):
    """Outputs by LiteRT's reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def arena_offsets(model):
    """Offsets of the tensors in the arena, from Vela's offline plan."""
    for i in range(model.MetadataLength()):
        if model.Metadata(i).Name() == b"OfflineMemoryAllocation":
            data = model.Buffers(model.Metadata(i).Buffer()).DataAsNumpy().view(np.int32)
            return data[3:]
    return None


def case(path, config, out):
    path = pathlib.Path(path)
    work = out / "vela"
    command = ["vela", "--accelerator-config", config, "--output-dir", str(work), str(path)]
    subprocess.run(
        [str(pathlib.Path(sys.executable).parent / command[0])] + command[1:], check=True,
        stdout=subprocess.DEVNULL)
    compiled = load(work / (path.stem + "_vela.tflite"))
    graph = compiled.Subgraphs(0)
    if compiled.SubgraphsLength() != 1 or graph.OperatorsLength() != 1:
        return f"{path.stem}: {graph.OperatorsLength()} operators"
    operator = graph.Operators(0)
    tensors = [graph.Tensors(i) for i in operator.InputsAsNumpy()]
    blob = lambda t: compiled.Buffers(t.Buffer()).DataAsNumpy()
    offsets = arena_offsets(compiled)
    size = lambda i: int(np.prod(graph.Tensors(i).ShapeAsNumpy())) * np.dtype(
        tensor_dtype(graph.Tensors(i))).itemsize
    directory = out / f"{path.stem}-{config}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "payload.bin").write_bytes(blob(tensors[0]).tobytes())
    constants = blob(tensors[1])
    (directory / "constants.bin").write_bytes(
        constants.tobytes() if isinstance(constants, np.ndarray) else b"")
    source = load(path).Subgraphs(0)
    by_name = {graph.Tensors(i).Name(): i for i in range(graph.TensorsLength())}
    names = lambda indices: [source.Tensors(i).Name() for i in indices]
    inputs = [by_name[n] for n in names(source.InputsAsNumpy())]
    outputs = [by_name[n] for n in names(source.OutputsAsNumpy())]

    def variable(i):
        """State starts at the zero point."""
        zero = graph.Tensors(i).Quantization().ZeroPointAsNumpy()
        value = np.array([zero[0] if isinstance(zero, np.ndarray) else 0])
        return {"offset": int(offsets[i]), "bytes": size(i),
                "fill": int(value.astype(tensor_dtype(graph.Tensors(i))).view(np.uint8)[0])}

    meta = {
        "arena": int(np.prod(tensors[2].ShapeAsNumpy())),
        "fast": 0 if operator.Inputs(3) == operator.Inputs(2)
        else int(np.prod(tensors[3].ShapeAsNumpy())),
        "inputs": [{"offset": int(offsets[i]), "bytes": size(i)} for i in inputs],
        "outputs": [{"offset": int(offsets[i]), "bytes": size(i)} for i in outputs],
        "variables": [variable(i) for i in range(graph.TensorsLength())
                      if graph.Tensors(i).IsVariable()],
        "runs": RUNS,
    }
    random = np.random.default_rng(1)
    oracle = None
    for run in range(RUNS):
        values = []
        for i in range(source.InputsLength()):
            tensor = source.Tensors(source.Inputs(i))
            dtype = tensor_dtype(tensor)
            limits = np.iinfo(dtype)
            values.append(random.integers(
                limits.min, limits.max + 1, tensor.ShapeAsNumpy(), dtype=dtype))
        if oracle is None:
            # TFLite Micro rounds fully connected layers as the hardware does.
            for oracle in (micro, reference):
                try:
                    oracle(path, values)
                    break
                except Exception as error:
                    print(f"{path.stem}: {oracle.__name__}: {str(error)[:100]}")
        for i, value in enumerate(values):
            (directory / f"input{run}_{i}.bin").write_bytes(value.tobytes())
        for i, value in enumerate(oracle(path, values)):
            (directory / f"output{run}_{i}.bin").write_bytes(np.asarray(value).tobytes())
    meta["oracle"] = oracle.__name__
    (directory / "case.json").write_text(json.dumps(meta, indent=1))
    return f"{path.stem}: ok ({oracle.__name__})"


def main():
    out = pathlib.Path(sys.argv[1])
    for path in sys.argv[3:]:
        try:
            print(case(path, sys.argv[2], out))
        except Exception as error:  # One bad model must not hide the others.
            print(f"{pathlib.Path(path).stem}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
