#!/bin/sh
# make measure: figures of tune --algorithm that take minutes, each beside what it should be: every method at one
# posterior, DQN over seeds, pay by step, two prompts and two tasks in one model, every reward at its own posterior.
cd "$(dirname "$0")/../.." || exit 1
here=$PWD gradus=${GRADUS_F64:-$PWD/build/gradus-f64}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && cd "$work" || exit 1
field() { sed -n 's/.*"'"$1"'":\[*\([-+0-9.einf]*\).*/\1/p'; }
tune() { rm -rf run; "$gradus" tune "$@" --out run --quiet --json; }
ended() { printf '  %-34s %.2e\n' "$1" "$(field kl_to_posterior)"; }

printf 'the cat sat\nthe cat ran\nthe dog ran\na cat sat\na dog sat\na dog ran\nthe dog sat\n' > words.txt
sizes='--lines --tokenizer word --layers 1 --heads 2 --embd 16 --hidden 16 --context 8 --steps 300 --lr 0.01 --val-fraction 0'
for model in transformer lstm; do
  # shellcheck disable=SC2086
  "$gradus" train words.txt --out $model --model $model $sizes --quiet
done
common='--max-tokens 4 --batch 128 --lr 0.01' wide='--max-tokens 4 --batch 256 --lr 0.01'

echo 'KL(policy, posterior) of one reward, beta 0.5: below 0.02 for every method'
for model in lstm transformer; do
  for method in reinforce 'grpo --no-divide-std --no-divide-length' 'ppo --epochs 2' actor-critic soft-q f-dpg; do
    # shellcheck disable=SC2086
    tune $model --algorithm $method --reward contains:cat --reward count:ran --kl-coef 0.5 --steps 600 $common |
      ended "$model ${method%% *}"
  done
done

echo 'DQN on three draws of four tokens, a random reward for each text: the best text in at least 9 of 10 seeds'
printf 'a b c\nb c a\nc a b\na a b\n' > abc.txt
# shellcheck disable=SC2086
"$gradus" train abc.txt --out abc --model lstm $sizes --quiet
right=0
for seed in 1 2 3 4 5 6 7 8 9 10; do
  awk -v seed=$seed 'BEGIN { srand(seed); printf "{\"rewards\":{"; split("a b c", w, " ")
    for (i = 1; i <= 3; ++i) { printf "%s\"%s\":%.3f", (i > 1 ? "," : ""), w[i], rand()
      for (j = 1; j <= 3; ++j) { printf ",\"%s %s\":%.3f", w[i], w[j], rand()
        for (k = 1; k <= 3; ++k) printf ",\"%s %s %s\":%.3f", w[i], w[j], w[k], rand() } } print "},\"default\":0}" }' > r.json
  tune abc --algorithm dqn --reward table:r.json --max-tokens 3 --steps 1500 --batch 64 --lr 0.01 --epsilon 0.5 --seed $seed > said
  best=$(field j_star < said) got=$(field objective_exact < said)
  printf '  seed %-2d   best %.3f   greedy %.3f\n' $seed "$best" "$got"
  [ "$best" = "$got" ] && right=$((right + 1))
done
echo "  $right of 10"

echo 'Paid at the end and by step (the potential is the reward of the beginning): one posterior, below 1e-3'
for pay in end step; do
  # shellcheck disable=SC2086
  tune lstm --algorithm ppo --reward count:cat --reward similarity:a --pay $pay --kl-coef 0.5 --steps 1500 $wide | ended "ppo --pay $pay"
  # shellcheck disable=SC2086
  tune lstm --reward-to-go --baseline value --reward count:cat --reward similarity:a --pay $pay --kl-coef 0.5 --steps 1500 $wide | ended "reinforce --pay $pay"
done

echo 'Two prompts, and two tasks (relevance: each prompt wants its own word), in one model: mean over both below 5e-4'
printf 'the\na\n' > two.txt
printf 'the cat\nthe dog\n' > tasks.txt
printf 'the cat sat cat\nthe dog sat dog\nthe cat ran dog\nthe dog ran cat\n' > tasked.txt
# shellcheck disable=SC2086
"$gradus" train tasked.txt --out tasked --model lstm $sizes --quiet
# shellcheck disable=SC2086
tune lstm --reward contains:cat --prompts two.txt --kl-coef 0.5 --steps 1500 $wide | ended 'two prompts'
tune tasked --reward relevance --prompts tasks.txt --kl-coef 0.5 --steps 800 --max-tokens 3 --batch 128 --lr 0.01 | ended 'two tasks'

echo 'Every named reward at its own posterior, beta 0.5: below 1e-3'
printf 'line = the cat sat\n     | the dog sat\n' > cat.grammar
echo dog > block.txt
printf 'cat\t1\nran\t-1\n' > lexicon.tsv
echo '{"rewards":{"the cat sat":1,"a dog ran":0.5},"default":0}' > table.json
printf '#!/bin/sh\nwhile read -r line; do case $line in *cat*) echo 1;; *) echo 0;; esac; done\n' > judge.sh && chmod +x judge.sh
for reward in contains:cat count:t length:2 end grammar:cat.grammar blocklist:block.txt lexicon:lexicon.tsv 'similarity:the dog' \
  distinct:1 '0.2*fluency:transformer' table:table.json command:./judge.sh; do
  # shellcheck disable=SC2086
  tune lstm --reward "$reward" --kl-coef 0.5 --steps 1500 $wide | ended "$reward"
done
[ -d "$here" ]
