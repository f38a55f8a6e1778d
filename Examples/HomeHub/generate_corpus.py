#!/usr/bin/env python3
"""Writes the HomeHub corpus: plain English sentences and the commands they mean.

The grammar is the data in this file and, for the phrasings that are trained on, in phrasings.py and
compose.py; README.md describes the command language and the split. Out come train.txt, valid.txt and
phrasings.txt (`sentence<TAB>command` lines, not committed), test.jsonl and calibration.txt (both
committed). Everything is seeded: the same arguments give the same bytes on any machine, and the test
set depends on this file and --seed alone.

The test set is held out in two ways, and nothing of either kind is ever in train.txt or valid.txt:

* combinations: pairs of slots such as (light off, nursery), (sound play, if rain) or
  (half past, 9) picked by a fixed hash. A sentence that contains any such pair is never trained on.
* phrasings: sentence templates, ways to name a time or a condition, polite wrappers and orders of
  clauses that are listed under "test" below. Each uses only words that the training templates use
  too, because a model this small cannot know a word it has never seen; `check_split` proves it, and
  `check_phrasings` that no template of training is one of them.

Usage: generate_corpus.py [--out DIR] [--train N] [--train-seed S]
       [--valid N] [--test N] [--seed S]
"""

import argparse
import json
import os
import random
import re
import zlib

# ---------------------------------------------------------------------------------------------------
# Slots

ROOMS = {
    "kitchen": ["kitchen"],
    "bedroom": ["bedroom"],
    "bathroom": ["bathroom"],
    "lounge": ["lounge", "living room"],
    "dining": ["dining room"],
    "office": ["office", "study"],
    "nursery": ["nursery", "kids room"],
    "hall": ["hall", "hallway"],
    "attic": ["attic", "loft"],
    "cellar": ["cellar", "basement"],
    "garage": ["garage"],
}
ALL_IN = ["everywhere", "in every room", "in the whole house", "in all rooms"]
ALL_THE = ["the whole house", "every room", "all rooms"]
HERE_IN = ["", "", "here", "in here", "in this room"]
HERE_THE = ["this room", "the room", "it here"]

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()

SOURCES = ["radio", "news", "jazz", "classical", "rock", "rain", "podcast"]
SOURCE_WORDS = {
    "radio": ["the radio"],
    "news": ["the news"],
    "jazz": ["jazz", "some jazz", "jazz music"],
    "classical": ["classical music", "some classical music"],
    "rock": ["rock music", "some rock music", "some rock"],
    "rain": ["rain sounds", "the sound of rain"],
    "podcast": ["my podcast", "the podcast"],
}
TIMER_NAMES = ["tea", "pasta", "eggs", "laundry", "pizza", "nap", "homework", "rice"]

PRE = {1: ["a bit", "a little", "slightly"], 2: [""], 3: ["a lot", "much"]}
POST = {1: ["a bit", "a little", "slightly"], 2: [""], 3: ["a lot"]}
STEP = {"heat": {1: 1, 2: 2, 3: 4}, "light": {1: 10, 2: 25, 3: 50}, "sound": {1: 5, 2: 10, 3: 20}}


def words(n):
    """The number in words, 0 to 2000 in the shapes the hub needs."""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + ("" if n % 10 == 0 else " " + ONES[n % 10])
    if n == 100:
        return "one hundred"
    if n % 1000 == 0:
        return ONES[n // 1000] + " thousand"
    return (ONES[n // 1000] + " thousand " if n >= 1000 else "") + ONES[n % 1000 // 100] + " hundred"


# ---------------------------------------------------------------------------------------------------
# Templates. "!" in front marks an imperative, which may take a polite wrapper and be joined to
# another one. {the} "the bedroom"; {in} "in the bedroom"; {room} "bedroom"; {pre} a degree before
# a comparative; {post} a degree after a verb; {by} "by ten percent"; {n} a number; {src} something
# to play; {dur} a duration; {clock} a time of day; {name} the name of a timer.

INTENTS = {
    "light on": {
        "train": [
            "!turn on the light {in}", "!turn on the {room} light", "!turn the {room} light on",
            "!switch on the lights {in}", "!switch the {room} lights on", "!lights on {in}",
            "!put the light on {in}", "!light up {the}", "i need light {in}",
            "it is too dark {in} turn on the light", "i can not see anything {in}",
        ],
        "test": [
            "!switch the light on {in}", "!turn the lights on {in}", "!put the {room} lights on",
            "i need the light on {in}",
        ],
    },
    "light off": {
        "train": [
            "!turn off the light {in}", "!turn off the {room} light", "!turn the {room} light off",
            "!switch off the lights {in}", "!switch the {room} lights off", "!lights off {in}",
            "!put the light out {in}", "!make {the} dark", "we do not need light {in}",
            "nobody needs the light {in}", "!kill the lights {in}",
        ],
        "test": [
            "!switch the light off {in}", "!turn the lights off {in}", "!put the {room} lights out",
            "we do not need the light {in}", "!kill the {room} light",
        ],
    },
    "light up": {
        "train": [
            "!make {the} {pre} brighter", "!make the light {in} {pre} brighter",
            "!brighten the {room} light {post}", "!brighten {the} {post}",
            "!turn up the light {in} {post}", "!raise the {room} light {by}",
            "i want it {pre} brighter {in}", "!brighten the light {in} {by}",
        ],
        "test": [
            "!turn up the {room} light {post}", "i want {the} {pre} brighter",
            "!raise the light {in} {by}", "!make it {pre} brighter {in}",
        ],
    },
    "light down": {
        "train": [
            "!make {the} {pre} darker", "!make the light {in} {pre} darker",
            "!dim the {room} light {post}", "!dim the lights {in} {post}", "!dim {the} {post}",
            "!turn down the light {in} {post}", "!lower the {room} light {by}",
            "i want it {pre} darker {in}", "!dim the light {in} {by}",
        ],
        "test": [
            "!turn down the {room} light {post}", "i want {the} {pre} darker",
            "!lower the light {in} {by}", "!make it {pre} darker {in}",
        ],
    },
    "light set": {
        "train": [
            "!set the {room} light to {n} percent", "!set the light {in} to {n} percent",
            "!dim the lights {in} to {n} percent", "!turn the {room} light to {n} percent",
            "!bring the light {in} to {n} percent", "light at {n} percent {in}",
            "i want {n} percent light {in}", "!put the {room} lights at {n} percent",
        ],
        "test": [
            "!dim the {room} light to {n} percent", "!bring the {room} lights to {n} percent",
            "!put the light {in} at {n} percent", "i want the {room} light at {n} percent",
        ],
    },
    "light warm": {
        "train": [
            "!make the light {in} warm white", "!set the {room} light to warm white",
            "!use a warm light {in}", "warm light {in}", "!turn the {room} light warm",
            "i want a warm light {in}",
        ],
        "test": ["!use warm white {in}", "!make the {room} light warm", "i want warm white {in}"],
    },
    "light cool": {
        "train": [
            "!make the light {in} cool white", "!set the {room} light to cool white",
            "!use a cool light {in}", "cool light {in}", "!turn the {room} light cool",
            "i want a cool light {in}",
        ],
        "test": ["!use cool white {in}", "!make the {room} light cool", "i want cool white {in}"],
    },
    "heat up": {
        "train": [
            "!make {the} {pre} warmer", "!make it {pre} warmer {in}",
            "!turn up the heating {in} {post}", "!turn the {room} heating up {post}",
            "!heat {the} {post} more", "!warm up {the} {post}", "!raise the temperature {in} {deg}",
            "it is too cold {in}", "{the} is too cold", "it is freezing {in}",
            "i am cold {in}", "i want it {pre} warmer {in}", "!raise the {room} temperature {deg}",
        ],
        "test": [
            "{the} is freezing", "!turn up the {room} heating {post}",
            "!raise the heating {in} {deg}", "i am freezing {in}", "i want {the} {pre} warmer",
        ],
    },
    "heat down": {
        "train": [
            "!make {the} {pre} cooler", "!make it {pre} cooler {in}", "!make {the} {pre} colder",
            "!turn down the heating {in} {post}", "!turn the {room} heating down {post}",
            "!cool down {the} {post}", "!lower the temperature {in} {deg}",
            "it is too hot {in}", "{the} is too hot", "it is boiling {in}", "i am hot {in}",
            "i want it {pre} cooler {in}", "!lower the {room} temperature {deg}",
        ],
        "test": [
            "{the} is boiling", "!turn down the {room} heating {post}",
            "!lower the heating {in} {deg}", "i am boiling {in}", "i want {the} {pre} colder",
        ],
    },
    "heat set": {
        "train": [
            "!set {the} to {n} degrees", "!set the heating {in} to {n}",
            "!set the temperature {in} to {n} degrees", "!heat {the} to {n} degrees",
            "!set the {room} heating to {n} degrees", "!keep {the} at {n} degrees",
            "i want {n} degrees {in}", "!bring {the} to {n} degrees", "!warm {the} to {n}",
        ],
        "test": [
            "!heat {the} to {n}", "!keep the temperature {in} at {n}",
            "i want it {n} degrees {in}", "!bring the {room} temperature to {n} degrees",
        ],
    },
    "heat off": {
        "train": [
            "!turn off the heating {in}", "!turn the {room} heating off",
            "!switch off the heating {in}", "!stop heating {the}", "no heating {in}",
            "we do not need heating {in}", "!shut off the {room} heating",
        ],
        "test": [
            "!switch the {room} heating off", "!stop the heating {in}", "!shut off the heating {in}",
            "nobody needs the heating {in}",
        ],
    },
    "blind open": {
        "train": [
            "!open the blinds {in}", "!open the {room} blinds", "!raise the blinds {in}",
            "!pull up the blinds {in}", "!pull the {room} blinds up", "blinds up {in}",
            "!let the sun in {in}", "i want the blinds open {in}", "!roll up the {room} blinds",
        ],
        "test": [
            "!pull up the {room} blinds", "!raise the {room} blinds", "!roll the blinds up {in}",
            "i want the {room} blinds open",
        ],
    },
    "blind close": {
        "train": [
            "!close the blinds {in}", "!close the {room} blinds", "!lower the blinds {in}",
            "!pull down the blinds {in}", "!pull the {room} blinds down", "blinds down {in}",
            "!shut the blinds {in}", "!keep the sun out {in}", "i want the blinds closed {in}",
            "!roll down the {room} blinds",
        ],
        "test": [
            "!pull down the {room} blinds", "!lower the {room} blinds", "!roll the blinds down {in}",
            "!shut the {room} blinds", "i want the {room} blinds closed",
        ],
    },
    "blind set": {
        "train": [
            "!set the blinds {in} to {n} percent", "!set the {room} blinds to {n} percent",
            "!open the blinds {in} to {n} percent", "!put the {room} blinds at {n} percent",
            "blinds at {n} percent {in}", "!bring the blinds {in} to {n} percent",
        ],
        "test": [
            "!open the {room} blinds to {n} percent", "!put the blinds {in} at {n} percent",
            "i want the {room} blinds at {n} percent",
        ],
    },
    "sound play": {
        "train": [
            "!play {src} {in}", "!put on {src} {in}", "!start {src} {in}", "!turn on {src} {in}",
            "i want to hear {src} {in}", "!let me hear {src} {in}", "!put {src} on {in}",
            "we would like to hear {src} {in}",
        ],
        "test": [
            "i would like to hear {src} {in}", "!turn {src} on {in}", "!let us hear {src} {in}",
        ],
    },
    "sound stop": {
        "train": [
            "!stop the music {in}", "!turn off the music {in}", "!stop playing {in}",
            "!turn the {room} speaker off", "!switch off the sound {in}", "no more music {in}",
            "!stop the {room} speaker", "!turn off the {room} speaker", "let us have no music {in}",
        ],
        "test": [
            "!stop playing music {in}", "!switch off the music {in}", "!turn the music off {in}",
            "!switch the {room} speaker off", "no more sound {in}",
        ],
    },
    "sound up": {
        "train": [
            "!make the music {in} {pre} louder", "!turn up the music {in} {post}",
            "!turn the {room} speaker up {post}", "!raise the volume {in} {by}",
            "i want it {pre} louder {in}", "!make it {pre} louder {in}", "the music is too quiet {in}",
            "!turn up the volume {in} {post}",
        ],
        "test": [
            "!make the {room} speaker {pre} louder", "!turn up the {room} speaker {post}",
            "i want the music {pre} louder {in}", "it is too quiet {in}",
        ],
    },
    "sound down": {
        "train": [
            "!make the music {in} {pre} quieter", "!turn down the music {in} {post}",
            "!turn the {room} speaker down {post}", "!lower the volume {in} {by}",
            "i want it {pre} quieter {in}", "!make it {pre} quieter {in}", "the music is too loud {in}",
            "!turn down the volume {in} {post}",
        ],
        "test": [
            "!make the {room} speaker {pre} quieter", "!turn down the {room} speaker {post}",
            "i want the music {pre} quieter {in}", "it is too loud {in}",
        ],
    },
    "sound set": {
        "train": [
            "!set the volume {in} to {n} percent", "!set the {room} speaker to {n} percent",
            "!turn the music {in} to {n} percent", "volume at {n} percent {in}",
            "!bring the volume {in} to {n} percent", "!put the {room} speaker at {n} percent",
        ],
        "test": [
            "!turn the {room} speaker to {n} percent", "!put the volume {in} at {n} percent",
            "!set the music {in} to {n} percent",
        ],
    },
    "sound mute": {
        "train": [
            "!mute the music {in}", "!mute the {room} speaker", "!mute {the}", "silence {in}",
            "!be quiet {in}", "i want silence {in}",
        ],
        "test": ["!mute the speaker {in}", "!mute the sound {in}", "we need silence {in}"],
    },
    "air fan": {
        "train": [
            "!turn the fan {in} to {level}", "!set the {room} fan to {level}",
            "!run the fan {in} on {level}", "!put the {room} fan on {level}", "fan on {level} {in}",
            "!switch the fan {in} to {level}",
        ],
        "test": [
            "!run the {room} fan on {level}", "!turn the {room} fan to {level}",
            "!set the fan {in} to {level}",
        ],
    },
    "air fan off": {
        "train": [
            "!turn off the fan {in}", "!turn the {room} fan off", "!stop the fan {in}",
            "!switch off the {room} fan", "no fan {in}", "the fan is too loud {in}",
        ],
        "test": ["!switch the fan off {in}", "!stop the {room} fan", "we do not need the fan {in}"],
    },
    "air clean on": {
        "train": [
            "!clean the air {in}", "!turn on the air cleaner {in}", "!turn the {room} air cleaner on",
            "!start the air cleaner {in}", "the air is bad {in}", "it smells {in}",
            "i want clean air {in}", "!freshen the air {in}",
        ],
        "test": [
            "!switch on the air cleaner {in}", "!start the {room} air cleaner", "{the} smells",
            "we need clean air {in}",
        ],
    },
    "air clean off": {
        "train": [
            "!stop cleaning the air {in}", "!turn off the air cleaner {in}",
            "!turn the {room} air cleaner off", "!stop the air cleaner {in}",
            "the air is fine {in} stop the cleaner",
        ],
        "test": ["!switch off the air cleaner {in}", "!stop the {room} air cleaner"],
    },
    "timer set": {
        "train": [
            "!set a timer for {dur}", "!start a timer for {dur}", "!set a {dur} timer",
            "timer for {dur}", "!tell me when {dur} are over", "!count down {dur}",
            "!wake me in {dur}", "i need a timer for {dur}",
        ],
        "test": ["!start a {dur} timer", "i need a {dur} timer", "!start a timer of {dur}"],
    },
    "timer name": {
        "train": [
            "!set a {name} timer for {dur}", "!start a timer of {dur} for the {name}",
            "the {name} needs {dur}", "!tell me in {dur} that the {name} is over",
            "{name} timer for {dur}", "i need a {name} timer for {dur}",
        ],
        "test": [
            "!start a {name} timer for {dur}", "!set a timer of {dur} for the {name}",
            "!set a {dur} timer for the {name}",
        ],
    },
    "timer cancel": {
        "train": [
            "!cancel the timer", "!stop the timer", "!turn off the timer", "no more timer",
            "!delete the timer", "!forget the timer", "i do not need the timer any more",
        ],
        "test": ["!switch off the timer", "we do not need the timer any more", "!turn the timer off"],
    },
    "alarm set": {
        "train": [
            "!wake me at {clock}", "!wake me up at {clock}", "!set an alarm for {clock}",
            "!set the alarm to {clock}", "alarm at {clock}", "i have to get up at {clock}",
            "i need an alarm at {clock}",
        ],
        "test": [
            "i want to get up at {clock}", "!set an alarm at {clock}", "i need an alarm for {clock}",
        ],
    },
    "alarm off": {
        "train": [
            "!cancel the alarm", "!stop the alarm", "!turn off the alarm", "no more alarm",
            "!delete the alarm", "!do not wake me", "i do not need the alarm any more",
        ],
        "test": ["!switch off the alarm", "!forget the alarm", "!turn the alarm off"],
    },
    "ask temp": {
        "train": [
            "how warm is it {in}", "what is the temperature {in}", "how cold is {the}",
            "!tell me the temperature {in}", "how many degrees is it {in}", "is it cold {in}",
            "what is the {room} temperature", "is {the} warm",
        ],
        "test": ["how warm is {the}", "how cold is it {in}", "is it warm {in}",
                 "!tell me the {room} temperature"],
    },
    "ask air": {
        "train": [
            "how is the air {in}", "what is the air like {in}", "is the air good {in}",
            "!tell me about the air {in}", "how good is the air {in}", "is the {room} air bad",
        ],
        "test": ["how bad is the air {in}", "how is the {room} air", "is the air bad {in}"],
    },
    "ask light": {
        "train": [
            "is the light on {in}", "is the {room} light off", "are the lights on {in}",
            "!tell me if the light is on {in}", "did i leave the light on {in}",
        ],
        "test": ["is the {room} light on", "are the lights off {in}",
                 "did i leave the {room} light on"],
    },
    "ask timer": {
        "train": [
            "how long is left on the timer", "how much time is left", "what does the timer say",
            "!tell me how much time is left", "how long does the timer have left",
        ],
        "test": ["how long is left", "!tell me how long is left on the timer",
                 "how much time is left on the timer"],
    },
    "none": {
        "train": [
            "!call {who}", "!send a message to {who}", "!order {what}", "!buy {what}",
            "what is the weather like", "who won the game", "!book a table at {clock}",
            "how old is {who}", "!open the front door", "!lock the door", "!start the car",
            "!write {what} on the shopping list", "where is {who}", "what time is it",
            "!tell me a joke", "thank you", "good night", "!water the plants {in}",
            "!feed the cat {in}",
        ],
        "test": [
            "!call a taxi at {clock}", "where is the cat", "!lock the front door",
            "!buy {what} at {clock}", "!tell me where {who} is",
        ],
    },
}
WHO = ["my mother", "my brother", "anna", "the doctor", "my boss", "tom", "the neighbour"]
WHAT = ["a pizza", "milk", "bread", "flowers", "coffee", "a taxi", "new shoes"]
LEVELS = ["low", "high"]

WRAPPERS = {
    "train": [
        "", "", "", "please", "could you", "can you", "i want you to", "i would like you to",
        "would you please", "hey hub", "hub", "ok hub please", "hey hub can you",
    ],
    "test": ["hey hub please", "could you please", "can you please", "would you", "hub could you"],
}
WRAPPED_PLAIN = {"train": ["", "", "", "hey hub", "hub"], "test": ["ok hub"]}
TAILS = {"train": ["", "", "", "", "please", "thanks", "for me"], "test": ["for me please"]}

CONDITIONS = {
    "dark": {
        "train": ["when it gets dark", "if it is dark", "as soon as it is dark outside",
                  "once it gets dark", "after dark"],
        "test": ["when it is dark", "as soon as it gets dark", "if it gets dark outside"],
    },
    "away": {
        "train": ["when nobody is home", "if i am away", "as soon as everybody is gone",
                  "once we leave", "while i am away", "if nobody is here"],
        "test": ["if nobody is home", "while we are away", "as soon as i am gone"],
    },
    "home": {
        "train": ["when somebody is home", "if i am home", "as soon as i get home",
                  "once we are back", "when i come home", "if somebody comes back"],
        "test": ["if somebody is home", "as soon as we are home", "when i am back"],
    },
    "rain": {
        "train": ["when it rains", "if it is raining", "as soon as it starts raining",
                  "if it rains outside"],
        "test": ["if it rains", "when it starts raining"],
    },
    "motion": {
        "train": ["when somebody moves", "if there is motion", "as soon as somebody comes in",
                  "when somebody walks in"],
        "test": ["if somebody moves", "when there is motion"],
    },
    "window": {
        "train": ["when the window is open", "if a window is open", "as soon as somebody opens a window",
                  "while the window is open"],
        "test": ["if the window is open", "while a window is open"],
    },
    "temp<": {
        "train": ["if it is colder than {n} degrees", "when it gets colder than {n}",
                  "if the temperature is below {n} degrees", "as soon as it drops below {n}",
                  "when the temperature falls below {n} degrees"],
        "test": ["when it is colder than {n} degrees", "if it drops below {n} degrees"],
    },
    "temp>": {
        "train": ["if it is warmer than {n} degrees", "when it gets warmer than {n}",
                  "if the temperature is above {n} degrees", "as soon as it rises above {n}",
                  "when the temperature climbs above {n} degrees"],
        "test": ["when it is warmer than {n} degrees", "if it rises above {n} degrees"],
    },
    "co2>": {
        "train": ["if the co2 is above {n}", "when the co2 rises above {n}",
                  "as soon as co2 is over {n}", "if there is more co2 than {n}"],
        "test": ["when the co2 is above {n}", "if co2 rises above {n}"],
    },
}
WHEN = {
    "at": {"train": ["at {clock}", "at {clock}", "exactly at {clock}"], "test": ["at exactly {clock}"]},
    "by": {"train": ["before {clock}", "by {clock}", "no later than {clock}"],
           "test": ["not later than {clock}"]},
    "in": {"train": ["in {dur}", "after {dur}", "{dur} from now"], "test": ["in {dur} from now"]},
    "for": {"train": ["for {dur}", "for the next {dur}"], "test": ["for exactly {dur}"]},
    "until": {"train": ["until {clock}", "till {clock}", "up to {clock}"],
              "test": ["until exactly {clock}"]},
}
JOINS = {"train": ["and", "then", "and then", "and also"], "test": ["and after that", "also"]}

# Intents after which a span ("for", "until") makes sense.
LASTING = {
    "light on", "light off", "light set", "light warm", "light cool", "heat up", "heat down",
    "heat set", "heat off", "blind open", "blind close", "blind set", "sound play", "sound mute",
    "air fan", "air clean on",
}
UNTIMED = {"timer set", "timer name", "timer cancel", "alarm set", "alarm off", "none"} | {
    i for i in INTENTS if i.startswith("ask")
}
ROOMLESS = {"timer set", "timer name", "timer cancel", "alarm set", "alarm off", "ask timer"}


def held_out(*slots):
    """Whether a combination of slots is kept out of training: a fixed ninth of all."""
    return zlib.crc32(("homehub/" + "/".join(map(str, slots))).encode()) % 9 == 0


class Draw:
    """One sentence in the making: random choices, and what of them is held out."""

    def __init__(self, rng, phrasing, wide=False, refuse=None):
        self.rng = rng
        self.refuse = refuse  # training only: whether a clause must not be used
        self.wide = wide  # numbers and pairs beyond what the test asks: training only
        self.phrasing = phrasing  # the chance to use a held-out phrasing
        self.new_phrasing = False
        self.new_combination = False

    def phrase(self, table):
        """A phrasing: from the training list, or with some chance from the held-out one."""
        if table.get("test") and self.rng.random() < self.phrasing:
            self.new_phrasing = True
            return self.rng.choice(table["test"])
        return self.rng.choice(table["train"])

    def combine(self, *slots):
        """Notes a combination of slots."""
        if held_out(*slots):
            self.new_combination = True

    # -- slots ----------------------------------------------------------------------------------

    def number(self, n):
        return str(n) if self.rng.random() < 0.5 else words(n)

    def clock(self):
        """A time of day: its words and HH:MM."""
        rng = self.rng
        form = rng.choice(
            ["hour", "hour", "oclock", "half", "quarter past", "quarter to", "minutes", "digits",
             "digits", "part", "part", "half part", "noon"])
        hour = rng.randint(1, 12)
        if self.wide and rng.random() < 0.25:  # a training-only form that shows how "to" counts back
            minute = rng.randint(2, 29)
            unit = rng.choice(["", "", " minutes"])
            if rng.random() < 0.5:
                return f"{words(minute)}{unit} past {words(hour)}", f"{hour:02}:{minute:02}"
            before = hour - 1 if hour > 1 else 12
            return f"{words(minute)}{unit} to {words(hour)}", f"{before:02}:{60 - minute:02}"
        self.combine("clock", form, hour)
        said = words(hour) if rng.random() < 0.75 else str(hour)
        if form == "noon":
            return rng.choice([("noon", "12:00"), ("midnight", "00:00")])
        if form == "hour":
            return said, f"{hour:02}:00"
        if form == "oclock":
            return words(hour) + " o'clock", f"{hour:02}:00"
        if form == "half":
            return "half past " + words(hour), f"{hour:02}:30"
        if form == "quarter past":
            return "quarter past " + words(hour), f"{hour:02}:15"
        if form == "quarter to":
            before = hour - 1 if hour > 1 else 12
            return "quarter to " + words(hour), f"{before:02}:45"
        if form == "minutes":
            minute = rng.choice(
                range(10, 60) if self.wide else [10, 15, 20, 30, 40, 45, 50])
            return f"{words(hour)} {words(minute)}", f"{hour:02}:{minute:02}"
        if form == "digits":
            hour, minute = rng.randint(0, 23), rng.randrange(0, 60, 5)
            self.combine("digits", hour, minute)
            text = f"{hour}:{minute:02}" if rng.random() < 0.6 else f"{hour:02}:{minute:02}"
            return text, f"{hour:02}:{minute:02}"
        part, low, high, add = rng.choice(
            [("in the morning", 4, 11, 0), ("in the evening", 5, 11, 12), ("tonight", 6, 11, 12),
             ("in the afternoon", 1, 5, 12), ("pm", 1, 11, 12), ("am", 1, 11, 0)])
        hour = rng.randint(low, high)
        self.combine("part", part, hour)
        said = words(hour) if rng.random() < 0.75 else str(hour)
        if form == "half part":
            return f"half past {words(hour)} {part}", f"{hour + add:02}:30"
        return f"{said} {part}", f"{hour + add:02}:00"

    def duration(self):
        """A duration: its words and the command's form."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.12:
            return rng.choice([("half an hour", "30m"), ("an hour", "1h"), ("a quarter of an hour", "15m"),
                               ("one hour", "1h"), ("a minute", "1m")])
        if roll < 0.27:
            n = rng.randint(2, 9)
            return f"{self.number(n)} hours", f"{n}h"
        if roll < 0.37:
            n = rng.choice(range(2, 100) if self.wide else [10, 20, 30, 40, 45, 50, 90])
            self.combine("seconds", n)
            return f"{self.number(n)} seconds", f"{n}s"
        usual = list(range(2, 21)) + [25, 30, 35, 40, 45, 50, 55]
        n = rng.choice(range(2, 60) if self.wide else usual)
        self.combine("minutes", n)
        return f"{self.number(n)} minutes", f"{n}m"

    def degree(self, table, size):
        """A degree in words."""
        return self.rng.choice(table[size])

    def room(self):
        roll = self.rng.random()
        if roll < 0.10:
            return "here"
        if roll < 0.20:
            return "all"
        return self.rng.choice(list(ROOMS))

    # -- one action -------------------------------------------------------------------------------

    def action(self, intent, room, imperative=False, drop_room=False):
        """The words and the command of one action."""
        rng = self.rng
        while True:
            saved = self.new_phrasing
            template = self.template(intent)
            fits = not (room == "all" and "{room}" in template)
            if imperative and not template.startswith("!"):
                fits = False
            if drop_room and "{in}" not in template:
                fits = False
            if intent == "light on" and room == "all" and "see anything" in template:
                fits = False
            if fits:
                break
            self.new_phrasing = saved
        made = self.fill(template, intent, room, drop_room)
        if self.refuse and self.refuse(tidy([made[0]])):
            return self.action(intent, room, imperative, drop_room)
        return made

    def template(self, intent):
        """A template of an intent."""
        return self.phrase(INTENTS[intent])

    def places(self, room):
        """The words of the slots that name a room."""
        rng = self.rng
        if room == "here":
            return {"in": rng.choice(HERE_IN), "the": rng.choice(HERE_THE), "room": ""}
        if room == "all":
            return {"in": rng.choice(ALL_IN), "the": rng.choice(ALL_THE)}
        if not room:
            return {}
        name = rng.choice(ROOMS[room])
        return {"in": f"in the {name}", "the": f"the {name}", "room": name}

    def fill(self, template, intent, room, drop_room=False):
        """The words and the command of a template, and whether it is an imperative."""
        rng = self.rng
        device, _, verb = intent.partition(" ")
        said = self.places(room)
        if drop_room:
            said["in"] = ""
        if intent not in ROOMLESS and intent != "none" and re.search(r"\{(in|the|room)\}", template):
            self.combine(intent, room)
        place = room
        value = None
        if "{clock}" in template:
            said["clock"], clock = self.clock()
        if "{dur}" in template:
            said["dur"], dur = self.duration()
            if "{dur} timer" in template:
                said["dur"] = singular(said["dur"])
        said["who"], said["what"] = rng.choice(WHO), rng.choice(WHAT)
        if verb in ("up", "down"):
            value = STEP[device][2]
            if "{pre}" in template or "{post}" in template:
                size = rng.choice([1, 1, 2, 2, 3])
                self.combine(intent, "size", size, room)
                said["pre"], said["post"] = self.degree(PRE, size), self.degree(POST, size)
                if size != 2:
                    value = STEP[device][size]
            if "{by}" in template:
                value = rng.choice(range(2, 100) if self.wide else range(5, 65, 5))
                self.combine(intent, "by", value)
                said["by"] = f"by {self.number(value)} percent"
            if "{deg}" in template:
                value = rng.randint(1, 12 if self.wide else 6)
                self.combine(intent, "by", value)
                said["deg"] = f"by {self.number(value)} degree" + ("s" if value > 1 else "")
            value = ("+" if verb == "up" else "-") + str(value)
        elif verb == "set" and device in ("light", "blind", "sound"):
            value = rng.choice(range(1, 101) if self.wide else range(5, 105, 5))
            self.combine(intent, "to", value)
            said["n"] = self.number(value)
            value = f"{value}%"
        elif intent == "heat set":
            value = rng.randint(5, 39) if self.wide else rng.randint(14, 27)
            self.combine(intent, "to", value)
            said["n"] = self.number(value)
        elif intent == "sound play":
            source = rng.choice(SOURCES)
            self.combine(intent, "source", source, room)
            said["src"] = rng.choice(SOURCE_WORDS[source])
            value = f"play {source}"
        elif intent == "air fan":
            level = rng.choice(LEVELS)
            self.combine(intent, level, room)
            said["level"] = level
            value = f"fan {level}"
        elif intent == "timer name":
            name = rng.choice(TIMER_NAMES)
            self.combine("timer", name, dur)
            said["name"] = name
        if intent == "timer set":
            command = f"timer {dur}"
        elif intent == "timer name":
            command = f"timer {dur} {name}"
        elif intent == "alarm set":
            command = f"alarm {clock}"
        elif intent in ROOMLESS or intent == "none":
            command = intent
        elif device == "ask":
            command = f"ask {verb} {place}"
        else:
            command = f"{device} {place} {value if value is not None else verb}"
        text = re.sub(r"\{(\w+)\}", lambda m: said[m[1]], template.lstrip("!"))
        return text, command, template.startswith("!")

    def condition(self, what):
        """A template of a condition."""
        return self.phrase(CONDITIONS[what])

    def when(self, kind):
        """A template of a time or a span."""
        return self.phrase(WHEN[kind])

    # -- modifiers ----------------------------------------------------------------------------------

    def modifier(self, intent, kind):
        """The words and the command of a time, a span or a condition."""
        rng = self.rng
        if kind == "if":
            what = rng.choice(list(CONDITIONS))
            self.combine(intent, "if", what)
            text = self.condition(what)
            n = ""
            if "{n}" in text:
                n = rng.choice([800, 900, 1000, 1200, 1500, 2000]) if what == "co2>" else (
                    rng.randint(2, 45) if self.wide else rng.randint(5, 30))
                self.combine(what, n)
                if what == "co2>":
                    said = str(n) if rng.random() < 0.5 or n in (1200, 1500) else words(n)
                else:
                    said = self.number(n)
                text = text.replace("{n}", said)
            return text, f"if {what}{n}"
        text = self.when(kind)
        self.combine(intent, "when", kind)
        if "{clock}" in text:
            said, value = self.clock()
            return text.replace("{clock}", said), f"{kind} {value}"
        said, value = self.duration()
        return text.replace("{dur}", said), f"{kind} {value}"

    # -- a sentence ---------------------------------------------------------------------------------

    def sentence(self):
        rng = self.rng
        intent = rng.choices(list(INTENTS), WEIGHTS)[0]
        room = "" if intent in ROOMLESS or intent == "none" else self.room()
        if intent == "none":
            room = rng.choice(list(ROOMS))
        if intent not in UNTIMED and rng.random() < (0.35 if self.wide else 0.22):
            return self.pair(intent, room)
        text, command, imperative = self.action(intent, room)
        front, end, tail = [], [], []
        if intent not in UNTIMED:
            kinds = []
            roll = rng.random()
            spans = ["for", "until"] if intent in LASTING else []
            times = ["at", "at", "in", "by"]
            if roll < 0.40:
                pass
            elif roll < 0.78:
                kinds = [rng.choice(times + spans + ["if", "if"])]
            elif roll < 0.90 and spans:
                kinds = [rng.choice(times), rng.choice(spans)]
            else:
                kinds = [rng.choice(times + spans), "if"]
            made = [self.modifier(intent, kind) for kind in kinds]
            tail = [command_part for _, command_part in made]
            said = [words_part for words_part, _ in made]
            if len(said) == 1:
                (front if rng.random() < 0.3 else end).append(said[0])
            elif len(said) == 2:
                # Orders seen in training: both at the end in the command's order, or the first in
                # front. Held out: the second in front, and both at the end the other way round.
                if self.phrasing and rng.random() < self.phrasing:
                    self.new_phrasing = True
                    if rng.random() < 0.6:
                        front, end = [said[1]], [said[0]]
                    else:
                        end = [said[1], said[0]]
                elif rng.random() < 0.4:
                    front, end = [said[0]], [said[1]]
                else:
                    end = said
        wrapper = self.phrase(WRAPPERS if imperative else WRAPPED_PLAIN)
        closing = self.phrase(TAILS) if imperative and not wrapper else ""
        parts = [wrapper] + front + [text] + end + [closing]
        if front and wrapper not in ("", "please", "hey hub", "hub", "ok hub please"):
            parts = front + [wrapper, text] + end + [closing]
        return tidy(parts), " ".join([command] + tail)

    def pair(self, first, room):
        """Two actions in one sentence, in one room or two, maybe with one time for both."""
        rng = self.rng
        second = rng.choice([i for i in INTENTS if i not in UNTIMED])
        while second.split()[0] == first.split()[0]:
            second = rng.choice([i for i in INTENTS if i not in UNTIMED])
        self.combine("pair", first, second)
        shared = rng.random() < 0.5
        other = room if shared else self.room()
        while not shared and (other == room or "here" in (room, other)):
            room, other = self.room(), self.room()
        a, command_a, _ = self.action(first, room, imperative=True, drop_room=shared)
        b, command_b, _ = self.action(second, other, imperative=True)
        if shared and room not in ("here",) and not mentions(b, room):
            return self.sentence()
        if shared:
            self.combine(first, room)
        front = ""
        if rng.random() < 0.3:
            kind = rng.choice(["at", "in", "by", "if"])
            front, tail = self.modifier(first, kind)
            self.combine(second, "when" if kind != "if" else "if", kind)
            command_a, command_b = f"{command_a} {tail}", f"{command_b} {tail}"
        wrapper = self.phrase(WRAPPERS)
        parts = [wrapper, front] if wrapper in ("", "please", "hey hub", "hub") else [front, wrapper]
        return tidy(parts + [a, self.phrase(JOINS), b]), f"{command_a} ; {command_b}"


def mentions(text, room):
    """Whether the words of a sentence name the room."""
    names = [n.replace("in ", "") for n in ALL_IN + ALL_THE] if room == "all" else ROOMS[room]
    return any(name in text for name in names)


def singular(duration):
    """"ten minutes" as it stands before a noun: "ten minute"."""
    return re.sub(r"^(an|a) ", "", re.sub(r"s$", "", duration))


def tidy(parts):
    """The parts as one sentence with single blanks."""
    return " ".join(" ".join(parts).split())


WEIGHTS = []
for _intent in INTENTS:
    WEIGHTS.append({"none": 2.0, "alarm set": 1.5, "timer set": 1.5}.get(
        _intent, 0.5 if _intent in ("timer cancel", "alarm off", "ask timer") else 1.0))


def draw(rng, phrasing, wide=False, refuse=None):
    """One sentence, its command and the group it belongs to."""
    while True:
        d = Draw(rng, phrasing, wide, refuse)
        text, command = d.sentence()
        if len(text) <= 150 and len(command) <= 80:
            group = {(False, False): "seen", (False, True): "combination",
                     (True, False): "phrasing", (True, True): "both"}[
                         (d.new_phrasing, d.new_combination)]
            return text, command, group


def generate_test(count, seed):
    """The test set: (sentence, command, group). It depends on this file's grammar alone."""
    quota = {"combination": count * 2 // 5, "phrasing": count * 2 // 5}
    quota["both"] = count - sum(quota.values())
    rng = random.Random(seed + 1)
    held, texts = [], set()
    while any(quota.values()):
        text, command, group = draw(rng, 0.0 if quota["combination"] else 0.35)
        if quota.get(group, 0) == 0 or text in texts:
            continue
        quota[group] -= 1
        texts.add(text)
        held.append((text, command, group))
    return held


def generate(train, valid, held, seed):
    """Training and validation sets as (sentence, command); how many lines were removed."""
    import compose  # they build on this module
    import phrasings

    forbidden = {text for text, _, _ in held}
    rng = random.Random(seed)
    meaning, removed, clashes = {}, 0, 0
    sets = {"valid": [], "phrasings": [], "train": []}
    for name, count in (("valid", valid), ("phrasings", valid), ("train", train)):
        seen = set()
        while len(sets[name]) < count:
            if name == "phrasings":
                text, command = compose.draw(rng, 0.35)
            elif name == "train" and rng.random() < 0.8:
                text, command = compose.draw(rng)
            else:
                # Half of the sentences use numbers from wider ranges: with few values the model
                # learns each by heart instead of learning how numerals are read.
                text, command, group = draw(
                    rng, 0.0, name == "train" and rng.random() < 0.5, phrasings.reads_held)
                if group != "seen":
                    continue
            if text in forbidden:
                removed += 1
                continue
            # One sentence in fifty belongs to the validation set, whichever set is being drawn.
            if name != "phrasings" and (zlib.crc32(text.encode()) % 50 == 0) != (name == "valid"):
                continue
            if meaning.setdefault(text, command) != command:
                clashes += 1
                continue
            if name != "train" and text in seen:
                continue
            seen.add(text)
            sets[name].append((text, command))
    known = {text for text, _ in sets["phrasings"]}
    sets["train"] = [row for row in sets["train"] if row[0] not in known]
    return sets, removed, clashes


def check_phrasings():
    """Proves that no template of training is a held-out one up to slot names; counts both."""
    import phrasings

    tables = phrasings.tables()
    clauses = [t for kind in ("intents", "conditions", "when") for table in tables[kind].values()
               for t in table.all()]
    assert not [t for t in clauses if phrasings.shape(t) in phrasings.HELD]
    assert not set(tables["joins"].all()) & set(JOINS["test"])
    assert not set(tables["tails"].all()) & set(TAILS["test"])
    wrappers = tables["wrappers"].all() | tables["plain"].all()
    assert not wrappers & set(WRAPPERS["test"] + WRAPPED_PLAIN["test"])
    return len(set(clauses)), phrasings.Table.dropped


def check_split(train, held):
    """Proves that the split is what it claims: no sentence twice, every test word trained on."""
    texts = {text for text, _ in train}
    counts = {}
    for text, _ in train:
        for word in text.split():
            counts[word] = counts.get(word, 0) + 1
    assert not any(text in texts for text, _, _ in held)
    spoken = {w for text, _, _ in held for w in text.split() if not any(c.isdigit() for c in w)}
    rare = sorted(word for word in spoken if counts.get(word, 0) < 20)
    assert not rare, f"hardly in training: {rare}"
    trained = {c for _, c in train}
    return sum(c in trained for _, c, _ in held)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=here, help="where the files go")
    parser.add_argument("--train", type=int, default=440_000)
    parser.add_argument("--valid", type=int, default=1_000)
    parser.add_argument("--test", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--train-seed", type=int, default=12, help="another training set, same test")
    args = parser.parse_args()
    templates, dropped = check_phrasings()
    held = generate_test(args.test, args.seed)
    sets, removed, clashes = generate(args.train, args.valid, held, args.train_seed)
    known = check_split(sets["train"], held)
    os.makedirs(args.out, exist_ok=True)
    for name, rows in sets.items():
        with open(os.path.join(args.out, f"{name}.txt"), "w") as file:
            file.writelines(f"{text}\t{command}\n" for text, command in rows)
    with open(os.path.join(args.out, "test.jsonl"), "w") as file:
        for text, command, group in held:
            row = {"prompt": text + "\n", "expect": command, "group": group}
            file.write(json.dumps(row) + "\n")
    train = sets["train"]
    with open(os.path.join(args.out, "calibration.txt"), "w") as file:
        # A sentence after the first begins with the blank that the tokenizer puts before a text.
        file.write(" ".join(f"{text}\n{command}\n" for text, command in train[:80]))
    print(f"{templates} clause templates to train on; {dropped} expansions were held-out ones and dropped")
    print(f"train {len(train)} ({len(set(train))} distinct; removed: {removed} equal to a test prompt, "
          f"{clashes} with two meanings), test {len(held)}; "
          f"{known} of the test commands also occur in training, worded differently")


if __name__ == "__main__":
    main()
