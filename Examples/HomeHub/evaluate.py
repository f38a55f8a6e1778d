#!/usr/bin/env python3
"""Runs an exported HomeHub checkpoint on a test file, greedily, and prints the exact match.

A float implementation of the Llama decoder in numpy, written apart from the trainer: it reads
homehub.bin and tokenizer.bin as anyone else would. `--int8` rounds every matrix to 8 bits per
output channel first (weights only), as a first look at what quantisation costs.
"""

import argparse
import collections
import json
import os

import numpy as np

import llama2c

HERE = os.path.dirname(os.path.abspath(__file__))


class Decoder:
    """Key-value cached greedy decoding of one sequence."""

    def __init__(self, path):
        self.config, self.weights = llama2c.load_checkpoint(path)
        self.cos, self.sin = llama2c.rope_tables(self.config)

    def round_to_int8(self):
        for name, w in self.weights.items():
            if w.ndim >= 2 and not name.startswith(("rms", "freq")):
                scale = np.abs(w).max(-1, keepdims=True) / 127
                self.weights[name] = np.round(w / np.maximum(scale, 1e-12)) * scale

    @staticmethod
    def norm(x, gain):
        return x / np.sqrt((x * x).mean() + 1e-5) * gain

    def rotate(self, x, position):
        out = np.empty_like(x)
        c, s = self.cos[position], self.sin[position]
        out[:, 0::2] = x[:, 0::2] * c - x[:, 1::2] * s
        out[:, 1::2] = x[:, 0::2] * s + x[:, 1::2] * c
        return out

    def step(self, token, position, keys, values):
        """The logits after one token; the caches grow by one row per layer."""
        c, w = self.config, self.weights
        size = c["dim"] // c["n_heads"]
        share = c["n_heads"] // c["n_kv_heads"]
        x = w["embedding"][token]
        for i in range(c["n_layers"]):
            h = self.norm(x, w["rms_att"][i])
            q = self.rotate((w["wq"][i] @ h).reshape(-1, size), position)
            keys[i].append(self.rotate((w["wk"][i] @ h).reshape(-1, size), position))
            values[i].append((w["wv"][i] @ h).reshape(-1, size))
            k = np.repeat(np.stack(keys[i]), share, axis=1)
            v = np.repeat(np.stack(values[i]), share, axis=1)
            a = np.einsum("hs,ths->ht", q, k) / np.sqrt(size)
            a = np.exp(a - a.max(-1, keepdims=True))
            a /= a.sum(-1, keepdims=True)
            x = x + w["wo"][i] @ np.einsum("ht,ths->hs", a, v).reshape(-1)
            h = self.norm(x, w["rms_ffn"][i])
            gate = w["w1"][i] @ h
            x = x + w["w2"][i] @ (gate / (1 + np.exp(-gate)) * (w["w3"][i] @ h))
        return w["classifier"] @ self.norm(x, w["rms_final"])

    def generate(self, prompt):
        """Greedy tokens after the prompt's, up to BOS, EOS or the end of the context."""
        layers = self.config["n_layers"]
        keys, values = [[] for _ in range(layers)], [[] for _ in range(layers)]
        tokens = [llama2c.BOS] + prompt
        out = []
        for position in range(self.config["seq_len"]):
            if position >= len(tokens):
                break
            logits = self.step(tokens[position], position, keys, values)
            if position == len(tokens) - 1:
                token = int(np.argmax(logits))
                if token in (llama2c.BOS, llama2c.EOS):
                    break
                out.append(token)
                tokens.append(token)
        return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=os.path.join(HERE, "homehub.bin"))
    parser.add_argument("--tokenizer", default=os.path.join(HERE, "tokenizer.bin"))
    parser.add_argument("--task", default=os.path.join(HERE, "test.jsonl"))
    parser.add_argument("--limit", type=int, default=0, help="only the first cases")
    parser.add_argument("--int8", action="store_true", help="round the weights to 8 bits first")
    parser.add_argument("--show", type=int, default=10, help="how many failures to print")
    parser.add_argument("--prompt", help="answer this sentence instead of running the task")
    args = parser.parse_args()
    decoder = Decoder(args.model)
    if args.int8:
        decoder.round_to_int8()
    tokenizer = llama2c.Tokenizer.load(args.tokenizer, decoder.config["vocab_size"])

    def answer(prompt):
        return tokenizer.decode(decoder.generate(tokenizer.encode(prompt))).decode("utf-8", "replace")

    if args.prompt:
        print(answer(args.prompt.rstrip("\n") + "\n"))
        return
    with open(args.task) as file:
        cases = [json.loads(line) for line in file if line.strip()]
    cases = cases[: args.limit or None]
    right, total, shown = collections.Counter(), collections.Counter(), 0
    for case in cases:
        got = answer(case["prompt"])
        for group in ("all", case.get("group", "other")):
            total[group] += 1
            right[group] += got == case["expect"]
        if got != case["expect"] and shown < args.show:
            shown += 1
            print(f"  {case['prompt']!r}\n    expected {case['expect']!r}\n    got      {got!r}")
    for group in total:
        print(f"{group:12} {right[group]:5} / {total[group]:5}  {right[group] / total[group]:7.2%}")


if __name__ == "__main__":
    main()
