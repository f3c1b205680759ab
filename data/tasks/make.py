#!/usr/bin/python3
"""Write the pairs of this folder, PROMPT, a tab, REPLY: python3 data/tasks/make.py [DIRECTORY] (default: this folder).

Every task comes from a small grammar, so that the right reply to each prompt is known. The same bytes every time.
"""
import json
import os
import random
import sys

FOLDER = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))


def write(name, pairs):
    with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as file:
        file.writelines(f"{prompt}\t{reply}\n" for prompt, reply in pairs)


def split(name, pairs, train, test):
    """Different pairs, drawn without repetition, in two files."""
    chosen = random.Random(name).sample(pairs, train + test)
    write(f"{name}.tsv", chosen[:train])
    write(f"{name}.test.tsv", chosen[train:])


# ---- translation: English to Chinese. Time and place move before the verb, and a noun brings its measure word. ----

PEOPLE = {"boy": "男孩", "girl": "女孩", "teacher": "老师", "farmer": "农民", "doctor": "医生", "king": "国王",
          "miller": "磨坊主", "fisherman": "渔夫"}
VERBS = {"sees": "看见", "buys": "买", "draws": "画", "finds": "找到", "wants": "想要", "sells": "卖"}
THINGS = {"a book": "一 本 书", "a bird": "一 只 鸟", "a house": "一 座 房子", "a cart": "一 辆 车",
          "an apple": "一 个 苹果", "a horse": "一 匹 马"}
PLACES = {"in the garden": "在 花园", "at the market": "在 市场", "by the river": "在 河边", "at home": "在 家"}
TIMES = {"today": "今天", "every day": "每天", "this evening": "今晚", "in spring": "春天"}


def translations():
    return [(f"the {who} {does} {what} {where} {when}",
             f"{TIMES[when]} {PEOPLE[who]} {PLACES[where]} {VERBS[does]} {THINGS[what]}")
            for who in PEOPLE for does in VERBS for what in THINGS for where in PLACES for when in TIMES]


# ---- summary: of three sentences the one behind "news :" is the one that counts, and its noun and verb say it ----

NOUNS = ["bridge", "school", "market", "harbour", "mill", "road", "library", "ferry"]
STATES = ["closed", "open", "flooded", "repaired", "crowded", "empty"]
FRAMES = ["the {0} is {1} today", "our {0} was {1} again", "people say the {0} is {1}"]


def summaries():
    rng = random.Random("summary")
    pairs = {}
    while len(pairs) < 2000:
        nouns, states = rng.sample(NOUNS, 3), rng.sample(STATES, 3)
        news = rng.randrange(3)
        sentences = [("news : " if i == news else "") + rng.choice(FRAMES).format(nouns[i], states[i]) + " ."
                     for i in range(3)]
        pairs[" ".join(sentences)] = f"{nouns[news]} {states[news]}"
    return sorted(pairs.items())


# ---- question answering: facts in two languages. Half of the answers that the model reads are wrong. ----

CAPITALS = {"france": "paris", "italy": "rome", "spain": "madrid", "japan": "tokyo", "egypt": "cairo", "peru": "lima",
            "kenya": "nairobi", "norway": "oslo"}
CAPITALS_ZH = {"法国": "巴黎", "意大利": "罗马", "日本": "东京", "埃及": "开罗"}
COLOURS = {"grass": "green", "snow": "white", "coal": "black", "blood": "red"}


def questions():
    for facts, form in ((CAPITALS, "what is the capital of {0} ?"), (CAPITALS_ZH, "{0} 的 首都 是 哪里 ？"),
                        (COLOURS, "what colour is {0} ?")):
        for what, answer in facts.items():
            yield form.format(what), answer, [other for other in facts.values() if other != answer]


def answers():
    """Ten of each question: five are right, the others go through the wrong ones."""
    return [(question, right if i < 5 else wrong[i % len(wrong)])
            for question, right, wrong in questions() for i in range(10)]


# ---- dialogue: two intents, opening hours and prices. The clerk often replies to the other one. The reward of a reply
# is 1 where it is of the intent of its question, else 0. ----

HOURS = ["when does the shop open ?", "at what time does the shop close ?", "is the shop open on sunday ?"]
PRICES = ["how much is the bread ?", "what does the cheese cost ?", "is the bread cheap today ?"]
REPLIES = {"hours": [("the shop does open at nine", 3), ("on sunday the shop is not open", 2)],
           "price": [("the bread is two crowns", 3), ("the cheese does cost five crowns", 2)],
           "none": [("sorry ?", 2)]}


INTENTS = ((HOURS, "hours", "price"), (PRICES, "price", "hours"))


def talk():
    return [(question, reply) for questions, intent, other in INTENTS for question in questions
            for kind in (intent, other, "none") for reply, times in REPLIES[kind] for _ in range(times)]


def write_rewards(name):
    """For the reward table:FILE: what a reply is worth behind its prompt."""
    prompts = {question: {reply: 1 for reply, _ in REPLIES[intent]}
               for questions, intent, _ in INTENTS for question in questions}
    with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as file:
        json.dump({"prompts": prompts, "default": 0}, file, ensure_ascii=False, indent=1)
        file.write("\n")


split("translation", translations(), 600, 100)
split("summary", summaries(), 600, 100)
write("questions.tsv", answers())
write("facts.tsv", [(question, right) for question, right, _ in questions()])
write("dialogue.tsv", talk())
write_rewards("dialogue.json")
