"""Makes simulator cases: streams that Vela emits for a model, and what the model itself computes.

usage: vela_cases.py OUT_DIR CONFIG MODEL.tflite...

CONFIG is an accelerator of Vela (ethos-u55-128, ethos-u85-512, ...), or several with commas between. For
every model that Vela maps to one Ethos-U operator, writes OUT_DIR/NAME-CONFIG/ with the driver payload, the
constants, inputs and their places in the arena, and the outputs of TFLite Micro or, where that refuses the
model, of LiteRT's reference kernels. The first input of a case swings between the extremes of its type, the
second changes slowly, the others are random. A case that exists is not made again. VELA_FLAGS adds options
of Vela, such as "--optimise Size".
Needs ethos-u-vela, tflite-micro, numpy; ai-edge-litert only for models that TFLite Micro refuses.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as tflite

RUNS = 3


def tensor_dtype(tensor):
    return {
        tflite.TensorType.BOOL: np.bool_,
        tflite.TensorType.INT64: np.int64,
        tflite.TensorType.INT8: np.int8,
        tflite.TensorType.UINT8: np.uint8,
        tflite.TensorType.INT16: np.int16,
        tflite.TensorType.INT32: np.int32,
    }[tensor.Type()]


def load(path):
    return tflite.Model.GetRootAs(pathlib.Path(path).read_bytes(), 0)


INTERPRETERS = {}


def micro(path, inputs, keeps_state=False):
    """Outputs by TFLite Micro; a model that keeps state has one interpreter for all its runs."""
    from tflite_micro import runtime

    interpreter = INTERPRETERS.get(path) if keeps_state else None
    if interpreter is None:
        interpreter = runtime.Interpreter.from_file(str(path), arena_size=1 << 26)
    if keeps_state:
        INTERPRETERS[path] = interpreter
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


def stimulus(run, dtype, shape, random, limit=None):
    """Values of an input of run `run`; `limit` bounds indices."""
    if dtype == np.bool_:
        return random.integers(0, 2, shape).astype(bool)
    limits = np.iinfo(dtype)
    low, high = (limits.min, limits.max) if limit is None else (0, limit - 1)
    if limit is None and dtype in (np.int32, np.int64):
        low, high = -(1 << 20), 1 << 20
    count = int(np.prod(shape))
    if run == 0:
        values = np.where(random.random(count) < 0.5, low, high)
    elif run == 1:
        wave = np.sin(np.arange(count) * 0.05 + random.random())
        values = np.round((wave + 1) / 2 * (high - low) + low)
    else:
        values = random.integers(low, high + 1, count)
    return values.astype(dtype).reshape(shape)


def case(path, config, out):
    path = pathlib.Path(path)
    if (out / f"{path.stem}-{config}" / "case.json").exists():
        return f"{path.stem}: exists"
    work = out / "vela"
    command = ["vela", "--accelerator-config", config, "--output-dir", str(work), str(path)]
    command += os.environ.get("VELA_FLAGS", "").split()
    subprocess.run(
        [str(pathlib.Path(sys.executable).parent / command[0])] + command[1:], check=True,
        stdout=subprocess.DEVNULL)
    compiled = load(work / (path.stem + "_vela.tflite"))
    graph = compiled.Subgraphs(0)

    def npu_operator(subgraph):
        """The operator of a subgraph that has no other but CALL_ONCE; None when there is more."""
        found = []
        for i in range(subgraph.OperatorsLength()):
            code = compiled.OperatorCodes(subgraph.Operators(i).OpcodeIndex())
            if code.CustomCode() == b"ethos-u":
                found.append(subgraph.Operators(i))
            elif code.BuiltinCode() != tflite.BuiltinOperator.CALL_ONCE:
                return None
        return found[0] if len(found) == 1 else None

    operator = npu_operator(graph)
    if operator is None or compiled.SubgraphsLength() > 2:
        return f"{path.stem}: does not run as one operator"
    # A second subgraph sets the state before the first run.
    keeps_state = compiled.SubgraphsLength() == 2
    start = npu_operator(compiled.Subgraphs(1)) if keeps_state else None
    if keeps_state and start is None:
        return f"{path.stem}: does not start as one operator"
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
    if start is not None:
        for i, name in [(0, "start_payload"), (1, "start_constants")]:
            data = blob(compiled.Subgraphs(1).Tensors(start.Inputs(i)))
            (directory / f"{name}.bin").write_bytes(
                data.tobytes() if isinstance(data, np.ndarray) else b"")
    source_model = load(path)
    source = source_model.Subgraphs(0)
    limits = json.loads(path.with_suffix(".json").read_text()) if path.with_suffix(
        ".json").exists() else {}
    by_name = {graph.Tensors(i).Name(): i for i in range(graph.TensorsLength())}

    def places(wanted, compiled_indices):
        """The compiled tensors of source tensors: by name or, where Vela renames, by type and shape."""
        free = [i for i in compiled_indices]
        result = []
        for i in wanted:
            t = source.Tensors(i)
            alike = [j for j in free if graph.Tensors(j).Type() == t.Type()
                     and np.array_equal(graph.Tensors(j).ShapeAsNumpy(), t.ShapeAsNumpy())]
            j = by_name.get(t.Name(), alike[0] if alike else None)
            if j is None:
                raise LookupError(f"tensor {t.Name()} is not in the compiled model")
            if j in free:
                free.remove(j)
            result.append(j)
        return result

    inputs = places(source.InputsAsNumpy(), graph.InputsAsNumpy())
    outputs = places(source.OutputsAsNumpy(), graph.OutputsAsNumpy())

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
        "keepsState": keeps_state,
    }
    random = np.random.default_rng(1)
    oracle = None
    for run in range(RUNS):
        values = []
        for i in range(source.InputsLength()):
            tensor = source.Tensors(source.Inputs(i))
            values.append(stimulus(
                run, tensor_dtype(tensor), tuple(tensor.ShapeAsNumpy()), random,
                limits.get(tensor.Name().decode())))
        if oracle is None:
            # TFLite Micro rounds fully connected layers as the hardware does.
            for oracle in (micro, reference):
                try:
                    oracle(path, values)  # Without state: the first run that counts starts afresh.
                    break
                except Exception as error:
                    print(f"{path.stem}: {oracle.__name__}: {str(error)[:100]}")
        for i, value in enumerate(values):
            (directory / f"input{run}_{i}.bin").write_bytes(value.tobytes())
        state = {"keeps_state": True} if keeps_state else {}
        for i, value in enumerate(oracle(path, values, **state)):
            (directory / f"output{run}_{i}.bin").write_bytes(np.asarray(value).tobytes())
    meta["oracle"] = oracle.__name__
    (directory / "case.json").write_text(json.dumps(meta, indent=1))
    return f"{path.stem}: ok ({oracle.__name__})"


def main():
    out = pathlib.Path(sys.argv[1])
    for config in sys.argv[2].split(","):
        for path in sys.argv[3:]:
            try:
                print(config, case(path, config, out), flush=True)
            except Exception as error:  # One bad model must not hide the others.
                print(f"{config} {pathlib.Path(path).stem}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
