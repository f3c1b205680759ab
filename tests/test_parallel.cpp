// engine/parallel.h: every job runs once, exceptions come out in order, and the number of threads changes no bit.
// Long, because whatever can go wrong on a thread has a case.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "engine/optim.h"
#include "engine/parallel.h"
#include "models/run/config.h"
#include "tests/golden.h"
#include "tests/lm_step.h"
#include "tests/sanitized.h"

namespace {

using namespace gradus;
using testing::LmStep;
using testing::TokenBatch;

struct Counts {
  std::vector<std::atomic<int>> run;
  explicit Counts(int n) : run(size_t(n)) {}
  static void job(void* context, int i) { ++static_cast<Counts*>(context)->run[size_t(i)]; }
  bool all(int wanted) const {
    for (const auto& r : run)
      if (r != wanted) return false;
    return true;
  }
};

Config small(const std::string& family) {
  Config c;
  c.model = family;
  c.layers = 2;
  c.heads = 2;
  c.embd = 12;
  c.hidden = 10;
  c.context = 6;
  c.resolve(1);
  return c;
}
constexpr int64_t kVocabulary = 11;

bool same_bits(std::span<const real> a, std::span<const real> b) { return first_difference(a, b) == -1; }

// The parameters after `steps` AdamW steps with dropout, and the loss of each.
struct Trained {
  std::vector<real> params;
  std::vector<double> losses;
};
Trained train(const std::string& family, int shards, int threads, int64_t steps) {
  Config config = small(family);
  config.dropout = 0.1;
  const auto model = make_model(config, kVocabulary);
  AdamW optimizer(model->params());
  LmStep step(shards, threads);
  Trained out;
  for (int64_t n = 1; n <= steps; ++n) {
    const TokenBatch batch = TokenBatch::numbered(5, 6, kVocabulary, uint32_t(n));
    out.losses.push_back(step.run(*model, {.seed = 9, .step = n, .training = true}, batch));
    const auto gradient = step.gradient(*model);
    optimizer.step(model->params(), gradient, 1e-2, clip_factor(gradient_norm(gradient), 1));
  }
  out.params.assign(model->params().data().begin(), model->params().data().end());
  return out;
}

std::vector<real> gradient_of(const LanguageModel& model, const TokenBatch& batch, int shards, bool training = false) {
  LmStep step(shards, 2);
  step.run(model, {.seed = 9, .step = 1, .training = training}, batch);
  const auto g = step.gradient(model);
  return {g.begin(), g.end()};
}

}  // namespace

TEST_SUITE("parallel") {
  TEST_CASE("pool: runs every job exactly once") {
    for (const int threads : {0, 1, 2, 3, 8}) {
      Pool pool(threads);
      CHECK(pool.threads() == std::max(threads, 1));
      for (const int n : {0, 1, 2, 3, 7, 100}) {
        Counts counts(n);
        pool.run(n, Counts::job, &counts);
        CHECK(counts.all(1));
        pool.run(n, Counts::job, &counts);
        CHECK(counts.all(2));
      }
    }
  }

  TEST_CASE("pool: with one thread every job runs on the caller, in order") {
    struct Log {
      std::thread::id caller = std::this_thread::get_id();
      std::vector<int> order;
      bool elsewhere = false;
    } log;
    Pool(1).run(
        5,
        [](void* context, int i) {
          Log& l = *static_cast<Log*>(context);
          l.order.push_back(i);
          l.elsewhere |= std::this_thread::get_id() != l.caller;
        },
        &log);
    CHECK(log.order == std::vector<int>{0, 1, 2, 3, 4});
    CHECK_FALSE(log.elsewhere);
  }

  TEST_CASE("pool: two jobs do run at the same time on two threads, ten thousand times") {
    struct Meeting {
      std::atomic<int> here{0};
      static void job(void* context, int) {  // each waits for the other
        auto& here = static_cast<Meeting*>(context)->here;
        ++here;
        while (here < 2) std::this_thread::yield();
      }
    };
    Pool pool(2);
    int met = 0;
    for (int i = 0; i < 10'000; ++i) {
      Meeting meeting;
      pool.run(2, Meeting::job, &meeting);
      met += meeting.here;
    }
    CHECK(met == 20'000);
  }

  TEST_CASE("pool: rethrows the exception of the lowest job, after all have run, and goes on working") {
    struct Thrower {
      std::vector<int> bad;
      Counts counts{12};
      static void job(void* context, int i) {
        auto& t = *static_cast<Thrower*>(context);
        Counts::job(&t.counts, i);
        for (const int b : t.bad)
          if (b == i) throw std::runtime_error("job " + std::to_string(i));
      }
    };
    for (const int threads : {1, 2, 4}) {
      Pool pool(threads);
      for (int round = 0; round < 200; ++round) {
        Thrower thrower;
        thrower.bad = round % 2 ? std::vector<int>{11, 4, 7} : std::vector<int>{round / 2 % 12};
        const int lowest = round % 2 ? 4 : round / 2 % 12;
        std::string message;
        try {
          pool.run(12, Thrower::job, &thrower);
        } catch (const std::runtime_error& e) {
          message = e.what();
        }
        CHECK(message == "job " + std::to_string(lowest));
        CHECK(thrower.counts.all(1));
        Counts after(3);
        pool.run(3, Counts::job, &after);
        CHECK(after.all(1));
      }
    }
  }

  TEST_CASE("pool: the lowest job's exception wins although it comes last") {
    std::atomic<bool> others_done{false};
    Pool pool(2);
    std::string message;
    try {
      pool.run(
          3,
          [](void* context, int i) {  // the thread that threw job 1's goes on to job 2, which lets job 0 throw
            auto& done = *static_cast<std::atomic<bool>*>(context);
            if (i == 2) done = true;
            while (i == 0 && !done) std::this_thread::yield();
            if (i < 2) throw std::runtime_error("job " + std::to_string(i));
          },
          &others_done);
    } catch (const std::runtime_error& e) {
      message = e.what();
    }
    CHECK(message == "job 0");
  }

  TEST_CASE("pool: goes on with the threads that the system gives") {
    // A child process whose address space has room for a few stacks only.
#ifndef GRADUS_SANITIZED
    const pid_t child = fork();
    if (child == 0) {
      std::ifstream sizes("/proc/self/statm");
      rlim_t pages = 0;
      sizes >> pages;
      const rlim_t room = pages * rlim_t(sysconf(_SC_PAGESIZE)) + (rlim_t(100) << 20);
      const rlimit limit{room, room};
      setrlimit(RLIMIT_AS, &limit);
      Pool pool(1000);
      Counts counts(100);
      pool.run(100, Counts::job, &counts);
      _exit(pool.threads() < 1000 && counts.all(1) ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
#endif
  }

  TEST_CASE("pool: a hundred thousand quick runs") {
    Pool pool(2);
    Counts counts(2);
    for (int i = 0; i < 100'000; ++i) pool.run(2, Counts::job, &counts);
    CHECK(counts.all(100'000));
  }

  TEST_CASE("shards: slices cover the batch, in order, and differ by at most one") {
    for (const int n : {1, 2, 3, 7})
      for (const int64_t batch : {0, 1, 2, 3, 5, 12}) {
        Shards shards(n, 1);
        CHECK(shards.size() == n);
        shards.begin({.seed = 4, .step = 2, .training = true}, batch);
        int64_t next = 0;
        for (int s = 0; s < n; ++s) {
          CHECK(shards.first(s) == next);
          CHECK(shards.count(s) >= batch / n);
          CHECK(shards.count(s) <= (batch + n - 1) / n);
          CHECK(shards.tape(s).info().first_sequence == next);
          CHECK(shards.tape(s).info().sequences == shards.count(s));
          CHECK(shards.tape(s).info().seed == 4);
          CHECK(shards.tape(s).info().step == 2);
          CHECK(shards.tape(s).info().training);
          next += shards.count(s);
        }
        CHECK(next == batch);
        std::vector<int> seen;
        shards.each([&](int s) { seen.push_back(s); });
        for (const int s : seen) CHECK(shards.count(s) > 0);
        CHECK(int64_t(seen.size()) == std::min<int64_t>(n, batch));
      }
  }

  TEST_CASE("shards: the gradient of a batch does not depend on how it is cut, up to rounding") {
    for (const std::string& family : stepped_families()) {
      const auto model = make_model(small(family), kVocabulary);
      const TokenBatch batch = TokenBatch::numbered(5, 6, kVocabulary);
      for (const bool training : {false, true}) {
        const std::vector<real> whole = gradient_of(*model, batch, 1, training);
        CHECK(gradient_norm(whole) > 1e-3);
        for (const int shards : {2, 3, 5, 9}) {
          INFO(family, ", ", shards, " shards");
          CHECK(testing::norm_distance(gradient_of(*model, batch, shards, training), whole) < (kDouble ? 1e-14 : 2e-6));
        }
      }
    }
  }

  TEST_CASE("shards: dropout drops the same elements of the same sequences, however the batch is cut") {
    for (const std::string& family : stepped_families()) {
      Config config = small(family);
      config.dropout = 0.5;
      const auto model = make_model(config, kVocabulary);
      const TokenBatch batch = TokenBatch::numbered(5, 6, kVocabulary);
      const std::vector<real> whole = gradient_of(*model, batch, 1, true);
      for (const int shards : {2, 3, 5, 9}) {
        INFO(family, ", ", shards, " shards");
        CHECK(testing::norm_distance(gradient_of(*model, batch, shards, true), whole) < (kDouble ? 1e-14 : 2e-6));
      }
      CHECK(testing::norm_distance(gradient_of(*model, batch, 1, false), whole) > 0.1);
    }
    // The masks themselves: ones through dropout twice, rows of two for each sequence.
    const auto masks = [](int n) {
      Shards shards(n, 2);
      shards.begin({.seed = 3, .step = 8, .training = true}, 7);
      std::vector<std::vector<real>> part(size_t(shards.size()));
      shards.each([&](int s) {
        const Tensor x = constant({2 * shards.count(s), 9}, 1);
        const Tensor first = dropout(x, 0.5), second = dropout(x, 0.5);
        for (int64_t b = 0; b < shards.count(s); ++b)
          for (const Tensor& y : {first, second})
            for (const real v : y.rows(2 * b, 2).span()) part[size_t(s)].push_back(v);
      });
      std::vector<real> all;
      for (const auto& p : part) all.insert(all.end(), p.begin(), p.end());
      return all;
    };
    const std::vector<real> whole = masks(1);
    CHECK(whole.size() == 7 * 4 * 9);
    for (const int n : {2, 3, 7, 20}) CHECK(same_bits(whole, masks(n)));
    for (size_t i = 36; i < whole.size(); i += 36)  // no sequence has the mask of the first
      CHECK_FALSE(same_bits({whole.data(), 36}, {whole.data() + i, 36}));
    CHECK_FALSE(same_bits({whole.data(), 18}, {whole.data() + 18, 18}));  // nor the second dropout that of the first
  }

  TEST_CASE("shards: the bits do not depend on the number of threads") {
    for (const std::string& family : stepped_families())
      for (const int shards : {1, 2, 3}) {
        INFO(family, ", ", shards, " shards");
        const Trained one = train(family, shards, 1, 5);
        CHECK(one.losses[4] != one.losses[0]);
        for (const int threads : {2, 3}) {
          const Trained more = train(family, shards, threads, 5);
          CHECK(same_bits(one.params, more.params));
          CHECK(first_difference(one.losses, more.losses) == -1);
        }
        CHECK(same_bits(one.params, train(family, shards, 1, 5).params));  // nor on the run
      }
  }

  TEST_CASE("shards: gradients are added in the order of the shards") {
    Params params;
    const Tensor w = params.add("w", {3}, Init::constant(1));
    params.init(1);
    const double big = kDouble ? 1e17 : 1e9;  // swallows what is added to it: only in order is the sum 0.5
    const double factor[] = {1, big, -big, 0.5};
    for (const int threads : {1, 2, 4}) {
      Shards shards(4, threads);
      shards.begin({}, 4);
      shards.each([&](int s) { shards.tape(s).backward(sum(scale(w, factor[s]))); });
      for (const real g : shards.gradient(params)) CHECK(g == real(0.5));
    }
  }

  TEST_CASE("shards: the gradient is the same however often it is asked for") {
    Params params;
    const Tensor w = params.add("w", {3}, Init::constant(1));
    params.init(1);
    Shards shards(2, 1);
    for (int step = 0; step < 2; ++step) {
      shards.begin({}, 2);
      shards.each([&](int s) { shards.tape(s).backward(sum(scale(w, s + 1))); });
      for (int asked = 0; asked < 2; ++asked)
        for (const real g : shards.gradient(params)) CHECK(g == real(3));
    }
  }

  TEST_CASE("shards: the gradient of a batch is the sum of those of its sequences") {
    for (const std::string& family : generative_families()) {
      const auto model = make_model(small(family), kVocabulary);
      const TokenBatch batch = TokenBatch::numbered(4, 6, kVocabulary);
      const std::vector<real> whole = gradient_of(*model, batch, 2);
      std::vector<double> sum(whole.size());
      for (int64_t b = 0; b < batch.B; ++b) {
        const auto slice = [&](const std::vector<int32_t>& ids) {
          return std::vector<int32_t>(ids.begin() + b * batch.T, ids.begin() + (b + 1) * batch.T);
        };
        const std::vector<real> one = gradient_of(*model, {1, batch.T, slice(batch.tokens), slice(batch.targets)}, 1);
        for (size_t i = 0; i < sum.size(); ++i) sum[i] += double(one[i]) / double(batch.B);
      }
      CHECK(testing::norm_distance(whole, sum) < (kDouble ? 1e-14 : 2e-6));
    }
  }

  TEST_CASE("shards: more shards than sequences, and a batch of another size afterwards") {
    const auto model = make_model(small("transformer"), kVocabulary);
    const TokenBatch large = TokenBatch::numbered(5, 6, kVocabulary),
                     small_batch = TokenBatch::numbered(2, 6, kVocabulary);
    const std::vector<real> wanted = gradient_of(*model, small_batch, 1);
    LmStep step(4, 2);
    for (int round = 0; round < 3; ++round) {
      step.run(*model, {}, large);
      step.run(*model, {}, small_batch);  // two shards are empty; what they held before must not count
      const auto g = step.gradient(*model);
      CHECK(testing::norm_distance(std::vector<real>(g.begin(), g.end()), wanted) < (kDouble ? 1e-14 : 2e-6));
    }
    step.shards().begin({}, 0);
    CHECK(gradient_norm(step.gradient(*model)) == 0);
  }

  TEST_CASE("shards: an error in one shard comes out, and the next step works") {
    const auto model = make_model(small("lstm"), kVocabulary);
    TokenBatch batch = TokenBatch::numbered(4, 6, kVocabulary);
    LmStep step(2, 2);
    const std::vector<real> wanted = gradient_of(*model, batch, 2);
    for (int round = 0; round < 3; ++round) {
      TokenBatch bad = batch;
      bad.tokens[20] = kVocabulary;
      CHECK_THROWS_AS(step.run(*model, {}, bad), ShapeError);
      step.run(*model, {}, batch);
      const auto g = step.gradient(*model);
      CHECK(same_bits(g, wanted));
    }
  }

  namespace {

  // Messages between ranks that are threads of this process.
  class Mail {
   public:
    void put(int from, int to, std::span<const std::byte> bytes) {
      const std::lock_guard lock(mutex_);
      box_[{from, to}].emplace_back(bytes.begin(), bytes.end());
      arrived_.notify_all();
    }
    void take(int from, int to, std::span<std::byte> bytes) {
      std::unique_lock lock(mutex_);
      auto& box = box_[{from, to}];
      arrived_.wait(lock, [&] { return !box.empty(); });
      REQUIRE(box.front().size() == bytes.size());
      std::ranges::copy(box.front(), bytes.begin());
      box.pop_front();
    }

   private:
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> box_;
  };

  class ThreadRank final : public Comm {
   public:
    ThreadRank(Mail& mail, int rank, int ranks) : mail_(mail), rank_(rank), ranks_(ranks) {}
    int rank() const override { return rank_; }
    int ranks() const override { return ranks_; }

   private:
    void transfer(std::span<const Sent> to, std::span<const Received> from) override {
      for (int r = 0; r < ranks_; ++r)
        if (r != rank_ && !to[size_t(r)].empty()) mail_.put(rank_, r, to[size_t(r)]);
      for (int r = 0; r < ranks_; ++r)
        if (r != rank_ && !from[size_t(r)].empty()) mail_.take(r, rank_, from[size_t(r)]);
    }
    Mail& mail_;
    int rank_, ranks_;
  };

  struct Trained {
    std::vector<real> params, gradient;
    std::vector<double> losses;  // of the batch, then a number of each sequence, step by step
  };

  // Three steps with dropout on one rank's part of the shards.
  Trained train_rank(Comm& comm, const std::string& family, int shards, int64_t batch) {
    constexpr int64_t kT = 3, kV = 5;
    Config c;
    c.model = family;
    c.layers = 1;
    c.embd = 8;
    c.hidden = 8;
    c.heads = 2;
    c.context = kT;
    c.dropout = 0.1;
    c.resolve(1);
    const auto model = make_model(c, kV);
    AdamW optimizer(model->params());
    Shards work(comm, shards, 2);
    BatchLoss loss(work);
    Trained out;
    for (int64_t step = 1; step <= 3; ++step) {
      const TokenBatch tokens = TokenBatch::numbered(batch, kT, kV, uint32_t(step));
      Batch part{.inputs = tokens.tokens, .targets = tokens.targets, .B = batch, .T = kT, .windows = {}};
      const double nats = loss.forward(*model, part, {.seed = 1, .step = step, .training = true});
      loss.backward(1 / nats);  // what every rank weighs its rows with depends on what all of them found
      std::vector<double> by_sequence(static_cast<size_t>(batch));  // something that only the shard's rank knows
      work.each([&](int s) {
        const double norm = gradient_norm(work.tape(s).gradient(model->params().array()));
        for (int64_t i = work.first(s); i < work.first(s + 1); ++i) by_sequence[size_t(i)] = norm + double(i);
      });
      work.gather_by_sequence(by_sequence);
      const auto g = work.gradient(model->params());
      out.gradient.assign(g.begin(), g.end());
      optimizer.step(model->params(), g, 1e-2);
      out.losses.push_back(nats);
      out.losses.insert(out.losses.end(), by_sequence.begin(), by_sequence.end());
    }
    out.params.assign(model->params().data().begin(), model->params().data().end());
    return out;
  }

  }  // namespace

  TEST_CASE("parallel: on two and three ranks every rank has the bits of one rank, with empty shards too") {
    for (const char* family : {"lstm", "transformer"})
      for (const auto& cut :
           {std::pair{4, int64_t{6}}, {5, int64_t{7}}, {4, int64_t{3}}, {2, int64_t{5}}, {1, int64_t{4}}}) {
        const int shards = cut.first;  // clang 14 lets no lambda see what a binding names
        const int64_t batch = cut.second;
        const Trained alone = train_rank(one_rank(), family, shards, batch);
        CHECK(std::ranges::count(alone.losses, 0.0) == 0);
        for (const int ranks : {2, 3}) {
          CAPTURE(std::string(family));
          CAPTURE(shards);
          CAPTURE(ranks);
          Mail mail;
          std::vector<Trained> got(static_cast<size_t>(ranks));
          std::vector<std::thread> threads;
          for (int r = 0; r < ranks; ++r)
            threads.emplace_back([&, r] {
              ThreadRank comm(mail, r, ranks);
              got[size_t(r)] = train_rank(comm, family, shards, batch);
            });
          for (std::thread& t : threads) t.join();
          for (const Trained& rank : got) {
            CHECK(first_difference(rank.params, alone.params) == -1);
            CHECK(first_difference(rank.gradient, alone.gradient) == -1);
            CHECK(first_difference(rank.losses, alone.losses) == -1);
          }
        }
      }
  }

  TEST_CASE("parallel: the ranks send the bytes that the formula says, and no more") {
    // 7 sequences in 5 shards: of 3 ranks the first has 1 shard, the others 2 each; of 10 parameters they sum 3, 3, 4.
    // Ranges 1·7 + 2·7 + 2·6 = 33 numbers, sums 10·2 = 20.
    const auto sent = [](int ranks, int shards, int64_t batch, int64_t numbers) {
      Mail mail;
      std::vector<int64_t> bytes(static_cast<size_t>(ranks)), formula(bytes);
      std::vector<std::thread> threads;
      for (int r = 0; r < ranks; ++r)
        threads.emplace_back([&, r] {
          ThreadRank comm(mail, r, ranks);
          Params params;
          const Tensor w = params.add("w", {numbers}, Init::constant(1));
          params.init(1);
          Shards work(comm, shards, 1);
          work.begin({}, batch);
          work.each([&](int s) { work.tape(s).backward(sum(scale(w, double(s + 1)))); });
          double wanted = 0;
          for (int s = 0; s < shards; ++s)
            if (work.count(s) > 0) wanted += s + 1;
          for (const real g : work.gradient(params)) CHECK(double(g) == wanted);
          bytes[size_t(r)] = comm.sent();
          formula[size_t(r)] = work.gradient_bytes(params);
        });
      for (std::thread& t : threads) t.join();
      int64_t all = 0;
      for (const int64_t b : bytes) all += b;
      for (const int64_t f : formula) CHECK(f == all);
      return all / int64_t(sizeof(real));
    };
    CHECK(sent(3, 5, 7, 10) == 53);
    CHECK(sent(2, 2, 8, 10) == 2 * 5 + 10);  // one shard a rank: twice what it does not sum itself
    CHECK(sent(2, 4, 3, 10) == 3 * 5 + 10);  // of the four shards one is empty
    CHECK(sent(3, 2, 4, 9) == 2 * 6 + 18);   // the first rank has none
    CHECK(sent(1, 4, 4, 10) == 0);
  }

  TEST_CASE("parallel: what is gathered must have equally many numbers for each shard or sequence") {
    Shards shards(2, 1);
    shards.begin({}, 4);
    std::vector<double> values(7, 1.0);
    CHECK_THROWS_AS(shards.gather_by_shard(values), ShapeError);
    CHECK_THROWS_AS(shards.gather_by_sequence(values), ShapeError);
    CHECK_NOTHROW(shards.gather_by_sequence(std::span(values).first(4)));
  }
}
