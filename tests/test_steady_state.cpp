// After two warm-up steps the program asks the system for no memory, on any thread: training steps of both families
// with dropout, clipping and AdamW, and sampling token by token, also when a transformer's window turns over.
#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "engine/ops.h"
#include "engine/optim.h"
#include "models/loss.h"
#include "models/run/config.h"
#include "models/sampler.h"
#include "models/text/read_text.h"
#include "tests/alloc_count.h"

namespace {

using namespace gradus;
using testing::Allocations;
using testing::allocations;

constexpr int64_t kVocabulary = 30;
// All lines of one length, so that every batch of them has one size.
constexpr std::string_view kText =
    "the heron\nthe otter\nthe goose\none snail\nthe heron\nthe badge\nthe mouse\nthe horse\n"
    "the otter\nthe goose\nthe heron\nthe otter\nthe goose\n";

Config config_of(const std::string& family) {
  Config c;
  c.model = family;
  c.layers = 2;
  c.heads = 4;
  c.embd = 32;
  c.hidden = 48;
  c.context = 8;
  c.dropout = 0.1;
  c.resolve(1);
  return c;
}

// What f requests.
template <class F>
Allocations cost(F&& f) {
  const Allocations before = allocations();
  f();
  const Allocations after = allocations();
  return {after.news - before.news, after.mallocs - before.mallocs};
}

// Hides from the compiler what p points to, or it may leave out a new and its delete.
template <class T>
T* hidden(T* p) {
  asm volatile("" : "+r"(p) : : "memory");
  return p;
}

}  // namespace

TEST_SUITE("steady state") {
  TEST_CASE("steady state: the counter counts every way to ask for memory, on every thread") {
    CHECK(cost([] {}).news == 0);
    const std::align_val_t line{64};
    CHECK(cost([] { delete hidden(new int); }).news == 1);
    CHECK(cost([] { delete[] hidden(new int[3]); }).news == 1);
    CHECK(cost([] { ::operator delete(hidden(::operator new(100, std::nothrow))); }).news == 1);
    CHECK(cost([&] { ::operator delete(hidden(::operator new(100, line)), line); }).news == 1);
    CHECK(cost([&] { ::operator delete(hidden(::operator new(100, line, std::nothrow)), line); }).news == 1);
    void* p = ::operator new(100, line);
    CHECK(reinterpret_cast<uintptr_t>(p) % 64 == 0);
    ::operator delete(p, line);
    CHECK(cost([] { Arena().reals(10); }).news >= 1);
    Pool pool(2);
    CHECK(cost([&] {
            pool.run(
                2, [](void*, int) { delete hidden(new std::string(100, 'x')); }, nullptr);
          }).news >= 2);
    if (testing::mallocs_counted()) {
      CHECK(cost([] { std::free(hidden(std::malloc(10))); }).mallocs == 1);
      CHECK(cost([] { std::free(hidden(std::calloc(10, 10))); }).mallocs == 1);
      CHECK(cost([] { std::free(hidden(std::aligned_alloc(64, 128))); }).mallocs == 1);
    }
  }

  TEST_CASE("steady state: training steps 3 to 12 request no memory on two threads") {
    for (const std::string& family : stepped_families())
      for (const auto& [lines, muon] : {std::pair{false, false}, std::pair{true, false}, std::pair{false, true}}) {
        const std::string kind = std::string(lines ? ", lines" : "") + (muon ? ", Muon" : "");
        INFO(family, kind);
        Config config = config_of(family);
        config.lines = lines;
        const Tokenizer tokenizer =
            lines ? Tokenizer::from_lines("char", split_lines(kText)) : Tokenizer::from_text("char", kText);
        config.end_id = tokenizer.end_id();
        const Corpus corpus(config.corpus(), tokenizer, kText, "text");
        const auto model = make_model(config, tokenizer.size());
        Params& params = model->params();
        AdamW optimizer(params, {.muon = muon});
        Shards shards(2, 2);
        Batch batch;
        BatchLoss batch_loss(shards);
        double loss = 0;
        size_t bytes[2] = {0, 0};
        for (int64_t n = 1; n <= 12; ++n) {
          const Allocations spent = cost([&] {  // as apps/train.cpp
            batch.draw(corpus, Split::kTrain, Rng(1, Stream::kBatch, n), 0, 7);
            const double weight = 1 / double(batch.scored);
            loss = batch_loss.forward(*model, batch, {.seed = 1, .step = n, .training = true});
            batch_loss.backward(weight);
            const std::span<const real> g = shards.gradient(params);
            optimizer.step(params, g, 1e-3, clip_factor(gradient_norm(g), 1));
          });
          CHECK(loss > 0);
          if (n == 1) CHECK(spent.news > 0);
          if (n > 2) {
            INFO("step ", n);
            CHECK(spent.news == 0);
            CHECK(spent.mallocs == 0);
          }
          for (int s = 0; s < 2; ++s) {
            const size_t now = shards.tape(s).bytes();
            if (n > 2) CHECK(now == bytes[s]);  // in one block, every step of one size uses as much
            bytes[s] = now;
          }
        }
        if (std::getenv("GRADUS_FIGURES"))
          MESSAGE(family, " ", std::string(kRealName), ": high water ", bytes[0], " and ", bytes[1], " bytes");
      }
  }

  TEST_CASE("steady state: a Sampler requests no memory from its third draw on, with every option") {
    for (const std::string& family : generative_families())
      for (const SampleOptions& options : {SampleOptions{}, SampleOptions{.temperature = 0.7, .top_k = 5, .top_p = 0.8},
                                           SampleOptions{.temperature = 0, .likeliest = 3}}) {
        INFO(family, ", temperature ", options.temperature);
        const auto model = make_model(config_of(family), kVocabulary);
        const std::vector<int32_t> prompt{1, 2, 3}, of(5, 0);
        Tape tape;
        const Tape::Use use(tape);
        Sampler sampler(*model, {&prompt, 1}, of, options, Rng(1, Stream::kSample));
        for (int call = 1; call <= 40; ++call) {  // five windows of a transformer
          const Allocations spent = cost([&] { sampler.next(); });
          if (call <= 2) continue;
          INFO("draw ", call);
          CHECK(spent.news == 0);
          CHECK(spent.mallocs == 0);
        }
      }
  }

  TEST_CASE("steady state: a scalar graph of a new size each step costs memory only where it grows") {
    Tape tape;
    const Tape::Use use(tape);
    const auto step = [&](int nodes) {
      return cost([&] {
        tape.new_step();
        const Tensor x = variable("x", 1);
        Tensor y = x;
        for (int i = 0; i < nodes; ++i) y = y + x;
        tape.backward(y);
      });
    };
    step(2000);
    step(2000);
    for (const int nodes : {2000, 10, 1500, 1, 2000}) CHECK(step(nodes).news == 0);
  }

  TEST_CASE("steady state: next() requests no memory from its third call on, also when the window turns over") {
    for (const std::string& family : generative_families())
      for (const std::string ops : {"fused", "composed"}) {
        INFO(family, " ", ops);
        Config config = config_of(family);
        config.ops = ops;
        const auto model = make_model(config, kVocabulary);
        Tape tape;
        const Tape::Use use(tape);
        State state = model->start(5);
        std::vector<int32_t> tokens(5);
        const std::vector<int64_t> order{1, 0, 2, 4, 4};
        size_t bytes = 0;
        for (int call = 1; call <= 40; ++call) {
          for (size_t r = 0; r < 5; ++r) tokens[r] = int32_t((call * 7 + int(r) * 3) % kVocabulary);
          const Allocations spent = cost([&] {
            const Tape::Mark mark(tape);
            const Tensor y = model->next(state, tokens);
            tokens[0] = y.data()[0] > 0;
            if (call == 2 || call > 30) state.select(order);
          });
          if (call > 2) {
            INFO("call ", call);
            CHECK(spent.news == 0);
            CHECK(spent.mallocs == 0);
          }
          if (call == 10) bytes = tape.bytes();  // it has turned over once
        }
        CHECK(tape.bytes() == bytes);
        CHECK(tape.arena().used() == 0);
      }
  }
}
