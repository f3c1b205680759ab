#!/bin/sh
# Three uses of labels, from the texts of this folder: the intent of a question with the usual question nearest to it and
# its answer, sentiment over time with an alarm, and a recommender's score with its area under the ROC curve. Takes a few
# seconds.      sh data/tasks/labels.sh [FOLDER FOR THE RUNS]
cd "$(dirname "$0")/../.." || exit 1
gradus=${GRADUS:-build/gradus}
runs=${1:-runs/labels}
tasks=data/tasks
train() { # TASK OPTIONS...
  task=$1
  shift
  [ -e "$runs/$task/checkpoint.safetensors" ] ||
    "$gradus" classify train $tasks/"$task"_train.tsv --out "$runs/$task" --tokenizer word --layers 1 --embd 32 \
      --hidden 32 --context 24 --steps 200 --lr 5e-3 --warmup 10 --quiet "$@" || exit
}

echo 'A question, its intent, and the answer to the usual question nearest to it:'
train intent --encoder transformer --pool mean
printf '%s\n' 'hello the kettle has not come yet' 'can i send back the book' 'my email is wrong in my profile' |
  "$gradus" classify predict "$runs/intent" --nearest $tasks/intent_usual.tsv |
  while IFS='	' read -r label probability question usual; do
    answer=$(awk -F '\t' -v usual="$usual" '$1 == usual { print $2 }' $tasks/intent_answers.tsv)
    echo "  $question: $label, $probability: $answer"
  done
"$gradus" classify report "$runs/intent" $tasks/intent_test.tsv | awk '/accuracy/ { print "  Right of " $3 " other questions: " $2 }'

echo 'Complaints by day, 4 texts a day; the alarm is on while the mean of 3 days is 0.5 or more:'
train sentiment --encoder lstm
"$gradus" classify predict "$runs/sentiment" --of negative < $tasks/sentiment_days.txt |
  awk -v texts=4 -v days=3 -v most=0.5 '
    { p[NR] = $1; sum += $1; if (NR > texts * days) { sum -= p[NR - texts * days] } }
    NR % texts == 0 && NR >= texts * days {
      mean = sum / (texts * days)
      if ((mean >= most) != on) { on = !on; printf "  day %d: mean %.2f, alarm %s\n", NR / texts, mean, on ? "on" : "off" }
    }'

echo 'Films that somebody may like, by the words of their descriptions:'
train films --encoder lstm --weight-decay 1
"$gradus" classify report "$runs/films" $tasks/films_test.tsv | sed -n 's/^Area/  Of other films: area/p'
printf '%s\n' 'a funny old quiet film about robots' 'a long new loud film about kings' |
  "$gradus" classify predict "$runs/films" --of like | paste -s -d ' ' - | sed 's/^/  Probability to like quiet robots and loud kings: /'
