#include "apps/replay.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace gradus {
namespace {

std::string replay_name(size_t batch, const char* what) { return text("replay.", batch, ".", what); }

// The replayed batches of a run in its archive, each number checked as if somebody else had written it.
class ReplayReader {
 public:
  ReplayReader(ArchiveReader& in, const TunedRun& run, size_t batch) : in_(in), run_(run), batch_(batch) {}

  Experience read() {
    const int64_t B = run_.config.batch, V = run_.policy.tokenizer.size();
    Experience e{.sequences = Sequences(run_.world.end_id)};
    const std::vector<int32_t> lengths = whole("lengths", 1, run_.world.max_tokens);
    const std::vector<int32_t> tokens = whole("tokens", 0, V - 1);
    e.group = whole("prompts", 0, int64_t(run_.prompts.size()) - 1);
    if (int64_t(lengths.size()) != B || int64_t(e.group.size()) != B)
      fail("lengths", "and its prompts are not of ", B, " sequences, a batch");
    if (std::accumulate(lengths.begin(), lengths.end(), int64_t{0}) != std::ssize(tokens))
      fail("lengths", "does not add up to the ", tokens.size(), " replayed tokens");
    std::span<const int32_t> rest(tokens);
    for (const int32_t length : lengths) {
      e.sequences.add(whole_sequence(rest.first(size_t(length))));
      rest = rest.subspan(size_t(length));
    }
    e.batch.fill(run_.prompt_tokens, e.group, e.sequences);
    const int64_t slots = B * e.batch.T;
    // Log b of a hard constraint may be -inf, and log q where the prior was counted.
    // A checkpoint of an earlier version knows reward and log mu of whole sequences only.
    e.reward = numbers("reward", {B, slots}, [this](double x) { return is_bounded(x, run_.config.is_gdc()); });
    e.log_mu = numbers("log_mu", {B, slots}, [this](double x) {
      return is_log_probability(x) && x >= kLeastLogMu * double(run_.world.max_tokens);
    });
    e.log_q = numbers("log_q", {slots}, [this](double x) {
      return is_log_probability(x) && is_bounded(x, !run_.prior->counts().empty());
    });
    return e;
  }

 private:
  // Beyond these a gradient would not be finite. No draw has a smaller log mu: those of uniform numbers end at 2^-53.
  static constexpr double kMost = 1e30, kLeastLogMu = -100;
  static bool is_bounded(double x, bool or_impossible) {
    return std::fabs(x) <= kMost || (or_impossible && x == -INFINITY);
  }
  // Rounding may have left a probability a little above 1.
  static bool is_log_probability(double x) { return x <= 1e-3; }

  template <class... Parts>
  [[noreturn]] void fail(const char* what, const Parts&... parts) const {
    throw DataError(text(in_.file().path(), ": ", replay_name(batch_, what), " ", parts...));
  }

  template <class IsRight>
  std::vector<double> numbers(const char* what, const std::vector<int64_t>& sizes, const IsRight& is_right) {
    std::vector<double> list = in_.list(replay_name(batch_, what));
    if (std::ranges::find(sizes, std::ssize(list)) == sizes.end())
      fail(what, "has ", list.size(), " numbers, it must have ", sizes.back());
    if (const auto wrong = std::ranges::find_if_not(list, is_right); wrong != list.end())
      fail(what, "holds ", *wrong, ", which is out of range");
    return list;
  }

  std::vector<int32_t> whole(const char* what, int64_t least, int64_t most) {
    const std::vector<double> list = in_.list(replay_name(batch_, what));
    for (const double x : list)
      if (!(x >= double(least) && x <= double(most)) || x != std::floor(x))
        fail(what, "holds ", x, ", which is not a whole number from ", least, " to ", most);
    return {list.begin(), list.end()};
  }

  // The end mark is the last draw of a sequence, or there is none and nothing more could be drawn.
  std::span<const int32_t> whole_sequence(std::span<const int32_t> draws) const {
    const World& world = run_.world;
    const auto mark = std::ranges::find(draws, world.end_id);
    if (mark == draws.end() ? std::ssize(draws) < world.max_tokens : mark + 1 != draws.end())
      fail("tokens", "holds a sequence that does not end at its end mark");
    return draws;
  }

  ArchiveReader& in_;
  const TunedRun& run_;
  const size_t batch_;
};

}  // namespace

Experience read_replayed(ArchiveReader& in, const TunedRun& run, size_t batch) {
  return ReplayReader(in, run, batch).read();
}

void write_replayed(ArchiveWriter& out, size_t batch, const Experience& e) {
  std::vector<double> tokens, lengths;
  for (int64_t b = 0; b < e.sequences.size(); ++b) {
    const auto draws = e.sequences.draws(b);
    tokens.insert(tokens.end(), draws.begin(), draws.end());
    lengths.push_back(double(draws.size()));
  }
  out.list(replay_name(batch, "tokens"), std::move(tokens));
  out.list(replay_name(batch, "lengths"), std::move(lengths));
  out.list(replay_name(batch, "prompts"), {e.group.begin(), e.group.end()});
  out.list(replay_name(batch, "reward"), e.reward);
  out.list(replay_name(batch, "log_mu"), e.log_mu);
  out.list(replay_name(batch, "log_q"), e.log_q);
}

}  // namespace gradus
