// gradus bench: how fast this machine trains, fine-tunes and samples, beside what its processor and its BLAS can do.
//
// Every row of kWorks is prepared once for one thread and once for --threads; its run is repeated for --seconds and
// reported as median and spread. The breakdown by op is measured in separate passes, so it does not slow the timed
// ones. Texts are random: the work does not depend on their content. Over 350 lines: the works, the machine's peak and
// the report are read together.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "apps/console.h"
#include "apps/format.h"
#include "apps/ranks.h"
#include "apps/run.h"
#include "engine/gemm.h"
#include "engine/io/json.h"
#include "engine/ops.h"
#include "engine/optim.h"
#include "models/loss.h"
#include "models/sampler.h"
#include "models/text/read_text.h"
#include "rl/rollout.h"
#include "rl/tuner.h"

namespace gradus {
namespace {

template <class F>
double ms_of(F&& f) {
  const Stopwatch watch;
  f();
  return 1e3 * watch.seconds();
}

using Parts = std::vector<std::pair<std::string, double>>;  // names and milliseconds

// A work that is ready to run.
struct Job {
  double units = 0;              // tokens or nodes of one run
  double gflop = 0;              // of the matrix products of one run; 0: none worth counting
  std::function<void()> run;     // once
  std::function<Parts()> parts;  // where the time of one run goes ...
  const char* rest = "other";    // ... and what the remainder is
};

constexpr int64_t kVocabulary = 65, kDraws = 63;

// ------------------------------------------------------------------------------------------------ models

struct Size {
  Config config;
  double flop;  // of one token forward: two for each weight it meets, and its attention
};

Size gpt() {
  Config c;
  c.resolve(1);
  const double L = double(c.layers), C = double(c.embd);
  return {c, 2 * (12 * L * C * C + C * kVocabulary) + 4 * L * C * double(c.context)};
}

// Products with the embedding are left out: in a batch they are made once for each token of the vocabulary.
Size lstm() {
  Config c;
  c.model = "lstm", c.batch = 32, c.lr = 2e-3, c.weight_decay = 0;
  c.resolve(1);
  const double H = double(c.hidden);
  return {c, 2 * (4 * H * H + H * kVocabulary)};
}

// The model of microgpt, on lines.
Size tiny() {
  Config c;
  c.lines = true, c.layers = 1, c.embd = 16, c.context = 16, c.batch = 16;
  c.resolve(1);
  return {c, 0};
}

// Characters at random; lines hold 3 to 12 letters.
std::string random_text(bool lines, uint64_t seed) {
  const Rng rng(seed, Stream::kTest);
  std::string out;
  for (int64_t i = 0; i < 100'000; ++i) out += char((lines ? 'a' : '!') + rng.below(i, lines ? 26 : kVocabulary));
  for (int64_t i = 0, at = 3; lines && at < int64_t(out.size()); ++i, at += 4 + rng.at(1).below(i, 10))
    out[size_t(at)] = '\n';
  return out;
}

// ------------------------------------------------------------------------------------------------ works

// Runs every op that the tapes hold once more, forward and then backward, each with a clock of its own. Milliseconds a
// thread.
Parts parts_of_ops(Shards& shards) {
  std::vector<std::map<std::string, double>> ms(size_t(shards.size()));
  shards.each([&](int s) {
    shards.tape(s).restore_gradients();
    const std::span<const Op> ops = shards.tape(s).ops();
    for (Op op : ops) ms[size_t(s)][op.kind->name] += ms_of([&] { op.kind->forward(op); });
    for (auto i = ops.rbegin(); i != ops.rend(); ++i)
      if (Op op = *i; op.out[0]->grad) ms[size_t(s)][op.kind->name] += ms_of([&] { op.kind->backward(op); });
  });
  std::map<std::string, double> all;
  for (const auto& shard : ms)
    for (const auto& [name, x] : shard) all[name] += x / double(shards.threads());
  return {all.begin(), all.end()};
}

// One step as apps/train.cpp takes it, from the batch to the optimiser.
Job training_step(const Size& size, int threads, uint64_t seed) {
  struct Training {
    Config config;
    Tokenizer tokenizer;
    Corpus corpus;
    std::unique_ptr<LanguageModel> model;
    Shards shards;
    AdamW optimizer{model->params(), {.weight_decay = config.weight_decay}};
    BatchLoss loss{shards};
    Batch batch{};
    int64_t step = 0;
  };
  Config config = size.config;
  const std::string content = random_text(config.lines, seed);
  const Tokenizer tokenizer =
      config.lines ? Tokenizer::from_lines("char", split_lines(content)) : Tokenizer::from_text("char", content);
  config.end_id = tokenizer.end_id();
  const auto t =
      std::shared_ptr<Training>(new Training{.config = config,
                                             .tokenizer = tokenizer,
                                             .corpus = Corpus(config.corpus(), tokenizer, content, "random text"),
                                             .model = make_model(config, tokenizer.size()),
                                             .shards = Shards(threads, threads)});
  const auto update = [t] {
    const std::span<const real> gradient = t->shards.gradient(t->model->params());
    t->optimizer.step(t->model->params(), gradient, t->config.lr, clip_factor(gradient_norm(gradient), 1));
  };
  Job job;
  job.run = [=] {
    const StepInfo info{.seed = seed, .step = ++t->step, .training = true};
    t->batch.draw(t->corpus, Split::kTrain, Rng(seed, Stream::kBatch, t->step), 0, t->config.batch);
    t->loss.forward(*t->model, t->batch, info);
    t->loss.backward(1 / double(t->batch.scored));
    update();
  };
  job.run();
  job.units = double(t->batch.scored);
  job.gflop = 3e-9 * size.flop * job.units;  // backward is two products for each one forward
  job.parts = [=] {
    job.run();
    Parts parts = parts_of_ops(t->shards);
    parts.emplace_back("update", ms_of(update));
    return parts;
  };
  return job;
}

// REINFORCE with leave-one-out and a KL penalty: 64 sequences of 32 draws, the prior a copy of the policy.
Job tuning_step(const Size& size, int threads, uint64_t seed) {
  struct Tuning {
    std::unique_ptr<LanguageModel> policy, prior;
    Shards shards;
    AdamW optimizer{policy->params(), {.weight_decay = 0}};
    std::unique_ptr<Tuner> tuner = {};
    int64_t step = 0;
  };
  constexpr int64_t kBatch = 64;
  const World world{.prompt = {0}, .max_tokens = 32};
  const std::vector<std::vector<int32_t>> prompts{{0}};
  const auto t = std::shared_ptr<Tuning>(new Tuning{.policy = make_model(size.config, kVocabulary),
                                                    .prior = make_model(size.config, kVocabulary),
                                                    .shards = Shards(threads, threads)});
  const auto reward = [](const Sequences& sequences, std::span<const int32_t>) {
    std::vector<double> r;
    for (int64_t i = 0; i < sequences.size(); ++i) {
      const auto text = sequences.text(i);
      r.push_back(double(std::count(text.begin(), text.end(), 1)));
    }
    return r;
  };
  TuneConfig options;
  options.batch = kBatch;
  options.seed = int64_t(seed);
  t->tuner = std::make_unique<Tuner>(*t->policy, *t->prior, prompts, world, reward, options, t->shards);
  Job job;
  job.units = double(kBatch * world.max_tokens);
  job.gflop = 5e-9 * size.flop * job.units;  // drawn, scored by both models, and backward
  job.run = [=] { t->tuner->step(++t->step, t->optimizer, 1e-4, 1); };
  job.parts = [=] {
    job.run();
    const std::vector<int32_t> of(size_t(kBatch), 0);
    const Rng rng(seed, Stream::kSample, t->step);
    t->shards.begin({}, kBatch);
    const double drawing = ms_of([&] { roll_out(*t->policy, world, prompts, of, rng, t->shards); });
    const double scoring = ms_of([&] { token_log_probs(*t->prior, t->shards, t->tuner->fresh().batch, 1); });
    return Parts{{"draw", drawing}, {"score by the prior", scoring}};
  };
  job.rest = "score and update";
  return job;
}

// `count` sequences of 63 draws behind one token, as gradus sample draws them.
Job sampling(const Size& size, int64_t count, int threads, uint64_t seed) {
  const std::shared_ptr<LanguageModel> model = make_model(size.config, kVocabulary);
  const auto pool = std::make_shared<Pool>(threads);
  const auto step = std::make_shared<int64_t>(0);
  const int64_t rows = std::min(count, side_by_side(*model)), groups = (count + rows - 1) / rows;
  Job job;
  job.units = double(count * kDraws);
  job.gflop = 1e-9 * size.flop * job.units;
  job.run = [=] {
    draw_sequences(*model, {0}, 0, count, {.max_tokens = kDraws}, Rng(seed, Stream::kSample, ++*step), *pool);
  };
  job.parts = [=] {
    Tape tape;
    const Tape::Use use(tape);
    State state = model->start(rows);
    const std::vector<int32_t> token(size_t(rows), 0);
    double next = 0;
    for (int64_t t = 0; t < kDraws; ++t) {
      const Tape::Mark mark(tape);
      next += ms_of([&] { model->next(state, token); });
    }
    return Parts{{"logits", next * double(groups) / double(std::min<int64_t>(groups, threads))}};
  };
  job.rest = "softmax and draw";
  return job;
}

// Scalars on a tape, on every thread its own: steps of a chain y ← y b + c, `links` long, each with its backward pass.
Job scalars(int64_t steps, int64_t links, int threads) {
  const auto shards = std::make_shared<Shards>(threads, threads);
  const auto go = [=](bool backward) {
    shards->begin({}, threads);
    shards->each([&](int s) {
      Tape& tape = shards->tape(s);
      for (int64_t i = 0; i < steps; ++i) {
        tape.new_step();
        const Tensor b = variable("b", real(0.5)), c = variable("c", real(-0.3));
        Tensor y = variable("y", 2);
        for (int64_t k = 0; k < links; ++k) y = y * b + c;
        if (backward) tape.backward(y);
      }
    });
  };
  Job job;
  job.units = double(threads * steps * links * 2);
  job.run = [=] { go(true); };
  job.parts = [=] { return Parts{{"forward", ms_of([&] { go(false); })}}; };
  job.rest = "backward";
  return job;
}

struct Work {
  const char* name;
  const char* unit;  // of what one second counts
  Job (*prepare)(int threads, uint64_t seed);
};
constexpr Work kWorks[] = {
    {"gpt-step", "tokens", [](int n, uint64_t seed) { return training_step(gpt(), n, seed); }},
    {"lstm-step", "tokens", [](int n, uint64_t seed) { return training_step(lstm(), n, seed); }},
    {"tiny-step", "tokens", [](int n, uint64_t seed) { return training_step(tiny(), n, seed); }},
    {"rl-gpt-step", "tokens", [](int n, uint64_t seed) { return tuning_step(gpt(), n, seed); }},
    {"rl-lstm-step", "tokens", [](int n, uint64_t seed) { return tuning_step(lstm(), n, seed); }},
    {"sample-gpt-1", "tokens", [](int n, uint64_t seed) { return sampling(gpt(), 1, n, seed); }},
    {"sample-gpt-64", "tokens", [](int n, uint64_t seed) { return sampling(gpt(), 64, n, seed); }},
    {"sample-lstm-1", "tokens", [](int n, uint64_t seed) { return sampling(lstm(), 1, n, seed); }},
    {"sample-lstm-64", "tokens", [](int n, uint64_t seed) { return sampling(lstm(), 64, n, seed); }},
    {"scalar-chain", "nodes", [](int n, uint64_t) { return scalars(100, 500, n); }},
    {"scalar-step", "nodes", [](int n, uint64_t) { return scalars(10'000, 1, n); }},
};

// ------------------------------------------------------------------------------------------------ the machine

// Multiply-adds in registers and nothing else: ten vectors hide the latency of two units. Built with -O3 (Makefile), or
// they would not stay in registers.
double fma_chain(int64_t n) {
#ifdef __AVX512F__
  constexpr int kLanes = 10 * 64 / sizeof(real);
#else
  constexpr int kLanes = 10 * 32 / sizeof(real);
#endif
  real x[kLanes];
  for (int i = 0; i < kLanes; ++i) x[i] = real(i);
  for (int64_t t = 0; t < n; ++t)
    for (int i = 0; i < kLanes; ++i) x[i] = std::fma(x[i], real(0.999), real(0.001));
  double sum = 0;
  for (const real v : x) sum += double(v);
  return sum > 0 ? 2.0 * kLanes * double(n) * 1e-9 : 0;  // its value is used, or a compiler may leave it out
}

double square_product(int64_t n) {
  std::vector<real> a(size_t(n * n), 1), b(a), c(a);
  for (int i = 0; i < 4; ++i) gemm(kNo, kNo, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
  return 4 * 2e-9 * double(n * n * n);
}

// The best of five: GFLOP/s where every thread runs `work`, which returns the GFLOP it did.
template <class F>
double gflops_of(int threads, F work) {
  Pool pool(threads);
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    std::vector<double> done(static_cast<size_t>(threads));
    const double ms = ms_of([&] { pool.each(threads, [&](int t) { done[size_t(t)] = work(); }); });
    best = std::max(best, 1e3 * std::accumulate(done.begin(), done.end(), 0.0) / ms);
  }
  return best;
}

struct Machine {
  int threads;
  double fma, product;  // GFLOP/s
};
Machine measure_machine(int threads) {
  return {threads, gflops_of(threads, [] { return fma_chain(4'000'000); }),
          gflops_of(threads, [] { return square_product(1024); })};
}

// ------------------------------------------------------------------------------------------------ the report

Json measure(const Work& work, const Machine& machine, uint64_t seed, double seconds) {
  const Job job = work.prepare(machine.threads, seed);
  for (int warm = 0; warm < 2; ++warm) job.run();
  std::vector<double> ms;
  for (double spent = 0; spent < 1e3 * seconds || ms.size() < 5; spent += ms.back()) ms.push_back(ms_of(job.run));
  std::sort(ms.begin(), ms.end());
  const double median = ms[ms.size() / 2];
  const double gflops = 1e3 * job.gflop / median;
  const auto or_null = [&](double x) { return gflops > 0 ? Json(x) : Json(nullptr); };
  Parts parts;  // of the fastest of several passes
  double known = INFINITY;
  for (double spent = 0; parts.empty() || spent < 1e3 * seconds;) {
    Parts pass;
    spent += ms_of([&] { pass = job.parts(); });
    double total = 0;
    for (const auto& part : pass) total += part.second;
    if (total >= known) continue;
    parts = std::move(pass);
    known = total;
  }
  parts.emplace_back(job.rest, std::max(0.0, median - known));
  for (auto& part : parts) part.second *= median / std::max(known, median);  // that pass may have been the slower one
  std::stable_sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  Json ops = Json::array();
  for (const auto& [name, part] : parts) ops.push_back({{"name", name}, {"ms", part}});
  return {{"name", work.name},
          {"threads", machine.threads},
          {"ms", std::vector<double>{ms.front(), median, ms.back()}},
          {"runs", ms.size()},
          {"per_second", 1e3 * job.units / median},
          {"unit", work.unit},
          {"gflops", or_null(gflops)},
          {"fma_share", or_null(gflops / machine.fma)},
          {"sgemm_share", or_null(gflops / machine.product)},
          {"ops", ops}};
}

// Three digits that matter.
std::string short_number(double x) { return fixed(x, x < 1 ? 3 : x < 10 ? 2 : x < 100 ? 1 : 0); }

void print_row(const Json& r) {
  const auto ms = r["ms"].get<std::vector<double>>();
  std::printf("%-14s %7d %7s %7s %7s %11s %-6s", r["name"].get<std::string>().c_str(), r["threads"].get<int32_t>(),
              short_number(ms[0]).c_str(), short_number(ms[1]).c_str(), short_number(ms[2]).c_str(),
              grouped_whole(r["per_second"].get<double>()).c_str(), r["unit"].get<std::string>().c_str());
  if (!r["gflops"].is_null())
    std::printf(" %4.0f %3.0f%% %3.0f%%", r["gflops"].get<double>(), 100 * r["fma_share"].get<double>(),
                100 * r["sgemm_share"].get<double>());
  std::string parts;
  for (const Json& op : r["ops"]) {
    const std::string part = fixed(100 * op["ms"].get<double>() / ms[1], 0) + " % " + op["name"].get<std::string>();
    if (parts.size() + part.size() + 2 > 76) break;
    parts += (parts.empty() ? "" : ", ") + part;
  }
  std::printf("\n    %s\n", parts.c_str());
  std::fflush(stdout);
}

}  // namespace

std::string bench_names() { return joined(names_of(kWorks), " | "); }

int bench(const BenchCommand& command) {
  if (command.grow) return grow(command);
  ranks_for("gradus bench without --grow");
  for (const std::string& name : command.names)
    if (std::ranges::find(kWorks, name, &Work::name) == std::end(kWorks))
      throw UsageError("bench " + name + ": must be one of " + bench_names());
  Console console(command.common);
  console.live("what the processor and the matrix product reach");
  const int threads = command.common.threads ? int(command.common.threads) : cores();
  std::vector<Machine> machines{measure_machine(1)};
  if (threads > 1) machines.push_back(measure_machine(threads));
  Json result{{"fma_gflops", machines[0].fma},
              {"sgemm_gflops", machines[0].product},
              {"threads", threads},
              {"fma_gflops_threads", machines.back().fma},
              {"sgemm_gflops_threads", machines.back().product},
              {"real", kRealName},
              {"work", Json::array()}};
  const bool show = !command.common.json;
  console.end_live();
  if (show) {
    std::printf("%s, OpenBLAS %s\n", kRealName, blas_core());
    for (const Machine& m : machines)
      std::printf("%d thread%s: %.0f GFLOP/s in multiply-adds, %.0f in a matrix product\n", m.threads,
                  m.threads == 1 ? "" : "s", m.fma, m.product);
    std::printf("\n%-14s %7s %23s %18s %4s %4s %4s\n%-14s %7s %7s %7s %7s %18s %4s %4s %4s\n", "", "", "ms a run  ", "",
                "GFL", "of", "of", "work", "threads", "min", "median", "max", "a second      ", "OP/s", "FMA", "gemm");
  }
  for (const Work& work : kWorks) {
    if (!command.names.empty() && std::ranges::find(command.names, work.name) == command.names.end()) continue;
    for (const Machine& machine : machines) {
      console.live(text(work.name, " on ", machine.threads, machine.threads == 1 ? " thread" : " threads"));
      const Json record = measure(work, machine, uint64_t(command.common.seed), command.seconds);
      result["work"].push_back(record);
      console.end_live();
      if (show) print_row(record);
    }
  }
  if (command.common.json) std::printf("%s\n", result.dump().c_str());
  return kDone;
}

}  // namespace gradus
