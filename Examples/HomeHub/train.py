#!/usr/bin/env python3
"""Trains HomeHub from the generated corpus and writes homehub.bin and tokenizer.bin.

Needs numpy and JAX (CPU): pip install jax. One command, about a quarter of an hour on one core:

    python3 generate_corpus.py && python3 train.py

The tokenizer is made first (byte-pair merges over the corpus' words, scores = order of merging), then
a Llama-architecture decoder is trained with Adam on the answers alone: the loss of the prompt's
tokens is not counted, because nobody asks the hub to invent sentences.
"""

import argparse
import array
import collections
import os
import re
import time

import jax
import jax.numpy as jnp
import numpy as np

import llama2c

CONFIG = dict(dim=96, hidden_dim=160, n_layers=4, n_heads=6, n_kv_heads=3, vocab_size=768, seq_len=128)
HERE = os.path.dirname(os.path.abspath(__file__))


def make_tokenizer(lines, size):
    """Byte-pair merges inside words; a word may carry the blank before it, digits never merge."""
    counts = collections.Counter()
    for line in lines:
        sentence, command = line.rstrip("\n").split("\t")
        counts.update(re.findall(r" ?[a-z]+", " " + sentence))
        counts.update(re.findall(r" ?[a-z]+", command))
    characters = sorted({c for line in lines for c in line if c not in "\t\n"} | {" "})
    # Roots of counts, so that rare words become whole pieces too: they are what sentences turn on.
    words = {tuple(c.encode() for c in word): count**0.5 for word, count in counts.items()}
    pieces = [c.encode() for c in characters]
    pieces += [b" %d" % d for d in range(10)]
    while llama2c.FIRST_PIECE + len(pieces) < size:
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        a, b = max(pairs, key=lambda p: (pairs[p], p))
        pieces.append(a + b)
        merged = {}
        for word, count in words.items():
            out, i = [], 0
            while i < len(word):
                if word[i : i + 2] == (a, b):
                    out.append(a + b)
                    i += 2
                else:
                    out.append(word[i])
                    i += 1
            merged[tuple(out)] = merged.get(tuple(out), 0) + count
        words = merged
    return llama2c.Tokenizer.of([(piece, -float(i)) for i, piece in enumerate(pieces)])


class WordwiseEncoder:
    """llama2.c's tokenisation, remembered word by word: no piece reaches over the start of a word."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.known = {}

    def __call__(self, sentence, command):
        tokens = [llama2c.BOS]
        # The blank in front is the dummy prefix; "\n" is a byte token that merges with nothing.
        for part in re.findall(r" ?[^ \n]+|\n", f" {sentence}\n{command}"):
            if part not in self.known:
                t = self.tokenizer
                ids = t.encode(part)
                # encode() adds the dummy blank; take it off again by encoding the bare characters.
                self.known[part] = encode_bare(t, part) if ids else []
            tokens.extend(self.known[part])
        return array.array("H", tokens + [llama2c.EOS])


def encode_bare(tokenizer, part):
    """The tokens of a word without the dummy prefix: what encode gives after a newline."""
    newline = llama2c.FIRST_BYTE + 10
    tokens = tokenizer.encode("\n" + part)
    return tokens[tokens.index(newline) + 1 :]


def initial(key):
    shapes = [(n, s) for n, s in llama2c.tensor_shapes(CONFIG) if not n.startswith("freq")]
    params = {}
    for name, shape in shapes:
        key, use = jax.random.split(key)
        if name.startswith("rms"):
            params[name] = jnp.ones(shape)
        else:
            scale = 0.05 if name == "embedding" else shape[-1] ** -0.5
            if name in ("wo", "w2"):
                scale /= (2 * CONFIG["n_layers"]) ** 0.5
            params[name] = jax.random.normal(use, shape) * scale
    return params


def norm(x, gain):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5) * gain


def rotate(x, cos, sin):
    """Rotary positions on pairs (j, j + half) of each head; x is [batch, time, heads, size]."""
    a, b = jnp.split(x, 2, -1)
    cos, sin = cos[:, :, None, :], sin[:, :, None, :]
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)


def halves(heads, size):
    """The order of rows that brings a matrix with interleaved pairs to pairs (j, j + half)."""
    inside = np.concatenate([np.arange(0, size, 2), np.arange(1, size, 2)])
    return (np.arange(heads)[:, None] * size + inside).reshape(-1)


def forward(params, tokens, places):
    """The logits at `places` [batch, answers] of `tokens` [batch, time]."""
    c = CONFIG
    heads, kv, size = c["n_heads"], c["n_kv_heads"], c["dim"] // c["n_heads"]
    batch, length = tokens.shape
    tables = [jnp.asarray(t[None, :length]) for t in llama2c.rope_tables(c)]
    x = params["embedding"][tokens]
    mask = jnp.tril(jnp.ones((length, length), bool))[None]
    for i in range(c["n_layers"]):
        h = norm(x, params["rms_att"][i])
        k = (h @ params["wk"][i][halves(kv, size)].T).reshape(batch, length, kv, size)
        v = (h @ params["wv"][i].T).reshape(batch, length, kv, size)
        k = rotate(k, *tables)
        if i + 1 == c["n_layers"]:  # from here on only the answer's positions matter
            x, h = (jnp.take_along_axis(t, places[:, :, None], 1) for t in (x, h))
            tables = [t[0][places] for t in tables]
            mask = places[:, :, None] >= jnp.arange(length)
        q = (h @ params["wq"][i][halves(heads, size)].T).reshape(batch, -1, heads, size)
        q = rotate(q, *tables).reshape(batch, -1, kv, heads // kv, size)
        a = jnp.einsum("btgrs,bugs->bgrtu", q, k) / size**0.5
        a = jax.nn.softmax(jnp.where(mask[:, None, None], a, -1e9), -1)
        o = jnp.einsum("bgrtu,bugs->btgrs", a, v).reshape(batch, -1, c["dim"])
        x = x + o @ params["wo"][i].T
        h = norm(x, params["rms_ffn"][i])
        x = x + (jax.nn.silu(h @ params["w1"][i].T) * (h @ params["w3"][i].T)) @ params["w2"][i].T
    return norm(x, params["rms_final"]) @ params["embedding"].T


def targets(tokens, places):
    """The tokens that follow `places`."""
    return jnp.take_along_axis(tokens, places + 1, 1)


def loss_of(params, tokens, places, weight):
    log = jax.nn.log_softmax(forward(params, tokens[:, :-1], places))
    picked = jnp.take_along_axis(log, targets(tokens, places)[..., None], -1)[..., 0]
    return -(picked * weight).sum() / weight.sum()


gradient = jax.jit(jax.value_and_grad(loss_of))


@jax.jit
def update(params, m, v, i, rate, grads):
    """One AdamW step with the gradient's norm clipped to 1."""
    size = jnp.sqrt(sum((g * g).sum() for g in grads.values()))
    grads = {k: g * jnp.minimum(1.0, 1.0 / size) for k, g in grads.items()}
    out = {}, {}, {}
    for k, g in grads.items():
        out[1][k] = 0.9 * m[k] + 0.1 * g
        out[2][k] = 0.98 * v[k] + 0.02 * g * g
        change = out[1][k] / (1 - 0.9**i) / (jnp.sqrt(out[2][k] / (1 - 0.98**i)) + 1e-8)
        decay = 0.0 if k.startswith("rms") else 0.05
        out[0][k] = params[k] - rate * (change + decay * params[k])
    return out


def answer_length(row):
    """How many tokens the answer has, with its EOS."""
    return len(row) - 1 - row.index(llama2c.FIRST_BYTE + 10)


def batches(rows, size, seed):
    """Endless batches of rows of similar lengths: few shapes, little padding."""
    rng = np.random.default_rng(seed)
    classes = collections.defaultdict(list)
    for i, row in enumerate(rows):
        width = next((w for w in (16, 24, 32, 48, 64) if len(row) - 1 <= w), None)
        answer = next((a for a in (12, 24, 36) if answer_length(row) <= a), None)
        classes[width, answer].append(i)
    classes = {shape: np.array(c) for shape, c in classes.items() if None not in shape and len(c) > 9 * size}
    while True:
        groups = []
        for shape, members in classes.items():
            order = rng.permutation(members)
            groups += [(shape, order[i : i + size]) for i in range(0, len(order) - size + 1, size)]
        for g in rng.permutation(len(groups)):
            (width, answer), chosen = groups[g]
            yield padded([rows[i] for i in chosen], width + 1, answer)


def padded(rows, width, answer):
    """Tokens of a batch, the positions that predict its answers, and their weights: 0 in padding."""
    tokens = np.zeros((len(rows), width), np.int32)
    places = np.zeros((len(rows), answer), np.int32)
    weight = np.zeros((len(rows), answer), np.float32)
    for j, row in enumerate(rows):
        tokens[j, : len(row)] = row
        count = answer_length(row)
        places[j, :count] = np.arange(len(row) - 1 - count, len(row) - 1)
        weight[j, :count] = 1
    return tokens, places, weight


@jax.jit
def right_answers(params, tokens, places, weight):
    """Per row, whether every token of the answer is the likeliest: what greedy decoding gives."""
    best = jnp.argmax(forward(params, tokens[:, :-1], places), -1)
    return ((best == targets(tokens, places)) | (weight == 0)).all(-1)


def exact_match(params, rows):
    """The share of rows answered exactly."""
    right = 0
    for begin in range(0, len(rows) - 49, 50):
        right += int(right_answers(params, *padded(rows[begin : begin + 50], 97, 60)).sum())
    return right / (len(rows) // 50 * 50)


def export(params, path):
    tensors = {k: np.asarray(p, np.float32) for k, p in params.items()}
    tensors["freq_cis_real"], tensors["freq_cis_imag"] = llama2c.rope_tables(CONFIG)
    llama2c.save_checkpoint(path, CONFIG, tensors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=HERE, help="where train.txt is")
    parser.add_argument("--out", default=HERE)
    parser.add_argument("--minutes", type=float, default=15, help="processor time to train; the rate decays over it")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", help="start from this checkpoint (tokenizer.bin beside it), not from random weights")
    args = parser.parse_args()
    with open(os.path.join(args.data, "train.txt")) as file:
        lines = file.readlines()
    if args.resume:  # the weights know one tokenizer only: the one beside them
        beside = os.path.join(os.path.dirname(os.path.abspath(args.resume)), "tokenizer.bin")
        tokenizer = llama2c.Tokenizer.load(beside, CONFIG["vocab_size"])
    else:
        tokenizer = make_tokenizer(lines, CONFIG["vocab_size"])
    assert len(tokenizer.pieces) == CONFIG["vocab_size"]
    tokenizer.save(os.path.join(args.out, "tokenizer.bin"))
    encode = WordwiseEncoder(tokenizer)
    rows = [encode(*line.rstrip("\n").split("\t")) for line in lines]
    for line, row in list(zip(lines, rows))[:300]:  # the quick way must equal llama2.c's
        assert list(row[1:-1]) == tokenizer.encode(line.rstrip("\n").replace("\t", "\n")), line
    print(f"{len(rows)} rows, {np.mean([len(r) for r in rows]):.1f} tokens on average, "
          f"longest {max(map(len, rows))}", flush=True)
    assert max(map(len, rows)) <= CONFIG["seq_len"]
    validation = {}
    for name in ("valid", "phrasings"):
        with open(os.path.join(args.data, name + ".txt")) as file:
            validation[name] = [encode(*line.rstrip("\n").split("\t")) for line in file]
    params = initial(jax.random.PRNGKey(args.seed))
    if args.resume:
        _, tensors = llama2c.load_checkpoint(args.resume)
        params = {k: jnp.asarray(tensors[k]) for k in params}
    print(f"{sum(p.size for p in params.values())} parameters", flush=True)
    m = {k: jnp.zeros_like(p) for k, p in params.items()}
    v = dict(m)
    average = params
    begin, i, running = time.process_time(), 0, []
    for batch in batches(rows, args.batch, args.seed):
        done = (time.process_time() - begin) / (60 * args.minutes)
        if done >= 1:
            break
        i += 1
        rate = args.rate * min(1, i / 100) * (0.02 + 0.98 * (0.5 + 0.5 * np.cos(np.pi * done)))
        loss, grads = gradient(params, *batch)
        params, m, v = update(params, m, v, i, rate, grads)
        average = jax.tree.map(lambda a, p: a + 0.01 * (p - a), average, params) if i > 100 else params
        running.append(float(loss))
        if i % 100 == 0:
            print(f"{done:5.0%} step {i} loss {np.mean(running):.4f}", flush=True)
            running = []
            if i % 1000 == 0:
                scores = {name: exact_match(average, rows) for name, rows in validation.items()}
                print("  exact match:", scores, flush=True)
                export(average, os.path.join(args.out, "homehub.bin"))
    scores = {name: exact_match(average, rows) for name, rows in validation.items()}
    print(f"{i} steps, exact match:", scores, flush=True)
    export(average, os.path.join(args.out, "homehub.bin"))


if __name__ == "__main__":
    main()
