"""The phrasings that HomeHub is trained on, as patterns that expand to thousands of templates.

A pattern is a template with choices: `(a|b)` is one of them, `[a|b]` one of them or nothing, `$name`
an entry of WORDS. `{slots}` and the leading "!" mean what they mean in generate_corpus.py, whose
"test" lists are the held-out phrasings: `expand` drops every template that equals one of those up to
the names of slots, and counts them. What is left is divided once more by a fixed hash: a tenth of
the templates is never trained on either and makes the validation set of phrasings.
"""

import re
import zlib

import generate_corpus as grammar

WORDS = {
    "on_verb": "(turn|switch|put|turn|switch|flip|get)",
    "off_verb": "(turn|switch|shut|turn|switch|cut|get)",
    "light": "(light|lights|light|lights|lamp|lamps)",
    "want": "(i want|i would like|i need|we want|we need|we would like)",
    "wish": "(i want|i would like|we want|we would like|i prefer)",
    "no_need": "(we do not need|i do not need|nobody needs|we do not want|i do not want|no one needs)",
    "heating": "(heating|heating|heating|heat|radiator|heater)",
    "blinds": "(blinds|blinds|blinds|blind|shades)",
    "music": "(music|music|sound|speaker|speakers)",
    "must": "(should|must|has to|needs to|is to)",
    "musts": "(should|must|have to|need to|are to)",
    "ask": "(tell me|let me know|say)",
    "cleaner": "(air cleaner|air cleaner|cleaner|air filter)",
    "volume": "(volume|volume|sound|music|speaker)",
    "set": "(set|put|bring|turn|change|move|get)",
    "if": "(if|when|once|as soon as|whenever)",
    "while": "(if|when|while|once|as soon as|as long as)",
    "some": "(somebody|someone|anybody|anyone)",
    "none": "(nobody|no one)",
}


def switched(name, verb, state, extra):
    """Templates that switch a thing on or off: the verb may stand on either side of it."""
    return [
        f"!{verb} {state} the {name} {{in}}", f"!{verb} {state} the {{room}} {name}",
        f"!{verb} the {name} {{in}} {state}", f"!{verb} the {{room}} {name} {state}",
        f"!{verb} the {name} {state} {{in}}", f"!{verb} [the] {{room}} {name} {state}",
        f"!{verb} {state} [all] [the] {name} {{in}}",
        f"$wish the {name} {{in}} [turned|switched] {state}",
        f"$wish the {name} [turned|switched] {state} {{in}}",
        f"$wish the {{room}} {name} [turned|switched|to be] {state}",
        f"the {name} {{in}} ($must|$musts) (be|go) [turned|switched] {state}",
        f"the {{room}} {name} ($must|$musts) (be|go) [turned|switched] {state}",
        f"!(have|get|let me have) the {name} [turned|switched] {state} {{in}}",
    ] + extra


def brighter(more, less_verbs, raise_, up, noun="light"):
    """Templates that change the light by a step."""
    return [
        f"!make {{the}} {{pre}} {more}", f"!make the $light {{in}} {{pre}} {more}",
        f"!make (it|things) {{in}} {{pre}} {more}", f"!make the {{room}} $light {{pre}} {more}",
        f"!make the $light {{pre}} {more} {{in}}", f"!make (it|things) {{pre}} {more} {{in}}",
        f"!(get|have) (it|the $light|{{the}}) {{pre}} {more}", f"!{{pre}} {more} {{in}}",
        f"!{less_verbs} the {{room}} $light {{post}}", f"!{less_verbs} {{the}} {{post}}",
        f"!{less_verbs} [all] the $light {{in}} {{post}}", f"!{less_verbs} the $light {{post}} {{in}}",
        f"!{less_verbs} the ($light {{in}}|{{room}} $light) {{by}}",
        f"!turn {up} the $light {{in}} {{post}}", f"!turn the $light {{in}} {up} {{post}}",
        f"!turn the {{room}} $light {up} {{post}}", f"!turn {up} the {{room}} $light {{post}}",
        f"!turn {up} the $light {{post}} {{in}}", f"!turn the $light {up} {{post}} {{in}}",
        f"!turn {up} the ({{room}} $light|$light {{in}}) {{by}}",
        f"!turn the ({{room}} $light|$light {{in}}) {up} {{by}}",
        f"!{raise_} the {{room}} $light {{by}}", f"!{raise_} the $light {{in}} {{by}}",
        f"!{raise_} the ({{room}} $light|$light {{in}}) {{post}}", f"!{raise_} the $light {{by}} {{in}}",
        f"$want (it|the $light|things) [to be] {{pre}} {more} {{in}}",
        f"$want {{the}} [to be] {{pre}} {more}", f"$want {{the}} {{pre}} {more} [than this|than now]",
        f"$want the ({{room}} $light|$light {{in}}) [to be] {{pre}} {more}",
        f"it ($must|could) be {{pre}} {more} {{in}}", f"{{the}} ($must|could) be {{pre}} {more}",
        f"the ({{room}} $light|$light {{in}}) ($must|could) be {{pre}} {more}",
    ]


def warmer(more, verb, raise_, up, state):
    """Templates that change the heating by a step."""
    return [
        f"!make {{the}} {{pre}} {more}", f"!make (it|things) {{pre}} {more} {{in}}",
        f"!make (it|things) {{in}} {{pre}} {more}", f"!(get|have) {{the}} {{pre}} {more}",
        f"!turn {up} the $heating {{in}} {{post}}", f"!turn the {{room}} $heating {up} {{post}}",
        f"!turn the $heating {{in}} {up} {{post}}", f"!turn {up} the {{room}} $heating {{post}}",
        f"!turn the $heating {up} {{post}} {{in}}", f"!turn {up} the $heating {{post}} {{in}}",
        f"!turn {up} the ({{room}} $heating|$heating {{in}}) {{deg}}",
        f"!turn the ({{room}} $heating|$heating {{in}}) {up} {{deg}}",
        f"!{verb} {{the}} {{post}}", f"!{verb} {{the}} {{deg}}", f"!{verb} (things|it) {{post}} {{in}}",
        f"!{raise_} the (temperature|$heating) {{in}} {{deg}}",
        f"!{raise_} the {{room}} (temperature|$heating) {{deg}}",
        f"!{raise_} the (temperature|$heating) {{deg}} {{in}}",
        f"!{raise_} the (temperature {{in}}|{{room}} temperature) {{post}}",
        f"it is [too|so|much too|way too|really] {state} {{in}}",
        f"{{the}} is [too|so|much too|way too|really] {state}",
        f"{{the}} (feels|seems) [too|so] {state}", f"it (feels|seems|gets) [too|so] {state} {{in}}",
        f"(i am|we are) [too|so|really] {state} {{in}}", f"(i feel|we feel) [too|so] {state} {{in}}",
        f"{{the}} is {state} and i do not like it",
        f"$want (it|things) [to be] {{pre}} {more} {{in}}", f"$want {{the}} [to be] {{pre}} {more}",
        f"$want {{the}} {{pre}} {more} [than this|than now]",
        f"it ($must|could) be {{pre}} {more} {{in}}", f"{{the}} ($must|could) be {{pre}} {more}",
    ]


def louder(more, raise_, up, complaint):
    """Templates that change the volume by a step."""
    return [
        f"!make the $music {{in}} {{pre}} {more}", f"!make (it|things) {{pre}} {more} {{in}}",
        f"!make the {{room}} (speaker|speakers|music) {{pre}} {more}",
        f"!make the $music {{pre}} {more} {{in}}", f"!(play|have) the music {{pre}} {more} {{in}}",
        f"!turn {up} the $volume {{in}} {{post}}", f"!turn the $volume {{in}} {up} {{post}}",
        f"!turn the {{room}} (speaker|speakers|music|volume) {up} {{post}}",
        f"!turn {up} the {{room}} (speaker|speakers|music|volume) {{post}}",
        f"!turn {up} the $volume {{post}} {{in}}", f"!turn the $volume {up} {{post}} {{in}}",
        f"!turn {up} the ($volume {{in}}|{{room}} (speaker|volume)) {{by}}",
        f"!turn the ($volume {{in}}|{{room}} (speaker|volume)) {up} {{by}}",
        f"!{raise_} the volume {{in}} {{by}}", f"!{raise_} the {{room}} (volume|music|speaker) {{by}}",
        f"!{raise_} the (volume|music) {{by}} {{in}}", f"!{raise_} the (volume|music) {{in}} {{post}}",
        f"$want (it|the $music|the volume) [to be] {{pre}} {more} {{in}}",
        f"$want the (music {{in}}|{{room}} (speaker|music)) [to be] {{pre}} {more}",
        f"the $music is [much|way] too {complaint} {{in}}", f"the music {{in}} is [much|way] too {complaint}",
        f"the {{room}} (speaker|music) is [much|way] too {complaint}",
        f"(it|everything) is (way|far|much|a little) too {complaint} {{in}}", f"it is {complaint} {{in}}",
        f"the (music|music {{in}}|{{room}} speaker) ($must|could) be {{pre}} {more}",
    ]


def percent(names, room_names, verb, extra):
    """Templates that set a thing to a percentage."""
    return [
        f"!{verb} the {names} {{in}} to {{n}} percent", f"!{verb} the {{room}} {room_names} to {{n}} percent",
        f"!{verb} the {names} to {{n}} percent {{in}}", f"!(put|have|run|keep) the {names} {{in}} at {{n}} percent",
        f"!(put|have|run|keep) the {{room}} {room_names} at {{n}} percent",
        f"!(put|have|keep|set) the {names} at {{n}} percent {{in}}",
        f"![the] {names} (at|to) {{n}} percent {{in}}", f"![the] {{room}} {room_names} (at|to) {{n}} percent",
        f"![the] {names} {{in}} (at|to) {{n}} percent",
        f"$wish the {{room}} {room_names} [to be] at {{n}} percent",
        f"$wish the {names} {{in}} [to be] (at|on) {{n}} percent",
        f"$wish [the] {names} [to be] at {{n}} percent {{in}}",
        f"the ({names} {{in}}|{{room}} {room_names}) ($must|$musts) be at {{n}} percent",
    ] + extra


def tinted(tint):
    """Templates for warm and cool white."""
    return [
        f"!make the ($light {{in}}|{{room}} $light) {tint} [white]",
        f"!make the $light {tint} [white] {{in}}",
        f"!(set|turn|change|switch|put) the ({{room}} $light|$light {{in}}) to {tint} [white|light]",
        f"!(set|turn|change|switch) the $light to {tint} [white] {{in}}",
        f"!(turn|switch|get) the ({{room}} $light|$light {{in}}) {tint} [white]",
        f"!(use|have|give me|give us|take) [a|some|the] {tint} [white] (light|lights) {{in}}",
        f"!(use|have|give me|give us|take) (a|the|some|only|all) {tint} white {{in}}",
        f"{tint} [white] (light|lights) {{in}}", f"{tint} white {{in}}",
        f"$want [a|some|the] {tint} [white] (light|lights) {{in}}", f"$want (some|the|a|only|all) {tint} white {{in}}",
        f"$want the ({{room}} $light|$light {{in}}) [to be] {tint} [white]", f"$want {tint} white {{in}}",
        f"the ({{room}} $light|$light {{in}}) ($must|$musts) be {tint} [white]",
    ]


TRAIN = {
    "light on": switched("$light", "$on_verb", "on", [
        "![the] (light|lights) on {in}", "![the] {room} (light|lights) on", "!light up {the}",
        "!(let there be|give me|give us|get me|have) [some|more|a] light {in}",
        "$want [some|the] (light|lights) {in}", "$want [some|the] (light|lights) on {in}",
        "it is (too|much too|so|way too) dark {in} turn on the light",
        "it is (too|much too|way too) dark {in} [we need light|put the light on]",
        "(i|we) can not (see|find|read) (anything|a thing|much) {in}",
    ]),
    "light off": switched("$light", "$off_verb", "off", [
        "![the] (light|lights) (off|out) {in}", "![the] {room} (light|lights) (off|out)",
        "!(put|get) the ($light {in}|{room} $light) out", "!(put|get) the $light out {in}",
        "!put out the ($light {in}|{room} $light)", "!make (it|{the}) [all|completely] dark",
        "!make it dark {in}", "!darken {the}", "!(kill|cut) the ($light {in}|{room} $light)",
        "!kill [all] the (light|lights) {in}", "$no_need [the|any] (light|lights) {in}",
        "$no_need the $light on {in}", "$no_need the {room} (light|lights)",
        "no [more] (light|lights) {in}", "$want (it|{the}) [to be] (dark|all dark)",
    ]),
    "light up": brighter("brighter", "brighten [up]", "(raise|increase|bring up|push up)", "up"),
    "light down": brighter("(darker|dimmer)", "(dim|darken|dim|dim down)",
                           "(lower|reduce|decrease|bring down)", "down"),
    "light set": percent("$light", "$light", "(set|dim|turn|bring|put|change|move)", [
        "!dim {the} to {n} percent", "!light {the} (to|at|with) {n} percent", "{n} percent light {in}",
        "$want {n} percent [of] light {in}", "!(give me|give us|have) {n} percent [of] light {in}",
        "!(dim|brighten) the $light (down|up) to {n} percent {in}",
    ]),
    "light warm": tinted("warm"),
    "light cool": tinted("cool"),
    "heat up": warmer("warmer", "(heat|warm|heat up|warm up)", "(raise|increase|bring up|push up)", "up",
                      "(cold|freezing|chilly|icy)") + [
        "!heat {the} {post} more", "!heat {the} [up] {post}", "!(more|some more) (heat|warmth|heating) {in}",
        "$want more (heat|warmth|heating) {in}",
    ],
    "heat down": warmer("(cooler|colder|less warm)", "(cool|cool down|chill)",
                        "(lower|reduce|decrease|bring down)", "down", "(hot|boiling|stuffy)") + [
        "!heat {the} (less|not so much)", "!less (heat|warmth|heating) {in}", "$want less heat {in}",
    ],
    "heat set": [
        "!(set|heat|bring|warm|get|cool|heat up|warm up|cool down|change) {the} to {n} [degrees]",
        "!(set|turn|put|bring|change) the $heating {in} to {n} [degrees]",
        "!(set|bring|change|raise|lower|put) the temperature {in} to {n} [degrees]",
        "!(set|bring|change|put|turn) the {room} ($heating|temperature) to {n} [degrees]",
        "!(set|bring|change|put) the ($heating|temperature) to {n} [degrees] {in}",
        "!(keep|hold|leave|have) {the} at {n} [degrees]", "!(keep|hold|have) it at {n} [degrees] {in}",
        "!(keep|hold|have) the (temperature|$heating) {in} at {n} [degrees]",
        "!(keep|hold) the {room} (temperature|$heating) at {n} [degrees]",
        "!(keep|hold|put|set) the (temperature|$heating) at {n} [degrees] {in}",
        "$want {n} degrees {in}", "$want (it|it to be) {n} degrees [warm] {in}",
        "$want (it|{the}) [to be] (at|exactly at) {n} [degrees]", "$want {the} [to be] {n} degrees [warm]",
        "!(make|get) (it|{the}) {n} degrees [warm]", "!make it {n} degrees [warm] {in}", "![to] {n} degrees {in}",
        "!(heat|warm) (things up|it) to {n} [degrees] {in}", "it ($must|could) be {n} degrees {in}",
        "{the} ($must|could) be [at] {n} degrees", "the temperature {in} ($must|could) be [at] {n} degrees",
    ],
    "heat off": switched("$heating", "$off_verb", "off", [
        "!stop heating [up] {the}", "!(stop|kill|cancel|end) the ($heating {in}|{room} $heating)",
        "!stop the {room} (heating|heater)", "no [more] (heating|heat) {in}", "!do not heat {the} [any more]",
        "$no_need (heating|any heating|the heating any more|the radiator|heat|to heat it) {in}",
        "$no_need (the|any) {room} heating", "$no_need the $heating [on|any more] {in}", "![the] $heating off {in}",
        "![the] {room} heating off",
    ]),
    "blind open": [
        "!open [up] the ($blinds {in}|{room} $blinds)", "!open [all] the $blinds {in}",
        "!(raise|lift) the ($blinds {in}|{room} $blinds)", "!(raise|lift|open) [all] the $blinds {in}",
        "!(pull|roll|put|draw) up the ($blinds {in}|{room} $blinds)",
        "!(pull|roll|put|draw|get) the ($blinds {in}|{room} $blinds) up", "!(pull|roll|put) the $blinds up {in}",
        "![the] (blinds|shades) (up|open) {in}", "![the] {room} (blinds|shades) (up|open)",
        "!let [in] the (sun|daylight|sunlight) [in|into] {in}", "!let [some] (sun|daylight) in {in}",
        "$want the $blinds [to be] (open|opened|up) {in}", "$want the {room} $blinds [to be] (open|opened|up)",
        "$want the $blinds {in} [to be] (open|opened|up)", "!(have|get) the $blinds (open|up) {in}",
        "the ($blinds {in}|{room} $blinds) ($must|$musts) (be open|be opened|be up|go up|open)",
    ],
    "blind close": [
        "!(close|shut) the ($blinds {in}|{room} $blinds)", "!(close|shut) [all] the $blinds {in}",
        "!(lower|drop) the ($blinds {in}|{room} $blinds)", "!(lower|drop|close) [all] the $blinds {in}",
        "!(pull|roll|put|draw|let) down the ($blinds {in}|{room} $blinds)",
        "!(pull|roll|put|draw|get|let) the ($blinds {in}|{room} $blinds) down",
        "!(pull|roll|put|let) the $blinds down {in}",
        "![the] (blinds|shades) (down|closed|shut) {in}", "![the] {room} (blinds|shades) (down|closed|shut)",
        "!(keep|lock|shut|hold) [out] the (sun|daylight|sunlight) [out|off] {in}", "!keep the (sun|daylight) out {in}",
        "$want the $blinds [to be] (closed|shut|down) {in}",
        "$want the {room} $blinds [to be] (closed|shut|down)", "$want the $blinds {in} [to be] (closed|shut|down)",
        "!(have|get) the $blinds (closed|shut|down) {in}",
        "the ($blinds {in}|{room} $blinds) ($must|$musts) (be closed|be shut|be down|go down|close)",
    ],
    "blind set": percent("$blinds", "$blinds", "(set|open|turn|bring|put|close|raise|lower|move|pull)", [
        "!(open|close|set|pull) the ($blinds {in}|{room} $blinds) (up|down) to {n} percent",
        "$wish the $blinds {in} open to {n} percent", "$wish the $blinds (opened|open|closed) to {n} percent {in}",
        "!(open|raise|lower) (all|half) the $blinds to {n} percent {in}",
    ]),
    "sound play": [
        "!(play|start|put on|turn on|switch on|stream|start playing) {src} {in}",
        "!(put|turn|switch|get) {src} on {in}", "!(put|turn|switch) {src} {in} on",
        "!(let me|let us|let everybody) (hear|listen to|have|enjoy) {src} {in}",
        "$wish to (hear|listen to|have) {src} {in}", "$wish to (hear|listen to) {in} {src}",
        "$want {src} [on|playing|to play] {in}", "$want [you] to play {src} {in}",
        "!(have|get|give us|give me) {src} [on|playing|going] {in}",
        "{src} {in}", "(i feel like|how about|it is time for|we are in the mood for) {src} {in}",
        "!fill {the} with {src}", "!bring {src} {in}", "{src} ($must|could) (play|be on|be playing) {in}",
    ],
    "sound stop": [
        "!(stop|end|cut) [all] the (music|sound|speakers) {in}", "!(stop|end|cut) the {room} (speaker|speakers|music)",
        "!(turn|switch|shut) off the $music {in}", "!(turn|switch|shut) the $music {in} off",
        "!(turn|switch|shut) the $music off {in}", "!(turn|switch|shut) the {room} (speaker|speakers|music) off",
        "!(turn|switch|shut) off the {room} (speaker|speakers|music)",
        "!stop playing [anything|songs|that|it|everything] {in}", "!stop playing [any|the|this|that|all] music {in}",
        "!do not play [any|any more] (music|sound) {in}", "no [more] (music|songs|speaker) {in}",
        "let us have no [more] music {in}", "!(have|play) no [more] (music|sound|songs) {in}",
        "$no_need [any|any more|the] music {in}", "no more (sound|sounds|music|songs|noise) {in} [now]",
        "the ($music {in}|{room} speaker) ($must|$musts) (stop|be off|be turned off|be switched off)",
        "$want the $music [turned|switched] off {in}", "$want no [more] music {in}",
        "!(make|let) the music stop {in}", "![the] music off {in}", "![the] {room} (speaker|music) off",
    ],
    "sound up": louder("louder", "(raise|increase|bring up|push up)", "up", "(quiet|low)") + [
        "(i|we) can (hardly|not|barely) hear (the music|it|anything|the speaker) {in}",
    ],
    "sound down": louder("(quieter|softer|less loud)", "(lower|reduce|decrease|bring down)", "down", "(loud|noisy)"),
    "sound set": percent("$volume", "(speaker|speaker|speakers|volume|music)", "(set|turn|bring|put|change|move)", [
        "!play [the] music at {n} percent {in}", "volume {n} percent {in}",
        "$wish {n} percent [of] volume {in}", "!(turn|set) the $volume (up|down) to {n} percent {in}",
    ]),
    "sound mute": [
        "!mute the (music|speakers|speaker|sound) {in}", "!mute the {room} (speaker|speakers|music|sound)",
        "!mute [all of|everything in] {the}", "!mute (it|everything|all the speakers) {in}", "!silence {the}",
        "![some|total|complete] silence {in}", "!be (quiet|silent|still) {in}",
        "$want [some|complete|a bit of] silence {in}", "!silence the ($music {in}|{room} speaker)",
        "!(keep|make) it (silent|mute) {in}", "!(give us|give me|let us have|have) [some] silence {in}",
        "$want the (music {in}|{room} speaker|speaker|sound) [to be] (muted|mute|silent)",
        "the (music {in}|{room} speaker) ($must|$musts) be (muted|mute|silent)", "!put the {room} speaker on mute",
        "!put the (music|speaker|sound) {in} on mute", "!not a sound {in}",
    ],
    "air fan": [
        "!(turn|set|switch|put|bring|change|move) the fan {in} to {level} [speed]",
        "!(turn|set|switch|put|bring|change|move) the {room} fan to {level} [speed]",
        "!(turn|set|switch|put|run) the fan to {level} [speed] {in}",
        "!(run|put|keep|have|let) the fan {in} [run] (on|at) {level} [speed]",
        "!(run|put|keep|have|turn) the {room} fan (on|at) {level} [speed]",
        "!(run|put|keep|have|turn) the fan (on|at) {level} [speed] {in}",
        "![the] fan (on|to|at) {level} [speed] {in}", "![the] {room} fan (on|to|at) {level} [speed]",
        "$want the (fan {in}|{room} fan) [to be|to run] (on|at) {level} [speed]",
        "$want the fan (on|at) {level} [speed] {in}", "the (fan {in}|{room} fan) ($must) (be|run|go) (on|at) {level}",
        "![turn on|start|run] the fan {in} on {level}", "!{level} fan [speed] {in}",
    ],
    "air fan off": switched("fan", "$off_verb", "off", [
        "!(stop|kill|end) the (fan {in}|{room} fan)", "!stop (running the fan|the fan running) {in}",
        "no [more] fan {in}", "the fan {in} is (too|much too) (loud|noisy)", "the fan is [much] too (loud|noisy) {in}",
        "the {room} fan is (too|much too) (loud|noisy)", "$no_need (the|a|any) fan {in}",
        "$no_need the {room} fan", "$no_need the fan (on|any more|to run) {in}", "![the] fan off {in}",
        "![the] {room} fan off", "the (fan {in}|{room} fan) ($must) stop",
    ]),
    "air clean on": switched("$cleaner", "$on_verb", "on", [
        "!(clean|freshen|refresh|filter|purify) [up] the air {in}", "!(clean|freshen|refresh) the {room} air",
        "!(start|run) the ($cleaner {in}|{room} $cleaner)", "!(start|run) [up] the $cleaner {in}",
        "the air is [so|very|really] (bad|stale|thick) {in}", "the air {in} (is|smells) [so|really] (bad|stale)",
        "the {room} air is [so|really] (bad|stale|thick)", "it smells [bad|bad again|of food|of smoke] {in}",
        "{the} smells (bad|of food|of smoke|so bad|strange|a bit|a lot|again|really bad)", "{the} (stinks|reeks)",
        "there is a [bad] smell {in}", "$want (clean|fresh|better|cleaner) air {in}", "!start cleaning the air {in}",
        "!(give us|give me|get us|let us have) [some] (clean|fresh) air {in}", "![some] (clean|fresh) air {in}",
        "the air {in} ($must) be (cleaned|cleaner|better)",
    ]),
    "air clean off": switched("$cleaner", "$off_verb", "off", [
        "!(stop|kill|end) the ($cleaner {in}|{room} $cleaner)", "!stop (cleaning|filtering|freshening) the air {in}",
        "!stop cleaning the {room} air", "!do not clean the air [any more] {in}",
        "the air is (fine|good|clean|clean enough|good enough) {in} stop the cleaner",
        "the air {in} is (fine|good|clean|clean enough) [now] (stop|end) the cleaner",
        "$no_need the $cleaner [any more|on] {in}", "no [more] (air cleaner|air cleaning|cleaner) {in}",
        "$no_need the {room} $cleaner", "![the] $cleaner off {in}",
    ]),
    "timer set": [
        "!(set|start|make|give me|begin|run|add) (a|the|another|one) timer (for|of|over|with) {dur}",
        "!(set|start|make|give me|begin|run|add) (a|the|another|one) {dur} timer", "[a|the] timer (for|of) {dur}",
        "[a] {dur} timer", "!(set|start) the timer to {dur}", "!$ask when {dur} (are over|are up|have passed|are gone)",
        "!count [down] {dur}", "!(wake|call|alert|ring) me (in|after) {dur}", "!count down [from] {dur}",
        "$want (a|the|another) timer (for|of|over) {dur}", "$want (a|the|another) {dur} timer",
        "$want to be (woken|called|alerted) (in|after) {dur}", "!(let|make) (a|the) timer (run|go) for {dur}",
        "!(time|measure|track) {dur}", "!set (a|the) countdown (of|for) {dur}",
    ],
    "timer name": [
        "!(set|start|make|run|begin|add) (a|the) {name} timer (for|of|over|with) {dur}", "[the|a] {name} timer (for|of) {dur}",
        "!(set|start|make|run|begin|add) (a|the|one) timer (of|for|over) {dur} for [the|my] {name}",
        "!(set|start|make|run|begin|add) (a|the|one) {dur} timer for [the|my] {name}",
        "!(set|start|make|run|begin) (a|the|one) {dur} {name} timer", "[a] {dur} {name} timer",
        "!(set|start|make|run) (a|the) timer for [the|my] {name} (of|over|with) {dur}",
        "(the|my) {name} (needs|takes|has to take|must have) {dur}", "[a|the] timer (of|for) {dur} for [the|my] {name}",
        "!$ask (in|after) {dur} that (the|my) {name} is (over|done|ready)", "{dur} for (the|my) {name}",
        "!$ask when (the|my) {name} is (over|done|ready) (in|after) {dur}",
        "$want (a|the) {name} timer (for|of|over) {dur}", "$want (a|the) {dur} {name} timer",
        "$want (a|the) timer (of|for) {dur} for [the|my] {name}", "$want (a|the) {dur} timer for [the|my] {name}",
    ],
    "timer cancel": [
        "!(cancel|stop|delete|forget|end|kill|remove|drop|clear|reset) (the|my|that|this) timer [again|now]",
        "!(turn|switch|shut) off (the|my|that) timer", "!(turn|switch|shut) (the|my|that) timer off [again|now]",
        "no [more] timer [any more]", "$no_need (the|my|a|any) timer [any more]", "!do not (run|count|use) the timer [any more]",
        "!forget about the timer", "the timer ($must) (stop|be off|be cancelled|go away)", "![the] timer off",
        "$want the timer [to be] (off|stopped|cancelled|deleted)", "!(get rid of|call off) the timer",
    ],
    "alarm set": [
        "!wake (me|us) [up] (at|by) {clock}", "!(set|start|make|add) (an|the|my|one) alarm (for|at|to) {clock}",
        "!(put|move|change|turn) (the|my) alarm (to|at|on) {clock}", "[the|an|my] alarm (at|for|on) {clock}",
        "(i have to|i must|i need to|i should|we have to|i am to|i will|i would like to|we want to) (get up|wake up|rise) (at|by) {clock}",
        "i want to (wake up|rise|be up) at {clock}", "(i want|i would like|we need) to get up (by|around|before) {clock}",
        "(i have to|i must|i need to|we have to) be (up|awake|out of bed) (at|by) {clock}",
        "$want (an|the|my) alarm (at|for|to be at) {clock}", "!(get|call) (me|us) up at {clock}",
        "$want to be woken [up] at {clock}", "!(ring|call) the alarm at {clock}", "!have (an|the) alarm (at|for) {clock}",
    ],
    "alarm off": [
        "!(cancel|stop|delete|forget|end|kill|remove|drop|clear|reset) (the|my|that|this) alarm [again|now]",
        "!(turn|switch|shut) off (the|my|that) alarm", "!(turn|switch|shut) (the|my|that) alarm off [again|now]",
        "no [more] alarm [any more]", "$no_need (the|my|an|any) alarm [any more]", "!do not (wake|call) (me|us) [up] [any more]",
        "!forget about the alarm", "the alarm ($must) (stop|be off|be cancelled|go away)", "![the] alarm off",
        "$want the alarm [to be] (off|stopped|cancelled|deleted)", "!(get rid of|call off) the alarm",
        "(i|we) (do not want|do not have|do not need) to (get up|be woken|wake up) [any more]", "!let me sleep",
    ],
    "ask temp": [
        "how (warm|cold|hot|cool) is (it {in}|{the})", "how (warm|cold|hot|cool) is it {in}",
        "(what is|what do you say is|do you know) the temperature {in}", "(what is|what about|do you know) the {room} temperature",
        "what temperature (is it|do we have|does it have|is there) {in}", "what temperature (is|does) {the} [have]",
        "!$ask the temperature {in}", "!$ask the {room} temperature", "!$ask what temperature (it is|we have) {in}",
        "!$ask how (warm|cold|hot|cool) (it is {in}|{the} is)", "!$ask how many degrees (it is|we have) {in}",
        "how many degrees (is it|are there|do we have|are we at) {in}", "how many degrees (is|has) {the}",
        "is it (cold|warm|hot|cool) [enough] {in}", "is {the} [really] (cold|warm|hot|cool) [enough]",
        "!$ask if (it is (cold|warm|hot) {in}|{the} is (cold|warm|hot))", "how high is the temperature {in}",
        "(how high is|what does it say about) the {room} temperature", "!(check|read|show me|give me) the temperature {in}",
        "!(check|read|show me|give me) the {room} temperature",
    ],
    "ask air": [
        "how is the air {in}", "how is the {room} air", "what is the air like {in}", "what is the {room} air like",
        "is the air [really] (good|bad|fresh|clean|fine|stale) [enough] {in}", "is the {room} air (good|bad|fresh|clean|fine) [enough]",
        "!$ask about the air {in}", "!$ask about the {room} air", "!$ask how (the air is|good the air is|bad the air is) {in}",
        "!$ask how (good|bad|fresh|clean) the {room} air is", "how (good|bad|fresh|clean) is the air {in}",
        "how (good|bad|fresh|clean) is the {room} air", "!$ask if the air is (good|bad|fresh|clean|fine) {in}",
        "!$ask if the {room} air is (good|bad|fresh|clean|fine)", "!(check|show me|give me) the air [quality] {in}",
        "what about the air {in}", "what (is|about) the air quality {in}", "do we have (good|bad|clean|fresh) air {in}",
        "is there (good|bad|clean|fresh) air {in}", "!(check|test) the {room} air",
    ],
    "ask light": [
        "(is|are) the $light [still] (on|off|out) {in}", "(is|are) the {room} $light [still] (on|off|out)",
        "(is|are) the $light {in} [still] (on|off|out)", "!$ask (if|whether) the ($light {in}|{room} $light) (is|are) [still] (on|off)",
        "!$ask (if|whether) the $light (is|are) [still] (on|off) {in}", "did (i|we|somebody|anybody) leave the ($light {in}|{room} $light) on",
        "did (i|we|somebody|anybody) leave the $light on {in}", "is there [still] [a|any] light [on] {in}",
        "did (i|we|somebody) (turn|switch) off the ($light {in}|{room} $light)", "did (i|we) (turn|switch) the $light off {in}",
        "!(check|see) (if|whether) the $light (is|are) (on|off) {in}", "!check the ($light {in}|{room} $light)",
    ],
    "ask timer": [
        "how (long|much|much time|many minutes) (is|are) (left|still left) on the timer", "how (long|much|much time|many minutes) (is|are) still left",
        "how (much time|many minutes|much) (is|are) left", "what does the timer (say|show|read) [now]", "what is left on the timer",
        "!$ask how (much time|many minutes|much) (is|are) [still] left [on the timer|on it]",
        "!$ask how long (the timer has|is still|it has|we have) left", "!$ask (what|how much) the timer (says|shows|has left)",
        "how (long|much time|much|many minutes) does the timer have [left]", "how long (does the timer|will the timer|will it) (run|take) [still]",
        "how long (do we|does it|do i) have [left]", "when (is|will) the timer [be] (over|done|up)", "!(check|read|show me) the timer",
    ],
    "none": [
        "!(call|ring|phone|visit|ask|invite|thank|meet) {who} [at {clock}|in {dur}]", "!(send|write|read me) a (message|letter|mail|card) to {who} [at {clock}]",
        "!(order|buy|get|bring|find|fetch) [me|us] {what} [in {dur}|for {who}]", "!(order|get|find|bring) {what} at {clock}",
        "!(sell|eat|drink|cook|make|pay for|look for) {what} [at {clock}]", "!(book|order|get) (a table|a room|a ticket|a flight|a cab) [at {clock}|for {who}]",
        "!(open|close|unlock|shut|paint|fix|knock on) the (front|back|garage|main) door", "!(lock|open) the (back|garage|main) door", "!(lock|open|close|unlock) the (door|gate|car|safe)",
        "!(start|wash|park|sell|charge) the (car|bike|washing machine|dishwasher|oven) [at {clock}]", "!(write|put) {what} on the (shopping list|list|table)",
        "what is the (weather|traffic|score|date|plan) [like] [today|tomorrow]", "what is the weather like [today|in rome|outside]",
        "who (won|lost|played|likes) the (game|match|race|cup)", "how old is {who}", "(how|who|where) is {who}", "how (tall|far away|rich|nice) is {who}",
        "where (is|are) my (keys|phone|shoes|glasses|book|bag|dog)", "where is (the|our) (dog|car|key|phone|bag|taxi|doctor)", "where did {who} go",
        "!$ask (how|who|how old) {who} is", "!(let me know|say) where {who} is", "!$ask where (my|the) (keys|phone|dog|bag|car) (is|are)", "!$ask (a joke|a story|the news about {who}|who won)",
        "what time is it [now|in rome]", "what (day|year) is it", "what is the time", "(thank you|thanks a lot|good night|good morning|hello|bye|never mind|well done|you are nice)",
        "!(water|cut|buy|smell) the (plants|flowers|grass) {in}", "!(feed|wash|find|call|look for|walk) the (cat|dog|baby) {in}", "!feed {who}",
        "(i like|i love|i miss|i saw|i met) ({who}|{what})", "!(sing|dance|jump|draw|translate|spell) [for {who}|something|a word]",
        "!(clean|mop|sweep|paint) the (floor|walls|dishes|car) {in}", "!(remind {who} of|tell {who} about|give {who}) {what}", "how do (i|you) (cook|make|spell|find) {what}",
    ],
}

WRAPPERS = [
    "[hey hub|hub|ok hub|hello hub|listen hub|dear hub|hey] (please|could you|can you|would you please|will you|could you kindly|would you kindly|would you mind to|kindly|be so kind and|do me a favour and|i want you to|i would like you to|i need you to|you should|you must|you may|it would be nice to|it is time to|let us|we want you to|i am asking you to|now|just|quickly|well|so|alright|also|listen|now please|can you quickly|can you just|could you just|could you quickly|can you also|could you also|please just|please also|please quickly|would you also|i think you should|maybe|perhaps)",
    "(hey hub|hub|ok hub|hello hub|listen hub|dear hub|hub listen|hey) [now|just|so|kindly|quickly]",
    "(hub please|ok hub please|please hub|hello hub please|hub now please|hub be so kind and|could you hub|can you hub|please please)",
]
WRAPPED_PLAIN = [
    "(hey hub|hub|hello hub|listen hub|hey|well|so|listen|look|dear hub|now|today|sorry|sorry but|you know|i think|hey hub listen|ok hub listen|ok hub well|ok listen|ok so|alright hub|i am afraid|i say|ok then|please hub|hub please)",
]
TAILS = [
    "(please|thanks|for me|thank you|for us|if you can|if possible|right away|now|right now|immediately|quickly|at once|hub|my friend|for my mother|for the kids|just for me|will you|can you|thank you hub|please hub|thanks hub)",
    "(for me|for us|now|right now|if you can|right away|quickly) (thanks|thank you|hub)", "(for us|now|right away|if you can|quickly) please",
    "please (for me|now|right away|quickly|for us)", "thanks (a lot|for that|so much)",
]
JOINS = [
    "(and|then|and|then|and then|and also|plus|next|afterwards|besides|after that|later|moreover|but)",
    "and (next|afterwards|please|finally|besides|as well|now|later|at the same time|then also|please also|could you|could you also|can you|just|i want you to|after this|right after|finally|quickly)",
    "(then please|then finally|then quickly|then just|then next|then after that|plus please|but first|but please|but also|as well as|and then please|please|can you|could you|followed by|together with|while you are at it|at the same time|and to finish|and on top of that|and besides that|and with that|next please|afterwards please)",
    "",
]

CONDITIONS = {
    "dark": [
        "$if it (gets|is|becomes|turns|grows) [too|really] dark [outside|out there]", "(after|at|on) (dark|nightfall|sunset)",
        "$if (it is night|the sun is down|the sun sets|night falls|the sun goes down|the day is over)", "in case it (is|gets) dark [outside]", "in the dark",
    ],
    "away": [
        "$while $none is [at] (home|here|around|in the house|there|in)", "$while (i am|we are|everybody is|everyone is|all are) (away|gone|out|not home|not at home|not here)",
        "$if (i|we|all of us) (leave|go out|go away) [the house]", "$if (everybody|everyone) (leaves|goes out|has left) [the house]", "in case $none is (home|here)",
        "(unless somebody is home|unless anybody is here|with nobody home)",
    ],
    "home": [
        "$while $some is [at] (home|here|around|in the house|there|back)", "$while (i am|we are|everybody is|everyone is|all are) (home|back|back home|at home|here)",
        "$if (i|we) (get|come|are getting|arrive) (home|back|back home|at home)", "$if ($some|everybody) (comes|gets|arrives) (home|back|back home)", "in case $some is (home|here)",
        "$if $some returns",
    ],
    "rain": [
        "$while it (is raining|rains|starts raining|starts to rain|begins to rain|begins raining|is wet) [outside|out there|again]",
        "$if (there is|there comes|we get|we have) [some] rain [outside]", "$if (the rain starts|the rain comes|rain falls|rain begins|the rain begins)", "in case (it rains|of rain|it is raining)",
    ],
    "motion": [
        "$if $some (moves|walks in|comes in|enters|steps in|passes|walks by|moves around)", "$if (there is|there comes|you see|you sense|you notice) [a|any|some] (motion|movement)",
        "$if (motion is seen|something moves|movement is seen|anything moves|you see somebody|you notice somebody|motion starts)", "in case $some (moves|comes in|walks in)", "in case of motion",
    ],
    "window": [
        "$while (a|the|any|one) window is (open|opened|not closed)", "$if $some (opens|has opened|leaves open) (a|the|any|one) window", "$if (a|the|any|one) window (opens|goes open|gets opened)",
        "$if (i|we|they) (open|leave open) (a|the) window", "in case (a|the) window is open", "with the window open",
    ],
    "temp<": [
        "$if it (is|gets|becomes|turns) (colder|cooler) than {n} [degrees]", "$if the temperature (is|falls|drops|goes|gets|sinks) (below|under) {n} [degrees]",
        "$if it (drops|falls|goes|sinks|is|gets) (below|under) {n} [degrees]", "$if (it is|it has|there are) (less|fewer) than {n} degrees", "$if the temperature is (lower|less) than {n} [degrees]",
        "(below|under) {n} degrees",
    ],
    "temp>": [
        "$if it (is|gets|becomes|turns) (warmer|hotter) than {n} [degrees]", "$if the temperature (is|rises|climbs|goes|gets|grows) (above|over) {n} [degrees]",
        "$if it (rises|climbs|goes|gets|is|grows) (above|over) {n} [degrees]", "$if (it is|it has|there are) more than {n} degrees", "$if the temperature is (higher|more) than {n} [degrees]",
        "(above|over) {n} degrees",
    ],
    "co2>": [
        "$if [the] co2 (is|rises|goes|climbs|gets|grows) (above|over) {n}", "$if the co2 level (is|rises|goes|gets) (above|over) {n}", "$if [the] co2 is (higher|more) than {n}",
        "$if there is more (co2|of the co2) than {n}", "$if there is [a] co2 (above|over|of more than) {n}", "$if (we have|it has) more co2 than {n}",
    ],
}
WHEN = {
    "at": [
        "at {clock}", "at {clock}", "(exactly|right|precisely|just|sharply|always) at {clock}", "at (precisely|just|around|about|roughly|sharp) {clock}", "(around|about) {clock}",
        "at {clock} (exactly|sharp|precisely|on the dot|today)", "$if it is [exactly|precisely] {clock}", "$if the clock (says|shows|strikes) {clock}", "at the time of {clock}",
    ],
    "by": [
        "before {clock}", "by {clock}", "no later than [at] {clock}", "not (after|past|any later than|much later than) {clock}", "by {clock} (at the latest|at latest|exactly|or earlier)",
        "(some time|any time|shortly|just|right|well) before {clock}", "by (exactly|about|precisely|around) {clock}", "(earlier|sooner|never later) than {clock}", "at the latest (at|by) {clock}", "at {clock} at the latest",
        "before (exactly|precisely|about) {clock}", "so that it is done by {clock}", "ready by {clock}",
    ],
    "in": [
        "in {dur}", "after {dur}", "{dur} from now", "{dur} (later|from this moment|from here|from right now)", "in (exactly|about|just|around|precisely|roughly) {dur}", "after (exactly|about|another|precisely) {dur}", "(exactly|about|just|precisely) {dur} from now",
        "(exactly|about|just|precisely|only) (in|after) {dur}", "(once|when|as soon as) {dur} (have passed|are over|are gone|are up)", "in {dur} (exactly|precisely|or so)", "after {dur} (from now|exactly|have passed)", "with a delay of {dur}",
    ],
    "for": [
        "for {dur}", "for the [next|coming|following] {dur}", "for (about|another|just|precisely|the next|around|only|at least|roughly) {dur}", "(during|over) the (next|coming|following) {dur}", "for {dur} (only|exactly|from now|or so|and no longer|precisely)",
        "(exactly|just|only) for [the next] {dur}", "for a time of {dur}", "for a [full] period of {dur}",
    ],
    "until": [
        "until {clock}", "till {clock}", "up to {clock}", "(until|till|up to) (about|precisely|just|around|roughly|shortly before) {clock}", "(till|up to|up until) exactly {clock}", "up until {clock}", "(exactly|just|right|only) (until|till|up to) {clock}", "(until|till|up to) {clock} (exactly|sharp|only|precisely)",
        "(until|till) it is [exactly] {clock}", "(until|till) the clock (says|shows|strikes) {clock}",
    ],
}


# ---------------------------------------------------------------------------------------------------
# Expansion


def split_top(text):
    """The alternatives of a choice, at its own depth."""
    parts, depth, current = [], 0, ""
    for c in text:
        if c == "|" and depth == 0:
            parts.append(current)
            current = ""
            continue
        depth += (c in "([") - (c in ")]")
        current += c
    return parts + [current]


def expansions(pattern):
    """Every template a pattern stands for (with stray blanks)."""
    for i, c in enumerate(pattern):
        if c in "([":
            depth = 0
            for j in range(i, len(pattern)):
                depth += (pattern[j] in "([") - (pattern[j] in ")]")
                if depth == 0:
                    break
            rests = list(expansions(pattern[j + 1 :]))
            choices = [e for part in split_top(pattern[i + 1 : j]) for e in expansions(part)]
            if c == "[":
                choices += [""] * max(1, len(choices) // 2)
            return [pattern[:i] + choice + rest for choice in choices for rest in rests]
    return [pattern]


def tidy(text):
    """Single blanks, none at the ends, none after "!"."""
    return " ".join(text.replace("!", "! ").split()).replace("! ", "!")


def templates_of(pattern):
    """The templates of a pattern, each as often as its choices repeat it."""
    for _ in range(3):
        pattern = re.sub(r"\$(\w+)", lambda m: WORDS[m[1]], pattern)
    return [tidy(e) for e in expansions(pattern)]


def shape(template):
    """A template up to the names of its slots and the mark of the imperative."""
    return re.sub(r"\{\w+\}", "_", template.lstrip("!"))


def bare(template):
    """A template's words where "this room" is meant and so the room, or the step, is not said."""
    return " ".join(re.sub(r"\{(in|pre|post|by|deg)\}", "", template.lstrip("!")).split())


HELD = {shape(t) for table in (grammar.INTENTS, grammar.CONDITIONS, grammar.WHEN)
        for entry in table.values() for t in entry["test"]}
HELD_BARE = {bare(t) for t in sum((entry["test"] for entry in grammar.INTENTS.values()), []) if "{in}" in t}
HELD_WRAPPERS = grammar.WRAPPERS["test"] + grammar.WRAPPED_PLAIN["test"]
HELD_JOINS, HELD_TAILS = grammar.JOINS["test"], grammar.TAILS["test"]


def is_held(template):
    """Whether a clause template is a held-out one, or reads like one whose room is not said."""
    return shape(template) in HELD or bare(template) in HELD_BARE


def is_held_wrapper(text):
    """Whether a wrapper is, or ends with, a held-out one."""
    return any((" " + text).endswith(" " + w) for w in HELD_WRAPPERS)


def is_validation(template):
    """Whether a template belongs to the tenth that only the validation of phrasings uses."""
    return zlib.crc32(("phrasing/" + shape(template)).encode()) % 10 == 0


class Table:
    """Patterns expanded and divided: per pattern, the templates to train on and those to validate."""

    dropped = 0  # templates that were held-out ones, over all tables

    def __init__(self, patterns, held=is_held, originals=()):
        self.train, self.valid = [], []
        for pattern in list(patterns) + [f"{t}" for t in originals]:
            every = templates_of(pattern) if pattern not in originals else [pattern]
            kept = [t for t in every if not held(t)]
            Table.dropped += len(set(every)) - len(set(kept))
            old = pattern in originals
            train = [t for t in kept if old or not is_validation(t)]
            valid = [t for t in kept if not old and is_validation(t)]
            if train:
                self.train.append(train)
            if valid:
                self.valid.append(valid)
        # A validation template must not be trained on by another pattern or an original template.
        trained = {shape(t) for group in self.train for t in group}
        self.valid = [g for g in ([t for t in g if shape(t) not in trained] for g in self.valid) if g]

    def pick(self, rng, valid=False):
        """A template: every pattern equally likely."""
        return rng.choice(rng.choice(self.valid if valid and self.valid else self.train))

    def all(self):
        """The distinct templates to train on."""
        return {t for group in self.train for t in group}


def tables():
    """All tables: intents, conditions, times, wrappers, tails and joins."""
    g = grammar
    return {
        "intents": {k: Table(v, originals=g.INTENTS[k]["train"]) for k, v in TRAIN.items()},
        "conditions": {k: Table(v, originals=g.CONDITIONS[k]["train"]) for k, v in CONDITIONS.items()},
        "when": {k: Table(v, originals=list(dict.fromkeys(g.WHEN[k]["train"]))) for k, v in WHEN.items()},
        "wrappers": Table(WRAPPERS, is_held_wrapper, [w for w in dict.fromkeys(g.WRAPPERS["train"]) if w]),
        "plain": Table(WRAPPED_PLAIN, is_held_wrapper, ["hey hub", "hub"]),
        "tails": Table(TAILS, lambda t: t in HELD_TAILS, ["please", "thanks", "for me"]),
        "joins": Table(JOINS, lambda t: t in HELD_JOINS, g.JOINS["train"]),
    }


def searcher():
    """A pattern that finds the words of a held-out clause anywhere in a sentence."""
    texts = []
    for table in (grammar.INTENTS, grammar.CONDITIONS, grammar.WHEN):
        for entry in table.values():
            for template in entry["test"]:
                words = re.sub(r"( ?\{\w+\})+$", "", template.lstrip("!"))
                texts.append(re.sub(r"\\\{\w+\\\}", ".{1,30}?", re.escape(words)))
    return re.compile(r"\b(" + "|".join(texts) + r")\b")


HELD_CLAUSE = searcher()


def choice(words):
    """A pattern for one of these, or nothing if the empty one is among them."""
    options = sorted({w for w in words if w}, key=len, reverse=True)
    return "(?:" + "|".join(map(re.escape, options)) + ")" + ("?" if "" in words else "")


def reader():
    """A pattern that a clause matches as a whole if it is a held-out template with its slots filled."""
    g = grammar
    names = [n for room in g.ROOMS.values() for n in room]
    any_words = "[a-z0-9:' ]+?"
    number = choice(g.ONES + g.TENS + ["hundred", "thousand"])
    slots = {
        "in": choice([f"in the {n}" for n in names] + g.ALL_IN + g.HERE_IN),
        "the": choice([f"the {n}" for n in names] + g.ALL_THE + g.HERE_THE),
        "room": choice(names + [""]),
        "pre": choice(sum(g.PRE.values(), [])),
        "post": choice(sum(g.POST.values(), [])),
        "src": choice(sum(g.SOURCE_WORDS.values(), [])),
        "level": choice(g.LEVELS), "name": choice(g.TIMER_NAMES),
        "who": choice(g.WHO), "what": choice(g.WHAT),
        "by": f"by {any_words} percent", "deg": f"by {any_words} degrees?",
        "n": f"(?:[0-9]+|(?:{number} ?)+)", "dur": any_words, "clock": any_words,
    }
    texts = []
    for entry in g.INTENTS.values():
        for template in entry["test"]:
            parts = []
            for word in template.lstrip("!").split():
                slot = re.fullmatch(r"\{(\w+)\}", word)
                text = slots[slot[1]] if slot else re.escape(word)
                # Words are parted by one blank; a slot may be empty, and its blank with it.
                parts.append(f"(?: {text})?" if text.endswith("?") and slot[1] != "deg" else f" {text}")
            texts.append("".join(parts))
    return re.compile("|".join(texts))


HELD_FILLED = reader()


def reads_held(text):
    """Whether a clause, its slots filled, is what a held-out template of an intent says."""
    return HELD_FILLED.fullmatch(" " + text) is not None
