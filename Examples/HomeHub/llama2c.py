"""The llama2.c formats: legacy checkpoints and tokenizers, read and written with numpy alone.

Sources: the layout that llama2.c's run.c reads (karpathy/llama2.c, `memory_map_weights`,
`build_tokenizer`, `encode`); the code here is our own.
"""

import struct

import numpy as np

UNKNOWN, BOS, EOS, FIRST_BYTE, FIRST_PIECE = 0, 1, 2, 3, 259


class Tokenizer:
    """Pieces with scores, and the greedy merge that llama2.c tokenises with."""

    def __init__(self, pieces, scores):
        self.pieces = pieces  # bytes
        self.scores = scores
        self.ids = {}
        for i, piece in enumerate(pieces):
            self.ids.setdefault(piece, i)
        self.cache = {}

    @classmethod
    def of(cls, ordinary):
        """A tokenizer with llama2.c's fixed ids and these (piece, score) after them."""
        fixed = [b"<unk>", b"\n<s>\n", b"\n</s>\n"] + [b"<0x%02X>" % b for b in range(256)]
        return cls(fixed + [p for p, _ in ordinary], [0.0] * len(fixed) + [s for _, s in ordinary])

    @classmethod
    def load(cls, path, vocabulary):
        with open(path, "rb") as file:
            data = file.read()
        at, pieces, scores = 4, [], []
        for _ in range(vocabulary):
            score, length = struct.unpack_from("<fi", data, at)
            pieces.append(data[at + 8 : at + 8 + length])
            scores.append(score)
            at += 8 + length
        return cls(pieces, scores)

    def save(self, path):
        with open(path, "wb") as file:
            file.write(struct.pack("<i", max(len(p) for p in self.pieces)))
            for piece, score in zip(self.pieces, self.scores):
                file.write(struct.pack("<fi", score, len(piece)) + piece)

    def encode(self, text):
        """Ids of a text, without BOS: dummy blank, characters or bytes, then the best merge first."""
        tokens = [self.ids[b" "]] if text else []
        for character in text:
            raw = character.encode()
            if raw in self.ids:
                tokens.append(self.ids[raw])
            else:
                tokens.extend(b + FIRST_BYTE for b in raw)
        while True:
            best, where, what = -1e10, -1, -1
            for i in range(len(tokens) - 1):
                joined = self.ids.get(self.pieces[tokens[i]] + self.pieces[tokens[i + 1]])
                if joined is not None and self.scores[joined] > best:
                    best, where, what = self.scores[joined], i, joined
            if where < 0:
                return tokens
            tokens[where : where + 2] = [what]

    def decode(self, tokens):
        """The bytes of generated tokens (no dummy blank to strip: an answer follows a prompt)."""
        out = b""
        for token in tokens:
            out += bytes([token - FIRST_BYTE]) if FIRST_BYTE <= token < FIRST_PIECE else self.pieces[token]
        return out


CONFIG = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len")


def tensor_shapes(c):
    """Names and shapes in file order (matrices are [outputs, inputs])."""
    d, f, n = c["dim"], c["hidden_dim"], c["n_layers"]
    kv = d // c["n_heads"] * c["n_kv_heads"]
    freq = (c["seq_len"], d // c["n_heads"] // 2)
    return [
        ("embedding", (c["vocab_size"], d)), ("rms_att", (n, d)), ("wq", (n, d, d)),
        ("wk", (n, kv, d)), ("wv", (n, kv, d)), ("wo", (n, d, d)), ("rms_ffn", (n, d)),
        ("w1", (n, f, d)), ("w2", (n, d, f)), ("w3", (n, f, d)), ("rms_final", (d,)),
        ("freq_cis_real", freq), ("freq_cis_imag", freq),
    ]


def save_checkpoint(path, config, tensors):
    """Writes a legacy checkpoint with a classifier tied to the embedding."""
    with open(path, "wb") as file:
        file.write(struct.pack("<7i", *(config[k] for k in CONFIG)))
        for name, shape in tensor_shapes(config):
            assert tensors[name].shape == shape, name
            file.write(np.ascontiguousarray(tensors[name], "<f4").tobytes())


def load_checkpoint(path):
    """Reads a legacy checkpoint: its configuration and its tensors."""
    with open(path, "rb") as file:
        data = file.read()
    config = dict(zip(CONFIG, struct.unpack_from("<7i", data)))
    tied = config["vocab_size"] > 0
    config["vocab_size"] = abs(config["vocab_size"])
    tensors, at = {}, 28
    for name, shape in tensor_shapes(config):
        count = int(np.prod(shape))
        tensors[name] = np.frombuffer(data, "<f4", count, at).reshape(shape)
        at += 4 * count
    if tied:
        tensors["classifier"] = tensors["embedding"]
    else:
        tensors["classifier"] = np.frombuffer(data, "<f4", -1, at).reshape(tensors["embedding"].shape)
        at = len(data)
    assert at == len(data), "trailing bytes"
    return config, tensors


def rope_tables(config):
    """cos and sin per position and pair, theta 10000."""
    half = config["dim"] // config["n_heads"] // 2
    frequency = 1.0 / 10000 ** (np.arange(half) / half)
    angle = np.arange(config["seq_len"])[:, None] * frequency[None, :]
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
