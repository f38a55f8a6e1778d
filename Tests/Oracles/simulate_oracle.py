#!/usr/bin/env python3
"""Compiles models with Vela, runs them in the simulator and in the reference interpreters, compares bytes.

usage: simulate_oracle.py SWIFTLET [--rounds N] [--seed S] [--seconds N] [--only OP,...] [--models DIR]
                          [--configs NAME,...] [--plain] [--keep DIR] [--verbose]

Without --models the cases are single operators (single_ops.py), `--rounds` draws of each. With it, every
.tflite of the folder on every configuration. The configuration `cpu`, which --plain gives to single
operators, is the model as it is on the CPU kernels, without Vela. A case agrees when the simulator's outputs equal TFLite
Micro's or LiteRT's reference kernels'. Prints a table; exit status 1 when a case disagrees that
known_differences.py does not explain.
"""

import argparse
import collections
import json
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import time

import numpy as np

CHUNK = 24
#: The configuration without an NPU: the model as it is, on the CPU kernels.
CPU = "cpu"
# Seconds for one run of the simulator; the slowest model takes a few.
PATIENCE = 60
#: What the interpreters said of the last few models and inputs: configurations share it.
CACHE = {}


def references(path, inputs):
    """Outputs by interpreter name; one that refuses the model is left out."""
    key = hash((path.read_bytes(), *(v.tobytes() for v in inputs.values())))
    if key not in CACHE:
        if len(CACHE) >= 2 * len(KINDS):
            CACHE.clear()
        CACHE[key] = interpret(path, inputs)
    return CACHE[key]


def interpret(path, inputs):
    """As references(), always run."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    from tflite_micro import runtime

    found = {}
    outputs = None
    try:
        lite = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        lite.allocate_tensors()
        details = {d["name"]: d for d in lite.get_input_details()}
        for name, value in inputs.items():
            lite.set_tensor(details[name]["index"], value)
        lite.invoke()
        outputs = len(lite.get_output_details())
        found["litert"] = [lite.get_tensor(d["index"]) for d in lite.get_output_details()]
    except Exception as error:
        found["litert-error"] = str(error)[:200]
    try:
        micro = runtime.Interpreter.from_file(str(path), arena_size=1 << 26)
        for index, name in enumerate(inputs):
            micro.set_input(inputs[name], index)
        micro.invoke()
        outputs = outputs or 1
        found["micro"] = [micro.get_output(i) for i in range(outputs)]
    except Exception as error:
        found["micro-error"] = str(error)[:200]
    return found


def compile_model(path, config, options, folder):
    """Vela in this process: starting it takes longer than compiling."""
    from ethosu.vela import vela

    arguments = ["--accelerator-config", config, "--output-dir", str(folder), *options, str(path)]
    try:
        status = vela.main(arguments)
    except SystemExit as stop:
        status = stop.code
    result = folder / (path.stem + "_vela.tflite")
    return result if not status and result.exists() else None


def npu_operators(path):
    """Custom operators and others of the first graph."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(graph.Operators(i).OpcodeIndex()).CustomCode()
             for i in range(graph.OperatorsLength())]
    return codes.count(b"ethos-u"), len(codes)


#: What the values of an input are like: any, only the ends of the range, a slow wave.
KINDS = ["random", "extreme", "smooth"]


def draw_input(rng, kind, shape, dtype):
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    low, high = (-30000, 30000) if dtype == "int32" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if kind == "extreme":
        return rng.choice([low, high], shape).astype(dtype)
    if kind == "smooth":
        wave = np.sin(np.arange(int(np.prod(shape))) * rng.uniform(0.001, 0.1)).reshape(shape)
        return np.round((low + high) / 2 + wave * (high - low) / 2).astype(dtype)
    return rng.integers(low, high + 1, shape).astype(dtype)


#: Verdicts from good to bad; a case is as bad as its worst input.
ORDER = ["equal", "equal-litert", "equal-micro", "no-reference", "differs", "hazard", "fails"]


def run_case(swiftlet, path, config, options, kinds, folder):
    """The verdict on one case with its inputs by kind, and what there is to say about it."""
    compiled = path if config == CPU else compile_model(path, config, options, folder)
    if not compiled:
        return "vela-refuses", ""
    if config != CPU and npu_operators(compiled)[0] == 0:
        return "on-cpu", ""
    worst = ("equal", "")
    for kind, inputs in kinds.items():
        verdict, detail = run_inputs(swiftlet, path, compiled, inputs, folder)
        if ORDER.index(verdict) > ORDER.index(worst[0]):
            worst = verdict, detail and f"{kind} inputs: {detail}"
    return worst


def run_inputs(swiftlet, path, compiled, inputs, folder):
    """The verdict on one set of inputs of a compiled model."""
    command = [swiftlet, "simulate", str(compiled), "--json", "--output-dir", str(folder / "out")]
    # Vela renames some inputs; their order stays.
    kept = tensor_names(compiled, "InputsAsNumpy")
    for index, (name, value) in enumerate(inputs.items()):
        np.save(folder / f"{index}.npy", value)
        if name not in kept:
            name = kept[index]
        command += ["--input", f"{name}={folder / f'{index}.npy'}"]
    expected = references(path, inputs)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return "fails", f"no end within {PATIENCE} seconds"
    if done.returncode:
        return "fails", done.stderr.strip()[:400]
    hazards = json.loads(done.stdout)["hazards"]
    if hazards:
        return "hazard", "; ".join(hazards)[:400]
    names = output_names(compiled)
    actual = [np.load(folder / "out" / (name + ".npy")) for name in names]
    verdicts = {}
    for interpreter in ("micro", "litert"):
        if interpreter in expected:
            verdicts[interpreter] = all(
                np.array_equal(a.ravel(), np.asarray(e).ravel())
                for a, e in zip(actual, expected[interpreter]))
    if not verdicts:
        return "no-reference", str(expected)
    if all(verdicts.values()):
        return "equal", ""
    if any(verdicts.values()):
        return "equal-" + next(k for k, v in verdicts.items() if v), ""
    wrong = []
    for interpreter in verdicts:
        for a, e in zip(actual, expected[interpreter]):
            gap = np.abs(a.ravel().astype(np.int64) - np.asarray(e).ravel().astype(np.int64))
            wrong.append(f"{interpreter}: {np.count_nonzero(gap)} of {gap.size}, up to {gap.max()}")
    return "differs", "; ".join(wrong)


def tensor_names(path, which):
    """Names of a compiled graph's inputs or outputs."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0)
    return [graph.Tensors(i).Name().decode() for i in getattr(graph, which)()]


def output_names(path):
    """The files the simulator writes."""
    return ["".join(c if c.isalnum() or c in "._-" else "_" for c in n)
            for n in tensor_names(path, "OutputsAsNumpy")]


def single_cases(arguments):
    import single_ops

    only = arguments.only.split(",") if arguments.only else None
    for name, config, options, model in single_ops.cases(arguments.rounds, arguments.seed, only):
        rng = np.random.default_rng([arguments.seed, len(name), *name.encode()])
        kinds = {}
        for kind in KINDS:
            kinds[kind] = {n: draw_input(rng, kind, s, d) for n, s, d in model.inputs.values()}
            if model.limits:
                for key, value in kinds[kind].items():
                    kinds[kind][key] = np.clip(value, -model.limits, model.limits)
        if arguments.plain:
            config, options = CPU, []
        yield name, config, options, model.bytes(), kinds


def model_cases(arguments):
    from ai_edge_litert import schema_py_generated as schema

    types = {schema.TensorType.INT8: "int8", schema.TensorType.UINT8: "uint8",
             schema.TensorType.INT16: "int16"}
    for path in sorted(pathlib.Path(arguments.models).glob("*.tflite")):
        content = path.read_bytes()
        graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
        tensors = [graph.Tensors(i) for i in graph.InputsAsNumpy()]
        rng = np.random.default_rng(arguments.seed)
        kinds = {kind: {t.Name().decode(): draw_input(rng, kind, t.ShapeAsNumpy(), types[t.Type()])
                        for t in tensors} for kind in KINDS}
        for config in arguments.configs.split(","):
            yield path.stem, config, [], content, kinds


def work(cases, swiftlet, keep, pipe):
    """Runs cases in this process, one record each into the pipe. A crash loses one case."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    with os.fdopen(pipe, "wb") as out:
        for name, config, options, content, kinds in cases:
            with tempfile.TemporaryDirectory() as temporary:
                folder = pathlib.Path(temporary)
                path = folder / (name + ".tflite")
                path.write_bytes(content)
                try:
                    result = run_case(swiftlet, path, config, options, kinds, folder)
                except Exception as error:
                    result = ("oracle-error", f"{type(error).__name__}: {error}"[:300])
                if keep and result[0] in ("differs", "fails", "hazard"):
                    target = pathlib.Path(keep) / f"{name}-{config}"
                    target.mkdir(parents=True, exist_ok=True)
                    for file in folder.glob("*.*"):
                        (target / file.name).write_bytes(file.read_bytes())
            pickle.dump((name, config, options, *result), out)
            out.flush()


def run_all(cases, arguments):
    """Yields a record a case, from worker processes that may die."""
    pending = []
    cases = iter(cases)
    deadline = time.monotonic() + arguments.seconds
    while time.monotonic() < deadline:
        while len(pending) < CHUNK and (case := next(cases, None)):
            pending.append(case)
        if not pending:
            return
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                work(pending, arguments.swiftlet, arguments.keep, writer)
            finally:
                os._exit(0)
        os.close(writer)
        done = 0
        with os.fdopen(reader, "rb") as records:
            while True:
                try:
                    yield pickle.load(records)
                except EOFError:
                    break
                done += 1
        os.waitpid(child, 0)
        if done < len(pending):
            name, config, options, *_ = pending[done]
            yield name, config, options, "crash", "the compiler or a reference ended the process"
            done += 1
        pending = pending[done:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("swiftlet")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--only")
    parser.add_argument("--models")
    parser.add_argument("--configs", default="ethos-u55-128,ethos-u65-256,ethos-u85-256")
    parser.add_argument("--plain", action="store_true", help="single operators without Vela")
    parser.add_argument("--keep")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    arguments.swiftlet = str(pathlib.Path(arguments.swiftlet).resolve())
    from known_differences import explain

    table = collections.defaultdict(collections.Counter)
    failures = []
    for record in run_all(
            model_cases(arguments) if arguments.models else single_cases(arguments), arguments):
        name, config, options, verdict, detail = record
        known = explain(name, config, verdict, detail)
        if known:
            verdict = "known"
        elif verdict in ("differs", "fails", "hazard", "oracle-error"):
            failures.append(record)
        table[name.split("-")[0] if not arguments.models else name][verdict] += 1
        if arguments.verbose:
            print(name, config, *options, verdict, known or detail, flush=True)
    columns = sorted({v for row in table.values() for v in row})
    width = max([len(name) for name in table] + [8])
    print(" " * width, *(c.rjust(13) for c in columns))
    for name, row in sorted(table.items()):
        print(name.ljust(width), *(str(row[c] or "").rjust(13) for c in columns))
    total = collections.Counter()
    for row in table.values():
        total.update(row)
    print("total".ljust(width), *(str(total[c]).rjust(13) for c in columns))
    for name, config, options, verdict, detail in failures:
        print(f"{verdict}: {name} on {config} {' '.join(options)}: {detail}")
    compared = sum(n for v, n in total.items() if v.startswith("equal") or v in ("known", "differs"))
    print(f"{sum(total.values())} cases, {compared} compared, {len(failures)} unexplained")
    return 1 if failures or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
