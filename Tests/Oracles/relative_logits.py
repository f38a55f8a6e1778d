"""The logits of a decoder in Hugging Face's files, from the definitions of its parts, in double precision.

Covers starcoder2, stablelm and olmo: layer norms (Ba et al., 2016), rotary embeddings of the first channels of a
head, pairs by halves (Su et al., 2021, in the order of the transformers library), grouped-query attention (Ainslie et
al., 2023), GELU in both forms (Hendrycks and Gimpel, 2016) and gated SiLU (Shazeer, 2020).

Usage: relative_logits.py FOLDER TOKEN... ; prints a JSON list of rows of logits.
"""

import json
import math
import struct
import sys

import numpy as np


def read(folder):
    config = json.load(open(folder + "/config.json"))
    raw = open(folder + "/model.safetensors", "rb").read()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32"
        start, end = (8 + length + place for place in entry["data_offsets"])
        values = np.frombuffer(raw[start:end], dtype="<f4").astype(np.float64)
        tensors[name] = values.reshape(entry["shape"])
    return config, tensors


def activation(name):
    if name == "silu":
        return lambda x: x / (1 + np.exp(-x))
    if name == "gelu_pytorch_tanh":
        return lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))
    assert name == "gelu"
    return np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))


class Model:
    def __init__(self, folder):
        self.config, self.tensors = read(folder)
        self.eps = self.config.get("norm_epsilon", self.config.get("layer_norm_eps", 1e-5))
        self.act = activation(self.config["hidden_act"])

    def norm(self, x, name):
        mean = x.mean(axis=-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
        y = (x - mean) / np.sqrt(variance + self.eps)
        return y * self.tensors.get(name + ".weight", 1.0) + self.tensors.get(name + ".bias", 0.0)

    def linear(self, x, name):
        return x @ self.tensors[name + ".weight"].T + self.tensors.get(name + ".bias", 0.0)

    def rotate(self, x):
        """x: [tokens, heads, channels]"""
        count = int(x.shape[-1] * self.config.get("partial_rotary_factor", 1.0))
        half = count // 2
        rates = self.config["rope_theta"] ** (-2.0 * np.arange(half) / count)
        angles = np.arange(x.shape[0])[:, None, None] * rates
        first, second = x[..., :half], x[..., half:count]
        return np.concatenate(
            [first * np.cos(angles) - second * np.sin(angles),
             second * np.cos(angles) + first * np.sin(angles), x[..., count:]], axis=-1)

    def attention(self, x, name):
        tokens = x.shape[0]
        heads, groups = self.config["num_attention_heads"], self.config["num_key_value_heads"]
        width = self.config["hidden_size"] // heads
        q = self.rotate(self.linear(x, name + ".q_proj").reshape(tokens, heads, width))
        k = self.rotate(self.linear(x, name + ".k_proj").reshape(tokens, groups, width))
        v = self.linear(x, name + ".v_proj").reshape(tokens, groups, width)
        rows = np.zeros((tokens, heads, width))
        for head in range(heads):
            group = head // (heads // groups)
            for token in range(tokens):
                scores = k[:token + 1, group] @ q[token, head] / math.sqrt(width)
                powers = np.exp(scores - scores.max())
                rows[token, head] = powers @ v[:token + 1, group] / powers.sum()
        return self.linear(rows.reshape(tokens, heads * width), name + ".o_proj")

    def feed_forward(self, x, name):
        if name + ".c_fc.weight" in self.tensors:
            return self.linear(self.act(self.linear(x, name + ".c_fc")), name + ".c_proj")
        gate = self.act(self.linear(x, name + ".gate_proj"))
        return self.linear(gate * self.linear(x, name + ".up_proj"), name + ".down_proj")

    def logits(self, tokens):
        x = self.tensors["model.embed_tokens.weight"][tokens]
        for layer in range(self.config["num_hidden_layers"]):
            block = "model.layers.%d" % layer
            x = x + self.attention(self.norm(x, block + ".input_layernorm"), block + ".self_attn")
            x = x + self.feed_forward(
                self.norm(x, block + ".post_attention_layernorm"), block + ".mlp")
        head = "model.embed_tokens" if self.config["tie_word_embeddings"] else "lm_head"
        return self.linear(self.norm(x, "model.norm"), head)


if __name__ == "__main__":
    ids = [int(text) for text in sys.argv[2:]]
    print(json.dumps(Model(sys.argv[1]).logits(ids).tolist()))
