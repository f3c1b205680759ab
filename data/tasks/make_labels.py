#!/usr/bin/env python3
"""Writes the labelled texts of this folder, drawn from small grammars: python3 data/tasks/make_labels.py

intent_*.tsv       the intent of a customer's question; intent_answers.tsv has a usual question for each, and its answer
sentiment_*.tsv    praise and complaint, by a lexicon; sentiment_days.txt is a shop's mail of 60 days, 4 lines a day,
                   in which complaints are rare, but for days 31 to 40
films_*.tsv        what one person liked: "like" with a probability that depends on the words; the last line that this
                   script prints is the best area under the ROC curve that a score of the words can reach
"""
import math
import os

HERE = os.path.dirname(os.path.abspath(__file__))


class Random:
    """Numbers that are the same with every version of Python (Knuth's MMIX generator)."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 11) / 2**53

    def choice(self, items):
        return items[int(self.uniform() * len(items))]


def write(name, lines):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as out:
        out.writelines(line + "\n" for line in lines)


def filled(draw, pattern, slots):
    """A pattern with each {name} replaced by a drawn filler."""
    for name, fillers in slots.items():
        while "{" + name + "}" in pattern:
            pattern = pattern.replace("{" + name + "}", draw.choice(fillers), 1)
    return pattern


INTENTS = {
    "account": (["how do i change my {field}", "i cannot log in with my {field}", "please update the {field} of my account",
                 "my {field} is wrong in my profile"],
                "how do i change my password", "open your profile and choose edit"),
    "delivery": (["where is my {thing}", "when will the {thing} arrive", "my {thing} has not come yet",
                  "the {thing} was due {day} and is not here"],
                 "where is my parcel", "follow the link in our mail to see where it is"),
    "payment": (["can i pay by {means}", "my {means} was refused", "was my payment by {means} received",
                 "do you take {means}"],
                "can i pay by card", "we take cards and bank transfers"),
    "refund": (["i want my money back for the {thing}", "the {thing} is broken and i want a refund",
                "how do i return the {thing}", "can i send back the {thing} that came {day}"],
               "how do i return the parcel", "print the return label and bring it to the post"),
}
SLOTS = {
    "field": ["password", "address", "email", "name", "phone number"],
    "thing": ["parcel", "lamp", "kettle", "book", "chair", "order", "jacket"],
    "day": ["today", "yesterday", "on monday", "on friday", "last week"],
    "means": ["card", "bank transfer", "voucher", "cheque"],
    "hello": ["hello ", "hi ", "good morning ", "", "", ""],
    "bye": [" thank you", " please", " thanks", "", "", ""],
}


def intents():
    draw = Random(1)
    for name, count in (("intent_train.tsv", 320), ("intent_test.tsv", 160)):
        lines = []
        for _ in range(count):
            label = draw.choice(sorted(INTENTS))
            text = filled(draw, "{hello}" + draw.choice(INTENTS[label][0]) + "{bye}", SLOTS)
            lines.append(label + "\t" + text)
        write(name, lines)
    write("intent_usual.tsv", [label + "\t" + INTENTS[label][1] for label in sorted(INTENTS)])
    write("intent_answers.tsv", [INTENTS[label][1] + "\t" + INTENTS[label][2] for label in sorted(INTENTS)])


PRAISE = ["lovely", "great", "kind", "quick", "perfect", "helpful"]
COMPLAINT = ["awful", "slow", "rude", "broken", "late", "dirty"]
SUBJECTS = ["the shop", "your service", "my order", "the staff", "the parcel", "the answer"]
ENDINGS = ["", " again", " this time", " as always", " for once"]


def opinion(draw, bad):
    words = COMPLAINT if bad else PRAISE
    pattern = draw.choice(["{s} was {a}{e}", "{s} was {a} and {a}{e}", "i found {s} {a}{e}"])
    return filled(draw, pattern, {"s": SUBJECTS, "a": words, "e": ENDINGS})


def sentiment():
    draw = Random(2)
    for name, count in (("sentiment_train.tsv", 240), ("sentiment_test.tsv", 120)):
        lines = []
        for _ in range(count):
            bad = draw.uniform() < 0.5
            lines.append(("negative" if bad else "positive") + "\t" + opinion(draw, bad))
        write(name, lines)
    days = []
    for day in range(1, 61):
        share = 0.75 if 31 <= day <= 40 else 0.15
        days += [opinion(draw, draw.uniform() < share) for _ in range(4)]
    write("sentiment_days.txt", days)


TASTE = {"robots": 3.0, "ships": 2.0, "detectives": 1.0, "songs": -1.0, "horses": -2.0, "kings": -3.0,
         "funny": 1.5, "long": -1.5, "old": 0.0, "new": 0.0, "quiet": 2.5, "loud": -2.5}


def films():
    draw = Random(3)
    topics = ["robots", "ships", "detectives", "songs", "horses", "kings"]
    manners = [("funny", "long"), ("old", "new"), ("quiet", "loud")]
    best = []
    for name, count in (("films_train.tsv", 500), ("films_test.tsv", 300)):
        lines = []
        for _ in range(count):
            words = [draw.choice(pair) for pair in manners] + [draw.choice(topics)]
            score = sum(TASTE[word] for word in words)
            like = draw.uniform() < 1 / (1 + math.exp(-1.2 * score))
            lines.append(f"{'like' if like else 'skip'}\ta {words[0]} {words[1]} {words[2]} film about {words[3]}")
            if name == "films_test.tsv":
                best.append((score, like))
        write(name, lines)
    pairs = [(a, b) for a, liked in best if liked for b, other in best if not other]
    area = sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)
    print(f"films_test.tsv: the best area under the ROC curve is {area:.4f}")


intents()
sentiment()
films()
