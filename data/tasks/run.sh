#!/bin/sh
# make tasks: the tasks of this folder from first to last. A Transformer learns to translate and to summarise, tables to
# answer questions and to talk; then each is fine-tuned on the reward of its task. One table at the end: what maximum
# likelihood gives, what tuning makes of it, and the best there is.
set -eu
cd "$(dirname "$0")/../.."
gradus=${GRADUS:-build/gradus} exact=${GRADUS_F64:-build/gradus-f64} tasks=data/tasks runs=runs/tasks
rm -rf "$runs"
mkdir -p "$runs"

# field NAME: of a line of JSON, the number of the first member of that name.
field() { sed -n 's/^[^{]*{\(.*\)/\1/; s/.*"'"$1"'":\([-+0-9.einf]*\).*/\1/p'; }
row() { printf '%-13s %-23s %8.3f %8.3f %8.3f   %s\n' "$@" >> "$runs/table"; }
# mean RUN FILE METRIC: of the likeliest replies; the list of replies is left out of what `field` reads.
mean() { "$gradus" eval "$runs/$1" "$2" --metric "$3" --json | sed 's/,"replies".*//' | field mean; }

# learn TASK STEPS REWARD: maximum likelihood, then fine-tuning on the same prompts.
learn() {
  "$gradus" train $tasks/$1.tsv --pairs --tokenizer word --out "$runs/$1" --layers 2 --heads 4 --embd 64 --context $4 \
    --batch 32 --steps $2 --lr 3e-3 --warmup 50 --val-fraction 0 --eval-every $(($2 / 4)) --save-every 0
  "$gradus" tune "$runs/$1" --pairs $tasks/$1.tsv --held-out $tasks/$1.test.tsv --reward $3 --out "$runs/$1-tuned" \
    --max-tokens 12 --steps 100 --batch 64 --lr 1e-3 --kl-coef 0.05 --save-every 0
}
learn translation 500 bleu 32
learn summary 400 rouge-l 48
for metric in exact-match bleu; do
  row translation $metric "$(mean translation $tasks/translation.test.tsv $metric)" \
    "$(mean translation-tuned $tasks/translation.test.tsv $metric)" 1 'of unseen sentences'
done
row summary rouge-l "$(mean summary $tasks/summary.test.tsv rouge-l)" \
  "$(mean summary-tuned $tasks/summary.test.tsv rouge-l)" 1 'of unseen texts'
# The first sentence as the summary, without its mark: what is to be beaten.
cut -f 1 $tasks/summary.test.tsv | sed 's/ \..*//; s/^news : //' > "$runs/first"
lead=$("$gradus" eval "$runs/summary" $tasks/summary.test.tsv --metric rouge-l --replies "$runs/first" --json |
  sed 's/,"replies".*//' | field mean)

# count_and_tune TASK TEXT OPTIONS...: a table of the text, and its posterior, which is known exactly.
count_and_tune() {
  task=$1 text=$2
  shift 2
  "$exact" train $tasks/"$text".tsv --pairs --tokenizer word --model tabular --context 32 --out "$runs/$task"
  "$exact" tune "$runs/$task" --out "$runs/$task-tuned" --kl-coef 0.3 --max-tokens 8 --batch 256 --steps 600 --lr 0.05 \
    --save-every 0 --json "$@" > "$runs/$task.json"
  first=$(grep -m 1 '"type":"step"' "$runs/$task-tuned/log.jsonl" | field objective_exact)
  row "$task" "J = reward - 0.3 KL" "$first" "$(field objective_exact < "$runs/$task.json")" \
    "$(field j_star < "$runs/$task.json")" "KL to pi* $(field kl_to_posterior < "$runs/$task.json")"
}
count_and_tune questions questions --pairs $tasks/facts.tsv --reward exact-match
cut -f 1 $tasks/dialogue.tsv | sort -u > "$runs/prompts"
count_and_tune dialogue dialogue --prompts "$runs/prompts" --reward relevance

echo
printf '%-13s %-23s %8s %8s %8s\n' task 'measured by' MLE tuned best
cat "$runs/table"
printf '%-13s %-23s %8.3f\n' summary 'rouge-l, first sentence' "$lead"
