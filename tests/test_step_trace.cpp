// rl/step_trace.h: a recorded step of a learner against the step that it is of. The run that is recorded is the run
// that is not; the numbers that are shown are the learner's, to the bit; the graph has the gradients that the
// optimisers get, and the update is what they do.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "engine/step/page.h"
#include "engine/step/text.h"
#include "models/families.h"
#include "rl/step_trace.h"
#include "rl/tuner.h"
#include "tests/line_world.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClip = 0.05;  // below every norm here, so that the clipping acts

TuneConfig options_of(const std::string& algorithm) {
  TuneConfig o;
  o.algorithm = algorithm;
  o.reward = {"contains:cat"};
  o.kl_coef = 0.4;
  o.batch = 6;
  o.max_tokens = 3;
  o.group = algorithm == "grpo" ? 3 : 0;
  if (algorithm == "ppo") o.epochs = 2, o.minibatches = 2, o.clip_ratio = 0.02;
  if (algorithm == "grpo") o.epochs = 2, o.clip_ratio = 0.01;
  if (algorithm == "q" || algorithm == "dqn") o.kl_coef = 0;
  return o;
}

// Two steps of a run in the world of two words; the second is recorded or not.
struct Run {
  LineWorld lines{kTwoWords, "word"};
  std::unique_ptr<LanguageModel> prior, policy;
  TuneConfig options;
  World world;
  RewardFunction reward;
  Shards shards;
  Tuner tuner;
  AdamW optimizer;
  std::vector<real> before;  // the step

  Run(const std::string& family, TuneConfig o, int shard_count)
      : prior(lines.model(family, [](Config& c) { c.dropout = 0.1; })),
        policy(clone(*prior)),
        options(std::move(o)),
        world{.prompt = {lines.end_id()}, .end_id = lines.end_id(), .max_tokens = options.max_tokens},
        reward([cat = lines.ids("the cat")[1]](const Sequences& s, std::span<const int32_t>) {
          std::vector<double> r;
          for (int64_t i = 0; i < s.size(); ++i) r.push_back(double(std::ranges::count(s.draws(i), cat)) - 0.3);
          return r;
        }),
        shards(shard_count, 1),
        tuner(*policy, *prior, {world.prompt}, world, reward, options, shards),
        optimizer(tuning_optimizer(*policy)) {}
  double step(int64_t n) {
    before.assign(policy->params().data().begin(), policy->params().data().end());
    return tuner.step(n, optimizer, 0.05, kClip);
  }
};

struct Traced : Run {
  StepRecord record;
  Trace trace;
  AdamW optimizer_before;

  Traced(const std::string& family, const TuneConfig& o, int shard_count)
      : Run(family, o, shard_count), optimizer_before(optimizer) {
    step(1);
    tuner.record(&record);
    step(2);
    tuner.record(nullptr);
    trace = trace_of(record, *policy, *prior, context());
  }
  StepContext context() const {
    return {.options = options,
            .method = *tuner.method,
            .tokenizer = lines.tokenizer,
            .prompts = {""},
            .aim = "the reward contains:cat"};
  }
  const UpdateRecord& last() const { return record.updates.back(); }
  // The first table of draws that has the column; null if none has.
  const TraceTable* table_with(const std::string& column) const {
    for (const auto* scenes : {&trace.opening, &trace.closing})
      for (const TraceScene& scene : *scenes)
        for (const TraceTable& table : scene.tables)
          if (table.columns.at(1) == "token" && std::ranges::count(table.columns, column) > 0) return &table;
    return nullptr;
  }
};

std::vector<double> column_of(const TraceTable& table, const std::string& column) {
  const size_t c = size_t(std::ranges::find(table.columns, column) - table.columns.begin());
  std::vector<double> x;
  for (const auto& row : table.rows) x.push_back(std::get<double>(row.at(c)));
  return x;
}
// Of an array [B,T] the draws alone.
std::vector<double> draws_of(const PaddedBatch& batch, const std::vector<double>& x) {
  std::vector<double> of;
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) of.push_back(x[size_t(b * batch.T + t)]);
  return of;
}
std::vector<double> doubles(std::span<const real> x) { return {x.begin(), x.end()}; }

// The parameters of an optimiser, in the trace and in truth.
void check_update(const Traced& of, const Params& params, const OptimiserInput& in, const AdamW& after,
                  const std::string& prefix) {
  for (int64_t i = 0; i < params.count(); ++i) {
    CAPTURE(prefix + params.name(i));
    const auto value = std::ranges::find(of.trace.values, prefix + params.name(i), &TraceValue::name);
    if (value == of.trace.values.end()) {  // the step does not use it
      const auto g = std::span(in.gradient).subspan(size_t(params.offset(i)), size_t(params.shape(i).numel()));
      CHECK(std::ranges::all_of(g, [](real x) { return x == 0; }));
      continue;
    }
    const auto part = [&](std::span<const real> all) {
      return doubles(all.subspan(size_t(params.offset(i)), size_t(params.shape(i).numel())));
    };
    CHECK(value->data == part(in.parameters));
    CHECK(value->grad == part(in.gradient));
    CHECK(value->agrees);
    const auto at = std::ranges::find(of.trace.updates, int(value - of.trace.values.begin()), &TraceUpdate::value);
    REQUIRE(at != of.trace.updates.end());
    CHECK(at->after == part(params.data()));
    CHECK(at->m == part(after.m));
    CHECK(at->v == part(after.v));
    for (size_t e = 0; e < at->clipped.size(); ++e)
      CHECK(at->clipped[e] == double(real(in.factor) * real(value->grad[e])));
  }
}

TEST_SUITE_BEGIN("step-trace");

TEST_CASE("a step that is recorded has the bits of one that is not, and the record is emptied for the next step") {
  for (const char* algorithm : {"reinforce", "grpo", "ppo", "actor-critic", "f-dpg", "soft-q", "dqn"}) {
    CAPTURE(algorithm);
    const TuneConfig o = options_of(algorithm);
    Run plain("lstm", o, 2), watched("lstm", o, 2);
    StepRecord record;
    for (int64_t n = 1; n <= 4; ++n) {
      watched.tuner.record(n == 2 || n == 3 ? &record : nullptr);
      CHECK(plain.step(n) == watched.step(n));
      CHECK(doubles(plain.policy->params().data()) == doubles(watched.policy->params().data()));
      if (n == 2 || n == 3) CHECK(int64_t(record.updates.size()) == o.epochs * o.minibatches);
    }
    CHECK(record.step == 3);
    if (plain.tuner.value())
      CHECK(doubles(plain.tuner.value()->params().data()) == doubles(watched.tuner.value()->params().data()));
  }
}

TEST_CASE(
    "the trace of a step has the gradients that the optimisers get and what they make of them, to the bit, for every "
    "method that draws, an LSTM, a Transformer and a table, one shard and several") {
  for (const char* family : {"lstm", "transformer", "tabular"})
    for (const char* algorithm : {"reinforce", "grpo", "ppo", "actor-critic", "f-dpg", "soft-q", "dqn"}) {
      CAPTURE(family);
      CAPTURE(algorithm);
      const Traced of(family, options_of(algorithm), 2);
      check_update(of, of.policy->params(), *of.last().policy, of.optimizer, "");
      if (of.tuner.value())
        check_update(of, of.tuner.value()->params(), *of.last().value, *of.tuner.value_optimizer(), "value.");
      for (const TraceOp& op : of.trace.ops)
        CHECK_MESSAGE((op.passes || !op.checked), op.kind->name << " " << op.error);
      CHECK(of.trace.loss == loss_of(of.last(), minibatch_of(of.record, of.last()).batch));
      CHECK(of.last().policy->parameters.size() == of.before.size());
      if (of.record.updates.size() == 1) CHECK(doubles(of.last().policy->parameters) == doubles(of.before));
      CHECK(of.trace.note.find("omputed again on one tape") != of.trace.note.npos);
    }
}

TEST_CASE("every number of the tables is the learner's, to the bit") {
  for (const char* algorithm : {"reinforce", "grpo", "ppo", "actor-critic"}) {
    CAPTURE(algorithm);
    const Traced of("lstm", options_of(algorithm), 2);
    const Experience& e = of.tuner.fresh();  // the learner's own
    const auto same = [&](const std::string& column, const std::vector<double>& x) {
      CAPTURE(column);
      const TraceTable* table = of.table_with(column);
      REQUIRE(table);
      CHECK(column_of(*table, column) == draws_of(e.batch, x));
    };
    same("r", e.reward);
    same("log π", e.log_pi);
    same("log q", e.log_q);
    same("c", e.credit);
    same("R", e.returns);
    same(e.value.empty() ? "b" : "V", e.baseline);
    same("A", e.advantage);
    // c is what its parts make of it, and the return is their sum.
    const std::vector<double> r = draws_of(e.batch, e.reward),
                              kl = column_of(*of.table_with("−β log π/q"), "−β log π/q"),
                              c = draws_of(e.batch, e.credit);
    for (size_t i = 0; i < c.size(); ++i) CHECK(std::fabs(r[i] + kl[i] - c[i]) < 1e-12);
    // And the advantage is what the return has above the baseline, but for GRPO's divisions and GAE.
    const std::vector<double> R = draws_of(e.batch, e.returns), b = draws_of(e.batch, e.baseline),
                              A = draws_of(e.batch, e.advantage);
    for (size_t i = 0; i < A.size() && algorithm != std::string("grpo"); ++i)
      CHECK(std::fabs(A[i] - (R[i] - b[i])) < 1e-12);
    for (size_t first = 0; first < 6 && algorithm == std::string("grpo"); first += 3) {  // groups of three
      const std::vector<double> above = at_first_draw(e.batch, e.returns), mean = at_first_draw(e.batch, e.baseline);
      double sum = 0;
      for (size_t g = first; g < first + 3; ++g) sum += above[g] - mean[g];
      CHECK(std::fabs(sum) < 1e-12);
    }
    // After the step the policy is the one that scores the same draws so.
    const TraceTable& after = of.trace.closing.at(0).tables.at(0);
    Shards shards(2, 1);
    shards.begin({}, e.size());
    std::vector<double> pi = token_log_probs(*of.policy, shards, e.batch, 1);
    for (double& x : pi) x = std::exp(x);
    CHECK(column_of(after, "π after") == draws_of(e.batch, pi));
  }
}

TEST_CASE("weights, ratios and what the clip holds are those of each update, on the rows of its minibatch") {
  for (const char* algorithm : {"ppo", "grpo"}) {
    CAPTURE(algorithm);
    const Traced of("lstm", options_of(algorithm), 1);
    const bool has_critic = of.tuner.value();  // and a scene of it behind each update
    const size_t n = of.record.updates.size(), each = has_critic ? 2 : 1, first = of.trace.opening.size() - each * n;
    int64_t held = 0;
    for (size_t u = 0; u < n; ++u) {
      const UpdateRecord& update = of.record.updates[u];
      const Experience mini = minibatch_of(of.record, update);
      const TraceTable& table = of.trace.opening[first + each * u].tables.at(0);
      CHECK(column_of(table, "ρ") == draws_of(mini.batch, update.weights.ratio));
      CHECK(column_of(table, "w") == draws_of(mini.batch, update.weights.log_pi));
      CHECK(column_of(table, "log π") == draws_of(mini.batch, update.now.log_pi));
      CHECK(column_of(table, "∂L/∂log π") == draws_of(mini.batch, update.descent.log_pi));
      const size_t clip = size_t(std::ranges::find(table.columns, "clip") - table.columns.begin());
      int64_t shown = 0;
      for (const auto& row : table.rows) shown += std::get<std::string>(row[clip]) == "held";
      CHECK(shown == *update.weights.clipped);
      held += shown;
      if (has_critic) {
        const TraceTable& critic = of.trace.opening[first + 2 * u + 1].tables.at(0);
        CHECK(column_of(critic, "V") == draws_of(mini.batch, update.now.value));
        CHECK(column_of(critic, "R − V") == draws_of(mini.batch, update.weights.value));
        CHECK(column_of(critic, "∂/∂V") == draws_of(mini.batch, update.descent.value));
      }
      if (int64_t(u) < of.options.minibatches)
        for (const double ratio : column_of(table, "ρ")) CHECK(std::fabs(ratio - 1) < (u == 0 ? 1e-15 : 0.5));
    }
    CHECK(held > 0);
  }
}

TEST_CASE("the page of a step holds its tables without rounding, and the walk fits a terminal of 80 by 24") {
  const Traced of("tabular", options_of("ppo"), 1);
  const Json json = to_json(of.trace);
  for (const char* part : {"opening", "closing"}) {
    const auto& scenes = part == std::string("opening") ? of.trace.opening : of.trace.closing;
    REQUIRE(json.at(part).size() == scenes.size());
    for (size_t s = 0; s < scenes.size(); ++s)
      for (size_t t = 0; t < scenes[s].tables.size(); ++t)
        for (size_t r = 0; r < scenes[s].tables[t].rows.size(); ++r)
          for (size_t c = 0; c < scenes[s].tables[t].columns.size(); ++c) {
            const Json& cell = json.at(part)[s].at("tables")[t].at("rows")[r][c];
            const auto* number = std::get_if<double>(&scenes[s].tables[t].rows[r][c]);
            CHECK((number ? cell.get<double>() == *number
                          : cell.get<std::string>() == std::get<std::string>(scenes[s].tables[t].rows[r][c])));
          }
  }
  CHECK(Json::parse(json.dump()) == json);
  CHECK(step_page(of.trace).find("id=\"start-part\"") != std::string::npos);
  for (int p = 0; p < of.trace.positions(); ++p)
    for (const char asked : {'\0', 'w', 'v', 'e'}) {
      CAPTURE(p);
      const std::string screen = screen_text(of.trace, p, asked, "", 80, 24);
      CHECK(std::ranges::count(screen, '\n') < 24);
      std::istringstream lines(screen);
      for (std::string line; std::getline(lines, line);)
        CHECK(std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; }) <= 80);
    }
}

TEST_CASE("a step that diverged or showed earlier batches again is refused") {
  Traced of("lstm", options_of("reinforce"), 1);
  StepRecord nothing;
  CHECK_THROWS_WITH_AS(trace_of(nothing, *of.policy, *of.prior, of.context()), doctest::Contains("did not end"),
                       ShapeError);
  of.options.replay = 2;
  CHECK_THROWS_WITH_AS(trace_of(of.record, *of.policy, *of.prior, of.context()), doctest::Contains("earlier batches"),
                       ShapeError);
}

TEST_CASE("the size that is promised for a step is that of its graph where no text ends early") {
  for (const char* family : {"lstm", "transformer", "tabular"})
    for (const char* algorithm : {"reinforce", "ppo"}) {
      CAPTURE(family);
      CAPTURE(algorithm);
      const Traced of(family, options_of(algorithm), 1);
      const PaddedBatch& mini = minibatch_of(of.record, of.last()).batch;
      const TraceSize size = trace_size(*of.policy, *of.prior, *of.tuner.method, mini.B, mini.T, 1);
      CHECK(size.ops == int64_t(of.trace.ops.size()));
      int64_t numbers = 0;
      for (const TraceValue& v : of.trace.values) numbers += int64_t(v.data.size());
      CHECK(size.numbers == numbers);
    }
}

TEST_SUITE_END();

}  // namespace
