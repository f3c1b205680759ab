#include "rl/step_trace.h"

#include <algorithm>
#include <cmath>

#include "engine/step/math.h"
#include "models/counted/count_trie.h"
#include "models/families.h"
#include "rl/teacher_forcing.h"

namespace gradus {
namespace {

using Words = std::vector<std::string>;

// The beginning that each row of a counted table stands for; the last is that of all others.
Words beginnings(std::span<const double> counts, int64_t rows, const Tokenizer& tokenizer) {
  const CountTrie trie(counts, tokenizer.size());
  Words words;
  for (int64_t node = 0; node < trie.size() && int64_t(words.size()) + 1 < rows; ++node) {
    if (trie.is_leaf(node)) continue;
    std::vector<int32_t> path;
    for (int64_t at = node; at != CountTrie::kRoot; at = trie.parent(at)) path.insert(path.begin(), trie.token(at));
    words.push_back(path.empty() ? "(start)" : tokenizer.decode(path));
  }
  words.emplace_back("(other)");
  return words;
}

// The graph of an update on a tape of its own, with copies of the models, which show their parts.
struct Graph {
  std::unique_ptr<LanguageModel> policy;
  std::unique_ptr<ValueNetwork> value;
  Shards shards{1, 1};

  Graph(const LanguageModel& of, const Needs& needs) : policy(clone(of)) {
    if (&policy->rung() == &fused_rung()) policy->use_rung(opened_rung());
    if (needs.value) value = std::make_unique<ValueNetwork>(*policy, needs.own_critic);
  }
  TeacherForcing pass(Needs needs, const LanguageModel& prior) {
    needs.other = nullptr;  // a target network makes no gradient
    return TeacherForcing(*policy, shards, needs, &prior, value.get());
  }
};

TraceOptions labels_of(const Params& params, const LanguageModel& policy, const Tokenizer& tokenizer) {
  TraceOptions options{.name = "tuning"};
  Words tokens;
  for (int32_t id = 0; id < tokenizer.size(); ++id) tokens.push_back(tokenizer.token(id));
  for (const std::string prefix : {"", "value."}) {
    for (const char* leaf : {"wte.weight", "embedding.weight", "head.weight"}) options.rows[prefix + leaf] = tokens;
    const int64_t table = params.find("table.weight");
    if (table < 0 || policy.counts().empty()) continue;
    options.rows[prefix + "table.weight"] = beginnings(policy.counts(), params.shape(table)[0], tokenizer);
    options.columns[prefix + "table.weight"] = tokens;
  }
  return options;
}

void set(Params& params, const std::vector<real>& numbers) { std::ranges::copy(numbers, params.edit().begin()); }

double largest_difference(std::span<const real> a, std::span<const real> b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(double(a[i]) - double(b[i])));
  return most;
}

constexpr int64_t kAllChecked = 4000, kChecked = 24;  // numbers of a step; elements of each value where it has more

}  // namespace

Trace trace_of(const StepRecord& record, const LanguageModel& policy, const LanguageModel& prior,
               const StepContext& context) {
  require(!record.updates.empty() && record.updates.back().policy && !record.after.log_pi.empty(), "trace_of",
          Loc::here(), "the step did not end, so that there is nothing to show");
  require(context.options.replay == 0, "trace_of", Loc::here(), "a step that shows ", context.options.replay,
          " earlier batches again; a trace has the fresh one alone");
  const UpdateRecord& update = record.updates.back();
  const OptimiserInput& in = *update.policy;
  const Experience mini = minibatch_of(record, update);
  const Needs needs = context.method.needs();
  Graph graph(policy, needs);
  set(graph.policy->params(), in.parameters);
  if (graph.value) set(graph.value->params(), update.value->parameters);
  TeacherForcing pass = graph.pass(needs, prior);
  pass.forward(mini.batch, record.temperature, {.seed = uint64_t(context.options.seed), .step = record.step});
  const double difference = largest_difference(pass.backward(update.descent), in.gradient);
  Tape& tape = graph.shards.tape(0);
  TraceOptions options = labels_of(graph.policy->params(), policy, context.tokenizer);
  if (graph.value) options.prefixes.emplace_back(&graph.value->params(), "value.");
  options.title = text("step ", record.step, ", ", context.options.algorithm, " on ", context.aim);
  options.checked = trace_size(tape).numbers > kAllChecked ? kChecked : 0;
  Trace trace = record_trace(tape, options);
  trace.loss = loss_of(update, mini.batch);
  trace.note = text(record.updates.size() > 1 ? "The last update of the step, c" : "C",
                    "omputed again on one tape, with attention and recurrent layers in their parts. The loss and the "
                    "gradients of the "
                    "parameters are those of the run; ",
                    difference == 0 ? "this tape's are the same to the bit."
                                    : text("this tape's differ from them by at most ", brief(difference), "."));
  if (update.value) trace.note += " The loss is that of the policy; the critic V descends ½ (R − V)² beside it.";
  add_updates(trace, graph.policy->params(), in.state, in.gradient, in.lr, in.factor);
  if (update.value)
    add_updates(trace, graph.value->params(), update.value->state, update.value->gradient, update.value->lr,
                update.value->factor, "value.");
  trace.opening = opening_scenes(record, context);
  trace.closing = closing_scenes(record, context);
  return trace;
}

TraceSize trace_size(const LanguageModel& policy, const LanguageModel& prior, const Method& method, int64_t rows,
                     int64_t T, double temperature) {
  Graph graph(policy, method.needs());
  TeacherForcing pass = graph.pass(method.needs(), prior);
  Tape tape;
  tape.only_measure();
  const Tape::Use use(tape);
  tape.new_step({.sequences = rows});
  pass.measure(rows, T, temperature);
  return trace_size(tape);
}

}  // namespace gradus
