// Memory that is promised before it is taken, over a grid of options: what models/memory.h and its like say from shapes
// is what the tapes then hold. Long, because every promise is measured in its own way.
#include "models/memory.h"

#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "apps/commands.h"
#include "engine/io/free_memory.h"
#include "models/families.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"
#include "rl/exact_gradient.h"
#include "rl/teacher_forcing.h"
#include "rl/tuner.h"
#include "tests/alloc_count.h"
#include "tests/lm_step.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using testing::LmStep;
using testing::TokenBatch;

constexpr int64_t kVocabulary = 23;

struct Case {
  const char* model;
  int64_t B, T, shards;
  int64_t layers = 1, heads = 1, embd = 8, hidden = 12;
  const char* ops = "fused";
  double dropout = 0;
};

ModelOptions options_of(const Case& c) {
  ModelOptions options;
  options.model = c.model;
  options.layers = c.layers;
  options.heads = c.heads;
  options.embd = c.embd;
  options.hidden = c.hidden;
  options.context = c.T;
  options.ops = c.ops;
  options.dropout = c.dropout;
  return options;
}

// Bytes on the tapes of the shards.
double held(Shards& shards) {
  double bytes = 0;
  for (int s = 0; s < shards.size(); ++s) bytes += double(shards.tape(s).bytes());
  return bytes;
}

// Where arrays have few numbers what lies between them counts: the arena fills gaps that only_count() does not see.
void check_close(double promised, double taken, double most = 1.1, double least = 0.9) {
  CAPTURE(promised);
  CAPTURE(taken);
  CHECK(promised >= least * taken);
  CHECK(promised <= most * taken);
}

const std::vector<Case> kGrid{
    {"transformer", 3, 16, 1},
    {"transformer", 12, 200, 2, 2, 4, 16},  // T² outweighs all else
    {"transformer", 7, 64, 3, 5, 2, 32},    // shards of two sizes
    {"transformer", 2, 300, 2, 1, 8, 8},
    {"transformer", 4, 32, 2, 2, 2, 16, 0, "composed"},
    {"transformer", 5, 24, 1, 2, 2, 16, 0, "fused", 0.2},
    {"lstm", 3, 16, 1},
    {"lstm", 8, 50, 2, 2, 1, 8, 40},
    {"lstm", 2, 5, 2, 1, 1, 16, 30},  // fewer tokens than words: the other product
    {"lstm", 4, 12, 2, 1, 1, 8, 10, "composed"},
    {"lstm", 3000, 40, 2, 1, 1, 4, 6},  // more rows than are measured
    {"rnn", 6, 70, 2, 3, 1, 8, 20},
    {"rnn", 5, 9, 3, 1, 1, 8, 10, "composed"},
    {"rnn", 20000, 4, 4, 1, 1, 4, 4},
    {"nnlm", 9, 33, 2, 1, 1, 12, 17},
    {"nnlm", 4, 100, 1, 1, 1, 4, 50, "fused", 0.5},
    {"transformer", 70000, 1, 2, 1, 1, 4},
};

// What f says in a process of its own.
template <class F>
std::string said_apart(F f) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::string said;
    try {
      said = f();
    } catch (...) {  // the test must not go on twice
    }
    _exit(::write(ends[1], said.data(), said.size()) < 0);
  }
  ::close(ends[1]);
  std::string said(1000, '\0');
  const ssize_t n = ::read(ends[0], said.data(), said.size());
  said.resize(size_t(std::max<ssize_t>(n, 0)));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return said;
}

// The most bytes of memory that the system had to give this process at once.
double peak_bytes() {
  std::ifstream status("/proc/self/status");
  double kilobytes = 0;
  for (std::string word; status >> word;)
    if (word == "VmHWM:") status >> kilobytes;
  return 1024 * kilobytes;
}

// f takes what was promised. It runs in a process of its own. A promise may look up to 30 % too high here, since that
// process holds pieces of memory that earlier tests have freed and f uses again; tests/program/test_memory.cpp measures
// fresh processes, within a tenth.
template <class F>
void check_takes(double promised, F f, double least = 0.9) {
  constexpr double most = 1.3;
  if (!testing::mallocs_counted()) return;  // a sanitizer takes memory of its own
  REQUIRE(promised > 2.5e7);                // far above what any process takes to begin
  const std::string taken = said_apart([&] {
    ::mallopt(M_MMAP_THRESHOLD, 1 << 20);  // as apps/main.cpp does
    ::malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins at what is held now
    const double before = peak_bytes();
    f();
    return std::to_string(peak_bytes() - before);
  });
  REQUIRE(!taken.empty());
  check_close(promised, std::stod(taken), most, least);
}

std::vector<double> reward_of(const Sequences& sequences, std::span<const int32_t>) {
  std::vector<double> reward(size_t(sequences.size()), 0);
  for (size_t i = 0; i < reward.size(); ++i) reward[i] = double(i % 3);
  return reward;
}

}  // namespace

TEST_SUITE_BEGIN("memory");

TEST_CASE("a training step takes what was promised from shapes, before the model had a number") {
  for (const Case& c : kGrid) {
    CAPTURE(c.model);
    CAPTURE(c.B);
    CAPTURE(c.T);
    CAPTURE(c.ops);
    const auto model = declare_model(options_of(c), kVocabulary);
    const double promised = training_bytes(*model, c.B, c.T, c.shards);
    model->initialise();
    LmStep step(int(c.shards), 2);
    step.run(*model, {.training = true}, TokenBatch::numbered(c.B, c.T, kVocabulary));
    const double parameters = double(model->params().size()) * sizeof(real) * 3;
    check_close(promised, held(step.shards()) + parameters + 8.0 * double(c.B * c.T));
  }
}

TEST_CASE("of a training step the values are kept, and few of their gradients at once") {
  const Case c{"transformer", 12, 64, 2, 4, 4, 128};
  const auto model = declare_model(options_of(c), 61);
  const auto values = bytes_of_shards(c.B, c.T, c.shards, [&](int64_t rows) {
    const std::vector<int32_t> ids(size_t(rows * c.T), 0);
    model->losses(ids, ids, rows, c.T);
  });
  const double parameters = double(model->params().declared_size()) * sizeof(real);
  const double beside = (3 + double(c.shards)) * parameters;  // moments and gradients too
  CHECK(training_bytes(*model, c.B, c.T, c.shards) < 1.2 * values + beside);
}

// Rank r of R, whose exchanges bring nothing: what a rank holds does not depend on what it is sent.
class SilentRank final : public Comm {
 public:
  SilentRank(int rank, int ranks) : rank_(rank), ranks_(ranks) {}
  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }

 private:
  void transfer(std::span<const Sent>, std::span<const Received>) override {}
  int rank_, ranks_;
};

TEST_CASE(
    "a rank is promised its own shards, the sum of all, and its range of every gradient; the ranks have them all") {
  for (const Case& c : kGrid) {
    if (c.B > 100) continue;
    for (const int ranks : {2, 3}) {
      CAPTURE(c.model);
      CAPTURE(c.shards);
      CAPTURE(ranks);
      const auto model = make_model(options_of(c), kVocabulary);
      const double n = double(model->params().size()) * sizeof(real);
      double tapes = 0;
      for (int r = 0; r < ranks; ++r) {
        SilentRank comm(r, ranks);
        const double beside = 4 * n + double(c.shards) * n / ranks + 8.0 * double(c.B * c.T),
                     promised = training_bytes(*model, c.B, c.T, OwnShards(c.shards, comm));
        tapes += promised - beside;
        Shards shards(comm, int(c.shards), 1);
        BatchLoss loss(shards);
        const TokenBatch tokens = TokenBatch::numbered(c.B, c.T, kVocabulary);
        Batch batch{.inputs = tokens.tokens, .targets = tokens.targets, .B = c.B, .T = c.T, .windows = {}};
        loss.forward(*model, batch, {.training = true});
        loss.backward(1);
        double taken = 0;
        for (int s = shards.own_first(); s < shards.own_last(); ++s) taken += double(shards.tape(s).bytes());
        check_close(promised, taken + beside);
      }
      const double alone = training_bytes(*model, c.B, c.T, c.shards) - 3 * n;
      CHECK(tapes == doctest::Approx(alone - 8.0 * double(c.B * c.T)).epsilon(1e-3));
    }
  }
}

TEST_CASE("a step of fine-tuning on ranks is promised the tapes of its own shards, and the batch on each") {
  const Case c{"transformer", 300, 40, 4, 2, 2, 16};
  const auto policy = make_model(options_of(c), 500), prior = make_model(options_of(c), 500);
  TuneConfig options;
  options.batch = c.B;
  Shards shards(int(c.shards), 1);
  Tuner tuner(*policy, *prior, {{0}}, {.prompt = {0}, .end_id = 1, .max_tokens = c.T - 1}, reward_of, options, shards);
  const double alone = tuner.step_bytes(1);
  double first = tuner.step_bytes(1, SilentRank(0, 4));
  for (int r = 1; r < 4; ++r) CHECK(tuner.step_bytes(1, SilentRank(r, 4)) == doctest::Approx(first));
  CHECK(first < 0.35 * alone);
  CHECK(first > 0.25 * alone);
  CHECK(tuner.step_bytes(1, SilentRank(0, 5)) < 0.1 * alone);  // it has no shard
}

TEST_CASE("an evaluation takes what was promised, less than training") {
  for (const Case& c : kGrid) {
    CAPTURE(c.model);
    CAPTURE(c.B);
    CAPTURE(c.T);
    const auto model = make_model(options_of(c), kVocabulary);
    const double promised = evaluation_bytes(*model, c.B, c.T, c.shards);
    CHECK(promised < training_bytes(*model, c.B, c.T, c.shards));
    Shards shards(int(c.shards), 2);
    BatchLoss loss(shards);
    TokenBatch tokens = TokenBatch::numbered(c.B, c.T, kVocabulary);
    Batch batch;
    batch.B = c.B, batch.T = c.T;
    batch.inputs = tokens.tokens;
    batch.targets = tokens.targets;
    loss.forward(*model, batch, {}, false);
    check_close(promised, held(shards) + 8.0 * double(c.B * c.T));
  }
}

TEST_CASE("all scores of fine-tuning take what was promised, with a prior, values, entropies and the KL of each row") {
  for (const Case& c : kGrid) {
    if (c.B > 100) continue;
    CAPTURE(c.model);
    CAPTURE(c.T);
    const auto policy = make_model(options_of(c), kVocabulary), prior = make_model(options_of(c), kVocabulary);
    for (const bool everything : {false, true}) {
      CAPTURE(everything);
      const ValueNetwork value(*policy);
      Needs needs;
      needs.value = needs.entropy = needs.kl = everything;
      Shards shards(int(c.shards), 2);
      TeacherForcing pass(*policy, shards, needs, prior.get(), everything ? &value : nullptr);
      const double promised = pass.bytes(c.B, c.T, 0.7);
      PaddedBatch batch;
      batch.B = c.B, batch.T = c.T;
      const TokenBatch tokens = TokenBatch::numbered(c.B, c.T, kVocabulary);
      batch.inputs = tokens.tokens;
      batch.targets = tokens.targets;
      const Scores& now = pass.forward(batch, 0.7);
      token_log_probs(*prior, shards, batch, 0.7);
      Weights weights;
      for (size_t k = 0; k < kScores; ++k) (weights.*kWeightOf[k]).assign((now.*kScoreOf[k]).size(), 1);
      pass.backward(weights);
      check_close(promised, held(shards));
    }
  }
}

TEST_CASE("what a sampler remembers is promised, also where no machine could hold it") {
  for (const Case& c : {Case{"transformer", 10000, 40, 1, 3, 2, 16}, Case{"lstm", 20000, 8, 1, 2, 1, 8, 200},
                        Case{"nnlm", 100000, 8, 1, 1, 1, 32, 100}}) {
    CAPTURE(c.model);
    const auto model = make_model(options_of(c), kVocabulary);
    const State none = model->start(0);
    const double bytes = double(c.B) * double(none.width * int64_t(sizeof(real)) + none.window * 4 + 8);
    const double alone = sampling_bytes(*model, c.B, false);
    CHECK(sampling_bytes(*model, c.B, true) - alone == doctest::Approx(0.75 * bytes));
    check_takes(alone, [&] {
      Tape tape;
      const Tape::Use use(tape);
      const std::vector<int32_t> prompt{0}, of(size_t(c.B), 0);
      draw_sequences(*model, {&prompt, 1}, of, {.max_tokens = 2}, Rng(1, Stream::kSample));
    });
  }
  Case large{"transformer", 1, 1 << 20, 1, 1000, 1, 1};  // 4 MB of positions, 8 GB of keys and values a sequence
  const auto model = declare_model(options_of(large), kVocabulary);
  CHECK(sampling_bytes(*model, 1, false) > 8e9 * sizeof(real) / 4);
  CHECK(sampling_bytes(*model, 3, false) > 24e9 * sizeof(real) / 4);
}

TEST_CASE("listing a world takes what was promised") {
  struct Walked {
    Case model;
    int64_t vocabulary, max_tokens;
  };
  for (const Walked& walked : {Walked{{"transformer", 1, 256, 1, 4, 1, 64}, 3, 12},
                               Walked{{"lstm", 1, 8, 1, 1, 1, 8, 16}, 999, 2},  // a wide root, leaves below
                               Walked{{"rnn", 1, 8, 1, 1, 1, 8, 300}, 95, 3},   // two wide levels
                               Walked{{"transformer", 1, 64, 1, 2, 2, 32}, 9, 6}}) {
    const Case& c = walked.model;
    const int64_t V = walked.vocabulary;
    CAPTURE(c.model);
    CAPTURE(V);
    const auto model = make_model(options_of(c), V);
    const World world{.prompt = {0}, .end_id = 0, .max_tokens = walked.max_tokens};
    const LanguageModel* const models[] = {model.get()};
    // Of the small blocks of a walk many are taken anew here, since those that earlier tests freed lie in pieces.
    check_takes(
        walk_bytes(models, world), [&] { enumerate(models, world); }, 0.6);
  }
}

TEST_CASE("an exact gradient takes what was promised") {
  constexpr int64_t V = 2000;
  for (const Case& c : {Case{"transformer", 1, 9, 1, 2, 2, 16}, Case{"lstm", 1, 9, 2, 1, 1, 16, 64}}) {
    CAPTURE(c.model);
    const auto policy = make_model(options_of(c), V), prior = make_model(options_of(c), V);
    const World world{.prompt = {0}, .end_id = -1, .max_tokens = 8};
    TuneConfig options;
    options.baseline = "none";
    const auto method = make_method(options, {.policy = policy.get(), .prior = prior.get()});
    Shards shards(int(c.shards), 1);
    Sequences sequences(-1);
    for (int32_t i = 0; i < 1200; ++i) sequences.add(std::vector<int32_t>(8, i));
    const std::vector<double> log_mu(1200, std::log(1.0 / 1200)), reward = reward_of(sequences, {});
    const double promised = exact_gradient_bytes(*method, *policy, *prior, world, shards);
    exact_gradient(*method, *policy, *prior, world, sequences, log_mu, reward, 0.1, shards);  // three chunks
    check_close(promised, held(shards) + double(policy->params().size()) * (sizeof(double) + sizeof(real)));
  }
}

TEST_CASE("an exact gradient of many chunks, longer and longer, takes what was promised") {
  constexpr int64_t V = 2000;
  for (const Case& c : {Case{"transformer", 1, 40, 4, 2, 2, 32}, Case{"lstm", 1, 40, 2, 1, 1, 16, 64},
                        Case{"rnn", 1, 40, 1, 1, 1, 16, 200}}) {
    CAPTURE(c.model);
    const auto policy = make_model(options_of(c), V), prior = make_model(options_of(c), V);
    const World world{.prompt = {0}, .end_id = 1, .max_tokens = 16};
    TuneConfig options;
    options.baseline = "none";
    const auto method = make_method(options, {.policy = policy.get(), .prior = prior.get()});
    Sequences sequences(1);
    for (int32_t i = 0; i < 2400; ++i) {
      std::vector<int32_t> draws(size_t(1 + i % 16), 2 + i % 1000);
      if (draws.size() < 16) draws.back() = 1;
      sequences.add(draws);
    }
    const std::vector<double> log_mu(2400, std::log(1.0 / 2400)), reward = reward_of(sequences, {});
    Shards shards(int(c.shards), 2);
    check_takes(exact_gradient_bytes(*method, *policy, *prior, world, shards),
                [&] { exact_gradient(*method, *policy, *prior, world, sequences, log_mu, reward, 0.1, shards); });
  }
}

TEST_CASE("an estimated gradient of several batches takes what was promised, however many tapes it has") {
  struct Estimated {
    Case model;
    std::string baseline;
    int64_t batch, batches, V;
  };
  for (const Estimated& row :
       {Estimated{{"transformer", 1, 30, 1, 2, 2, 16}, "none", 64, 1, 2000},
        Estimated{{"transformer", 1, 30, 1, 2, 2, 16}, "none", 200, 2, 1500},  // 64 tapes too, small ones
        Estimated{{"lstm", 1, 30, 1, 1, 1, 16, 64}, "none", 64, 3, 2000},
        Estimated{{"rnn", 1, 30, 1, 1, 1, 8, 100}, "none", 40, 3, 1500},
        Estimated{{"lstm", 1, 30, 1, 1, 1, 16, 64}, "leave-one-out", 64, 3, 2000},
        Estimated{{"nnlm", 1, 30, 1, 1, 1, 32, 64}, "leave-one-out", 60, 2, 2000}}) {
    CAPTURE(row.baseline);
    CAPTURE(row.model.model);
    CAPTURE(row.batch);
    CAPTURE(row.batches);
    const auto& [c, baseline, batch, batches, V] = row;
    const auto policy = make_model(options_of(c), V), prior = make_model(options_of(c), V);
    const World world{.prompt = {0}, .end_id = -1, .max_tokens = 28};
    TuneConfig options;
    options.baseline = baseline;
    options.batch = batch;
    const auto method = make_method(options, {.policy = policy.get(), .prior = prior.get()});
    const int64_t samples = batch * batches;
    check_takes(estimate_gradient_bytes(*method, *policy, *prior, world, options),
                [&] { estimate_gradient(*method, *policy, *prior, world, reward_of, options, samples, 2); });
  }
}

TEST_CASE("a step of fine-tuning takes what was promised") {
  constexpr int64_t V = 500;
  for (const Case& c : {Case{"transformer", 300, 40, 2, 2, 2, 16}, Case{"lstm", 400, 30, 1, 1, 1, 16, 64},
                        Case{"rnn", 300, 40, 3, 1, 1, 16, 64}}) {
    CAPTURE(c.model);
    const auto policy = make_model(options_of(c), V), prior = make_model(options_of(c), V);
    TuneConfig options;
    options.batch = c.B;
    Shards shards(int(c.shards), 1);
    AdamW optimizer(policy->params(), {.weight_decay = 0});
    Tuner tuner(*policy, *prior, {{0}}, {.prompt = {0}, .end_id = 1, .max_tokens = c.T - 1}, reward_of, options,
                shards);
    check_takes(tuner.step_bytes(1), [&] { tuner.step(1, optimizer, 1e-3); });
  }
}

TEST_CASE("a step of several updates takes what was promised, with what it began with") {
  const Case c{"lstm", 4, 8, 1, 1, 1, kDouble ? 400 : 512, kDouble ? 800 : 1024};  // almost all of it is parameters
  const auto policy = make_model(options_of(c), 300), prior = make_model(options_of(c), 300);
  TuneConfig options;
  options.batch = c.B;
  options.epochs = 2;
  Shards shards(1, 1);
  AdamW optimizer(policy->params(), {.weight_decay = 0});
  Tuner tuner(*policy, *prior, {{0}}, {.prompt = {0}, .end_id = 1, .max_tokens = c.T - 1}, reward_of, options, shards);
  check_takes(tuner.step_bytes(1), [&] { tuner.step(1, optimizer, 1e-3); });
}

// In a process of its own, which can have a gigabyte more than it has: the message of the UsageError that f throws, ""
// where it throws none.
template <class F>
static std::string within_a_gigabyte(F f) {
  return said_apart([&]() -> std::string {
    int64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t most = rlim_t(pages * ::sysconf(_SC_PAGESIZE)) + (rlim_t(1) << 30);
    const rlimit limit{most, most};
    return ::setrlimit(RLIMIT_AS, &limit) == 0 ? complaint<UsageError>(f) : "no limit could be set";
  });
}

TEST_CASE("a small checkpoint whose options ask for gigabytes is refused before they are taken") {
  const Folder folder;
  const std::string file = folder / "deep.safetensors",
                    lines = folder.file("text.txt", std::string(2'000'000, 'a') + "b\n");
  {
    Config config;
    static_cast<ModelOptions&>(config) = options_of({"transformer", 1, 1 << 20, 1, 1000, 1, 1});
    config.resolve(1);
    Tokenizer tokenizer = Tokenizer::from_text("char", "ab\n");
    auto model = make_model(config, tokenizer.size());
    const Checkpoint run{config, std::move(tokenizer), std::move(model), {}, 0, {}, 0, {}, "", "", ""};
    run.save(file);
  }
  CHECK(std::filesystem::file_size(file) < 1'500'000 * sizeof(real));
  const std::string drawn =
      within_a_gigabyte([&] { sample({.common = {.quiet = true}, .run = file, .prompt = "", .tokens = 3}); });
  CHECK(has(drawn, "sampling from " + file));
  CHECK(has(drawn, "ulimit -v"));
  CHECK(has(within_a_gigabyte([&] { score({.common = {}, .run = file}); }), "scoring by " + file));
  CHECK(has(within_a_gigabyte([&] { eval({.common = {.quiet = true}, .run = file, .corpus = {lines}}); }),
            "measuring " + file));
}

TEST_CASE("steps that no machine has memory for are measured in a moment, and their sizes do not wrap around") {
  const auto bytes = [](const Case& c) {
    const auto model = declare_model(options_of(c), 60);
    return training_bytes(*model, c.B, c.T, c.shards);
  };
  // Attention keeps [B,heads,T,T].
  CHECK(bytes({"transformer", 12, 3999, 2, 4, 4, 128}) > 12.0 * 4 * 4 * 3999 * 3999 * sizeof(real));
  CHECK(bytes({"transformer", 1 << 20, 1 << 20, 2, 1000, 1000, 1000}) > 1e18);
  CHECK(bytes({"transformer", 12, 64, 2, 1000, 1000, 1000}) > 12e9 * 4 * sizeof(real));
  CHECK(bytes({"lstm", 1 << 20, 1 << 20, 8, 2, 1, 1 << 20, 1 << 20}) > 1e19);
  CHECK(bytes({"nnlm", 1 << 20, 64, 1, 1, 1, 1 << 20, 1 << 20}) > 1e14);
}

TEST_CASE("free memory is the least that the machine, the control groups and the limit of address space leave") {
  const Folder folder;
  const std::string root = folder.path.string();
  const auto write = [&](const std::string& name, const std::string& content) {
    std::filesystem::create_directories((folder.path / name).parent_path());
    folder.file(name, content);
  };
  CHECK(free_memory(root).bytes == std::numeric_limits<double>::infinity());  // nothing can be read
  write("proc/meminfo", "MemTotal:       24000 kB\nMemFree: 7 kB\nMemAvailable:   20000 kB\n");
  CHECK(free_memory(root).bytes == 20000 * 1024);
  CHECK(free_memory(root).limit == "is free on this machine");
  CHECK(free_memory(root, 4).bytes == 5000 * 1024);  // of which each of four processes has its share
  CHECK(free_memory(root, 4).limit == "is free on this machine for each of the 4 ranks on it");
  write("proc/self/cgroup", "0::/user/session\n");
  write("sys/fs/cgroup/user/session/memory.max", "max\n");
  write("sys/fs/cgroup/user/session/memory.current", "5000\n");
  CHECK(free_memory(root).bytes == 20000 * 1024);
  write("sys/fs/cgroup/user/memory.max", "1000000\n");  // the limit of a group holds for those in it
  write("sys/fs/cgroup/user/memory.current", "400000\n");
  CHECK(free_memory(root).bytes == 600000);
  CHECK(free_memory(root).limit == "is left in the control group");
  write("sys/fs/cgroup/user/memory.stat", "anon 300000\ninactive_file 50000\nactive_file 1\n");
  CHECK(free_memory(root).bytes == 650000);
  write("sys/fs/cgroup/user/memory.current", "960000\n");
  CHECK(free_memory(root).bytes == 90000);
  write("proc/self/cgroup", "12:cpu,cpuacct:/a\n5:memory:/b\n");
  write("sys/fs/cgroup/memory/b/memory.limit_in_bytes", "300000\n");
  write("sys/fs/cgroup/memory/b/memory.usage_in_bytes", "100000\n");
  CHECK(free_memory(root).bytes == 200000);
  write("proc/self/cgroup", "rubbish\n::\n");
  CHECK(free_memory(root).bytes == 20000 * 1024);
  CHECK(free_memory().bytes > 0);  // of this machine
  CHECK(free_memory().bytes < 1e16);
}

TEST_SUITE_END();
