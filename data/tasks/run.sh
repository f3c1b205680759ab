#!/bin/sh
# make tasks: the tasks of this folder from first to last. A Transformer learns to translate and to summarise, and tables
# learn to answer questions and to talk; then each is fine-tuned on the reward of its task. One table at the end: what
# maximum likelihood gives, what tuning makes of it, and the best there is.
set -eu
cd "$(dirname "$0")/../.."
gradus=${GRADUS:-build/gradus} exact=${GRADUS_F64:-build/gradus-f64} tasks=data/tasks runs=runs/tasks
rm -rf "$runs"
mkdir -p "$runs"

# field NAME: of a line of JSON, the number of the member of that name.
field() { sed -n 's/.*"'"$1"'":\([-+0-9.einf]*\).*/\1/p'; }
# row TASK METRIC MLE TUNED BEST REMARK: of the table, which is printed at the end.
row() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >> "$runs/table"; }
# mean RUN TASK METRIC OPTIONS...: of the likeliest replies to unseen prompts; the list of replies is left out of what
# `field` reads.
mean() {
  run=$1 task=$2 metric=$3
  shift 3
  "$gradus" eval "$runs/$run" "$tasks/$task.test.tsv" --metric "$metric" --json "$@" | sed 's/,"replies".*//' | field mean
}
# learn RUN TASK STEPS CONTEXT: maximum likelihood.
learn() {
  echo
  "$gradus" train "$tasks/$2.tsv" --pairs --tokenizer word --out "$runs/$1" --steps "$3" --context "$4" --layers 2 \
    --heads 4 --embd 64 --batch 32 --lr 3e-3 --warmup 30 --val-fraction 0 --eval-every $(($3 / 2)) --save-every 0
}
# improve RUN TASK REWARD LR: fine-tuning on the same prompts, with the replies of the file as references.
improve() {
  echo
  "$gradus" tune "$runs/$1" --pairs "$tasks/$2.tsv" --reward "$3" --out "$runs/$1-tuned" --max-tokens 12 --steps 300 \
    --batch 128 --lr "$4" --warmup 20 --kl-coef 0.02 --save-every 0
}
learn translation translation 300 32
row translation exact-match "$(mean translation translation exact-match)" - 1.000 'after 300 steps, unseen sentences'
learn early translation 110 32  # it has much to learn yet
improve early translation bleu 2e-3
for metric in exact-match bleu; do
  row '' $metric "$(mean early translation $metric)" "$(mean early-tuned translation $metric)" 1.000 \
    'after 110 steps, tuned on bleu'
done
learn summary summary 300 48
improve summary summary rouge-l 1e-3
row summary rouge-l "$(mean summary summary rouge-l)" "$(mean summary-tuned summary rouge-l)" 1.000 'unseen texts'
# The first sentence as the summary, without its mark: what is to be beaten.
cut -f 1 "$tasks/summary.test.tsv" | sed 's/ \..*//; s/^news : //' > "$runs/first"
row '' 'rouge-l' "$(mean summary summary rouge-l --replies "$runs/first")" - - 'the first sentence as the summary'

# count_and_tune TASK OPTIONS...: a table of its text, and its posterior, which is known exactly.
count_and_tune() {
  task=$1
  shift
  echo
  "$exact" train "$tasks/$task.tsv" --pairs --tokenizer word --model tabular --context 32 --out "$runs/$task"
  "$exact" tune "$runs/$task" --out "$runs/$task-tuned" --kl-coef 0.3 --max-tokens 8 --batch 256 --steps 300 --lr 0.05 \
    --save-every 0 --json "$@" > "$runs/$task.json"
  row "$task" 'J, exactly' "$(grep -m 1 '"type":"step"' "$runs/$task-tuned/log.jsonl" | field objective_exact)" \
    "$(field objective_exact < "$runs/$task.json")" "$(field j_star < "$runs/$task.json")" \
    "$(field kl_to_posterior < "$runs/$task.json")"
}
count_and_tune questions --pairs "$tasks/facts.tsv" --reward exact-match
cut -f 1 "$tasks/dialogue.tsv" | sort -u > "$runs/prompts"
count_and_tune dialogue --prompts "$runs/prompts" --reward "table:$tasks/dialogue.json"
# The share of replies of the right intent, which this reward is. Behind each question it is q at first, so that of the
# posterior is q exp(1/0.3) / (q exp(1/0.3) + 1 - q).
share=$(grep -m 1 '"type":"step"' "$runs/dialogue-tuned/log.jsonl" | field reward_exact)
row '' 'right intent' "$share" "$(field reward_exact < "$runs/dialogue.json")" \
  "$(awk "BEGIN { w = $share * exp(1 / 0.3); print w / (w + 1 - $share) }")" 'of the replies, exactly'

printf '\n%-13s %-12s %8s %8s %8s\n' task 'measured by' MLE tuned best
awk -F '\t' '
  function number(x) { return x ~ /[0-9]/ ? sprintf("%.3f", x) : x }
  $6 ~ /^[0-9.e-]+$/ { $6 = sprintf("J = reward - 0.3 KL; KL(policy, pi*) = %.1e", $6) }
  { printf "%-13s %-12s %8s %8s %8s   %s\n", $1, $2, number($3), number($4), number($5), $6 }' "$runs/table"
