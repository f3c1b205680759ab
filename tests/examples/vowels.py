import sys
for text in sys.stdin:  # one text a line; a newline within a text is \n
    print(sum(text.count(c) for c in "aeiou") / len(text), flush=True)
