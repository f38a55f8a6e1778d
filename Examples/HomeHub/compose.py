"""Sentences composed for training: phrasings.py's templates in many orders, with more around them.

The order of two modifiers (the time, the span, the condition, as a command has them) is held out in
two ways: the later one in front and the earlier at the end, and both at the end the other way round.
No pair of modifiers in any sentence here stands so. Reversed orders occur otherwise: both in front,
or one of the two inside the clause, before its room.
"""

import re

import generate_corpus as grammar
import phrasings

MORE_IN = ["in the {0}", "inside the {0}", "in our {0}", "in my {0}", "over in the {0}", "for the {0}"]
MORE_THE = ["our {0}", "my {0}"]
MORE_ALL_IN = ["in the entire house", "throughout the house", "all over the house", "in all the rooms",
               "in each room", "in the house", "in every single room"]
MORE_ALL_THE = ["the entire house", "all the rooms", "each room", "the house", "every single room"]
MORE_HERE_IN = ["right here", "where i am", "in this place", "around here"]
MORE_HERE_THE = ["this place", "this room here"]
MORE_DEGREES = {1: ["a tiny bit", "a little bit", "somewhat", "just a bit"], 2: [""],
                3: ["a great deal", "quite a lot", "very much"]}
FILLERS = ["just", "now", "maybe", "quickly", "really", "well", "so", "um", "actually", "today"]
RANK = {"at": 0, "by": 0, "in": 0, "for": 1, "until": 1, "if": 2}
SHORT_WRAPPERS = ("", "please", "hey hub", "hub")


class Composed(grammar.Draw):
    """A training sentence in the making. `validation` draws held-back templates with some chance."""

    TABLES = phrasings.tables()
    refused = 0  # clauses that read like a held-out template and were drawn again

    def __init__(self, rng, validation=0.0, wide=True):
        super().__init__(rng, 0.0, wide)
        self.validation = validation
        self.held_back = False  # whether a validation template was used

    def pick(self, table):
        """A template of a table."""
        if self.validation and table.valid and self.rng.random() < self.validation:
            self.held_back = True
            return table.pick(self.rng, valid=True)
        return table.pick(self.rng)

    # -- what Draw asks for ---------------------------------------------------------------------

    def template(self, intent):
        return self.pick(self.TABLES["intents"][intent])

    def condition(self, what):
        return self.pick(self.TABLES["conditions"][what])

    def when(self, kind):
        return self.pick(self.TABLES["when"][kind])

    def places(self, room):
        rng = self.rng
        said = super().places(room)
        if not room or rng.random() < 0.88:
            return said
        if room == "here":
            return said | {"in": rng.choice(MORE_HERE_IN), "the": rng.choice(MORE_HERE_THE)}
        if room == "all":
            return said | {"in": rng.choice(MORE_ALL_IN), "the": rng.choice(MORE_ALL_THE)}
        name = said["room"]
        return said | {"in": rng.choice(MORE_IN).format(name), "the": rng.choice(MORE_THE).format(name)}

    def degree(self, table, size):
        return self.rng.choice(MORE_DEGREES[size] if self.rng.random() < 0.2 else table[size])

    def clock(self):
        """The test's forms, and any minute in digits or words (which the test never asks)."""
        rng = self.rng
        if rng.random() >= 0.2:
            return super().clock()
        hour, minute = rng.randint(0, 23), rng.randint(1, 59)
        if rng.random() < 0.6:
            self.combine("digits", hour, minute)
            text = f"{hour}:{minute:02}" if rng.random() < 0.6 else f"{hour:02}:{minute:02}"
            return text, f"{hour:02}:{minute:02}"
        part, low, high, add = rng.choice(
            [("in the morning", 4, 11, 0), ("in the evening", 5, 11, 12), ("tonight", 6, 11, 12),
             ("in the afternoon", 1, 5, 12), ("pm", 1, 11, 12), ("am", 1, 11, 0)])
        hour, minute = rng.randint(low, high), rng.randint(10, 59)
        self.combine("part", part, hour)
        if rng.random() < 0.5:
            return f"{grammar.words(hour)} {grammar.words(minute)} {part}", f"{hour + add:02}:{minute:02}"
        minute = rng.randint(2, 29)
        if rng.random() < 0.5 or hour == low:
            return (f"{grammar.words(minute)} past {grammar.words(hour)} {part}",
                    f"{hour + add:02}:{minute:02}")
        return (f"{grammar.words(minute)} to {grammar.words(hour)} {part}",
                f"{hour + add - 1:02}:{60 - minute:02}")

    # -- clauses ----------------------------------------------------------------------------------

    def clause(self, intent, room, imperative=False, drop_room=False, mid=""):
        """The words and the command of one action, with modifiers inside it before its room."""
        rng = self.rng
        # A room that is meant must be said somewhere: only "here" goes without.
        need_room = room not in ("", "here") and intent != "none" and not drop_room
        while True:
            saved = self.held_back
            template = self.template(intent)
            fits = not (room == "all" and "{room}" in template)
            fits = fits and not (imperative and not template.startswith("!"))
            fits = fits and not (drop_room and "{in}" not in template)
            fits = fits and not (need_room and not re.search(r"\{(in|the|room)\}", template))
            if fits:
                break
            self.held_back = saved
        mark = "!" if template.startswith("!") else ""
        body = template.lstrip("!")
        if not drop_room and room not in ("", "here") and body.endswith(" {in}"):
            if mid:
                body = f"{body[:-5]} {mid} {{in}}"
                mid = ""
            elif rng.random() < 0.08:  # the room first
                body = "{in} " + body[:-5]
        elif mid:
            body = f"{body} {mid}"
            mid = ""
        if mid:
            body = f"{body} {mid}"
        made = self.fill(mark + body, intent, room, drop_room)
        if phrasings.reads_held(grammar.tidy([made[0]])):  # where no room is said, templates meet
            Composed.refused += 1
            return self.clause(intent, room, imperative, drop_room, mid)
        return made

    def wrapper(self, imperative):
        """A polite frame, often none."""
        rng = self.rng
        if rng.random() < 0.3:
            return ""
        return self.pick(self.TABLES["wrappers" if imperative else "plain"])

    def tail(self):
        """A polite closing, often none."""
        return self.pick(self.TABLES["tails"]) if self.rng.random() < 0.3 else ""

    def kinds(self, intent):
        """The kinds of modifiers of a command, in the command's order."""
        rng = self.rng
        spans = ["for", "until"] if intent in grammar.LASTING else []
        times = ["at", "at", "in", "by"]
        roll = rng.random()
        if roll < 0.28:
            return []
        if roll < 0.55:
            return [rng.choice(times + spans + ["if", "if"])]
        if roll < 0.70 and spans:
            return [rng.choice(times), rng.choice(spans)]
        if roll < 0.97 or not spans:
            return [rng.choice(times + spans), "if"]
        return [rng.choice(times), rng.choice(spans), "if"]

    def arrange(self, count):
        """Places of the modifiers: (front, mid, end), lists of indices; never a held-out order."""
        rng = self.rng
        while True:
            front, mid, end = [], [], []
            for i in rng.sample(range(count), count):
                roll = rng.random()
                (front if roll < 0.42 else mid if roll < 0.52 else end).append(i)
            if len(mid) > 1 or len(front) > 2:
                continue
            if any(a > b for k, a in enumerate(end) for b in end[k + 1 :]):
                continue
            if any(a > b for a in front for b in end):
                continue
            return front, mid, end

    def sentence(self):
        rng = self.rng
        intent = rng.choices(list(grammar.INTENTS), grammar.WEIGHTS)[0]
        room = "" if intent in grammar.ROOMLESS or intent == "none" else self.room()
        if intent == "none":
            room = rng.choice(list(grammar.ROOMS))
        if intent not in grammar.UNTIMED and rng.random() < 0.36:
            return self.pair(intent, room)
        made = []
        if intent not in grammar.UNTIMED:
            made = [self.modifier(intent, kind) for kind in self.kinds(intent)]
        front, mid, end = ([made[i][0] for i in where] for where in self.arrange(len(made)))
        text, command, imperative = self.clause(intent, room, mid=" ".join(mid))
        wrapper = self.wrapper(imperative)
        closing = self.tail() if imperative and rng.random() < (0.8 if not wrapper else 0.3) else ""
        if rng.random() < 0.03:
            text = f"{rng.choice(FILLERS)} {text}"
        if rng.random() < (0.7 if wrapper in SHORT_WRAPPERS else 0.35):
            parts = [wrapper] + front + [text] + end + [closing]
        else:
            parts = front + [wrapper, text] + end + [closing]
        return grammar.tidy(parts), " ".join([command] + [m[1] for m in made])

    def pair(self, first, room):
        """Two actions in one sentence, in one room or two."""
        rng = self.rng
        timed = [i for i in grammar.INTENTS if i not in grammar.UNTIMED]
        second = rng.choice(timed)
        while second.split()[0] == first.split()[0]:
            second = rng.choice(timed)
        self.combine("pair", first, second)
        roll = rng.random()  # the room named once with the second, once with the first, or two rooms
        shared = "second" if roll < 0.38 else "first" if roll < 0.48 and room != "here" else ""
        other = room if shared else self.room()
        while not shared and (other == room or "here" in (room, other)):
            room, other = self.room(), self.room()
        front, made_a, made_b = [], [], []
        roll = rng.random()
        if roll < 0.38:  # one modifier in front of both; sometimes two
            kinds = [rng.choice(["at", "in", "by", "if"])]
            if roll < 0.06:
                kinds = [rng.choice(["at", "in", "by"]), "if"]
            made_a = [self.modifier(first, kind) for kind in kinds]
            for kind in kinds:
                self.combine(second, "when" if kind != "if" else "if", kind)
            made_b = made_a
            front = [m[0] for m in made_a]
            rng.shuffle(front)
        elif roll < 0.46:  # each action with its own
            for made, intent in ((made_a, first), (made_b, second)):
                if rng.random() < 0.6:
                    made.append(self.modifier(intent, rng.choice(["at", "in", "by", "if"])))
        own = not front
        a, command_a, _ = self.clause(first, room, True, shared == "second")
        b, command_b, _ = self.clause(second, other, True, shared == "first")
        if shared:
            self.combine(first, room)
            self.combine(second, room)
        command_a = " ".join([command_a] + [m[1] for m in made_a])
        command_b = " ".join([command_b] + [m[1] for m in made_b])
        if own:
            a = " ".join([a] + [m[0] for m in made_a])
            b = " ".join([b] + [m[0] for m in made_b])
        join = self.pick(self.TABLES["joins"])
        wrapper = self.wrapper(True)
        closing = self.tail() if rng.random() < 0.4 else ""
        if rng.random() < 0.08:
            b = f"{b} {rng.choice(['too', 'as well', 'also'])}"
            closing = ""
        if rng.random() < (0.7 if wrapper in SHORT_WRAPPERS else 0.35):
            parts = [wrapper] + front
        else:
            parts = front + [wrapper]
        return grammar.tidy(parts + [a, join, b, closing]), f"{command_a} ; {command_b}"


def draw(rng, validation=0.0):
    """A composed sentence and its command, without held-out combinations."""
    while True:
        d = Composed(rng, validation, rng.random() < 0.5)
        text, command = d.sentence()
        if len(text) > 150 or len(command) > 80 or d.new_combination:
            continue
        if validation and not d.held_back:
            continue
        if rng.random() < 0.04:
            text = thinned(rng, text)
        return text, command


def thinned(rng, text):
    """The sentence without some articles, unless that makes a held-out clause of it."""
    thin = " ".join(w for w in text.split() if w not in ("the", "a") or rng.random() < 0.4)
    return text if phrasings.HELD_CLAUSE.search(thin) else thin
