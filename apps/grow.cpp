// gradus bench --grow: how time and memory of a step grow with what a person can enlarge. Along each axis one size is
// doubled several times and all others stay; the slope of log time over log size is the exponent, and beside it stands
// the slope that the operations and bytes of the same steps have, counted instead of measured.
//
// Under `mpirun -n R` the axis is the number of ranks; the bytes that a step sends are counted too, and what an
// exchange takes is measured. Over 350 lines: measuring, counting, fitting and the picture share the one list of axes.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <numeric>

#include "apps/console.h"
#include "apps/format.h"
#include "apps/ranks.h"
#include "apps/report/page.h"
#include "apps/report/plot.h"
#include "apps/run.h"
#include "engine/io/file.h"
#include "engine/io/mpi.h"
#include "engine/optim.h"
#include "models/loss.h"
#include "models/memory.h"
#include "rl/rollout.h"

namespace gradus {
namespace {

// Where all axes begin. Small, so that the largest points take milliseconds; heads of 32 as in the larger models.
constexpr int64_t kHead = 32, kDraws = 31;
struct Setting {
  int64_t batch = 16, context = 32, width = 64, layers = 2, vocabulary = 64;
  int64_t samples = 0;  // sequences of kDraws tokens are drawn; 0: a training step is taken
  int threads = 1, shards = 1;

  Config config() const {
    Config c;
    c.layers = layers, c.embd = width, c.heads = width / kHead, c.context = context, c.batch = batch;
    c.resolve(1);
    return c;
  }
  // Of one run: two operations for each weight that a token meets and its attention, and for a step twice that again on
  // the way back. What threads and ranks share is counted for one of them.
  double flop(int ranks) const {
    const double L = double(layers), C = double(width), T = double(samples > 0 ? (kDraws + 1) / 2 : context);
    const double token = 2 * (12 * L * C * C + C * double(vocabulary)) + 4 * L * C * T;
    const double tokens = double(samples > 0 ? samples * kDraws : 3 * batch * context);
    return tokens * token / threads / ranks;
  }
};

// The first ranks of a job, among themselves.
class FirstRanks final : public Comm {
 public:
  FirstRanks(Comm& all, int ranks) : all_(all), ranks_(ranks) {}
  int rank() const override { return all_.rank(); }
  int ranks() const override { return ranks_; }

 private:
  void transfer(std::span<const Sent> to, std::span<const Received> from) override {
    const size_t n = size_t(all_.ranks());
    std::vector<Sent> all_to(to.begin(), to.end());
    std::vector<Received> all_from(from.begin(), from.end());
    all_to.resize(n);
    all_from.resize(n);
    all_.exchange(all_to, all_from);
  }
  Comm& all_;
  int ranks_;
};

// Bytes of memory that the process holds, now (VmRSS) or at most since forget_peak() (VmHWM). NaN where the system does
// not say.
double resident(std::string_view which) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(which)) return 1024 * std::atof(line.c_str() + which.size() + 1);
  return NAN;
}
// False where the system does not allow it.
bool forget_peak() {
  malloc_trim(0);
  const Descriptor clear(::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));
  return clear && ::write(clear.get(), "5", 1) == 1;
}

// Of one exchange in which every rank sends `bytes` to every other, in seconds: the fastest of several rows of them,
// since in a row no rank can be late without the others.
double exchange_seconds(Comm& ranks, size_t bytes) {
  constexpr int kRows = 20, kInRow = 20;
  const size_t R = size_t(ranks.ranks());
  std::vector<std::byte> out(bytes), in(bytes * R);
  std::vector<Comm::Sent> to(R, out);
  std::vector<Comm::Received> from;
  for (size_t r = 0; r < R; ++r)
    from.push_back(int(r) == ranks.rank() ? Comm::Received() : Comm::Received(in).subspan(r * bytes, bytes));
  double best = INFINITY;
  for (int row = 0; row < kRows; ++row) {
    const Stopwatch watch;
    for (int i = 0; i < kInRow; ++i) ranks.exchange(to, from);
    best = std::min(best, watch.seconds() / kInRow);
  }
  return best;
}

// One number of each rank, on all.
double sum_over_ranks(Comm& ranks, double own) {
  std::vector<double> all(size_t(ranks.ranks()), own);
  std::vector<Comm::Sent> to(all.size(), std::as_bytes(std::span(&own, 1)));
  std::vector<Comm::Received> from;
  for (size_t r = 0; r < all.size(); ++r)
    from.push_back(int(r) == ranks.rank() ? Comm::Received() : std::as_writable_bytes(std::span(&all[r], 1)));
  ranks.exchange(to, from);
  return std::accumulate(all.begin(), all.end(), 0.0);
}

struct Point {
  double at, ms, bytes;          // of a run in the median, and of a rank; NaN: could not be measured
  double flop, counted;          // operations and bytes, counted
  double sent = 0, formula = 0;  // bytes to other ranks, of all ranks
};

// One step of training, or the drawing of samples.
class Job {
 public:
  Job(const Setting& s, Comm& ranks, uint64_t seed)
      : setting_(s),
        seed_(seed),
        model_(make_model(s.config(), s.vocabulary)),
        shards_(ranks, s.shards, s.threads),
        loss_(shards_),
        optimizer_(model_->params()) {
    batch_.B = s.batch, batch_.T = s.context;
    const Rng rng(seed, Stream::kTest);
    for (auto* ids : {&batch_.inputs, &batch_.targets})
      for (int64_t i = 0; i < s.batch * s.context; ++i) ids->push_back(int32_t(rng.below(i, s.vocabulary)));
  }
  void run() {
    const StepInfo info{.seed = seed_, .step = ++step_, .training = true};
    if (setting_.samples > 0) {
      shards_.begin(info, setting_.samples);
      const World world{.prompt = {0}, .max_tokens = kDraws};
      const std::vector<int32_t> of(size_t(setting_.samples), 0);
      roll_out(*model_, world, {&world.prompt, 1}, of, Rng(seed_, Stream::kSample, step_), shards_);
      return;
    }
    loss_.forward(*model_, batch_, info);
    loss_.backward(1 / double(setting_.batch * setting_.context));
    const std::span<const real> gradient = shards_.gradient(model_->params());
    optimizer_.step(model_->params(), gradient, 1e-3, clip_factor(gradient_norm(gradient), 1));
  }
  double counted(const Comm& ranks) const {
    const double parameters = double(model_->params().size()) * sizeof(real);
    if (setting_.samples > 0) return 3 * parameters + sampling_bytes(*model_, setting_.samples, false);
    return training_bytes(*model_, setting_.batch, setting_.context, OwnShards(setting_.shards, ranks));
  }
  // Of the exchange of a step: the gradient, and one number of each shard.
  double formula(int ranks) const {
    return double(shards_.gradient_bytes(model_->params())) + double(sizeof(double)) * setting_.shards * (ranks - 1);
  }

 private:
  const Setting setting_;
  const uint64_t seed_;
  std::unique_ptr<LanguageModel> model_;
  Shards shards_;
  BatchLoss loss_;
  AdamW optimizer_;
  Batch batch_;
  int64_t step_ = 0;
};

Point measure(double at, const Setting& setting, Comm& ranks, uint64_t seed, double seconds) {
  const double before = forget_peak() ? resident("VmRSS") : NAN;
  Job job(setting, ranks, seed);
  for (int warm = 0; warm < 2; ++warm) job.run();
  const double bytes = resident("VmHWM") - before;  // none that counts where it takes no new page
  const Stopwatch once;
  job.run();
  int64_t rounds = std::clamp<int64_t>(int64_t(seconds / std::max(1e-6, once.seconds())), 5, 10'000);
  ranks.broadcast(std::as_writable_bytes(std::span(&rounds, 1)));  // all make as many
  std::vector<double> ms;
  const int64_t sent_before = ranks.sent();
  for (int64_t i = 0; i < rounds; ++i) {
    const Stopwatch watch;
    job.run();
    ms.push_back(1e3 * watch.seconds());
  }
  const double sent = sum_over_ranks(ranks, double(ranks.sent() - sent_before) / double(rounds));
  std::ranges::sort(ms);
  return {.at = at,
          .ms = ms[ms.size() / 2],
          .bytes = bytes > 0 ? bytes : NAN,
          .flop = setting.flop(ranks.ranks()),
          .counted = job.counted(ranks),
          .sent = sent,
          .formula = ranks.ranks() > 1 ? job.formula(ranks.ranks()) : 0};
}

// The slope of log y over log x, by least squares.
double slope(const std::vector<Point>& points, double Point::*y) {
  double x_mean = 0, y_mean = 0, xy = 0, xx = 0;
  for (const Point& p : points) {
    x_mean += std::log(p.at) / double(points.size());
    y_mean += std::log(p.*y) / double(points.size());
  }
  for (const Point& p : points) {
    xy += (std::log(p.at) - x_mean) * (std::log(p.*y) - y_mean);
    xx += (std::log(p.at) - x_mean) * (std::log(p.at) - x_mean);
  }
  return xy / xx;
}

// A size that grows, and where.
struct Way {
  const char* name;
  std::vector<int64_t> at;
  void (*set)(Setting&, int64_t);
};
std::vector<int64_t> doubled(int64_t from, int64_t to) {
  std::vector<int64_t> all;
  for (int64_t x = from; x < to; x *= 2) all.push_back(x);
  all.push_back(to);
  return all;
}
std::vector<Way> axes(int threads, int ranks) {
  if (ranks > 1) return {{"ranks", doubled(1, ranks), [](Setting&, int64_t) {}}};
  std::vector<Way> all{{"batch", doubled(8, 64), [](Setting& s, int64_t x) { s.batch = x; }},
                       {"context", doubled(16, 256), [](Setting& s, int64_t x) { s.context = x; }},
                       {"width", doubled(32, 256), [](Setting& s, int64_t x) { s.width = x; }},
                       {"layers", doubled(1, 8), [](Setting& s, int64_t x) { s.layers = x; }},
                       {"vocabulary", doubled(256, 4096), [](Setting& s, int64_t x) { s.vocabulary = x; }},
                       {"samples", doubled(8, 64), [](Setting& s, int64_t x) { s.samples = x; }}};
  if (threads > 1) all.push_back({"threads", doubled(1, threads), [](Setting& s, int64_t x) { s.threads = int(x); }});
  return all;
}

struct Grown {
  std::string axis;
  std::vector<Point> points;
  double of(double Point::*y) const { return slope(points, y); }
};

bool has_memory(const Grown& g) { return std::isfinite(g.of(&Point::bytes)); }

Json number_or_null(double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); }

Json json_of(const Grown& g) {
  Json points = Json::array();
  for (const Point& p : g.points) {
    Json point{{"at", p.at}, {"ms", p.ms}, {"bytes", number_or_null(p.bytes)}};
    if (g.axis == "ranks") point.update({{"sent", p.sent}, {"sent_formula", p.formula}});
    points.push_back(point);
  }
  const auto exponents = [&](double Point::*measured, double Point::*counted) {
    return Json{{"exponent", number_or_null(g.of(measured))}, {"expected", g.of(counted)}};
  };
  return {{"axis", g.axis},
          {"points", points},
          {"time", exponents(&Point::ms, &Point::flop)},
          {"memory", exponents(&Point::bytes, &Point::counted)}};
}

void print(const Grown& g) {
  const auto figure = [](double x) { return std::isfinite(x) ? fixed(x, 2) : std::string("-"); };
  const Point &first = g.points.front(), &last = g.points.back();
  std::printf("%-10s %5g … %-5g %9.3f … %-9.3f %6.2f %8.2f   %7s … %-7s %6s %8.2f\n", g.axis.c_str(), first.at, last.at,
              first.ms, last.ms, g.of(&Point::ms), g.of(&Point::flop), figure(1e-6 * first.bytes).c_str(),
              figure(1e-6 * last.bytes).c_str(), figure(g.of(&Point::bytes)).c_str(), g.of(&Point::counted));
  for (const Point& p : g.points)
    if (p.formula > 0)
      std::printf("  %g ranks send %.0f bytes a step; the formula says %.0f\n", p.at, p.sent, p.formula);
}

// Measured dots and a line of what is counted, brought to the first dot.
std::string plot_of(const Grown& g, const char* title, double scale, double Point::*measured, double Point::*counted) {
  Series dots{.name = "measured", .x = {}, .y = {}, .colour = 1, .stroke = Stroke::kDots};
  Series line{.name = "counted", .x = {}, .y = {}, .colour = 2, .stroke = Stroke::kLine};
  for (const Point& p : g.points) {
    for (Series* series : {&dots, &line}) series->x.push_back(p.at);
    dots.y.push_back(scale * (p.*measured));
    line.y.push_back(scale * (p.*counted) * (g.points[0].*measured) / (g.points[0].*counted));
  }
  return to_html(
      LinePlot{.title = text(title, ": exponent ", fixed(g.of(measured), 2), ", counted ", fixed(g.of(counted), 2)),
               .x = {.title = g.axis, .log = true},
               .y = {.title = title, .log = true},
               .series = {dots, line}});
}

std::string page_of(const std::vector<Grown>& all) {
  Page page("How cost grows", "time and memory of a step against its sizes, both axes logarithmic");
  page.paragraph(
      "Along each axis one size is doubled and the others stay. The exponent is the slope of the measured dots; the "
      "line has the slope of the operations and bytes of the same steps, counted.");
  for (const Grown& g : all) {
    page.section(g.axis);
    std::vector<std::string> plots{plot_of(g, "milliseconds", 1, &Point::ms, &Point::flop)};
    if (has_memory(g)) plots.push_back(plot_of(g, "megabytes", 1e-6, &Point::bytes, &Point::counted));
    page.side_by_side(plots);
  }
  return page.str(text("gradus bench --grow, ", kRealName));
}

}  // namespace

int grow(const BenchCommand& command) {
  Comm& job = ranks_for("");
  Console console(command.common);
  const int R = job.ranks(), threads = command.common.threads ? int(command.common.threads) : R > 1 ? 1 : cores();
  const bool show = !command.common.json;
  if (show)
    std::printf("%-10s %13s %21s %6s %8s   %17s %6s %8s\n", "", "from … to", "ms a step", "expo-", "expected",
                "megabytes", "expo-", "expected");
  if (show) std::printf("%-10s %13s %21s %6s %8s   %17s %6s %8s\n", "", "", "", "nent", "", "", "nent", "");
  measure(1, {}, one_rank(), 1, 0);  // what is made once, buffers of OpenBLAS above all, is no point's
  std::vector<Grown> all;
  for (const Way& axis : axes(threads, R)) {
    Grown grown{axis.name, {}};
    for (const int64_t at : axis.at) {
      const int ranks = R > 1 ? int(at) : 1;
      if (job.rank() >= ranks) continue;
      console.live(text(axis.name, " ", at));
      Setting setting;
      if (axis.name == std::string_view("threads")) setting.shards = threads;
      if (R > 1) setting.shards = R * threads, setting.threads = threads;
      axis.set(setting, at);
      FirstRanks first(job, ranks);
      grown.points.push_back(measure(double(at), setting, first, uint64_t(command.common.seed), command.seconds));
    }
    console.end_live();
    if (job.rank() > 0) continue;
    if (show) print(grown);
    all.push_back(std::move(grown));
  }
  constexpr double kSmall = 8, kLarge = 1 << 22;
  const double small = R > 1 ? exchange_seconds(job, size_t(kSmall)) : 0,
               large = R > 1 ? exchange_seconds(job, size_t(kLarge)) : 0;
  const double rate = 1e-9 * kLarge * (R - 1) / large;  // that a rank sends and receives at
  if (R > 1 && show && job.rank() == 0)
    std::printf("An exchange of %.0f bytes between %d ranks takes %.1f µs, one of %.0f %.2f ms: %.2f GB/s a rank.\n",
                kSmall, R, 1e6 * small, kLarge, 1e3 * large, rate);
  if (std::ranges::any_of(all, std::not_fn(has_memory)))
    console.note(
        "note: memory could not be measured where the table has a dash: the system does not let the process reset the "
        "peak of its memory (/proc/self/clear_refs), or the step took no new page");
  if (R == 1) console.note("The axis of ranks is measured under mpirun: mpirun -n 4 gradus bench --grow");
  if (job.rank() > 0) return kDone;
  Json result{{"real", kRealName}, {"threads", threads}, {"ranks", R}, {"grow", Json::array()}};
  for (const Grown& g : all) result["grow"].push_back(json_of(g));
  if (R > 1) result["exchange"] = {{"latency_us", 1e6 * small}, {"gb_per_second", rate}};
  if (!command.html.empty()) {
    write_file_atomically(command.html, page_of(all));
    console.note(text("The picture: ", command.html, "; open it in a browser."));
  }
  if (command.common.json) std::printf("%s\n", result.dump().c_str());
  return kDone;
}

}  // namespace gradus
